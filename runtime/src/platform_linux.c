/* Linux: futex, mmap, arch_prctl. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall, MAP_POPULATE, MAP_ANONYMOUS */
#endif
#include "platform.h"

#if OCTAVO_PLATFORM_LINUX

#include "c_library.h"

/* linux/futex.h and asm/prctl.h are kernel headers that not every toolchain ships. */
enum { kFutexWaitPrivate = 0 | 128, kFutexWakePrivate = 1 | 128 };
enum { kArchReqXcompPerm = 0x1023, kXfeatureTileData = 18 };
enum { kLargestPage = 1 << 16 }; /* bytes; 4 or 16 KiB on most machines */

#if !defined(SYS_futex) && defined(SYS_futex_time64)
#define SYS_futex SYS_futex_time64 /* 32-bit targets with 64-bit time only */
#endif

void *octavo_platform_allocate(size_t num_bytes) {
  void *memory = NULL;
  return posix_memalign(&memory, OCTAVO_ALIGNMENT, num_bytes) == 0 ? memory : NULL;
}

void octavo_platform_free(void *memory) { free(memory); }

/* Opens a file of just so many bytes. */
static octavo_status open_file(const char *path, size_t num_bytes, int *file) {
  *file = open(path, O_RDONLY | O_CLOEXEC);
  if (*file < 0) return OCTAVO_FILE_ERROR;
  struct stat info;
  octavo_status status = OCTAVO_OK;
  if (fstat(*file, &info) != 0 || !S_ISREG(info.st_mode)) {
    status = OCTAVO_FILE_ERROR;
  } else if (info.st_size < 0 || (uint64_t)info.st_size != num_bytes) {
    status = OCTAVO_WRONG_SIZE;
  }
  if (status != OCTAVO_OK) close(*file);
  return status;
}

/* The front of a file, anywhere or at an address that is mapped already; NULL on failure. Populated
 * now, so that the first run is not the one that takes the page faults. */
static uint8_t *map_file(int file, size_t num_bytes, uint8_t *at) {
  int flags = MAP_PRIVATE | MAP_POPULATE | (at != NULL ? MAP_FIXED : 0);
  void *memory = mmap(at, num_bytes, PROT_READ, flags, file, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

octavo_status octavo_platform_map(const char *path, size_t num_bytes, const uint8_t **data) {
  *data = NULL;
  int file = -1;
  octavo_status status = open_file(path, num_bytes, &file);
  if (status != OCTAVO_OK) return status;
  *data = map_file(file, num_bytes, NULL);
  close(file);
  return *data != NULL ? OCTAVO_OK : OCTAVO_FILE_ERROR;
}

void octavo_platform_unmap(const uint8_t *data, size_t num_bytes) {
  munmap((void *)(uintptr_t)data, num_bytes);
}

/* Bytes in front of what is expanded, so that the file behind it begins with a page. */
static size_t margin(size_t expanded_bytes) {
  return (kLargestPage - expanded_bytes % kLargestPage) % kLargestPage;
}

octavo_status octavo_platform_map_behind(const char *path, size_t num_bytes, size_t plain_bytes,
                                         size_t expanded_bytes, const uint8_t **data,
                                         uint8_t **memory) {
  *data = *memory = NULL;
  int file = -1;
  octavo_status status = open_file(path, num_bytes, &file);
  if (status != OCTAVO_OK) return status;
  size_t room_bytes = margin(expanded_bytes) + expanded_bytes;
  uint8_t *room = mmap(NULL, room_bytes + plain_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) {
    close(file);
    return OCTAVO_OUT_OF_MEMORY;
  }
  *data = map_file(file, num_bytes, NULL);
  bool is_mapped = *data != NULL && map_file(file, plain_bytes, room + room_bytes) != NULL;
  close(file);
  if (is_mapped) {
    *memory = room + margin(expanded_bytes);
    return OCTAVO_OK;
  }
  if (*data != NULL) octavo_platform_unmap(*data, num_bytes);
  munmap(room, room_bytes + plain_bytes);
  *data = NULL;
  return OCTAVO_FILE_ERROR;
}

void octavo_platform_unmap_behind(const uint8_t *memory, size_t plain_bytes,
                                  size_t expanded_bytes) {
  size_t before = margin(expanded_bytes);
  munmap((void *)(uintptr_t)(memory - before), before + expanded_bytes + plain_bytes);
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
