"""Compilation of a recurrence to machine code by Numba; needs the extra `fast`."""
