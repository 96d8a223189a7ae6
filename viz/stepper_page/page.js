// Steps through a recorded backward pass. The state is `at`, the number of steps that have run; show() draws it.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { nodes, steps, arrays, ops } = data;
  const last = steps.length;
  const byId = id => document.getElementById(id);
  const root = nodes.length - 1;
  let at = 0, playing = null, breakpoints = [], zoom = 1, zoomed = false, reason = "";

  // ---- gradients at each step ---------------------------------------------------------------
  const stepOf = new Map();                                // node -> its step, from 1
  const uses = nodes.map(() => []);                        // node -> its contributions [{step, total, ...}], in order
  steps.forEach((step, i) => {
    stepOf.set(step.node, i + 1);
    for (const row of step.passed || []) uses[nodes[step.node].inputs[row.input]].push({ step: i + 1, ...row });
  });
  const norm = array => Number(array.norm.replace("inf", "Infinity"));
  const usesSoFar = node => uses[node].filter(use => use.step <= at);
  const complete = node => !uses[node].length || uses[node][uses[node].length - 1].step <= at;

  function gradient(node) {                                // the array so far, or null
    const own = stepOf.get(node);
    if (own !== undefined && own <= at) return "grad" in steps[own - 1] ? arrays[steps[own - 1].grad] : null;
    if (node === root) return arrays[data.seed];
    const past = usesSoFar(node);
    return past.length ? arrays[past[past.length - 1].total] : null;
  }

  // ---- small helpers ------------------------------------------------------------------------
  function element(tag, attributes = {}, ...children) {
    const made = tag.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
                                        : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "class") made.setAttribute("class", value);
      else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else made.setAttribute(name, value);
    }
    made.append(...children.filter(child => child !== null));
    return made;
  }
  const short = size => {
    const value = Number.isNaN(size) ? "NaN" : size === Infinity ? "Inf" : size === 0 ? "0" : size.toPrecision(3);
    return /e|^0\.000/.test(value) && size ? size.toExponential(2).replace("e+", "e") : value;
  };
  const opName = node => "op" in nodes[node] ? ops[nodes[node].op].name : "";
  const label = node => nodes[node].name;

  // ---- colours ------------------------------------------------------------------------------
  const heat = data.heat;
  function colour(fraction) {
    const place = Math.min(Math.max(fraction, 0), 1) * (heat.stops.length - 1);
    const i = Math.min(Math.floor(place), heat.stops.length - 2), rest = place - i;
    return `rgb(${heat.stops[i].map((a, k) => Math.round(a + (heat.stops[i + 1][k] - a) * rest)).join(",")})`;
  }
  function appearance(array) {                             // of a gradient: a CSS class, and a colour of the scale
    if (!array) return ["waiting", ""];
    const size = norm(array);
    if (!Number.isFinite(size)) return ["bad", ""];
    if (size === 0) return ["zero", ""];
    const place = Math.log10(size);
    if (place < heat.low) return ["tiny", ""];
    return ["known", colour((place - heat.low) / (heat.high - heat.low))];
  }
  const CLASSES = ["waiting", "bad", "zero", "tiny", "known"];
  function paint(shape, array) {
    const [word, fill] = appearance(array);
    if (shape.dataset.look !== word) {
      shape.classList.remove(...CLASSES);
      shape.classList.add(word);
      shape.dataset.look = word;
    }
    if (shape.dataset.heat !== fill) {
      shape.style.setProperty("--heat", fill || "transparent");
      shape.dataset.heat = fill;
    }
  }

  // ---- the picture --------------------------------------------------------------------------
  const picture = byId("picture"), svg = picture.querySelector("svg");
  const boxes = [];                                        // [node, box]
  const nodeOf = new Map();
  nodes.forEach((node, i) => {
    const box = "box" in node ? byId(`box-${node.box}`) : null;
    if (!box || nodeOf.has(node.box)) return;
    nodeOf.set(node.box, i);
    boxes.push([i, box]);
    box.append(element("svg:title", {}, `${label(i)}  ${arrays[node.value].shape}  ${node.line}`));
    if (stepOf.has(i) || uses[i].length) box.classList.add("live");
  });
  const gradientArrows = [];                               // [step, arrow]
  steps.forEach((step, i) => {
    for (const row of step.passed || []) {
      const arrow = byId(`back-${step.node}-${nodes[step.node].inputs[row.input]}`);
      if (arrow) gradientArrows.push([i + 1, arrow]);
    }
  });
  const paramBoxes = new Map();                            // shared node -> its row below the picture

  picture.addEventListener("click", event => {
    const box = event.target.closest(".box");
    if (!box || !nodeOf.has(box.id.slice(4))) return;
    focusOn(nodeOf.get(box.id.slice(4)));
  });

  function scale(to) {
    const middle = [(picture.scrollLeft + picture.clientWidth / 2) / zoom, (picture.scrollTop + picture.clientHeight / 2) / zoom];
    zoom = Math.min(Math.max(to, 0.15), 4);
    svg.setAttribute("width", data.size[0] * zoom);
    svg.setAttribute("height", data.size[1] * zoom);
    picture.scrollLeft = middle[0] * zoom - picture.clientWidth / 2;
    picture.scrollTop = middle[1] * zoom - picture.clientHeight / 2;
  }
  function fit() {                                         // the whole graph, or its height if it would be unreadable
    const space = [picture.clientWidth - 24, picture.clientHeight - 50];
    zoomed = false;
    const whole = Math.min(space[0] / data.size[0], space[1] / data.size[1]);
    scale(whole > 0.6 ? Math.min(whole, 1.7) : Math.min(Math.max(space[1] / data.size[1], 0.6), 1.5));
    reveal(false);
  }
  function resize(by) {
    zoomed = true;
    scale(zoom * by);
  }
  function reveal(smooth) {                                // scroll to the current box
    const node = at ? steps[at - 1].node : root;
    const box = "box" in nodes[node] ? byId(`box-${nodes[node].box}`) : null;
    if (!box) return;
    const inner = box.getBoundingClientRect(), outer = picture.getBoundingClientRect();
    const near = Math.min(90, outer.width / 4), above = Math.min(40, outer.height / 4);
    const out = (low, high, from, to, edge) => low < from + edge || high > to - edge;
    const by = { left: 0, top: 0 };
    if (out(inner.left, inner.right, outer.left, outer.right, near)) by.left = (inner.left + inner.right - outer.left - outer.right) / 2;
    if (out(inner.top, inner.bottom, outer.top, outer.bottom, above)) by.top = (inner.top + inner.bottom - outer.top - outer.bottom) / 2;
    const calm = !smooth || playing || Math.abs(by.left) > outer.width || matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (by.left || by.top) picture.scrollBy({ ...by, behavior: calm ? "auto" : "smooth" });
  }

  // ---- the panel: one step ------------------------------------------------------------------
  function matrix(array, title, kind) {
    const table = element("table", { class: "numbers" });
    const rows = array.numbers.split("\n").map(row => row.split(" "));
    const sizes = rows.flat().map(Number).filter(Number.isFinite).map(Math.abs);
    const most = Math.max(...sizes, 0);
    for (const row of rows) {
      const line = table.insertRow();
      for (const text of row) {
        const cell = line.insertCell(), value = Number(text.replace("inf", "Infinity"));
        cell.textContent = text;
        if (/[…⋮]/.test(text)) { cell.className = "dots"; if (text === "⋮") cell.colSpan = 7; }
        else if (!Number.isFinite(value)) cell.className = "odd";
        else if (value && most) {
          cell.className = value < 0 ? "minus" : "plus";
          cell.style.setProperty("--part", `${Math.round(8 + 40 * Math.abs(value) / most)}%`);
        }
      }
    }
    const first = array.shape.split("×").length > 2 ? ", its first matrix" : "";
    return element("figure", { class: `array ${kind || ""}` },
      element("figcaption", {}, element("b", {}, title), element("span", {}, `${array.shape}${first}`),
        element("span", { class: "norm" }, `norm ${short(norm(array))}`)), table);
  }

  function source(op, names) {
    const pre = element("pre", { class: "source", tabindex: "0", "aria-label": `source of ${op.class}.backward` });
    const words = new Map([[names[0], "grad"], [names[1], "out"], ...names.slice(2).map(name => [name.replace("*", ""), "operand"])]);
    for (const part of op.backward.split(/(#.*|->|\b[A-Za-z_]\w*\b)/)) {
      const kind = part.startsWith("#") ? "comment" : words.get(part) || (/^(->|def|return|if|else|for|in|not|and|or|is|None|lambda)$/.test(part) ? "word" : "");
      pre.append(kind ? element("span", { class: kind }, part) : part);
    }
    return pre;
  }

  function bars(shared, height, now) {                     // the contribution of each time step so far
    const width = 150;
    const chart = element("svg:svg", { class: "bars", viewBox: `0 0 ${width} ${height}`, role: "img", preserveAspectRatio: "none" });
    const sums = new Map(), most = Math.max(...shared.contributions.map(row => Number(row[2])).filter(Number.isFinite), 0);
    for (const [step, t, size] of shared.contributions) if (step <= at) sums.set(t, Number(size.replace("inf", "Infinity")));
    const columns = [...(shared.times || data.times).filter(t => !(t <= 0) || sums.has(t)), ...(shared.contributions.some(row => row[1] === null) ? [null] : [])];
    const apart = width / Math.max(columns.length, 1);
    const said = [];
    columns.forEach((t, i) => {
      const size = sums.get(t), known = size !== undefined;
      const tall = !known ? 1 : Number.isFinite(size) ? Math.max(most ? size / most * (height - 2) : 0, 1.5) : height;
      const bar = element("svg:rect", { x: i * apart + Math.min(apart * 0.12, 1), y: height - tall, height: tall, width: Math.max(apart - Math.min(apart * 0.24, 2), 0.6),
        class: `${known ? "" : "open"} ${Number.isFinite(size) || !known ? "" : "odd"} ${t === now ? "now" : ""}` });
      bar.append(element("svg:title", {}, `${t === null ? "outside of the steps" : `t = ${t}`}: ${known ? short(size) : "nothing yet"}`));
      chart.append(bar);
      if (known) said.push(`t=${t}: ${short(size)}`);
    });
    chart.setAttribute("aria-label", `norm of what each time step has added: ${said.slice(-8).join(", ") || "nothing yet"}`);
    chart.style.setProperty("--own", shared.color);
    return chart;
  }
  const times = new Map(data.shared.flatMap(shared => shared.contributions.map(row => [row[0], row[1]])));
  const timeOf = step => times.has(step) ? times.get(step) : nodes[steps[step - 1].node].t;  // of its contribution

  function card(step, row, number) {
    const node = nodes[step.node], x = node.inputs[row.input], names = ops[node.op].operands.slice(2);
    const written = names.length === 1 && names[0].startsWith("*") ? `input ${row.input + 1}` : names[row.input] || `input ${row.input + 1}`;
    const shared = data.shared.find(item => item.node === x);
    const all = uses[x], place = all.findIndex(use => use.step === number && use.input === row.input) + 1;
    const before = place > 1 ? arrays[all[place - 2].total] : null, total = arrays[row.total], contribution = arrays[row.contribution];
    const box = element("section", { class: "card" });
    box.append(element("h4", {}, element("span", { class: "operand" }, written), " → ", element("button", { type: "button", class: "link", onclick: () => focusOn(x) }, label(x)),
      element("span", { class: "quiet" }, arrays[nodes[x].value].shape)));
    if ("local" in row) {
      box.append(element("p", { class: "rule" }, element("span", { class: "grad" }, "upstream"), " × local derivative = contribution",
        row.summed ? element("span", { class: "quiet" }, ", summed where it was broadcast") : null));
      box.append(element("div", { class: "pair" }, matrix(arrays[row.local], "× local", "local"), matrix(contribution, "= contribution", "contribution")));
    } else {
      if ("product" in row) box.append(element("p", { class: "rule" }, row.product, element("span", { class: "quiet" }, ` → ${contribution.shape}`)));
      box.append(matrix(contribution, "contribution", "contribution"));
    }
    const many = all.length > 1;
    box.append(element("p", { class: "sum" }, many ? `+= contribution ${place} of ${all.length}` : "the only contribution",
      element("span", { class: "norms" }, `|g| ${before ? short(norm(before)) : "0"} → `, element("b", { class: "total", "data-node": x }, short(norm(total))))));
    if (many && before) box.append(matrix(total, place === all.length ? "total, complete" : "total so far", "total"));
    if (shared) {
      box.append(element("p", { class: "quiet" }, "added by each time step:"), bars(shared, 44, timeOf(number)));
    }
    return box;
  }

  function showPanel() {
    const panel = byId("panel");
    panel.replaceChildren();
    panel.scrollTop = 0;
    if (!at) {
      const value = arrays[nodes[root].value];
      panel.append(element("h2", {}, "Start"), element("p", {}, `${last} steps lead back from `, element("b", {}, label(root)), ` = ${value.numbers}.`),
        element("p", {}, "Its own gradient is 1. Each step takes the gradient of one box, multiplies it by the derivative of the operation that made the box, and adds the products to the gradients of its inputs."),
        element("p", { class: "quiet" }, "→ runs a step, Space plays, a click on a box goes to its step."),
        matrix(arrays[data.seed], `gradient of ${label(root)}`, "upstream"));
      return;
    }
    const step = steps[at - 1], node = nodes[step.node], op = ops[node.op];
    panel.append(element("h2", {}, label(step.node), element("span", { class: "chip" }, node.call.replace(/\(\)$/, ""))));
    const facts = [["step", `${at} of ${last}`]];
    if ("signal" in node) facts.push(["signal", node.signal], ["t", String(node.t)]);
    facts.push(["line", node.line]);
    panel.append(element("dl", {}, ...facts.map(([name, text]) => element("div", {}, element("dt", {}, name), element("dd", {}, text)))));
    if (node.code) panel.append(element("pre", { class: "code" }, node.code));
    for (const kind of ["nan", "zero"]) if (kind in step) panel.append(element("p", { class: "alarm" }, step[kind]));
    if (!("grad" in step)) {
      panel.append(element("p", {}, "No gradient reaches it, so there is nothing to compute."));
      return;
    }
    const names = op.operands;
    panel.append(matrix(arrays[step.grad], `${names[0] || "grad"}: upstream gradient`, "upstream"));
    panel.append(element("h3", {}, `${op.class}.backward`), source(op, names));
    const rest = names.slice(2), open = rest.length === 1 && rest[0].startsWith("*");
    const values = element("details", { class: "values" }, element("summary", {}, `values of ${[names[1], ...rest].filter(name => name && name !== "needs").join(", ")}`));
    values.append(matrix(arrays[node.value], `${names[1] || "out"}: ${label(step.node)}`, "result"));
    node.inputs.slice(0, 6).forEach((x, i) => values.append(matrix(arrays[nodes[x].value], `${open ? `${rest[0].slice(1)}[${i}]` : rest[i] || `input ${i + 1}`}: ${label(x)}`, "value")));
    if (node.inputs.length > 6) values.append(element("p", { class: "quiet" }, `and ${node.inputs.length - 6} more`));
    values.open = showValues;
    values.addEventListener("toggle", () => { showValues = values.open; });
    panel.append(values);
    const shown = step.passed.slice(0, 8);
    panel.append(element("h3", {}, shown.length ? "adds to the gradients of" : "adds nothing: no input needs a gradient"), ...shown.map(row => card(step, row, at)));
    if (step.passed.length > shown.length) panel.append(element("p", { class: "quiet" }, `and of ${step.passed.length - shown.length} more`));
  }
  let showValues = true;

  function focusOn(node) {                                 // go to its step; for a leaf, to its next contribution
    const next = uses[node].find(use => use.step > at) || uses[node][0];
    if (stepOf.has(node)) go(stepOf.get(node)); else if (next) go(next.step);
  }

  // ---- below the picture: gradients by signal and time step, and shared parameters -----------
  const cells = [];
  function buildMap() {
    const rows = new Map();
    for (const i of data.copies) {
      if (!rows.has(nodes[i].signal)) rows.set(nodes[i].signal, []);
      rows.get(nodes[i].signal).push(i);
    }
    const place = byId("map");
    if (!rows.size) { place.hidden = true; return; }
    const times = [...new Set(data.copies.map(i => nodes[i].t))].sort((a, b) => a - b);
    place.append(element("h3", {}, "gradient by time"));
    const grid = element("div", { class: "grid" });
    grid.style.setProperty("--columns", times.length);
    for (const [signal, copies] of [...rows].reverse()) {
      grid.append(element("span", { class: "row" }, signal));
      const byTime = new Map(copies.map(i => [nodes[i].t, i]));
      for (const t of times) {
        const i = byTime.get(t), cell = element("span", { class: i === undefined ? "none" : "cell" });
        if (i !== undefined) { cell.title = label(i); cell.addEventListener("click", () => focusOn(i)); cells.push([i, cell]); }
        grid.append(cell);
      }
    }
    grid.append(element("span", { class: "row" }, "t"));
    const every = Math.ceil(times.length / 20), end = times.length - 1;
    times.forEach((t, i) => {
      const written = i === end || (i % every === 0 && end - i >= every);
      grid.append(element("span", { class: "time" }, written ? String(t) : ""));
    });
    place.append(grid);
  }
  function buildShared() {
    const place = byId("shared");
    if (!data.shared.length) { place.hidden = true; return; }
    place.append(element("h3", {}, "shared by all steps: what each time step adds"));
    for (const item of data.shared) {
      const line = element("button", { type: "button", class: "param", "data-node": item.node, onclick: () => focusOn(item.node) });
      line.style.setProperty("--own", item.color);
      paramBoxes.set(item.node, [line, item]);
      place.append(line);
    }
  }
  function showLower() {
    for (const [i, cell] of cells) {
      paint(cell, gradient(i));
      cell.classList.toggle("current", at > 0 && steps[at - 1].node === i);
    }
    const now = at ? timeOf(at) : null;
    for (const [node, [line, item]] of paramBoxes) {
      const array = gradient(node), said = array ? short(norm(array)) : "not yet";
      const adding = at > 0 && uses[node].some(use => use.step === at);
      line.replaceChildren(element("b", {}, label(node)), element("span", { class: "quiet" }, arrays[nodes[node].value].shape), bars(item, 22, adding ? now : undefined),
        element("span", { class: "norm" }, element("span", { class: "swatch" }), `|g| ${said}`, array && !complete(node) ? element("span", { class: "quiet" }, " so far") : null));
      paint(line.querySelector(".swatch"), array);
      line.classList.toggle("adding", adding);
      line.setAttribute("aria-label", `${label(node)}, gradient ${said}${array && !complete(node) ? " so far" : ""}`);
    }
  }
  function buildLegend() {
    const place = byId("legend"), ramp = element("span", { class: "ramp" });
    ramp.style.backgroundImage = `linear-gradient(90deg, ${[0, 0.5, 1].map(colour).join(",")})`;
    place.append(element("b", {}, "|gradient|"), element("span", {}, `1e${heat.low}`), ramp, element("span", {}, `1e${heat.high}`));
    for (const [word, text] of [["tiny", "tiny"], ["zero", "exactly 0"], ["bad", "NaN, Inf"], ["waiting", "not yet"]])
      place.append(element("span", { class: `key ${word}` }), element("span", {}, text));
  }

  // ---- everything at the current step -------------------------------------------------------
  function show() {
    const current = at ? steps[at - 1] : null;
    for (const [node, box] of boxes) {
      if (!box.classList.contains("live")) continue;
      paint(box, gradient(node));
      box.classList.toggle("partly", box.dataset.look !== "waiting" && !complete(node));
      box.classList.toggle("current", current !== null && current.node === node);
    }
    for (const [step, arrow] of gradientArrows) {
      arrow.classList.toggle("done", step <= at);
      arrow.classList.toggle("now", step === at);
    }
    byId("slider").value = at;
    byId("slider").setAttribute("aria-valuetext", at ? `step ${at}, ${opName(current.node)}, ${label(current.node)}` : "start");
    byId("count").textContent = `${at} / ${last}`;
    byId("reason").textContent = reason;
    byId("stops-row").hidden = !breakpoints.length && !reason;
    showPanel();
    showLower();
    showFound();
    reveal(true);
    if (!playing) byId("spoken").textContent = at ? `step ${at} of ${last}: ${opName(current.node)}, ${label(current.node)}. ${reason}` : "start";
  }
  function go(to, why = "") {
    at = Math.min(Math.max(to, 0), last);
    reason = why;
    show();
  }
  function play(on) {
    clearInterval(playing);
    playing = null;
    if (on) {
      if (at === last) go(0);
      playing = setInterval(() => {
        const why = at < last ? hit(at + 1) : "";
        go(at + 1, why);
        if (why || at === last) play(false);
      }, Number(byId("speed").value));
    }
    byId("play").setAttribute("aria-pressed", String(Boolean(on)));
  }

  // ---- search -------------------------------------------------------------------------------
  function words(number) {
    const i = steps[number - 1].node, node = nodes[i];
    return [label(i), opName(i), node.signal ? `${node.signal}[${node.t}]` : "", "t" in node ? `t=${node.t}` : "", node.line].join("\n").toLowerCase();
  }
  let matches = [];
  function search() {
    const wanted = byId("search").value.trim().toLowerCase().replace(/^t\s*=\s*/, "t=").replace(/\((-?\d+)\)$/, "[$1]");
    const fits = text => /^t=\d+$/.test(wanted) ? text.split("\n").includes(wanted) : text.includes(wanted);
    matches = wanted ? steps.map((_, i) => i + 1).filter(number => fits(words(number))) : [];
    const found = new Set(matches.map(number => steps[number - 1].node));
    for (const [node, box] of boxes) box.classList.toggle("found", found.has(node));
    svg.classList.toggle("searching", found.size > 0);
    showFound();
  }
  function showFound() {
    const wanted = byId("search").value.trim(), place = matches.indexOf(at) + 1;
    byId("found").textContent = !wanted ? "" : !matches.length ? "none" : place ? `${place} of ${matches.length}` : `${matches.length} found`;
  }
  function match(direction) {
    if (!matches.length) return;
    const on = matches.find(number => number > at), before = [...matches].reverse().find(number => number < at);
    go(direction > 0 ? on || matches[0] : before || matches[matches.length - 1]);
  }

  // ---- breakpoints, written as in the terminal debugger --------------------------------------
  const sizeOf = number => "grad" in steps[number - 1] ? norm(arrays[steps[number - 1].grad]) : null;
  const contributesTo = (number, name) => (steps[number - 1].passed || []).find(row => {
    const x = label(nodes[steps[number - 1].node].inputs[row.input]);
    return x === name || x.replace(/\[-?\d+\]$/, "") === name;
  });
  const KINDS = {
    op: name => number => opName(steps[number - 1].node) === name.toLowerCase() && `operation ${name.toLowerCase()}`,
    signal: name => number => { const node = nodes[steps[number - 1].node]; return node.copy && node.signal === name && `the gradient of ${node.name}`; },
    node: name => number => { const text = label(steps[number - 1].node); return (text === name || text.replace(/\[-?\d+\]$/, "") === name) && `the gradient of ${text}`; },
    param: name => number => contributesTo(number, name) && `a contribution to ${name}`,
    t: word => number => { const t = Number(word); return nodes[steps[number - 1].node].t === t && (number < 2 || nodes[steps[number - 2].node].t !== t) && `time step ${t} begins`; },
    norm: word => number => { const [, sign, limit] = word.match(/^([<>])\s*(.+)$/), size = sizeOf(number); return size !== null && (sign === ">" ? size > Number(limit) : size < Number(limit)) && `|g| = ${short(size)} ${sign} ${limit}`; },
    nan: () => number => steps[number - 1].nan,
    zero: () => number => steps[number - 1].zero,
  };
  function refuse(text) {
    byId("break").setCustomValidity(text);
    byId("break").reportValidity();
    return null;
  }
  function parse(text) {
    const [, kind, rest] = text.trim().replace(/^t\s*=\s*/, "t ").replace(/\((-?\d+)\)$/, "[$1]").replace(/^norm\s*([<>])/, "norm $1").match(/^(\S*)\s*(.*)$/);
    const bare = kind === "nan" || kind === "zero";
    const name = kind.toLowerCase();
    if (!Object.hasOwn(KINDS, name)) return refuse(`There is no breakpoint '${kind}'. Write: op tanh, signal h, node h[3], param U, t 3, norm > 10, zero, or nan`);
    if (Boolean(rest) === bare) return refuse(bare ? `${name} takes no argument` : `Write what to stop at, as in: ${{ t: "t 3", norm: "norm < 1e-6", op: "op tanh" }[name] || `${name} h`}`);
    if (name === "norm" && !/^[<>]\s*[\d.]+(e[-+]?\d+)?$/i.test(rest)) return refuse("Write it as: norm > 10, or norm < 1e-6");
    if (name === "t" && !/^-?\d+$/.test(rest)) return refuse("Write a whole number: t 3");
    return { text: bare ? name : `${name} ${rest}`, test: KINDS[name](rest) };
  }
  const hit = number => { for (const stop of breakpoints) { const why = stop.test(number); if (why) return `stopped: ${why}`; } return ""; };
  function run(direction) {
    play(false);
    if (!breakpoints.length) { byId("break").focus(); return; }
    for (let number = at + direction; number >= 1 && number <= last; number += direction) {
      const why = hit(number);
      if (why) { go(number, why); return; }
    }
    go(direction > 0 ? last : 0, `no breakpoint was hit: this is the ${direction > 0 ? "end" : "start"}`);
  }
  function addBreak() {
    const stop = parse(byId("break").value);
    if (!stop) return;
    const hits = steps.filter((_, i) => stop.test(i + 1)).length;
    if (!hits && !["nan", "zero", "norm"].includes(stop.text.split(" ")[0])) { refuse(`${stop.text}: nothing in this pass has this name`); return; }
    if (!breakpoints.some(other => other.text === stop.text)) breakpoints.push({ ...stop, hits });
    byId("break").value = "";
    showStops();
  }
  function showStops() {
    byId("stops").replaceChildren(...breakpoints.map(stop => element("li", {}, stop.text, element("span", { class: "quiet" }, ` ${stop.hits}×`),
      element("button", { type: "button", "aria-label": `Remove the breakpoint ${stop.text}`, onclick: () => { breakpoints = breakpoints.filter(other => other !== stop); reason = ""; showStops(); byId("break").focus(); } }, "✕"))));
    byId("reason").textContent = reason;
    byId("stops-row").hidden = !breakpoints.length && !reason;
  }
  function suggest() {
    const own = steps.map(step => nodes[step.node]);
    const all = [...new Set([...own.map(node => `op ${ops[node.op].name}`), ...own.filter(node => node.copy).map(node => `signal ${node.signal}`),
      ...data.shared.map(item => `param ${label(item.node)}`), "nan", "zero", "norm < 1e-6", "norm > 10",
      ...own.filter(node => "t" in node).map(node => `t ${node.t}`).slice(0, 400)])];
    byId("breaks").append(...all.map(text => element("option", { value: text })));
  }

  // ---- mouse and keyboard -------------------------------------------------------------------
  const theme = () => {
    const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  };
  const help = () => { byId("keys").hidden = !byId("keys").hidden; byId("help").setAttribute("aria-expanded", String(!byId("keys").hidden)); };
  const move = by => { play(false); go(at + by); };
  const onClick = { first: () => move(-last), back: () => move(-1), on: () => move(1), last: () => move(last), play: () => play(!playing),
    theme, help, smaller: () => resize(1 / 1.25), larger: () => resize(1.25), fit,
    "run-on": () => run(1), "run-back": () => run(-1), "break-add": addBreak, "search-on": () => match(1), "search-back": () => match(-1) };
  for (const [id, does] of Object.entries(onClick)) byId(id).addEventListener("click", does);
  byId("slider").max = last;
  byId("slider").addEventListener("input", event => { play(false); go(Number(event.target.value)); });
  byId("speed").addEventListener("change", () => { if (playing) play(true); });
  byId("search").addEventListener("input", search);
  byId("search").addEventListener("keydown", event => { if (event.key === "Enter") match(event.shiftKey ? -1 : 1); });
  byId("break").addEventListener("input", event => event.target.setCustomValidity(""));
  byId("break").addEventListener("keydown", event => { if (event.key === "Enter") { event.preventDefault(); addBreak(); } });
  document.addEventListener("keydown", event => {
    const typing = event.target.matches("input:not([type=range]), select");
    if (event.key === "Escape") event.target.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const pressed = event.target.matches("button, summary") && (event.key === " " || event.key === "Enter");
    const keys = { ArrowRight: () => event.shiftKey ? run(1) : move(1), ArrowLeft: () => event.shiftKey ? run(-1) : move(-1),
      Home: () => move(-last), End: () => move(last), " ": () => play(!playing), "/": () => byId("search").focus(), b: () => byId("break").focus(),
      "+": onClick.larger, "-": onClick.smaller, 0: fit, d: theme, "?": help };
    if (pressed || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  new ResizeObserver(() => zoomed || fit()).observe(picture);
  const goToHash = () => /^#\d+$/.test(location.hash) && go(Number(location.hash.slice(1)));
  addEventListener("hashchange", goToHash);

  buildMap();
  buildShared();
  buildLegend();
  suggest();
  fit();
  show();
  goToHash();
})();
