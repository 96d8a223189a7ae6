"""Painting: a scene (boxes, arrows, frames and texts with positions) becomes DOT text, and that a picture.

    scene = Scene("two boxes", boxes=[Box("a", 0, 0, 46, 30, "h[1]", palette.STATE), ...])
    picture(scene).render(outfile="two.svg")

`scene` holds the parts and their geometry, `digraph` writes DOT, `rasterize` runs Graphviz; `fonts` and
`palette` serve all of viz. The package imports no other part of viz, and of minigrad only `files`.
"""
