"""Apple's systems: what libSystem offers to an app, and how their objects are told apart.

An app is linked by Xcode, and runs signed code only: an artifact for these systems has a
static library. Only functions that generated code or the runtime may call are listed.

iOS 15 runs on A8 and later, which have no dot products; those came with A13, matrix products
with A15. iPhones that iOS 26 runs on have A13 or later; macOS runs 64-bit Arm code on M1 or
later, which have dot products. Since iOS 15 and macOS 12 programs can ask the system what the
CPU has.
"""

from octavo.targets.abi import Abi, SystemLibrary
from octavo.targets.c_mathematics import MATHEMATICS

_SYMBOLS = (
    # Compilers call these on their own; the first line is of this system only.
    "__sincos_stret", "__sincosf_stret", "bzero", "memset_pattern16", "_tlv_bootstrap",
    "memcmp", "memcpy", "memmove", "memset",
    # Memory, files, time, the machine.
    "clock_gettime", "close", "fclose", "fopen", "fread", "free", "fseek", "fstat", "ftell",
    "fwrite", "malloc", "mmap", "munmap", "open", "posix_memalign", "remove", "rename",
    "strcmp", "strlen", "strncmp", "sysctlbyname",
    # Threads.
    "pthread_attr_destroy", "pthread_attr_init", "pthread_attr_setstacksize",
    "pthread_cond_broadcast", "pthread_cond_destroy", "pthread_cond_init", "pthread_cond_wait",
    "pthread_create", "pthread_join", "pthread_mutex_destroy", "pthread_mutex_init",
    "pthread_mutex_lock", "pthread_mutex_unlock", "sched_yield",
    # Drivers.
    "dlclose", "dlopen", "dlsym",
    *MATHEMATICS,
)  # fmt: skip

_LIBSYSTEM = SystemLibrary(name="libSystem.B.dylib", symbols=_SYMBOLS)
# The name of what programs for macOS 10.5 and older know in another form, and what compilers
# call there to clear memory.
_LIBSYSTEM_OF_INTEL = SystemLibrary(
    name="libSystem.B.dylib", symbols=(*_SYMBOLS, "fstat$INODE64", "__bzero")
)

HEADERS = "any-darwin-any"  # what Apple's systems have in common

_SOURCES = (
    "Apple, Writing ARM64 code for Apple platforms",
    "Apple, iOS 15 and iPadOS 15: compatible devices",
    "LLVM, AArch64Processors.td: apple-a8, apple-a13, apple-a15, apple-m1",
    "Apple, XNU 8019 (iOS 15, macOS 12), bsd/kern/kern_mib.c: hw.optional.arm",
    "Apple, libSystem.B.tbd of the SDKs of iOS 14.5, 15.6 and 16.5, and of macOS",
)

_CPUS = {"arm64": "aarch64", "x86_64": "x86_64"}  # names of zig's by those of Apple


def _abi(
    system: str,
    name: str,
    version: int,
    *,
    variant: str = "",
    library: SystemLibrary = _LIBSYSTEM,
) -> Abi:
    """What apps of a system and a CPU take.

    Args:
        system: "ios" or "macos".
        name: Apple's of the CPU.
        version: Oldest of the system that apps run on.
        variant: "simulator", or empty for the system itself.
        library: What is there of libSystem.
    """
    suffix = f"-{variant}" if variant else ""
    llvm_system = {"macos": "macosx"}.get(system, system)
    return Abi(
        system=system,
        name=name,
        variant=variant,
        api_level=version,
        object_format="mach-o",
        headers=HEADERS,
        triple=f"{name}-apple-{llvm_system}{version}.0{suffix}",
        zig_target=f"{_CPUS[name]}-{system}.{version}.0{suffix}",
        libraries=(library,),
        sources=_SOURCES,
    )


IOS_ARM64 = _abi("ios", "arm64", 15)
IOS_SIMULATOR_ARM64 = _abi("ios", "arm64", 15, variant="simulator")
IOS_SIMULATOR_X86_64 = _abi("ios", "x86_64", 15, variant="simulator")
MACOS_ARM64 = _abi("macos", "arm64", 12)
MACOS_X86_64 = _abi("macos", "x86_64", 12, library=_LIBSYSTEM_OF_INTEL)
