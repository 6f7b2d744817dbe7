"""Write a benchmark network and its samples: python -m benchmarks.zoo NAME -o FILE."""

import shutil
from pathlib import Path

import click
import numpy as np

from benchmarks.zoo.registry import ZOO, find_entry
from benchmarks.zoo.store import model_path


@click.command()
@click.argument("name", type=click.Choice([entry.name for entry in ZOO]))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help=".onnx file"
)
@click.option("--samples", type=click.Path(path_type=Path), help=".npz file for inputs")
@click.option("--num-samples", default=32, show_default=True)
@click.option("--input-size", type=int, help="height and width; default: the standard size")
@click.option("--seed", default=0, show_default=True, help="seed of weights and samples")
def main(
    name: str,
    output: Path,
    samples: Path | None,
    num_samples: int,
    input_size: int | None,
    seed: int,
) -> None:
    """Write the network NAME as ONNX, and inputs for it as an .npz."""
    shutil.copyfile(model_path(name, input_size=input_size, seed=seed), output)
    if samples is not None:
        drawn = find_entry(name).samples(num_samples, input_size=input_size, seed=seed)
        np.savez(
            samples,
            allow_pickle=False,
            **{k: np.concatenate([s[k] for s in drawn]) for k in drawn[0]},
        )


if __name__ == "__main__":
    main()
