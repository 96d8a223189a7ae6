// The gradient map of each run, with its numbers as tables.

import {element, sentence} from "../elements.js";
import {figure} from "../figure.js";

export class Gradients {
    constructor(panel) {
        this.panel = panel;
    }

    async show({maps, missing, changed, problems}) {
        if (maps === null) {  // the last maps stay, pale
            if (!this.panel.querySelector("figure")) this.panel.replaceChildren(element("p", sentence(problems)));
            return;
        }
        const figures = await Promise.all(maps.map(({picture}, i) => figure(`gradients${i}`, picture)));
        const parts = maps.flatMap(({tables}, i) => [figures[i], ...tables.filter(one => one.rows.length).flatMap(table)]);
        if (changed) parts.unshift(element("p", changed));
        if (missing) parts.push(element("p", missing));
        if (maps.length) parts.push(element("p", "The largest number of each row is bold. – : the backward pass didn't get there."));
        this.panel.replaceChildren(...parts);
    }

    clear() {
        this.panel.replaceChildren();
    }

    stale(on) {
        this.panel.classList.toggle("stale", on);
    }
}

function table({title, heads, rows}) {
    const made = document.createElement("table"), head = document.createElement("tr"), around = document.createElement("div");
    made.append(head);
    made.setAttribute("aria-label", title);
    for (const text of heads) head.append(cell("th", text, "col"));
    for (const {name, largest, at, cells} of rows) {
        const row = document.createElement("tr");
        row.append(cell("th", name, "row"), element("td", at));
        row.append(...cells.map(text => element("td", text)));
        if (largest !== null) row.children[heads.indexOf(at)]?.classList.add("largest");
        made.append(row);
    }
    around.className = "scroll";
    around.tabIndex = 0;
    around.setAttribute("role", "region");
    around.setAttribute("aria-label", title);
    around.append(made);
    return [element("h3", title), around];
}

function cell(tag, text, scope) {
    const made = element(tag, text);
    made.scope = scope;
    return made;
}
