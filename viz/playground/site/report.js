// The panels of an assignment: its task, and the report of the last check.

import {button, element} from "./elements.js";
import {figure} from "./figure.js";

export class Task {
    constructor(panel) {
        this.panel = panel;
        panel.tabIndex = 0;
    }

    // The page of a task is made when the site is built; nothing in it runs, as the page's policy allows no inline script.
    async show(name) {
        this.name = name;
        let parts;
        try {
            const answer = await fetch(`kits/${name}.html`);
            if (!answer.ok) throw new Error(answer.status);
            parts = [...new DOMParser().parseFromString(await answer.text(), "text/html").body.childNodes];
        } catch (error) {
            parts = [element("p", `The task can't be loaded: ${error.message}. It is also in the file's comments.`)];
        }
        if (this.name === name) this.panel.replaceChildren(...parts);
    }

    clear() {
        this.name = undefined;
        this.panel.replaceChildren();
    }
}

export class Report {
    constructor(panel, {go}) {
        this.panel = panel;
        this.go = go;
        panel.tabIndex = 0;
        this.clear();
    }

    clear() {
        this.old = this.shown = undefined;
        this.panel.replaceChildren(element("p", "Press “check”, or Ctrl+Enter, as often as you like. The file is checked on this machine, and nothing is sent."));
    }

    async show(report) {
        const {head, checks, foot} = this.shown = report, list = document.createElement("ol");
        list.append(...await Promise.all(checks.map(check => this.entry(check))));
        if (this.shown !== report) return;  // meanwhile another assignment was opened
        this.old = element("p", "The file has changed since this check.");
        this.old.className = "old";
        const last = element("p", foot.at(-1)), below = foot.slice(0, -1).map(line => element("pre", line));
        last.className = "points";
        this.panel.replaceChildren(element("h2", head), this.old, list, ...below, last);
        this.panel.scrollTop = 0;
    }

    async entry({passed, head, said, lines, picture}) {
        const made = document.createElement("li");
        made.className = passed ? "passed" : "failed";
        made.append(element("pre", head), ...said.map(line => element("p", line)));
        if (lines.length) {
            const row = document.createElement("div");
            row.append(...lines.map(({text, line}) => button(text, () => this.go(line))));
            made.append(row);
        }
        if (picture) made.append(await figure(`check ${head}`, picture));
        return made;
    }

    // A report of an earlier text stays, and says so.
    stale(on) {
        if (!this.old) return;
        this.old.hidden = !on;
        this.panel.classList.toggle("stale", on);
    }
}
