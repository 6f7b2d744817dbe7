"""Android: what its C library, bionic, offers to a library of an app.

Only functions that generated code or the runtime may call are listed: all of them are in every
version since 5.0 (API level 21). Thread-local variables need the linker of Android 10 (29).
"""

from octavo.targets.abi import Abi, SystemLibrary

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

_LIBM = SystemLibrary(
    name="libm.so",
    symbols=tuple(
        f"{name}{suffix}"
        for name in (
            "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "cos",
            "cosh", "erf", "erfc", "exp", "exp2", "expm1", "fabs", "floor", "fma", "fmax",
            "fmin", "fmod", "log", "log10", "log1p", "log2", "nearbyint", "pow", "rint",
            "round", "sin", "sinh", "sqrt", "tan", "tanh", "tgamma", "trunc",
        )
        for suffix in ("", "f")
    ),
)  # fmt: skip

_LIBDL = SystemLibrary(name="libdl.so", symbols=("dlclose", "dlerror", "dlopen", "dlsym"))

ANDROID_ARM64 = Abi(
    system="android",
    api_level=29,
    triple="aarch64-unknown-linux-android29",
    zig_target="aarch64-linux-android.29",
    libraries=(_LIBC, _LIBM, _LIBDL),
    sources=(
        "Android Open Source Project, bionic, libc/libc.map.txt and libm/libm.map.txt",
        "Android Open Source Project, bionic, docs/elf-tls.md",
        "Android developers, Support 16 KB page sizes",
    ),
)
