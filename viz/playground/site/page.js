// The page: what is typed or chosen is asked of Python, and the last answer is shown.

import {Assignments} from "./assignments.js";
import {fileName, save} from "./download.js";
import {button, element} from "./elements.js";
import {keep, kept} from "./keep.js";
import {pack, parts, unpack} from "./link.js";
import {Python, TimeOver} from "./python.js";
import {Views} from "./views.js";

const PAUSE = 120;  // milliseconds without a keystroke, after which the program runs
const STEPS = /^(T *= *)(\d+)/m;  // the line of a program that the slider changes
const LINKED = "#program=";
const OWN = {last: "your last program", before: "the one before"};  // that the browser has kept
const find = id => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
const absolute = address => new URL(address, document.baseURI).href;

let editor, python, views, assignments, clock, asked = 0, held = false;
let typed = false, begun = true;  // whether there are changes to keep; whether the program is still another's

async function start() {
    find("version").textContent = data.version;
    find("examples").append(...data.examples.map(({name, title}) => new Option(title, name)));
    theme(matchMedia("(prefers-color-scheme: dark)").matches);
    await keeper();
    const worker = new Python(addresses(), loading, notLoaded);
    const tools = {ask: askMore, notice, go: line => editor.go(line), highlight: line => editor.highlight(line)};
    views = new Views(find("tabs"), find("views"), tools, draw);
    const {Editor} = await import("./editor.js");  // meanwhile Python is loaded
    editor = new Editor(find("editor"), edited);
    assignments = new Assignments(data.assignments, {editor, python: worker, menu: find("examples")});
    find("examples").addEventListener("change", () => open(find("examples").value));
    find("steps").addEventListener("input", slide);
    for (const id of ["level", "heat"]) find(id).addEventListener("change", draw);
    find("theme").addEventListener("click", () => { theme(document.documentElement.dataset.theme !== "dark"); draw(); });
    find("link").addEventListener("click", copyLink);
    find("save-program").addEventListener("click", saveProgram);
    find("save-notebook").addEventListener("click", saveNotebook);
    find("download").addEventListener("keydown", event => { if (event.key === "Escape") closeMenu(); });
    addEventListener("click", event => { if (!find("download").contains(event.target)) find("download").open = false; });
    showOwn();
    find("run").addEventListener("click", () => { hold(false); draw(); });
    find("again").addEventListener("click", () => {
        navigator.serviceWorker?.controller?.postMessage("forget");  // a file with an error may have been kept
        worker.start();
        loaded(worker);
    });
    find("update").addEventListener("click", update);
    addEventListener("hashchange", fromLink);
    fromLink();
    await loaded(worker);
}

function addresses() {
    const {pyodide, packages, compiled, needs} = data;
    return {
        pyodide: absolute(pyodide), packages: absolute(packages), needs,
        compiled: compiled && {...compiled, library: absolute(compiled.library), packages: absolute(compiled.packages)},
    };
}

async function loaded(worker) {
    try {
        await worker.ready;
    } catch {
        return;  // notLoaded() has told
    }
    python = worker;
    find("save-notebook").disabled = false;
    document.documentElement.dataset.times = JSON.stringify(python.times);
    navigator.serviceWorker?.controller?.postMessage("keep");
    draw();
}

// Starts the service worker that keeps the files: before Python is loaded, so that it sees these files.
async function keeper() {
    const service = navigator.serviceWorker;  // undefined if the page isn't served securely
    if (!service) return;
    const found = new Promise(resolve => service.addEventListener("controllerchange", resolve, {once: true}));
    const late = new Promise(resolve => setTimeout(resolve, 2000));
    try {
        const registration = await service.register("service.js");
        watchUpdates(registration);
        if (!service.controller) await Promise.race([found, late]);
    } catch { /* private windows may refuse it: the page works, but not offline */ }
}

// A page stays with the files of its own version; those of a newer one wait until the reader wants them.
function watchUpdates(registration) {
    const offer = () => { find("newer").hidden = !(registration.waiting && navigator.serviceWorker.controller); };
    registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", offer));
    offer();
}

async function update() {
    const registration = await navigator.serviceWorker.getRegistration();
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), {once: true});
    if (!held) keepTyped();
    registration.waiting.postMessage("take over");
}

// ---- the program
async function fromLink() {
    const assigned = location.hash.startsWith("#assignment=");
    if (assigned && open(location.hash)) return;
    if (!editor.text) open(kept("last") ? "last" : data.examples[0].name);
    if (assigned) notice("The assignment in the link isn't in this site: the link is wrong, or for another course.");
    if (!location.hash.startsWith(LINKED)) return;
    const {program: packed, ...choices} = parts(location.href);
    try {
        const program = await unpack(packed);
        if (program !== editor.text) begin(program, !data.examples.some(one => one.source === program));  // ours may run
        choose(choices);
    } catch {
        notice("The program in the link can't be read: the link was cut off or changed.");
    }
}

