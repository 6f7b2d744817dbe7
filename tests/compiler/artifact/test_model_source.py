import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from octavo.compiler.artifact.model_header import ModelApi
from octavo.compiler.artifact.toolchain import runtime_folder
from octavo.compiler.lowering.program import Buffer, Factors, Port, Program, Storage
from octavo.errors import LoweringError

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


@pytest.fixture(scope="module")
def gcc():
    return shutil.which("gcc") or pytest.skip("needs gcc")


def test_the_steps_are_readable(add_artifact):
    text = (add_artifact / "model.c").read_text()
    assert re.search(r"step_0.*\n  return k_tiny_add\(A\(\d+u\), W\(0u\), A\(\d+u\)\);", text)
    assert "int32_t k_tiny_add(const void *, const void *, void *);" in text
    assert '{"\\"/*\\"", "add", 1000u, step_1, NULL},' in text
    assert "->" in text
    assert "hidden: 1000 bytes" in text


def test_the_header_describes_inputs_and_outputs(add_artifact):
    text = (add_artifact / "model.h").read_text()
    for line in (
        "#define OCTAVO_TINY_INPUTS 1u",
        "/* x:0: int8 10x100 */",
        "#define OCTAVO_TINY_INPUT_X_0_BYTES 1000u",
        "#define OCTAVO_TINY_INPUT_X_0_SCALE 0.1f",
        "#define OCTAVO_TINY_INPUT_X_0_ZERO_POINT (-3)",
        "#define OCTAVO_TINY_OUTPUT_W 1u /* index */",
    ):
        assert line in text


def test_generated_code_has_no_warnings(add_artifact, gcc, tmp_path):
    command = [gcc, "-std=c11", *WARNINGS, "-Wcast-qual", "-Wshadow", f"-I{add_artifact}"]
    subprocess.run(
        [*command, "-c", add_artifact / "model.c", "-o", tmp_path / "model.o"], check=True
    )


def test_the_header_compiles_as_c_plus_plus(add_artifact, tmp_path):
    compiler = shutil.which("g++") or pytest.skip("needs g++")
    source = tmp_path / "use.cc"
    source.write_text('#include "model.h"\nint main() { return !octavo_tiny_program(); }\n')
    command = [compiler, "-std=c++11", *WARNINGS, f"-I{add_artifact}", "-c", source]
    subprocess.run([*command, "-o", tmp_path / "use.o"], check=True)


def test_two_models_link_into_one_c_program(
    add_artifact, make_add_program, host_target, gcc, tmp_path
):
    from octavo.compiler.artifact import write_artifact

    other = tmp_path / "other"
    write_artifact(make_add_program("other", constant=7), host_target, None, other)
    source = tmp_path / "main.c"
    source.write_text(
        """
        #include <stdio.h>
        #include "tiny/model.h"
        #include "other/model.h"
        int main(void) {
          static int8_t x[OCTAVO_TINY_INPUT_X_0_BYTES], a[1000], b[1000];
          octavo_model *tiny, *other;
          octavo_status status = octavo_tiny_create("tiny/weights.bin", 2, &tiny);
          if (!status) status = octavo_other_create("other/weights.bin", 1, &other);
          if (!status) status = octavo_tiny_run(tiny, x, a, NULL);
          if (!status) status = octavo_other_run(other, x, b, NULL);
          if (status != OCTAVO_OK) { puts(octavo_status_message(status)); return 1; }
          if (octavo_tiny_run(other, x, a, NULL) != OCTAVO_INVALID_ARGUMENT) return 1;
          printf("[%d, %d]", a[10], b[10]);
          octavo_tiny_destroy(tiny);
          octavo_other_destroy(other);
          return 0;
        }
        """
    )
    (tmp_path / "tiny").symlink_to(add_artifact)
    runtime = runtime_folder()
    models = [
        tmp_path / name / file
        for name in ("tiny", "other")
        for file in ("model.c", "kernels.o")
    ]
    sources = [source, *models, *sorted((runtime / "src").glob("*.c"))]
    includes = [f"-I{runtime / 'include'}", f"-I{tmp_path}"]
    command = [gcc, "-std=c11", *WARNINGS, *includes, *sources, "-pthread"]
    subprocess.run([*command, "-o", tmp_path / "main"], check=True)
    result = subprocess.run(
        [tmp_path / "main"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
    assert json.loads(result.stdout) == [2 * 11, 2 * 17]


def test_a_type_that_c_does_not_know_is_refused():
    x = Buffer("x", 8)
    with pytest.raises(LoweringError, match="'x' has type 'complex64'"):
        ModelApi(Program("p", "host", [Port("x", "complex64", (1,), x)], [], [], {}))


def test_a_name_that_is_no_identifier_is_refused():
    with pytest.raises(ValueError, match="'2x' is not a C identifier"):
        ModelApi(Program("2x", "host", [], [], [], {}))


INTEGERS = np.resize(np.arange(-7, 8), 300).astype(np.int8)
SCALES = np.repeat(np.float32([0.5, 0.25, 2]), 100)


@pytest.mark.parametrize(
    "constants",
    [
        [],
        [Buffer("w", 300, Storage.WEIGHTS, INTEGERS)],
        [Buffer("s", 1200, Storage.WEIGHTS, SCALES, factors=Factors(INTEGERS, SCALES))],
        [
            Buffer("w", 300, Storage.WEIGHTS, INTEGERS),
            Buffer("s", 1200, Storage.WEIGHTS, SCALES, factors=Factors(INTEGERS, SCALES)),
        ],
    ],
    ids=["none", "bytes", "floats", "both"],
)
def test_scalars_packed_weights_and_programs_without_steps_compile(gcc, tmp_path, constants):
    from octavo.compiler.artifact.memory_plan import plan_memory
    from octavo.compiler.artifact.model_source import ModelSource
    from octavo.compiler.artifact.weight_blob import pack_weights

    x = Buffer("x", 8)
    port = Port("x", "int64", (), x)
    outputs = [Port(c.name, c.data.dtype.name, c.data.shape, c) for c in constants]
    program = Program("nothing", "host", [port], [port, *outputs], [], {})
    blob = pack_weights(program)
    assert blob.num_packed == len(constants)
    text = ModelSource(program, plan_memory(program), blob).text(0)
    (tmp_path / "model.c").write_text(text)
    (tmp_path / "model.h").write_text(ModelApi(program).header())
    include = f"-I{runtime_folder() / 'include'}"
    subprocess.run(
        [gcc, "-std=c11", *WARNINGS, include, "-c", "model.c", "-o", "model.o"],
        cwd=tmp_path,
        check=True,
    )
    assert np.prod(port.shape) == 1
    assert Path(tmp_path / "model.o").is_file()
