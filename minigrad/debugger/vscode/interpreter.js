// Which Python runs a program, and whether minigrad is installed there.
"use strict";
const { execFile } = require("node:child_process");
const vscode = require("vscode");

const OWN = process.platform === "win32" ? ["python", "py"] : ["python3", "python"]; // on the PATH
const QUESTION = `
import importlib.util, json, sys
has = lambda name: importlib.util.find_spec(name) is not None
print(json.dumps({"version": sys.version.split()[0], "minigrad": has("minigrad"),
                  "adapter": has("minigrad") and has("minigrad.debugger") and has("minigrad.debugger.adapter")}))
`;

/** Returns { python }, or { problem }: a sentence that says what is missing and what to do. */
async function checkedPython(configuration, resource) {
  const chosen = configuration.python || vscode.workspace.getConfiguration("minigrad", resource).get("python") ||
    await selected(resource);
  const candidates = chosen ? [chosen] : OWN;
  for (const python of candidates) {
    const answer = await ask(python, configuration);
    if (answer.missing) continue;
    return answer.problem ? answer : { python };
  }
  return { problem: `There is no Python interpreter ${candidates.join(" or ")}. ` +
    "Write its path in the setting minigrad.python, or \"python\" in launch.json." };
}

/** Returns the interpreter that the Python extension has selected, if that is installed. */
async function selected(resource) {
  const extension = vscode.extensions.getExtension("ms-python.python");
  if (!extension) return "";
  try {
    const { environments } = await extension.activate();
    const environment = await environments.resolveEnvironment(environments.getActiveEnvironmentPath(resource));
    return environment?.executable.uri?.fsPath ?? "";
  } catch {
    return ""; // of another version, or broken: the PATH remains
  }
}

function ask(python, { cwd, env }) {
  return new Promise(resolve => {
    const options = { cwd, env: { ...process.env, ...env }, timeout: 30_000 };
    execFile(python, ["-c", QUESTION], options, (error, printed, complaint) => resolve(judged(python, error, printed, complaint)));
  });
}

function judged(python, error, printed, complaint) {
  if (error?.code === "ENOENT" || error?.code === "EACCES") return { missing: true };
  if (error) return { problem: `${python} can't be run: ${complaint.trim().split("\n").pop() || error.message}` };
  const { version, minigrad, adapter } = JSON.parse(printed.trim().split("\n").pop());
  const install = `${python} -m pip install minigrad-rnn`;
  if (!minigrad) return { problem: `${python} (Python ${version}) has no minigrad. Run: ${install}` };
  if (!adapter) return { problem: `The minigrad of ${python} (Python ${version}) is too old for VS Code. Run: ${install} --upgrade` };
  return {};
}

module.exports = { checkedPython };
