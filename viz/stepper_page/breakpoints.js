// Breakpoints, written and met as in the terminal debugger (minigrad/debugger/breakpoints.py).
"use strict";

const FORMS = "a name (h, h[3], U, tanh), node NAME, signal NAME, param NAME, op NAME, t NUMBER, norm > NUMBER, exploding [FACTOR], zero, nan, inf";
const CONDITIONS = "A condition compares norm or t with a number, op or signal with a text: h, norm > 1 and t == 3";
const ONLY_IN_TERMINAL = "is a breakpoint of the terminal: python -m minigrad.debugger script.py";

class Refusal extends Error {}

// pass: { nodes, steps, uses, norm(number of an array), opName(node), short(size) }. Returns a function from a text to
// { text, test }; test(number of a step) is the reason to stop there, or "". It throws a Refusal with the problem.
function breakpointParser(pass) {
  const { nodes, steps, uses, norm, opName, short } = pass;
  const label = i => nodes[i].unnamed ? "" : nodes[i].name;
  const plain = i => "t" in nodes[i] ? label(i).replace(/\[-?\d+\]$/, "") : label(i);  // without the time step
  const named = (i, name) => label(i) !== "" && (label(i) === name || plain(i) === name);
  const size = number => "grad" in steps[number - 1] ? norm(steps[number - 1].grad) : NaN;
  const own = number => steps[number - 1].node;
  const ownNodes = new Set(steps.map(step => step.node));
  const reached = [...nodes.keys()].filter(i => ownNodes.has(i) || uses[i].length);  // those of the pass
  const names = [...new Set(reached.flatMap(i => [plain(i), label(i)]))].filter(Boolean).sort();
  const operations = new Set(steps.map(step => opName(step.node)));

  function unknown(problem, name, known) {
    const near = known.filter(other => other.toLowerCase().includes(name.toLowerCase()) || name.toLowerCase().startsWith(other.toLowerCase()));
    return new Refusal(`${problem}; there is ${(near.length ? near : known).slice(0, 8).join(", ")}`);
  }
  const find = name => reached.filter(i => named(i, name));
  const isLeaf = i => !("op" in nodes[i]);

  function atNode(name) {
    const found = find(name);
    if (!found.length) throw unknown(`no tensor is called '${name}' in this pass`, name, names);
    if (found.every(isLeaf)) throw new Refusal(`${name} is a leaf and has no step of its own: 'param ${name}' stops at each contribution to it`);
    return number => named(own(number), name) && `the gradient of ${label(own(number))}`;
  }
  function atSignal(name) {
    const known = [...new Set(steps.filter(step => nodes[step.node].copy).map(step => nodes[step.node].signal))];
    if (!known.includes(name)) throw unknown(`there is no signal '${name}' in this pass`, name, known);
    return number => nodes[own(number)].copy && nodes[own(number)].signal === name && `the gradient of ${label(own(number))}`;
  }
  function atParameter(name) {
    if (!find(name).length) throw unknown(`no tensor is called '${name}' in this pass`, name, names);
    return number => {
      const row = (steps[number - 1].passed || []).find(row => named(nodes[own(number)].inputs[row.input], name));
      return row && `a contribution to ${label(nodes[own(number)].inputs[row.input])}`;
    };
  }
  function atOperation(name) {
    const wanted = name.toLowerCase();
    if (!operations.has(wanted)) throw unknown(`no operation '${name}' in this pass`, wanted, [...operations].sort());
    return number => opName(own(number)) === wanted && `operation ${wanted}`;
  }
  function atTime(word) {
    if (!/^[+-]?\d+$/.test(word)) throw new Refusal(`'${word}' is not a time step: write a whole number, as in t 3`);
    const t = Number(word), known = [...new Set(steps.map(step => nodes[step.node].t).filter(t => t !== undefined))].sort((a, b) => a - b);
    if (!known.includes(t)) throw new Refusal(`there is no t = ${t} in this pass: ${known.length ? `there are t = ${known[0]} to ${known[known.length - 1]}` : "no step has a time"}`);
    return number => nodes[own(number)].t === t && (number < 2 || nodes[own(number - 1)].t !== t) && `time step ${t} begins`;
  }
  function crossing(holds, reason) {                       // is true here, and isn't for the largest contribution's source
    return number => {
      if (!("grad" in steps[number - 1]) || !holds(size(number))) return "";
      const sizes = uses[own(number)].map(use => norm(use.contribution));
      const largest = sizes.findIndex(Number.isNaN) >= 0 ? sizes.findIndex(Number.isNaN) : sizes.indexOf(Math.max(...sizes));
      return (!sizes.length || !holds(size(uses[own(number)][largest].step))) && reason(size(number));
    };
  }
  const toNumber = (word, example) => {
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(word)) throw new Refusal(`'${word}' is not a number: write ${example}`);
    return Number(word);
  };
  function atNorm(rest) {
    const [, sign, word] = rest.match(/^([<>])\s*([^=].*)$/) || [];
    if (!sign) throw new Refusal("norm needs a comparison: norm > 10, or norm < 1e-6");
    const limit = toNumber(word.trim(), "norm > 10, or norm < 1e-6");
    return crossing(value => sign === ">" ? value > limit : value < limit, value => `|g| = ${short(value)} ${sign} ${word.trim()}`);
  }
  function atExplosion(word) {
    const factor = word ? toNumber(word, "exploding, or exploding 100") : 1000;
    if (!(factor > 0)) throw new Refusal(`the factor of 'exploding' is positive, not ${word}`);
    return crossing(value => value > factor * size(1), value => `the gradient explodes: |g| = ${short(value)}, more than ${factor} times that of the loss`);
  }
  const recorded = word => () => number => steps[number - 1][word];
  function atName(name) {                                  // a tensor, contributions to a leaf, or an operation
    const found = find(name);
    if (found.length) return found.every(isLeaf) ? atParameter(name) : atNode(name);
    if (operations.has(name.toLowerCase())) return atOperation(name);
    throw unknown(`no tensor or operation is called '${name}' in this pass`, name, [...new Set([...names, ...operations])].sort());
  }
  const NEEDED = true, OPTIONAL = null, NONE = false;      // the argument
  const KINDS = { node: [atNode, NEEDED, "node h[3]"], signal: [atSignal, NEEDED, "signal h"], param: [atParameter, NEEDED, "param U"],
    op: [atOperation, NEEDED, "op tanh"], t: [atTime, NEEDED, "t 3"], norm: [atNorm, NEEDED, "norm < 1e-6"], exploding: [atExplosion, OPTIONAL, "exploding 100"],
    zero: [recorded("zero"), NONE], nan: [recorded("nan"), NONE], inf: [recorded("inf"), NONE] };

  function place(text) {
    const written = text.replace(/^t\s*==?\s*/, "t ").replace(/^norm\s*([<>])/, "norm $1").replace(/\((-?\d+)\)$/, "[$1]");
    const [, word, rest] = written.match(/^(\S*)\s*(.*)$/);
    if (["line", "pass"].includes(word) || /:\d+$/.test(written)) throw new Refusal(`'${written}' ${ONLY_IN_TERMINAL}. Here there are ${FORMS}`);
    if (!Object.hasOwn(KINDS, word)) {
      if (rest || !word) throw new Refusal(`${word ? `'${word}' is not a kind of breakpoint` : "write where to stop"}. There are ${FORMS}; Python needs the terminal`);
      return { text: word, test: atName(word) };
    }
    const [kind, argument, example] = KINDS[word];
    if (argument === NEEDED && !rest) throw new Refusal(`write what to stop at, as in: ${example}`);
    if (argument === NONE && rest) throw new Refusal(`${word} takes no argument, not '${rest}'; a condition follows a comma: ${word}, t == 3`);
    return { text: rest ? `${word} ${rest}` : word, test: kind(rest) };
  }

  const SIGNS = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b, "==": (a, b) => a === b, "!=": (a, b) => a !== b };
  function clause(text) {
    const [, name, sign, word] = text.match(/^(norm|t)\s*(<=|>=|==|!=|<|>)\s*([-+.\de]+)$/i) || [];
    if (name) {
      const limit = toNumber(word, "norm > 1");
      return number => {                                   // without a time step, t is None: it differs from all numbers
        const value = name === "t" ? nodes[own(number)].t : size(number);
        return value === undefined ? sign === "!=" : SIGNS[sign](value, limit);
      };
    }
    const [, what, equal, , text_] = text.match(/^(op|signal)\s*(==|!=)\s*(["'])(.*)\3$/) || [];
    if (!what) throw new Refusal(`'${text}' is Python, which doesn't run in a browser; it ${ONLY_IN_TERMINAL}. ${CONDITIONS}`);
    return number => SIGNS[equal](what === "op" ? opName(own(number)) : nodes[own(number)].signal, text_);
  }

  return text => {
    const [, first, , condition] = text.trim().match(/^([^,]*)(,(.*))?$/s);
    if (/^python\b/.test(first)) throw new Refusal(`'${text.trim()}' is Python, which doesn't run in a browser; it ${ONLY_IN_TERMINAL}. Here there are ${FORMS}. ${CONDITIONS}`);
    const found = place(first.trim());
    if (!(condition || "").trim()) return found;
    const clauses = condition.trim().split(/\s+and\s+/).map(clause);
    return { text: `${found.text}, ${condition.trim()}`, test: number => clauses.every(holds => holds(number)) && found.test(number) };
  };
}
