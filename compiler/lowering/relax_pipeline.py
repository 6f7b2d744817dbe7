"""From a small ONNX model to a Relax module whose ``main`` is a straight line of calls."""

import io
import re
from contextlib import redirect_stdout
from typing import Any

import onnx

from octavo.errors import LoweringError

_NODE_ERROR = re.compile(r"[^\n]*(?:not supported|not implemented|Unsupported)[^\n]*", re.I)


def straight_line(model: onnx.ModelProto, tvm_target: dict[str, object]) -> Any:
    """Import a model into Relax and turn every operator into calls of TIR functions.

    Args:
        model: Static shapes; constants are initializers.
        tvm_target: ``Target.tvm_target()``; only its kind and CPU matter here.

    Returns:
        An IRModule: ``main`` allocates tensors and calls PrimFuncs with them.

    Raises:
        LoweringError: TVM has no converter or no legalization for an operator.
    """
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    try:
        # It prints what it cannot convert, in the middle of what the command prints.
        with redirect_stdout(io.StringIO()):
            module = from_onnx(model, keep_params_in_input=False)
        target = tvm.target.Target(dict(tvm_target))
        with target, tvm.transform.PassContext(opt_level=3):
            return tvm.transform.Sequential(
                [
                    relax.transform.DecomposeOpsForInference(),
                    relax.transform.FoldConstant(),
                    relax.transform.LegalizeOps(),
                    relax.transform.AnnotateTIROpPattern(),
                    relax.transform.FuseOps(),
                    relax.transform.FuseTIR(),
                    relax.transform.DeadCodeElimination(),
                    relax.transform.ToNonDataflow(),
                    relax.transform.RemovePurityChecking(),
                    relax.transform.CallTIRRewrite(),
                ]
            )(module)
    # The converters raise whatever Python raises on a case that their author did not think of.
    except Exception as error:
        raise LoweringError(f"{_describe(model)}: {_reason(error)}") from error


def _describe(model: onnx.ModelProto) -> str:
    nodes = [f"{node.op_type} {node.name!r}" for node in model.graph.node]
    shown = ", ".join(nodes[:3])
    return shown if len(nodes) <= 3 else f"{shown} and {len(nodes) - 3} more"


def _reason(error: Exception) -> str:
    text = str(error).strip()
    found = _NODE_ERROR.search(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    chosen = found.group(0).strip() if found else (lines[-1] if lines else "no message")
    return f"no float implementation ({type(error).__name__}: {chosen[:200]})"
