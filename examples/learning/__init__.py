"""Learning rules: backpropagation through time and its alternatives.

The same gradient computed otherwise, approximately, or on other machines.
"""
