// The views of a program, one of which is shown: tabs, as the ARIA authoring practices have them.
// A view is a class in views/, and a class of the same name in Python, in viz/playground/views, which answers it.

import {button} from "./elements.js";
import {Gradients} from "./views/gradients.js";
import {Pictures} from "./views/pictures.js";
import {Steps} from "./views/steps.js";
import {Training} from "./views/training.js";

const VIEWS = {  // by the name that Python knows
    pictures: ["pictures", Pictures],
    gradients: ["gradients", Gradients],
    steps: ["steps", Steps],
    training: ["training", Training],
};

export class Views {
    // `chosen()` is called when another view is to be shown; `ask` in `tools` is given the view's name.
    constructor(tabs, panels, tools, chosen, all = VIEWS) {
        this.tabs = tabs;
        this.panels = panels;
        this.views = {};
        for (const [name, [title, View]] of Object.entries(all)) {
            const tab = button(title, () => this.choose(name, chosen)), panel = document.createElement("div");
            tab.id = `tab-${name}`;
            panel.id = `view-${name}`;
            tab.dataset.view = panel.dataset.view = name;
            tab.setAttribute("role", "tab");
            tab.setAttribute("aria-controls", panel.id);
            panel.setAttribute("role", "tabpanel");
            panel.setAttribute("aria-labelledby", tab.id);
            tabs.append(tab);
            panels.append(panel);
            this.views[name] = new View(panel, {...tools, ask: question => tools.ask({view: name, ...question})});
        }
        tabs.addEventListener("keydown", event => this.move(event));
        this.choose(Object.keys(all)[0], () => {});
    }

    get current() {
        return this.views[this.name];
    }

    choose(name, chosen) {
        if (name === this.name) return;
        this.name = name;
        for (const tab of this.tabs.children) {
            tab.setAttribute("aria-selected", tab.dataset.view === name);
            tab.tabIndex = tab.dataset.view === name ? 0 : -1;
        }
        for (const panel of this.panels.children) panel.hidden = panel.dataset.view !== name;
        chosen();
    }

    move(event) {
        const all = [...this.tabs.children], at = all.indexOf(event.target);
        const to = {ArrowRight: at + 1, ArrowLeft: at - 1 + all.length, Home: 0, End: all.length - 1}[event.key];
        if (at < 0 || to === undefined) return;
        event.preventDefault();
        all[to % all.length].focus();
        all[to % all.length].click();
    }

    clear() {
        for (const view of Object.values(this.views)) view.clear();
    }
}
