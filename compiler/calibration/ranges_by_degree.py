"""Observe the features of nodes by the degrees of the nodes that have them."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.node_degrees import NodeDegrees
from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.passes.observers.by_degree import DegreeObserver


def observe_by_degree(
    model: ir.Model,
    tensors: Iterable[ir.Value],
    samples: Iterable[Mapping[str, NDArray[Any]]],
    num_samples: int,
) -> dict[str, DegreeObserver]:
    """Run samples and observe every tensor that has nodes along its first axis.

    Args:
        model: The prepared float model.
        tensors: Of its graph.
        samples: One mapping from input name to array for each inference.
        num_samples: Stop after so many.

    Returns:
        An observer by tensor name; none for tensors without nodes.
    """
    degrees = NodeDegrees.of(model.graph)
    sizes = {value: degrees.size_of(value) for value in tensors}
    observers = {
        value.name or "": (DegreeObserver(), size)
        for value, size in sizes.items()
        if size is not None
    }
    if not observers:
        return {}
    wanted = [value for value, size in sizes.items() if size is not None]
    run = ReferenceRun(model, (*wanted, *degrees.origins))
    for sample in islice(samples, num_samples):
        arrays = run.run(sample)
        counts = degrees.count(arrays)
        for name, (observer, size) in observers.items():
            # Of nodes that are counted at run time, a sample has fewer than the model.
            observer.observe(arrays[name], counts[size][: len(arrays[name])])
    return {name: observer for name, (observer, _) in observers.items()}
