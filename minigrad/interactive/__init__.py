"""What a program shows in a notebook or a terminal: pictures and equations, progress bars, the start of `%debug`.

Imports nothing of minigrad: the packages above tell it what they have. Nothing here is needed to compute.
"""
