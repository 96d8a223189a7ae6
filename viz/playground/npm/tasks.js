// Tasks in Markdown become HTML, their formulas MathML: each NAME.md of this folder a NAME.html.
import {readdirSync, readFileSync, writeFileSync} from "node:fs";
import {marked} from "marked";
import temml from "temml";

// TeX between dollars: two make a formula of its own line.
function formula(name, level, begin, pattern) {
    return {
        name, level,
        start: text => text.match(begin)?.index,
        tokenizer(text) {
            const found = pattern.exec(text);
            return found ? {type: name, raw: found[0], tex: found[1]} : undefined;
        },
        renderer: ({tex}) => temml.renderToString(tex.trim(), {displayMode: level === "block"}),
    };
}

const escaped = text => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
marked.use({
    extensions: [formula("formula", "block", /^\$\$/m, /^\$\$([^$]+)\$\$(?:\n+|$)/),
        formula("symbol", "inline", /\$/, /^\$([^$]+)\$/)],
    renderer: {html: ({text}) => escaped(text)},  // a task is no page: markup in it is text
});
for (const name of readdirSync(".").filter(name => name.endsWith(".md")))
    writeFileSync(name.replace(/md$/, "html"), marked.parse(readFileSync(name, "utf-8")));
