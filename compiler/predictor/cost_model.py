"""A sum of what a kernel does, each with a fitted price: the part that extrapolates.

Trees know nothing beyond the sizes that they have seen. Prices do: twice the work costs about
twice the time. So the trees only correct what this model says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MIN_CALLS = 5  # of one form or kernel, for prices of its own
RIDGE = 1e-3  # of the scale of a term: of two terms that grow together, both get a part
FASTEST_US = 0.02  # what a call takes at least, so that logarithms exist


@dataclass(frozen=True)
class CostModel:
    """Prices of the terms by kernel.

    Attributes:
        prices: By form and by kernel, (terms,) microseconds for a thousand, >= 0.
        others: Prices of what is not among them.
    """

    prices: dict[str, FloatArray]
    others: FloatArray

    def latency_us(
        self, forms: Sequence[str], kernels: Sequence[str], terms: FloatArray
    ) -> FloatArray:
        """Sum the prices.

        Args:
            forms: Of each call; those of one that is known count.
            kernels: Of each call; they count otherwise.
            terms: (calls, terms), see ``cost_terms``.

        Returns:
            (calls,) microseconds, > 0.
        """
        prices = np.array([
            self.prices.get(form, self.prices.get(kernel, self.others))
            for form, kernel in zip(forms, kernels, strict=True)])
        return np.asarray(np.maximum((prices * terms).sum(axis=1), FASTEST_US))


def fit_cost_model(
    forms: Sequence[str], kernels: Sequence[str], terms: FloatArray, latencies_us: FloatArray,
    weights: FloatArray,
) -> CostModel:
    """Find the prices with the least relative errors, squared.

    Args:
        forms: Of each call.
        kernels: Of each call.
        terms: (calls, terms).
        latencies_us: (calls,), > 0.
        weights: (calls,), >= 0.
    """
    prices = {
        name: _prices(terms[mask], latencies_us[mask], weights[mask])
        for names in (kernels, forms)
        for name in dict.fromkeys(names)
        if (mask := np.array(names) == name).sum() >= MIN_CALLS
    }
    return CostModel(prices, _prices(terms, latencies_us, weights))


def _prices(terms: FloatArray, latencies_us: FloatArray, weights: FloatArray) -> FloatArray:
    from scipy.optimize import nnls

    root = np.sqrt(weights / weights.sum())[:, None]
    rows = terms / latencies_us[:, None] * root
    scale = np.maximum(np.sqrt((rows**2).sum(axis=0)), 1e-12)
    ridge = np.eye(terms.shape[1]) * np.sqrt(RIDGE)
    wanted = np.concatenate([root[:, 0], np.zeros(terms.shape[1])])
    found, _ = nnls(np.concatenate([rows / scale, ridge]), wanted)
    return np.asarray(found / scale, np.float64)
