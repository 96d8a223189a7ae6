"""A program of the page, run with a time limit."""
