/* Checks and expands constants of few bits. */
#include "packed.h"

enum { kGroup = 8, kMaxBits = 8 }; /* values that are expanded at once, in one 64-bit word */

/* Bytes of a constant in the file. */
static uint64_t stored_bytes(const octavo_packed_constant *constant) {
  return (constant->num_values / kGroup + (constant->num_values % kGroup != 0)) *
         constant->num_bits;
}

/* Bytes that it becomes. */
static uint64_t expanded_bytes(const octavo_packed_constant *constant) {
  switch (constant->layout) {
    case OCTAVO_BYTES: break;
    case OCTAVO_WORDS: return constant->num_values * 2;
    case OCTAVO_NIBBLES: return constant->num_values / 2 + constant->num_values % 2;
  }
  return constant->num_values;
}

static bool is_inside(uint64_t offset, uint64_t num_bytes, uint64_t end) {
  return num_bytes <= end && offset <= end - num_bytes;
}

static bool fits(const octavo_program *program, const octavo_packed_constant *constant) {
  if (constant->num_bits < 1 || constant->num_bits > kMaxBits) return false;
  if (constant->num_bits == kMaxBits && constant->base != 0) return false;
  uint64_t end = program->packed->expanded_bytes;
  if (constant->num_values / 2 > end) return false; /* behind this no number of bytes overflows */
  return is_inside(constant->offset_bytes, expanded_bytes(constant), end) &&
         is_inside(constant->stored_offset, stored_bytes(constant) + OCTAVO_PACKED_SLACK,
                   program->weights_bytes);
}

static bool floats_fit(const octavo_program *program, const octavo_packed_floats *floats) {
  const octavo_packed_constant *integers = &floats->integers;
  if (!fits(program, integers) || integers->layout != OCTAVO_BYTES) return false;
  if (integers->offset_bytes / 3 < integers->num_values) return false;
  uint64_t end = program->weights_bytes;
  if (floats->num_scales > end / sizeof(float) ||
      !is_inside(floats->scales_offset, floats->num_scales * sizeof(float), end)) {
    return false;
  }
  if (floats->run == 0 || floats->lanes == 0 || floats->rows == 0) return false;
  uint64_t repeated = (uint64_t)floats->run * floats->lanes;
  uint64_t num_rows = integers->num_values / repeated + (integers->num_values % repeated != 0);
  uint64_t num_sets = num_rows / floats->rows + (num_rows % floats->rows != 0);
  return num_sets <= floats->num_scales / floats->lanes;
}

static bool is_consistent(const octavo_program *program) {
  const octavo_packed_weights *packed = program->packed;
  if (packed->plain_bytes > program->weights_bytes) return false;
  if (packed->expanded_bytes % OCTAVO_ALIGNMENT != 0) return false;
  for (uint32_t i = 0; i < packed->num_constants; i++) {
    if (!fits(program, &packed->constants[i])) return false;
  }
  for (uint32_t i = 0; i < packed->num_floats; i++) {
    if (!floats_fit(program, &packed->floats[i])) return false;
  }
  return true;
}

/* The eight fields of num_bits each at the low end of `fields`, one in each byte. */
static inline uint64_t spread(uint64_t fields, unsigned num_bits) {
  uint64_t one = ((uint64_t)1 << num_bits) - 1;
  uint64_t two = ((uint64_t)1 << 2 * num_bits) - 1;
  uint64_t four = ((uint64_t)1 << 4 * num_bits) - 1;
  fields = (fields & four) | ((fields >> 4 * num_bits) & four) << 32;
  two *= 0x0000000100000001u;
  fields = (fields & two) | ((fields >> 2 * num_bits) & two) << 16;
  one *= 0x0001000100010001u;
  return (fields & one) | ((fields >> num_bits) & one) << 8;
}

/* Eight values of one byte each. */
static inline uint64_t values_of(const uint8_t *in, unsigned num_bits, uint8_t base) {
  const uint64_t kEach = 0x0101010101010101u;
  uint64_t low = (base & 0x7fu) * kEach, high = (base & 0x80u) * kEach, fields;
  __builtin_memcpy(&fields, in, kGroup);
  return (spread(fields, num_bits) + low) ^ high; /* no carry: a field has 7 bits, or low is 0 */
}

