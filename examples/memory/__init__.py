"""Memory: how long a network remembers, and what its gradients have to do with it.

Tasks with a known distance between a cause and its effect, for several cells and initialisations.
"""
