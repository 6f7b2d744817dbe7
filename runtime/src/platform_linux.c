/* Linux: futex, mmap, arch_prctl. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall, MAP_POPULATE */
#endif
#include "platform.h"

#if OCTAVO_PLATFORM_LINUX

#include "c_library.h"

/* linux/futex.h and asm/prctl.h are kernel headers that not every toolchain ships. */
enum { kFutexWaitPrivate = 0 | 128, kFutexWakePrivate = 1 | 128 };
enum { kArchReqXcompPerm = 0x1023, kXfeatureTileData = 18 };

#if !defined(SYS_futex) && defined(SYS_futex_time64)
#define SYS_futex SYS_futex_time64 /* 32-bit targets with 64-bit time only */
#endif

void *octavo_platform_allocate(size_t num_bytes) {
  void *memory = NULL;
  return posix_memalign(&memory, OCTAVO_ALIGNMENT, num_bytes) == 0 ? memory : NULL;
}

void octavo_platform_free(void *memory) { free(memory); }

octavo_status octavo_platform_map(const char *path, size_t num_bytes, const uint8_t **data) {
  *data = NULL;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return OCTAVO_FILE_ERROR;
  struct stat info;
  octavo_status status = OCTAVO_OK;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    status = OCTAVO_FILE_ERROR;
  } else if (info.st_size < 0 || (uint64_t)info.st_size != num_bytes) {
    status = OCTAVO_WRONG_SIZE;
  } else {
    /* Populated now, so that the first run is not the one that takes the page faults. */
    void *memory = mmap(NULL, num_bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (memory == MAP_FAILED) status = OCTAVO_FILE_ERROR;
    else *data = memory;
  }
  close(file);
  return status;
}

void octavo_platform_unmap(const uint8_t *data, size_t num_bytes) {
  munmap((void *)(uintptr_t)data, num_bytes);
}

uint64_t octavo_platform_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#ifndef OCTAVO_SINGLE_THREAD
void octavo_platform_wait(atomic_uint *word, unsigned value) {
  syscall(SYS_futex, word, kFutexWaitPrivate, value, NULL, NULL, 0);
}

void octavo_platform_wake_all(atomic_uint *word) {
  syscall(SYS_futex, word, kFutexWakePrivate, INT_MAX, NULL, NULL, 0);
}

void octavo_platform_yield(void) { syscall(SYS_sched_yield); }

void octavo_platform_pin_thread(uint32_t cpu) {
  enum { kBits = 8 * sizeof(unsigned long) };
  unsigned long mask[1024 / kBits] = {0};
  if (cpu >= 1024) return;
  mask[cpu / kBits] = 1ul << (cpu % kBits);
  /* 0 is the calling thread. Pinning is a wish: a container may forbid it. */
  syscall(SYS_sched_setaffinity, 0, sizeof mask, mask);
}
#endif

bool octavo_platform_request_amx(void) {
#if defined(__x86_64__) && defined(SYS_arch_prctl)
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureTileData) == 0;
#else
  return false;
#endif
}

uint64_t octavo_platform_hwcap(int index) {
  return index == 0 ? getauxval(AT_HWCAP) : getauxval(AT_HWCAP2);
}

#else
typedef int octavo_platform_linux_is_empty; /* ISO C forbids an empty file */
#endif
