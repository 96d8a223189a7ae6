// The rolled and the unrolled picture, and the values of a box.

import {button, element} from "../elements.js";
import {paint} from "../paint.js";

export class Pictures {
    // `panel` is the element of the view; `tools` has `ask(question)`, `go(line)` and `notice(text)`.
    constructor(panel, tools) {
        this.tools = tools;
        this.rolled = region("rolled", "Rolled");
        this.unrolled = region("unrolled", "Unrolled");
        this.values = document.createElement("aside");
        this.values.id = "box";
        this.values.setAttribute("aria-live", "polite");
        this.values.hidden = true;
        panel.append(this.rolled, this.unrolled, this.values);
    }

    async show({rolled, unrolled, problems}) {
        this.values.hidden = true;
        const painted = await Promise.all([
            ...rolled.map((picture, i) => paint(picture, (key, label) => this.box(`rolled${i}`, key, label))),
            ...(unrolled ? [paint(unrolled, (key, label) => this.box("unrolled", key, label))] : [])]);
        if (rolled.length || !problems.length) put(this.rolled, painted.slice(0, rolled.length));
        if (unrolled || !problems.length) put(this.unrolled, painted.slice(rolled.length));
    }

    clear() {
        this.rolled.replaceChildren();
        this.unrolled.replaceChildren();
    }

    // Pictures of an earlier program stay, pale, while the present one has an error.
    stale(on) {
        for (const part of [this.rolled, this.unrolled]) part.classList.toggle("stale", on);
    }

    async box(picture, key, label) {
        let found;
        try {
            found = await this.tools.ask({ask: "box", picture, key});
        } catch (error) {
            this.tools.notice(`Python doesn't answer: ${error.message}`);
        }
        if (!found) return;
        const {title, shape, value, gradient, line} = found;
        const parts = [element("h2", title ? `${title}, shape (${shape.join(", ")})` : label)];
        if (value) parts.push(element("pre", value));
        if (gradient) parts.push(element("h2", "gradient"), element("pre", gradient));
        if (line) parts.push(button(`line ${line}`, () => this.tools.go(line)));
        this.values.replaceChildren(...parts);
        this.values.hidden = false;
    }
}

function region(id, name) {
    const made = document.createElement("div");
    made.id = id;
    made.setAttribute("role", "region");
    made.setAttribute("aria-label", name);
    made.tabIndex = 0;
    return made;
}

function put(part, pictures) {
    part.replaceChildren(...pictures);
    part.classList.remove("stale");
}
