/* The models of a library; octavo package writes model_table.c. */
#ifndef OCTAVO_MODEL_TABLE_H_
#define OCTAVO_MODEL_TABLE_H_

#include "octavo_runtime.h"

typedef struct octavo_packaged_model {
  const octavo_program *(*program)(void);
  const char *asset; /* the weights' place among an app's assets */
} octavo_packaged_model;

extern const octavo_packaged_model octavo_models[];
extern const uint32_t octavo_num_models;

#endif /* OCTAVO_MODEL_TABLE_H_ */
