// Pictures: Graphviz paints DOT with positions as SVG; boxes that stand for something are buttons.

const SCALE = 1.25, LEAST = 0.7;  // of the pictures, whose letters are made for paper; where they are wider, one scrolls
const painter = import("./graphviz.js").then(({instance}) => instance());  // meanwhile Python is loaded

// Returns an SVG element; without `choose`, boxes are no buttons. Its text is parsed as XML, and nothing in it runs: the page's policy allows no inline script.
export async function paint({dot, title, alt, engine = "nop2"}, choose) {
    const text = (await painter).renderString(dot, {engine, format: "svg"});
    const svg = document.adoptNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement);
    const width = parseFloat(svg.getAttribute("width"));
    svg.setAttribute("width", `${SCALE * width}pt`);
    svg.removeAttribute("height");
    svg.style.minWidth = `${LEAST * width}pt`;
    svg.setAttribute("role", choose ? "group" : "img");
    svg.setAttribute("aria-label", `${title}. ${alt}`);
    for (const node of svg.querySelectorAll(".node")) name(node, choose);
    for (const title of svg.querySelectorAll(":scope > g > title, .edge > title, .cluster > title")) title.remove();
    return svg;
}

// Graphviz writes the key of a box as its <title>, which browsers would show; the tooltip is better.
function name(node, choose) {
    const key = node.querySelector(":scope > title")?.textContent ?? "";
    node.querySelector(":scope > title")?.remove();
    if (key.startsWith("text") || !choose) return;
    const label = [...node.querySelectorAll("text")].map(text => text.textContent).join(" ");
    node.dataset.key = key;
    node.setAttribute("role", "button");
    node.setAttribute("tabindex", "0");
    node.setAttribute("aria-label", label);
    for (const link of node.querySelectorAll("a")) link.removeAttribute("href");
    node.addEventListener("click", () => choose(key, label));
    node.addEventListener("keydown", event => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose(key, label);
    });
}
