"""What running an artifact adds to the memory of a process: a child runs it once and looks.

python -m benchmarks.resident_memory ARTIFACT SAMPLES.npz
"""

import subprocess
import sys
from pathlib import Path

import click
import numpy as np

import octavo
from octavo.compiler.bench.memory import added_bytes, watch_memory


@click.command()
@click.argument("artifact", type=Path)
@click.argument("samples", type=Path)
def main(artifact: Path, samples: Path) -> None:
    """Print the bytes that running ARTIFACT on the first of SAMPLES adds."""
    with np.load(samples) as arrays:
        given = {name: arrays[name][0] for name in arrays.files}
    with octavo.load(artifact):  # what loading imports stays, and is not the artifact's
        pass
    before = watch_memory()
    with octavo.load(artifact) as session:
        bound = session.bind({info.name: given[info.name] for info in session.inputs})
        bound.run()
        # The arrays of results are this program's own, beside the artifact's memory.
        copies = sum(array.nbytes for array in bound.outputs.values())
        added = added_bytes(before)
        if added is None:
            raise click.ClickException("this system does not tell what a process takes")
        click.echo(added - copies)


def resident_bytes(artifact: Path, samples: Path) -> int:
    """Highest resident memory of loading and running an artifact, beyond what was there.

    Code and constants that are mapped count as far as they are touched.

    Args:
        artifact: Folder.
        samples: Inputs in a .npz file, an axis of samples in front.
    """
    command = [sys.executable, "-m", "benchmarks.resident_memory", str(artifact), str(samples)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
