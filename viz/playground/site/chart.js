// The loss by training step as a line: an SVG that is also a file, so its colours are numbers and not those of style.css.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 300, LEFT = 76, RIGHT = 16, TOP = 30, BOTTOM = 44;
const COLOURS = {
    light: {ground: "#ffffff", text: "#1d2126", grid: "#d8dde3", line: "#1f5fa8"},
    dark: {ground: "#16181d", text: "#e6e9ed", grid: "#343a43", line: "#8ab8f0"},
};

// Returns an SVG element. A logarithmic axis leaves out losses that aren't positive.
export function chart(losses, {width, logarithmic, dark, label}) {
    const colours = COLOURS[dark ? "dark" : "light"], svg = shape("svg", {
        viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label, xmlns: SVG,
        "font-family": "Helvetica, Arial, sans-serif", "font-size": 13, fill: colours.text});
    const level = logarithmic ? Math.log10 : loss => loss;
    const points = losses.map((loss, step) => [step, level(loss)]).filter(([, y]) => Number.isFinite(y));
    const steps = Math.max(losses.length - 1, 1), heights = points.map(([, y]) => y);
    const ticks = logarithmic ? decades(least(heights), most(heights)) : round(Math.min(0, least(heights)), most(heights));
    const [low, high] = [Math.min(least(heights), ticks[0]), Math.max(most(heights), ticks.at(-1))];
    const x = step => LEFT + (width - LEFT - RIGHT) * step / steps;
    const y = value => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low || 1);
    svg.append(shape("rect", {width, height: HEIGHT, fill: colours.ground}));
    for (const tick of ticks) {
        const words = logarithmic ? (10 ** tick).toExponential(0) : String(parseFloat(tick.toPrecision(6)));
        svg.append(shape("path", {d: `M${LEFT} ${y(tick)}H${width - RIGHT}`, stroke: colours.grid}),
            text(words, LEFT - 8, y(tick) + 4, "end"));
    }
    for (const tick of round(0, steps).filter(Number.isInteger))
        svg.append(text(String(tick), x(tick), HEIGHT - BOTTOM + 18, "middle"));
    svg.append(text("training step", (LEFT + width - RIGHT) / 2, HEIGHT - 8, "middle"), text("loss", LEFT - 8, 14, "end"));
    const line = points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`);
    if (line.length > 1) svg.append(shape("polyline", {points: line.join(" "), fill: "none", stroke: colours.line, "stroke-width": 2}));
    else for (const [step, value] of points) svg.append(shape("circle", {cx: x(step), cy: y(value), r: 4, fill: colours.line}));
    return svg;
}

export const least = values => values.reduce((a, b) => Math.min(a, b), Infinity);
export const most = values => values.reduce((a, b) => Math.max(a, b), -Infinity);

// Returns 3 to 7 round numbers from below the first number to above the second one.
function round(from, to) {
    if (!Number.isFinite(from) || !(to > from)) return [0, 1];
    const power = 10 ** Math.floor(Math.log10((to - from) / 3)), rough = (to - from) / 3 / power;
    const step = power * (rough >= 5 ? 5 : rough >= 2 ? 2 : 1), first = Math.floor(from / step);
    return Array.from({length: Math.ceil(to / step) - first + 1}, (_, i) => (first + i) * step);
}

function decades(from, to) {
    if (!Number.isFinite(from)) return [0, 1];
    const low = Math.floor(from), high = Math.max(Math.ceil(to), low + 1), each = Math.ceil((high - low) / 6);
    return Array.from({length: Math.floor((high - low) / each) + 1}, (_, i) => low + i * each);
}

function shape(tag, attributes) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) if (name !== "xmlns") made.setAttribute(name, value);
    return made;
}

function text(words, x, y, anchor) {
    const made = shape("text", {x, y, "text-anchor": anchor});
    made.textContent = words;
    return made;
}
