/* What the bench program asks of the system: clocks, CPUs, and what disturbed it. */
#ifndef OCTAVO_BENCH_MACHINE_H_
#define OCTAVO_BENCH_MACHINE_H_

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall */
#endif
#ifndef _DARWIN_C_SOURCE
#define _DARWIN_C_SOURCE /* ru_nivcsw */
#endif
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { kMaxCpus = 1024 };

static inline uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Keeps this thread, and those that it starts, on the CPUs of a list like 0,4-7. NULL, or why
 * that cannot be. */
static inline const char *use_cpus(const char *list) {
#if defined(__linux__)
  enum { kBits = 8 * sizeof(unsigned long) };
  unsigned long mask[kMaxCpus / kBits] = {0};
  for (const char *text = list;; text++) {
    char *end = NULL;
    unsigned long first = strtoul(text, &end, 10), last = first;
    bool valid = *text >= '0' && *text <= '9';
    if (valid && *end == '-') {
      text = end + 1;
      valid = *text >= '0' && *text <= '9';
      last = strtoul(text, &end, 10);
    }
    if (!valid || first > last || last >= kMaxCpus || (*end != ',' && *end != '\0')) {
      return "--cpus: not a list of CPUs";
    }
    for (unsigned long cpu = first; cpu <= last; cpu++) mask[cpu / kBits] |= 1ul << (cpu % kBits);
    text = end;
    if (*text == '\0') break;
  }
  bool allowed = syscall(SYS_sched_setaffinity, 0, sizeof mask, mask) == 0;
  return allowed ? NULL : "the system does not allow these CPUs";
#else
  (void)list;
  return "this system does not let a program choose its CPUs";
#endif
}

/* Time that this thread was ready to run and had no processor: the second number, see
 * https://docs.kernel.org/scheduler/sched-stats.html. 0 where the system does not say. */
static inline uint64_t waited_ns(void) {
  unsigned long long ran = 0, waited = 0;
  FILE *file = fopen("/proc/self/schedstat", "r");
  if (file == NULL) return 0;
  if (fscanf(file, "%llu %llu", &ran, &waited) != 2) waited = 0;
  fclose(file);
  return waited;
}

/* How often the system took a processor from any thread of this process. */
static inline long preemptions(void) {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_nivcsw : 0;
}

/* Time of all threads on processors, with that of the system on their behalf. */
static inline double computed_s(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

/* Steps of the chain below: some 0.2 ms. */
enum { kReferenceSteps = 1 << 17 };

/* Time of a chain of multiplications, of which none can begin before the last one ended: it
 * depends on the processor's clock, and on nothing in memory. */
static inline uint64_t reference_ns(void) {
  static volatile uint64_t result;
  uint64_t begin_ns = now_ns(), x = begin_ns;
  for (int i = 0; i < kReferenceSteps; i++) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    x ^= x >> 29; /* or the compiler would do several steps with one multiplication */
  }
  result = x; /* or the compiler leaves the loop out */
  (void)result;
  return now_ns() - begin_ns;
}

#endif /* OCTAVO_BENCH_MACHINE_H_ */
