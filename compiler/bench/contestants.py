"""Who takes part: every runtime that is here and can take a file of the network."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from octavo.compiler.bench.contestant import Contestant, Runtime
from octavo.compiler.bench.opened_model import HOST
from octavo.compiler.bench.subject import Subject
from octavo.errors import DataError, TargetError
from octavo.targets import get_target

BFLOAT16 = "bf16"
# What the manifest of an artifact calls the arithmetic of its steps, and what we call it.
PRECISIONS = {"int8": "int8", "bfloat16": BFLOAT16, "float32": "float32"}
DEFAULT_PEERS = (Runtime.LITERT, Runtime.ONNXRUNTIME, Runtime.OPENVINO)
OPTIONAL = frozenset({Runtime.OPENVINO})  # not missed where it is not installed
LITERT = frozenset({Runtime.LITERT, Runtime.LITERT_REFERENCE})


def choose_runtimes(
    against: Collection[Runtime] | None, *, has_tflite: bool
) -> tuple[tuple[Runtime, ...], tuple[str, ...]]:
    """Say which runtimes to compare with.

    Args:
        against: What the user asked for; None: all that can.
        has_tflite: Whether the model is a .tflite file, which LiteRT needs.

    Returns:
        The runtimes, and a line for each that is missing.

    Raises:
        TargetError: One that was asked for is not installed.
        DataError: One that was asked for cannot take the model.
        ValueError: Octavo was asked for.
    """
    if against is not None:
        for runtime in against:
            if runtime is Runtime.OCTAVO:
                raise ValueError("octavo is compared with others; give artifacts of it")
            if not runtime.is_installed:
                raise TargetError(f"--against {runtime}: {_missing(runtime)}")
            if runtime in LITERT and not has_tflite:
                raise DataError(f"--against {runtime}: LiteRT runs .tflite files only")
        return tuple(against), ()
    wanted = [r for r in DEFAULT_PEERS if has_tflite or r not in LITERT]
    missing = [r for r in wanted if not r.is_installed and r not in OPTIONAL]
    present = tuple(runtime for runtime in wanted if runtime.is_installed)
    return present, tuple(f"compared without it: {_missing(r)}" for r in missing)


def contestants(subject: Subject, runtimes: Collection[Runtime]) -> list[Contestant]:
    """Return all ways to run the network, Octavo's first.

    Args:
        subject: The network.
        runtimes: Others that take part.
    """
    found = list(_artifacts(subject))
    for runtime in runtimes:
        found += _of_runtime(subject, runtime)
    return found


def reference(subject: Subject) -> Contestant:
    """Return who says what is right: the user's file as it is written, nothing optimized.

    For a .tflite file LiteRT's reference kernels, where it is installed; else, and where only
    its weights are quantized, ONNX Runtime.
    """
    if (
        subject.tflite is not None
        and not subject.is_dynamic
        and Runtime.LITERT_REFERENCE.is_installed
    ):
        return next(_of_runtime(subject, Runtime.LITERT_REFERENCE))
    return Contestant(
        runtime=Runtime.ONNXRUNTIME,
        precision=subject.precision if subject.is_quantized else "float32",
        path=subject.original,
        note="not optimized",
        optimized=False,
    )


def _missing(runtime: Runtime) -> str:
    return f"{runtime.label} is not installed: pip install '{runtime.extra}'"


def _of_runtime(subject: Subject, runtime: Runtime) -> Iterator[Contestant]:
    if runtime in LITERT:
        if subject.tflite is not None:
            has_integers = subject.is_quantized or subject.is_dynamic
            yield Contestant(
                runtime=runtime,
                precision=subject.precision if has_integers else "float32",
                path=subject.tflite,
                note="activations quantized in every run" if subject.is_dynamic else "",
                input_names=subject.input_names,
                output_names=subject.output_names,
            )
        return
    files = [(subject.precision, path, note) for path, note in subject.quantized_files]
    if subject.float_file is not None:
        files.append(("float32", subject.float_file, ""))
    for precision, path, note in files:
        plain = Contestant(runtime=runtime, precision=precision, path=path, note=note)
        yield plain
        if runtime is Runtime.OPENVINO and BFLOAT16 in get_target(HOST).float_precisions:
            yield _rounded(plain)


def _rounded(plain: Contestant) -> Contestant:
    """The same with bfloat16 in place of float32."""
    precision = BFLOAT16 if plain.precision == "float32" else plain.precision
    return replace(plain, precision=precision, bfloat16=True)


def _artifacts(subject: Subject) -> Iterator[Contestant]:
    shares = [_shares(manifest) for manifest in subject.manifests]
    placements = [max(share, key=share.__getitem__) for share in shares]
    for path, share, main in zip(subject.artifacts, shares, placements, strict=True):
        rest = [
            f"{part:.1%} in {PRECISIONS[placement]}"
            for placement, part in share.items()
            if placement != main and part
        ]
        notes = [path.name] if placements.count(main) > 1 else []
        if rest:
            notes.append(" and ".join(rest))
        yield Contestant(
            runtime=Runtime.OCTAVO,
            precision=PRECISIONS[main],
            path=path,
            note=", ".join(notes),
        )


def _shares(manifest: Mapping[str, Any]) -> dict[str, float]:
    """Part of the multiply-accumulates of each arithmetic; without any, of the steps."""
    counts = dict.fromkeys(PRECISIONS, 0)
    steps = manifest.get("steps", ())
    has_macs = any(step["macs"] for step in steps)
    for step in steps:
        counts[step["placement"]] += step["macs"] if has_macs else 1
    total = sum(counts.values()) or 1
    return {placement: count / total for placement, count in counts.items()}
