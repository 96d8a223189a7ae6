"""Probability: Markov chains, hidden Markov models and Kalman filters as recurrences.

Each filter is a definition; its likelihood is differentiated through time, and its numbers are compared with
those of a textbook.
"""
