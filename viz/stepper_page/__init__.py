"""`viz.stepper`: a backward pass recorded into one offline HTML page.

    viz.stepper(loss, "steps.html")   # loss -> Recording (numbers) + Tape (scene) -> SVG + JSON -> one file

`recording` runs the pass under the debugger's timeline, `scene` places a box for every tensor, `svg` draws the
scene, and `page` inserts both into page.html, page.css and page.js. Imports pictures, annotations, layout,
render, and of minigrad the debugger.
"""
