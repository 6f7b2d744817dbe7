/* Single tile instructions: amx_probe NAME. The process ends with 0, with 1 where a result is
 * wrong, or by the signal of a fault. Built with -DEMULATED for the emulator; without it, a CPU
 * with tiles answers the same questions. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHECK(condition)                                           \
  do {                                                             \
    if (!(condition)) {                                            \
      fprintf(stderr, "%d: not true: %s\n", __LINE__, #condition); \
      return 1;                                                    \
    }                                                              \
  } while (0)
#define ASM(text, ...) __asm__ volatile(text : : __VA_ARGS__ : "memory")

enum { kStride = 96, kRow = 64 };

typedef struct shapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} shapes;

static uint8_t g_source[4096], g_target[4096];
static shapes g_shapes;

#ifdef EMULATED
void amx_emulator_permit(void);
static void permit(void) { amx_emulator_permit(); }
#else
static void permit(void) { syscall(SYS_arch_prctl, 0x1023, 18); }
#endif

/* 0: 5x12 bytes of sums, 1: 5x8 rows, 2: 2x12 columns, 3: the largest; the others have no shape. */
static shapes usual(void) {
  shapes s = {.palette = 1, .row_bytes = {12, 8, 12, 64}, .rows = {5, 5, 2, 16}};
  return s;
}

static void configure(shapes s) {
  g_shapes = s;
  __asm__ volatile("ldtilecfg %0" : : "m"(g_shapes));
}

static shapes current(void) {
  shapes s;
  __asm__ volatile("sttilecfg %0" : "=m"(s));
  return s;
}

static void fill(void) {
  for (int i = 0; i < 4096; i++) g_source[i] = (uint8_t)(i * 37 + (i >> 6) * 11);
  memset(g_target, 0xEE, sizeof g_target);
}

static bool is_copied(int rows, int row_bytes, int source_stride) {
  for (int r = 0; r < rows; r++) {
    if (memcmp(g_target + kRow * r, g_source + source_stride * r, (size_t)row_bytes)) return false;
    for (int i = row_bytes; i < kRow; i++) {
      if (g_target[kRow * r + i] != 0xEE) return false;
    }
  }
  return rows == 16 || g_target[kRow * rows] == 0xEE;
}

static int addresses(void) {
  const int64_t row = kRow;
  configure(usual());
  fill(); /* a scaled index; 8-bit and 32-bit displacements */
  ASM("tileloadd -64(%0,%1,2), %%tmm1", "r"(g_source + 64), "r"((int64_t)kStride / 2));
  ASM("tilestored %%tmm1, 1024(%0,%1)", "r"(g_target - 1024), "r"(row));
  CHECK(is_copied(5, 8, kStride));
  fill(); /* the upper registers; R13 is no base without a displacement, R12 needs a SIB byte */
  __asm__ volatile(
      "mov %0, %%r13\n mov %1, %%r9\n tileloaddt1 (%%r13,%%r9), %%tmm3\n"
      "mov %2, %%r12\n mov $8, %%r15\n tilestored %%tmm3, (%%r12,%%r15,8)"
      : : "r"(g_source), "r"((int64_t)kStride), "r"(g_target)
      : "r9", "r12", "r13", "r15", "memory");
  CHECK(is_copied(16, 64, kStride));
  fill(); /* no index: every row is the first; a negative stride */
  ASM("tileloadd (%0), %%tmm1", "r"(g_source));
  ASM("tilestored %%tmm1, (%0,%1)", "r"(g_target + 4 * kRow), "r"(-row));
  CHECK(is_copied(5, 8, 0));
  fill(); /* zeroes, and rows that are all there */
  ASM("tileloadd (%0,%1), %%tmm3\n tilezero %%tmm3", "r"(g_source), "r"(row));
  ASM("tilestored %%tmm3, (%0,%1)", "r"(g_target), "r"(row));
  for (int i = 0; i < 1024; i++) CHECK(g_target[i] == 0);
  CHECK(g_target[1024] == 0xEE);
  return 0;
}

static int configurations(void) {
  static const shapes kNone;
  permit();
  shapes before = current();
  CHECK(memcmp(&before, &kNone, sizeof before) == 0);
  shapes s = usual();
  configure(s);
  shapes stored = current();
  CHECK(memcmp(&s, &stored, sizeof s) == 0);
  __asm__ volatile("ldtilecfg (%0,%1,2)" : : "r"(&s), "r"(0l), "m"(s)); /* an ordinary operand */
  __asm__ volatile("tilerelease");
  stored = current();
  CHECK(memcmp(&stored, &kNone, sizeof stored) == 0);
  configure(kNone); /* palette 0 releases as well */
  return 0;
}

