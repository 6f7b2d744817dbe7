"""``octavo compile --float-precision``."""

BF16_TARGET = "x86-64-avx512bf16"


def compile_command(model, tmp_path, *extra):
    return ["compile", model, "--target", BF16_TARGET, "-o", tmp_path / "out", *extra]


def test_no_float_layers_leave_nothing_to_round(octavo, model, tmp_path):
    outcome = octavo(*compile_command(
        model, tmp_path, "--integer-only", "--float-precision", "bf16"))
    assert outcome.code == 2
    assert "--float-precision" in outcome.error_line


def test_the_summary_names_placement_and_error(octavo, model, samples, tmp_path):
    options = ("--float-only", "--float-precision", "bf16", "--data", samples)
    outcome = octavo(*compile_command(model, tmp_path, *options))
    assert outcome.code == 0, outcome.err
    assert "bfloat16        1 steps" in outcome.out
    assert "output error" in outcome.out


def test_a_target_without_such_products_is_named(octavo, model, tmp_path):
    command = ["compile", model, "--target", "x86-64-avx2", "-o", tmp_path / "out"]
    outcome = octavo(*command, "--float-only", "--float-precision", "bf16")
    assert outcome.code == 2
    assert "x86-64-avx2" in outcome.error_line
    assert "possible: float32" in outcome.error_line


def test_targets_tells_what_float_layers_may_multiply(octavo):
    assert "float32, bf16" in octavo("targets", BF16_TARGET).out
    assert "float layers" not in octavo("targets", "x86-64-avx2").out
