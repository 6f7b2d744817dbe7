"""From a program to an artifact folder: plan, compile, link, describe.

Everything is made in a temporary folder beside the destination and renamed at the end, so that
a failure leaves nothing behind. Nothing that is written depends on the time, the machine or
the path: two builds of the same program are byte-identical.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import octavo
from octavo.compiler.artifact.accelerator_source import AcceleratorSource
from octavo.compiler.artifact.cpu_features import feature_mask, required_features
from octavo.compiler.artifact.kernel_cache import KernelCache
from octavo.compiler.artifact.kernels_object import build_kernels
from octavo.compiler.artifact.manifest import FORMAT, MANIFEST, checksums, write_manifest
from octavo.compiler.artifact.memory_limit import check_memory
from octavo.compiler.artifact.memory_plan import MemoryPlan, plan_memory
from octavo.compiler.artifact.model_header import ModelApi
from octavo.compiler.artifact.model_source import ModelSource
from octavo.compiler.artifact.new_folder import FolderKind, check_folder, new_folder
from octavo.compiler.artifact.object_format import ObjectFormat, object_format
from octavo.compiler.artifact.opencl_source import generate_opencl
from octavo.compiler.artifact.program_record import program_record
from octavo.compiler.artifact.toolchain import runtime_folder
from octavo.compiler.artifact.weight_blob import WeightBlob, pack_weights
from octavo.compiler.lowering.program import Program
from octavo.compiler.measurements.key import kernels_digest
from octavo.compiler.native_structs import ABI_VERSION
from octavo.errors import ModelError
from octavo.targets.base import Target
from octavo.targets.opencl.prelude import prelude

WEIGHTS = "weights.bin"
SOURCE = "kernels.cl"
RUNTIME_HEADER = "octavo_runtime.h"
ACCELERATOR_HEADER = "octavo_accelerator.h"
PACKED_HEADER = "octavo_packed_weights.h"

ARTIFACT = FolderKind("an artifact", MANIFEST)

ExtraFiles = Callable[[Mapping[str, Any]], Mapping[str, bytes]]


def write_artifact(
    program: Program,
    target: Target,
    model: Any,
    directory: str | os.PathLike[str],
    *,
    force: bool = False,
    seed: int = 0,
    extra_files: ExtraFiles | None = None,
    kernel_cache: KernelCache | None = None,
    packed_weights: bool = True,
) -> dict[str, Any]:
    """Compile ``program`` into an artifact folder.

    Args:
        program: What to run.
        target: What it runs on.
        model: The model that was compiled (``onnx_ir.Model``), or None to leave it out.
        directory: Folder to create.
        force: Replace an artifact that is already there.
        seed: Recorded in the manifest.
        extra_files: Makes further files, by name, from the manifest without them.
        kernel_cache: Objects of kernels that other programs have, too; with one, equal inputs
            do not give equal bytes.
        packed_weights: Store constants of at most 4 bits in as many; they are expanded into
            memory of their own when the artifact is loaded.

    Returns:
        The manifest.

    Raises:
        ArtifactError: ``directory`` exists, and ``force`` is off or it holds no artifact.
        LoweringError: The program cannot be compiled.
        ToolchainError: The compiler or the linker failed.
    """
    with new_folder(directory, ARTIFACT, force=force) as folder:
        blob = pack_weights(program, pack_bits=packed_weights)
        return _write(program, target, model, folder, blob, seed, extra_files, kernel_cache)


def check_destination(destination: Path, *, force: bool) -> None:
    """Refuse to overwrite, and under ``force`` to delete what is not an artifact.

    Raises:
        ArtifactError: As said.
    """
    check_folder(destination, ARTIFACT, force=force)


def _write(
    program: Program,
    target: Target,
    model: Any,
    folder: Path,
    blob: WeightBlob,
    seed: int,
    extra_files: ExtraFiles | None,
    kernel_cache: KernelCache | None,
) -> dict[str, Any]:
    plan = plan_memory(program)
    sizes = {"arena_bytes": plan.arena_bytes, "weights_bytes": blob.memory_bytes}
    check_memory(target, **sizes)
    features = required_features(target.tvm_target())
    blob.write(folder / WEIGHTS)
    if model is not None:
        (folder / "model.int8.onnx").write_bytes(_serialize(model))
    source = ModelSource(program, plan, blob, _accelerate(program, target, plan, folder))
    mask = feature_mask(target.triple, features)
    (folder / "model.c").write_text(source.text(mask), encoding="ascii")
    (folder / "model.h").write_text(ModelApi(program).header(), encoding="ascii")
    for header in (
        RUNTIME_HEADER,
        *([ACCELERATOR_HEADER] if source.accelerated else []),
        *([PACKED_HEADER] if blob.num_packed else []),
    ):
        shutil.copyfile(runtime_folder() / "include" / header, folder / header)
    files = object_format(target)
    build_kernels(program, target.tvm_target(), folder, "kernels.o", kernel_cache, files)
    _link(target, files, folder)
    check_memory(target, **sizes, code_bytes=(folder / files.library).stat().st_size)
    manifest = {
        "format": FORMAT,
        "abi_version": ABI_VERSION,
        "target": target.name,
        "target_details": _target_record(target) | {"cpu_features": list(features)},
        "seed": seed,
        "versions": _versions(),
        **program_record(program, plan, blob),
        "files": _checksums(folder),
    }
    if extra_files is not None:
        for name, data in extra_files(manifest).items():
            (folder / name).write_bytes(data)
        manifest |= {"files": _checksums(folder)}
    write_manifest(folder, manifest)
    return manifest


def _accelerate(
    program: Program, target: Target, plan: MemoryPlan, folder: Path
) -> AcceleratorSource | None:
    """Write the source of the kernels that an accelerator runs; None where there are none."""
    symbols = sorted({step.kernel for step in program.steps if step.on_accelerator})
    if target.accelerator is None or not symbols:
        return None
    source, launches = generate_opencl(
        {symbol: program.functions[symbol] for symbol in symbols},
        prelude(target.accelerator),
    )
    (folder / SOURCE).write_text(source, encoding="ascii")
    return AcceleratorSource(program, plan, target.accelerator, source, launches)


def _checksums(folder: Path) -> dict[str, str]:
    return checksums(folder, (path.name for path in folder.iterdir()))


def _link(target: Target, files: ObjectFormat, folder: Path) -> None:
    """Make the library of model.c, kernels.o and the runtime, and a program where it links."""
    build = folder / ".build"
    build.mkdir()
    files.link(target, build)
    shutil.rmtree(build)
    shutil.rmtree(folder / ".zig-cache", ignore_errors=True)


def _serialize(model: Any) -> bytes:
    import onnx_ir

    from octavo.passes.message_passing.open_counts import open_counts

    # With the largest sizes of what is counted at run time, no other runtime could run it.
    proto = onnx_ir.to_proto(open_counts(model))
    try:
        return bytes(proto.SerializeToString(deterministic=True))
    except ValueError as error:  # protobuf's limit is 2 GiB
        raise ModelError("the quantized model is larger than 2 GiB") from error


def _target_record(target: Target) -> dict[str, Any]:
    record = {
        "triple": target.triple,
        "cpu": target.cpu,
        "features": list(target.features),
        "zig_target": target.zig_target,
        "isa": target.isa,
    }
    accelerator = target.accelerator
    return record if accelerator is None else record | {"accelerator": accelerator.name}


def _versions() -> dict[str, str]:
    packages = ("apache-tvm", "apache-tvm-ffi", "numpy", "onnx", "onnx-ir", "ziglang")
    own = {"octavo": octavo.__version__, "kernels": kernels_digest()}
    return own | {name: version(name) for name in packages}
