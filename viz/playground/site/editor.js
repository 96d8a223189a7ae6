// The editor: CodeMirror in a shadow root, where its styles need no exception from the Content-Security-Policy.

import {
    autocompletion, basicSetup, Decoration, EditorState, EditorView, ensureSyntaxTree, HighlightStyle, indentUnit,
    indentWithTab, isolateHistory, keymap, python, setDiagnostics, StateEffect, StateField, syntaxHighlighting, tags,
} from "./codemirror.js";

const STEPS = /^(T *= *)(\d+(?:_\d+)*) *(?:#.*)?$/gm;  // the line of a program that the slider changes
const LONG = 100;  // milliseconds that the editor may read a program

const LOOK = EditorView.theme({
    "&": {height: "100%", color: "var(--text)", backgroundColor: "var(--ground)", fontSize: "14px"},
    ".cm-scroller": {fontFamily: "ui-monospace, monospace", overflow: "auto"},
    ".cm-content": {caretColor: "var(--text)"},
    ".cm-cursor": {borderLeftColor: "var(--text)"},
    ".cm-gutters": {color: "var(--quiet)", backgroundColor: "var(--panel)", borderRight: "1px solid var(--line)"},
    ".cm-activeLine, .cm-activeLineGutter": {backgroundColor: "color-mix(in srgb, var(--accent) 9%, transparent)"},
    "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
        backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent)"},
    ".cm-shown-line": {backgroundColor: "color-mix(in srgb, var(--accent) 24%, transparent)"},
    ".cm-tooltip, .cm-panels": {color: "var(--text)", backgroundColor: "var(--panel)", borderColor: "var(--line)"},
    ".cm-tooltip pre, .cm-diagnosticText": {whiteSpace: "pre-wrap"},
});

// In colours of style.css, which has them for both themes.
const COLOURS = HighlightStyle.define([
    {tag: [tags.keyword, tags.operatorKeyword, tags.controlKeyword, tags.definitionKeyword, tags.moduleKeyword],
        color: "var(--word)"},
    {tag: [tags.string, tags.special(tags.string)], color: "var(--string)"},
    {tag: [tags.number, tags.bool, tags.null], color: "var(--number)"},
    {tag: [tags.function(tags.definition(tags.variableName)), tags.className], color: "var(--name)"},
    {tag: tags.comment, color: "var(--quiet)", fontStyle: "italic"},
]);

// The line that a picture's box stands for: marked, while the cursor and the focus stay where they are.
const shown = StateEffect.define();
const SHOWN = StateField.define({
    create: () => Decoration.none,
    update(marks, transaction) {
        const found = transaction.effects.find(effect => effect.is(shown));
        if (!found) return marks.map(transaction.changes);
        return found.value === null ? Decoration.none
            : Decoration.set([Decoration.line({class: "cm-shown-line"}).range(found.value)]);
    },
    provide: field => EditorView.decorations.from(field),
});

export class Editor {
    // `changed(by)` is called after every change, with "hand", "undo" (or redo), or "page" after `text = ...`, which
    // undoing takes back, too.
    constructor(parent, changed) {
        this.changed = changed;
        this.extensions = [
            basicSetup, python(), indentUnit.of("    "), LOOK, SHOWN, syntaxHighlighting(COLOURS),
            autocompletion({activateOnTyping: false}),  // else Enter at the end of a line would take a completion
            keymap.of([indentWithTab]),  // after Escape, Tab leaves the editor
            EditorView.contentAttributes.of({"aria-label": "Program in Python", "aria-description": document.getElementById("keys").textContent}),
            EditorView.updateListener.of(update => { if (update.docChanged) this.changed(this.by(update)); }),
        ];
        this.view = new EditorView({
            root: parent.attachShadow({mode: "open", delegatesFocus: true}), parent: parent.shadowRoot,
            extensions: this.extensions,
        });
        this.view.dom.style.height = "100%";
    }

    by({transactions}) {
        if (this.setting) return "page";
        return transactions.some(one => one.isUserEvent("undo") || one.isUserEvent("redo")) ? "undo" : "hand";
    }

    get text() {
        return this.view.state.doc.toString();
    }

    set text(text) {
        this.setting = true;
        this.view.dispatch({changes: {from: 0, to: this.view.state.doc.length, insert: text}, selection: {anchor: 0},
            effects: shown.of(null), annotations: isolateHistory.of("full")});
        this.setting = false;
    }

    // Shows another text, whose history begins here: undoing leads back to no other one.
    open(text) {
        this.view.scrollDOM.scrollTo(0, 0);
        this.view.setState(EditorState.create({doc: text, extensions: this.extensions}));
    }

    // Returns the number in the line T = ... with its place; undefined without such a line. One in a text is none.
    steps() {
        const {state} = this.view, tree = ensureSyntaxTree(state, state.doc.length, LONG);
        const found = [...this.text.matchAll(STEPS)].find(
            ({index}) => tree?.resolveInner(index, 1).name === "VariableName");
        if (!found) return undefined;
        const [, before, text] = found, from = found.index + before.length;
        return {text, from, to: from + text.length};
    }

    replace(from, to, insert) {
        this.view.dispatch({changes: {from, to, insert}});
    }

    // Underlines lines, each with its message.
    mark(problems) {
        const {doc} = this.view.state;
        const found = problems.flatMap(({kind, text, lines}) => lines.filter(line => line >= 1 && line <= doc.lines)
            .map(line => ({from: doc.line(line).from, to: doc.line(line).to, severity: "error", message: `${kind}: ${text}`})));
        found.sort((a, b) => a.from - b.from);
        this.view.dispatch(setDiagnostics(this.view.state, found));
    }

    // Marks a line, or none for null. Only the editor scrolls to it: the page stays where the reader is.
    highlight(line) {
        const {doc} = this.view.state, {scrollDOM} = this.view;
        const from = line === null ? null : doc.line(Math.min(Math.max(line, 1), doc.lines)).from;
        this.view.dispatch({effects: shown.of(from)});
        if (from === null) return;
        const {top, bottom} = this.view.lineBlockAt(from), {scrollTop, clientHeight} = scrollDOM;
        if (top < scrollTop || bottom > scrollTop + clientHeight) scrollDOM.scrollTop = top - clientHeight / 2;
    }

    go(line) {
        const {doc} = this.view.state;
        const {from, to} = doc.line(Math.min(Math.max(line, 1), doc.lines));
        this.view.dispatch({selection: {anchor: from, head: to}, effects: EditorView.scrollIntoView(from, {y: "center"})});
        this.view.focus();
    }
}
