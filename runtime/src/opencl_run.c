/* Run the segments of a program: kernels in order on one queue, CPU steps in between. */
#include "opencl.h"
#include "platform.h"

octavo_status octavo_opencl_map(octavo_model *model, octavo_opencl *state,
                                const octavo_range *ranges, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    cl_int code = CL_SUCCESS;
    size_t offset = (size_t)ranges[i].offset_bytes;
    uint8_t *mapped = state->api.EnqueueMapBuffer(
        state->queue, state->arena, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, offset,
        (size_t)ranges[i].num_bytes, 0, NULL, NULL, &code);
    if (mapped == model->arena + offset) continue;
    octavo_status status = octavo_opencl_fail(model, "clEnqueueMapBuffer", code);
    if (mapped != NULL) {
      state->api.EnqueueUnmapMemObject(state->queue, state->arena, mapped, 0, NULL, NULL);
      octavo_opencl_explain(model, status, "the driver moved the memory of the arena");
    }
    /* Memory that stays mapped would not be freed; the first failure is told. */
    for (uint32_t n = 0; n < i; n++) {
      state->api.EnqueueUnmapMemObject(state->queue, state->arena,
                                       model->arena + ranges[n].offset_bytes, 0, NULL, NULL);
    }
    return status;
  }
  return OCTAVO_OK;
}

octavo_status octavo_opencl_unmap(octavo_model *model, octavo_opencl *state,
                                  const octavo_range *ranges, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    cl_int code = state->api.EnqueueUnmapMemObject(state->queue, state->arena,
                                                   model->arena + ranges[i].offset_bytes, 0, NULL,
                                                   NULL);
    if (code != CL_SUCCESS) return octavo_opencl_fail(model, "clEnqueueUnmapMemObject", code);
  }
  return OCTAVO_OK;
}

octavo_status octavo_opencl_give(octavo_model *model, octavo_opencl *state,
                                 const octavo_range *ranges, uint32_t count) {
  octavo_status status = octavo_opencl_map(model, state, ranges, count);
  if (status != OCTAVO_OK) return status;
  state->given = ranges;
  state->num_given = count;
  return OCTAVO_OK;
}

octavo_status octavo_opencl_take(octavo_model *model, octavo_opencl *state) {
  uint32_t count = state->num_given;
  state->num_given = 0;
  return octavo_opencl_unmap(model, state, state->given, count);
}

static octavo_status enqueue(octavo_model *model, octavo_opencl *state, uint32_t index,
                             cl_event *event) {
  octavo_status status = octavo_check_cancelled(model);
  if (status != OCTAVO_OK) return status;
  const octavo_launch *launch = model->program->steps[index].launch;
  size_t global[3], local[3];
  for (int i = 0; i < 3; i++) {
    global[i] = launch->global_size[i];
    local[i] = launch->local_size[i];
  }
  cl_int code = state->api.EnqueueNDRangeKernel(state->queue, state->kernels[index], 3, NULL,
                                                global, local, 0, NULL, event);
  return code == CL_SUCCESS ? OCTAVO_OK : octavo_opencl_fail(model, launch->kernel, code);
}

static octavo_status finish(octavo_model *model, octavo_opencl *state) {
  cl_int code = state->api.Finish(state->queue);
  return code == CL_SUCCESS ? OCTAVO_OK : octavo_opencl_fail(model, "clFinish", code);
}

/* Runs a segment on the CPU; step_ns may be NULL. */
static octavo_status run_on_cpu(octavo_model *model, octavo_opencl *state,
                                const octavo_segment *segment, uint64_t *step_ns) {
  octavo_status status = octavo_opencl_map(model, state, segment->ranges, segment->num_ranges);
  if (status != OCTAVO_OK) return status;
  for (uint32_t n = 0; n < segment->num_steps && status == OCTAVO_OK; n++) {
    uint32_t i = segment->first_step + n;
    uint64_t start_ns = octavo_platform_now_ns();
    bool is_hooked = model->hook != NULL && step_ns == NULL;
    if (is_hooked) model->hook(model->hook_context, i, false, start_ns);
    status = octavo_run_step(model, i);
    uint64_t end_ns = octavo_platform_now_ns();
    if (is_hooked) model->hook(model->hook_context, i, true, end_ns);
    if (step_ns != NULL) step_ns[i] = end_ns - start_ns;
  }
  octavo_status unmapped =
      octavo_opencl_unmap(model, state, segment->ranges, segment->num_ranges);
  return status != OCTAVO_OK ? status : unmapped;
}

