"""What a program that takes part in a comparison has to offer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.bench.program import Inputs, Program


@dataclass(frozen=True)
class Task:
    """What is to be run, the same for everybody.

    Attributes:
        path: Float ONNX file.
        samples: Calibration data, one dictionary for each inference.
        is_transformer: Quantizers have settings for these.
        quantized: QDQ file of another quantizer that peers may run too; None when there is
            none.
    """

    path: Path
    samples: tuple[Inputs, ...]
    is_transformer: bool = False
    quantized: Path | None = None


@dataclass(frozen=True)
class Candidate:
    """One way to run a task.

    Attributes:
        peer: Name of the runtime.
        precision: ``float32``, ``bf16`` or ``int8``.
        variant: How the file was made or loaded, where there are several ways.
        load: Number of threads to program; converts on first use and keeps the file.
    """

    peer: str
    precision: str
    variant: str
    load: Callable[[int], Program]
