"""Pages of the examples: directives for the list of topics and for the examples of a topic, from their docstrings."""

from __future__ import annotations

import os
import re
import textwrap
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

from examples import index


def setup(app: Any) -> dict[str, bool]:
    """Add the directives."""
    app.add_directive("topics", Topics)
    app.add_directive("topic-examples", TopicExamples)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Topics(SphinxDirective):
    """All topics: a link to the page of each, its paragraph, and its examples with links."""

    def run(self) -> list[Any]:
        found = []
        for topic in index.topics():
            listed = nodes.bullet_list("", *(self.entry(example) for example in topic.examples))
            title = nodes.inline("", topic.text.splitlines()[0].rstrip("."))
            heading = nodes.paragraph("", "", nodes.strong("", "", link("doc", topic.name, title, self.env.docname)))
            found += [heading, paragraph(topic.about), listed]
        return found

    def entry(self, example: index.Example) -> Any:
        """Return an item of the list, such as "adding, 5 s: The adding problem: ..."."""
        name = nodes.literal("", example.name)
        text = nodes.paragraph("", "", link("ref", label(example), name, self.env.docname))
        text += nodes.Text(f", {example.time}: {example.summary}")
        return nodes.list_item("", text)


class TopicExamples(SphinxDirective):
    """The examples of a topic: for each its text, its command, its time and its picture."""

    required_arguments = 1

    def run(self) -> list[Any]:
        topic = next(topic for topic in index.topics() if topic.name == self.arguments[0])
        return [paragraph(topic.about), *map(self.section, topic.examples)]

    def section(self, example: index.Example) -> Any:
        """Return the section of one example."""
        title, _, rest = example.summary.partition(": ")
        self.env.note_dependency(str(example.file))
        self.env.get_domain("std").note_hyperlink_target(label(example), self.env.docname, example.name, title)
        made = nodes.section("", nodes.title("", title.rstrip(".")), ids=[example.name], names=[example.name])
        if rest:
            made += nodes.paragraph("", "", nodes.emphasis("", rest[0].upper() + rest[1:]))
        made += [formula(block) if block.startswith(index.INDENT) else paragraph(block) for block in example.about]
        made += [paragraph(block) for block in (*example.claims, example.measured) if block]
        command = nodes.literal_block("", re.sub(r"\s*\[.*", "", example.command), language="sh")
        file = example.file.relative_to(index.FOLDER.parent).as_posix()
        made += [command, paragraph(f"{example.time}: `{file}`"), self.picture(example)]
        return made

    def picture(self, example: index.Example) -> Any:
        """Return the stored picture of an example."""
        folder = os.path.dirname(self.env.doc2path(self.env.docname))
        uri = os.path.relpath(example.stored, folder).replace(os.sep, "/")
        return nodes.image(uri=uri, alt=f"{example.name}: {example.summary}")


def label(example: index.Example) -> str:
    """Return the name of the section of an example for links."""
    return f"example-{example.name}"


def link(kind: str, target: str, text: Any, docname: str) -> Any:
    """Return a link from a page to another page (doc) or to a section (ref)."""
    return addnodes.pending_xref("", text, refdomain="std", reftype=kind, reftarget=target, refdoc=docname,
                                 refexplicit=True, refwarn=True)


def paragraph(text: str) -> Any:
    """Return a paragraph of plain text with `code` in it; --slow and other options keep their two hyphens."""
    parts = re.split(r"`([^`]+)`", " ".join(text.split()))
    return nodes.paragraph("", "", *(nodes.literal("", part) if number % 2 else nodes.Text(part)
                                     for number, part in enumerate(parts)), support_smartquotes=False)


def formula(block: str) -> Any:
    """Return an indented block as it is written."""
    return nodes.literal_block("", textwrap.dedent(block), language="text")
