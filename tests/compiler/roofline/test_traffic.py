"""Unique bytes of steps: made by hand, and as lowering records them in a manifest."""

from octavo.compiler.compile import compile_model
from octavo.compiler.lowering.program import Buffer, Operand, Step, Storage
from octavo.compiler.roofline.traffic import Traffic, step_traffic


def step(*operands):
    return Step("s", "k", operands, (), (), "int8", "")


def test_a_buffer_that_is_passed_twice_counts_once():
    x, y = Buffer("x", 100), Buffer("y", 30)
    assert step_traffic(step(Operand(x), Operand(x), Operand(y, is_written=True))) == Traffic(
        100, 0, 30
    )


def test_constants_scratch_and_parts_of_buffers():
    x, scratch = Buffer("x", 100), Buffer("scratch", 5000)
    weights = Buffer("w", 64, Storage.WEIGHTS)
    found = step_traffic(
        step(
            Operand(x, touched_bytes=25),
            Operand(x, touched_bytes=40),
            Operand(weights),
            Operand(x, is_written=True, touched_bytes=999),
            Operand(scratch, is_written=True, touched_bytes=0),
        )
    )
    assert found == Traffic(read_bytes=65, weight_bytes=64, written_bytes=100)
    assert (found.activation_bytes, found.num_bytes) == (165, 229)


def test_the_manifest_tells_the_traffic_of_every_step(tmp_path, strided_conv):
    result = compile_model(strided_conv, "x86-64-avx2", tmp_path / "out", float_only=True)
    steps = result.manifest["steps"]
    conv = next(s for s in steps if s["macs"])
    # 8 x 8 x 16 in, every second pixel, 32 channels out, in float.
    assert conv["read_bytes"] == 4 * 4 * 16 * 4
    assert conv["written_bytes"] == 4 * 4 * 32 * 4
    # Weights and bias, and limits of the activation.
    assert conv["weight_bytes"] == (32 * 16 + 32 + 2) * 4
    assert conv["macs"] == 4 * 4 * 32 * 16
