// Training in steps, and the loss by step as a curve. Python answers after a tenth of a second, so that "stop" works.

import {chart, least, most} from "../chart.js";
import {button, element, sentence} from "../elements.js";
import {files} from "../figure.js";

const RATES = {sgd: 0.1, adam: 0.01};  // usual ones, until another one is typed
const MOST = 100000;  // steps at once
const WIDE = 1e4;  // between the lowest and the highest loss
const MIN_WIDTH = 280, MAX_WIDTH = 640;  // of the curve

export class Training {
    constructor(panel, tools) {
        this.panel = panel;
        this.tools = tools;
        this.losses = [];
        this.turn = 0;  // counts programs and trainings: an answer to an earlier one isn't shown
        this.steps = number("steps", 100, 1, MOST, 1);
        this.rate = number("learning rate", RATES.adam, 0, 1000, "any");
        this.rate.input.addEventListener("input", () => { this.typed = true; });
        this.optimizer = labelled("optimizer", document.createElement("select"));
        this.optimizer.input.append(new Option("Adam", "adam"), new Option("SGD", "sgd"));
        this.optimizer.input.addEventListener("change", () => {
            if (!this.typed) this.rate.input.value = RATES[this.optimizer.input.value];
        });
        this.logarithmic = labelled("logarithmic", document.createElement("input"));
        this.logarithmic.input.type = "checkbox";
        this.logarithmic.input.addEventListener("change", () => { this.decided = true; this.draw(); });
        this.train = button("train", () => { if (this.training) this.stopping = true; else this.run(); });
        this.train.id = "train";
        this.reset = button("reset", () => this.back());
        this.form = document.createElement("div");
        this.form.className = "choices";
        this.form.append(this.steps.label, this.optimizer.label, this.rate.label, this.train, this.reset, this.logarithmic.label);
        this.told = element("p", "");
        this.told.id = "told";
        this.told.setAttribute("role", "status");
        this.curve = document.createElement("figure");
        this.about = element("p", "");
        this.form.addEventListener("keydown", event => {
            if (event.key === "Enter" && event.target.type === "number" && !this.training) this.run();
        });
        panel.append(this.form, this.told, this.curve, this.about);
    }

    async show({missing, about, losses, ended, problems}) {
        this.turn++;
        this.losses = losses;
        if (problems.length) {
            if (!this.curve.hasChildNodes()) {
                this.form.hidden = true;
                this.told.textContent = sentence(problems);
            }
            return;
        }
        this.form.hidden = Boolean(missing);
        this.about.textContent = about;
        this.end(missing ?? ended);
    }

    clear() {
        this.turn++;
        this.losses = [];
        this.decided = false;
        this.form.hidden = true;
        this.about.textContent = this.told.textContent = "";
        this.curve.replaceChildren();
    }

    stale(on) {
        this.curve.classList.toggle("stale", on);
        this.train.disabled = this.reset.disabled = on;
    }

    async run() {
        const turn = ++this.turn, wanted = this.steps.input.valueAsNumber, rate = this.rate.input.valueAsNumber;
        if (!(wanted >= 1 && wanted <= MOST) || !(rate > 0)) {
            this.told.textContent = `The number of steps is 1 to ${MOST}, and the learning rate is positive.`;
            return;
        }
        const last = this.losses.length - 1 + Math.round(wanted);
        this.busy(true);
        this.stopping = false;
        let ended = null;
        while (!this.stopping && !ended && this.losses.length - 1 < last) {
            const steps = last - this.losses.length + 1;
            const answer = await this.ask({ask: "train", steps, rate, optimizer: this.optimizer.input.value});
            if (!answer || turn !== this.turn) break;
            ({losses: this.losses, ended} = answer);
            this.draw();
        }
        if (turn === this.turn) this.end(ended);
    }

    async back() {
        const turn = ++this.turn, answer = await this.ask({ask: "reset"});
        if (!answer || turn !== this.turn) return;
        this.losses = answer.losses;
        this.end(answer.ended);
    }

    async ask(question) {
        try {
            return await this.tools.ask(question);
        } catch (error) {
            this.tools.notice(`Python doesn't answer: ${error.message}`);
        }
    }

    // Draws the curve of a training that is over, and tells it in words.
    end(sentence) {
        this.busy(false);
        this.draw();
        const text = [sentence, this.summary()].filter(Boolean).join(" ");
        if (text !== this.told.textContent) this.told.textContent = text;  // else a screen reader would read it again
    }

    busy(on) {
        this.training = on;
        this.train.textContent = on ? "stop" : "train";
        if (on) this.told.textContent = "training …";
    }

    draw() {
        if (!this.decided) this.logarithmic.input.checked = wide(this.losses);
        const dark = document.documentElement.dataset.theme === "dark";
        const width = Math.min(MAX_WIDTH, Math.max(this.panel.clientWidth - 24, MIN_WIDTH));
        const svg = this.losses.length ? chart(this.losses, {
            width, logarithmic: this.logarithmic.input.checked, dark, label: `Loss by training step. ${this.summary()}`}) : null;
        this.curve.replaceChildren(...(svg ? [svg, caption(svg)] : []));
    }

    summary() {
        const {losses} = this, last = losses.length - 1;
        if (last < 1) return last < 0 ? "" : `The loss is ${short(losses[0])}.`;
        const at = losses.reduce((best, loss, step) => (loss < losses[best] ? step : best), 0);
        return `The loss was ${short(losses[0])}, and is ${short(losses[last])} after ${last} ${last > 1 ? "steps" : "step"}; `
            + `the lowest is ${short(losses[at])}, after step ${at}.`;
    }
}

// Whether only a logarithmic axis shows most of the losses apart.
function wide(losses) {
    const finite = losses.filter(Number.isFinite), [low, high] = [least(finite), most(finite)];
    return low > 0 && high / low > WIDE;
}

const short = loss => String(Number(loss.toPrecision(4)));

function caption(svg) {
    const made = document.createElement("figcaption");
    made.append(...files("loss by training step", new XMLSerializer().serializeToString(svg)));
    return made;
}

function labelled(words, input) {
    const label = element("label", `${words} `);
    label.append(input);
    return {label, input};
}

function number(words, value, min, max, step) {
    const made = labelled(words, document.createElement("input"));
    Object.assign(made.input, {type: "number", min, max, step, value});
    return made;
}
