/* Fallback for every system with a C library and, unless OCTAVO_SINGLE_THREAD, pthreads. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "platform.h"

#if !OCTAVO_PLATFORM_LINUX

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void *octavo_platform_allocate(size_t num_bytes) {
  void *memory = NULL;
  return posix_memalign(&memory, OCTAVO_ALIGNMENT, num_bytes) == 0 ? memory : NULL;
}

void octavo_platform_free(void *memory) { free(memory); }

octavo_status octavo_platform_map(const char *path, size_t num_bytes, const uint8_t **data) {
  *data = NULL;
  FILE *file = fopen(path, "rb");
  if (file == NULL) return OCTAVO_FILE_ERROR;
  octavo_status status = OCTAVO_OK;
  uint8_t *memory = octavo_platform_allocate(num_bytes);
  if (memory == NULL) {
    status = OCTAVO_OUT_OF_MEMORY;
  } else if (fread(memory, 1, num_bytes, file) != num_bytes || fgetc(file) != EOF) {
    status = ferror(file) ? OCTAVO_FILE_ERROR : OCTAVO_WRONG_SIZE;
  }
  fclose(file);
  if (status == OCTAVO_OK) *data = memory;
  else octavo_platform_free(memory);
  return status;
}

void octavo_platform_unmap(const uint8_t *data, size_t num_bytes) {
  (void)num_bytes;
  octavo_platform_free((void *)(uintptr_t)data);
}

octavo_status octavo_platform_map_behind(const char *path, size_t num_bytes, size_t plain_bytes,
                                         size_t expanded_bytes, const uint8_t **data,
                                         uint8_t **memory) {
  *memory = NULL;
  octavo_status status = octavo_platform_map(path, num_bytes, data);
  if (status != OCTAVO_OK) return status;
  *memory = octavo_platform_allocate(expanded_bytes + plain_bytes);
  if (*memory == NULL) {
    octavo_platform_unmap(*data, num_bytes);
    *data = NULL;
    return OCTAVO_OUT_OF_MEMORY;
  }
  __builtin_memset(*memory, 0, expanded_bytes);
  __builtin_memcpy(*memory + expanded_bytes, *data, plain_bytes);
  return OCTAVO_OK;
}

void octavo_platform_unmap_behind(const uint8_t *memory, size_t plain_bytes,
                                  size_t expanded_bytes) {
  octavo_platform_unmap(memory, expanded_bytes + plain_bytes);
}

uint64_t octavo_platform_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#ifndef OCTAVO_SINGLE_THREAD
#include <pthread.h>
#include <sched.h>

/* One pair serves every word: sleeping is the slow path, and wake-ups without cause are allowed. */
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_changed = PTHREAD_COND_INITIALIZER;

void octavo_platform_wait(atomic_uint *word, unsigned value) {
  pthread_mutex_lock(&g_mutex);
  if (atomic_load(word) == value) pthread_cond_wait(&g_changed, &g_mutex);
  pthread_mutex_unlock(&g_mutex);
}

void octavo_platform_wake_all(atomic_uint *word) {
  (void)word;
  pthread_mutex_lock(&g_mutex);
  pthread_cond_broadcast(&g_changed);
  pthread_mutex_unlock(&g_mutex);
}

void octavo_platform_yield(void) { sched_yield(); }

void octavo_platform_pin_thread(uint32_t cpu) { (void)cpu; }
#endif

bool octavo_platform_request_amx(void) { return false; }

uint64_t octavo_platform_hwcap(int index) {
  (void)index;
  return 0;
}

#else
typedef int octavo_platform_posix_is_empty; /* ISO C forbids an empty file */
#endif
