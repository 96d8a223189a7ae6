// The page: what is typed or chosen is asked of Python, and the last answer is shown.

import {Assignments} from "./assignments.js";
import {button, element} from "./elements.js";
import {pack, unpack} from "./link.js";
import {Python, TimeOver} from "./python.js";
import {Views} from "./views.js";

const PAUSE = 120;  // milliseconds without a keystroke, after which the program runs
const STEPS = /^(T *= *)(\d+)/m;  // the line of a program that the slider changes
const LINKED = "#program=";
const find = id => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
const absolute = address => new URL(address, document.baseURI).href;

let editor, python, views, assignments, clock, asked = 0, held = false;

async function start() {
    find("version").textContent = data.version;
    find("examples").append(...data.examples.map(({name, title}) => new Option(title, name)));
    theme(matchMedia("(prefers-color-scheme: dark)").matches);
    await keeper();
    const worker = new Python({pyodide: absolute(data.pyodide), packages: absolute(data.packages)}, loading);
    const tools = {ask: askMore, notice, go: line => editor.go(line)};
    views = new Views(find("tabs"), find("views"), tools, draw);
    const {Editor} = await import("./editor.js");  // meanwhile Python is loaded
    editor = new Editor(find("editor"), edited);
    assignments = new Assignments(data.assignments, {editor, python: worker, menu: find("examples")});
    find("examples").addEventListener("change", () => open(find("examples").value));
    find("steps").addEventListener("input", slide);
    for (const id of ["level", "heat"]) find(id).addEventListener("change", draw);
    find("theme").addEventListener("click", () => { theme(document.documentElement.dataset.theme !== "dark"); draw(); });
    find("link").addEventListener("click", copyLink);
    find("run").addEventListener("click", () => { hold(false); draw(); });
    addEventListener("hashchange", fromLink);
    fromLink();
    try {
        await worker.ready;
        python = worker;
        document.documentElement.dataset.times = JSON.stringify(python.times);
        navigator.serviceWorker?.controller?.postMessage("keep");
        draw();
    } catch (error) {
        notice(`Python could not be loaded: ${error.message}`);
    }
}

// Starts the service worker that keeps the files: before Python is loaded, so that it sees these files.
async function keeper() {
    const service = navigator.serviceWorker;  // undefined if the page isn't served securely
    if (!service || service.controller) return;
    const found = new Promise(resolve => service.addEventListener("controllerchange", resolve, {once: true}));
    const late = new Promise(resolve => setTimeout(resolve, 2000));
    try {
        await service.register("service.js");
        await Promise.race([found, late]);
    } catch { /* private windows may refuse it: the page works, but not offline */ }
}

// ---- the program
async function fromLink() {
    if (location.hash.startsWith("#assignment=")) {
        if (open(location.hash)) return;
        if (!editor.text) open(data.examples[0].name);
        notice("The assignment in the link isn't in this site: the link is wrong, or for another course.");
        return;
    }
    if (!location.hash.startsWith(LINKED)) {
        if (!editor.text) open(data.examples[0].name);
        return;
    }
    try {
        const program = await unpack(location.hash.slice(LINKED.length));
        assignments.close();
        hold(true);
        editor.text = program;
        find("examples").value = "";
    } catch {
        if (!editor.text) open(data.examples[0].name);
        notice("The program in the link can't be read: the link was cut off or changed.");
    }
}

// Opens an example or an assignment, by its value in the menu; false if there is none.
function open(name) {
    if (assignments.open(name)) {
        hold(false);
        clear();
        return true;
    }
    const example = data.examples.find(one => one.name === name);
    if (!example) return false;
    assignments.close();
    find("examples").value = name;
    hold(false);
    clear();
    editor.text = example.source;
    return true;
}

function edited() {
    if (assignments.current) {
        assignments.edited();
        return;
    }
    showSteps();
    clearTimeout(clock);
    clock = setTimeout(draw, PAUSE);
}

function hold(on) {
    held = on;
    find("asked").hidden = !on;
    if (on) clear();
}

function clear() {
    find("problems").replaceChildren();
    views.clear();
}

// ---- choices
function showSteps() {
    const found = STEPS.exec(editor.text);
    if (found) find("steps").value = found[2];
    find("steps-shown").value = found ? found[2] : find("steps").value;
}

function slide() {
    const T = find("steps").value, found = STEPS.exec(editor.text);
    find("steps-shown").value = T;
    if (!found) { clearTimeout(clock); clock = setTimeout(draw, PAUSE); return; }
    const from = found.index + found[1].length;
    editor.replace(from, from + found[2].length, T);
}

function theme(dark) {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
}

async function copyLink() {
    const address = new URL(location.href);
    address.hash = assignments.link ?? LINKED + await pack(editor.text);
    history.replaceState(null, "", address);
    let told = "the link is in the address bar";
    try {
        await navigator.clipboard.writeText(address.href);
        told = "copied";
    } catch { /* a page that isn't served securely may not write to the clipboard */ }
    find("link").textContent = told;
    setTimeout(() => { find("link").textContent = "copy link"; }, 2000);
}

// ---- what is shown
// Only the answer to the last question is shown. While one is computed, later ones wait, and all but the last are dropped.
let busy = false, again = false;

async function draw() {
    if (held || !python || assignments.current) return;  // an assignment runs when it is checked
    if (busy) { again = true; return; }
    busy = true;
    do {
        again = false;
        await drawOnce(++asked);
    } while (again);
    busy = false;
}

async function drawOnce(number) {
    const question = {
        view: views.name, ask: "show", source: editor.text, steps: Number(find("steps").value), level: find("level").value,
        heat: find("heat").checked, dark: document.documentElement.dataset.theme === "dark",
    };
    try {
        const answer = await python.ask(question);
        if (again || held || question.source !== editor.text) return;  // another question follows
        await show(views.views[question.view], answer);
    } catch (error) {
        if (assignments.current) return;  // it has ended Python
        views.current.stale(true);
        notice(error instanceof TimeOver
            ? "Stopped: no answer in 20 seconds. Is there an endless loop, or a very large T? Python starts anew."
            : `The program ended Python: ${error.message}`);
    }
    document.documentElement.dataset.drawn = number;
}

async function show(view, answer) {
    const {printed, problems} = answer;
    find("printed").textContent = printed;
    find("printed").hidden = !printed;
    editor.mark(problems);
    find("problems").replaceChildren(...problems.map(problem));
    view.stale(problems.length > 0);
    await view.show(answer);
}

// A question of a view about what it shows; undefined if that is about to change.
async function askMore(question) {
    return busy ? undefined : python.ask(question);
}

function problem({kind, text, line}) {
    const part = document.createElement("div"), words = document.createElement("pre");
    words.textContent = `${kind}: ${text}`;
    part.append(words);
    if (line !== null) part.append(button(`line ${line}`, () => editor.go(line)));
    return part;
}

function loading(what, part) {
    find("loading").hidden = part === 1;
    find("loading-what").textContent = `loading ${what}`;
    find("progress").value = part;
}

function notice(text) {
    find("problems").replaceChildren(element("pre", text));
}

if (typeof Worker === "function" && typeof WebAssembly === "object" && typeof DecompressionStream === "function") start();
else notice("This browser is too old for the page: it needs WebAssembly, workers and DecompressionStream.");
