/* The weights of an instance: a mapped file, the caller's memory, or what was expanded from them. */
#ifndef OCTAVO_WEIGHTS_H_
#define OCTAVO_WEIGHTS_H_

#include "octavo_runtime.h"

/* Bytes that kernels may read, slack included; SIZE_MAX where the program's numbers contradict
 * each other or this machine cannot address so many. */
size_t octavo_weights_memory_bytes(const octavo_program *program);

/* Each sets model->weights and whose they are, or leaves them alone on failure. */
octavo_status octavo_weights_load(octavo_model *model, const char *path);
octavo_status octavo_weights_load_part(octavo_model *model, int file, uint64_t offset);
octavo_status octavo_weights_use(octavo_model *model, const uint8_t *data);

void octavo_weights_free(octavo_model *model);

#endif /* OCTAVO_WEIGHTS_H_ */
