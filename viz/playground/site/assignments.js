// Assignments: a kit's file in the editor, kept on this machine; its task; the check, in a Python that then ends.
// viz/playground/kits.py describes what a kit is.

import {save} from "./download.js";
import {button, element} from "./elements.js";
import {Report, Task} from "./report.js";
import {TimeOver} from "./python.js";
import {Views} from "./views.js";

const PATIENCE = 120000;  // milliseconds for a check; the time limits in Python are shorter
const LARGEST = 1000000;  // bytes of a file that is opened
const LINKED = "#assignment=";
const PANELS = {task: ["task", Task], check: ["check", Report]};

export class Assignments {
    // `all` are those of the site; `page` has `editor`, `python`, `menu` and `notice(text)`.
    constructor(all, page) {
        this.all = all;
        this.page = page;
        this.current = null;
        if (!all.length) return;
        const group = document.createElement("optgroup");
        group.label = "assignments";
        group.append(...all.map(({name, title}) => new Option(title, LINKED + name)));
        page.menu.append(group);
        this.build();
        document.addEventListener("keydown", event => {  // before the editor, for which it is an empty line
            if (!this.current || event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
            event.preventDefault();
            event.stopPropagation();
            if (!this.running) this.check();
        }, {capture: true});
        addEventListener("storage", event => {
            if (this.current && event.key === key(this.current.name))
                this.say(`${this.current.file} was changed in another tab. What is typed here takes its place; a reload shows it.`);
        });
    }

    build() {
        this.bar = document.createElement("div");
        this.bar.id = "assignment-bar";
        this.bar.setAttribute("role", "toolbar");
        this.bar.setAttribute("aria-label", "Assignment");
        this.press = button("check", () => (this.running ? this.stop() : this.check()));
        this.press.id = "check";
        this.press.title = "Ctrl+Enter";
        this.press.setAttribute("aria-keyshortcuts", "Control+Enter Meta+Enter");
        this.save = button("download", () => save(this.current.file, new Blob([this.page.editor.text], {type: "text/x-python"})));
        this.save.id = "download-file";
        this.input = document.createElement("input");
        this.input.type = "file";
        this.input.accept = ".py";
        this.input.hidden = true;
        this.input.addEventListener("change", () => this.read());
        const open = button("open file", () => this.input.click()), over = button("start over", () => this.startOver());
        open.id = "open-file";
        over.id = "start-over";
        this.told = document.createElement("span");
        this.told.id = "assignment-told";
        this.told.setAttribute("role", "status");
        this.bar.append(this.press, this.save, open, over, this.input, this.told);
        this.section = document.createElement("section");
        this.section.id = "assignment";
        this.section.tabIndex = -1;
        const tabs = document.createElement("div"), panels = document.createElement("div");
        tabs.className = "tabs";
        tabs.setAttribute("role", "tablist");
        tabs.setAttribute("aria-label", "Assignment");
        panels.className = "panels";
        this.section.append(tabs, panels);
        this.views = new Views(tabs, panels, {go: line => this.page.editor.go(line)}, () => {}, PANELS);
        this.show(false);
        document.getElementById("code").prepend(this.bar);
        document.querySelector("main").append(this.section);
    }

    show(on) {
        this.bar.hidden = this.section.hidden = !on;
        document.documentElement.dataset.shows = on ? "assignment" : "program";
        document.querySelector(".skip").href = on ? "#assignment" : "#pictures";
        document.querySelector(".skip").textContent = on ? "Skip to the task" : "Skip to the pictures";
    }

    // ---- which one
    // The end of the page's address that leads to the assignment; undefined if there is none.
    get link() {
        return this.current ? LINKED + this.current.name : undefined;
    }

    // Opens the assignment of a link, which the menu's values are too; false if it isn't one.
    open(link) {
        if (!link.startsWith(LINKED)) return false;
        const found = this.all.find(one => LINKED + one.name === link);
        if (!found) return false;
        this.close();
        this.current = found;
        this.page.menu.value = link;
        this.section.setAttribute("aria-label", found.title);
        this.save.textContent = `download ${found.file}`;
        this.show(true);
        this.page.editor.open(stored(found.name) ?? found.source);
        this.views.choose("task", () => {});
        this.views.views.task.show(found.name);
        if (location.hash !== link) history.replaceState(null, "", link);
        return true;
    }

    close() {
        if (!this.current) return;
        if (this.running) this.stop();
        this.current = null;
        this.show(false);
        this.views.clear();
        this.say("");
        this.page.editor.open("");
        if (location.hash.startsWith(LINKED)) history.replaceState(null, "", location.pathname + location.search);
    }

    // ---- the file
    edited() {
        const {name, source} = this.current, text = this.page.editor.text;
        this.views.views.check.stale(true);
        if (!store(name, text === source ? null : text))
            this.say(`This browser keeps nothing: download ${this.current.file} before you leave.`);
        else if (!this.running) this.say("");
    }

    startOver() {
        const {file, source} = this.current, before = this.page.editor.text;
        if (before === source) return this.say(`This is ${file} as it was handed out.`);
        if (!confirm(`Discard your ${file} and start over?`)) return;
        this.replace(source, "Started over.", before);
    }

    async read() {
        const [file] = this.input.files, before = this.page.editor.text;
        this.input.value = "";  // so that the same file can be opened again
        if (!file) return;
        if (!file.name.endsWith(".py")) return this.say(`${file.name} isn't opened: only Python files, .py, can be.`);
        if (file.size > LARGEST) return this.say(`${file.name} isn't opened: it is larger than 1 MB.`);
        try {
            const text = new TextDecoder("utf-8", {fatal: true}).decode(await file.arrayBuffer());
            this.replace(text.replace(/\r\n?/g, "\n"), `Opened ${file.name}.`, before);
        } catch {
            this.say(`${file.name} isn't opened: it is no text in UTF-8.`);
        }
    }

    // Puts another text in the place of the file, and offers to undo that.
    replace(text, told, before) {
        this.page.editor.text = text;
        this.say(told);
        this.told.append(" ", button("undo", () => { this.page.editor.text = before; this.say("Your text is back."); }));
    }

    say(text) {
        this.told.textContent = text;
    }

    // ---- the check
    async check() {
        const {name, file, check} = this.current, source = this.page.editor.text, {python} = this.page;
        const run = this.running = {stopped: false};
        this.press.textContent = "stop";
        this.say("Python starts …");
        let answer, failed;
        try {
            const [kit] = await Promise.all([archive(`kits/${name}.zip`), python.ready]);
            if (!run.stopped) this.say("checking … (for two minutes at most)");
            if (!run.stopped) answer = await python.ask({ask: "check", kit, check, name, file, source}, PATIENCE);
        } catch (error) {
            failed = error;
        }
        if (!run.stopped) this.end();
        if (!run.stopped && !(failed instanceof TimeOver)) python.renew();  // what the file has changed is gone
        if (run.stopped) return;
        if (failed instanceof TimeOver) this.say("Stopped: no result in 2 minutes. Is there an endless loop? Python starts anew.");
        else if (failed) this.say(`The check has ended without a result: ${failed.message}`);
        else await this.tell(answer, source);
    }

    stop() {
        this.running.stopped = true;
        this.end();
        this.page.python.renew();
        this.say("Stopped. Python starts anew.");
    }

    end() {
        this.running = null;
        this.press.textContent = "check";
    }

    async tell(answer, source) {
        this.say(answer.foot.at(-1));
        this.views.choose("check", () => {});
        this.page.editor.mark(answer.checks.flatMap(({said, lines}) => lines.filter(({wrong}) => wrong)
            .map(({line}) => ({kind: "check", text: said[0], lines: [line]}))));
        await this.views.views.check.show(answer);
        this.views.views.check.stale(source !== this.page.editor.text);
        this.section.scrollIntoView({block: "nearest"});  // on a narrow screen it is below the editor
    }
}

async function archive(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    let text = "";
    for (const byte of new Uint8Array(await answer.arrayBuffer())) text += String.fromCharCode(byte);
    return btoa(text);
}

// ---- what is kept on this machine: only files that were changed
function key(name) {  // several sites may have one host
    return `${new URL(".", document.baseURI).pathname} assignment ${name}`;
}

function stored(name) {
    try {
        return localStorage.getItem(key(name));
    } catch {
        return null;
    }
}

function store(name, text) {
    try {
        if (text === null) localStorage.removeItem(key(name)); else localStorage.setItem(key(name), text);
        return true;
    } catch {
        return false;
    }
}
