// Steps through a recorded backward pass. The state is `at`, the number of steps that have run; show() draws it.
// Its parts are in exact.js, breakpoints.js, address.js and list.js, which stand before it in the page.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { nodes, steps, arrays, ops } = data;
  const last = steps.length;
  const byId = id => document.getElementById(id);
  const root = nodes.length - 1;
  let at = 0, shown = -1, playing = null, breakpoints = [], watched = [], zoom = 1, zoomed = false, printing = false, reason = "";

  // ---- gradients at each step ---------------------------------------------------------------
  const stepOf = new Map();                                // node -> its step, from 1
  const uses = nodes.map(() => []);                        // node -> its contributions [{step, total, ...}], in order
  steps.forEach((step, i) => {
    stepOf.set(step.node, i + 1);
    for (const row of step.passed || []) uses[nodes[step.node].inputs[row.input]].push({ step: i + 1, ...row });
  });
  const norm = array => Number(array.norm.replace("inf", "Infinity"));
  const lastUse = node => {                                // the newest contribution so far
    const all = uses[node];
    let i = all.length - 1;
    while (i >= 0 && all[i].step > at) i--;
    return all[i];
  };
  const complete = node => !uses[node].length || uses[node][uses[node].length - 1].step <= at;

  function gradient(node) {                                // the array so far, or null
    const own = stepOf.get(node);
    if (own !== undefined && own <= at) return "grad" in steps[own - 1] ? arrays[steps[own - 1].grad] : null;
    if (node === root) return arrays[data.seed];
    const use = lastUse(node);
    return use ? arrays[use.total] : null;
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
  const repeated = new Set(data.repeated);                 // names of signals that several runs have
  const ofRun = node => repeated.has(nodes[node].signal) && "run" in nodes[node] ? ` of ${nodes[node].run}` : "";
  const full = node => nodes[node].unnamed ? label(node) : `${label(node)}${ofRun(node)}`;
  const written = node => nodes[node].formula ? `${label(node)} = ${nodes[node].formula}` : label(node);
  const unknown = node => complete(node) ? "none" : "not yet";  // of a gradient: none comes, as no derivative is asked for
  const sized = (node, array) => array ? element("span", { title: `|g| = ${norm(array)}` }, `|g| ${short(norm(array))}`) : element("span", {}, `|g| ${unknown(node)}`);
  const copy = copier(text => { byId("spoken").textContent = text; });

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
    box.append(element("svg:title", {}, `${full(i)}  ${arrays[node.value].shape}  ${node.line}`));
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
    const space = [picture.clientWidth - 24, picture.clientHeight - 24];
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
    TABLES.set(table, array);
    const rows = array.numbers.split("\n").map(row => row.split(" "));
    const { down, across, texts } = shownElements(array), exact = texts.flat();
    const sizes = rows.flat().map(Number).filter(Number.isFinite).map(Math.abs);
    const most = Math.max(...sizes, 0);
    let next = 0;
    for (const row of rows) {
      const line = table.insertRow();
      for (const text of row) {
        const cell = line.insertCell(), value = Number(text.replace("inf", "Infinity"));
        cell.textContent = text;
        if (/[…⋮]/.test(text)) { cell.className = "dots"; if (text === "⋮") cell.colSpan = 7; continue; }
        if (text) {
          cell.dataset.row = down[Math.floor(next / across.length)];
          cell.dataset.column = across[next % across.length];
          cell.title = exact[next++];
        }
        if (!Number.isFinite(value)) cell.className = "odd";
        else if (value && most) {
          cell.className = value < 0 ? "minus" : "plus";
          cell.style.setProperty("--part", `${Math.round(8 + 40 * Math.abs(value) / most)}%`);
        }
      }
    }
    const first = array.shape.split("×").length > 2 ? ", its first matrix" : "";
    const what = `${title} as NumPy text${array.whole ? "" : ", the elements that are shown"}`;
    const button = element("button", { type: "button", class: "copy", title: `copy ${what}`, "aria-label": `Copy ${what}`,
      onclick: async () => { if (await copy(numpyText(array), title)) { button.classList.add("done"); setTimeout(() => button.classList.remove("done"), 1500); } } }, icon("M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z", "M3 8.5 6.5 12 13 4.5"));
    return element("figure", { class: `array ${kind || ""}` },
      element("figcaption", {}, element("b", {}, title), element("span", {}, `${array.shape}${first}`),
        element("span", { class: "norm", title: `norm ${norm(array)}` }, `norm ${short(norm(array))}`), button), table);
  }
  function icon(...paths) {
    return element("svg:svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, ...paths.map(d => element("svg:path", { d })));
  }
  function place(line) {                                   // a button, if a page around this one can show the line
    const open = window.lineOpener && window.lineOpener(line);
    return open ? element("button", { type: "button", class: "link", title: "show this line in the program", onclick: open }, line) : line;
  }
  function watchButton(node) {
    const on = watched.includes(node);
    return element("button", { type: "button", class: "watch", "aria-pressed": String(on), title: on ? "watch it no longer" : "keep its gradient in sight",
      "aria-label": `Watch the gradient of ${full(node)}`, onclick: () => watch(node) }, icon("M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 1 0 0-3.6z"));
  }

  function source(op, names, ran) {                        // with the lines that ran marked
    const lines = ran.map(i => i + 1), mark = lines.length ? `; ran: ${lines.length > 1 ? "lines" : "line"} ${lines.join(", ")}` : "";
    const pre = element("pre", { class: "source", tabindex: "0", role: "group", "aria-label": `source of ${op.class}.backward${mark}` });
    const words = new Map([[names[0], "grad"], [names[1], "out"], ...names.slice(2).map(name => [name.replace("*", ""), "operand"])]);
    op.backward.split("\n").forEach((text, number) => {
      const line = element("span", { class: ran.includes(number) ? "statement ran" : "statement" });
      for (const part of text.split(/(#.*|->|\b[A-Za-z_]\w*\b)/)) {
        const kind = part.startsWith("#") ? "comment" : words.get(part) || (/^(->|def|return|if|elif|else|for|while|in|not|and|or|is|None|lambda)$/.test(part) ? "word" : "");
        line.append(kind ? element("span", { class: kind }, part) : part);
      }
      pre.append(line, "\n");
    });
    return pre;
  }

  function bars(shared, height) {                          // the contribution of each time step; show() changes few bars
    const width = 150, steps = new Map();                  // t -> its rows [step, t, norm of the sum so far], in order
    for (const row of shared.contributions) steps.set(row[1], [...(steps.get(row[1]) || []), row]);
    const most = Math.max(...shared.contributions.map(row => Number(row[2])).filter(Number.isFinite), 0);
    const columns = [...(shared.times || data.times).filter(t => !(t <= 0) || steps.has(t)), ...(steps.has(null) ? [null] : [])];
    const apart = width / Math.max(columns.length, 1);
    const chart = element("svg:svg", { class: "bars", viewBox: `0 0 ${width} ${height}`, role: "img", preserveAspectRatio: "none" });
    chart.style.setProperty("--own", shared.color);
    const parts = new Map(columns.map((t, i) => {
      const title = element("svg:title");
      return [t, element("svg:rect", { x: i * apart + Math.min(apart * 0.12, 1), width: Math.max(apart - Math.min(apart * 0.24, 2), 0.6) }, title)];
    }));
    chart.append(...parts.values());
    const sizeOf = t => {
      const rows = steps.get(t) || [];
      let i = rows.length - 1;
      while (i >= 0 && rows[i][0] > at) i--;
      return i < 0 ? undefined : Number(rows[i][2].replace("inf", "Infinity"));
    };
    let drawn = null, marked;
    function draw(t, now) {
      const size = sizeOf(t), known = size !== undefined, bar = parts.get(t);
      const tall = !known ? 1 : Number.isFinite(size) ? Math.max(most ? size / most * (height - 2) : 0, 1.5) : height;
      bar.setAttribute("y", height - tall);
      bar.setAttribute("height", tall);
      bar.setAttribute("class", `${known ? "" : "open"} ${Number.isFinite(size) || !known ? "" : "odd"} ${t === now ? "now" : ""}`);
      bar.firstChild.textContent = `${t === null ? "outside of the steps" : `t = ${t}`}: ${known ? size : "nothing yet"}`;
    }
    return { chart, show(now) {
      const low = Math.min(drawn, at), high = Math.max(drawn, at);
      const stale = drawn === null ? columns : new Set([marked, now, ...shared.contributions.filter(row => row[0] > low && row[0] <= high).map(row => row[1])]);
      for (const t of stale) if (parts.has(t)) draw(t, now);
      [drawn, marked] = [at, now];
      const said = [];
      for (let i = columns.length - 1; i >= 0 && said.length < 8; i--) {
        const size = sizeOf(columns[i]);
        if (size !== undefined) said.unshift(`${columns[i] === null ? "outside of the steps" : `t=${columns[i]}`}: ${short(size)}`);
      }
      chart.setAttribute("aria-label", `norm of what each time step has added: ${said.join(", ") || "nothing yet"}`);
      return chart;
    } };
  }
  const cardBars = new Map();                              // shared node -> its bars in the panel
  const times = new Map(data.shared.flatMap(shared => shared.contributions.map(row => [row[0], row[1]])));
  const timeOf = step => times.has(step) ? times.get(step) : nodes[steps[step - 1].node].t;  // of its contribution

  function card(step, row, number) {
    const node = nodes[step.node], x = node.inputs[row.input], names = ops[node.op].operands.slice(2);
    const operand = names.length === 1 && names[0].startsWith("*") ? `input ${row.input + 1}` : names[row.input] || `input ${row.input + 1}`;
    const shared = data.shared.find(item => item.node === x);
    const all = uses[x], place = all.findIndex(use => use.step === number && use.input === row.input) + 1;
    const before = place > 1 ? arrays[all[place - 2].total] : null, total = arrays[row.total], contribution = arrays[row.contribution];
    const box = element("section", { class: "card" });
    box.append(element("h4", {}, element("span", { class: "operand" }, operand), " → ", element("button", { type: "button", class: "link", onclick: () => focusOn(x) }, label(x)),
      element("span", { class: "quiet" }, arrays[nodes[x].value].shape), watchButton(x)));
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
      element("span", { class: "norms" }, `|g| ${before ? short(norm(before)) : "0"} → `, element("b", { class: "total", "data-node": x, title: String(norm(total)) }, short(norm(total))))));
    if (many && before) box.append(matrix(total, place === all.length ? "total, complete" : "total so far", "total"));
    if (shared && data.times.length) {
      if (!cardBars.has(x)) cardBars.set(x, bars(shared, 44));
      box.append(element("p", { class: "quiet" }, "added by each time step:"), cardBars.get(x).show(timeOf(number)));
    }
    return box;
  }

  function showPanel() {
    const panel = byId("panel");
    panel.replaceChildren();
    if (!at) {
      const value = arrays[nodes[root].value];
      panel.append(element("h2", {}, "Start"), element("p", {}, `${last} steps lead back from `, element("b", {}, label(root)), ` = ${value.numbers}.`),
        element("p", {}, "Its own gradient is 1. Each step takes the gradient of one box, multiplies it by the derivative of the operation that made the box, and adds the products to the gradients of its inputs."),
        element("p", { class: "quiet" }, "→ runs a step, Space plays, a click on a box goes to its step, ? lists the keys."),
        matrix(arrays[data.seed], `gradient of ${label(root)}`, "upstream"));
      return;
    }
    const step = steps[at - 1], node = nodes[step.node], op = ops[node.op];
    panel.append(element("h2", { class: node.unnamed ? "unnamed" : "" }, label(step.node), element("span", { class: "beside" }, element("span", { class: "chip" }, node.call.replace(/\(\)$/, "")), watchButton(step.node))));
    if (node.formula) panel.append(element("p", { class: "formula" }, `= ${node.formula}`));
    const facts = [["step", `${at} of ${last}`]];
    if ("signal" in node) facts.push(["signal", node.signal], ["t", String(node.t)]);
    if ("run" in node) facts.push(["run", node.run]);
    facts.push(["line", node.line]);
    panel.append(element("dl", {}, ...facts.map(([name, text]) => element("div", {}, element("dt", {}, name), element("dd", {}, name === "line" ? place(text) : text)))));
    if (node.code) panel.append(element("pre", { class: "code" }, node.code));
    for (const kind of ["nan", "inf", "zero"]) if (kind in step) panel.append(element("p", { class: "alarm" }, step[kind]));
    if (!("grad" in step)) {
      panel.append(element("p", {}, "No gradient reaches it, so there is nothing to compute."));
      return;
    }
    const names = op.operands;
    panel.append(matrix(arrays[step.grad], `${names[0] || "grad"}: upstream gradient`, "upstream"));
    panel.append(element("h3", {}, `${op.class}.backward`), source(op, names, step.ran));
    const rest = names.slice(2), open = rest.length === 1 && rest[0].startsWith("*");
    const values = element("details", { class: "values" }, element("summary", {}, `values of ${[names[1], ...rest].filter(Boolean).join(", ")}`));
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
  const cells = [];                                        // [its nodes, cell]
  const MOST_COLUMNS = 200;                                // of the map; with more time steps, a cell stands for several
  function buildMap() {
    const rows = new Map();
    for (const i of data.copies) {
      const row = `${nodes[i].signal}${ofRun(i)}`;
      if (!rows.has(row)) rows.set(row, []);
      rows.get(row).push(i);
    }
    const place = byId("map");
    if (!rows.size) { place.hidden = true; return; }
    const times = [...new Set(data.copies.map(i => nodes[i].t))].sort((a, b) => a - b);
    const each = Math.ceil(times.length / MOST_COLUMNS), columns = Math.ceil(times.length / each);
    place.append(element("h3", {}, "gradient by time", each > 1 ? `: the largest of ${each} steps in each cell` : ""));
    const grid = element("div", { class: columns > 50 ? "grid dense" : "grid" });
    grid.style.setProperty("--columns", columns);
    for (const [signal, copies] of [...rows].reverse()) {
      grid.append(element("span", { class: "row" }, signal));
      const byTime = new Map(copies.map(i => [nodes[i].t, i]));
      for (let first = 0; first < times.length; first += each) {
        const own = times.slice(first, first + each).map(t => byTime.get(t)).filter(i => i !== undefined);
        const cell = element("span", { class: own.length ? "cell" : "none" });
        if (own.length) {
          cell.title = own.length > 1 ? `${label(own[0])} … ${full(own[own.length - 1])}` : full(own[0]);
          cell.addEventListener("click", () => focusOn(largest(own)));
          cells.push([own, cell]);
        }
        grid.append(cell);
      }
    }
    const axis = element("div", { class: "axis" });
    grid.append(element("span", { class: "row" }, "t"), axis);
    place.append(grid);
    new ResizeObserver(() => writeTimes(axis, times, each)).observe(axis);
  }
  function largest(own) {                                  // the node with the largest gradient so far; else the last one
    const size = i => { const array = gradient(i), value = array ? norm(array) : -1; return Number.isNaN(value) ? Infinity : value; };
    return own.reduce((best, i) => size(i) >= size(best) ? i : best);
  }
  function writeTimes(axis, times, each) {                 // as many as have room
    const room = Math.max(...times.map(t => String(t).length)) * 8 + 10, needed = room * times.length / axis.clientWidth;
    const every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find(step => step >= needed) || times.length;
    const chosen = times.filter((t, i) => every === 1 || i === 0 || t % every === 0);
    const apart = axis.clientWidth / Math.ceil(times.length / each), end = times.length - 1;
    const place = t => (Math.floor(times.indexOf(t) / each) + 0.5) * apart;
    const far = (t, other) => Math.abs(place(t) - place(other)) >= room;
    const kept = chosen.filter((t, i) => i === 0 || far(t, chosen[0]));
    if (kept.every(t => far(t, times[end]))) kept.push(times[end]);
    axis.replaceChildren(...kept.map(t => {
      const word = element("span", { class: "time" }, String(t));
      word.style.left = `${place(t)}px`;
      return word;
    }));
  }
  function buildShared() {
    const place = byId("shared"), rows = element("div", { class: "params" });
    if (!data.shared.length) { place.hidden = true; return; }
    place.append(element("h3", {}, data.times.length ? "parameters: what each time step adds" : "parameters"), rows);
    for (const item of data.shared) {
      const line = element("div", { class: "param", "data-node": item.node });
      line.style.setProperty("--own", item.color);
      const chart = bars(item, 22), name = label(item.node);
      line.append(element("button", { type: "button", class: "gradient", onclick: () => focusOn(item.node) }, element("b", { title: name }, name),
        element("span", { class: "quiet" }, arrays[nodes[item.node].value].shape), data.times.length ? chart.show() : element("span"), element("span", { class: "norm" })), watchButton(item.node));
      paramBoxes.set(item.node, [line, chart]);
      rows.append(line);
    }
  }
  function showLower(changed) {
    for (const [own, cell] of cells) {
      if (changed && !own.some(i => changed.has(i))) continue;
      paint(cell, gradient(largest(own)));
      cell.classList.toggle("current", at > 0 && own.includes(steps[at - 1].node));
    }
    const now = at ? timeOf(at) : null;
    for (const [node, [line, chart]] of paramBoxes) {
      const array = gradient(node), said = array ? short(norm(array)) : unknown(node);
      const adding = at > 0 && uses[node].some(use => use.step === at);
      const button = line.firstElementChild;
      chart.show(adding ? now : undefined);
      button.querySelector(".norm").replaceChildren(element("span", { class: "swatch" }), sized(node, array), array && !complete(node) ? element("span", { class: "quiet" }, "so far") : "");
      paint(line.querySelector(".swatch"), array);
      line.classList.toggle("adding", adding);
      button.setAttribute("aria-label", `${label(node)}, gradient ${said}${array && !complete(node) ? " so far" : ""}`);
    }
  }
  function buildLegend() {
    const place = byId("legend"), ramp = element("span", { class: "ramp" });
    ramp.style.backgroundImage = `linear-gradient(90deg, ${[0, 0.5, 1].map(colour).join(",")})`;
    place.append(element("b", {}, "|gradient|"), element("span", { class: "entry" }, `1e${heat.low}`, ramp, `1e${heat.high}`));
    for (const [word, text] of [["tiny", "tiny"], ["zero", "exactly 0"], ["bad", "NaN, Inf"], ["waiting", "not yet"]])
      place.append(element("span", { class: "entry" }, element("span", { class: `key ${word}` }), text));
  }

  // ---- watched gradients --------------------------------------------------------------------
  function watch(node) {
    watched = watched.includes(node) ? watched.filter(other => other !== node) : [...watched, node];
    keepFocus(() => {
      for (const [other, [line]] of paramBoxes) line.lastElementChild.replaceWith(watchButton(other));
      showAll();
    });
  }
  function showWatched() {
    byId("watch-row").hidden = !watched.length;
    byId("watched").replaceChildren(...watched.map(node => {
      const array = gradient(node), swatch = element("span", { class: "swatch" });
      paint(swatch, array);
      return element("li", {}, swatch, element("button", { type: "button", class: "link", onclick: () => focusOn(node) }, full(node)), sized(node, array),
        array && !complete(node) ? element("span", { class: "quiet" }, "so far") : null,
        element("button", { type: "button", "aria-label": `Watch ${full(node)} no longer`, onclick: () => { watch(node); byId("picture").focus(); } }, "✕"));
    }));
  }
  const alone = node => nodes.filter(other => other.name === label(node)).length === 1;
  const nameInAddress = node => alone(node) ? label(node) : `#${node}`;
  const fromAddress = name => /^#\d+$/.test(name) && Number(name.slice(1)) < nodes.length ? [Number(name.slice(1))] : [...nodes.keys()].filter(i => label(i) === name);

  // ---- everything at the current step -------------------------------------------------------
  function changed() {                                     // the nodes whose gradients differ from what is shown
    if (shown < 0) return null;
    const found = new Set([shown, at].filter(Boolean).map(step => steps[step - 1].node));  // current before, and now
    for (let i = Math.min(shown, at); i < Math.max(shown, at); i++) {
      found.add(steps[i].node);
      for (const x of nodes[steps[i].node].inputs) found.add(x);
    }
    return found;
  }
  function showPicture(current, changed) {
    const low = Math.min(shown, at), high = Math.max(shown, at);
    for (const [node, box] of boxes) {
      if ((changed && !changed.has(node)) || !box.classList.contains("live")) continue;
      paint(box, gradient(node));
      box.classList.toggle("partly", box.dataset.look !== "waiting" && !complete(node));
      box.classList.toggle("current", current !== null && current.node === node);
    }
    for (const [step, arrow] of gradientArrows) {
      if (shown >= 0 && (step < low || step > high)) continue;
      arrow.classList.toggle("done", step <= at);
      arrow.classList.toggle("now", step === at);
    }
  }
  const writeAddress = addressWriter();
  function keepFocus(change) {                             // on the control in the place of one that is made anew
    const old = document.activeElement, region = old && old.closest("#panel, #watched, #shared, #map");
    const said = control => control.getAttribute("aria-label") || control.textContent;
    const before = region && said(old);
    change();
    if (!region || old.isConnected) return;
    const same = [...region.querySelectorAll("button, summary, pre")].find(control => said(control) === before);
    (same || (region.id === "panel" ? region : byId("picture"))).focus({ preventScroll: true });
  }
  const show = () => keepFocus(showAll);
  function showAll() {
    const current = at ? steps[at - 1] : null, nodes = changed();
    showPicture(current, nodes);
    showLower(nodes);
    shown = at;
    byId("slider").value = at;
    byId("slider").setAttribute("aria-valuetext", at ? `step ${at}, ${opName(current.node)}, ${label(current.node)}` : "start");
    byId("count").textContent = `${at} / ${last}`;
    showReason();
    showPanel();
    showWatched();
    showFound();
    list.show(at);
    byId("panel").scrollTop = 0;                           // from here on, after all changes, the layout is read
    reveal(true);
    writeAddress({ step: at, breaks: breakpoints.map(stop => stop.text), watched: watched.map(nameInAddress) });
    if (!playing) byId("spoken").textContent = at ? `step ${at} of ${last}: ${opName(current.node)}, ${label(current.node)}. ${reason}` : "start";
  }
  function showReason() {
    byId("reason").textContent = reason;
    byId("stops-row").hidden = !breakpoints.length && !reason;
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
    return [label(i), opName(i), node.formula || "", node.signal ? `${node.signal}[${node.t}]` : "", "t" in node ? `t=${node.t}` : "", node.run || "", node.line].join("\n").toLowerCase();
  }
  let matches = [];
  function search() {
    const wanted = byId("search").value.trim().toLowerCase().replace(/^t\s*=\s*/, "t=").replace(/\((-?\d+)\)$/, "[$1]");
    const fits = text => /^t=\d+$/.test(wanted) ? text.split("\n").includes(wanted) : text.includes(wanted);
    matches = wanted ? steps.map((_, i) => i + 1).filter(number => fits(words(number))) : [];
    const found = new Set(matches.map(number => steps[number - 1].node));
    for (const [node, box] of boxes) box.classList.toggle("found", found.has(node));
    svg.classList.toggle("searching", found.size > 0);
    list.filter(wanted ? matches : null);
    byId("steps-count").textContent = wanted ? `${matches.length} of ${last} steps match the search` : `${last} steps`;
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

  // ---- breakpoints --------------------------------------------------------------------------
  function refuse(text) {
    byId("break").setCustomValidity(text);
    byId("break").reportValidity();
  }
  const parse = breakpointParser({ nodes, steps, uses, opName, short, norm: number => norm(arrays[number]) });
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
  function setBreak(text) {                                // throws a Refusal
    const stop = parse(text), hits = steps.filter((_, i) => stop.test(i + 1)).length;
    if (!breakpoints.some(other => other.text === stop.text)) breakpoints.push({ ...stop, hits });
  }
  function addBreak() {
    try { setBreak(byId("break").value); } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refuse(error.message);
      return;
    }
    byId("break").value = "";
    showStops();
    show();
  }
  function showStops() {
    byId("stops").replaceChildren(...breakpoints.map(stop => element("li", {}, stop.text, element("span", { class: "quiet" }, ` ${stop.hits}×`),
      element("button", { type: "button", "aria-label": `Remove the breakpoint ${stop.text}`, onclick: () => { breakpoints = breakpoints.filter(other => other !== stop); reason = ""; showStops(); show(); byId("break").focus(); } }, "✕"))));
    showReason();
  }
  function suggest() {
    const own = steps.map(step => nodes[step.node]);
    const all = [...new Set([...own.map(node => `op ${ops[node.op].name}`), ...own.filter(node => node.copy).map(node => `signal ${node.signal}`),
      ...data.shared.map(item => label(item.node)), "nan", "inf", "zero", "exploding", "norm < 1e-6", "norm > 10",
      ...own.filter(node => "t" in node).map(node => `t ${node.t}`).slice(0, 400)])];
    byId("breaks").append(...all.map(text => element("option", { value: text })));
  }

  // ---- mouse and keyboard -------------------------------------------------------------------
  const theme = () => {
    const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  };
  const help = () => { byId("keys").hidden = !byId("keys").hidden; byId("help").setAttribute("aria-expanded", String(!byId("keys").hidden)); };
  const showList = on => {
    byId("steps").hidden = !on;
    document.querySelector("main").classList.toggle("listing", on);
    byId("listing").setAttribute("aria-expanded", String(on));
    list.show(at);
  };
  const toggleList = () => { showList(byId("steps").hidden); if (!byId("steps").hidden) byId("list").focus(); };
  const move = by => { play(false); go(at + by); };
  const onClick = { first: () => move(-last), back: () => move(-1), on: () => move(1), last: () => move(last), play: () => play(!playing),
    theme, help, listing: toggleList, smaller: () => resize(1 / 1.25), larger: () => resize(1.25), fit,
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
      "+": onClick.larger, "-": onClick.smaller, 0: fit, d: theme, l: toggleList, w: () => at && watch(steps[at - 1].node), "?": help };
    if (pressed || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  new ResizeObserver(() => zoomed || printing || fit()).observe(picture);
  // ---- the address, and printing ------------------------------------------------------------
  function notify(text) {
    byId("notice").hidden = !text;
    byId("notice").firstElementChild.textContent = text;
  }
  byId("notice").lastElementChild.addEventListener("click", () => notify(""));
  function openAddress() {                                 // what it can't mean is left out, and said
    const wanted = readAddress(location.hash, last);
    breakpoints = [];
    for (const text of wanted.breaks) {
      try { setBreak(text); } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        wanted.problems.push(`the breakpoint '${text}' is left out: ${error.message}`);
      }
    }
    const found = wanted.watched.map(name => [name, fromAddress(name)]);
    wanted.problems.push(...found.filter(([, those]) => !those.length).map(([name]) => `there is no '${name}' to watch`));
    watched = [...new Set(found.flatMap(([, those]) => those))];  // of a name that several runs have: all
    for (const [other, [line]] of paramBoxes) line.lastElementChild.replaceWith(watchButton(other));
    notify(wanted.problems.length ? `${byId("notice").dataset.about}: ${wanted.problems.join("; ")}` : "");
    play(false);
    showStops();
    go(wanted.step);
  }
  addEventListener("hashchange", openAddress);
  const whole = svg.getAttribute("viewBox");
  addEventListener("beforeprint", () => {                  // of a wide graph the part around the current box
    const node = at ? steps[at - 1].node : root, box = "box" in nodes[node] ? byId(`box-${nodes[node].box}`) : null;
    const width = Math.min(data.size[0], 900), middle = box ? box.getBBox().x + box.getBBox().width / 2 : 0;
    const left = Math.min(Math.max(middle - width / 2, 0), data.size[0] - width);
    printing = true;
    svg.setAttribute("viewBox", `${left} 0 ${width} ${data.size[1]}`);
    svg.setAttribute("width", width);
    svg.setAttribute("height", data.size[1]);
  });
  addEventListener("afterprint", () => {
    printing = false;
    svg.setAttribute("viewBox", whole);
    scale(zoom);
    reveal(false);
  });

  const list = stepsList({ place: byId("list"), last, go, element, row: number => {
    const i = steps[number - 1].node, text = written(i), t = nodes[i].t, run = nodes[i].run;
    return { text, parts: [element("span", { class: "number" }, String(number)), element("span", { class: "what" }, text), element("span", { class: "when", ...run && { title: run } }, t === undefined ? "" : `t ${t}${run ? `, ${run.split(", ").pop()}` : ""}`)] };
  } });
  buildMap();
  buildShared();
  buildLegend();
  suggest();
  search();
  showList(innerWidth >= 1200);
  openAddress();
  fit();
})();
