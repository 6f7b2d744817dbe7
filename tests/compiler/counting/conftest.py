"""Programs whose work is known, for every emulated architecture."""

import shutil

import pytest

from octavo.compiler.artifact.toolchain import zig
from octavo.targets import get_target

# One target of each emulator.
TARGETS = ("arm64-neon", "armv7-neon", "riscv64-rvv", "hexagon-v68")

# NOT inlined, and nothing of it vectorized: every byte is one load.
SOURCE = """
#include <stdlib.h>
static volatile unsigned char data[1000];
__attribute__((noinline)) unsigned callee(long n) {
  unsigned sum = 0;
  for (long i = 0; i < n; i++) sum += data[i];
  return sum;
}
__attribute__((noinline)) void writer(long n) {
  for (long i = 0; i < n; i++) data[i] = 1;
}
__attribute__((noinline)) unsigned caller(long n) {
  return callee(n) + callee(n);
}
int main(int argc, char **argv) {
  long n = argc > 1 ? atol(argv[1]) : 0;
  if (argc > 2) abort();
  writer(n / 2);
  return caller(n) == (unsigned)(n / 2 * 2) ? 0 : 3;
}
"""


@pytest.fixture(scope="session", params=TARGETS)
def target(request):
    found = get_target(request.param)
    if shutil.which(found.emulator.program) is None:
        pytest.skip(f"{found.emulator.program} is not installed")
    return found


@pytest.fixture(scope="session")
def emulator(target):
    return [target.emulator.program, "-cpu", target.emulator.cpu]


@pytest.fixture(scope="session")
def program(target, tmp_path_factory):
    """``program N``: stores N / 2 bytes, then ``caller`` loads N bytes twice."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "program.c").write_text(SOURCE)
    zig_target = target.program_zig_target or target.zig_target
    flags = ["-O1", "-fno-unroll-loops", "-fno-sanitize=all", "-no-pie", *target.c_flags]
    zig(["cc", "-target", zig_target, *flags, "program.c", "-o", "program"], folder)
    return folder / "program"
