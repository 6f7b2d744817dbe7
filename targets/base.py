"""What the compiler knows about a target."""

from dataclasses import dataclass

from octavo.errors import TargetError
from octavo.targets.abi import Abi
from octavo.targets.accelerator import Accelerator

REQUANTIZE_MODES = ("float32", "dyadic", "tflite")

@dataclass(frozen=True, kw_only=True)
class Emulator:
    """What runs a target's programs on a machine of another architecture.

    Attributes:
        program: Executable of user-mode emulation, looked up in PATH.
        cpu: Value of its ``-cpu``: a CPU that has what the target names, and no more where the
            emulator knows one.
        package: Debian package that it comes in.
        unit: What it counts as one: "instructions", or "packets" of them where the
            architecture issues them so.
    """

    program: str
    cpu: str
    package: str = "qemu-user"
    unit: str = "instructions"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One architecture or device: data only, every difference between targets is here.

    Attributes:
        name: What the user types.
        description: One line for ``octavo targets``.
        level: Name of the architecture level that a product refines; "" for a level itself.
        family: Architecture, one name for all of its levels and devices.
        triple: LLVM target triple.
        cpu: LLVM ``-mcpu`` name.
        features: LLVM features, such as "+avx512vnni".
        llvm_abi: LLVM's name of the calling convention, where the triple does not tell.
        zig_target: What ``zig cc -target`` is given to link the library for it.
        program_zig_target: The same for programs; "" takes ``zig_target``. A C library that
            links statically lets them run under an emulator and on any system.
        c_flags: Further flags of the C compiler.
        link_flags: Further flags of the linker.
        abi: The system that the library is linked for; None for one whose C library the linker
            brings with it.
        emulator: What runs its programs elsewhere; None where nothing does.
        accelerator: GPU that computes whatever it has kernels for; None for none.
        isa: Name of the instruction variant that kernels are built for (targets/isa.py).
        activation_dtype: "uint8" or "int8", whichever the instructions take.
        requantize: "float32" or "dyadic", the default rounding contract.
        requantize_modes: The rounding contracts that its instructions can keep.
        float_precisions: What float layers may multiply: "float32", and "bf16" where the
            instructions multiply bfloat16 numbers.
        num_cores: Cores that a program may use.
        alignment: Bytes of the widest vector or of a cache line, whichever is more: tensors
            begin at multiples of it.
        l1_bytes: First-level data cache of one core.
        l2_bytes: Second-level cache that one core sees.
        memory_bytes: Most that a program and its data may take: the memory of a product, or
            what 32 bits address; None where nothing limits it.
        sources: Where the hardware facts come from.
    """

    name: str
    description: str
    level: str = ""
    family: str = ""
    triple: str
    cpu: str
    features: tuple[str, ...] = ()
    llvm_abi: str = ""
    zig_target: str
    program_zig_target: str = ""
    c_flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    abi: Abi | None = None
    emulator: Emulator | None = None
    accelerator: Accelerator | None = None
    isa: str
    activation_dtype: str = "uint8"
    requantize: str = "float32"
    requantize_modes: tuple[str, ...] = REQUANTIZE_MODES
    float_precisions: tuple[str, ...] = ("float32",)
    num_cores: int = 1
    alignment: int = 64
    l1_bytes: int = 32 * 1024
    l2_bytes: int = 1024 * 1024
    memory_bytes: int | None = None
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.activation_dtype not in ("uint8", "int8"):
            raise TargetError(
                f"target {self.name!r}: activation_dtype {self.activation_dtype!r};"
                " allowed: uint8, int8"
            )
        if self.requantize not in ("float32", "dyadic"):
            raise TargetError(
                f"target {self.name!r}: requantize {self.requantize!r};"
                " allowed: float32, dyadic"
            )
        self.check_requantize(self.requantize)

    def check_requantize(self, mode: str) -> None:
        """Refuse a rounding contract that the target cannot keep.

        Raises:
            TargetError: As said.
        """
        if mode not in self.requantize_modes:
            raise TargetError(
                f"target {self.name!r} cannot requantize in {mode};"
                f" possible: {', '.join(self.requantize_modes)}"
            )

    def check_float_precision(self, precision: str) -> None:
        """Refuse numbers that the target cannot multiply.

        Raises:
            TargetError: As said.
        """
        if precision not in self.float_precisions:
            raise TargetError(
                f"target {self.name!r} does not multiply {precision} numbers;"
                f" possible: {', '.join(self.float_precisions)}"
            )

    def check_measurable(self) -> None:
        """Refuse to measure what no program can be linked for.

        Raises:
            TargetError: As said.
        """
        if not self.has_programs:
            raise TargetError(
                f"target {self.name!r} cannot be measured: only its system's own tools link"
                " programs for it"
            )

    @property
    def has_programs(self) -> bool:
        """Whether artifacts have programs; else they have a static library for an app."""
        return self.abi is None or self.abi.has_programs

    @property
    def is_emulated(self) -> bool:
        """Whether an emulator runs whole programs; none has a GPU."""
        needs_gpu = self.accelerator is not None and self.accelerator.needs_gpu
        return self.emulator is not None and not needs_gpu

    def tvm_target(self) -> dict[str, object]:
        """The target as TVM takes it."""
        spec: dict[str, object] = {"kind": "llvm", "mtriple": self.triple, "mcpu": self.cpu}
        if self.features:
            spec["mattr"] = list(self.features)
        if self.llvm_abi:
            spec["mabi"] = self.llvm_abi
        spec["num-cores"] = self.num_cores
        return spec
