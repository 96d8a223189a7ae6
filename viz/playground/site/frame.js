// The frame in which a backward pass is stepped through: the page of viz.stepper, whose script runs once it has the data.
"use strict";

const root = document.documentElement;

if (parent === window) location.replace("./");  // it was opened alone, without the page that has the program

// Shows a pass; called once, by the page around. `around` has `theme(name)`, `opener(line)`, which returns a function
// that shows a line such as "program.py:3", or null, and `leave()`, which gives the keyboard back.
window.start = async ({title, picture, style, data}, around) => {
    const colours = new CSSStyleSheet();
    colours.replaceSync(style);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, colours];
    document.title = document.querySelector("h1").textContent = title;
    const parsed = new DOMParser().parseFromString(picture, "text/html").querySelector("svg");
    document.getElementById("picture").replaceChildren(document.adoptNode(parsed));
    document.getElementById("data").textContent = data;
    document.getElementById("notice").dataset.about = "In this program";
    document.querySelector("#keys dl").append(key("Esc", "leave the steps for the page around them"));
    window.lineOpener = around.opener;
    addEventListener("keydown", event => {
        if (event.key === "Escape" && !event.target.matches("input, select")) around.leave();
    });
    new MutationObserver(() => around.theme(root.dataset.theme)).observe(root, {attributeFilter: ["data-theme"]});
    const script = document.createElement("script");
    script.src = "stepper.js";
    const runs = new Promise((resolve, reject) => {
        script.addEventListener("load", resolve);
        script.addEventListener("error", () => reject(new Error("stepper.js can't be loaded")));
    });
    document.body.append(script);
    await runs;
};

function key(name, does) {
    const part = document.createElement("div"), term = document.createElement("dt");
    const made = document.createElement("kbd"), text = document.createElement("dd");
    made.textContent = name;
    text.textContent = does;
    term.append(made);
    part.append(term, text);
    return part;
}
