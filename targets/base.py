"""What the compiler knows about a target."""

from dataclasses import dataclass

from octavo.errors import TargetError


@dataclass(frozen=True, kw_only=True)
class Target:
    """One architecture or device: data only, every difference between targets is here.

    Attributes:
        name: What the user types.
        description: One line for ``octavo targets``.
        triple: LLVM target triple.
        cpu: LLVM ``-mcpu`` name.
        features: LLVM features, such as "+avx512vnni".
        zig_target: What ``zig cc -target`` is given to link for it.
        isa: Name of the instruction variant that kernels are built for (targets/isa.py).
        activation_dtype: "uint8" or "int8", whichever the instructions take.
        requantize: "float32" or "dyadic", the default rounding contract.
        num_cores: Cores that a program may use.
        l1_bytes: First-level data cache of one core.
        l2_bytes: Second-level cache that one core sees.
        sources: Where the hardware facts come from.
    """

    name: str
    description: str
    triple: str
    cpu: str
    features: tuple[str, ...] = ()
    zig_target: str
    isa: str
    activation_dtype: str = "uint8"
    requantize: str = "float32"
    num_cores: int = 1
    l1_bytes: int = 32 * 1024
    l2_bytes: int = 1024 * 1024
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

    def tvm_target(self) -> dict[str, object]:
        """The target as TVM takes it."""
        spec: dict[str, object] = {"kind": "llvm", "mtriple": self.triple, "mcpu": self.cpu}
        if self.features:
            spec["mattr"] = list(self.features)
        spec["num-cores"] = self.num_cores
        return spec
