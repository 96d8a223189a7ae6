// Exact elements of recorded arrays, as NumPy text.
"use strict";

const EXACT_KINDS = { float64: Float64Array, float32: Float32Array, float16: Float32Array, longdouble: Float64Array,
  float128: Float64Array, int64: BigInt64Array, uint64: BigUint64Array, int32: Int32Array, uint32: Uint32Array,
  int16: Int16Array, uint16: Uint16Array, int8: Int8Array, uint8: Uint8Array, bool: Uint8Array };

function exactElements(array) {                            // those of the whole array, or of what is shown
  const bytes = Uint8Array.from(atob(array.exact), character => character.charCodeAt(0));
  return [...new EXACT_KINDS[array.dtype](bytes.buffer)];
}

function exactText(value, dtype) {                         // as Python's repr, the shortest text of that number
  if (dtype === "bool") return value ? "True" : "False";
  if (!dtype.startsWith("float") && dtype !== "longdouble") return String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "np.nan" : value > 0 ? "np.inf" : "-np.inf";
  let text = Object.is(value, -0) ? "-0" : String(value);
  for (let digits = 1; value && digits <= 9 && /^float(32|16)$/.test(dtype); digits++) {
    if (Math.fround(Number(value.toPrecision(digits))) === value) { text = String(Number(value.toPrecision(digits))); break; }
  }
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

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
  const size = dimensions(array), kind = `dtype=np.${array.dtype}`;
  if (size.includes(0)) return `np.zeros((${size.join(", ")}${size.length === 1 ? "," : ""}), ${kind})`;
  if (array.whole) return `np.array(${nested(exactElements(array).map(value => exactText(value, array.dtype)), size)}, ${kind})`;
  const { down, across, texts } = shownElements(array);
  const which = size.length > 1 ? `rows ${down.join(", ")} and columns ${across.join(", ")}` : `elements ${across.join(", ")}`;
  const first = size.length > 2 ? " of its first matrix" : "";
  return `# of an array (${size.join(", ")}): ${which}${first}; the page holds no more of it\n`
    + `np.array(${nested(texts.flat(), size.length > 1 ? [down.length, across.length] : [across.length])}, ${kind})`;
}

function selectedNumbers(selection) {                      // the numbers of a table that are selected, in full; or null
  const within = selection.rangeCount ? selection.getRangeAt(0).commonAncestorContainer : null;
  const table = within && (within.closest ? within : within.parentElement).closest(".numbers");
  if (!table) return null;
  const rows = [...table.rows].map(row => [...row.cells].filter(cell => cell.title && selection.containsNode(cell, true)))
    .filter(row => row.length).map(row => row.map(cell => cell.title));
  const count = rows.flat().length;
  if (!count || (count === 1 && selection.toString().trim().length < 2)) return null;
  if (count === 1) return rows[0][0];
  const even = rows.every(row => row.length === rows[0].length);
  if (!even) return rows.map(row => row.join(", ")).join("\n");
  return `np.array(${nested(rows.flat(), rows.length > 1 ? [rows.length, rows[0].length] : [count])}, dtype=np.${table.dataset.dtype})`;
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
