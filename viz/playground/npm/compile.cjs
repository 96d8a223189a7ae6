// Compiles modules by the Python that will run them: node compile.cjs PYODIDE PACKAGES.ZIP LIBRARY.ZIP COMPILED.ZIP
"use strict";

const fs = require("node:fs");
const path = require("node:path");

const [release, packages, library, compiled] = process.argv.slice(2).map(name => path.resolve(name));
const FOLDER = "/home/pyodide/packages";  // as in worker.js

async function main() {
    const {loadPyodide} = require(path.join(release, "pyodide.js"));
    const python = await loadPyodide({indexURL: release, packages: ["numpy"], env: {PYTHONHASHSEED: "0"}, stdout: () => {}});
    python.FS.mkdirTree(FOLDER);
    python.unpackArchive(new Uint8Array(fs.readFileSync(packages)), "zip", {extractDir: FOLDER});
    const [standard, modules] = python.runPython(`
import sys
sys.path.insert(0, "${FOLDER}")
from pathlib import Path
from viz.playground import compiling
compiling.draw_first_picture(Path("${FOLDER}/viz/playground/examples"))
[archive] = [place for place in sys.path if place.endswith(".zip")]
compiling.standard_library(archive), compiling.packages()
`).toJs();
    fs.writeFileSync(library, standard);
    fs.writeFileSync(compiled, modules);
}

main().catch(error => {
    console.error(error.message);
    process.exit(1);
});
