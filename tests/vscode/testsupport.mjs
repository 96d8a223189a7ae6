// A session of @vscode/debugadapter-testsupport, the test client of VS Code's developers, with the debug adapter.
//
//     node testsupport.mjs FOLDER PYTHON SCRIPT LINE
//
// FOLDER is where npm has installed the client; SCRIPT calls backward() once, and LINE is its recurrence's equation.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";

const [folder, python, script, text] = process.argv.slice(2);
const line = Number(text);
const { DebugClient } = createRequire(path.join(path.resolve(folder), "package.json"))("@vscode/debugadapter-testsupport");

class Client extends DebugClient {
  async start() {
    this.adapter = spawn(python, ["-m", "minigrad.debugger", "--dap"], { stdio: ["pipe", "pipe", "inherit"] });
    this.ended = new Promise((resolve) => this.adapter.on("exit", resolve));
    this.connect(this.adapter.stdout, this.adapter.stdin);
  }
}

async function session(name, run) {
  const client = new Client(python, "", "minigrad");
  client.defaultTimeout = 60000;
  await client.start();
  try {
    await run(client);
    await client.disconnectRequest();
    assert.equal(await client.ended, 0);
    console.log(`passed: ${name}`);
  } finally {
    client.adapter.kill();
  }
}

const options = { program: script, cwd: path.dirname(script) };
const place = { path: script, line, verified: false }; // it is verified when the pass begins

async function moves(client, request, reason, expected = {}) {
  const [, response] = await Promise.all([
    client[request]({ threadId: 1 }), client.assertStoppedLocation(reason, { path: script, ...expected })]);
  return response.body.stackFrames[0].name;
}

await session("a breakpoint at the equation, and steps in both directions", async (client) => {
  const changed = client.waitForEvent("breakpoint");
  await client.hitBreakpoint(options, place, { path: script, line });
  assert.equal((await changed).body.breakpoint.verified, true);
  const [top] = (await client.stackTraceRequest({ threadId: 1, startFrame: 0, levels: 1 })).body.stackFrames;
  const scopes = (await client.scopesRequest({ frameId: top.id })).body.scopes.map((scope) => scope.name);
  assert.deepEqual(scopes, ["Gradient", "Output", "Inputs", "Contributions", "Totals", "Parameters"]);
  const norm = async () => (await client.evaluateRequest({ expression: "norm", context: "watch" })).body.result;
  const before = await norm();
  assert.notEqual(await moves(client, "nextRequest", "step"), top.name);
  assert.notEqual(await norm(), before);
  assert.equal(await moves(client, "stepBackRequest", "breakpoint", { line }), top.name);
  assert.equal(await norm(), before);
  await moves(client, "reverseContinueRequest", "step");
  const end = [client.waitForEvent("exited"), client.waitForEvent("terminated")];
  await client.setBreakpointsRequest({ source: { path: script }, breakpoints: [] });
  await client.continueRequest({ threadId: 1 });
  assert.equal((await Promise.all(end))[0].body.exitCode, 0);
});

await session("a stop at the start, output, and the exit code", async (client) => {
  const shown = client.assertOutput("stdout", "before\n");
  const end = client.waitForEvent("exited");
  await Promise.all([client.configurationSequence(), client.launch({ ...options, stopOnEntry: true }),
    client.assertStoppedLocation("entry", { path: script })]);
  await shown;
  await assert.rejects(client.setVariableRequest({ variablesReference: 1, name: "grad", value: "0" }), /can't be changed/);
  await client.continueRequest({ threadId: 1 });
  assert.equal((await end).body.exitCode, 0);
});
