// The page: what is typed or chosen is asked of Python, and the last answer is shown.

import {Assignments} from "./assignments.js";
import {fileName, save} from "./download.js";
import {button, element} from "./elements.js";
import {keep, keepOfTab, ofTab, programs} from "./keep.js";
import {pack, parts, unpack} from "./link.js";
import {Python, TimeOver} from "./python.js";
import {Running} from "./running.js";
import {Views} from "./views.js";
import {Waiting} from "./waiting.js";

const PAUSE = 120;  // milliseconds without a keystroke, after which the program runs
const LINKED = "#program=";
const OWN = "own ";  // before the id of a program of the reader's, in the menu
const LONGEST = 40;  // letters of a program's title in the menu
const find = id => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
const absolute = address => new URL(address, document.baseURI).href;

const exampleOf = text => data.examples.find(one => one.source === text);
const waiting = new Waiting(exampleOf);

let editor, python, running, views, assignments, clock, asked = 0;
let length = 4;  // time steps of a definition without a run, and without a line T = ...
let typed = false, own = null;  // whether there are changes to keep; the reader's program that they belong to

async function start() {
    find("version").textContent = data.version;
    find("examples").append(...data.examples.map(({name, title}) => new Option(title, name)));
    theme(matchMedia("(prefers-color-scheme: dark)").matches);
    await keeper();
    const worker = new Python(addresses(), loading, notLoaded);
    running = new Running(worker, {bar: find("running"), words: find("running-what"), stop: find("stop")},
        () => views.current.stale(true));
    const tools = {ask: askMore, notice, go: line => editor.go(line), highlight: line => editor.highlight(line)};
    views = new Views(find("tabs"), find("views"), tools, draw);
    const {Editor} = await import("./editor.js");  // meanwhile Python is loaded
    editor = new Editor(find("editor"), edited);
    assignments = new Assignments(data.assignments, {editor, python: worker, menu: find("examples")});
    find("examples").addEventListener("change", () => { keepTyped(); forgetLink(); open(find("examples").value); });
    find("steps").addEventListener("input", slide);
    for (const id of ["level", "heat"]) find(id).addEventListener("change", draw);
    find("theme").addEventListener("click", () => { theme(document.documentElement.dataset.theme !== "dark"); draw(); });
    find("link").addEventListener("click", copyLink);
    find("save-program").addEventListener("click", saveProgram);
    find("save-notebook").addEventListener("click", saveNotebook);
    document.querySelector(".skip").addEventListener("click", event => {
        event.preventDefault();  // the address may hold a program
        document.querySelector(event.target.getAttribute("href")).focus();
    });
    find("download").addEventListener("keydown", event => { if (event.key === "Escape") closeMenu(); });
    addEventListener("click", event => { if (!find("download").contains(event.target)) find("download").open = false; });
    showOwn();
    addEventListener("storage", showOwn);  // another tab has kept a program
    addEventListener("pagehide", keepTyped);
    find("run").addEventListener("click", () => { waiting.release(); typed ||= own !== null; showWaiting(); pause(); });
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
        compiled: compiled && {...compiled, standard: absolute(compiled.standard), packages: absolute(compiled.packages)},
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
    registration.waiting.postMessage("take over");
}

// ---- the program
async function fromLink() {
    const assigned = location.hash.startsWith("#assignment=");
    if (assigned && open(location.hash)) return;
    if (!editor.text) openLast();
    if (assigned) misread("The assignment in the link isn't in this site: the link is wrong, or for another course.");
    if (!location.hash.startsWith(LINKED)) return;
    const {program: packed, ...choices} = parts(location.href);
    try {
        const program = await unpack(packed);
        if (program !== editor.text) begin(program, true);
        choose(choices);
    } catch {
        misread("The program in the link can't be read: the link was cut off or changed.");
    }
}

// Opens what this tab has shown last; in a new tab the reader's last program, or the first example.
function openLast() {
    const last = ofTab() ?? programs()[0];
    if (last?.text) beginOwn(last);
    else if (!last || !open(last.name)) open(data.examples[0].name);
}

// Opens an example, a program of the reader's or an assignment, by its value in the menu; false if there is none.
function open(name) {
    keepTyped();
    if (assignments.open(name)) {
        waiting.take("");
        showWaiting();
        clear();
        return true;
    }
    const example = data.examples.find(one => one.name === name);
    const program = programs().find(({id}) => OWN + id === name);
    if (example) {
        begin(example.source, false);
        keepOfTab({name});
    } else if (program) {
        beginOwn(program);
    }
    return Boolean(example ?? program);
}

function beginOwn(program) {
    begin(program.text, program.waits);
    own = program;
    keepOfTab(program);
}

// Puts another program in the place of the one at hand; one that waits doesn't run before a press.
function begin(program, waits) {
    keepTyped();
    assignments.close();
    clear();
    own = null;
    waiting.take(program, waits);
    editor.text = program;
    showWaiting();
}

