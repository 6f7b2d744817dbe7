/* What the runtime for Apple's systems calls, in terms of Linux: functions whose numbers and structs
 * differ. Others have the same binary interface on both, and types of threads that are no smaller on
 * Darwin than in musl. Source: the headers of Darwin, sys/{fcntl,mman,stat}.h, time.h. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum {
  DARWIN_O_CLOEXEC = 0x1000000,
  DARWIN_MAP_ANON = 0x1000,
  DARWIN_CLOCK_MONOTONIC = 6,
};

/* struct stat of 64-bit systems, as far as the runtime reads it. */
typedef struct darwin_stat {
  int32_t device;
  uint16_t mode, num_links;
  uint64_t inode;
  uint32_t user, group;
  int32_t special_device, padding;
  int64_t times[8];
  int64_t size, num_blocks;
  int32_t block_size;
  uint32_t flags, generation, spare;
  int64_t spares[2];
} darwin_stat;
_Static_assert(sizeof(darwin_stat) == 144 && offsetof(darwin_stat, size) == 96, "of Darwin");

int darwin_open(const char *path, int flags) {
  if (flags != (O_RDONLY | DARWIN_O_CLOEXEC)) abort();
  return open(path, O_RDONLY | O_CLOEXEC);
}

void *darwin_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset) {
  if (flags & ~(MAP_PRIVATE | MAP_FIXED | DARWIN_MAP_ANON)) abort();
  int own = flags & (MAP_PRIVATE | MAP_FIXED);
  if (flags & DARWIN_MAP_ANON) own |= MAP_ANONYMOUS;
  return mmap(address, size, protection, own, file, offset);
}

int darwin_fstat(int file, darwin_stat *info) {
  struct stat own;
  if (fstat(file, &own) != 0) return -1;
  memset(info, 0xff, sizeof *info);
  info->mode = (uint16_t)own.st_mode; /* the kinds of files have the same numbers */
  info->size = own.st_size;
  return 0;
}

/* What the same function is called for processors of Intel. */
int darwin_fstat_INODE64(int file, darwin_stat *info) { return darwin_fstat(file, info); }

int darwin_clock_gettime(int clock, struct timespec *now) {
  if (clock != DARWIN_CLOCK_MONOTONIC) abort();
  return clock_gettime(CLOCK_MONOTONIC, now);
}

/* Whether the CPU has a feature: DARWIN_FEATURES has the names of those that it shall have. */
int darwin_sysctlbyname(const char *name, void *value, size_t *size, void *new_value,
                        size_t new_size) {
  const char *known = getenv("DARWIN_FEATURES");
  if (*size != sizeof(int) || new_value != NULL || new_size != 0) abort();
  if (known == NULL || strstr(known, name) == NULL) {
    errno = ENOENT;
    return -1;
  }
  *(int *)value = 1;
  return 0;
}

void darwin_memset_pattern16(char *to, const char *pattern, size_t size) {
  for (size_t i = 0; i < size; i++) to[i] = pattern[i % 16];
}

/* A thread's own copy of a variable of 8 bytes, which is zero at first. There is one of them. */
typedef struct tlv_descriptor {
  void *(*thunk)(struct tlv_descriptor *);
  uint64_t key, initial;
} tlv_descriptor;

__attribute__((preserve_all)) void *own_variable(tlv_descriptor *variable) {
  static tlv_descriptor *only;
  static _Thread_local uint64_t value;
  if (only == NULL) only = variable;
  if (only != variable) __builtin_trap();
  return &value;
}

/* Called with all registers in use but the one of the result. */
#ifdef __aarch64__
__asm__(".text\n.globl darwin__tlv_bootstrap\ndarwin__tlv_bootstrap:\n"
        "stp x29, x30, [sp, #-208]!\nstp x1, x2, [sp, #16]\nstp x3, x4, [sp, #32]\n"
        "stp x5, x6, [sp, #48]\nstp x7, x8, [sp, #64]\nstp q0, q1, [sp, #80]\n"
        "stp q2, q3, [sp, #112]\nstp q4, q5, [sp, #144]\nstp q6, q7, [sp, #176]\n"
        "bl own_variable\n"
        "ldp x1, x2, [sp, #16]\nldp x3, x4, [sp, #32]\nldp x5, x6, [sp, #48]\n"
        "ldp x7, x8, [sp, #64]\nldp q0, q1, [sp, #80]\nldp q2, q3, [sp, #112]\n"
        "ldp q4, q5, [sp, #144]\nldp q6, q7, [sp, #176]\nldp x29, x30, [sp], #208\nret\n");
#else
__asm__(".text\n.globl darwin__tlv_bootstrap\ndarwin__tlv_bootstrap:\njmp own_variable\n");
#endif
