"""Every path multiplies with the instructions that its level is named for."""

import re
from dataclasses import replace

import pytest

from octavo.compiler.artifact.native_code import native_code
from octavo.targets import TARGETS
from octavo.targets.instructions import isa_of
from octavo.targets.library import select
from octavo.targets.ops.attention import Attention
from octavo.targets.ops.bfloat16_conv import bfloat16_conv
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.matmul import MatMul
from octavo.targets.ops.requantize import Requantize

PAD = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}
HEADS = ((3,), 197, 197, 64, (64, 192), (64, 1, 192), (197 * 197, 197), *(197 * 192,) * 2,
         3 * 197 * 197)
OPERATIONS = {
    "1x1": Conv(1, 28, 28, 128, 128),
    "1x1 strided": Conv(1, 28, 28, 256, 128, 1, 1, 2, 2),
    "3x3": Conv(1, 28, 28, 64, 64, 3, 3, **PAD),
    "3x3 strided, residual": Conv(
        1, 29, 29, 64, 64, 3, 3, 2, 2, requantize=Requantize(residual="uint8")),
    "first layer": Conv(1, 224, 224, 3, 64, 7, 7, 2, 2, 1, 1, 3, 3, 3, 3),
    "linear": Conv(1, 1, 197, 192, 576, requantize=Requantize(mode="dyadic")),
    "attention": Attention(
        (3,), 197, 197, 64, 64, (64, 192), (64, 1, 192), (64, 192, 1), (64, 192),
        *(197 * 192,) * 4),
    "product": MatMul(*HEADS),
    "signed product": MatMul(*HEADS, a_dtype="int8", b_dtype="int8"),
}
# Multiplications of 8-bit operands, in the assembler's words, by target.
PRODUCTS = {
    "x86-64": r"\tpmaddwd\t.*%xmm",
    "x86-64-avx2": r"\tvpmaddwd\t.*%ymm",
    "x86-64-avxvnni": r"\tvpdpbusd\t.*%ymm",
    "x86-64-cascade-lake": r"\tvpdpbusd\t.*%zmm",
    "x86-64-avx512vnni": r"\tvpdpbusd\t.*%zmm",
    "x86-64-avx512bf16": r"\tvpdpbusd\t.*%zmm",
    "x86-64-amx": r"\ttdpbusd\t%tmm\d, %tmm\d, %tmm\d",
    "arm64-neon": r"(?s)\tsmlal2?\tv\d+\.8h.*\tsadalp\tv\d+\.4s, v\d+\.8h",
    "arm64-dotprod": r"\tsdot\tv\d+\.4s, v\d+\.16b, v\d+\.4b\[[0-3]\]",
    "armv7-neon": r"(?s)\tvmull\.s8\tq.*\tvpadal\.s16\tq",
    "riscv64-rvv": r"\tvwmacc(us|su)?\.v[vx]\tv\d+",
    "arm64-i8mm": r"\tusmmla\tv\d+\.4s, v\d+\.16b, v\d+\.16b",
}
HVX = r"\tv\d+\.w \+= vrmpy\(v\d+\.ub,v\d+\.b\)"
PRODUCTS |= {f"hexagon-{version}": HVX for version in ("v66", "v68", "v73")}
FAMILIES = ("x86-64", "arm64", "armv7", "riscv64", "hexagon")
# Vector floats of Hexagon have other numbers than those of IEEE 754.
VECTOR_FLOAT = r"\bv\d+(:\d+)?\.(qf|sf|hf)"
# Two products of activations, which may both be -128, do not fit 16 bits together.
PAIRWISE = r"(?s)\tsmull2?\tv\d+\.8h.*\tsadalp\tv\d+\.4s, v\d+\.8h"
SIGNED_TILES = r"\ttdpbssd\t%tmm\d, %tmm\d, %tmm\d"
# Sums of pairs that saturate 16 bits depend on the data (octavo.targets.x86.multiply_pairs).
INEXACT = r"pmaddubsw"


