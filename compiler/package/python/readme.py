"""README.md of wheels, inside of each and beside them."""

from collections.abc import Sequence

import octavo

_USE = """\
# {name}

{models}, compiled by Octavo {version}. Needs numpy and nothing else; all models share one
runtime.

    import {name}

    with {name}.load({argument}) as model:
        print(model.inputs)                  # names, types, shapes, scales and zero points
        outputs = model.run({{"x": array}})    # arrays by name

`load(..., num_threads=4)` runs with more threads. Weights are mapped from the installed file.
Runs of one model take turns, models are independent of each other. A wrong name or shape is a
`ValueError`, a wrong type a `TypeError`, and what the runtime refuses a `ModelError` with its
message.

Runtime, kernels and Python: see the licence file. The weights are whoever's the model is.
"""

_INSTALL = """
## Install

    pip install --no-index {wheel}

There is a wheel for each target; pip takes those that fit the board. The number in its name,
as in manylinux_2_17, is the oldest glibc that has all that the library needs.
"""


def wheel_readme(name: str, models: Sequence[str]) -> str:
    """The description in a wheel.

    Args:
        name: What Python imports.
        models: In it.
    """
    argument = "" if len(models) == 1 else f'"{models[0]}"'
    return _USE.format(
        name=name, models=", ".join(models), version=octavo.__version__, argument=argument
    )


def folder_readme(name: str, models: Sequence[str], wheel: str) -> str:
    """The file beside the wheels.

    Args:
        name: What Python imports.
        models: In every wheel.
        wheel: File name of one of them.
    """
    return wheel_readme(name, models) + _INSTALL.format(wheel=wheel)
