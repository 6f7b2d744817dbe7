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

/* Makes weights that are in memory of the runtime's own. */
static octavo_status allocate(octavo_model *model, size_t num_bytes) {
  model->copied_weights = octavo_platform_allocate(num_bytes);
  model->copied_bytes = num_bytes;
  model->weights = model->copied_weights;
  return model->copied_weights == NULL ? OCTAVO_OUT_OF_MEMORY : OCTAVO_OK;
}

static octavo_status expand(octavo_model *model, const uint8_t *data) {
  const octavo_packed_weights *packed = model->program->packed;
  octavo_status status = allocate(model, octavo_weights_memory_bytes(model->program));
  if (status != OCTAVO_OK) return status;
  uint8_t *memory = model->copied_weights;
  /* Padding between constants may be loaded, so it is the same in every run. */
  __builtin_memset(memory, 0, (size_t)packed->expanded_bytes);
  __builtin_memcpy(memory + packed->expanded_bytes, data, (size_t)packed->plain_bytes);
  packed->expander->expand(packed, data, memory);
  return OCTAVO_OK;
}

static octavo_status copy(octavo_model *model, const uint8_t *data) {
  size_t num_bytes = (size_t)model->program->weights_bytes;
  octavo_status status = allocate(model, num_bytes);
  if (status == OCTAVO_OK) __builtin_memcpy(model->copied_weights, data, num_bytes);
  return status;
}

/* Expands into memory in front of another mapping of the file, where plain weights stay. */
static octavo_status expand_in_front(octavo_model *model, int file, uint64_t offset,
                                     const uint8_t *data) {
  const octavo_packed_weights *packed = model->program->packed;
  uint8_t *memory = NULL;
  octavo_status status =
      octavo_platform_map_behind(file, offset, (size_t)packed->plain_bytes,
                                 (size_t)packed->expanded_bytes, &model->weights_mapping, &memory);
  if (status != OCTAVO_OK) return status;
  packed->expander->expand(packed, data, memory);
  model->weights = memory;
  model->copied_bytes = (size_t)packed->expanded_bytes;
  model->mapped_bytes = (size_t)packed->plain_bytes;
  return OCTAVO_OK;
}

octavo_status octavo_weights_load_part(octavo_model *model, int file, uint64_t offset) {
  const octavo_program *program = model->program;
  bool is_packed = program->packed != NULL;
  if (is_packed && !program->packed->expander->is_consistent(program)) return OCTAVO_WRONG_SIZE;
  uint64_t file_bytes = 0;
  octavo_status status = octavo_platform_file_bytes(file, &file_bytes);
  if (status != OCTAVO_OK) return status;
  /* Reading behind the end of a file would be a fatal signal. */
  if (offset > file_bytes || program->weights_bytes > file_bytes - offset) return OCTAVO_WRONG_SIZE;
  octavo_mapping mapping = {0};
  const uint8_t *data = NULL;
  status = octavo_platform_map(file, offset, (size_t)program->weights_bytes, &mapping, &data);
  if (status != OCTAVO_OK) return status;
  if (!is_packed && offset % OCTAVO_ALIGNMENT == 0) {
    model->weights = data;
    model->weights_mapping = mapping;
    model->mapped_bytes = (size_t)program->weights_bytes;
    return OCTAVO_OK;
  }
  if (!is_packed) status = copy(model, data);
  else if (offset % OCTAVO_LARGEST_PAGE != 0) status = expand(model, data);
  else status = expand_in_front(model, file, offset, data);
  octavo_platform_unmap(&mapping);
  return status;
}

octavo_status octavo_weights_load(octavo_model *model, const char *path) {
  int file = -1;
  octavo_status status = octavo_platform_open(path, &file);
  if (status != OCTAVO_OK) return status;
  uint64_t num_bytes = 0;
  status = octavo_platform_file_bytes(file, &num_bytes);
  if (status == OCTAVO_OK) {
    status = num_bytes == model->program->weights_bytes ? octavo_weights_load_part(model, file, 0)
                                                        : OCTAVO_WRONG_SIZE;
  }
  octavo_platform_close(file);
  return status;
}

octavo_status octavo_weights_use(octavo_model *model, const uint8_t *data) {
  if (model->program->packed == NULL) {
    model->weights = data;
    return OCTAVO_OK;
  }
  if (!model->program->packed->expander->is_consistent(model->program)) return OCTAVO_WRONG_SIZE;
  return expand(model, data);
}

void octavo_weights_free(octavo_model *model) {
  octavo_platform_unmap(&model->weights_mapping);
  octavo_platform_free(model->copied_weights);
  model->copied_weights = NULL;
  model->weights = NULL;
}
