"""Computation: what a recurrent network can compute.

A recurrence that is a stack machine, a machine with counters, and networks that learn small automata from
examples.
"""
