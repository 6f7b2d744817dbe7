"""Damaged weight files and contradictory tables, for the loader of the C runtime.

OCTAVO_FUZZ_SECONDS (default 5) is the time. The examples are the same in every run; a longer
run sees more of them.
"""

import os
import subprocess
from pathlib import Path

RUNTIME = Path(__file__).resolve().parents[2] / "runtime"
SOURCE = Path(__file__).with_name("fuzz_loader.c")
SECONDS = float(os.environ.get("OCTAVO_FUZZ_SECONDS", "5"))
FLAGS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# Sizes that no machine has are asked for on purpose; what is refused is NULL, as without ASan.
ASAN_OPTIONS = "allocator_may_return_null=1:max_allocation_size_mb=512"


def test_no_file_and_no_table_does_harm(run, gcc, weights_file, tmp_path):
    program = tmp_path / "fuzz_loader"
    sources = [*sorted((RUNTIME / "src").glob("*.c")), SOURCE]
    warnings = ["-Wall", "-Wextra", "-Werror"]
    include = f"-I{RUNTIME / 'include'}"
    run([gcc, "-std=c11", *FLAGS, *warnings, "-pthread", include, *sources, "-o", program])
    result = subprocess.run(
        [program, weights_file, str(round(SECONDS))],
        env=dict(os.environ, ASAN_OPTIONS=ASAN_OPTIONS),
        capture_output=True,
        text=True,
        timeout=SECONDS * 3 + 120,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    num_tried, num_loaded = map(int, result.stdout.split())
    assert num_tried >= 100
    assert num_tried / 10 < num_loaded < num_tried * 9 / 10  # both kinds are tried
