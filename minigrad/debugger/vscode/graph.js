// The panel "Graph": the picture of the backward pass in which a session has stopped, following its steps.
"use strict";
const { randomBytes } = require("node:crypto");
const vscode = require("vscode");

/** One panel for all sessions: it shows the one that stopped last. */
class Graph {
  constructor(extensionUri) {
    this.extensionUri = extensionUri;
    this.panel = null;
    this.forget();
    this.opened = new WeakSet(); // sessions for which the panel has opened by itself
  }

  forget(session = null) {
    this.session = session;
    this.pass = 0; // that the panel has a picture of
    this.picture = null;
    this.last = null; // the last message after the picture
    this.asking = this.again = false;
  }

  /** Watches the messages of a session for its stops and its end. */
  tracker(session) {
    return {
      onDidSendMessage: message => {
        if (message.type !== "event") return;
        if (message.event === "stopped") this.stopped(session, message.body.reason);
        else if (message.event === "terminated") this.ended(session);
      },
    };
  }

  async stopped(session, reason) {
    if (this.session !== session) this.forget(session);
    const first = !this.opened.has(session), wanted = vscode.workspace.getConfiguration("minigrad").get("openGraph");
    this.opened.add(session);
    if (first && reason === "entry") await openVariables();
    if (first && wanted && !this.panel) this.open();
    this.update();
  }

  ended(session) {
    if (session === this.session) this.post({ kind: "note", text: "The program has ended." });
  }

  show() {
    if (this.panel) return this.panel.reveal(undefined, true);
    const session = vscode.debug.activeDebugSession;
    if (session?.type === "minigrad" && this.session !== session) this.forget(session);
    this.open();
    return this.update();
  }

  open() {
    const media = vscode.Uri.joinPath(this.extensionUri, "media");
    const where = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true };
    const panel = vscode.window.createWebviewPanel("minigrad.graph", "Graph", where,
      { enableScripts: true, localResourceRoots: [media] });
    panel.iconPath = vscode.Uri.joinPath(this.extensionUri, "icon.png");
    panel.onDidDispose(() => { this.panel = null; });
    panel.webview.onDidReceiveMessage(message => this.received(message));
    panel.webview.html = page(panel.webview, media);
    this.panel = panel;
  }

  received(message) {
    if (message.kind === "ready") { // also when a panel that was hidden is shown again: it has lost its picture
      if (this.picture) this.panel?.webview.postMessage(this.picture);
      if (this.last) this.panel?.webview.postMessage(this.last);
    } else if (message.kind === "goto" && Number.isInteger(message.step)) {
      this.session?.customRequest("minigradGoto", { step: message.step }).then(undefined, error => this.post({ kind: "note", text: error.message }));
    }
  }

  /** Asks for the state, and for the picture if the pass has changed; one question at a time, the last stop wins. */
  async update() {
    const session = this.session;
    if (!this.panel || !session) return;
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    let answer = null, problem = "";
    try {
      answer = await session.customRequest("minigradGraph", { pass: this.pass });
    } catch (error) {
      problem = error.message;
    }
    if (session !== this.session) return; // forget() has reset the rest
    this.asking = false;
    if (this.again) {
      this.again = false;
      this.take(answer);
      this.update();
    } else if (answer) {
      this.take(answer);
    } else {
      this.post({ kind: "note", text: problem });
    }
  }

  take(answer) {
    if (!answer) return;
    if (answer.svg) {
      this.pass = answer.pass;
      this.picture = { kind: "picture", svg: answer.svg, css: answer.css };
      this.panel?.webview.postMessage(this.picture);
    }
    this.post({ kind: "state", state: answer.state });
  }

  post(message) {
    if (message.kind === "state") this.last = message;
    this.panel?.webview.postMessage(message);
  }

  dispose() {
    this.panel?.dispose();
  }
}

/** Opens the view with Variables, Watch and Call Stack, as VS Code itself does only where a breakpoint stops. */
async function openVariables() {
  if (vscode.workspace.getConfiguration("debug").get("openDebug") === "neverOpen") return;
  await vscode.commands.executeCommand("workbench.view.debug");
  await vscode.commands.executeCommand("workbench.action.focusActiveEditorGroup");
}

/** The panel's page. It loads the extension's own two files and nothing else. */
function page(webview, media) {
  const nonce = randomBytes(16).toString("base64");
  const file = name => webview.asWebviewUri(vscode.Uri.joinPath(media, name));
  const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="${file("panel.css")}">
<title>Graph</title>
</head>
<body>
<header><h1 id="title"></h1><div id="legend" aria-label="Colours"></div>
<div id="zoom" role="group" aria-label="Zoom"><button id="smaller" type="button" aria-label="Smaller">−</button><button id="fit" type="button">fit</button><button id="larger" type="button" aria-label="Larger">+</button></div>
</header>
<p id="note" role="status">The graph appears when the program stops in a backward pass.</p>
<div id="picture" tabindex="0" role="region" aria-label="The graph"></div>
<div id="shared" role="group" aria-label="Gradients of the parameters"></div>
<p id="spoken" aria-live="polite"></p>
<script nonce="${nonce}" src="${file("panel.js")}"></script>
</body>
</html>`;
}

module.exports = { Graph };
