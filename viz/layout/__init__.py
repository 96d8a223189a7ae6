"""Positions: the step graph of a definition, its layout, and the routes of edges between time steps.

May import minigrad, rnn and viz.render. In: `h[t] = np.tanh(W @ x[t] + U @ h[t-1])`. step_graph() gives the
parts x (layer 0) and h (layer 1), and the edges x -> h (delay 0, through W) and h -> h (delay 1, through U).
Out: StepLayout puts x at (0, 0) and h above it; UnrolledLayout repeats that in a column for each time step. A layer,
signals with a common prefix (`grouping`), has rows of its own and a frame (`nested`), or is one box (`levels`).

The graph of any tensor has a layout of its own: `blocks` divides tensors by their time steps, `graph_layout` gives them
layers, `page` places blocks and the boxes in them (`straight` keeps chains straight), `page_routes` leads edges from
block to block on `tracks`.
"""
