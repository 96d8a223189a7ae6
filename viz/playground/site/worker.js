// Python: loads Pyodide, NumPy and our packages, then answers questions, one after another.
// The page makes this worker from a blob, so that the page's Content-Security-Policy holds here too.
"use strict";

const FILES = 7;  // that are downloaded, for the bar
const DOWNLOADED = 0.5;  // of the bar

let session;

async function load(addresses) {
    const began = performance.now();
    const tell = (what, part) => self.postMessage({loading: what, part, ms: performance.now() - began});
    let arrived = 0;
    tell("Python and NumPy", 0.02);
    const downloads = watchDownloads(() => tell("Python and NumPy", DOWNLOADED * Math.min(++arrived / FILES, 1)));
    try {
        await Promise.race([start(addresses, tell), downloads.failed]);
    } finally {
        downloads.end();
    }
}

async function start({pyodide: address, packages, compiled, needs}, tell) {
    const archives = [packages, ...(compiled ? [compiled.packages] : [])].map(async url => (await fetch(url)).arrayBuffer());
    const locked = fetch(`${address}pyodide-lock.json`);
    importScripts(`${address}pyodide.js`);
    const known = checked(await (await locked).json(), needs, address) === compiled?.version;
    const python = await loadPyodide({
        indexURL: address, packages: ["numpy"],  // both at once
        ...(known ? {stdLibURL: compiled.standard} : {}),  // compiled for this Python alone
    });
    tell("NumPy", 0.7);
    const folder = "/home/pyodide/packages";
    python.FS.mkdirTree(folder);
    const [ours, modules] = await Promise.all(archives);
    python.unpackArchive(ours, "zip", {extractDir: folder});
    if (known) python.unpackArchive(modules, "zip", {extractDir: "/"});
    python.runPython(`import sys; sys.path.insert(0, "${folder}"); import numpy`);
    tell("minigrad, rnn and viz", 0.85);
    session = python.runPython("from viz.playground.session import Session; Session()");
    tell("", 1);
}

// Returns the version of a release, if it has the Python and the NumPy that are needed.
function checked({info, packages}, needs, address) {
    const found = {Python: info.python, NumPy: packages.numpy?.version ?? "0"};
    const old = Object.entries(needs).filter(([name, wanted]) => older(found[name], wanted));
    if (!old.length) return info.version;
    const wanted = Object.entries(needs).map(([name, version]) => `${name} ${version}`).join(" and ");
    throw new Error(`${address} holds Pyodide ${info.version} with Python ${found.Python} and `
        + `${packages.numpy ? `NumPy ${found.NumPy}` : "no NumPy"}; needed are ${wanted}, or newer`);
}

function older(version, wanted) {
    const [a, b] = [version, wanted].map(text => text.split(".").map(Number));
    return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}

// Counts downloads, and tells of the first that fails: Pyodide would wait for it for ever.
function watchDownloads(arrived) {
    const {fetch} = self, {instantiateStreaming} = WebAssembly;
    let fail;
    const failed = new Promise((_, reject) => { fail = reject; });
    const watched = async (name, work) => {
        try {
            return await work();
        } catch (error) {
            const named = new Error(`${name}: ${error.message}`);
            fail(named);
            throw named;
        }
    };
    self.fetch = (request, options) => watched(request.url ?? request, async () => {
        const answer = await fetch(request, options);
        if (!answer.ok) throw new Error(`the server answers ${answer.status} ${answer.statusText}`);
        if (answer.url.endsWith(".wasm")) return answer;  // it is compiled while it arrives
        const whole = new Response(await answer.arrayBuffer(), answer);
        arrived();
        return whole;
    });
    WebAssembly.instantiateStreaming = (source, imports) => watched("WebAssembly", async () => {
        const found = await instantiateStreaming.call(WebAssembly, source, imports);
        arrived();
        return found;
    });
    return {failed, end() { self.fetch = fetch; WebAssembly.instantiateStreaming = instantiateStreaming; }};
}

self.onmessage = async ({data}) => {
    try {
        if (data.load) await load(data.load);
        else self.postMessage({id: data.id, answer: JSON.parse(session.answer(JSON.stringify(data.question)))});
    } catch (error) {
        self.postMessage({id: data.id, failed: String(error && error.message || error)});
    }
};
