"""Annotations of a graph: values, gradients as colours, the loss, the parameters, a backward step.

May import minigrad, rnn, viz.render and viz.layout. In: a scene with its boxes, and the tensor of each. Out: the
same scene with annotations: a box whose gradient has the norm 0.2 says "|g| 2.1e−01" or is filled with "#FEDFAE".
"""
