"""The page in which a backward pass is stepped through.

May import minigrad with its debugger, and all of viz. In: a loss. Recording runs its backward pass, BackwardScene
draws every tensor that it passes, Drawing writes the scene as SVG. Out: one HTML file, which needs no network.
"""
