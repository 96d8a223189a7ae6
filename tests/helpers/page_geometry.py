"""The visible parts of a page, measured in the browser: texts and controls that overlap, are cut off, or are small.

Each script returns a list of sentences; it is empty where all is well.
"""

from __future__ import annotations

# The visible part of an element or text: its rectangle within those of all ancestors that clip it.
VISIBLE = """
    const clip = (box, from) => {
        let {left, top, right, bottom} = box;
        for (let e = from; e && e !== document.documentElement; e = e.parentElement) {
            const style = getComputedStyle(e);
            if (style.visibility === 'hidden' || style.display === 'none' || style.clipPath !== 'none') return null;
            if (style.display === 'contents' || style.overflow === 'visible' || e === document.body) continue;
            const outer = e.getBoundingClientRect();
            [left, top] = [Math.max(left, outer.left), Math.max(top, outer.top)];
            [right, bottom] = [Math.min(right, outer.right), Math.min(bottom, outer.bottom)];
        }
        return right - left > 1 && bottom - top > 1 ? {left, top, right, bottom} : null;
    };
    const texts = () => {
        const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const node = walker.currentNode, parent = node.parentElement;
            const hidden = 'script, style, noscript, select, datalist, svg, title';
            if (!node.data.trim() || parent.closest(hidden)) continue;
            const range = document.createRange();
            range.selectNodeContents(node);
            for (const box of range.getClientRects()) {
                const seen = clip(box, parent);
                if (seen) found.push({node, owner: parent, whole: box, seen, name: node.data.trim().slice(0, 40)});
            }
        }
        return found;
    };
    const name = e => `<${e.tagName.toLowerCase()} ${e.id || e.getAttribute('aria-label') || e.innerText}>`;
    const controls = () => [...document.querySelectorAll('button, input, select, summary, [role=option], a')]
        .filter(e => !e.hidden).map(e => ({owner: e, whole: e.getBoundingClientRect(), name: name(e)}))
        .map(item => ({...item, seen: clip(item.whole, item.owner)})).filter(item => item.seen);
"""

OVERLAPS = f"""(() => {{ {VISIBLE}
    const items = [...texts(), ...controls()], found = [];
    items.forEach((a, i) => items.slice(i + 1).forEach(b => {{
        if (a.owner === b.owner || a.owner.contains(b.owner) || b.owner.contains(a.owner)) return;
        const wide = Math.min(a.seen.right, b.seen.right) - Math.max(a.seen.left, b.seen.left);
        const tall = Math.min(a.seen.bottom, b.seen.bottom) - Math.max(a.seen.top, b.seen.top);
        if (wide > 1 && tall > 2) found.push(`${{a.name}} lies over ${{b.name}}`);
    }}));
    return found; }})()"""

# Texts that end at an edge. Those in a pane that scrolls can be read; names in rows are shortened, with a tooltip.
CUT = f"""(() => {{ {VISIBLE}
    const found = [];
    for (const text of texts()) {{
        if (text.owner.closest('.what, .code') || (text.owner.closest('.param b') || {{}}).title) continue;
        if (text.whole.right > text.seen.right + 1 || text.whole.left < text.seen.left - 1)
            found.push(`${{text.name}} is cut at the side`);
    }}
    return found; }})()"""

PARTS = ["header", "#tools", "main", "#steps", "#lower", "#map", "#shared", "#panel", "#foot", "#legend"]
WIDER = f"""(() => {{
    const found = [], width = innerWidth;
    if (document.documentElement.scrollWidth > width) found.push(`the page: ${{document.documentElement.scrollWidth}}`);
    for (const name of {PARTS}) {{
        const e = document.querySelector(name), right = e.getBoundingClientRect().right;
        if (e.clientWidth && e.scrollWidth > e.clientWidth + 1) found.push(`${{name}} holds ${{e.scrollWidth}}`);
        if (right > width + 1) found.push(`${{name}} ends at ${{right}}`);
    }}
    return found; }})()"""

# WCAG 2.2, criterion 2.5.8: at least 24 by 24 pixels. The slider's thumb is the browser's own.
SMALL = f"""(() => {{ {VISIBLE}
    const cells = [...document.querySelectorAll('.cell')]
        .map(e => ({{owner: e, whole: e.getBoundingClientRect(), name: 'a cell'}}));
    return [...controls(), ...cells].filter(item => item.whole.height < 23.5 || item.whole.width < 23.5)
        .map(item => `${{item.name}} is ${{item.whole.width}} by ${{item.whole.height}}`); }})()"""
