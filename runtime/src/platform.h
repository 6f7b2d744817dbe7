/* What the runtime asks of the operating system. One of platform_linux.c and platform_posix.c
 * provides it; every other file is plain C11 without system headers. */
#ifndef OCTAVO_PLATFORM_H_
#define OCTAVO_PLATFORM_H_

#include <stdatomic.h>

#include "octavo_runtime.h"

/* Linux has futexes and mmap; -DOCTAVO_PORTABLE takes the POSIX fallback there as well. */
#if defined(__linux__) && !defined(OCTAVO_PORTABLE)
#define OCTAVO_PLATFORM_LINUX 1
#else
#define OCTAVO_PLATFORM_LINUX 0
#endif

/* Memory aligned to OCTAVO_ALIGNMENT, or NULL. */
void *octavo_platform_allocate(size_t num_bytes);
void octavo_platform_free(void *memory);

/* The whole file, read-only; its size must be num_bytes. *data is NULL on failure. */
octavo_status octavo_platform_map(const char *path, size_t num_bytes, const uint8_t **data);
void octavo_platform_unmap(const uint8_t *data, size_t num_bytes);

/* As octavo_platform_map, and its first plain_bytes once more, behind expanded_bytes of zeros that
 * may be written and that *memory points to; these are a multiple of OCTAVO_ALIGNMENT. */
octavo_status octavo_platform_map_behind(const char *path, size_t num_bytes, size_t plain_bytes,
                                         size_t expanded_bytes, const uint8_t **data,
                                         uint8_t **memory);
void octavo_platform_unmap_behind(const uint8_t *memory, size_t plain_bytes,
                                  size_t expanded_bytes);

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
/* Sleeps while *word equals `value`; may wake without cause. */
void octavo_platform_wait(atomic_uint *word, unsigned value);
void octavo_platform_wake_all(atomic_uint *word);

/* Lets another thread of this core run. */
void octavo_platform_yield(void);

/* Keeps the calling thread on one CPU, where the system allows it. */
void octavo_platform_pin_thread(uint32_t cpu);
#endif

/* Asks for the process's permission to use AMX tiles; true where granted. */
bool octavo_platform_request_amx(void);

/* AT_HWCAP (index 0) or AT_HWCAP2 (1) of the Linux auxiliary vector, else 0. */
uint64_t octavo_platform_hwcap(int index);

#endif /* OCTAVO_PLATFORM_H_ */