function showOwn() {
    const titles = programs().map(({text}) => (title(text) || text.trim()).split(/\n|\.(?:\s|$)/)[0].slice(0, LONGEST).trim());
    const twice = (one, i) => (titles.indexOf(one) < i ? ` (${titles.slice(0, i + 1).filter(other => other === one).length})` : "");
    find("own").replaceChildren(...programs().map(({id}, i) => new Option(titles[i] + twice(titles[i], i), OWN + id)));
    find("own").hidden = !find("own").childElementCount;
}

// Keeps what was typed: also before Python is loaded, and in a program that waits.
function keepTyped() {
    if (!typed) return;
    typed = false;
    const text = editor.text, example = exampleOf(text);
    forgetLink();
    if (example) keepOfTab({name: example.name});
    else if (text.trim()) own = keep(own, text, waiting.current !== null);
    if (example) own = null;  // it is no change of that program
    showOwn();
}

// A reload shows what was typed or chosen, and not the program of the link again.
function forgetLink() {
    if (location.hash.startsWith(LINKED)) history.replaceState(null, "", location.pathname + location.search);
}

// `by` is "hand", "undo" or "page".
function edited(by) {
    if (assignments.current) {
        assignments.edited();
        return;
    }
    const text = editor.text;
    typed ||= by !== "page";
    misread("");
    if (by === "undo") own = exampleOf(text) ? null : programs().find(one => one.text === text) ?? own;
    if (by !== "page" && waiting.take(text, false, by === "hand")) clear();
    showWaiting();
    find("examples").value = exampleOf(text)?.name ?? "";
    showSteps();
    clearTimeout(clock);
    clock = setTimeout(pause, PAUSE);
}

function pause() {
    if (!assignments.current) keepTyped();
    draw();
}

function showWaiting() {
    const words = waiting.changed ? "This program came with the link, and you have changed it: your changes are kept. It hasn't run."
        : "This program came with the link. It hasn't run: read it first.";
    find("asked").hidden = !waiting.current;
    if (find("asked-what").textContent !== words) find("asked-what").textContent = words;
}

function clear() {
    misread("");
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
    const found = editor.steps(), T = found ? Number(found.text.replaceAll("_", "")) : length;
    find("steps").value = T;
    find("steps-shown").value = T;
}

// A program that unrolls its definition itself, without a line `T = ...`, has its own number of steps.
function showUnrolled(steps) {
    const own = steps !== null && !editor.steps();
    find("steps").disabled = own;
    find("steps").title = own ? `The program unrolls ${steps} steps. A line T = ${steps} in it could be changed here.` : "";
    if (own) find("steps-shown").value = steps;
}

function slide() {
    const T = find("steps").value, found = editor.steps();
    find("steps-shown").value = T;
    if (found) { editor.replace(found.from, found.to, T); return; }
    length = T;
    clearTimeout(clock);
    clock = setTimeout(pause, PAUSE);
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

function title(text) {
    return exampleOf(text)?.title ?? /^\s*[rR]?"""\s*(.*?)\s*(?:"""|\n|$)/.exec(text)?.[1] ?? "";
}

function saveProgram() {
    save(fileName(title(editor.text), "py"), new Blob([editor.text.trimEnd() + "\n"], {type: "text/x-python"}));
    closeMenu();
}

async function saveNotebook() {
    const name = fileName(title(editor.text), "ipynb");
    try {
        const {text} = await python.ask({ask: "notebook", source: editor.text});
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
    if (waiting.current || !python || assignments.current) return;  // an assignment runs when it is checked
    if (busy) { again = true; running.overtake(editor.text); return; }
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
    const run = running.begin(question.source);
    let answer;
    try {
        answer = await python.ask(question);
        if (again || waiting.current || question.source !== editor.text) return;  // another question follows
        await show(views.views[question.view], answer);
    } catch (error) {
        if (assignments.current || run.ended === "overtaken") return;  // Python was ended for another program
        views.current.stale(true);
        if (run.ended) notice("Stopped. Python starts anew; the program runs again when it is changed.");
        else notice(error instanceof TimeOver
            ? "Stopped: no answer in 20 seconds. Is there an endless loop, or a very large T? Python starts anew."
            : `The program ended Python: ${error.message}`);
    } finally {
        running.end(run, answer);
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
    if (problems.length) view.stale(true);  // pictures that there are in spite of an error aren't pale
    await view.show(answer);
    if (!problems.length) view.stale(false);
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

// Told until something else is typed or opened: the program that is shown instead runs meanwhile.
function misread(text) {
    find("misread").textContent = text;
}

function notice(text) {
    find("problems").replaceChildren(element("pre", text));
}

if (typeof Worker === "function" && typeof WebAssembly === "object" && typeof DecompressionStream === "function") start();
else notice("This browser is too old for the page: it needs WebAssembly, workers and DecompressionStream.");
