"""Damaged artifacts: loading and packing them gives an error of ours, or works.

OCTAVO_FUZZ_SECONDS (default 5) is four times the time for both together. The examples are the
same in every run; a longer run sees more of them.
"""

import copy
import json
import os
import random
import shutil
import time

import numpy as np
import pytest

from octavo.compiler.package.models import collect_models
from octavo.compiler.session import load
from octavo.errors import OctavoError

SECONDS = float(os.environ.get("OCTAVO_FUZZ_SECONDS", "5")) / 8
INPUT = (np.arange(1000) * 7).astype(np.int8).reshape(10, 100)
JUNK = (
    None, True, 0, -1, 1e308, 2**70, "", "x", "../../etc/passwd", "/", "a\0b", "\ud800", [],
    {}, [[]], {"": None}, "x" * 5000, [1] * 1000,
)  # fmt: skip


def _places(value, path=()):
    """Paths of everything inside of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*path, key))


def _damage_value(manifest, generator):
    """Replace, remove or add something anywhere."""
    damaged = copy.deepcopy(manifest)
    for _ in range(generator.randint(1, 3)):
        *path, key = generator.choice(list(_places(damaged)))
        parent = damaged
        for step in path:
            parent = parent[step]
        match generator.randint(0, 3):
            case 0:
                del parent[key]
            case 1 if isinstance(parent, dict):
                parent[generator.choice(["x", "", "weights.bin", "target"])] = parent[key]
            case _:
                parent[key] = copy.deepcopy(generator.choice(JUNK))
        if not damaged:
            break
    return json.dumps(damaged).encode()


def _damage_bytes(data, generator):
    data = bytearray(data)
    for _ in range(generator.randint(1, 8)):
        at = generator.randrange(len(data))
        match generator.randint(0, 3):
            case 0:
                del data[at : at + generator.randint(1, 100)]
            case 1:
                data[at:at] = generator.randbytes(generator.randint(1, 20))
            case 2:
                data[at:at] = b"[" * generator.choice([1, 100, 100_000])
            case _:
                data[at] = generator.randrange(256)
        data = data or bytearray(b"{")
    return bytes(data)


def _load_and_run(folder):
    with load(folder) as session:
        names = [info.name for info in session.inputs]
        session.run(dict.fromkeys(names, INPUT))


@pytest.mark.parametrize("use", [_load_and_run, lambda folder: collect_models([folder])])
def test_whatever_an_artifact_says_is_refused_in_one_line(use, artifacts, tmp_path):
    folder = shutil.copytree(artifacts[0], tmp_path / "copy")
    whole = {name: (folder / name).read_bytes() for name in ("manifest.json", "weights.bin")}
    manifest = json.loads(whole["manifest.json"])
    generator = random.Random(2025)
    refusals: list[OctavoError] = []
    num_tried, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end or num_tried < 50:
        num_tried += 1
        kind = generator.randint(0, 3)
        if kind < 2:
            (folder / "manifest.json").write_bytes(_damage_value(manifest, generator))
        else:
            name = ("manifest.json", "weights.bin")[kind - 2]
            (folder / name).write_bytes(_damage_bytes(whole[name], generator))
        try:
            use(folder)
        except OctavoError as error:
            refusals.append(error)
        for name, data in whole.items():
            (folder / name).write_bytes(data)
    assert num_tried / 4 < len(refusals)
    assert not [error for error in refusals if "\n" in str(error) or error.exit_code != 2]
    use(folder)
