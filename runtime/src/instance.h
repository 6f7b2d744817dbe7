/* What the source files of the runtime know of an instance. */
#ifndef OCTAVO_INSTANCE_H_
#define OCTAVO_INSTANCE_H_

#include "driver.h"
#include "octavo_runtime.h"
#include "thread_pool.h"
#include "weights.h"

struct octavo_model {
  const octavo_program *program;
  const uint8_t *weights; /* (octavo_weights_memory_bytes(program),) */
  octavo_weights_place weights_place;
  uint8_t *arena; /* NULL until prepared */
  bool owns_arena;
  octavo_pool *pool; /* NULL: one thread */
  octavo_step_hook hook;
  void *hook_context;
  void *accelerator; /* of the program's driver; NULL where it has none, and until prepared */
  char failure[OCTAVO_FAILURE_BYTES];
};

#endif /* OCTAVO_INSTANCE_H_ */
