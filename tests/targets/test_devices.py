"""Records of products: complete, possible on their cores, and derived from their level."""

import subprocess
import sys
from dataclasses import replace

import pytest

from octavo.errors import TargetError
from octavo.targets import PRODUCTS, SYSTEMS, TARGETS, get_target
from octavo.targets.devices import DEVICES, DSPS, GPUS

CPUS = sorted(
    {
        (cluster.core.llvm_cpu, device.chip.level)
        for device in DEVICES.values()
        for cluster in device.chip.clusters
    }
)


def _features(spec):
    import tvm
    from tvm.target.codegen import llvm_get_cpu_features

    return {str(f) for f in llvm_get_cpu_features(tvm.target.Target(spec))}


def _needed(target):
    """Features that a level asks for; those with a minus are taken from its CPU's."""
    return {feature[1:] for feature in target.features if feature.startswith("+")}


def test_every_product_is_found_by_its_name():
    assert set(PRODUCTS) == set(DEVICES) | set(GPUS) | set(DSPS)
    assert len({*PRODUCTS, *TARGETS, *SYSTEMS}) == len(PRODUCTS) + len(TARGETS) + len(SYSTEMS)
    for name, target in PRODUCTS.items():
        assert get_target(name) is target
        assert target.name == name


@pytest.mark.parametrize(
    "family", ["pixel", "galaxy-s2", "oneplus", "raspberry-pi", "jetson", "rb"]
)
def test_families_of_products_are_known(family):
    assert len([name for name in PRODUCTS if name.startswith(family)]) >= 2


@pytest.mark.parametrize(("cpu", "level"), CPUS, ids=lambda x: x)
def test_a_core_has_the_instructions_of_its_level(cpu, level):
    target = TARGETS[level]
    has = _features({"kind": "llvm", "mtriple": target.triple, "mcpu": cpu})
    assert _needed(target) <= has


def test_a_core_without_the_instructions_would_be_noticed():
    target = TARGETS["arm64-i8mm"]
    has = _features({"kind": "llvm", "mtriple": target.triple, "mcpu": "cortex-a78"})
    assert not _needed(target) <= has


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_record_is_complete(name):
    device = DEVICES[name]
    clusters = device.chip.clusters
    assert device.sources
    assert device.chip.sources
    assert all(cluster.core.source for cluster in clusters)
    assert (device.memory_bytes or 0) % 1024**3 == 0
    clocks = [cluster.max_mhz for cluster in clusters if cluster.max_mhz is not None]
    assert clocks == sorted(clocks, reverse=True)  # the fastest cores come first
    assert (device.system == "android") == (device.api_level is not None)
    assert (device.abi.system if device.abi else "linux") == device.system
    if device.abi is not None:
        assert device.api_level >= device.abi.api_level


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_refines_its_level(name):
    devices = DEVICES | GPUS | DSPS
    target, level = PRODUCTS[name], TARGETS[PRODUCTS[name].level]
    assert (target.isa, target.features, target.activation_dtype, target.requantize) == (
        level.isa,
        level.features,
        level.activation_dtype,
        level.requantize,
    )
    assert target.family == level.family
    assert set(level.sources) < set(target.sources)
    least = [t.memory_bytes for t in (devices[name], level) if t.memory_bytes is not None]
    assert target.memory_bytes == min(least, default=None)
    assert target.emulator == level.emulator
    # Programs link statically, so that an emulator runs those of every system.
    assert "musl" in (target.program_zig_target or target.zig_target)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_level_on_another_system_differs_by_the_system_alone(name):
    target, level = get_target(name), TARGETS[SYSTEMS[name].level]
    abi = target.abi
    assert (target.triple, target.zig_target) == (abi.triple, abi.zig_target)
    assert (target.isa, target.cpu, target.features) == (level.isa, level.cpu, level.features)
    # Emulators know the files of one format.
    assert target.emulator == (level.emulator if abi.object_format == "elf" else None)
    assert set(level.sources) < set(target.sources)
    machine = abi.triple.split("-")[0].replace("arm64", "aarch64")  # Apple's name of it
    assert machine == level.triple.split("-")[0]
    assert target.description.startswith(f"{abi.system} {abi.name}")
    assert abi.variant in target.description


