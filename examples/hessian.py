"""Derivatives of derivatives: a Hessian, and its product with a vector without the Hessian.

    python -m examples.hessian [--seed 0] [--out out/hessian]

f(x) = log(sum(exp(A x))) is convex, so that all eigenvalues of its Hessian are at least 0. Its gradient, the slope, is
recorded as it is computed, and so can be differentiated again: the product of the Hessian H with a vector v is the
gradient of slope · v, at the cost of one more backward pass (Pearlmutter, Fast exact multiplication by the Hessian,
Neural Computation 6, 1994). The picture shows f along the eigenvectors of the largest and of the smallest eigenvalue.

Picture: curvature.png. Time: 1 s.
"""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from examples import common

LINE = np.linspace(-1.5, 1.5, 61)  # steps from x


def f(A: NDArray[Any], x: Any) -> Any:
    """Return log(sum(exp(A x))); x may have further axes behind the first."""
    return mg.logsumexp(A @ x, axis=0)


def draw(options: common.Options, A: NDArray[Any], x: NDArray[Any], slope: NDArray[Any], hessian: NDArray[Any]) -> None:
    """Draw f along the directions of the largest and the smallest curvature, and the parabolas that touch it."""
    values, directions = np.linalg.eigh(hessian)
    height = float(f(A, x).item())
    with common.axes(options.out / "curvature.png", ylabel="f(x + s v)",
                     xlabel="step s along an eigenvector v of the Hessian H, of length 1",
                     title="The Hessian gives the parabola that touches f, in each direction") as axes:
        for which, color in ((-1, common.COLORS[0]), (0, common.COLORS[1])):
            v = directions[:, which]
            axes.plot(LINE, f(A, x[:, None] + np.outer(v, LINE)).data, color=color, linewidth=2,
                      label=f"f, along the eigenvalue {values[which]:.3f}")
            axes.plot(LINE, height + LINE * (slope @ v) + LINE ** 2 / 2 * (v @ hessian @ v), "--", color=color,
                      label="f + s slope · v + s²/2 vᵀ H v")


def example(options: common.Options) -> None:
    """Compute the Hessian, its eigenvalues, and its product with a vector in two ways."""
    rng = options.rng
    A = rng.normal(size=(5, 3))
    x = mg.Tensor(rng.normal(size=3), requires_grad=True, name="x")

    # create_graph records the derivative as it is computed: it is a Tensor, and can be differentiated again.
    slope = mg.grad(f(A, x), x, create_graph=True)
    hessian = np.array([mg.grad(slope[i], x) for i in range(3)])
    print("the Hessian, a row for each component of the slope:")
    print(hessian.round(4))
    print("its eigenvalues:", np.linalg.eigvalsh(hessian).round(4))

    v = rng.normal(size=3)
    product = mg.grad((slope * v).sum(), x)
    print("H v directly:    ", product.round(6))
    print("H v from H and v:", (hessian @ v).round(6))
    if not np.allclose(product, hessian @ v):
        raise SystemExit("they differ")
    draw(options, A, x.data, slope.data, hessian)


if __name__ == "__main__":
    sys.exit(common.Parser("hessian", "A Hessian, and its product with a vector without the Hessian.").run(example))