def assembly(op, target, kernel=None):
    """Assembler of a kernel, by default of the one that serves ``op``."""
    import tvm

    isa = isa_of(target)
    function = (kernel or select(op, isa)).build(op, isa)
    machine = tvm.target.Target(target.tvm_target())
    alignments = {"kernel": [64] * len(function.params)}
    return native_code({"kernel": function}, alignments, machine).inspect_source("asm")


def taken_by(op, target):
    """The same operation on the target's type of activations."""
    if target.requantize != "float32":
        mode = {"mode": target.requantize}
        op = replace(op, **mode) if isinstance(op, Attention) else replace(
            op, requantize=replace(op.requantize, **mode))
    if not isinstance(op, Conv):
        return op
    residual = op.requantize.residual and target.activation_dtype
    epilogue = replace(op.requantize, residual=residual, dtype=target.activation_dtype)
    return replace(op, dtype=target.activation_dtype, requantize=epilogue)


def test_every_level_is_tested():
    portable = {name for name, target in TARGETS.items() if target.isa == "generic"}
    levels = {
        name for name, target in TARGETS.items()
        if target.family in FAMILIES and target.accelerator is None}
    assert set(PRODUCTS) == levels - {"host"} - portable


@pytest.mark.parametrize("target", PRODUCTS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_products_use_the_instruction_of_the_level(target, name):
    if name == "attention" and TARGETS[target].activation_dtype == "int8":
        pytest.skip("attention has unsigned weights: two products here")
    if target in ("hexagon-v66", "hexagon-v73") and name != "3x3":
        pytest.skip("the same intrinsics as v68; they take LLVM a while")
    op = taken_by(OPERATIONS[name], TARGETS[target])
    code = assembly(op, TARGETS[target])
    wanted = PRODUCTS[target]
    if target == "x86-64-amx" and name == "signed product":
        wanted = SIGNED_TILES
    if target == "arm64-neon" and name in ("product", "signed product"):
        wanted = PAIRWISE
    assert re.search(wanted, code)
    assert not re.search(INEXACT, code)
    if TARGETS[target].family == "hexagon":
        assert not re.search(VECTOR_FLOAT, code)


@pytest.mark.parametrize("name", ["1x1", "1x1 strided", "3x3", "first layer", "linear"])
@pytest.mark.parametrize(("target", "wanted", "unwanted"), [
    ("x86-64-avx512bf16", (r"\tvdpbf16ps\t.*%zmm\d+, %zmm\d+", r"\tvcvtne2ps2bf16\t"),
     r"\tvdpphps\t|\tvfmadd\S+\t"),
    ("arm64-i8mm", (r"\tbfdot\tv\d+\.4s, v\d+\.8h, v\d+\.8h", r"\tbfcvtn2?\t"),
     r"\tfmla\t|\tfcvtn2?\t"),
])
def test_products_of_bfloat16_are_one_instruction(name, target, wanted, unwanted):
    """And what stood for it in the kernel is gone."""
    float_op = replace(OPERATIONS[name], dtype="float32", requantize=Requantize())
    op = bfloat16_conv(float_op, isa_of(TARGETS[target]).bfloat16_sums)
    code = assembly(op, TARGETS[target])
    assert all(re.search(pattern, code) for pattern in wanted)
    assert not re.search(unwanted, code)


def test_rounding_is_not_fused_with_the_product_before_it():
    """Rounding adds a large number here; fused with the scaling it would round once."""
    code = assembly(taken_by(OPERATIONS["1x1"], TARGETS["armv7-neon"]), TARGETS["armv7-neon"])
    assert re.search(r"\tvadd\.f32\tq", code)
    assert not re.search(r"\tv(fma|mla)\.f32\t", code)


def test_tiles_are_configured_and_released_by_every_task():
    """The body of a parallel loop is a function of its own, and runs on any thread."""
    code = assembly(OPERATIONS["3x3"], TARGETS["x86-64-amx"])
    bodies = [body for body in re.split(r"\.type\s+\S+,@function", code) if "tdpb" in body]
    assert len(bodies) == 1
    assert bodies[0].count("ldtilecfg") == 1
    assert bodies[0].count("tilerelease") == 1
