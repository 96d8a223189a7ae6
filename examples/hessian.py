"""Derivatives of derivatives: a Hessian, and its product with a vector without the Hessian.

    python -m examples.hessian

f(x) = log(sum(exp(A x))) is convex, so that all eigenvalues of its Hessian are at least 0. Time: 1 s.
"""

import numpy as np

import minigrad as mg

rng = np.random.default_rng(0)
A = rng.normal(size=(5, 3))
x = mg.Tensor(rng.normal(size=3), requires_grad=True, name="x")
f = mg.logsumexp(A @ x)

# create_graph records the derivative as it is computed: it is a Tensor, and can be differentiated again.
slope = mg.grad(f, x, create_graph=True)
hessian = np.array([mg.grad(slope[i], x) for i in range(3)])
print("the Hessian, a row for each component of the slope:")
print(hessian.round(4))
print("its eigenvalues:", np.linalg.eigvalsh(hessian).round(4))

# Pearlmutter, Fast exact multiplication by the Hessian (Neural Computation 6, 1994): H v is the
# gradient of slope · v, at the cost of one more backward pass.
v = rng.normal(size=3)
product = mg.grad((slope * v).sum(), x)
print("H v directly:    ", product.round(6))
print("H v from H and v:", (hessian @ v).round(6))

if not np.allclose(product, hessian @ v):
    raise SystemExit("they differ")
