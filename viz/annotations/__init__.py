"""What a picture shows besides the graph: values, gradients as colours, the loss, the parameters, a backward step.

May import minigrad, rnn, viz.render and viz.layout. In: a scene with its boxes, and the tensor of each. Out: the
same scene with annotations; norm(run["h"][3]) prints 2e-01, Scale(norms).fill(...) is "#FDBE6E".
"""
