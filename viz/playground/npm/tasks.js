// Tasks in Markdown become HTML, their formulas MathML: each NAME.md of this folder a NAME.html.
import {readdirSync, readFileSync, writeFileSync} from "node:fs";
import MarkdownIt from "markdown-it";
import texmath from "markdown-it-texmath";
import temml from "temml";

const markdown = new MarkdownIt({html: false}).use(texmath, {engine: temml, delimiters: "dollars"});
for (const name of readdirSync(".").filter(name => name.endsWith(".md")))
    writeFileSync(name.replace(/md$/, "html"), markdown.render(readFileSync(name, "utf-8")));
