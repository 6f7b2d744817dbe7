/* Running, and access to the tensors at the boundary. */
#include "instance.h"
#include "platform.h"

octavo_status octavo_enter(octavo_model *model) {
  if (model == NULL) return OCTAVO_INVALID_ARGUMENT;
  if (model->arena == NULL) return OCTAVO_NOT_PREPARED;
  unsigned expected = OCTAVO_IDLE;
  bool is_free = atomic_compare_exchange_strong(&model->activity, &expected, OCTAVO_RUNNING);
  if (!is_free) return OCTAVO_BUSY;
  model->failure[0] = '\0';
  return OCTAVO_OK;
}

octavo_status octavo_leave(octavo_model *model, octavo_status status) {
  bool is_cancelled = atomic_exchange(&model->activity, OCTAVO_IDLE) == OCTAVO_ENDING;
  return is_cancelled && status == OCTAVO_OK ? OCTAVO_CANCELLED : status;
}

bool octavo_cancel(octavo_model *model) {
  if (model == NULL) return false;
  unsigned expected = OCTAVO_RUNNING;
  return atomic_compare_exchange_strong(&model->activity, &expected, OCTAVO_ENDING) ||
         expected == OCTAVO_ENDING;
}

octavo_status octavo_check_cancelled(const octavo_model *model) {
  unsigned activity = atomic_load_explicit(&model->activity, memory_order_relaxed);
  return activity == OCTAVO_ENDING ? OCTAVO_CANCELLED : OCTAVO_OK;
}

static octavo_status fail_step(octavo_model *model, const octavo_step *step) {
  size_t length = 0;
  while (step->name[length] != '\0' && length + 1 < OCTAVO_FAILURE_BYTES) length++;
  __builtin_memcpy(model->failure, step->name, length);
  model->failure[length] = '\0';
  return OCTAVO_KERNEL_FAILED;
}

octavo_status octavo_run_step(octavo_model *model, uint32_t index) {
  octavo_status status = octavo_check_cancelled(model);
  if (status != OCTAVO_OK) return status;
  const octavo_step *step = &model->program->steps[index];
  return step->run(model->arena, model->weights) == 0 ? OCTAVO_OK : fail_step(model, step);
}

static octavo_status run_all(octavo_model *model) {
  uint32_t num_steps = model->program->num_steps;
  octavo_status status = OCTAVO_OK;
  for (uint32_t i = 0; i < num_steps && status == OCTAVO_OK; i++) status = octavo_run_step(model, i);
  return status;
}

static octavo_status run_hooked(octavo_model *model) {
  uint32_t num_steps = model->program->num_steps;
  octavo_status status = OCTAVO_OK;
  for (uint32_t i = 0; i < num_steps && status == OCTAVO_OK; i++) {
    model->hook(model->hook_context, i, false, octavo_platform_now_ns());
    status = octavo_run_step(model, i);
    model->hook(model->hook_context, i, true, octavo_platform_now_ns());
  }
  return status;
}

static octavo_status run_timed(octavo_model *model, uint64_t *step_ns) {
  octavo_status status = OCTAVO_OK;
  uint64_t start_ns = octavo_platform_now_ns();
  for (uint32_t i = 0; i < model->program->num_steps && status == OCTAVO_OK; i++) {
    status = octavo_run_step(model, i);
    uint64_t end_ns = octavo_platform_now_ns();
    step_ns[i] = end_ns - start_ns;
    start_ns = end_ns;
  }
  return status;
}

/* All steps, timed where step_ns is not NULL. */
static octavo_status execute(octavo_model *model, uint64_t *step_ns) {
  octavo_status status;
  octavo_pool *before = octavo_pool_enter(model->pool);
  uint64_t start_ns = octavo_platform_now_ns();
  if (model->accelerator != NULL) {
    status = model->program->accelerator->driver->run(model, step_ns);
  } else if (step_ns != NULL) {
    status = run_timed(model, step_ns);
  } else {
    status = model->hook == NULL ? run_all(model) : run_hooked(model);
  }
  uint64_t time_ns = octavo_platform_now_ns() - start_ns;
  octavo_pool_enter(before);
  if (status == OCTAVO_OK) {
    atomic_store_explicit(&model->last_run_ns, time_ns, memory_order_relaxed);
  }
  return status;
}

octavo_status octavo_run(octavo_model *model) {
  octavo_status status = octavo_enter(model);
  return status == OCTAVO_OK ? octavo_leave(model, execute(model, NULL)) : status;
}

octavo_status octavo_run_timed(octavo_model *model, uint64_t *step_ns) {
  if (step_ns == NULL) return OCTAVO_INVALID_ARGUMENT;
  octavo_status status = octavo_enter(model);
  return status == OCTAVO_OK ? octavo_leave(model, execute(model, step_ns)) : status;
}

octavo_status octavo_set_hook(octavo_model *model, octavo_step_hook hook, void *context) {
  if (model == NULL) return OCTAVO_INVALID_ARGUMENT;
  model->hook = hook;
  model->hook_context = context;
  return OCTAVO_OK;
}

static bool is_prepared(const octavo_model *model) {
  return model != NULL && model->arena != NULL;
}

void *octavo_input(octavo_model *model, uint32_t index) {
  if (!is_prepared(model) || index >= model->program->num_inputs) return NULL;
  return model->arena + model->program->inputs[index].offset_bytes;
}

const void *octavo_output(const octavo_model *model, uint32_t index) {
  if (!is_prepared(model) || index >= model->program->num_outputs) return NULL;
  const octavo_tensor *output = &model->program->outputs[index];
  return (output->in_weights ? model->weights : model->arena) + output->offset_bytes;
}

static octavo_status run_copy(octavo_model *model, const void *const *inputs,
                              void *const *outputs) {
  const octavo_program *program = model->program;
  if ((inputs == NULL && program->num_inputs > 0) || outputs == NULL) {
    return OCTAVO_INVALID_ARGUMENT;
  }
  for (uint32_t i = 0; i < program->num_inputs; i++) {
    if (inputs[i] == NULL) return OCTAVO_INVALID_ARGUMENT;
    __builtin_memcpy(octavo_input(model, i), inputs[i], (size_t)program->inputs[i].num_bytes);
  }
  octavo_status status = execute(model, NULL);
  if (status != OCTAVO_OK) return status;
  for (uint32_t i = 0; i < program->num_outputs; i++) {
    if (outputs[i] == NULL) continue;
    __builtin_memcpy(outputs[i], octavo_output(model, i), (size_t)program->outputs[i].num_bytes);
  }
  return OCTAVO_OK;
}

octavo_status octavo_run_copy(octavo_model *model, const void *const *inputs,
                              void *const *outputs) {
  octavo_status status = octavo_enter(model);
  return status == OCTAVO_OK ? octavo_leave(model, run_copy(model, inputs, outputs)) : status;
}
