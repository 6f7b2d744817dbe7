"""Android: what its C library, bionic, offers to a library of an app.

Only functions that generated code or the runtime may call are listed: all of them are in every
version since 5.0 (API level 21). Thread-local variables need the linker of Android 10 (29).
"""

from dataclasses import replace

from octavo.targets.abi import Abi, SystemLibrary
from octavo.targets.c_mathematics import MATHEMATICS

_LIBC = SystemLibrary(
    name="libc.so",
    symbols=(
        # Compilers call these four on their own.
        "memcmp", "memcpy", "memmove", "memset",
        # Memory, files, time, the machine.
        "abort", "calloc", "clock_gettime", "close", "fclose", "ferror", "fgetc", "fopen",
        "fread", "free", "fseek", "fstat", "ftell", "fwrite", "getauxval", "getenv", "lseek",
        "malloc", "mkdir", "mmap", "munmap", "open", "posix_memalign", "read", "realloc",
        "remove", "rename", "snprintf", "strchr", "strcmp", "strlen", "strncmp", "strstr",
        "syscall", "unlink", "vsnprintf", "write",
        # Threads.
        "pthread_attr_destroy", "pthread_attr_init", "pthread_attr_setstacksize",
        "pthread_cond_broadcast", "pthread_cond_wait", "pthread_create", "pthread_join",
        "pthread_mutex_lock", "pthread_mutex_unlock", "sched_setaffinity", "sched_yield",
    ),
)  # fmt: skip

_LIBM = SystemLibrary(name="libm.so", symbols=(*MATHEMATICS, "sincos", "sincosf"))

_LIBDL = SystemLibrary(name="libdl.so", symbols=("dlclose", "dlerror", "dlopen", "dlsym"))

# What compilers call for a library's thread-local variable; 64-bit Arm has a register instead.
_LIBC_WITH_TLS = replace(_LIBC, symbols=(*_LIBC.symbols, "__tls_get_addr"))
_LIBC_ARMV7 = replace(_LIBC_WITH_TLS, symbols=(*_LIBC_WITH_TLS.symbols, "__aeabi_read_tp"))

_SOURCES = (
    "Android Open Source Project, bionic, libc/libc.map.txt and libm/libm.map.txt",
    "Android Open Source Project, bionic, docs/elf-tls.md",
    "Android developers, Support 16 KB page sizes",
)

ANDROID_ARM64 = Abi(
    system="android",
    name="arm64-v8a",
    api_level=29,
    triple="aarch64-unknown-linux-android29",
    zig_target="aarch64-linux-android.29",
    libraries=(_LIBC, _LIBM, _LIBDL),
    sources=_SOURCES,
)

# Numbers are passed in general registers, on Linux in those of NEON: a program that an
# emulator runs has to be linked with a C library of the same convention.
ANDROID_ARMV7 = Abi(
    system="android",
    name="armeabi-v7a",
    api_level=29,
    triple="armv7a-unknown-linux-androideabi29",
    zig_target="arm-linux-androideabi.29",
    program_zig_target="arm-linux-musleabi",
    libraries=(_LIBC_ARMV7, _LIBM, _LIBDL),
    sources=_SOURCES,
)

ANDROID_X86_64 = Abi(
    system="android",
    name="x86_64",
    api_level=29,
    triple="x86_64-unknown-linux-android29",
    zig_target="x86_64-linux-android.29",
    libraries=(_LIBC_WITH_TLS, _LIBM, _LIBDL),
    sources=_SOURCES,
)
