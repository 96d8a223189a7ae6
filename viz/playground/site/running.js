// Tells that a program is running, and ends it: at a press, or for a later program that has waited long enough.

const SOON = 300;  // milliseconds until it is told
const LONG = 2500;  // milliseconds for which a later program waits; to start Python anew takes about as long

export class Running {
    // `parts` has the elements `bar`, `words` and `stop`; `told()` is called with the words.
    constructor(python, parts, told) {
        this.python = python;
        this.parts = parts;
        this.told = told;
        this.answered = null;  // the program that Python has run last, and doesn't run again for other choices
        this.run = null;
        parts.stop.addEventListener("click", () => { this.run.ended = "stopped"; python.renew(); });
    }

    // Returns the run, whose `ended` says why it has no answer: "stopped", "overtaken", or "".
    begin(source) {
        const run = this.run = {source, ended: "", anew: source !== this.answered, clocks: [setTimeout(() => this.tell(run), SOON)]};
        run.started = this.python.ready.then(() => { run.began = performance.now(); }, () => {});
        return run;
    }

    end(run, answered) {
        run.clocks.forEach(clearTimeout);
        this.answered = answered ? run.source : null;
        this.run = null;
        this.parts.bar.hidden = true;
        this.parts.words.textContent = "";  // so that a screen reader reads it the next time, too
    }

    async tell(run) {
        this.told();
        this.parts.words.textContent = this.python.starts ? "Python starts …" : "running …";
        this.parts.stop.hidden = this.python.starts;
        this.parts.bar.hidden = false;
        if (!this.python.starts) return;
        await run.started;
        if (this.run === run) this.tell(run);
    }

    // Another program waits for this one.
    async overtake(source) {
        const {run} = this;
        if (!run.anew || source === run.source) return;
        await run.started;
        if (this.run === run) run.clocks.push(setTimeout(() => {
            run.ended = "overtaken";
            this.python.renew();
        }, Math.max(run.began + LONG - performance.now(), 0)));
    }
}
