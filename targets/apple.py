"""Apple's systems: what libSystem offers to an app, and how their objects are told apart.

An app is linked by Xcode, and runs signed code only: an artifact for these systems has a
static library. Only functions that generated code or the runtime may call are listed.

iOS 15 runs on A8 and later, which have no dot products; those came with A13, matrix products
with A15. iPhones that iOS 26 runs on have A13 or later; macOS runs 64-bit Arm code on M1 or
later, which have dot products. Since iOS 15 and macOS 12 programs can ask the system what the
CPU has.
"""

from octavo.targets.abi import Abi, SystemLibrary

_MATH = (
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "cos", "cosh",
    "erf", "erfc", "exp", "exp2", "expm1", "fabs", "floor", "fma", "fmax", "fmin", "fmod",
    "log", "log10", "log1p", "log2", "nearbyint", "pow", "rint", "round", "sin", "sinh",
    "sqrt", "tan", "tanh", "tgamma", "trunc",
)  # fmt: skip

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
    *(f"{name}{suffix}" for name in _MATH for suffix in ("", "f")),
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

IOS_ARM64 = Abi(
    system="ios",
    name="arm64",
    api_level=15,
    object_format="mach-o",
    headers=HEADERS,
    triple="arm64-apple-ios15.0",
    zig_target="aarch64-ios.15.0",
    libraries=(_LIBSYSTEM,),
    sources=_SOURCES,
)

IOS_SIMULATOR_ARM64 = Abi(
    system="ios",
    name="arm64",
    variant="simulator",
    api_level=15,
    object_format="mach-o",
    headers=HEADERS,
    triple="arm64-apple-ios15.0-simulator",
    zig_target="aarch64-ios.15.0-simulator",
    libraries=(_LIBSYSTEM,),
    sources=_SOURCES,
)

IOS_SIMULATOR_X86_64 = Abi(
    system="ios",
    name="x86_64",
    variant="simulator",
    api_level=15,
    object_format="mach-o",
    headers=HEADERS,
    triple="x86_64-apple-ios15.0-simulator",
    zig_target="x86_64-ios.15.0-simulator",
    libraries=(_LIBSYSTEM,),
    sources=_SOURCES,
)

MACOS_ARM64 = Abi(
    system="macos",
    name="arm64",
    api_level=12,
    object_format="mach-o",
    headers=HEADERS,
    triple="arm64-apple-macosx12.0",
    zig_target="aarch64-macos.12.0",
    libraries=(_LIBSYSTEM,),
    sources=_SOURCES,
)

MACOS_X86_64 = Abi(
    system="macos",
    name="x86_64",
    api_level=12,
    object_format="mach-o",
    headers=HEADERS,
    triple="x86_64-apple-macosx12.0",
    zig_target="x86_64-macos.12.0",
    libraries=(_LIBSYSTEM_OF_INTEL,),
    sources=_SOURCES,
)
