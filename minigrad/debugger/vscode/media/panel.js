// The page of the panel "Graph". The extension sends the picture of a pass once, and after each stop its state:
// see LivePicture.state in viz. This page only applies it; it computes nothing about gradients.
"use strict";
(() => {
  const vscode = acquireVsCodeApi();
  const byId = id => document.getElementById(id);
  const picture = byId("picture"), colours = new CSSStyleSheet();
  document.adoptedStyleSheets = [colours];
  let svg = null, size = [1, 1], zoom = 1, zoomed = false, state = null;
  let boxes = new Map(), arrows = new Map(); // by key and by name

  // VS Code tells the kind of its theme in an attribute; light-dark() in the styles follows color-scheme
  const follow = () => {
    const dark = ["vscode-dark", "vscode-high-contrast"].includes(document.body.dataset.vscodeThemeKind);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  new MutationObserver(follow).observe(document.body, { attributeFilter: ["data-vscode-theme-kind"] });
  follow();

  function element(tag, name, ...children) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    made.append(...children);
    return made;
  }

  // ---- the picture
  function draw(text, css) {
    colours.replaceSync(css);
    svg = document.importNode(new DOMParser().parseFromString(text, "text/html").querySelector("svg"), true);
    picture.replaceChildren(svg);
    size = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
    boxes = new Map([...svg.querySelectorAll(".box")].map(box => [box.id.slice("box-".length), box]));
    arrows = new Map([...svg.querySelectorAll(".back")].map(arrow => [arrow.id.slice("back-".length), arrow]));
    for (const box of boxes.values()) box.prepend(document.createElementNS("http://www.w3.org/2000/svg", "title"));
    zoomed = false;
    fit();
  }

  const LOOKS = ["waiting", "known", "tiny", "zero", "bad"];
  function paint(shape, gradient) {
    shape.classList.remove(...LOOKS);
    shape.classList.add(gradient.look);
    shape.style.setProperty("--heat", gradient.color ?? "transparent");
  }

  function apply(next) {
    state = next;
    byId("note").hidden = true;
    for (const [key, gradient] of Object.entries(state.boxes)) {
      const box = boxes.get(key);
      if (!box) continue;
      paint(box, gradient);
      box.classList.toggle("live", gradient.step > 0);
      box.classList.toggle("partly", Boolean(gradient.partly));
      box.classList.toggle("current", key === state.current);
      box.querySelector("title").textContent = gradient.title;
    }
    const done = new Set(state.arrows), now = new Set(state.now);
    for (const [name, arrow] of arrows) {
      arrow.classList.toggle("done", done.has(name));
      arrow.classList.toggle("now", now.has(name));
    }
    byId("title").textContent = state.step ? `step ${state.step} of ${state.steps}: ${state.title}` : `start: ${state.steps} steps`;
    byId("spoken").textContent = byId("title").textContent;
    showShared();
    showLegend();
    reveal();
  }

  function showShared() {
    byId("shared").replaceChildren(...state.shared.map(gradient => {
      const swatch = element("span", "swatch");
      paint(swatch, gradient);
      const row = element("button", gradient.now ? "param now" : "param", swatch, element("b", "", gradient.name), element("span", "", gradient.size));
      row.type = "button";
      row.title = gradient.title;
      row.addEventListener("click", () => go(gradient.step));
      return row;
    }));
    byId("shared").hidden = !state.shared.length;
  }

  function showLegend() {
    const { low, high, colors } = state.scale, ramp = element("span", "ramp");
    ramp.style.backgroundImage = `linear-gradient(90deg, ${colors.join(",")})`;
    const words = { zero: "0", bad: "NaN", waiting: "not yet" };
    byId("legend").replaceChildren(element("span", "", "|gradient|"), element("span", "", `1e${low}`), ramp, element("span", "", `1e${high}`),
      ...Object.entries(words).flatMap(([look, text]) => [element("span", `key ${look}`), element("span", "", text)]));
  }

  function clear() {
    svg = state = null;
    boxes = new Map();
    arrows = new Map();
    for (const id of ["picture", "shared", "legend", "title", "spoken"]) byId(id).replaceChildren();
    byId("shared").hidden = true;
  }

  function go(step) {
    if (step > 0) vscode.postMessage({ kind: "goto", step });
  }
  picture.addEventListener("click", event => {
    const box = event.target.closest(".box");
    if (box) go(state?.boxes[box.id.slice("box-".length)]?.step ?? 0);
  });

  // ---- zoom
  function scale(to) {
    if (!svg) return;
    const middle = [(picture.scrollLeft + picture.clientWidth / 2) / zoom, (picture.scrollTop + picture.clientHeight / 2) / zoom];
    zoom = Math.min(Math.max(to, 0.15), 4);
    svg.setAttribute("width", size[0] * zoom);
    svg.setAttribute("height", size[1] * zoom);
    picture.scrollLeft = middle[0] * zoom - picture.clientWidth / 2;
    picture.scrollTop = middle[1] * zoom - picture.clientHeight / 2;
  }
  function fit() { // the whole graph, or its height if it would be unreadable
    zoomed = false;
    const space = [picture.clientWidth - 24, picture.clientHeight - 24];
    const whole = Math.min(space[0] / size[0], space[1] / size[1]);
    scale(whole > 0.6 ? Math.min(whole, 1.5) : Math.min(Math.max(space[1] / size[1], 0.6), 1));
    reveal();
  }
  function resize(by) {
    zoomed = true;
    scale(zoom * by);
  }
  function reveal() {
    const box = boxes.get(state?.current ?? state?.start ?? "");
    if (!box) return;
    const inner = box.getBoundingClientRect(), outer = picture.getBoundingClientRect();
    const near = Math.min(90, outer.width / 4), above = Math.min(40, outer.height / 4);
    const by = { left: 0, top: 0 };
    if (inner.left < outer.left + near || inner.right > outer.right - near) by.left = (inner.left + inner.right - outer.left - outer.right) / 2;
    if (inner.top < outer.top + above || inner.bottom > outer.bottom - above) by.top = (inner.top + inner.bottom - outer.top - outer.bottom) / 2;
    if (by.left || by.top) picture.scrollBy(by);
  }
  const clicks = { smaller: () => resize(1 / 1.25), larger: () => resize(1.25), fit };
  for (const [id, does] of Object.entries(clicks)) byId(id).addEventListener("click", does);
  new ResizeObserver(() => zoomed || fit()).observe(picture);

  addEventListener("message", ({ data }) => {
    if (data.kind === "picture") draw(data.svg, data.css);
    else if (data.kind === "state") apply(data.state);
    else if (data.kind === "note") {
      if (data.clear) clear();
      byId("note").textContent = data.text;
      byId("note").hidden = !data.text;
    }
  });
  vscode.postMessage({ kind: "ready" });
})();
