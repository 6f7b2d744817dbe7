"""The cores that are emulated: one for each generation of int8 instructions."""

from dataclasses import dataclass

# What all of them say of themselves, before the extensions of a generation.
_BASE = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_V8_2 = f"{_BASE} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"


@dataclass(frozen=True)
class Core:
    """One column of the table.

    Attributes:
        name: What the command line and the table call it.
        cpu: Value of the emulator's ``-cpu``.
        part: Of the CPU's identification, as /proc/cpuinfo has it; runtimes choose kernels by
            it. Source: the technical reference manual of the core, MIDR_EL1.
        features: Its line in /proc/cpuinfo.
        target: Ours for it.
    """

    name: str
    cpu: str
    part: str
    features: str
    target: str

    def cpuinfo(self) -> str:
        """/proc/cpuinfo of one such core."""
        fields = {
            "processor": "0",
            "BogoMIPS": "100.00",
            "Features": self.features,
            "CPU implementer": "0x41",
            "CPU architecture": "8",
            "CPU variant": "0x0",
            "CPU part": self.part,
            "CPU revision": "3",
        }
        return "".join(f"{key}\t: {value}\n" for key, value in fields.items()) + "\n"


CORES = (
    Core("cortex-a72", "cortex-a72", "0xd08", _BASE, "arm64-neon"),
    Core("cortex-a76", "cortex-a76", "0xd0b", _V8_2, "arm64-dotprod"),
    # The emulator has no core with matrix products and without scalable vectors: its largest
    # one with those off. It says to be a Neoverse N2: from the numbers of Cortex-A510, A710
    # and X2 the runtimes conclude that there are scalable vectors, and crash.
    Core("i8mm", "max,sve=off,sme=off", "0xd49", f"{_V8_2} i8mm bf16", "arm64-i8mm"),
)


def find_core(name: str) -> Core:
    """Return the core of that name.

    Raises:
        KeyError: No such core; the message lists the names.
    """
    for core in CORES:
        if core.name == name:
            return core
    raise KeyError(f"no core {name!r}; known: {', '.join(core.name for core in CORES)}")
