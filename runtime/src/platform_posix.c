/* Fallback for every POSIX system; without pthreads under OCTAVO_SINGLE_THREAD. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#ifndef _DARWIN_C_SOURCE
#define _DARWIN_C_SOURCE /* sysctl */
#endif
#include "platform.h"

#if !OCTAVO_PLATFORM_LINUX

#include <stdlib.h>
#include <time.h>
#ifdef __APPLE__
#include <sys/sysctl.h>
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
#include <sched.h>

bool octavo_platform_begin_bed(octavo_bed *bed) {
  if (pthread_mutex_init(&bed->mutex, NULL) != 0) return false;
  if (pthread_cond_init(&bed->changed, NULL) == 0) return true;
  pthread_mutex_destroy(&bed->mutex);
  return false;
}

void octavo_platform_end_bed(octavo_bed *bed) {
  pthread_cond_destroy(&bed->changed);
  pthread_mutex_destroy(&bed->mutex);
}

void octavo_platform_wait(atomic_uint *word, unsigned value, octavo_bed *bed) {
  pthread_mutex_lock(&bed->mutex);
  if (atomic_load(word) == value) pthread_cond_wait(&bed->changed, &bed->mutex);
  pthread_mutex_unlock(&bed->mutex);
}

void octavo_platform_wake_all(atomic_uint *word, octavo_bed *bed) {
  (void)word;
  pthread_mutex_lock(&bed->mutex);
  pthread_cond_broadcast(&bed->changed);
  pthread_mutex_unlock(&bed->mutex);
}

void octavo_platform_yield(void) { sched_yield(); }
#endif

bool octavo_platform_pin_thread(uint32_t first, uint64_t cpus) {
  (void)first;
  (void)cpus;
  return false;
}

size_t octavo_platform_peek(const char *path, char *text, size_t num_bytes) {
  (void)path;
  (void)text;
  (void)num_bytes;
  return 0;
}

bool octavo_platform_request_amx(void) { return false; }

uint64_t octavo_platform_hwcap(int index) {
  (void)index;
  return 0;
}

bool octavo_platform_says_yes(const char *name) {
#ifdef __APPLE__
  int value = 0;
  size_t num_bytes = sizeof value;
  return sysctlbyname(name, &value, &num_bytes, NULL, 0) == 0 && value != 0;
#else
  (void)name;
  return false;
#endif
}

#else
typedef int octavo_platform_posix_is_empty; /* ISO C forbids an empty file */
#endif
