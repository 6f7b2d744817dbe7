/* What the runtime calls of the C library, apart from memcpy and memset, which are built in.
 * Android's headers come with the NDK only. Without them the few functions are declared here, so
 * that a library for Android is built by any clang; the library is linked by their names alone. */
#ifndef OCTAVO_C_LIBRARY_H_
#define OCTAVO_C_LIBRARY_H_

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__ANDROID__) && !__has_include(<pthread.h>)
/* Sources: Linux include/uapi/asm-generic/{fcntl,mman,stat,unistd}.h, linux/auxvec.h, linux/time.h;
 * arch/arm/include/uapi/asm/stat.h, arch/arm/tools/syscall.tbl; arch/x86/include/uapi/asm/stat.h,
 * arch/x86/entry/syscalls/syscall_64.tbl; bionic libc/include/bits/pthread_types.h. */
enum { O_RDONLY = 0, O_CLOEXEC = 02000000 };
enum { PROT_READ = 1, PROT_WRITE = 2 };
enum { MAP_PRIVATE = 2, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20 };
#define MAP_POPULATE 0x8000
enum { CLOCK_MONOTONIC = 1, AT_HWCAP = 16, AT_HWCAP2 = 26 };
#if defined(__aarch64__)
enum { SYS_futex = 98, SYS_sched_setaffinity = 122, SYS_sched_yield = 124 };
#elif defined(__arm__)
enum { SYS_futex = 240, SYS_sched_setaffinity = 241, SYS_sched_yield = 158 };
#elif defined(__x86_64__)
enum { SYS_futex = 202, SYS_sched_setaffinity = 203, SYS_sched_yield = 24 };
#define SYS_arch_prctl 158
#else
#error "add the NDK's headers: sizes and numbers of this architecture are not known here"
#endif
#define MAP_FAILED ((void *)-1)
#define S_ISREG(mode) (((mode) & 0170000u) == 0100000u)

struct timespec {
  long tv_sec, tv_nsec;
};

#if defined(__aarch64__)
struct stat {
  uint64_t st_dev, st_ino;
  uint32_t st_mode, st_nlink, st_uid, st_gid;
  uint64_t st_rdev, padding;
  int64_t st_size;
  uint64_t rest[9];
};
_Static_assert(sizeof(struct stat) == 128, "as the kernel writes it");
#elif defined(__arm__)
struct stat {
  uint64_t st_dev;
  uint32_t padding, low_ino, st_mode, st_nlink, st_uid, st_gid;
  uint64_t st_rdev, padding_2;
  int64_t st_size;
  uint64_t rest[6];
};
_Static_assert(sizeof(struct stat) == 104, "as the kernel writes it");
#else
struct stat {
  uint64_t st_dev, st_ino, st_nlink;
  uint32_t st_mode, st_uid, st_gid, padding;
  uint64_t st_rdev;
  int64_t st_size;
  uint64_t rest[11];
};
_Static_assert(sizeof(struct stat) == 144, "as the kernel writes it");
#endif

typedef long off_t;
typedef long ssize_t;
typedef long pthread_t;
typedef struct pthread_attr_t {
  long words[7]; /* 24 bytes of them on 32-bit machines */
} pthread_attr_t;

int posix_memalign(void **memory, size_t alignment, size_t num_bytes);
void free(void *memory);
int open(const char *path, int flags, ...);
int close(int file);
ssize_t read(int file, void *data, size_t num_bytes);
int fstat(int file, struct stat *info);
void *mmap(void *address, size_t num_bytes, int protection, int flags, int file, off_t offset);
int munmap(void *address, size_t num_bytes);
int clock_gettime(int clock, struct timespec *now);
long syscall(long number, ...);
unsigned long getauxval(unsigned long type);
int pthread_attr_init(pthread_attr_t *attributes);
int pthread_attr_setstacksize(pthread_attr_t *attributes, size_t num_bytes);
int pthread_attr_destroy(pthread_attr_t *attributes);
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument);
int pthread_join(pthread_t thread, void **result);

#else
#ifdef __ENVIRONMENT_IPHONE_OS_VERSION_MIN_REQUIRED__
/* Headers of macOS have names with "$INODE64" for what older versions had in another form; iOS and
 * its simulator never had that form or the names. Source: Apple, sys/cdefs.h of either SDK. */
#include <sys/cdefs.h>
#undef __DARWIN_SUF_64_BIT_INO_T
#define __DARWIN_SUF_64_BIT_INO_T
#endif
#include <fcntl.h>
#ifndef OCTAVO_SINGLE_THREAD
#include <pthread.h>
#endif
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/auxv.h>
#include <sys/syscall.h>
#endif
#ifndef MAP_POPULATE
#define MAP_POPULATE 0
#endif
#endif

#endif /* OCTAVO_C_LIBRARY_H_ */
