// The extension: starts the debug adapter of minigrad, `python -m minigrad.debugger --dap`, and shows the graph.
"use strict";
const vscode = require("vscode");
const { Graph } = require("./graph.js");
const { checkedPython } = require("./interpreter.js");

const TYPE = "minigrad";

/** Fills in what a launch configuration leaves out; a program that can't run is refused with a message. */
class Configurations {
  provideDebugConfigurations() {
    return [openFile()];
  }

  resolveDebugConfiguration(folder, configuration) {
    const empty = !configuration.type && !configuration.request && !configuration.name; // F5 without a launch.json
    const filled = empty ? openFile() : { ...configuration };
    if (!filled.program) {
      if (vscode.window.activeTextEditor?.document.languageId !== "python") {
        return refuse("Open the Python file whose backward passes you want to step through, or write \"program\" in launch.json.");
      }
      filled.program = "${file}";
    }
    if (!filled.cwd && folder) filled.cwd = folder.uri.fsPath;
    filled.stopOnEntry ??= true;
    return filled;
  }

  async resolveDebugConfigurationWithSubstitutedVariables(folder, configuration) {
    const problem = await programProblem(configuration.program);
    if (problem) return refuse(problem);
    const resource = folder?.uri ?? vscode.Uri.file(configuration.program);
    const { python, problem: missing } = await checkedPython(configuration, resource);
    if (missing) return refuse(missing, "Open Settings");
    return { ...configuration, python };
  }
}

const openFile = () => ({ type: TYPE, request: "launch", name: "Backward passes of the open file", program: "${file}" });

async function programProblem(program) {
  try {
    const { type } = await vscode.workspace.fs.stat(vscode.Uri.file(program));
    return type & vscode.FileType.File ? "" : `The program ${program} is a folder: write a Python file.`;
  } catch {
    return `There is no program ${program}.`;
  }
}

/** Shows why no session starts; `undefined` stops the launch without opening launch.json. */
function refuse(problem, action) {
  vscode.window.showErrorMessage(`minigrad: ${problem}`, ...(action ? [action] : [])).then(chosen => {
    if (chosen) vscode.commands.executeCommand("workbench.action.openSettings", "minigrad.python");
  });
  return undefined;
}

function adapter(session) {
  const { python, cwd, env } = session.configuration;
  return new vscode.DebugAdapterExecutable(python, ["-m", "minigrad.debugger", "--dap"], { cwd, env });
}

function debugFile(resource) {
  const file = resource?.fsPath ?? "${file}";
  const folder = resource && vscode.workspace.getWorkspaceFolder(resource);
  return vscode.debug.startDebugging(folder, { ...openFile(), program: file });
}

exports.activate = context => {
  const graph = new Graph(context.extensionUri);
  const configurations = new Configurations();
  context.subscriptions.push(
    graph,
    vscode.debug.registerDebugConfigurationProvider(TYPE, configurations),
    vscode.debug.registerDebugConfigurationProvider(TYPE, configurations, vscode.DebugConfigurationProviderTriggerKind.Dynamic),
    vscode.debug.registerDebugAdapterDescriptorFactory(TYPE, { createDebugAdapterDescriptor: adapter }),
    vscode.debug.registerDebugAdapterTrackerFactory(TYPE, { createDebugAdapterTracker: session => graph.tracker(session) }),
    vscode.commands.registerCommand("minigrad.showGraph", () => graph.show()),
    vscode.commands.registerCommand("minigrad.debugFile", debugFile),
  );
};