static inline void expand(const octavo_packed_constant *constant, unsigned num_bits,
                          const uint8_t *file, uint8_t *out) {
  const uint8_t *in = file + constant->stored_offset;
  uint64_t left = constant->num_values, values;
  for (; left >= kGroup; left -= kGroup, in += num_bits, out += kGroup) {
    values = values_of(in, num_bits, constant->base);
    __builtin_memcpy(out, &values, kGroup);
  }
  values = values_of(in, num_bits, constant->base);
  __builtin_memcpy(out, &values, (size_t)left);
}

static void expand_nibbles(const octavo_packed_constant *constant, const uint8_t *file,
                           uint8_t *out) {
  const uint8_t *in = file + constant->stored_offset;
  uint64_t left = constant->num_values;
  while (left > 0) {
    uint64_t count = left < kGroup ? left : kGroup;
    uint64_t values = values_of(in, constant->num_bits, constant->base) & 0x0f0f0f0f0f0f0f0fu;
    values = (values | values >> 4) & 0x00ff00ff00ff00ffu;
    values = (values | values >> 8) & 0x0000ffff0000ffffu;
    values |= values >> 16;
    __builtin_memcpy(out, &values, (size_t)(count + 1) / 2);
    in += constant->num_bits;
    out += kGroup / 2;
    left -= count;
  }
}

static void expand_bytes(const octavo_packed_constant *constant, const uint8_t *file,
                         uint8_t *out) {
  switch (constant->num_bits) { /* with a constant number the compiler makes better code */
    case 2: expand(constant, 2, file, out); break;
    case 3: expand(constant, 3, file, out); break;
    case 4: expand(constant, 4, file, out); break;
    default: expand(constant, constant->num_bits, file, out);
  }
}

/* The bytes are at the end of the values' place, and are widened from its front: value i is written
 * over bytes that were read, up to byte i itself. */
static void widen(const uint8_t *integer, uint64_t num_values, uint8_t *place) {
  for (uint64_t i = 0; i < num_values; i++) {
    int16_t value = (int8_t)integer[i];
    __builtin_memcpy(place + i * sizeof value, &value, sizeof value);
  }
}

static void expand_constant(const octavo_packed_constant *constant, const uint8_t *file,
                            uint8_t *weights) {
  uint8_t *place = weights + constant->offset_bytes;
  uint8_t *last_half = place + constant->num_values;
  switch (constant->layout) {
    case OCTAVO_BYTES: expand_bytes(constant, file, place); break;
    case OCTAVO_NIBBLES: expand_nibbles(constant, file, place); break;
    case OCTAVO_WORDS:
      expand_bytes(constant, file, last_half);
      widen(last_half, constant->num_values, place);
      break;
  }
}

static void expand_floats(const octavo_packed_floats *floats, const uint8_t *file,
                          uint8_t *weights) {
  uint64_t num_values = floats->integers.num_values;
  uint8_t *integer = weights + floats->integers.offset_bytes;
  uint8_t *number = integer - 3 * num_values;
  const uint8_t *scales = file + floats->scales_offset;
  expand_bytes(&floats->integers, file, integer);
  uint32_t run = 0, lane = 0, row = 0;
  /* In place, as in `widen`. */
  for (uint64_t i = 0; i < num_values; i++) {
    float scale;
    __builtin_memcpy(&scale, scales + lane * sizeof scale, sizeof scale);
    float value = (float)(int8_t)integer[i] * scale;
    __builtin_memcpy(number + i * sizeof value, &value, sizeof value);
    if (++run < floats->run) continue;
    run = 0;
    if (++lane < floats->lanes) continue;
    lane = 0;
    if (++row < floats->rows) continue;
    row = 0;
    scales += floats->lanes * sizeof scale;
  }
}

static void expand_all(const octavo_packed_weights *packed, const uint8_t *file,
                       uint8_t *weights) {
  for (uint32_t i = 0; i < packed->num_constants; i++) {
    expand_constant(&packed->constants[i], file, weights);
  }
  for (uint32_t i = 0; i < packed->num_floats; i++) {
    expand_floats(&packed->floats[i], file, weights);
  }
}

const octavo_expander octavo_packed_expander = {is_consistent, expand_all};