#define DEFINE_PRODUCT(name, a_type, b_type)                                               \
  static int name(void) {                                                                  \
    int32_t sums[16][16], expected[16][16];                                                \
    shapes s = {.palette = 1, .row_bytes = {48, 40, 48}, .rows = {13, 13, 10}};            \
    configure(s);                                                                          \
    fill();                                                                                \
    const uint8_t *a = g_source, *b = g_source + 2048;                                     \
    for (int r = 0; r < 16; r++) {                                                         \
      for (int c = 0; c < 16; c++) sums[r][c] = r == 0 ? INT32_MAX - c : 1000 * r + c;     \
    }                                                                                      \
    memcpy(expected, sums, sizeof sums);                                                   \
    for (int r = 0; r < 13; r++) {                                                         \
      for (int c = 0; c < 12; c++) {                                                       \
        uint32_t sum = (uint32_t)sums[r][c];                                               \
        for (int k = 0; k < 40; k++) {                                                     \
          int product = (a_type)a[kRow * r + k] * (b_type)b[kRow * (k / 4) + 4 * c + k % 4]; \
          sum += (uint32_t)product;                                                        \
        }                                                                                  \
        expected[r][c] = (int32_t)sum;                                                     \
      }                                                                                    \
    }                                                                                      \
    const int64_t row = kRow;                                                              \
    ASM("tileloadd (%0,%1), %%tmm0", "r"(sums), "r"(row));                                 \
    ASM("tileloadd (%0,%1), %%tmm1", "r"(a), "r"(row));                                    \
    ASM("tileloadd (%0,%1), %%tmm2", "r"(b), "r"(row));                                    \
    ASM(#name " %%tmm2, %%tmm1, %%tmm0", "r"(row));                                        \
    ASM("tilestored %%tmm0, (%0,%1)", "r"(sums), "r"(row));                                \
    CHECK(memcmp(sums, expected, sizeof sums) == 0);                                       \
    return 0;                                                                              \
  }
DEFINE_PRODUCT(tdpbssd, int8_t, int8_t)
DEFINE_PRODUCT(tdpbsud, int8_t, uint8_t)
DEFINE_PRODUCT(tdpbusd, uint8_t, int8_t)
DEFINE_PRODUCT(tdpbuud, uint8_t, uint8_t)

/* What faults: the process does not survive. */

static int no_configuration(void) { ASM("tilezero %%tmm0", "r"(0)); return 0; }
static int no_shape(void) { configure(usual()); ASM("tilezero %%tmm5", "r"(0)); return 0; }

static int after_release(void) {
  configure(usual());
  ASM("tilerelease\n tilezero %%tmm0", "r"(0));
  return 0;
}

#define DEFINE_FAULT(name, change) \
  static int name(void) {          \
    shapes s = usual();            \
    change;                        \
    configure(s);                  \
    return 0;                      \
  }
DEFINE_FAULT(unknown_palette, s.palette = 2)
DEFINE_FAULT(reserved_byte, s.reserved[13] = 1)
DEFINE_FAULT(ninth_tile, s.rows[8] = 1; s.row_bytes[8] = 4)
DEFINE_FAULT(too_many_rows, s.rows[0] = 17)
DEFINE_FAULT(too_many_bytes, s.row_bytes[0] = 65)
DEFINE_FAULT(rows_of_no_bytes, s.row_bytes[0] = 0)

#define DEFINE_MISFIT(name, change)                    \
  static int name(void) {                              \
    shapes s = usual();                                \
    change;                                            \
    configure(s);                                      \
    ASM("tdpbusd %%tmm2, %%tmm1, %%tmm0", "r"(0));     \
    return 0;                                          \
  }
DEFINE_MISFIT(other_rows, s.rows[1] = 4)
DEFINE_MISFIT(other_columns, s.row_bytes[2] = 16)
DEFINE_MISFIT(other_depth, s.rows[2] = 3)
DEFINE_MISFIT(partial_groups, s.row_bytes[0] = s.row_bytes[2] = 13)

static int same_tile_twice(void) {
  shapes s = {.palette = 1, .row_bytes = {8, 8}, .rows = {2, 2}};
  configure(s);
  ASM(".byte 0xC4, 0xE2, 0x71, 0x5E, 0xC0", "r"(0)); /* tdpbusd tmm0, tmm0, tmm1 */
  return 0;
}

static int other_instruction(void) { ASM("ud2", "r"(0)); return 0; }

#define ENTRY(name) {#name, name}
static const struct { const char *name; int (*run)(void); } kProbes[] = {
    ENTRY(addresses), ENTRY(configurations), ENTRY(tdpbssd), ENTRY(tdpbsud), ENTRY(tdpbusd),
    ENTRY(tdpbuud), ENTRY(no_configuration), ENTRY(no_shape), ENTRY(after_release),
    ENTRY(unknown_palette), ENTRY(reserved_byte), ENTRY(ninth_tile), ENTRY(too_many_rows),
    ENTRY(too_many_bytes), ENTRY(rows_of_no_bytes), ENTRY(other_rows), ENTRY(other_columns),
    ENTRY(other_depth), ENTRY(partial_groups), ENTRY(same_tile_twice), ENTRY(other_instruction),
};

int main(int count, char **arguments) {
  if (count < 2) return 2;
  if (count == 2) permit(); /* a third argument leaves the permission out */
  for (size_t i = 0; i < sizeof kProbes / sizeof kProbes[0]; i++) {
    if (strcmp(kProbes[i].name, arguments[1]) == 0) return kProbes[i].run();
  }
  return 2;
}
