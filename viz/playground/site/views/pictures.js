// The rolled and the unrolled picture, and the values of a box.

import {button, element} from "../elements.js";
import {figure} from "../figure.js";
import {LEAST} from "../paint.js";

const GAP = 36;  // pixels beside and between them

export class Pictures {
    // `panel` is the element of the view; `tools` has `ask(question)`, `go(line)`, `highlight(line)` and `notice(text)`.
    constructor(panel, tools) {
        this.panel = panel;
        this.tools = tools;
        this.rolled = region("rolled", "Rolled");
        this.unrolled = region("unrolled", "Unrolled");
        this.notes = document.createElement("div");
        this.notes.setAttribute("role", "status");
        this.notes.className = "notes";
        this.values = document.createElement("aside");
        this.values.id = "box";
        this.values.setAttribute("aria-live", "polite");
        this.values.hidden = true;
        this.values.tabIndex = -1;
        panel.addEventListener("keydown", event => { if (event.key === "Escape" && !this.values.hidden) this.leave(); });
        panel.append(this.notes, this.rolled, this.unrolled, this.values);
        new ResizeObserver(() => this.arrange()).observe(panel);
    }

    async show({rolled, unrolled, notes, problems}) {
        this.close();
        this.notes.replaceChildren(...notes.map(text => element("p", text)));
        const made = (place, picture) => figure(place, picture, (...box) => this.box(place, ...box));
        const painted = await Promise.all([
            ...rolled.map((picture, i) => made(`rolled${i}`, picture)), ...(unrolled ? [made("unrolled", unrolled)] : [])]);
        if (rolled.length || !problems.length) put(this.rolled, painted.slice(0, rolled.length));
        if (unrolled || !problems.length) put(this.unrolled, painted.slice(rolled.length));
        this.arrange();
    }

    // Puts wide pictures under each other, the rolled ones low; pictures side by side have the same scale.
    arrange() {
        const [left, right] = [this.rolled, this.unrolled].map(part => Math.max(0, ...[...part.children].map(one => one.dataset.width)));
        const column = LEAST * (left + right) * 96 / 72 > this.panel.clientWidth - GAP;
        this.panel.classList.toggle("column", column && left > 0 && right > 0);
        this.panel.style.gridTemplateColumns = column || !left || !right ? "minmax(0, 1fr)"
            : `minmax(0, ${left}fr) minmax(0, ${right}fr)`;
    }

    clear() {
        this.notes.replaceChildren();
        this.rolled.replaceChildren();
        this.unrolled.replaceChildren();
    }

    // Pictures of an earlier program stay, pale, while the present one has an error.
    stale(on) {
        for (const part of [this.rolled, this.unrolled]) part.classList.toggle("stale", on);
    }

    // `byKey`: the box was chosen by the keyboard, which then goes on in the values.
    async box(picture, key, label, node, byKey) {
        let found;
        try {
            found = await this.tools.ask({ask: "box", picture, key});
        } catch (error) {
            this.tools.notice(`Python doesn't answer: ${error.message}`);
        }
        if (!found) return;
        const {tensors = [], more = 0, line} = found;
        const parts = tensors.flatMap(tensor => values(tensor));
        if (!tensors.length) parts.push(element("h2", label));
        if (found.tensors && !tensors.length) parts.push(element("p", "No value is recorded here: nothing in it requires a gradient."));
        if (more) parts.push(element("p", `and ${more} more`));
        if (line) parts.push(button(`line ${line}`, () => this.tools.go(line)));
        parts.push(button("close", () => this.leave()));
        this.tools.highlight(line ?? null);
        this.values.replaceChildren(...parts);
        this.values.setAttribute("aria-label", `Values of ${label}`);
        this.values.setAttribute("aria-live", byKey ? "off" : "polite");  // one that has the focus is read anyway
        this.values.hidden = false;
        this.node = node;
        if (byKey) this.values.focus({preventScroll: true});
        const hidden = node.getBoundingClientRect().bottom - this.values.getBoundingClientRect().top + GAP;
        if (hidden > 0) this.panel.scrollTop += hidden;
    }

    leave() {
        this.close();
        this.node.focus();
    }

    close() {
        this.values.hidden = true;
        this.tools.highlight(null);
    }
}

function values({title, shape, value, gradient, accumulated}) {
    const parts = [element("h2", `${title}, shape (${shape.join(", ")}${shape.length === 1 ? "," : ""})`), element("pre", value)];
    if (gradient) parts.push(element("h3", `gradient of ${title}`), element("pre", gradient));
    if (accumulated) parts.push(element("h3", `.grad of ${title}, of all backward passes`), element("pre", accumulated));
    return parts;
}

function region(id, name) {
    const made = document.createElement("div");
    made.id = id;
    made.setAttribute("role", "region");
    made.setAttribute("aria-label", name);
    return made;
}

function put(part, pictures) {
    part.replaceChildren(...pictures);
    part.classList.remove("stale");
}
