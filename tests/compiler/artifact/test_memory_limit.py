"""Programs that a target cannot hold."""

from dataclasses import replace

import pytest

from octavo.compiler.artifact import write_artifact
from octavo.compiler.artifact.memory_limit import check_memory
from octavo.compiler.artifact.memory_plan import plan_memory
from octavo.compiler.artifact.weight_blob import pack_weights
from octavo.errors import TargetError
from octavo.targets import PRODUCTS, TARGETS

GIB = 1024**3


def test_the_message_has_every_number():
    target = PRODUCTS["raspberry-pi-3"]
    check_memory(target, arena_bytes=GIB // 2, weights_bytes=GIB // 2)
    with pytest.raises(TargetError) as caught:
        check_memory(target, arena_bytes=GIB // 2, weights_bytes=GIB // 2 + 1)
    assert str(caught.value) == (
        "raspberry-pi-3 has 1,073,741,824 bytes of memory; the program needs 1,073,741,825:"
        " weights 536,870,913, activations 536,870,912"
    )
    assert caught.value.exit_code == 2


def test_a_level_of_64_bits_has_no_limit():
    check_memory(TARGETS["arm64-neon"], arena_bytes=2**40, weights_bytes=2**40)


@pytest.mark.parametrize("name", ["armv7-neon", "hexagon-v68"])
def test_32_bits_address_4_gib_at_most(name):
    check_memory(TARGETS[name], arena_bytes=GIB, weights_bytes=GIB)
    with pytest.raises(TargetError, match=f"{name} has .* needs 4,294,967,297: weights"):
        check_memory(TARGETS[name], arena_bytes=GIB, weights_bytes=3 * GIB + 1)


def test_a_signal_processor_addresses_less_than_its_phone_has():
    assert PRODUCTS["galaxy-s24-dsp"].memory_bytes == TARGETS["hexagon-v73"].memory_bytes


def test_a_program_that_does_not_fit_leaves_nothing_behind(
    make_add_program, host_target, tmp_path
):
    program = make_add_program()
    data = plan_memory(program).arena_bytes + pack_weights(program).memory_bytes
    small = replace(host_target, memory_bytes=data - 1)
    with pytest.raises(TargetError, match=f"the program needs {data:,}: weights"):
        write_artifact(program, small, None, tmp_path / "a")
    # The code counts too, once it is there.
    tight = replace(host_target, memory_bytes=data)
    with pytest.raises(TargetError, match=r"code [\d,]+$"):
        write_artifact(program, tight, None, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    write_artifact(program, replace(host_target, memory_bytes=10**7), None, tmp_path / "a")
