/* Linux: futexes, affinity, arch_prctl. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall */
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

uint64_t octavo_platform_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#ifndef OCTAVO_SINGLE_THREAD
bool octavo_platform_begin_bed(octavo_bed *bed) {
  (void)bed;
  return true;
}

void octavo_platform_end_bed(octavo_bed *bed) { (void)bed; }

void octavo_platform_wait(atomic_uint *word, unsigned value, octavo_bed *bed) {
  (void)bed;
  syscall(SYS_futex, word, kFutexWaitPrivate, value, NULL, NULL, 0);
}

void octavo_platform_wake_all(atomic_uint *word, octavo_bed *bed) {
  (void)bed;
  syscall(SYS_futex, word, kFutexWakePrivate, INT_MAX, NULL, NULL, 0);
}

void octavo_platform_yield(void) { syscall(SYS_sched_yield); }
#endif

bool octavo_platform_pin_thread(uint32_t first, uint64_t cpus) {
  enum { kCpus = 1024, kBits = 8 * sizeof(unsigned long) };
  unsigned long mask[kCpus / kBits] = {0};
  for (uint32_t bit = 0; bit < 64; bit++) {
    uint32_t cpu = first + bit;
    if ((cpus >> bit & 1) != 0 && cpu < kCpus) mask[cpu / kBits] |= 1ul << cpu % kBits;
  }
  /* 0 is the calling thread. A container may forbid it. */
  return syscall(SYS_sched_setaffinity, 0, sizeof mask, mask) == 0;
}

size_t octavo_platform_peek(const char *path, char *text, size_t num_bytes) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t count = read(file, text, num_bytes);
  close(file);
  return count < 0 ? 0 : (size_t)count;
}

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
