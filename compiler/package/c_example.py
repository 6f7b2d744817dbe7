"""example/NAME.c: a program of thirty lines that runs a model, as C11 and as C++17."""

from octavo.compiler.package.interfaces import header_name

_SOURCE = """\
/* Runs {name} once: {name} WEIGHTS <INPUTS >OUTPUTS
 * INPUTS and OUTPUTS are the tensors' bytes, one tensor after the other. */
#include <stdio.h>
#include "{header}"

static int fail(const char *message) {{
  fprintf(stderr, "{name}: %s\\n", message);
  return 1;
}}

int main(int argc, char **argv) {{
  if (argc != 2) return fail("give it the weight file");
  octavo_model *model = NULL;
  octavo_status status = octavo_{name}_create(argv[1], 1, &model);
  if (status != OCTAVO_OK) return fail(octavo_status_message(status));
  const octavo_program *program = octavo_{name}_program();
  for (uint32_t i = 0; i < program->num_inputs; i++) {{
    size_t size = (size_t)program->inputs[i].num_bytes;
    if (fread(octavo_input(model, i), 1, size, stdin) != size) return fail("too few INPUTS");
  }}
  status = octavo_run(model);
  if (status != OCTAVO_OK) return fail(octavo_status_message(status));
  for (uint32_t i = 0; i < program->num_outputs; i++) {{
    size_t size = (size_t)program->outputs[i].num_bytes;
    if (fwrite(octavo_output(model, i), 1, size, stdout) != size) return fail("cannot write");
  }}
  octavo_{name}_destroy(model);
  return 0;
}}
"""


def example_source(model_name: str) -> str:
    """The program for one model."""
    return _SOURCE.format(name=model_name, header=header_name(model_name))
