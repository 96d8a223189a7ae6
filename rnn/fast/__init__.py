"""The backend "numba" of compiled programs. It needs Numba and SciPy: the extra `fast`."""