static octavo_status run_on_device(octavo_model *model, octavo_opencl *state,
                                   const octavo_segment *segment, bool is_timed) {
  octavo_status status = OCTAVO_OK;
  bool is_hooked = model->hook != NULL && !is_timed;
  for (uint32_t n = 0; n < segment->num_steps && status == OCTAVO_OK; n++) {
    uint32_t i = segment->first_step + n;
    if (is_hooked) model->hook(model->hook_context, i, false, octavo_platform_now_ns());
    status = enqueue(model, state, i, is_timed ? &state->events[i] : NULL);
    if (!is_hooked) continue;
    if (status == OCTAVO_OK) status = finish(model, state);
    model->hook(model->hook_context, i, true, octavo_platform_now_ns());
  }
  return status;
}

/* Reads the times of the kernels that ran, and forgets their events. */
static octavo_status collect(octavo_model *model, octavo_opencl *state, uint64_t *step_ns) {
  cl_int code = CL_SUCCESS;
  for (uint32_t i = 0; i < state->num_steps; i++) {
    if (state->events[i] == NULL) continue;
    cl_ulong start_ns = 0, end_ns = 0;
    cl_int first = state->api.GetEventProfilingInfo(state->events[i], CL_PROFILING_COMMAND_START,
                                                    sizeof start_ns, &start_ns, NULL);
    cl_int second = state->api.GetEventProfilingInfo(state->events[i], CL_PROFILING_COMMAND_END,
                                                     sizeof end_ns, &end_ns, NULL);
    if (first != CL_SUCCESS || second != CL_SUCCESS) code = first != CL_SUCCESS ? first : second;
    step_ns[i] = end_ns - start_ns;
    state->api.ReleaseEvent(state->events[i]);
    state->events[i] = NULL;
  }
  return code == CL_SUCCESS ? OCTAVO_OK
                            : octavo_opencl_fail(model, "clGetEventProfilingInfo", code);
}

/* What the kernels of a run said, once the caller has its memory back. */
static octavo_status check_failures(octavo_model *model) {
  const octavo_accelerator *accelerator = model->program->accelerator;
  if (!accelerator->can_fail) return OCTAVO_OK;
  int32_t failures = 0;
  uint8_t *place = model->arena + accelerator->failures_offset;
  __builtin_memcpy(&failures, place, sizeof failures);
  __builtin_memset(place, 0, sizeof failures);
  return failures == 0 ? OCTAVO_OK : OCTAVO_KERNEL_FAILED;
}

octavo_status octavo_opencl_run(octavo_model *model, uint64_t *step_ns) {
  octavo_opencl *state = model->accelerator;
  const octavo_accelerator *accelerator = model->program->accelerator;
  octavo_status status = octavo_opencl_take(model, state);
  for (uint32_t i = 0; i < accelerator->num_segments && status == OCTAVO_OK; i++) {
    const octavo_segment *segment = &accelerator->segments[i];
    status = segment->on_accelerator ? run_on_device(model, state, segment, step_ns != NULL)
                                     : run_on_cpu(model, state, segment, step_ns);
  }
  /* The caller gets its memory back even where a step failed; the first failure is told. */
  octavo_status given =
      octavo_opencl_give(model, state, accelerator->ranges, accelerator->num_ranges);
  if (status == OCTAVO_OK) status = given;
  octavo_status ended = finish(model, state);
  if (status == OCTAVO_OK) status = ended;
  if (status == OCTAVO_OK) status = check_failures(model);
  if (step_ns == NULL) return status;
  octavo_status collected = collect(model, state, step_ns);
  return status == OCTAVO_OK ? collected : status;
}
