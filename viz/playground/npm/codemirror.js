// Of CodeMirror all that the page uses; esbuild makes one module of it.
export {basicSetup, EditorView} from "codemirror";
export {EditorState} from "@codemirror/state";
export {python} from "@codemirror/lang-python";
export {HighlightStyle, indentUnit, syntaxHighlighting} from "@codemirror/language";
export {setDiagnostics} from "@codemirror/lint";
export {isolateHistory} from "@codemirror/commands";
export {StateEffect, StateField} from "@codemirror/state";
export {Decoration} from "@codemirror/view";
export {tags} from "@lezer/highlight";
