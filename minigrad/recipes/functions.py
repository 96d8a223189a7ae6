"""What to write in the place of a NumPy or SciPy function that has no derivative here: the text of errors."""

from __future__ import annotations

COMPLEX = "Its results are complex numbers, which have no gradient here. Real and imaginary parts are products: " \
          "angles = 2 * np.pi * np.outer(np.arange(n), np.arange(n)) / n, then np.cos(angles) @ x, -np.sin(angles) @ x"
IN_PLACE = "It changes its operand, which derivatives need. np.where and np.concatenate make new arrays"
INTEGERS = "It is for integers. Call it on an array of integers"
SAVE = "mg.save(path, {'W': W}) writes tensors, and mg.load reads them"
EDGES = "Its bins jump with the values. Call it on x.data"

# A name that ends in a dot stands for all functions of that module.
NUMPY: dict[str, str] = {
    "np.fft.": COMPLEX,
    "np.linalg.eig": "Eigenvalues may be complex. For a symmetric matrix write np.linalg.eigh(A)",
    "np.linalg.eigvals": "Eigenvalues may be complex. For a symmetric matrix write np.linalg.eigvalsh(A)",
    "np.linalg.qr": "Write R = np.linalg.cholesky(A.T @ A).T, and np.linalg.solve(R.T, A.T).T for Q",
    "np.linalg.lstsq": "Write np.linalg.pinv(A) @ b for the solution",
    "np.linalg.cond": "Write s = np.linalg.svdvals(A), then s[0] / s[-1]",
    "np.linalg.tensorinv": "Write np.linalg.inv(a.reshape(n, n)).reshape(...)",
    "np.linalg.tensorsolve": "Write np.linalg.solve(a.reshape(n, n), b.ravel()).reshape(...)",
    "np.sort_complex": "Write np.sort(x)",
    "np.partition": "Write np.sort(x), which has all elements in order",
    "np.unique": "Write x[np.unique(x.data, return_index=True)[1]]",
    "np.unique_values": "Write x[np.unique(x.data, return_index=True)[1]]",
    "np.unique_counts": "Write x[np.unique(x.data, return_index=True)[1]]",
    "np.unique_inverse": "Write x[np.unique(x.data, return_index=True)[1]]",
    "np.unique_all": "Write x[np.unique(x.data, return_index=True)[1]]",
    "np.union1d": "Write np.concatenate, and x[np.unique(x.data, return_index=True)[1]]",
    "np.intersect1d": "Write x[np.isin(x, y)]",
    "np.setdiff1d": "Write x[~np.isin(x, y)]",
    "np.gradient": "Write (x[2:] - x[:-2]) / 2 for the inner points, and x[1] - x[0] at an end",
    "np.vander": "Write x[:, None] ** np.arange(n - 1, -1, -1)",
    "np.polyfit": "Write np.linalg.pinv(V) @ y, with V = x[:, None] ** np.arange(degree, -1, -1)",
    "np.polyadd": "Coefficients are added by +, after np.concatenate with zeros in front of the shorter ones",
    "np.polysub": "Coefficients are subtracted by -, after np.concatenate with zeros in front of the shorter ones",
    "np.polymul": "Write np.convolve(a, b)",
    "np.polyder": "Write p[:-1] * np.arange(len(p) - 1, 0, -1)",
    "np.polyint": "Write np.concatenate([p / np.arange(len(p), 0, -1), [0.0]])",
    "np.roots": "The roots of a polynomial may be complex numbers, which have no gradient here",
    "np.poly": "Multiply the factors by np.convolve",
    "np.modf": "Write x - np.trunc(x) and np.trunc(x)",
    "np.ldexp": "Write x * 2.0 ** n",
    "np.frexp": "Write np.floor(np.log2(abs(x))) for the exponent",
    "np.float_power": "Write x ** y",
    "np.angle": "Real numbers have the angle 0 or pi: write np.where(x < 0, np.pi, 0.0)",
    "np.imag": "The imaginary part of real numbers is np.zeros(x.shape)",
    "np.real_if_close": "The numbers are real: write x",
    "np.unwrap": "Write x + 2 * np.pi * k with k computed from x.data",
    "np.piecewise": "Write np.select(conditions, [f(x), g(x)])",
    "np.choose": "Write np.select([index == 0, index == 1], [a, b])",
    "np.apply_along_axis": "Write np.stack([f(row) for row in x])",
    "np.apply_over_axes": "Pass several axes at once, as in x.sum(axis=(0, 1))",
    "np.rollaxis": "Write np.moveaxis(x, axis, start)",
    "np.trim_zeros": "Write x[start:stop]",
    "np.nanmedian": "Write np.median(x[~np.isnan(x)])",
    "np.nanquantile": "Write np.quantile(x[~np.isnan(x)], q)",
    "np.nanpercentile": "Write np.percentile(x[~np.isnan(x)], q)",
    "np.linspace": "Write a + (b - a) * np.linspace(0, 1, n)",
    "np.logspace": "Write 10.0 ** (a + (b - a) * np.linspace(0, 1, n))",
    "np.geomspace": "Write a * (b / a) ** np.linspace(0, 1, n)",
    "np.lib.stride_tricks.sliding_window_view": "Write x[np.arange(n - w + 1)[:, None] + np.arange(w)]",
    "np.lib.stride_tricks.as_strided": "Write x[index] with an array of indices",
    "np.histogram": EDGES, "np.histogram2d": EDGES, "np.histogramdd": EDGES, "np.histogram_bin_edges": EDGES,
    "np.bincount": "Write np.eye(n)[labels].T @ weights for weights with a gradient",
    "np.copyto": IN_PLACE, "np.put": IN_PLACE, "np.place": IN_PLACE, "np.putmask": IN_PLACE,
    "np.fill_diagonal": "It changes its operand. Write np.where(np.eye(n, dtype=bool), value, x)",
    "np.put_along_axis": IN_PLACE,
    "np.bitwise_and": INTEGERS, "np.bitwise_or": INTEGERS, "np.bitwise_xor": INTEGERS, "np.invert": INTEGERS,
    "np.left_shift": INTEGERS, "np.right_shift": INTEGERS, "np.gcd": INTEGERS, "np.lcm": INTEGERS,
    "np.packbits": INTEGERS, "np.unpackbits": INTEGERS, "np.bitwise_count": INTEGERS,
    "np.save": SAVE, "np.savez": SAVE, "np.savez_compressed": SAVE, "np.savetxt": SAVE,
    # ufuncs of scipy.special
    "the ufunc expit": "Write mg.sigmoid(x)",
    "the ufunc log_expit": "Write -mg.softplus(-x)",
    "the ufunc logit": "Write np.log(p) - np.log1p(-p)",
    "the ufunc softplus": "Write mg.softplus(x)",
    "the ufunc xlogy": "Write mg.where(x == 0, 0.0, x * np.log(mg.where(x == 0, 1.0, y)))",
    "the ufunc xlog1py": "Write mg.where(x == 0, 0.0, x * np.log1p(mg.where(x == 0, 0.0, y)))",
    "the ufunc exp10": "Write 10.0 ** x",
    "the ufunc erf": "Write np.tanh(2 / np.sqrt(np.pi) * (x + 0.08943 * x ** 3)), which is within 4e-4 of it",
    "the ufunc ndtr": "Write mg.sigmoid(np.sqrt(8 / np.pi) * (x + 0.044715 * x ** 3)), which is within 2e-4 of it",
}


def recipe_for(name: str) -> str:
    """Return the recipe for a NumPy function, by its name in messages; "" if there is none."""
    return NUMPY.get(name) or NUMPY.get(name[:name.rfind(".") + 1], "")
