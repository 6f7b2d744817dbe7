"""Check that the shapes which a TFLite file declares are those that its operators compute.

The conversion relies on declared shapes, for the padding of a window as for the layout of an
operand. LiteRT computes them anew instead, so that files exist in which they are stale.
"""

import onnx

from octavo.compiler.importer.draft import Draft
from octavo.errors import ModelError

PRODUCER = "octavo.tflite"  # of models whose ``value_info`` holds the shapes of a TFLite file


def check_declared_shapes(model: onnx.ModelProto, draft: Draft) -> None:
    """Compare the shapes that came with a converted model with those that were inferred.

    Args:
        model: As ``read_tflite`` wrote it; models from elsewhere are not looked at.
        draft: The same model, with all types known.

    Raises:
        ModelError: A tensor has another shape than the file says.
    """
    if model.producer_name != PRODUCER:
        return
    for info in (*model.graph.value_info, *model.graph.output):
        declared = tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)
        known = draft.types.get(info.name)
        if known is not None and known.shape != declared:
            raise ModelError(
                f"tensor '{info.name}' has shape {list(declared)} in the file, but its "
                f"operator computes {list(known.shape)}"
            )
