// Elements that several parts of the page make.

export function element(tag, text) {
    const made = document.createElement(tag);
    made.textContent = text;
    return made;
}

export function button(text, press) {
    const made = element("button", text);
    made.type = "button";
    made.addEventListener("click", press);
    return made;
}

// Returns the sentence of a view that errors leave empty: that of the first one.
export function sentence([{kind, text}]) {
    return `Nothing to show yet. ${kind}: ${text}`;
}
