"""The float graph before quantization: fewer, larger operators with the same function."""

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.passes.fold_batch_norm import FoldBatchNorm
from octavo.passes.fold_leading_batch_norm import FoldLeadingBatchNorm
from octavo.passes.fold_scale_shift import FoldScaleShift
from octavo.passes.fold_weight_dequantize import FoldWeightDequantize
from octavo.passes.fuse_activations import FuseActivations
from octavo.passes.fuse_layer_norm import FuseLayerNorm
from octavo.passes.move_score_scale import MoveScoreScale
from octavo.passes.multiply_scores import MultiplyScores
from octavo.passes.normalize_gemm import NormalizeGemm
from octavo.passes.replace_batch_norm import ReplaceBatchNorm
from octavo.passes.separate_gathers import SeparateGathers

PREPARATION: tuple[type[ir.passes.InPlacePass], ...] = (
    FoldWeightDequantize,
    FuseLayerNorm,
    # Before scales are folded: x + 3 belongs to hard-swish, not to the convolution.
    FuseActivations,
    MoveScoreScale,
    NormalizeGemm,
    FoldBatchNorm,
    FoldScaleShift,
    # A normalization behind a folded Mul or Add has become foldable.
    FoldBatchNorm,
    FoldLeadingBatchNorm,
    # What no layer could take.
    ReplaceBatchNorm,
    # Graph networks: scores by products, and features that a kernel gathers itself.
    MultiplyScores,
    SeparateGathers,
    RemoveUnusedNodesPass,
)


def prepare(model: ir.Model) -> ir.Model:
    """Run every preparation pass in order, in place."""
    for make_pass in PREPARATION:
        make_pass()(model)
    return model
