"""Run an artifact while calls of its OpenCL driver fail, one after the other.

    python -m tests.compiler.opencl_faults ARTIFACT INPUT.npz FOLDER

A library that is called libOpenCL.so is built in FOLDER, which passes calls on to the system's
and can let one of them fail; it also counts what was made and not released. Prints one line of
JSON: for every call that was made to fail, what happened.
"""

import ctypes
import json
import re
import sys
from pathlib import Path

import numpy as np

import octavo
from octavo.compiler.artifact.toolchain import runtime_folder, zig
from octavo.errors import OctavoError

NATIVE = "native"  # zig's name for the machine that it runs on
MADE = {
    "CreateContext": "context", "CreateCommandQueue": "queue", "CreateBuffer": "memory",
    "CreateProgramWithSource": "program", "CreateProgramWithBinary": "program",
    "CreateKernel": "kernel", "EnqueueMapBuffer": "map",
}  # fmt: skip
RELEASED = {
    "ReleaseContext": "context", "ReleaseCommandQueue": "queue", "ReleaseMemObject": "memory",
    "ReleaseProgram": "program", "ReleaseKernel": "kernel", "EnqueueUnmapMemObject": "map",
    "ReleaseEvent": "event",
}  # fmt: skip
KINDS = sorted({*MADE.values(), *RELEASED.values()})

HEAD = """
#include <dlfcn.h>
#include <string.h>
#include "opencl_api.h"
int live[16], fail_at, num_calls[64];
char fails[64];
static void *real(const char *name) {
  static void *library;
  if (library == NULL) library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
  return dlsym(library, name);
}
static int is_failing(int number, const char *name) {
  return ++num_calls[number] == fail_at && strcmp(fails, name) == 0;
}
"""


def functions() -> list[tuple[str, str, list[str]]]:
    """Result, name and parameter types of all functions that the runtime calls."""
    text = (runtime_folder() / "src" / "opencl_api.h").read_text()
    lines = text.split("#define OCTAVO_OPENCL_FUNCTIONS(F)")[1].split("\n\n")[0]
    flat = re.sub(r"\s*\\\n\s*", " ", lines)
    found = []
    for entry in re.findall(r"F\((.*?)\)(?= F\(|\s*$)", flat):
        result, name, rest = entry.split(", ", 2)
        parameters = re.split(r", (?![^()]*\))", rest.strip()[1:-1])
        found.append((result, name, parameters))
    return found


def source() -> str:
    """The library, in C."""
    text = [HEAD]
    for number, (result, name, parameters) in enumerate(functions()):
        named = [
            p.replace("(*)", f"(*p{i})") if "(*)" in p else f"{p} p{i}"
            for i, p in enumerate(parameters)
        ]
        values = ", ".join(f"p{i}" for i in range(len(parameters)))
        is_pointer = result != "cl_int"
        last = f"p{len(parameters) - 1}"
        refuse = f"if ({last}) *{last} = -5; return NULL;" if is_pointer else "return -5;"
        ok = "result != NULL" if is_pointer else "result == 0"
        count = ""
        if name in MADE:
            count = f"if ({ok}) live[{KINDS.index(MADE[name])}]++;"
        elif name in RELEASED:
            count = f"if ({ok}) live[{KINDS.index(RELEASED[name])}]--;"
        elif name == "EnqueueNDRangeKernel":
            count = f"if ({ok} && {last} != NULL) live[{KINDS.index('event')}]++;"
        # What a driver did not release it has released all the same, as far as we can tell.
        before, after = (f"if (failing) {{ {refuse} }}", "")
        if name in RELEASED:
            before, after = "", "if (failing) return -5;"
        text.append(f"""
{result} cl{name}({', '.join(named)}) {{
  int failing = is_failing({number}, "{name}");
  {before}
  {result} (*call)({', '.join(parameters)}) = real("cl{name}");
  {result} result = call({values});
  {count}
  {after}
  return result;
}}""")
    return "\n".join(text)


def build(folder: Path) -> ctypes.CDLL:
    """Build the library and load it: the loader finds it by its name from now on."""
    (folder / "opencl_faults.c").write_text(source())
    zig(["cc", "-target", NATIVE, "-shared", "-fPIC", "-w", "-I",
         str(runtime_folder() / "src"), "-Wl,-soname,libOpenCL.so", "-o", "libOpenCL.so",
         "opencl_faults.c"], folder)  # fmt: skip
    return ctypes.CDLL(str(folder / "libOpenCL.so"), mode=ctypes.RTLD_GLOBAL)


def main() -> None:
    """Let the first, the middle and the last call of each function fail."""
    artifact, inputs, folder = map(Path, sys.argv[1:])
    library = build(folder)
    with np.load(inputs) as stored:
        arrays = dict(stored)
    live = (ctypes.c_int * 16).in_dll(library, "live")
    calls = (ctypes.c_int * 64).in_dll(library, "num_calls")
    fails = (ctypes.c_char * 64).in_dll(library, "fails")
    fail_at = ctypes.c_int.in_dll(library, "fail_at")

    def attempt(name: str, at: int, cache: Path | None = None) -> dict[str, object]:
        fails.value, fail_at.value = name.encode(), at
        ctypes.memset(calls, 0, ctypes.sizeof(calls))
        ctypes.memset(live, 0, ctypes.sizeof(live))
        found: dict[str, object] = {"function": name, "call": at}
        try:
            with octavo.load(artifact, cache_folder=cache) as session:
                result = session.run(arrays)
                session.profile(arrays, runs=1, warmup=0)
            found["outputs"] = {key: value.tobytes().hex() for key, value in result.items()}
        except OctavoError as error:
            found["error"] = str(error)
        found["live"] = {kind: n for kind, n in zip(KINDS, live, strict=False) if n}
        return found

    results = [attempt("", 0)]
    counts = {name: calls[i] for i, (_, name, _) in enumerate(functions())}
    for name, count in counts.items():
        for at in sorted({1, (count + 1) // 2, count} - {0}):
            results.append(attempt(name, at))
    # With a cache: where its binary is refused, or none is to be had, the source is built.
    cache = folder / "cache"
    cache.mkdir()
    results.append(attempt("GetProgramInfo", 1, cache))
    assert not list(cache.iterdir())
    results.append(attempt("", 0, cache))
    assert len(list(cache.iterdir())) == 1
    results += [
        attempt(name, 1, cache) for name in ("CreateProgramWithBinary", "BuildProgram")]
    assert all("outputs" in result for result in results[-4:])
    results.append(attempt("", 0))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
