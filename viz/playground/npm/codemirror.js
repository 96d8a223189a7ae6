// Of CodeMirror all that the page uses; esbuild makes one module of it.
export {basicSetup, EditorView} from "codemirror";
export {autocompletion} from "@codemirror/autocomplete";
export {EditorState} from "@codemirror/state";
export {python} from "@codemirror/lang-python";
export {ensureSyntaxTree, HighlightStyle, indentUnit, syntaxHighlighting} from "@codemirror/language";
export {setDiagnostics} from "@codemirror/lint";
export {indentWithTab, isolateHistory} from "@codemirror/commands";
export {StateEffect, StateField} from "@codemirror/state";
export {Decoration, keymap} from "@codemirror/view";
export {tags} from "@lezer/highlight";
