// The backward pass of the loss, step by step, in a frame that has viz.stepper's page. Each pass gets a frame of its own.

import {element} from "../elements.js";

const OURS = /^program\.py:(\d+)$/;
const root = document.documentElement;

export class Steps {
    // `panel` is the element of the view; `tools` has `go(line)`.
    constructor(panel, tools) {
        this.panel = panel;
        this.tools = tools;
        this.shown = null;  // the pass that is shown: its number, its frame and the names of its steps
        new MutationObserver(() => this.dress()).observe(root, {attributeFilter: ["data-theme"]});
    }

    async show({steps, note}) {
        if (note !== null) {
            this.clear();
            this.panel.append(element("p", note));
        }
        if (steps === null || steps.number === this.shown?.number) return;
        const frame = document.createElement("iframe");
        frame.title = steps.title;
        frame.src = `stepper.html${this.address(steps.names)}`;
        frame.className = "coming";  // over the frame before, which stays until this one is drawn
        const loaded = new Promise(resolve => frame.addEventListener("load", resolve, {once: true}));
        this.panel.append(frame);
        await loaded;
        if (!frame.isConnected) return;  // the reader has opened another program
        frame.contentDocument.documentElement.dataset.theme = root.dataset.theme;
        await frame.contentWindow.start(steps, {
            theme: name => { if (root.dataset.theme !== name) root.dataset.theme = name; },
            opener: line => OURS.test(line) ? () => this.tools.go(Number(OURS.exec(line)[1])) : null,
            leave: () => document.getElementById(this.panel.getAttribute("aria-labelledby")).focus(),
        });
        frame.className = "";
        for (const other of [...this.panel.children]) if (other !== frame) other.remove();
        this.shown = {number: steps.number, frame, names: steps.names};
    }

    clear() {
        this.panel.replaceChildren();
        this.shown = null;
    }

    stale(on) {
        this.shown?.frame.classList.toggle("stale", on);
    }

    // The theme of the page and of its frame is one.
    dress() {
        const inside = this.shown?.frame.contentDocument.documentElement;
        if (inside && inside.dataset.theme !== root.dataset.theme) inside.dataset.theme = root.dataset.theme;
    }

    // The end of a frame's address: breakpoints and watched gradients as they are, and the step of the same name.
    address(names) {
        if (!this.shown) return "";
        const state = new URLSearchParams(this.shown.frame.contentWindow.location.hash.slice(1));
        const step = Number(state.get("step"));
        if (step) state.set("step", nearest(names, this.shown.names[step - 1], step));
        return `#${state}`;
    }
}

// Returns the number of the step with a name, of several the one nearest to a number; without one, that number.
function nearest(names, name, number) {
    const same = names.flatMap((other, i) => other === name ? [i + 1] : []);
    const distance = other => Math.abs(other - number);
    return same.sort((a, b) => distance(a) - distance(b))[0] ?? Math.min(number, names.length);
}
