/* Finds the weights that kernels read; constants of few bits are expanded once. */
#include "weights.h"

#include "instance.h"
#include "octavo_packed_weights.h"
#include "platform.h"

enum { kGroup = 8, kMaxBits = 8 }; /* values that are expanded at once, in one 64-bit word */

/* Bytes of a constant in the file. */
static uint64_t stored_bytes(const octavo_packed_constant *constant) {
  return (constant->num_values / kGroup + (constant->num_values % kGroup != 0)) *
         constant->num_bits;
}

static bool is_inside(uint64_t offset, uint64_t num_bytes, uint64_t end) {
  return num_bytes <= end && offset <= end - num_bytes;
}

static bool fits(const octavo_program *program, const octavo_packed_constant *constant) {
  if (constant->num_bits < 1 || constant->num_bits > kMaxBits) return false;
  if (constant->num_bits == kMaxBits && constant->base != 0) return false;
  /* Behind this num_values is at most expanded_bytes: no overflow. */
  uint64_t end = program->packed->expanded_bytes;
  return is_inside(constant->offset_bytes, constant->num_values, end) &&
         is_inside(constant->offset_bytes, constant->num_values << constant->is_wide, end) &&
         is_inside(constant->stored_offset, stored_bytes(constant) + OCTAVO_PACKED_SLACK,
                   program->weights_bytes);
}

static bool floats_fit(const octavo_program *program, const octavo_packed_floats *floats) {
  const octavo_packed_constant *integers = &floats->integers;
  if (!fits(program, integers) || integers->is_wide) return false;
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

size_t octavo_weights_memory_bytes(const octavo_program *program) {
  const octavo_packed_weights *packed = program->packed;
  if (packed == NULL) return (size_t)program->weights_bytes;
  /* Half of what can be addressed leaves room to count bits and to round up. */
  if (packed->expanded_bytes > SIZE_MAX / 4 || packed->plain_bytes > SIZE_MAX / 4) return SIZE_MAX;
  return (size_t)(packed->expanded_bytes + packed->plain_bytes);
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

static inline void expand(const octavo_packed_constant *constant, unsigned num_bits,
                          const uint8_t *file, uint8_t *out) {
  const uint64_t kEach = 0x0101010101010101u;
  uint64_t low = (constant->base & 0x7fu) * kEach, high = (constant->base & 0x80u) * kEach;
  const uint8_t *in = file + constant->stored_offset;
  uint64_t left = constant->num_values, fields = 0;
  for (; left >= kGroup; left -= kGroup, in += num_bits, out += kGroup) {
    __builtin_memcpy(&fields, in, kGroup);
    fields = (spread(fields, num_bits) + low) ^ high; /* no byte carries: a field has 7 bits, or low is 0 */
    __builtin_memcpy(out, &fields, kGroup);
  }
  __builtin_memcpy(&fields, in, kGroup);
  fields = (spread(fields, num_bits) + low) ^ high;
  __builtin_memcpy(out, &fields, (size_t)left);
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

/* Where values are wider than a byte, their bytes are expanded to the end of their place and then
 * widened from its front: value i is written over bytes that were read, up to byte i itself. */
static void expand_constant(const octavo_packed_constant *constant, const uint8_t *file,
                            uint8_t *weights) {
  uint8_t *place = weights + constant->offset_bytes;
  uint8_t *integer = place + (constant->is_wide ? constant->num_values : 0);
  expand_bytes(constant, file, integer);
  if (!constant->is_wide) return;
  for (uint64_t i = 0; i < constant->num_values; i++) {
    int16_t value = (int8_t)integer[i];
    __builtin_memcpy(place + i * sizeof value, &value, sizeof value);
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

static void expand_all(const octavo_packed_weights *packed, const uint8_t *file, uint8_t *weights) {
  for (uint32_t i = 0; i < packed->num_constants; i++) {
    expand_constant(&packed->constants[i], file, weights);
  }
  for (uint32_t i = 0; i < packed->num_floats; i++) {
    expand_floats(&packed->floats[i], file, weights);
  }
}

octavo_status octavo_weights_map(octavo_model *model, const char *path) {
  const octavo_program *program = model->program;
  const octavo_packed_weights *packed = program->packed;
  size_t num_bytes = (size_t)program->weights_bytes;
  if (packed == NULL) {
    octavo_status status = octavo_platform_map(path, num_bytes, &model->weights);
    if (status == OCTAVO_OK) model->weights_place = OCTAVO_MAPPED;
    return status;
  }
  if (!is_consistent(program)) return OCTAVO_WRONG_SIZE;
  const uint8_t *file = NULL;
  uint8_t *memory = NULL;
  octavo_status status = octavo_platform_map_behind(
      path, num_bytes, (size_t)packed->plain_bytes, (size_t)packed->expanded_bytes, &file, &memory);
  if (status != OCTAVO_OK) return status;
  expand_all(packed, file, memory);
  octavo_platform_unmap(file, num_bytes);
  model->weights = memory;
  model->weights_place = OCTAVO_MAPPED_BEHIND;
  return OCTAVO_OK;
}

octavo_status octavo_weights_use(octavo_model *model, const uint8_t *data) {
  const octavo_packed_weights *packed = model->program->packed;
  if (packed == NULL) {
    model->weights = data;
    return OCTAVO_OK;
  }
  if (!is_consistent(model->program)) return OCTAVO_WRONG_SIZE;
  uint8_t *memory = octavo_platform_allocate(octavo_weights_memory_bytes(model->program));
  if (memory == NULL) return OCTAVO_OUT_OF_MEMORY;
  /* Padding between constants may be loaded, so it is the same in every run. */
  __builtin_memset(memory, 0, (size_t)packed->expanded_bytes);
  __builtin_memcpy(memory + packed->expanded_bytes, data, (size_t)packed->plain_bytes);
  expand_all(packed, data, memory);
  model->weights = memory;
  model->weights_place = OCTAVO_ALLOCATED;
  return OCTAVO_OK;
}

void octavo_weights_free(octavo_model *model) {
  const octavo_packed_weights *packed = model->program->packed;
  switch (model->weights_place) {
    case OCTAVO_BORROWED: break;
    case OCTAVO_MAPPED:
      octavo_platform_unmap(model->weights, (size_t)model->program->weights_bytes);
      break;
    case OCTAVO_MAPPED_BEHIND:
      octavo_platform_unmap_behind(model->weights, (size_t)packed->plain_bytes,
                                   (size_t)packed->expanded_bytes);
      break;
    case OCTAVO_ALLOCATED: octavo_platform_free((void *)(uintptr_t)model->weights); break;
  }
  model->weights_place = OCTAVO_BORROWED;
}
