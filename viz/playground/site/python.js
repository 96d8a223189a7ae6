// The page's side of the worker: questions and answers. A worker that doesn't answer in time is replaced by a new one.

const PATIENCE = 20000;  // milliseconds for an answer; the time limit in Python is shorter

export class TimeOver extends Error {}

export class Python {
    // `addresses` are those of Pyodide and of our packages; `told(what, part)` is called while they are loaded, and
    // `failed(error)` if they can't be. After that `start()` tries again.
    constructor(addresses, told, failed) {
        this.addresses = addresses;
        this.told = told;
        this.failed = failed;
        this.start();
    }

    start() {
        const script = new URL("worker.js", import.meta.url).href;
        const blob = new Blob([`importScripts(${JSON.stringify(script)});`], {type: "text/javascript"});
        const url = URL.createObjectURL(blob);
        this.worker?.terminate();
        this.times = [];  // milliseconds at which each part of the loading began
        this.waiting = new Map();
        this.next = 0;
        this.starts = true;
        this.ready = new Promise((resolve, reject) => {
            this.worker = new Worker(url);
            this.worker.onmessage = ({data}) => this.receive(data, resolve, reject);
            this.worker.onerror = event => reject(new Error(event.message || "the worker couldn't be started"));
        });
        this.ready.catch(error => { this.quiet = false; this.worker.terminate(); this.failed(error); })
            .finally(() => { this.starts = false; URL.revokeObjectURL(url); });
        this.worker.postMessage({load: this.addresses});
    }

    receive(data, resolve, reject) {
        if (data.loading !== undefined) {
            if (!this.quiet) this.told(data.loading, data.part);
            this.times.push([data.part, Math.round(data.ms)]);
            if (data.part !== 1) return;
            this.quiet = false;
            resolve();
        } else if (data.id === undefined) {
            reject(new Error(data.failed));
        } else {
            const [answered, failed] = this.waiting.get(data.id);
            this.waiting.delete(data.id);
            if (data.failed === undefined) answered(data.answer); else failed(new Error(data.failed));
        }
    }

    // Ends what runs, with all that it has changed, and starts Python anew, which isn't told; while it starts, it is new.
    renew() {
        if (this.starts) return;
        const waiting = [...this.waiting.values()];
        this.quiet = true;
        this.start();
        for (const [, failed] of waiting) failed(new Error("Python was ended"));
    }

    async ask(question, patience = PATIENCE) {
        await this.ready;
        const id = this.next++;
        const answer = new Promise((...ends) => this.waiting.set(id, ends));
        this.worker.postMessage({id, question});
        let clock;
        const late = new Promise((_, failed) => { clock = setTimeout(failed, patience, new TimeOver()); });
        try {
            return await Promise.race([answer, late]);
        } catch (error) {
            if (error instanceof TimeOver) {
                this.start();
            }
            throw error;
        } finally {
            clearTimeout(clock);
        }
    }
}
