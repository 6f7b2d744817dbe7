/* Finds the weights that kernels read; constants of few bits are expanded once. */
#include "weights.h"

#include "instance.h"
#include "packed.h"
#include "platform.h"

size_t octavo_weights_memory_bytes(const octavo_program *program) {
  const octavo_packed_weights *packed = program->packed;
  if (packed == NULL) return (size_t)program->weights_bytes;
  /* Half of what can be addressed leaves room to count bits and to round up. */
  if (packed->expanded_bytes > SIZE_MAX / 4 || packed->plain_bytes > SIZE_MAX / 4) return SIZE_MAX;
  return (size_t)(packed->expanded_bytes + packed->plain_bytes);
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
  if (!octavo_packed_is_consistent(program)) return OCTAVO_WRONG_SIZE;
  const uint8_t *file = NULL;
  uint8_t *memory = NULL;
  octavo_status status = octavo_platform_map_behind(
      path, num_bytes, (size_t)packed->plain_bytes, (size_t)packed->expanded_bytes, &file, &memory);
  if (status != OCTAVO_OK) return status;
  octavo_packed_expand(packed, file, memory);
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
  if (!octavo_packed_is_consistent(model->program)) return OCTAVO_WRONG_SIZE;
  uint8_t *memory = octavo_platform_allocate(octavo_weights_memory_bytes(model->program));
  if (memory == NULL) return OCTAVO_OUT_OF_MEMORY;
  /* Padding between constants may be loaded, so it is the same in every run. */
  __builtin_memset(memory, 0, (size_t)packed->expanded_bytes);
  __builtin_memcpy(memory + packed->expanded_bytes, data, (size_t)packed->plain_bytes);
  octavo_packed_expand(packed, data, memory);
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
