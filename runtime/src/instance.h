/* What the source files of the runtime know of an instance. */
#ifndef OCTAVO_INSTANCE_H_
#define OCTAVO_INSTANCE_H_

#include <stdatomic.h>

#include "driver.h"
#include "octavo_runtime.h"
#include "platform.h"
#include "thread_pool.h"
#include "weights.h"

/* What a thread is doing with an instance. */
enum { OCTAVO_IDLE = 0, OCTAVO_RUNNING = 1, OCTAVO_ENDING = 2 /* the run was cancelled */ };

struct octavo_model {
  const octavo_program *program;
  const uint8_t *weights; /* (octavo_weights_memory_bytes(program),) */
  octavo_mapping weights_mapping; /* of the file, where weights are in it or in front of it */
  uint8_t *copied_weights;        /* memory of the runtime's own, or NULL */
  size_t mapped_bytes, copied_bytes;
  atomic_uint activity;
  atomic_ullong last_run_ns;
  uint8_t *arena; /* NULL until prepared */
  size_t arena_bytes; /* 0 where it is the caller's */
  bool owns_arena;
  octavo_pool *pool; /* NULL: one thread */
  octavo_step_hook hook;
  void *hook_context;
  void *accelerator; /* of the program's driver; NULL where it has none, and until prepared */
  char failure[OCTAVO_FAILURE_BYTES];
};

/* Keeps others from the instance until octavo_leave: OCTAVO_OK, or why it cannot be used. */
octavo_status octavo_enter(octavo_model *model);

/* Returns what `status` becomes where the run was cancelled. */
octavo_status octavo_leave(octavo_model *model, octavo_status status);

#endif /* OCTAVO_INSTANCE_H_ */
