"""The metadata of a painted file: title and description of an SVG, title and date of a PDF.

Graphviz writes the keys of boxes as titles into an SVG, and the time of painting into a PDF.
"""

from __future__ import annotations

import gzip
import os
import re
from datetime import datetime, timezone
from html import escape

from .typography import printable

CLUSTER = re.compile(r'(class="cluster">\s*<title>)[^<]*(</title>.*?<text [^>]*>)([^<]*)', re.DOTALL)
TITLE = re.compile(r'(class="(?:graph|node|edge)"[^>]*>\s*)<title>[^<]*</title>\n?')
EMPTY = re.compile(r'(class="node">\s*<g [^>]*><a [^>]*>\s*<(?:path|polygon|ellipse) )fill="none"')
TRAILER = re.compile(rb"trailer\s*<<(?P<entries>.*?)>>\s*startxref\s*(?P<start>\d+)\s*%%EOF\s*$", re.DOTALL)
EPOCH = "SOURCE_DATE_EPOCH"


def finish(content: bytes, format: str, title: str, alt: str) -> bytes:
    """Return a painted picture with its title and description, and without the time at which it was painted.

    Raises:
        ValueError: if the environment variable SOURCE_DATE_EPOCH is no number of seconds.
    """
    kind = format.lower().partition(":")[0]
    if kind in ("svg", "svg_inline"):
        return _describe_svg(content.decode(), title, alt).encode()
    if kind == "svgz":
        return gzip.compress(_describe_svg(gzip.decompress(content).decode(), title, alt).encode(), mtime=0)
    if kind == "pdf":
        return _with_information(content, title, _date())
    if kind in ("ps", "ps2", "eps"):
        return re.sub(rb"(?m)^(%%CreationDate: ).*$", rb"\g<1>" + f"{_date():%c}".encode(), content)
    return content


def _describe_svg(svg: str, title: str, alt: str) -> str:
    """Return an SVG as one image with a title and a description; those of frames are their captions.

    Boxes and arrows keep the texts that are shown beside the mouse, also where a box has no fill. (SVG Accessibility
    API Mappings, W3C)
    """
    parts = "".join(f"\n<{tag}>{escape(printable(text), quote=False)}</{tag}>"
                    for tag, text in (("title", title), ("desc", alt)) if text)
    svg = EMPTY.sub(r'\1fill="transparent"', TITLE.sub(r"\1", CLUSTER.sub(r"\1\3\2\3", svg)))
    return re.sub(r"<svg ([^>]*)>", lambda root: f'<svg {root[1]} role="img">{parts}', svg, count=1)


def _date() -> datetime:
    """Return the date that files give: that of SOURCE_DATE_EPOCH (reproducible-builds.org), or 1970."""
    seconds = os.environ.get(EPOCH, "0")
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"the environment variable {EPOCH} is {seconds!r}: it must be a number of seconds since "
                         "1970, or not set") from None


def _with_information(pdf: bytes, title: str, date: datetime) -> bytes:
    """Return a PDF with a title and a date in its information object; what follows it moves (ISO 32000-1, 7.5.4).

    In a PDF with compressed cross references only a date that isn't compressed is replaced.
    """
    day = f"{date:%Y%m%d%H%M%S}".encode()
    trailer = TRAILER.search(pdf)
    number = re.search(rb"/Info (\d+) 0 R", trailer["entries"]) if trailer else None
    info = re.search(rb"(?m)^%s 0 obj\s*<<(.*?)>>" % number[1], pdf, re.DOTALL) if number else None
    if trailer is None or info is None:
        return re.sub(rb"(?<=Date \(D:)\d{14}", day, pdf)
    text = b"\xfe\xff" + printable(title).encode("utf-16-be")
    entries = re.sub(rb"Date \([^)]*\)", b"Date (D:%sZ)" % day, info[1].strip())
    new = b"%s /Title <%s>\n   %s\n" % (pdf[:info.start(1)], text.hex().encode(), entries)
    start, moved = int(trailer["start"]), len(new) - info.end(1)
    references = re.sub(rb"(?m)^(\d{10})(?= \d{5} n)", lambda place: b"%010d" % (
        int(place[1]) + moved * (int(place[1]) > info.end(1))), pdf[start:])
    references = re.sub(rb"startxref\s+\d+", b"startxref\n%d" % (start + moved), references)
    return new + pdf[info.end(1):start] + references
