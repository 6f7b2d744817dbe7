/* Make and free what an instance needs to run on OpenCL. */
#include "opencl.h"

#include "platform.h"

static bool is_aligned(const void *pointer) {
  return (uintptr_t)pointer % OCTAVO_ALIGNMENT == 0;
}

/* Maps all of the arena; NULL, and the failure stored, where it cannot be. */
static uint8_t *map_all(octavo_model *model, octavo_opencl *state) {
  cl_int code = CL_SUCCESS;
  uint8_t *mapped = state->api.EnqueueMapBuffer(state->queue, state->arena, CL_TRUE,
                                                CL_MAP_READ | CL_MAP_WRITE, 0,
                                                octavo_arena_bytes(model->program), 0, NULL, NULL,
                                                &code);
  if (mapped == NULL) octavo_opencl_fail(model, "clEnqueueMapBuffer", code);
  return mapped;
}

/* Memory that the driver allocated needs no copies, where CPU and GPU share theirs. It must stay
 * where it is, whenever it is mapped: the caller keeps addresses of inputs and outputs. */
static uint8_t *map_driver_arena(octavo_model *model, octavo_opencl *state) {
  uint8_t *first = map_all(model, state);
  if (first == NULL) return NULL;
  state->api.EnqueueUnmapMemObject(state->queue, state->arena, first, 0, NULL, NULL);
  uint8_t *second = map_all(model, state);
  if (second == first && is_aligned(first)) return first;
  if (second != NULL) {
    state->api.EnqueueUnmapMemObject(state->queue, state->arena, second, 0, NULL, NULL);
  }
  return NULL;
}

static octavo_status given_all(octavo_opencl *state) {
  state->given = &state->all;
  state->num_given = 1;
  return OCTAVO_OK;
}

/* Makes the buffer of the arena, and maps it: zeros are about to be written to it. */
static octavo_status make_arena(octavo_model *model, octavo_opencl *state, void *given) {
  size_t num_bytes = octavo_arena_bytes(model->program);
  cl_int code = CL_SUCCESS;
  uint8_t *memory = given;
  if (given == NULL) {
    state->arena = state->api.CreateBuffer(
        state->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, num_bytes, NULL, &code);
    if (state->arena == NULL) return octavo_opencl_fail(model, "clCreateBuffer", code);
    model->arena = map_driver_arena(model, state);
    if (model->arena != NULL) return given_all(state);
    state->api.Finish(state->queue);
    state->api.ReleaseMemObject(state->arena);
    state->arena = NULL;
    memory = state->own_arena = octavo_platform_allocate(num_bytes);
    if (memory == NULL) return OCTAVO_OUT_OF_MEMORY;
  }
  state->arena = state->api.CreateBuffer(
      state->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, num_bytes, memory, &code);
  if (state->arena == NULL) return octavo_opencl_fail(model, "clCreateBuffer", code);
  model->arena = map_all(model, state);
  return model->arena == NULL ? OCTAVO_ACCELERATOR_FAILED : given_all(state);
}

static octavo_status make_weights(octavo_model *model, octavo_opencl *state) {
  cl_int code = CL_SUCCESS;
  state->weights = state->api.CreateBuffer(
      state->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR,
      octavo_weights_memory_bytes(model->program), (void *)(uintptr_t)model->weights, &code);
  return state->weights != NULL ? OCTAVO_OK : octavo_opencl_fail(model, "clCreateBuffer", code);
}

