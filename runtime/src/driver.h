/* What a driver of accelerators does for the rest of the runtime. */
#ifndef OCTAVO_DRIVER_H_
#define OCTAVO_DRIVER_H_

#include "octavo_accelerator.h"

enum { OCTAVO_FAILURE_BYTES = 512 };

struct octavo_driver {
  /* Finds a device, builds the program, and sets model->accelerator and model->arena, all zeros.
   * Its ranges are the caller's between runs. On failure model->failure says more than the status. */
  octavo_status (*create)(octavo_model *model, const octavo_options *options);

  /* One inference. step_ns (num_steps,) or NULL: not timed, but with the model's hook. */
  octavo_status (*run)(octavo_model *model, uint64_t *step_ns);

  /* Frees what `create` made; the arena is gone with it unless it was the caller's. */
  void (*destroy)(octavo_model *model);
};

/* OCTAVO_CANCELLED where another thread asked to end the run. */
octavo_status octavo_check_cancelled(const octavo_model *model);

/* One step on the CPU, unless the run was cancelled. model->failure is the name of one that fails. */
octavo_status octavo_run_step(octavo_model *model, uint32_t index);

#endif /* OCTAVO_DRIVER_H_ */
