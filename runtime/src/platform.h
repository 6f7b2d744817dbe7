/* What the runtime asks of the operating system. platform_map.c, platform_files.c and one of
 * platform_linux.c and platform_posix.c provide it; every other file is plain C11. */
#ifndef OCTAVO_PLATFORM_H_
#define OCTAVO_PLATFORM_H_

#include <stdatomic.h>

#include "octavo_runtime.h"

/* Linux has futexes; -DOCTAVO_PORTABLE takes the POSIX fallback there as well. */
#if defined(__linux__) && !defined(OCTAVO_PORTABLE)
#define OCTAVO_PLATFORM_LINUX 1
#else
#define OCTAVO_PLATFORM_LINUX 0
#endif

/* Memory aligned to OCTAVO_ALIGNMENT, or NULL. */
void *octavo_platform_allocate(size_t num_bytes);
void octavo_platform_free(void *memory);

/* Opens a file to map it. */
octavo_status octavo_platform_open(const char *path, int *file);
void octavo_platform_close(int file);

/* Size of a regular file; OCTAVO_FILE_ERROR of anything else. */
octavo_status octavo_platform_file_bytes(int file, uint64_t *num_bytes);

/* Memory that the system mapped, to be unmapped as one; base NULL: none. */
typedef struct octavo_mapping {
  void *base;
  size_t num_bytes;
} octavo_mapping;

/* Offsets in a file that are a multiple of this are the begin of a page: 4 or 16 KiB on most
 * machines. */
enum { OCTAVO_LARGEST_PAGE = 1 << 16 };

/* A part of a file that is long enough, read-only. It begins at *data. */
octavo_status octavo_platform_map(int file, uint64_t offset, size_t num_bytes,
                                  octavo_mapping *mapping, const uint8_t **data);

/* As octavo_platform_map, behind expanded_bytes of zeros that may be written and that *memory
 * points to. These are a multiple of OCTAVO_ALIGNMENT, and offset one of OCTAVO_LARGEST_PAGE. */
octavo_status octavo_platform_map_behind(int file, uint64_t offset, size_t num_bytes,
                                         size_t expanded_bytes, octavo_mapping *mapping,
                                         uint8_t **memory);

/* Forgets the mapping, too. */
void octavo_platform_unmap(octavo_mapping *mapping);

/* A shared library by name or path, or NULL; what is in it, or NULL. */
void *octavo_platform_open_library(const char *name);
void *octavo_platform_symbol(void *library, const char *name);
void octavo_platform_close_library(void *library);

/* A file in memory of its own, to be freed; NULL if it cannot be read or is empty. */
void *octavo_platform_read(const char *path, size_t *num_bytes);

/* Replaces a file at once, by way of another one beside it; false where nothing was written. */
bool octavo_platform_write(const char *path, const char *temporary, const void *data,
                           size_t num_bytes);

/* Monotonic time. */
uint64_t octavo_platform_now_ns(void);

#ifndef OCTAVO_SINGLE_THREAD
/* What threads that wait for a word sleep on; Linux needs the word only. */
#if OCTAVO_PLATFORM_LINUX
typedef struct octavo_bed {
  char unused;
} octavo_bed;
#else
#include <pthread.h>
typedef struct octavo_bed {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
} octavo_bed;
#endif

/* False where the system has not what it takes; there is nothing to end then. */
bool octavo_platform_begin_bed(octavo_bed *bed);
void octavo_platform_end_bed(octavo_bed *bed);

/* Sleeps while *word equals `value`; may wake without cause. */
void octavo_platform_wait(atomic_uint *word, unsigned value, octavo_bed *bed);
void octavo_platform_wake_all(atomic_uint *word, octavo_bed *bed);

/* Lets another thread of this core run. */
void octavo_platform_yield(void);
#endif

/* Keeps the calling thread on the CPUs first + i of the bits i of `cpus`; false where the system
 * does not allow it. */
bool octavo_platform_pin_thread(uint32_t first, uint64_t cpus);

/* The front of a file that the system makes up, such as those in /sys, which have no size: bytes
 * read, 0 where it cannot be. */
size_t octavo_platform_peek(const char *path, char *text, size_t num_bytes);

/* Asks for the process's permission to use AMX tiles; true where granted. */
bool octavo_platform_request_amx(void);

/* AT_HWCAP (index 0) or AT_HWCAP2 (1) of the Linux auxiliary vector, else 0. */
uint64_t octavo_platform_hwcap(int index);

/* Whether Apple's system has a number of this name (sysctl) that is not 0. */
bool octavo_platform_says_yes(const char *name);

#endif /* OCTAVO_PLATFORM_H_ */
