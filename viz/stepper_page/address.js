// The state of the page in the fragment of its address: #step=14&break=op+tanh&watch=U
"use strict";

function readAddress(fragment, last) {                     // { step, breaks, watched, problems }
  const state = { step: 0, breaks: [], watched: [], problems: [] };
  const text = fragment.replace(/^#/, "");
  const parts = /^\d+$/.test(text) ? [["step", text]] : [...new URLSearchParams(text)];
  for (const [name, value] of parts) {
    if (name === "break") state.breaks.push(value);
    else if (name === "watch") state.watched.push(value);
    else if (name !== "step") state.problems.push(`'${name}' is not a part of an address: those are step, break and watch`);
    else if (!/^\d+$/.test(value) || Number(value) > last) state.problems.push(`there is no step '${value}': the steps are 0 to ${last}`);
    else state.step = Number(value);
  }
  return state;
}

function addressOf(state) {
  const parts = new URLSearchParams();
  if (state.step) parts.append("step", state.step);
  for (const text of state.breaks) parts.append("break", text);
  for (const text of state.watched) parts.append("watch", text);
  return parts.size ? `#${parts}` : "";
}

// Returns a function that writes the address of a state, replacing the entry in the history: "back" leaves the page.
// Browsers allow about three changes a second; the last one always arrives. In a notebook's frame it is refused.
function addressWriter() {
  const WAIT = 400;
  let timer = null, wanted = null;
  const write = () => {
    clearTimeout(timer);
    timer = null;
    if (wanted === null || wanted === location.hash) return;
    try { history.replaceState(null, "", wanted || location.pathname + location.search); } catch { /* an address that can't be changed */ }
    wanted = null;
  };
  addEventListener("pagehide", write);
  return state => {
    wanted = addressOf(state);
    if (timer === null) timer = setTimeout(write, WAIT);
  };
}
