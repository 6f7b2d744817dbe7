"""What a model consists of: operators, shapes, multiply-accumulates, bytes of parameters."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.pipeline import import_request
from octavo.compiler.importer.request import make_request

if TYPE_CHECKING:
    import onnx_ir as ir

    from octavo.compiler.importer.shapes import InputShape

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TensorSummary:
    """A tensor: its name, numpy dtype name and static shape."""

    name: str
    dtype: str
    shape: Shape


@dataclass(frozen=True)
class NodeSummary:
    """One node.

    Attributes:
        name: Unique name of the node.
        op_type: ONNX operator.
        inputs: Its inputs without the absent ones.
        outputs: Its outputs without the unused ones.
        macs: Multiply-accumulates of one run.
        parameter_bytes: Bytes of the constants that it reads; shared ones count each time.
    """

    name: str
    op_type: str
    inputs: tuple[TensorSummary, ...]
    outputs: tuple[TensorSummary, ...]
    macs: int
    parameter_bytes: int


@dataclass(frozen=True)
class ModelSummary:
    """A model as imported.

    Attributes:
        name: Name of the graph.
        opset: Opset of ai.onnx after import.
        inputs: Graph inputs in order.
        outputs: Graph outputs in order.
        nodes: Nodes in topological order.
        macs: Sum over the nodes.
        num_parameters: Elements of all constants, each counted once.
        parameter_bytes: Bytes of all constants, each counted once.
    """

    name: str
    opset: int
    inputs: tuple[TensorSummary, ...]
    outputs: tuple[TensorSummary, ...]
    nodes: tuple[NodeSummary, ...]
    macs: int
    num_parameters: int
    parameter_bytes: int

    def op_counts(self) -> dict[str, int]:
        """Return how often each operator occurs, the most frequent first."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            counts[node.op_type] = counts.get(node.op_type, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def inspect_model(
    model: "ir.Model | str | os.PathLike[str]",
    *,
    shapes: "Mapping[str, InputShape] | None" = None,
    maxima: Mapping[str, int] | None = None,
    allow_external_data: bool = False,
    limits: Limits | None = None,
    isolated: bool | None = None,
) -> ModelSummary:
    """Summarize a model.

    Args:
        model: An imported model, or a file: a file is imported without loading ``onnx_ir``,
            which is what lets ``octavo inspect`` answer at once.
        shapes: For a file: static shapes of inputs, as in ``import_model``.
        maxima: For a file: largest sizes of dimensions; their inputs are not shown.
        allow_external_data: For a file, as in ``import_model``.
        limits: For a file, as in ``import_model``.
        isolated: For a file, as in ``import_model``.

    Raises:
        ModelError: The file cannot be imported.
    """
    if isinstance(model, str | os.PathLike):
        request = make_request(
            model,
            shapes=shapes,
            maxima=maxima,
            allow_external_data=allow_external_data,
            limits=limits,
            find_varying=False,
        )
        draft = import_request(request, isolated).draft
        from octavo.compiler.importer.summarize import summarize_draft

        return summarize_draft(draft)
    from octavo.compiler.importer.summarize import summarize_model

    return summarize_model(model)
