/* What the runtime asks of the CPU and of Linux, answered as a machine with AMX does. Linked into
 * an artifact in place of the runtime's cpu_features.c, which it includes; nothing else of the
 * artifact differs from what users get. */
#define octavo_cpu_features own_cpu_features
#define octavo_missing_cpu_features own_missing_cpu_features
#include "cpu_features.c"
#undef octavo_cpu_features
#undef octavo_missing_cpu_features

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>

enum { kRequestPermission = 0x1023, kTileData = 18, kNumArguments = 6 };

void amx_emulator_permit(void);
long syscall(long number, ...);

uint64_t octavo_cpu_features(void) {
  uint64_t features = own_cpu_features();
  for (uint32_t bit = 0; bit < 64; bit++) {
    const char *name = octavo_cpu_feature_name(bit);
    bool is_tile_feature = __builtin_strcmp(name, "amx-tile") == 0 ||
                           __builtin_strcmp(name, "amx-int8") == 0;
    if (is_tile_feature) features |= (uint64_t)1 << bit;
  }
  return features;
}

OCTAVO_API uint64_t octavo_missing_cpu_features(const octavo_program *program) {
  return program == NULL ? 0 : program->cpu_features & ~octavo_cpu_features();
}

/* Every other call goes to Linux. */
long syscall(long number, ...) {
  long a[kNumArguments];
  va_list arguments;
  va_start(arguments, number);
  for (int i = 0; i < kNumArguments; i++) a[i] = va_arg(arguments, long);
  va_end(arguments);
  if (number == SYS_arch_prctl && a[0] == kRequestPermission && a[1] == kTileData) {
    if (getenv("AMX_REFUSED") != NULL) {
      errno = EPERM;
      return -1;
    }
    amx_emulator_permit();
    return 0;
  }
  long result;
  register long r10 __asm__("r10") = a[3];
  register long r8 __asm__("r8") = a[4];
  register long r9 __asm__("r9") = a[5];
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  if (result < 0 && result > -4096) {
    errno = (int)-result;
    return -1;
  }
  return result;
}
