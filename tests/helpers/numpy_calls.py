"""CALLS: calls of the NumPy functions that are compositions, as (function, arguments, options).

The arrays of floats among the arguments, also inside of lists, are made Tensors that require a gradient.
"""

import numpy as np
from operation_cases import regular, spread, symmetric

V, W5 = spread((4,)), spread((5,), seed=1)
X, Y = spread((3, 4)), spread((3, 4), seed=1)
A = regular((3, 3))
STACK = spread((2, 3, 4))
ABOVE = spread((3, 4), 0.3, 2.0)
GAPS = np.where(np.arange(12).reshape(3, 4) % 5 == 1, np.nan, X)
TIES = np.array([1.0, 3.0, 2.0, 5.0, 4.0])
MASK = X > 0

REDUCTIONS = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}]
CALLS = [
    # each element
    (np.deg2rad, [X], {}), (np.radians, [X], {}), (np.rad2deg, [X], {}), (np.degrees, [X], {}), (np.sinc, [X], {}),
    (np.round, [X], {}), (np.round, [X, 1], {}), (np.around, [X], {"decimals": 1}), (np.fix, [X], {}),
    (np.divmod, [spread((3,), 1.1, 1.9), spread((3,), 0.6, 0.7)], {}), (np.conjugate, [X], {}), (np.real, [X], {}),
    (np.nan_to_num, [X], {}), (np.nan_to_num, [np.array([np.nan, 1.0, np.inf, -np.inf])], {"nan": 2.0, "posinf": 3.0}),
    # reductions
    *[(function, [x], options) for function, x in (
        (np.ptp, X), (np.average, X), (np.median, X), (np.nansum, GAPS), (np.nanprod, GAPS), (np.nanmean, GAPS),
        (np.nanvar, GAPS), (np.nanstd, GAPS), (np.nanmax, GAPS), (np.nanmin, GAPS)) for options in REDUCTIONS],
    (np.median, [spread((3, 3))], {"axis": (0, 1)}), (np.median, [STACK], {"axis": (0, -1), "keepdims": True}),
    (np.nanvar, [GAPS], {"ddof": 1, "axis": 1}), (np.nanstd, [GAPS], {"ddof": 1}),
    (np.average, [X], {"weights": ABOVE}), (np.average, [X], {"axis": 1, "weights": spread((4,), 0.3, 1.0)}),
    (np.average, [X, -1, ABOVE], {"keepdims": True}), (np.average, [X, -1, ABOVE, True], {}),
    (np.average, [X], {"returned": True}), (np.average, [X, 0], {"returned": True}),
    (np.average, [STACK], {"axis": (2, 0), "weights": spread((4, 2), 0.3, 1.0)}),
    (np.quantile, [X, 0.3], {}), (np.quantile, [X, [0.0, 0.35, 1.0]], {"axis": 1}),
    (np.quantile, [STACK, [[0.1], [0.9]]], {"axis": (0, 1), "keepdims": True}), (np.percentile, [X, 40], {"axis": 0}),
    (np.trapezoid, [X], {}), (np.trapezoid, [X], {"dx": 0.5, "axis": 0}),
    (np.trapezoid, [X, np.sort(V)], {}), (np.trapezoid, [X, np.sort(Y)], {}),
    (np.cov, [X], {}), (np.cov, [X, Y], {}), (np.cov, [X], {"rowvar": False, "bias": True}), (np.cov, [V], {"ddof": 0}),
    (np.corrcoef, [X], {}), (np.corrcoef, [V, spread((4,), seed=2)], {}), (np.corrcoef, [X[:2]], {"rowvar": True}),
    # along an axis
    (np.cumprod, [X], {}), (np.cumprod, [X, -1], {}), (np.nancumsum, [GAPS], {"axis": 1}), (np.nancumsum, [GAPS], {}),
    (np.nancumprod, [GAPS], {"axis": 0}), (np.diff, [X], {}), (np.diff, [X], {"n": 2, "axis": 0}),
    (np.diff, [X], {"n": 0}), (np.diff, [X], {"prepend": 0.0, "append": Y[:, :2]}), (np.ediff1d, [X], {}),
    (np.sort, [X], {}), (np.sort, [X, 0], {}), (np.sort, [X, None], {}), (np.sort, [X], {"kind": "stable"}),
    (np.roll, [X, 1], {}), (np.roll, [X, -2, 1], {}), (np.roll, [X, (1, 7), (0, 1)], {}),
    (np.roll, [X, 3, (0, -1)], {}),
    *[(function, [a, b, mode], {}) for function in (np.convolve, np.correlate) for mode in ("full", "same", "valid")
      for a, b in ((W5, V), (V, W5), (W5, V[:3]), (W5, V[:1]))],
    (np.convolve, [V, W5], {}), (np.correlate, [W5, V], {}),
    (np.interp, [np.array([-0.5, 0.3, 0.9, 2.2, 7.0]), np.array([0.0, 1.0, 2.5, 4.0]), V], {}),
    (np.interp, [np.array([[-0.5, 0.3], [4.5, 1.0]]), np.array([0.0, 1.1, 2.5, 4.0]), V], {"left": -1.0, "right": 9.0}),
    (np.interp, [np.array([0.3, 1.7]), np.array([1.0]), np.array([2.0])], {}),
    (np.polyval, [V, X], {}), (np.polyval, [V[:1], 2.0], {}),
    # selecting
    (np.select, [[MASK, X > -1], [X, Y]], {}), (np.select, [[MASK], [X], Y], {}), (np.select, [[MASK], [X]], {}),
    (np.compress, [[True, False, True], X], {"axis": 0}), (np.compress, [[False, True], X], {}),
    (np.extract, [MASK, X], {}), (np.delete, [X, 1, 0], {}), (np.delete, [X, [0, 2], -1], {}), (np.delete, [X, 5], {}),
    (np.delete, [X, slice(1, 3), 1], {}), (np.insert, [X, 1, Y[0], 0], {}), (np.insert, [X, 1, Y[:, 0], 1], {}),
    (np.insert, [V, [0, 4], W5[:2]], {}), (np.insert, [X, [1, 3], Y[:, :2], 1], {}), (np.insert, [X, 2, 7.0], {}),
    (np.insert, [X, 1, Y[:2, :3], 1], {}), (np.insert, [V, slice(1, 3), 9.0], {}), (np.insert, [X, -1, Y[:2], 0], {}),
    (np.diagonal, [X], {}), (np.diagonal, [X, 1], {}), (np.diagonal, [X, -1], {}), (np.diagonal, [X, 5], {}),
    (np.diagonal, [STACK, 1, 0, 2], {}), (np.diagonal, [STACK], {"axis1": -1, "axis2": 0}),
    (np.diag, [X], {}), (np.diag, [V], {}), (np.diag, [V, -2], {}), (np.diag, [X, 1], {}),
    (np.diagflat, [X[:2], 1], {}),
    (np.trace, [X], {}), (np.trace, [STACK, 1, 1, 2], {}), (np.trace, [STACK], {"offset": -1}),
    (np.tril, [X], {}), (np.tril, [STACK, -1], {}), (np.triu, [X, 1], {}), (np.triu, [STACK], {}),
    # products
    (np.inner, [X, Y], {}), (np.inner, [V, V], {}), (np.inner, [2.0, X], {}), (np.inner, [STACK, V], {}),
    (np.vdot, [X, Y], {}), (np.tensordot, [X, X.T, 1], {}), (np.tensordot, [X, Y], {}), (np.tensordot, [V, V, 0], {}),
    (np.tensordot, [STACK, X, ([1, 2], [0, 1])], {}), (np.tensordot, [STACK, STACK], {"axes": (-1, -1)}),
    (np.kron, [X, V], {}), (np.kron, [X[:2], STACK], {}), (np.kron, [2.0, X], {}),
    (np.cross, [spread((4, 3)), spread((3,), seed=1)], {}), (np.cross, [X, Y, 0, 0, 0], {}),
    (np.cross, [X, Y], {"axis": 0}),
    # shapes
    (np.copy, [X], {}), (np.full_like, [X, np.array(2.0)], {}), (np.full_like, [X, V], {"shape": (2, 4)}),
    (np.broadcast_arrays, [X, V, 1.0], {}), (np.meshgrid, [V, W5], {}),
    (np.meshgrid, [V, W5, V[:2]], {"indexing": "ij"}),
    (np.meshgrid, [V, W5], {"sparse": True}), (np.meshgrid, [V], {}), (np.matrix_transpose, [STACK], {}),
    (np.fliplr, [X], {}), (np.flipud, [X], {}), *[(np.rot90, [STACK, k, (2, 0)], {}) for k in range(-1, 4)],
    (np.rot90, [X], {}), *[(function, [x], {}) for function in (np.atleast_1d, np.atleast_2d, np.atleast_3d)
                           for x in (V[0, None].reshape(()), V, X, STACK)], (np.atleast_2d, [X, V], {}),
    (np.append, [X, Y], {}), (np.append, [X, Y, 0], {}), (np.append, [V, 2.0], {}),
    (np.column_stack, [[V, W5[:4]]], {}),
    (np.column_stack, [[X, V[:3]]], {}), (np.dstack, [[X, Y]], {}), (np.dstack, [[V, V]], {}),
    (np.block, [[[X, Y[:, :1]], [V, V[:1]]]], {}), (np.block, [[V, 2.0]], {}), (np.block, [X], {}),
    (np.array_split, [X, 3, 1], {}), (np.array_split, [X, [1, 5]], {}), (np.hsplit, [X, 2], {}),
    (np.hsplit, [V, [1]], {}),
    (np.vsplit, [X, [1]], {}), (np.dsplit, [STACK, 2], {}),
    (np.resize, [X, (2, 7)], {}), (np.resize, [V, 3], {}),
    # linear algebra
    (np.linalg.inv, [A], {}), (np.linalg.inv, [regular((2, 3, 3))], {}), (np.linalg.solve, [A, X], {}),
    (np.linalg.solve, [A, V[:3]], {}), (np.linalg.solve, [regular((2, 3, 3)), STACK], {}),
    (np.linalg.solve, [regular((2, 3, 3)), V[:3]], {}), (np.linalg.det, [A], {}),
    (np.linalg.det, [regular((2, 3, 3))], {}),
    (np.linalg.slogdet, [A], {}), (np.linalg.slogdet, [-regular((2, 3, 3))], {}),
    (np.linalg.svd, [A], {}), (np.linalg.svd, [X], {"full_matrices": False}),
    (np.linalg.svd, [X], {"compute_uv": False}),
    (np.linalg.pinv, [X], {}), (np.linalg.pinv, [STACK], {}),
    *[(np.linalg.matrix_power, [A / 3, n], {}) for n in (-2, -1, 0, 1, 2, 3, 5)],
    (np.linalg.multi_dot, [[X, X.T, A]], {}), (np.linalg.multi_dot, [[V, X.T, A, V[:3]]], {}),
    *[(np.linalg.norm, [X, ord, axis], {}) for ord in (None, 1, 2, 3, 0.5, -1, np.inf, -np.inf, 0) for axis in (0, -1)],
    *[(np.linalg.norm, [X, ord], {"keepdims": True}) for ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)],
    (np.linalg.norm, [STACK, "nuc", (2, 0)], {}), (np.linalg.norm, [STACK, 1, (0, 2)], {"keepdims": True}),
    (np.linalg.norm, [V, 4], {}), (np.linalg.norm, [X], {}),
    # names of NumPy 2.0
    (np.linalg.svdvals, [X], {}), (np.linalg.vector_norm, [X], {}), (np.linalg.vector_norm, [X], {"ord": 3, "axis": 1}),
    (np.linalg.matrix_norm, [STACK], {}), (np.linalg.matrix_norm, [STACK], {"ord": "nuc", "keepdims": True}),
    (np.linalg.trace, [STACK], {"offset": 1}), (np.linalg.diagonal, [STACK], {}), (np.linalg.outer, [V, W5], {}),
    (np.linalg.cross, [X, Y], {"axis": 0}), (np.linalg.matmul, [X, X.T], {}), (np.linalg.matrix_transpose, [STACK], {}),
    (np.linalg.tensordot, [X, X.T], {"axes": 1}), (np.linalg.vecdot, [X, Y], {"axis": 0}),
]
# They take the symmetric part of a matrix, so that their derivatives are checked behind one.
SYMMETRIC = [
    (np.linalg.cholesky, [symmetric((3, 3))], {}), (np.linalg.cholesky, [symmetric((2, 3, 3))], {}),
    (np.linalg.eigh, [symmetric((3, 3))], {}), (np.linalg.eigh, [symmetric((2, 3, 3))], {}),
    (np.linalg.eigvalsh, [symmetric((3, 3))], {"UPLO": "U"}),
]
# Newer than NumPy 2.0: the name, and the call.
for _name, _arguments, _options in [
        ("cumulative_sum", [X], {"axis": 1}), ("cumulative_sum", [V], {"include_initial": True}),
        ("cumulative_prod", [X], {"axis": 0, "include_initial": True}), ("cumulative_prod", [V], {}),
        ("unstack", [X], {"axis": 1}),
        ("astype", [X, np.float64], {})]:
    if hasattr(np, _name):
        CALLS.append((getattr(np, _name), _arguments, _options))


def with_arrays(arguments, replace):
    """Return arguments with each array of floats replaced, also inside of lists."""
    return [with_arrays(x, replace) if isinstance(x, list) else
            replace(x) if isinstance(x, np.ndarray) and x.dtype == float else x for x in arguments]


def parts_of(result):
    """Return the arrays or tensors of a result."""
    return list(result) if isinstance(result, (list, tuple)) else [result]


def name_of(case):
    function, arguments, options = case
    shapes = []
    with_arrays(arguments, lambda x: shapes.append("x".join(map(str, x.shape)) or "()"))
    rest = [str(x) for x in arguments if isinstance(x, (int, float, str, tuple))]
    return f"{function.__name__} {'·'.join(shapes)} {' '.join(rest)} {' '.join(map(str, options))}".strip()
