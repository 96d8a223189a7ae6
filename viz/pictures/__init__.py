"""The kinds of pictures: rolled, unrolled, both, graph, gradient_map and diff, one module each.

May import minigrad, rnn and the other folders of viz except stepper_page. In: a Cell, a run or a tensor. Out: a
Picture, a graphviz.Digraph whose `.source` has a line per box, such as `s1_3 [... label="h[3]" pos="442.6,66"]`.
"""
