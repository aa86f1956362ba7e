"""How far a computed singular value may be off.

LAPACK reduces a matrix to bidiagonal form by Householder reflections, 2·min(m, n) of length at most
max(m, n), each of which moves it by γ_{c·max(m, n)}·‖M‖_F at most, c a small integer (Higham,
"Accuracy and Stability of Numerical Algorithms", 2nd ed., theorem 19.4); then singular values of
the bidiagonal matrix are found to a relative 69·min(m, n)²·2u at worst (Demmel and Kahan, "Accurate
singular values of bidiagonal matrices", 1990). With c = 10 that is below 200·m·n·u·‖M‖_F, which
leaves 40·u of it for the rounding of ‖M‖_F and of what is done with the values. What it really is,
is some u·‖M‖₂.
"""

from __future__ import annotations

from convlin.numerics.roundoff import DOUBLE

__all__ = ["svd_error"]


def svd_error(rows: int, columns: int, frobenius: float) -> float:
    """Return how far the computed singular values of a matrix of that norm may be off, at most.

    >>> svd_error(64, 64, 1.0) < 1e-10
    True
    """
    return 200 * rows * columns * DOUBLE * frobenius
