// Programs that came by a link and that the reader hasn't allowed to run, and all that typing has made of them: whichever
// way such a text comes into the editor, such as by undoing, it waits.

export class Waiting {
    constructor(ours) {
        this.ours = ours;  // tells whether a text is an example, which may run
        this.all = [];  // a Set of texts for each program
        this.current = null;  // the one in the editor
    }

    // Takes the text of the editor: `waits` is true for a program that has just come by a link, `typed` for a text that
    // was made of the one before.
    take(text, waits, typed) {
        const before = this.current;
        this.current = this.find(text) ?? ((typed && before) || (waits && new Set()) || null);
        if (this.ours(text) || !text.trim()) this.current = null;
        this.current?.add(text);
        if (this.current && !this.all.includes(this.current)) this.all.push(this.current);
        return this.current !== before;
    }

    find(text) {
        return this.all.find(texts => texts.has(text));
    }

    // The reader lets the program run.
    release() {
        this.all = this.all.filter(texts => texts !== this.current);
        this.current = null;
    }

    get changed() {
        return this.current?.size > 1;
    }
}
