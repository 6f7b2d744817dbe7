/* The weights of an instance: a mapped file, the caller's memory, or what was expanded from them. */
#ifndef OCTAVO_WEIGHTS_H_
#define OCTAVO_WEIGHTS_H_

#include "octavo_runtime.h"

/* What kernels read is in the file or the caller's memory, in a mapping with room in front of it,
 * or in memory of the runtime's own. */
typedef enum octavo_weights_place {
  OCTAVO_BORROWED = 0, OCTAVO_MAPPED = 1, OCTAVO_MAPPED_BEHIND = 2, OCTAVO_ALLOCATED = 3
} octavo_weights_place;

/* Bytes that kernels may read, slack included; SIZE_MAX where the program's numbers contradict
 * each other or this machine cannot address so many. */
size_t octavo_weights_memory_bytes(const octavo_program *program);

/* Each sets model->weights and model->weights_place, or leaves them alone on failure. */
octavo_status octavo_weights_map(octavo_model *model, const char *path);
octavo_status octavo_weights_use(octavo_model *model, const uint8_t *data);

void octavo_weights_free(octavo_model *model);

#endif /* OCTAVO_WEIGHTS_H_ */