/* One kernel for each step: its arguments never change. */
static octavo_status make_kernels(octavo_model *model, octavo_opencl *state) {
  for (uint32_t i = 0; i < state->num_steps; i++) {
    const octavo_launch *launch = model->program->steps[i].launch;
    if (launch == NULL) continue;
    cl_int code = CL_SUCCESS;
    cl_kernel kernel = state->api.CreateKernel(state->program, launch->kernel, &code);
    if (kernel == NULL) return octavo_opencl_fail(model, launch->kernel, code);
    state->kernels[i] = kernel;
    for (cl_uint n = 0; n < launch->num_arguments && code == CL_SUCCESS; n++) {
      const octavo_argument *argument = &launch->arguments[n];
      const void *value = &argument->number;
      size_t num_bytes = sizeof argument->number;
      if (argument->kind != OCTAVO_NUMBER) {
        value = argument->kind == OCTAVO_ARENA ? &state->arena : &state->weights;
        num_bytes = sizeof(cl_mem);
      }
      code = state->api.SetKernelArg(kernel, n, num_bytes, value);
    }
    if (code != CL_SUCCESS) return octavo_opencl_fail(model, launch->kernel, code);
  }
  return OCTAVO_OK;
}

static void destroy(octavo_model *model) {
  octavo_opencl *state = model->accelerator;
  const octavo_opencl_api *api = &state->api;
  octavo_opencl_take(model, state); /* memory that is mapped would not be freed */
  if (state->queue != NULL) api->Finish(state->queue);
  for (uint32_t i = 0; i < state->num_steps; i++) {
    if (state->kernels != NULL && state->kernels[i] != NULL) api->ReleaseKernel(state->kernels[i]);
    if (state->events != NULL && state->events[i] != NULL) api->ReleaseEvent(state->events[i]);
  }
  if (state->program != NULL) api->ReleaseProgram(state->program);
  if (state->weights != NULL) api->ReleaseMemObject(state->weights);
  if (state->arena != NULL) api->ReleaseMemObject(state->arena);
  if (state->queue != NULL) api->ReleaseCommandQueue(state->queue);
  if (state->context != NULL) api->ReleaseContext(state->context);
  octavo_opencl_unload(&state->api);
  octavo_platform_free(state->own_arena);
  octavo_platform_free(state->kernels);
  octavo_platform_free(state->events);
  octavo_platform_free(state);
}

/* Memory for one pointer per step, all NULL. */
static void *make_pointers(uint32_t count) {
  size_t num_bytes = ((size_t)count + 1) * sizeof(void *);
  void *pointers = octavo_platform_allocate(num_bytes);
  if (pointers != NULL) __builtin_memset(pointers, 0, num_bytes);
  return pointers;
}

/* Between runs the caller has its ranges and nothing else. All that was mapped while the arena was
 * made goes back first, so that what is mapped and what is not are the same before every run. */
static octavo_status hand_over(octavo_model *model, octavo_opencl *state) {
  const octavo_accelerator *accelerator = model->program->accelerator;
  __builtin_memset(model->arena, 0, (size_t)state->all.num_bytes);
  octavo_status status = octavo_opencl_take(model, state);
  if (status != OCTAVO_OK) return status;
  return octavo_opencl_give(model, state, accelerator->ranges, accelerator->num_ranges);
}

static octavo_status create(octavo_model *model, const octavo_options *options) {
  octavo_opencl *state = octavo_platform_allocate(sizeof *state);
  if (state == NULL) return OCTAVO_OUT_OF_MEMORY;
  *state = (octavo_opencl){
      .num_steps = model->program->num_steps,
      .all = {0, octavo_arena_bytes(model->program)},
  };
  model->accelerator = state;
  state->kernels = make_pointers(state->num_steps);
  state->events = make_pointers(state->num_steps);
  if (state->kernels == NULL || state->events == NULL) return OCTAVO_OUT_OF_MEMORY;
  octavo_status status = octavo_opencl_open(model, state);
  if (status == OCTAVO_OK) status = octavo_opencl_build(model, state, options->cache_folder);
  if (status == OCTAVO_OK) status = make_weights(model, state);
  if (status == OCTAVO_OK) status = make_arena(model, state, options->arena);
  if (status == OCTAVO_OK) status = make_kernels(model, state);
  if (status == OCTAVO_OK) status = hand_over(model, state);
  return status;
}

const octavo_driver octavo_opencl_driver = {create, octavo_opencl_run, destroy};
