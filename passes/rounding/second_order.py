"""Round with the second-order term: each rounding error is made up for by later columns.

The squared output error is (w - w*)' H (w - w*) + const for each output, H the mean of x x'
and w* its least-squares solution. Columns are rounded one after the other, each error spread
over those that are still free (OPTQ); then single integers are changed as long as that lowers
the error (coordinate descent), and the scale of each output is refitted in closed form.

Source: Frantar et al. 2023, "OPTQ", 3.1; Behdin et al. 2023, "QuantEase", algorithm 1.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from octavo.passes.rounding.grid import WeightGrid
from octavo.passes.rounding.moments import Moments

# Of the mean of H's diagonal; keeps directions that samples say little about at float. The
# first is OPTQ's. What is right depends on samples, positions and columns, and on how far w*
# is from w: it is a matter of trying, judged by samples set aside.
DAMPINGS = (0.01, 0.1, 1.0)
MIN_DAMPING = 1e-12
# Products of float32 are rounded: where inputs hardly vary, what is left of H is smaller than
# this share of their power, and may be of any sign.
GRAM_ROUNDING = 2.0**-22
MAX_SWEEPS = 2  # later ones lower the error by less than 1%, and no noise of networks
MIN_REFITTED = 0.25  # a refitted scale stays within a factor of four of the first one
# Columns whose errors go to all later columns together, as one matrix product (OPTQ, 3.3).
BLOCK = 32

DoubleArray = NDArray[np.float64]
Integers = NDArray[np.int32]


class SecondOrder:
    """The squared output error of one layer around its least-squares solution.

    Integers can be chosen for any number of grids; what they have in common is computed once.
    Arrays inside are (G, K, O), columns sorted by falling power.
    """

    def __init__(
        self,
        weight: NDArray[np.floating],
        moments: Moments,
        *,
        has_bias: bool,
        damping: float = DAMPINGS[0],
    ) -> None:
        """Take a layer.

        Args:
            weight: Float weight, (G, O, K).
            moments: Of the inputs that the layer gets and the outputs that it should give.
            has_bias: The bias takes whatever mean error is left.
            damping: Share of the mean of H's diagonal that is added to it, and of w to w*.
        """
        hessian, target = moments.centred(has_bias=has_bias)
        diagonal = np.einsum("gkk->gk", hessian)
        # A group whose inputs never vary has no say; any positive number keeps its weights.
        power = np.einsum("gkk->g", moments.gram)
        least = np.maximum(GRAM_ROUNDING * power, MIN_DAMPING)
        added = np.maximum(damping * diagonal.mean(axis=1), least)[:, None]
        # Columns of much power first, while there are others to make up for their errors.
        self._order = np.argsort(-diagonal.sum(axis=0), kind="stable")
        self._hessian = hessian[:, self._order][:, :, self._order]
        np.einsum("gkk->gk", self._hessian)[:] += added
        damped = target + added[:, :, None] * weight
        self._target = damped.transpose(0, 2, 1)[:, self._order]
        self._factor = _factor_of_inverse(self._hessian)
        self._solution: DoubleArray = self._factor.transpose(0, 2, 1) @ (
            self._factor @ self._target
        )

    def round(
        self, grid: WeightGrid, *, refit_scale: bool = False
    ) -> tuple[Integers, WeightGrid]:
        """Choose integers that lower the output error on samples.

        Args:
            grid: The steps.
            refit_scale: Choose the scale of each output as well.

        Returns:
            Integers (G, O, K) and the grid that they belong to.
        """
        scale = self._sorted(grid.scale)
        steps = self._compensated(scale, grid.qmax)
        product = self._hessian @ (steps * scale)
        if refit_scale and grid.is_per_output:
            fitted = self._fitted_scale(steps, product / scale, scale, scale)
            steps, product = self._descended(
                steps, fitted, product * (fitted / scale), grid.qmax
            )
            fitted = self._fitted_scale(steps, product / fitted, fitted, scale)
            grid = WeightGrid(fitted.transpose(0, 2, 1), grid.qmax)
        else:
            steps, _ = self._descended(steps, scale, product, grid.qmax)
        q = np.empty((steps.shape[0], steps.shape[2], steps.shape[1]), np.int32)
        q[:, :, self._order] = steps.transpose(0, 2, 1)
        return q, grid

    def _sorted(self, scale: DoubleArray) -> DoubleArray:
        """Scales (G, O, K) or (G, O, 1) in the order of the columns."""
        columns = scale.transpose(0, 2, 1)
        return columns if columns.shape[1] == 1 else columns[:, self._order]

    def _compensated(self, scale: DoubleArray, qmax: int) -> DoubleArray:
        """Round column after column, each error made up for by those after it."""
        left = self._solution.copy()
        steps = np.empty_like(left)
        num_columns = left.shape[1]
        for start in range(0, num_columns, BLOCK):
            stop = min(start + BLOCK, num_columns)
            errors = np.empty((left.shape[0], stop - start, left.shape[2]))
            for k in range(start, stop):
                step = scale[:, min(k, scale.shape[1] - 1)]
                rounded = np.rint(left[:, k] / step).clip(-qmax, qmax)
                steps[:, k] = rounded
                row = self._factor[:, k]
                error = (left[:, k] - rounded * step) / row[:, k, None]
                errors[:, k - start] = error
                left[:, k + 1 : stop] -= row[:, k + 1 : stop, None] * error[:, None, :]
            later = self._factor[:, start:stop, stop:].transpose(0, 2, 1)
            left[:, stop:] -= later @ errors
        return steps

    def _descended(
        self, steps: DoubleArray, scale: DoubleArray, product: DoubleArray, qmax: int
    ) -> tuple[DoubleArray, DoubleArray]:
        """Set one integer after the other to its best value given the others.

        ``product`` is H times the values of ``steps``; both come back as they are then.
        """
        steps = steps.copy()
        diagonal = np.einsum("gkk->gk", self._hessian)
        residual = self._target - product  # minus half of the gradient
        for _ in range(MAX_SWEEPS):
            changed = False
            for start in range(0, steps.shape[1], BLOCK):
                stop = min(start + BLOCK, steps.shape[1])
                near = residual[:, start:stop].copy()
                moved = np.zeros_like(near)
                for k in range(start, stop):
                    step = scale[:, min(k, scale.shape[1] - 1)]
                    best = steps[:, k] + near[:, k - start] / (diagonal[:, k, None] * step)
                    delta = np.rint(best).clip(-qmax, qmax) - steps[:, k]
                    # A tie would move back and forth.
                    delta[np.abs(best - steps[:, k]) <= 0.5] = 0.0
                    if delta.any():
                        steps[:, k] += delta
                        moved[:, k - start] = delta * step
                        row = self._hessian[:, k, start:stop]
                        near -= row[:, :, None] * moved[:, None, k - start]
                if moved.any():
                    changed = True
                    residual -= self._hessian[:, :, start:stop] @ moved
            if not changed:
                break
        return steps, self._target - residual

    def _fitted_scale(
        self, steps: DoubleArray, product: DoubleArray, old: DoubleArray, first: DoubleArray
    ) -> DoubleArray:
        """The scale of each output with the least error for its integers: q't / q'Hq.

        ``product`` is H times ``steps``.
        """
        curvature = np.einsum("gko,gko->go", steps, product)
        slope = np.einsum("gko,gko->go", steps, self._target)
        best = slope / np.where(curvature > 0, curvature, 1.0)
        fitted = np.where(curvature > 0, best, old[:, 0])
        low, high = first[:, 0] * MIN_REFITTED, first[:, 0] / MIN_REFITTED
        return np.asarray(fitted.clip(low, high)[:, None])


def _factor_of_inverse(hessian: DoubleArray) -> DoubleArray:
    """The upper R of inv(H) = R'R: row k is what a unit error of column k asks of later ones.

    Of H backwards = LL' it is the inverse of L, backwards.
    """
    lower = np.linalg.cholesky(hessian[:, ::-1, ::-1])
    if len(lower) == 1:
        # A third of the work of an inverse that knows of no triangle.
        inverse = lapack.dtrtri(lower[0], lower=1)[0][None]
    else:
        inverse = np.linalg.inv(lower)
    return np.ascontiguousarray(inverse[:, ::-1, ::-1])
