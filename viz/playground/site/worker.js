// Python: loads Pyodide, NumPy and our packages, then answers questions, one after another.
// The page makes this worker from a blob, so that the page's Content-Security-Policy holds here too.
"use strict";

let session;

async function load({pyodide: address, packages}) {
    const began = performance.now();
    const tell = (what, part) => self.postMessage({loading: what, part, ms: performance.now() - began});
    const archive = fetch(packages).then(answer => {
        if (!answer.ok) throw new Error(`${packages}: ${answer.status}`);
        return answer.arrayBuffer();
    });
    tell("Python and NumPy", 0.05);
    importScripts(address + "pyodide.js");
    const python = await loadPyodide({indexURL: address, packages: ["numpy"]});  // both at once
    tell("minigrad, rnn and viz", 0.7);
    const folder = "/home/pyodide/packages";
    python.FS.mkdirTree(folder);
    python.unpackArchive(await archive, "zip", {extractDir: folder});
    python.runPython(`import sys; sys.path.insert(0, "${folder}")`);
    tell("minigrad, rnn and viz", 0.75);
    session = python.runPython("from viz.playground.session import Session; Session()");
    tell("", 1);
}

self.onmessage = async ({data}) => {
    try {
        if (data.load) await load(data.load);
        else self.postMessage({id: data.id, answer: JSON.parse(session.answer(JSON.stringify(data.question)))});
    } catch (error) {
        self.postMessage({id: data.id, failed: String(error && error.message || error)});
    }
};