# A level, the oldest CPU that has it, and the newest that has not. Source: Apple, which device
# has which chip; LLVM, what a chip has.
@pytest.mark.parametrize(
    ("name", "oldest", "older"),
    [
        ("ios-arm64", "apple-a8", None),
        ("ios-arm64-dotprod", "apple-a13", "apple-a12"),
        ("ios-arm64-i8mm", "apple-a15", "apple-a14"),
        ("ios-simulator-arm64", "apple-m1", None),
        ("macos-arm64", "apple-m1", None),
    ],
)
def test_apple_chips_have_the_instructions(name, oldest, older):
    target = SYSTEMS[name]
    spec = {"kind": "llvm", "mtriple": target.triple}
    left_out = {feature[1:] for feature in target.features if feature.startswith("-")}
    used = _needed(target) | _features({**spec, "mcpu": target.cpu}) - left_out
    used &= {"aes", "bf16", "crc", "dotprod", "fullfp16", "i8mm", "lse", "rdm", "sha2", "sve"}
    assert used <= _features({**spec, "mcpu": oldest})
    assert older is None or not used <= _features({**spec, "mcpu": older})


def test_caches_are_those_of_the_fastest_cores():
    pi = PRODUCTS["raspberry-pi-4"]
    assert (pi.l1_bytes, pi.l2_bytes, pi.num_cores) == (32 * 1024, 1024 * 1024, 4)
    assert PRODUCTS["pixel-8"].num_cores == 9
    # What no source says is the level's.
    assert PRODUCTS["pixel-8"].l2_bytes == TARGETS["arm64-i8mm"].l2_bytes


@pytest.mark.parametrize("name", GPUS)
def test_a_graphics_processor_is_named_as_its_product_has_it(name):
    gpu = GPUS[name].chip.gpu
    assert gpu.name.lower().replace(" ", "-") == name
    assert PRODUCTS[name].level == gpu.level
    level = TARGETS[gpu.level].accelerator
    assert PRODUCTS[name].accelerator == replace(
        level,
        num_cores=gpu.num_cores or level.num_cores,
        registers=gpu.registers or level.registers,
    )
    assert PRODUCTS[name].abi == GPUS[name].abi


@pytest.mark.parametrize("name", DSPS)
def test_a_signal_processor_runs_code_of_its_version_or_an_older_one(name):
    dsp = DSPS[name].chip.dsp
    assert int(dsp.level.removeprefix("hexagon-v")) <= int(dsp.version.removeprefix("v"))
    assert PRODUCTS[name].level == dsp.level
    assert PRODUCTS[name].requantize == "dyadic"


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("pixel8", "pixel-8"),
        ("galaxy-s23-ultra", "galaxy-s23"),
        ("raspberrypi5", "raspberry-pi-5"),
        ("Pixel 8", "pixel-8"),
        ("pixel-8-pro", "pixel-8"),
        ("Adreno_740", "adreno-740"),
    ],
)
def test_an_unknown_product_suggests_the_nearest(typed, nearest):
    with pytest.raises(TargetError, match=f"did you mean '{nearest}'"):
        get_target(typed)


def test_a_name_that_is_a_part_of_several_suggests_them():
    with pytest.raises(TargetError) as caught:
        get_target("galaxy-s24")
    assert str(caught.value) == (
        "unknown target 'galaxy-s24'; did you mean 'galaxy-s24-exynos',"
        " 'galaxy-s24-snapdragon' or 'galaxy-s24-dsp'? (octavo targets lists all)"
    )


def test_products_are_known_without_tvm():
    code = (
        "import sys; from octavo.targets import PRODUCTS;"
        " sys.exit(not PRODUCTS or 'tvm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
