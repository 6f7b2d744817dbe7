"""What is known of a product: its cores, caches, memory, system and accelerators.

A fact that no source states is None, and the architecture level's own value is used for it.
"""

from dataclasses import dataclass, replace

from octavo.targets.abi import Abi
from octavo.targets.base import Target
from octavo.targets.systems import on_system


@dataclass(frozen=True, kw_only=True)
class Core:
    """A kind of CPU core.

    Attributes:
        name: The vendor's name.
        llvm_cpu: LLVM's name, which tells the instructions that it has.
        l1_bytes: First-level data cache of one core; None where it differs between products.
        source: Where the facts come from.
    """

    name: str
    llvm_cpu: str
    l1_bytes: int | None = None
    source: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Equal cores of a chip.

    Attributes:
        core: What they are.
        count: How many.
        max_mhz: Highest clock, MHz.
        l1_bytes: First-level data cache of each, where it differs between products.
        l2_bytes: Second-level cache that one of them sees.
    """

    core: Core
    count: int
    max_mhz: int | None = None
    l1_bytes: int | None = None
    l2_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A graphics processor.

    Attributes:
        name: The vendor's name.
        level: The level whose kernels it runs, such as "mali"; None where there are none.
        opencl_version: Version that its driver offers, such as "3.0".
        num_cores: Shader cores, or shader processors.
        registers: See ``Accelerator``.
    """

    name: str
    level: str | None = None
    opencl_version: str | None = None
    num_cores: int | None = None
    registers: int | None = None


@dataclass(frozen=True, kw_only=True)
class Dsp:
    """A signal processor with vectors.

    Attributes:
        name: The vendor's name.
        version: Of its instructions, such as "v73".
        level: The architecture level whose code it runs, such as "hexagon-v73".
    """

    name: str
    version: str
    level: str


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A system on a chip, as products of several vendors use it.

    Attributes:
        name: The vendor's name.
        level: Name of the architecture level that all of its cores run.
        clusters: Its cores, fastest first.
        l3_bytes: Third-level cache that the cores share.
        gpu: Its graphics processor.
        dsp: Its signal processor.
        sources: Where the facts come from.
    """

    name: str
    level: str
    clusters: tuple[Cluster, ...]
    l3_bytes: int | None = None
    gpu: Gpu | None = None
    dsp: Dsp | None = None
    sources: tuple[str, ...]

    @property
    def num_cores(self) -> int:
        """All cores."""
        return sum(cluster.count for cluster in self.clusters)


@dataclass(frozen=True, kw_only=True)
class Device:
    """A product.

    Attributes:
        name: What the user types.
        product: The vendor's name; where it was sold with several chips or memory sizes, this
            one's.
        chip: What computes in it.
        memory_bytes: The least that it was sold with; None where no source says.
        system: Operating system, "android" or "linux".
        api_level: Android's API level when it was new; None for Linux.
        abi: The system that libraries are linked for; None for that of the level.
        sources: Where the facts come from, besides those of the chip.
    """

    name: str
    product: str
    chip: Chip
    memory_bytes: int | None
    system: str
    api_level: int | None = None
    abi: Abi | None = None
    sources: tuple[str, ...]

    @property
    def description(self) -> str:
        """One line for ``octavo targets``."""
        cores = ", ".join(f"{c.count} {c.core.name}" for c in self.chip.clusters)
        return f"{self.product}: {self.chip.name}, {cores}"

    @property
    def all_sources(self) -> tuple[str, ...]:
        """Sources of the device, its chip and its cores."""
        cores = (cluster.core.source for cluster in self.chip.clusters)
        return tuple(dict.fromkeys((*self.sources, *self.chip.sources, *cores)))


def device_target(device: Device, level: Target) -> Target:
    """The level's record with what is known of the device.

    The caches are those of its fastest cores, which the system gives the most work.

    Args:
        device: The product.
        level: The record of ``device.chip.level``.
    """
    fastest = device.chip.clusters[0]
    target = replace(
        level,
        name=device.name,
        description=device.description,
        level=level.name,
        num_cores=device.chip.num_cores,
        l1_bytes=fastest.l1_bytes or fastest.core.l1_bytes or level.l1_bytes,
        l2_bytes=fastest.l2_bytes or level.l2_bytes,
        memory_bytes=_least(device.memory_bytes, level.memory_bytes),
        sources=tuple(dict.fromkeys((*device.all_sources, *level.sources))),
    )
    return target if device.abi is None else on_system(target, device.abi)


def gpu_target(name: str, device: Device, gpu: Gpu, level: Target) -> Target:
    """The record of a device's graphics processor, with the CPU that drives it.

    Args:
        name: What the user types.
        device: The product.
        gpu: Its graphics processor.
        level: The record of ``gpu.level``.
    """
    accelerator = level.accelerator
    if accelerator is not None:
        accelerator = replace(
            accelerator,
            num_cores=gpu.num_cores or accelerator.num_cores,
            registers=gpu.registers or accelerator.registers,
        )
    return replace(
        device_target(device, level),
        name=name,
        description=f"{gpu.name} of {device.chip.name}, as in {device.product}",
        accelerator=accelerator,
    )


def dsp_target(name: str, device: Device, dsp: Dsp, level: Target) -> Target:
    """The record of a device's signal processor.

    Args:
        name: What the user types.
        device: The product.
        dsp: Its signal processor.
        level: The record of ``dsp.level``.
    """
    return replace(
        level,
        name=name,
        level=level.name,
        description=f"{device.product}: {dsp.name} ({dsp.version}) of {device.chip.name}",
        memory_bytes=_least(device.memory_bytes, level.memory_bytes),
        sources=tuple(dict.fromkeys((*device.all_sources, *level.sources))),
    )


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
