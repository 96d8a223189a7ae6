// Exact elements of recorded arrays, as NumPy text.
"use strict";

const EXACT_KINDS = { float64: Float64Array, float32: Float32Array, float16: Float32Array, int64: BigInt64Array, uint64: BigUint64Array, int32: Int32Array, uint32: Uint32Array,
  int16: Int16Array, uint16: Uint16Array, int8: Int8Array, uint8: Uint8Array, bool: Uint8Array };

function exactElements(array) {                            // those of the whole array, or of what is shown
  const bytes = Uint8Array.from(atob(array.exact), character => character.charCodeAt(0));
  if (EXTENDED.includes(array.dtype)) return bytes.length ? new TextDecoder().decode(bytes).split(" ") : [];
  return [...new EXACT_KINDS[array.dtype](bytes.buffer)];
}

function exactText(value, dtype) {                         // as Python's repr, the shortest text of that number
  if (EXTENDED.includes(dtype)) return /nan|inf/.test(value) ? value.replace(/nan|inf/, "np.$&") : value;
  if (dtype === "bool") return value ? "True" : "False";
  if (!dtype.startsWith("float") && dtype !== "longdouble") return String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "np.nan" : value > 0 ? "np.inf" : "-np.inf";
  let text = Object.is(value, -0) ? "-0" : String(value);
  for (let digits = 1; value && digits <= 9 && /^float(32|16)$/.test(dtype); digits++) {
    if (Math.fround(Number(value.toPrecision(digits))) === value) { text = String(Number(value.toPrecision(digits))); break; }
  }
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

const EXTENDED = ["longdouble", "float128", "float96"];      // whose numbers are recorded as text
const literal = dtype => text => EXTENDED.includes(dtype) ? `"${text.replace("np.", "")}"` : text;  // a float would round it
const kindOf = dtype => EXTENDED.includes(dtype) ? "longdouble" : dtype;
const TABLES = new WeakMap();                              // table of numbers -> its array

const dimensions = array => array.shape === "number" ? [] : array.shape.split(" × ").map(Number);

function visibleIndices(texts, dots, length) {             // of the rows or columns that are shown; texts has dots for the rest
  const gap = texts.indexOf(dots);
  return texts.map((_, i) => gap < 0 || i < gap ? i : i - texts.length + length).filter((_, i) => i !== gap);
}

function shownElements(array) {                            // the exact texts of the elements that are shown, by row
  const rows = array.numbers ? array.numbers.split("\n").map(row => row.split(" ")) : [];
  const size = dimensions(array), width = size.length ? size[size.length - 1] : 1;
  const down = visibleIndices(rows.map(row => row[0]), "⋮", size.length > 1 ? size[size.length - 2] : 1);
  const across = rows.length ? visibleIndices(rows[0], "…", width) : [];
  const elements = exactElements(array);
  const at = (i, j) => array.whole ? down[i] * width + across[j] : i * across.length + j;
  return { down, across, texts: down.map((_, i) => across.map((_, j) => exactText(elements[at(i, j)], array.dtype))) };
}

function nested(texts, size) {                             // in brackets, rows under each other as NumPy prints them
  let parts = texts;
  [...size].reverse().forEach((length, depth) => {
    const next = [], outer = size.length - depth - 1, apart = depth ? `,${"\n".repeat(depth)}${" ".repeat(10 + outer)}` : ", ";
    for (let i = 0; i < parts.length; i += length) next.push(`[${parts.slice(i, i + length).join(apart)}]`);
    parts = next;
  });
  return parts[0];
}

function numpyText(array) {                                // a program of one line that makes this array
  const size = dimensions(array), kind = `dtype=np.${kindOf(array.dtype)}`;
  if (size.includes(0)) return `np.zeros((${size.join(", ")}${size.length === 1 ? "," : ""}), ${kind})`;
  if (array.whole) return arrayText(exactElements(array).map(value => exactText(value, array.dtype)), size, array.dtype);
  const { down, across, texts } = shownElements(array);
  return partText(array, down, across, texts);
}

function arrayText(texts, size, dtype) {
  return `np.array(${nested(texts.map(literal(dtype)), size)}, dtype=np.${kindOf(dtype)})`;
}

function partText(array, down, across, texts) {            // that much of an array, and which it is
  const size = dimensions(array);
  const which = size.length > 1 ? `rows ${down.join(", ")} and columns ${across.join(", ")}` : `elements ${across.join(", ")}`;
  const first = size.length > 2 ? " of its first matrix" : "";
  return `# of an array (${size.join(", ")}): ${which}${first}; the page holds no more of it\n`
    + arrayText(texts.flat(), size.length > 1 ? [down.length, across.length] : [across.length], array.dtype);
}

function selectedNumbers(selection) {                      // the numbers of tables that are selected, in full; or null
  const tableOf = node => node && (node.closest ? node : node.parentElement).closest(".numbers");
  if (!selection.rangeCount) return null;
  const table = tableOf(selection.getRangeAt(0).commonAncestorContainer);
  if (table) return selectedOf(table, selection);
  if (!tableOf(selection.anchorNode) || !tableOf(selection.focusNode)) return null;
  const found = [...document.querySelectorAll(".numbers")].map(each => [each, selectedOf(each, selection)]).filter(([, text]) => text !== null);
  return found.map(([each, text]) => `# ${each.closest("figure").querySelector("b").textContent}\n${text}`).join("\n\n") || null;
}

function selectedOf(table, selection) {
  const isIn = cell => selection.containsNode(cell, true), array = TABLES.get(table);
  const rows = [...table.rows].map(row => [...row.cells].filter(cell => cell.title && isIn(cell))).filter(row => row.length);
  const texts = rows.map(row => row.map(cell => cell.title)), count = texts.flat().length;
  if (!count || (count === 1 && selection.toString().trim().length < 2)) return null;
  if (count === 1) return texts[0][0];
  const dots = [...table.querySelectorAll(".dots")].some(isIn);
  if (texts.some(row => row.length !== texts[0].length)) return `${dots ? "# without the elements under the dots\n" : ""}${texts.map(row => row.join(", ")).join("\n")}`;
  if (!dots) return arrayText(texts.flat(), texts.length > 1 ? [texts.length, texts[0].length] : [count], array.dtype);
  const down = rows.map(row => Number(row[0].dataset.row)), across = rows[0].map(cell => Number(cell.dataset.column));
  if (!array.whole) return partText(array, down, across, texts);
  const range = list => Array.from({ length: list[list.length - 1] - list[0] + 1 }, (_, i) => list[0] + i);
  const width = dimensions(array).pop(), elements = exactElements(array);  // with those under the dots
  const all = range(down).map(i => range(across).map(j => exactText(elements[i * width + j], array.dtype)));
  return arrayText(all.flat(), all.length > 1 ? [all.length, all[0].length] : [all[0].length], array.dtype);
}

function copier(say) {                                     // (text, what it is) -> copies it, and says so
  let waiting = null;
  document.addEventListener("copy", event => {
    const text = waiting ?? selectedNumbers(getSelection());
    if (text === null) return;
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  });
  const byEvent = text => {                                // where the clipboard's own interface is missing or refuses
    waiting = text;
    try { return document.execCommand("copy"); } finally { waiting = null; }
  };
  return async (text, name) => {
    let done;
    try { await navigator.clipboard.writeText(text); done = true; } catch { done = byEvent(text); }
    say(done ? `copied: ${name}` : `the browser refused to copy ${name}: select its numbers, and copy them`);
    return done;
  };
}