// Opens an example, a program of the reader's or an assignment, by its value in the menu; false if there is none.
function open(name) {
    if (!held) keepTyped();
    if (assignments.open(name)) {
        hold(false);
        clear();
        return true;
    }
    const program = name in OWN ? kept(name) : data.examples.find(one => one.name === name)?.source;
    if (program === undefined) return false;
    begin(program, false);
    begun = name !== "last";
    return true;
}

// Puts another program in the place of the one at hand; one that waits doesn't run before a press.
function begin(program, waits) {
    assignments.close();
    hold(waits);
    clear();
    begun = true;
    editor.text = program;
}

function showOwn() {
    find("own").replaceChildren(...Object.keys(OWN).filter(kept).map(which => new Option(OWN[which], which)));
    find("own").hidden = !find("own").childElementCount;
}

// A program that came by a link and that hasn't run isn't kept.
function keepTyped() {
    if (!typed) return;
    typed = false;
    if (location.hash.startsWith(LINKED)) history.replaceState(null, "", location.pathname + location.search);
    if (data.examples.some(one => one.source === editor.text)) return;
    keep(editor.text, begun);
    begun = false;
    showOwn();
}

function edited(byHand) {
    if (assignments.current) {
        assignments.edited();
        return;
    }
    typed ||= byHand;
    find("examples").value = data.examples.find(one => one.source === editor.text)?.name ?? "";
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
// Takes those of a link; a choice that the page doesn't have stays as it is.
function choose({view, level, heat}) {
    if ([...find("level").options].some(option => option.value === level)) find("level").value = level;
    if (heat) find("heat").checked = heat === "on";
    views.choose(view in views.views ? view : views.name, draw);
}

function showSteps() {
    const found = STEPS.exec(editor.text);
    if (found) find("steps").value = found[2];
    find("steps-shown").value = found ? found[2] : find("steps").value;
}

// A program that unrolls its definition itself, without a line `T = ...`, has its own number of steps.
function showUnrolled(steps) {
    const own = steps !== null && !STEPS.test(editor.text);
    find("steps").disabled = own;
    find("steps").title = own ? `The program unrolls ${steps} steps. A line T = ${steps} in it could be changed here.` : "";
    if (own) find("steps-shown").value = steps;
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

// Returns the choices for a link, without those that a page has from the beginning.
function chosen() {
    const all = [["view", views.name, "pictures"], ["level", find("level").value, "signals"],
        ["heat", find("heat").checked ? "on" : "off", "off"]];
    return all.map(([name, value, usual]) => (value === usual ? "" : `&${name}=${value}`)).join("");
}

async function copyLink() {
    const address = new URL(location.href);
    address.hash = assignments.link ?? LINKED + await pack(editor.text) + chosen();
    history.replaceState(null, "", address);
    let told = "the link is in the address bar";
    try {
        await navigator.clipboard.writeText(address.href);
        told = "copied";
    } catch { /* a page that isn't served securely may not write to the clipboard */ }
    find("link").textContent = told;
    setTimeout(() => { find("link").textContent = "copy link"; }, 2000);
}

function closeMenu() {
    find("download").open = false;
    find("download").querySelector("summary").focus();
}

function title() {
    const example = data.examples.find(one => one.source === editor.text);
    return example?.title ?? /^\s*[rR]?"""\s*([^\n"]*)/.exec(editor.text)?.[1] ?? "";
}

function saveProgram() {
    save(fileName(title(), "py"), new Blob([editor.text.trimEnd() + "\n"], {type: "text/x-python"}));
    closeMenu();
}

async function saveNotebook() {
    const name = fileName(title(), "ipynb");
    try {
        const {text} = await python.ask({view: "pictures", ask: "notebook", source: editor.text});
        save(name, new Blob([text], {type: "application/x-ipynb+json"}));
    } catch (error) {
        notice(`The notebook couldn't be made: ${error.message}`);
    }
    closeMenu();
}

// ---- what is shown
// Only the answer to the last question is shown. While one is computed, later ones wait, and all but the last are dropped.
let busy = false, again = false;

async function draw() {
    if (held || !python || assignments.current) return;  // an assignment runs when it is checked
    keepTyped();
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
    const {printed, problems, trained, steps} = answer;
    showUnrolled(steps);
    find("trained").textContent = `after ${trained} training ${trained > 1 ? "steps" : "step"}`;
    find("trained").hidden = !trained || views.name === "training";
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
    find("progress").hidden = false;
    find("again").hidden = true;
    if (find("loading-what").textContent !== `loading ${what}`) find("loading-what").textContent = `loading ${what}`;
    find("progress").value = part;
}

function notLoaded(error) {
    find("loading").hidden = false;
    find("progress").hidden = true;
    find("again").hidden = false;
    find("loading-what").textContent = `Python could not be loaded. ${error.message}`;
}

function notice(text) {
    find("problems").replaceChildren(element("pre", text));
}

if (typeof Worker === "function" && typeof WebAssembly === "object" && typeof DecompressionStream === "function") start();
else notice("This browser is too old for the page: it needs WebAssembly, workers and DecompressionStream.");
