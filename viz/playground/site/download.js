// Files that the page saves: the browser asks, or puts them into its folder.

export function save(name, blob) {
    const link = document.createElement("a"), url = URL.createObjectURL(blob);
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);  // a browser that asks first needs it for as long
}

const TAKEN = new Set(["minigrad", "numpy", "rnn", "viz"]);  // a file of this name would hide the package

// Returns the name of a program's file, made of the words of its title.
export function fileName(title, ending) {
    const words = (title.normalize("NFKD").toLowerCase().match(/[a-z0-9]+/g) ?? []).slice(0, 6).join("_");
    return `${!words || TAKEN.has(words) ? `${words}_program`.replace(/^_/, "") : words}.${ending}`;
}
