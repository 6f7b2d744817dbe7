/* Which CPUs are fast, and keeping a thread on them. */
#include "platform.h"

enum { kCpus = 64 };

/* Puts `text` behind the `length` characters of `path`; returns how many there are then. */
static size_t append(char *path, size_t length, const char *text) {
  while (*text != '\0') path[length++] = *text++;
  path[length] = '\0';
  return length;
}

/* The number in a file of /sys/devices/system/cpu/cpuN; 0 where there is none. */
static uint64_t read_number(uint32_t cpu, const char *file) {
  char path[96], digits[3] = {(char)('0' + cpu / 10), (char)('0' + cpu % 10), '\0'};
  size_t length = append(path, 0, "/sys/devices/system/cpu/cpu");
  length = append(path, length, cpu < 10 ? digits + 1 : digits);
  append(path, length, file);
  char text[24];
  size_t num_chars = octavo_platform_peek(path, text, sizeof text);
  uint64_t number = 0;
  for (size_t i = 0; i < num_chars && i < 18 && text[i] >= '0' && text[i] <= '9'; i++) {
    number = number * 10 + (uint64_t)(text[i] - '0');
  }
  return number;
}

/* CPUs of a kind by one measure; CPUs that lack it, such as those that are not there, are left out.
 * 0 where none has it. */
static uint64_t find(const char *file, octavo_cpu_kind kind) {
  uint64_t speeds[kCpus] = {0}, slowest = UINT64_MAX, fastest = 0, chosen = 0;
  for (uint32_t cpu = 0; cpu < kCpus; cpu++) {
    speeds[cpu] = read_number(cpu, file);
    if (speeds[cpu] == 0) continue;
    if (speeds[cpu] < slowest) slowest = speeds[cpu];
    if (speeds[cpu] > fastest) fastest = speeds[cpu];
  }
  for (uint32_t cpu = 0; cpu < kCpus; cpu++) {
    if (speeds[cpu] == 0) continue;
    bool is_little = speeds[cpu] == slowest;
    bool is_chosen = slowest == fastest || is_little == (kind == OCTAVO_LITTLE_CPUS);
    if (is_chosen) chosen |= (uint64_t)1 << cpu;
  }
  return chosen;
}

uint64_t octavo_find_cpus(octavo_cpu_kind kind) {
  /* What CPUs do in a unit of time, and where the kernel was not told, how fast they are clocked.
   * Source: Linux Documentation/ABI/testing/sysfs-devices-system-cpu. */
  uint64_t cpus = find("/cpu_capacity", kind);
  return cpus != 0 ? cpus : find("/cpufreq/cpuinfo_max_freq", kind);
}

bool octavo_pin_thread(uint64_t cpus) {
  return cpus != 0 && octavo_platform_pin_thread(0, cpus);
}
