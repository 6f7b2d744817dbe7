"""What the compiler knows about a GPU beside a target's CPU: data only."""

from dataclasses import dataclass

from octavo.errors import TargetError

DOT_PRODUCTS = ("khr", "qcom", "arm")


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """A GPU that a program's kernels run on; what it has no kernel for runs on the CPU.

    Attributes:
        name: Shown in the variants of its kernels.
        dot_products: Extensions with products of four bytes that its kernels use where the
            driver has them, in order of preference: "khr" (cl_khr_integer_dot_product), "qcom"
            (cl_qcom_dot_product8), "arm" (cl_arm_integer_dot_product_accumulate_int8). Every
            kernel also computes without any.
        work_group: Work items of one work-group; a power of 2.
        registers: 32-bit registers of a work item while half of those that a core has place
            for are resident.
        num_cores: Cores of the device; 1 where a family has smaller and larger ones.
        core_items: Work items that keep a core busy, an eighth of those that it has place for:
            the many independent sums of an item hide latencies as well.
        local_bytes: Memory of a work-group that its items share; every device that is not
            embedded has 32 KiB (clGetDeviceInfo, CL_DEVICE_LOCAL_MEM_SIZE).
        needs_gpu: The host program takes no device but a GPU.
        sources: Where the facts come from.
    """

    name: str
    dot_products: tuple[str, ...] = ()
    work_group: int = 64
    registers: int = 64
    num_cores: int = 1
    core_items: int = 128
    local_bytes: int = 32 * 1024
    needs_gpu: bool = True
    sources: tuple[str, ...] = ()

    @property
    def busy_items(self) -> int:
        """Work items that keep the device busy."""
        return self.num_cores * self.core_items

    def __post_init__(self) -> None:
        unknown = [name for name in self.dot_products if name not in DOT_PRODUCTS]
        if unknown:
            allowed = ", ".join(DOT_PRODUCTS)
            raise TargetError(
                f"accelerator {self.name!r}: dot product {unknown[0]!r}; allowed: {allowed}"
            )
        if self.work_group < 1 or self.work_group & (self.work_group - 1):
            raise TargetError(
                f"accelerator {self.name!r}: work_group {self.work_group}; a power of 2"
            )
