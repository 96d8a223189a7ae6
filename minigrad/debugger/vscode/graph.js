// The panel "Graph": the picture of the backward pass in which a session has stopped, following its steps.
"use strict";
const { randomBytes } = require("node:crypto");
const vscode = require("vscode");

const WAITING = "The graph appears when the program stops in a backward pass.";
const MOVES = new Set(["next", "stepIn", "stepOut", "stepBack", "continue", "reverseContinue", "goto", "restartFrame", "minigradGoto"]);

/** One panel for all sessions: it shows the one that stopped last. */
class Graph {
  constructor(extensionUri) {
    this.extensionUri = extensionUri;
    this.panel = null;
    this.opened = new WeakSet(); // sessions for which the panel has opened by itself
    this.begin(null);
  }

  /** Starts anew with a session, or with a program that a session has started again. */
  begin(session) {
    this.session = session;
    this.asking = null; // the question that hasn't been answered
    this.again = false; // whether to ask once more
    this.moving = false;
    this.clear(WAITING);
  }

  /** Watches the messages of a session. VS Code asks for a tracker at each start of the adapter, restarts included. */
  tracker(session) {
    if (session === this.session) this.begin(session);
    return {
      onWillReceiveMessage: message => {
        if (session === this.session && MOVES.has(message.command)) this.moving = true;
      },
      onDidSendMessage: message => {
        if (message.type !== "event") return;
        if (message.event === "stopped") this.stopped(session, message.body.reason);
        else if (message.event === "terminated" && session === this.session) this.send({ kind: "note", text: "The program has ended." });
      },
    };
  }

  async stopped(session, reason) {
    if (this.session !== session) this.begin(session);
    this.moving = false;
    const first = !this.opened.has(session), wanted = vscode.workspace.getConfiguration("minigrad").get("openGraph");
    this.opened.add(session);
    if (first && reason === "entry") await openVariables();
    if (first && wanted && !this.panel) this.open();
    this.update();
  }

  show() {
    if (this.panel) return this.panel.reveal(undefined, true);
    const session = vscode.debug.activeDebugSession;
    if (session?.type === "minigrad" && this.session !== session) this.begin(session);
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
      for (const shown of [this.picture, this.state, this.note]) if (shown) this.panel?.webview.postMessage(shown);
    } else if (message.kind === "goto" && Number.isInteger(message.step)) {
      this.session?.customRequest("minigradGoto", { step: message.step }).then(undefined, error => this.send({ kind: "note", text: error.message }));
    }
  }

  /** Asks for the state, and for the picture if the pass has changed; one question at a time, the last stop wins. */
  async update() {
    if (!this.panel || !this.session) return;
    if (this.asking) {
      this.again = true;
      return;
    }
    const question = this.asking = this.session.customRequest("minigradGraph", { pass: this.pass });
    let answer = null, problem = "";
    try {
      answer = await question;
    } catch (error) {
      problem = error.message;
    }
    if (question !== this.asking) return; // another session has begun
    this.asking = null;
    if (answer) this.take(answer);
    else if (!this.moving) this.clear(problem); // a program that has moved on meanwhile can't answer
    if (this.again) {
      this.again = false;
      this.update();
    }
  }

  take(answer) {
    if (answer.svg) {
      this.pass = answer.pass;
      this.send({ kind: "picture", svg: answer.svg, css: answer.css });
    }
    this.send({ kind: "state", state: answer.state });
  }

  /** Removes the picture, so that none is shown of another pass, and says why. */
  clear(text) {
    this.pass = 0; // the number of the pass whose picture is shown
    this.picture = this.state = null;
    this.send({ kind: "note", text, clear: true });
  }

  /** Sends a message to the page, and keeps the last of its kind for a page that is loaded again. */
  send(message) {
    this[message.kind] = message;
    if (message.kind === "state") this.note = null;
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
<p id="note" role="status"></p>
<div id="picture" tabindex="0" role="region" aria-label="The graph"></div>
<div id="shared" role="group" aria-label="Gradients of the parameters"></div>
<p id="spoken" aria-live="polite"></p>
<script nonce="${nonce}" src="${file("panel.js")}"></script>
</body>
</html>`;
}

module.exports = { Graph };
