// The backward pass of the loss, step by step, in a frame that has viz.stepper's page. Each pass gets a frame of its own.

import {element, sentence} from "../elements.js";

const OURS = /^program\.py:(\d+)$/;
const EMPTY = "The steps stand here as soon as the backward pass is recorded.";
const root = document.documentElement;

export class Steps {
    // `panel` is the element of the view; `tools` has `go(line)`.
    constructor(panel, tools) {
        this.panel = panel;
        this.tools = tools;
        this.shown = null;  // the pass that is shown: its number, its frame and the names of its steps
        this.note = element("p", EMPTY);
        this.note.setAttribute("role", "status");
        panel.append(this.note);
        new MutationObserver(() => this.dress()).observe(root, {attributeFilter: ["data-theme"]});
    }

    async show({steps, note, changed, problems}) {
        if (note !== null) this.clear(note);
        else if (steps === null && !this.shown) this.note.textContent = sentence(problems);
        if (steps === null || steps.number === this.shown?.number) return;
        const frame = document.createElement("iframe");
        frame.title = steps.title;
        frame.src = `stepper.html${this.address(steps.names)}`;
        frame.className = "coming";  // the frame before stays until this one is drawn
        const dropped = new Promise(resolve => { this.drop = resolve; });
        try {
            await Promise.race([this.start(frame, steps), dropped]);
        } catch (error) {
            this.clear(`The steps can't be shown: ${error.message}`);
        }
        if (!frame.isConnected) return;  // meanwhile another program was opened
        frame.className = "";
        this.note.textContent = changed ?? "";
        this.shown?.frame.remove();
        this.shown = {number: steps.number, frame, names: steps.names};
    }

    async start(frame, steps) {
        const loaded = new Promise(resolve => frame.addEventListener("load", resolve, {once: true}));
        this.panel.append(frame);
        await loaded;
        frame.contentDocument.documentElement.dataset.theme = root.dataset.theme;
        await frame.contentWindow.start(steps, {
            theme: name => { if (root.dataset.theme !== name) root.dataset.theme = name; },
            opener: line => OURS.test(line) ? () => this.tools.go(Number(OURS.exec(line)[1])) : null,
            leave: () => document.getElementById(this.panel.getAttribute("aria-labelledby")).focus(),
        });
    }

    clear(note = EMPTY) {
        this.note.textContent = note;
        for (const frame of this.panel.querySelectorAll("iframe")) frame.remove();
        this.shown = null;
        this.drop?.();  // a frame that is removed before it is loaded tells nobody
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
