"""Round with the second-order term: each rounding error is made up for by later columns.

The squared output error is (w - w*)' H (w - w*) + const for each output, H the mean of x x'
and w* its least-squares solution. Columns are rounded one after the other, each error spread
over those that are still free (OPTQ); then single integers are changed as long as that lowers
the error (coordinate descent), and the scale of each output is refitted in closed form.

Source: Frantar et al. 2023, "OPTQ", 3.1; Behdin et al. 2023, "QuantEase", algorithm 1.
"""

import numpy as np
from numpy.typing import NDArray

from octavo.passes.rounding.grid import WeightGrid
from octavo.passes.rounding.moments import Moments

DAMPING = 0.01  # of the mean of H's diagonal, as in OPTQ; keeps unseen directions at float
MAX_SWEEPS = 12  # the last changes of a sweep that ends here are below 1% of the error
MIN_REFITTED = 0.25  # a refitted scale stays within a factor of four of the first one

DoubleArray = NDArray[np.float64]
Integers = NDArray[np.int32]


def round_second_order(
    weight: NDArray[np.floating],
    moments: Moments,
    grid: WeightGrid,
    *,
    has_bias: bool,
    refit_scale: bool = False,
) -> tuple[Integers, WeightGrid]:
    """Choose integers that lower the output error on samples.

    Args:
        weight: Float weight, (G, O, K).
        moments: Of the inputs that the layer gets and the outputs that it should give.
        grid: The steps.
        has_bias: The bias takes whatever mean error is left.
        refit_scale: Choose the scale of each output as well.

    Returns:
        Integers (G, O, K) and the grid that they belong to.
    """
    hessian, target = _damped(weight, moments, has_bias=has_bias)
    solution = np.asarray(np.linalg.solve(hessian, target.transpose(0, 2, 1)), np.float64)
    q = _compensated(solution, hessian, grid)
    q = _descended(q, hessian, target, grid)
    if not refit_scale or not grid.is_per_output:
        return q, grid
    fitted = fit_scale(q, hessian, target, grid)
    q = _descended(fitted.nearest(grid.values(q)), hessian, target, fitted)
    return q, fit_scale(q, hessian, target, fitted)


def fit_scale(
    q: Integers, hessian: DoubleArray, target: DoubleArray, grid: WeightGrid
) -> WeightGrid:
    """The scale of each output with the least error for these integers: q't / q'Hq."""
    steps = q.astype(np.float64)
    curvature = np.einsum("gok,gok->go", steps @ hessian, steps)
    slope = np.einsum("gok,gok->go", steps, target)
    old = grid.scale[:, :, 0]
    fitted = np.where(curvature > 0, slope / np.where(curvature > 0, curvature, 1.0), old)
    kept = fitted.clip(old * MIN_REFITTED, old / MIN_REFITTED)
    return WeightGrid(kept[:, :, None], grid.qmax)


def _damped(
    weight: NDArray[np.floating], moments: Moments, *, has_bias: bool
) -> tuple[DoubleArray, DoubleArray]:
    hessian, target = moments.centred(has_bias=has_bias)
    diagonal = np.einsum("gkk->gk", hessian)
    # A group whose inputs never vary has no say; any positive number keeps its weights.
    damping = np.maximum(DAMPING * diagonal.mean(axis=1), 1e-12)
    hessian = hessian + damping[:, None, None] * np.eye(hessian.shape[1])
    return hessian, target + damping[:, None, None] * weight


def _compensated(solution: DoubleArray, hessian: DoubleArray, grid: WeightGrid) -> Integers:
    """Round column by column; ``solution`` is (G, K, O)."""
    left = solution.transpose(0, 2, 1).copy()
    num_columns = left.shape[2]
    # Columns of much power first, while there are others to make up for their errors.
    order = np.argsort(-np.einsum("gkk->gk", hessian).sum(axis=0), kind="stable")
    left = left[:, :, order]
    inverse = np.linalg.inv(hessian[:, order][:, :, order])
    # Row k of the upper factor is what a unit error of column k asks of the later columns.
    factor = np.linalg.cholesky(inverse).transpose(0, 2, 1)
    scale = np.broadcast_to(grid.scale, left.shape)[:, :, order]
    q = np.empty(left.shape, np.int32)
    for k in range(num_columns):
        steps = np.rint(left[:, :, k] / scale[:, :, k]).clip(-grid.qmax, grid.qmax)
        q[:, :, k] = steps
        error = (left[:, :, k] - steps * scale[:, :, k]) / factor[:, k, k, None]
        left[:, :, k + 1 :] -= error[:, :, None] * factor[:, k, None, k + 1 :]
    result = np.empty_like(q)
    result[:, :, order] = q
    return result


def _descended(
    q: Integers, hessian: DoubleArray, target: DoubleArray, grid: WeightGrid
) -> Integers:
    """Set one integer after the other to its best value given the others."""
    scale = np.broadcast_to(grid.scale, q.shape)
    steps = q.astype(np.float64)
    residual = target - (steps * scale) @ hessian  # minus half of the gradient
    for _ in range(MAX_SWEEPS):
        changed = False
        for k in range(q.shape[2]):
            best = steps[:, :, k] + residual[:, :, k] / (
                hessian[:, k, k, None] * scale[:, :, k]
            )
            chosen = np.rint(best).clip(-grid.qmax, grid.qmax)
            # A tie would move back and forth.
            chosen = np.where(np.abs(best - steps[:, :, k]) > 0.5, chosen, steps[:, :, k])
            delta = (chosen - steps[:, :, k]) * scale[:, :, k]
            if delta.any():
                changed = True
                residual -= delta[:, :, None] * hessian[:, None, k, :]
                steps[:, :, k] = chosen
        if not changed:
            break
    return steps.astype(np.int32)
