// Pictures: Graphviz paints DOT with positions as SVG; boxes that stand for something are buttons.

export const LEAST = 0.65;  // the scale of a picture, whose letters are made for paper, at which they can still be read
const painter = import("./graphviz.js").then(({instance}) => instance());  // meanwhile Python is loaded

// Returns an SVG element, and its text for a file. The text is parsed as XML, and nothing in it runs: the page's policy
// allows no inline script. `choose(key, label, node, byKey)` is called for a box; without it boxes are only drawn.
export async function painted({dot, title, alt, engine = "nop2"}, choose) {
    const text = (await painter).renderString(dot, {engine, format: "svg"});
    const svg = document.adoptNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement);
    const width = parseFloat(svg.getAttribute("width"));
    svg.dataset.width = width;
    svg.removeAttribute("height");
    svg.setAttribute("role", choose ? "group" : "img");
    svg.setAttribute("aria-label", `${title}. ${alt}`);
    for (const node of svg.querySelectorAll(".node")) name(node, choose);
    for (const part of svg.querySelectorAll("g[id]")) part.removeAttribute("id");  // each picture has the same ones
    for (const title of svg.querySelectorAll(":scope > g > title, .edge > title, .cluster > title")) title.remove();
    return {svg, text};
}

// Graphviz writes the key of a box as its <title>, which browsers would show; the tooltip is better.
function name(node, choose) {
    const key = node.querySelector(":scope > title")?.textContent ?? "";
    node.querySelector(":scope > title")?.remove();
    for (const link of node.querySelectorAll("a")) link.removeAttribute("href");
    if (!choose || /^(text|z\d)/.test(key)) return;  // texts and delays stand for no value
    const label = [...node.querySelectorAll("text")].map(text => text.textContent).join(" ");
    node.dataset.key = key;
    node.setAttribute("role", "button");
    node.setAttribute("tabindex", "0");
    node.setAttribute("aria-label", label);
    node.addEventListener("click", () => choose(key, label, node, false));
    node.addEventListener("keydown", event => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose(key, label, node, true);
    });
}
