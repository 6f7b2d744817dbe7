"""Libraries for several processors, against the headers that Apple's linker reads."""

import shutil
import struct
import subprocess

import pytest

from octavo.compiler.package.ios.fat_archive import write_fat_archive

# Source: Apple, mach/machine.h.
X86_64, ARM64 = (0x01000007, 3), (0x0100000C, 0)


@pytest.fixture
def parts(tmp_path):
    """Files of odd sizes."""
    (tmp_path / "one.a").write_bytes(b"!<arch>\n" + b"a" * 13)
    (tmp_path / "two.a").write_bytes(b"!<arch>\n" + b"b" * 30)
    return {"arm64": tmp_path / "one.a", "x86_64": tmp_path / "two.a"}


def test_parts_are_where_the_header_says(parts, tmp_path):
    write_fat_archive(tmp_path / "fat.a", parts)
    data = (tmp_path / "fat.a").read_bytes()
    assert struct.unpack_from(">II", data) == (0xCAFEBABE, 2)
    records = [struct.unpack_from(">IIIII", data, 8 + 20 * i) for i in range(2)]
    assert [record[:2] for record in records] == [X86_64, ARM64]
    for (_, _, offset, size, bits), part in zip(records, ("x86_64", "arm64"), strict=True):
        assert offset % 2**bits == 0
        assert bits == 3
        assert data[offset : offset + size] == parts[part].read_bytes()
    assert len(data) == records[1][2] + records[1][3]


def test_one_part_is_no_fat_file(parts, tmp_path):
    del parts["x86_64"]
    write_fat_archive(tmp_path / "thin.a", parts)
    assert (tmp_path / "thin.a").read_bytes() == parts["arm64"].read_bytes()


@pytest.mark.parametrize("names", [(), ("arm64", "riscv64")])
def test_other_processors_and_none_are_refused(names, tmp_path):
    with pytest.raises(ValueError, match=r"riscv64|at least one"):
        write_fat_archive(tmp_path / "fat.a", dict.fromkeys(names, tmp_path))
    assert not (tmp_path / "fat.a").exists()


def test_it_is_what_lipo_writes(make_artifact, tmp_path):
    lipo = next(filter(None, map(shutil.which, ("llvm-lipo", "llvm-lipo-14"))), None)
    if lipo is None:
        pytest.skip("needs llvm-lipo")
    archives = {}
    for architecture in ("arm64", "x86-64"):
        artifact = make_artifact("tiny", f"ios-simulator-{architecture}")
        archives[architecture.replace("-", "_")] = artifact / "libmodel.a"
    write_fat_archive(tmp_path / "ours.a", archives)
    command = [lipo, "-create", *archives.values(), "-output", tmp_path / "theirs.a"]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "ours.a").read_bytes() == (tmp_path / "theirs.a").read_bytes()
