"""The most layers in each format that true evaluations allow, by bisection along an order.

For each level of formats, from mild to deep, the layers are ordered by what they are expected
to lose, and the longest beginning of that order is sought whose loss is within the limit. That
the loss grows with the beginning is an assumption. It is checked once at the end of a level.

Source: Schaefer et al., Augmented Hessians, 2023 (bisection along an order of sensitivity,
corrected with how errors of layers combine); what is evaluated, and the check, are our own.
"""

from collections.abc import Callable, Generator, Mapping, Sequence

from octavo.compiler.search.ask_tell import Solver
from octavo.compiler.search.problem import C, Configuration, Evaluation, Problem

Order = Callable[[Configuration[C], C], Sequence[str]]


def bisect(
    problem: Problem[C], start: Configuration[C], levels: Sequence[C], order: Order[C]
) -> Solver[C]:
    """Move the longest beginning of an order to a format, then to the next one.

    With L layers, a level takes ceil(log2(L + 1)) evaluations and one for the check. The start
    is evaluated only where nothing else was allowed. An evaluation that failed is not allowed.

    Args:
        problem: Its limits are on what is evaluated.
        start: The configuration to begin with: float, 16 bits or 8 bits.
        levels: Formats, the mildest first.
        order: From the configuration so far and a level to the layers that may move to it, the
            least harmful first. Called once for each level, so that costs can be those of what
            is left, given what has moved.

    Returns:
        A solver that asks for one configuration at a time. Its result is what was measured
        within the limits, the deepest first: the next one is there for whom the first one
        disappoints on other data. Empty if not even the start is within them.

    Raises:
        ValueError: An order has a layer twice, or one that the level is no choice of.
    """
    state: Configuration[C] = dict(start)
    allowed: list[Evaluation[C]] = []
    for level in levels:
        layers = _checked(problem, level, order(state, level))
        measured: dict[int, Evaluation[C]] = {}  # by the number of layers that have moved
        low, high = 0, len(layers)
        while low < high:
            middle = (low + high + 1) // 2
            measured[middle] = yield from _measure(_moved(state, layers[:middle], level))
            if _is_allowed(problem, measured[middle]):
                low = middle
            else:
                high = middle - 1
        if low > 1 and low - 1 not in measured:
            measured[low - 1] = yield from _measure(_moved(state, layers[: low - 1], level))
        good = [n for n, e in sorted(measured.items()) if _is_allowed(problem, e)]
        if low - 1 in measured and low - 1 not in good:
            # With one layer less the loss was above the limit: that it is not now is chance.
            # Back to the next beginning that was measured.
            good = [n for n in good if n < low]
        if good:
            state = _moved(state, layers[: good[-1]], level)
            allowed += [measured[n] for n in good]
    if not allowed:
        evaluation = yield from _measure(state)
        allowed = [evaluation] if _is_allowed(problem, evaluation) else []
    return tuple(reversed(allowed))


def order_by_marginal_loss(
    losses: Mapping[str, float],
    couplings: Mapping[tuple[str, str], float],
    moved: Sequence[str] = (),
) -> list[str]:
    """Order layers so that each adds the least loss to those before it.

    A layer i after the layers S adds L(i) + sum over j in S of D(i, j), where D(i, j) =
    L(i, j) - L(i) - L(j) + L(0) is what two layers lose together beyond what they lose alone.

    Args:
        losses: L(i) - L(0) of each layer that is ordered.
        couplings: D of pairs, either way round; 0 where there is none.
        moved: Layers that are in the format already.

    Returns:
        All layers of ``losses``; of equal ones, the first in their order.
    """
    pairs = {frozenset(pair): value for pair, value in couplings.items()}
    added = {
        layer: loss + sum(pairs.get(frozenset((layer, other)), 0.0) for other in moved)
        for layer, loss in losses.items()
    }
    ordered: list[str] = []
    while added:
        best = min(added, key=lambda layer: added[layer])
        ordered.append(best)
        del added[best]
        for layer in added:
            added[layer] += pairs.get(frozenset((layer, best)), 0.0)
    return ordered


def _measure(
    configuration: Configuration[C],
) -> Generator[Sequence[Configuration[C]], Sequence[Evaluation[C]], Evaluation[C]]:
    (evaluation,) = yield [configuration]
    return evaluation


def _moved(state: Configuration[C], layers: Sequence[str], level: C) -> dict[str, C]:
    return {**state, **dict.fromkeys(layers, level)}


def _is_allowed(problem: Problem[C], evaluation: Evaluation[C]) -> bool:
    return evaluation.error is None and problem.excess(evaluation) == 0


def _checked(problem: Problem[C], level: C, layers: Sequence[str]) -> Sequence[str]:
    if len(set(layers)) != len(layers):
        raise ValueError(f"order of {level}: a layer comes twice in {[*layers]}")
    for layer in layers:
        if level not in problem.choices.get(layer, ()):
            raise ValueError(f"order of {level}: no choice of layer {layer!r}")
    return layers
