// The program in the end of the page's address: deflated, as base64 without characters that addresses don't have.

const MOST = 200000;  // characters of a program

async function through(bytes, stream) {
    return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

export async function pack(program) {
    const bytes = await through(new TextEncoder().encode(program), new CompressionStream("deflate-raw"));
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// Returns the parts of an address that stand behind its "#", by name: the packed program, and choices of the page.
export function parts(address) {
    return Object.fromEntries(new URLSearchParams(new URL(address).hash.slice(1)));
}

export async function unpack(text) {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0));
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"))
        .pipeThrough(new TextDecoderStream("utf-8", {fatal: true})).getReader();
    let program = "";
    for (;;) {
        const {done, value} = await reader.read();
        if (done) return program;
        program += value;
        if (program.length > MOST) throw new Error("too long");  // a small link may unpack to gigabytes
    }
}
