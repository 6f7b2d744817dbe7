/* Find a device, and say what went wrong. */
#include "opencl.h"

enum { kMaxPlatforms = 16 };

octavo_status octavo_opencl_explain(octavo_model *model, octavo_status status, const char *text) {
  size_t length = __builtin_strlen(text);
  if (length >= OCTAVO_FAILURE_BYTES) length = OCTAVO_FAILURE_BYTES - 1;
  __builtin_memcpy(model->failure, text, length);
  model->failure[length] = '\0';
  return status;
}

octavo_status octavo_opencl_fail(octavo_model *model, const char *what, cl_int code) {
  static const char kMiddle[] = ": OpenCL error ";
  char text[OCTAVO_FAILURE_BYTES], digits[12];
  size_t end = 0, count = 0;
  while (what[end] != '\0' && end < 128) {
    text[end] = what[end];
    end++;
  }
  for (size_t i = 0; kMiddle[i] != '\0'; i++) text[end++] = kMiddle[i];
  if (code < 0) text[end++] = '-';
  uint32_t magnitude = code < 0 ? 0u - (uint32_t)code : (uint32_t)code;
  do {
    digits[count++] = (char)('0' + magnitude % 10u);
    magnitude /= 10u;
  } while (magnitude != 0);
  while (count > 0) text[end++] = digits[--count];
  text[end] = '\0';
  return octavo_opencl_explain(model, OCTAVO_ACCELERATOR_FAILED, text);
}

/* Whether work-groups and buffers are not too large for a device; else says so. */
static octavo_status check_limits(octavo_model *model, const octavo_opencl *state) {
  const octavo_program *program = model->program;
  size_t most_items = 0;
  cl_ulong most_bytes = 0;
  cl_int code = state->api.GetDeviceInfo(state->device, CL_DEVICE_MAX_WORK_GROUP_SIZE,
                                         sizeof most_items, &most_items, NULL);
  if (code == CL_SUCCESS) {
    code = state->api.GetDeviceInfo(state->device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most_bytes,
                                    &most_bytes, NULL);
  }
  if (code != CL_SUCCESS) return octavo_opencl_fail(model, "clGetDeviceInfo", code);
  if (octavo_arena_bytes(program) > most_bytes || octavo_weights_memory_bytes(program) > most_bytes) {
    return octavo_opencl_explain(model, OCTAVO_NO_ACCELERATOR,
                                 "the device's largest buffer is too small for the model");
  }
  for (uint32_t i = 0; i < program->num_steps; i++) {
    const octavo_launch *launch = program->steps[i].launch;
    if (launch == NULL) continue;
    const uint32_t *size = launch->local_size;
    if ((size_t)size[0] * size[1] * size[2] > most_items) {
      return octavo_opencl_explain(model, OCTAVO_NO_ACCELERATOR,
                                   "the device's largest work-group is too small for the program");
    }
  }
  return OCTAVO_OK;
}

octavo_status octavo_opencl_open(octavo_model *model, octavo_opencl *state) {
  const octavo_opencl_api *api = &state->api;
  const char *missing = octavo_opencl_load(&state->api);
  if (missing != NULL) return octavo_opencl_explain(model, OCTAVO_NO_ACCELERATOR, missing);
  cl_platform_id platforms[kMaxPlatforms];
  cl_uint count = 0;
  cl_int code = api->GetPlatformIDs(kMaxPlatforms, platforms, &count);
  if (code != CL_SUCCESS || count == 0) {
    return octavo_opencl_explain(model, OCTAVO_NO_ACCELERATOR,
                                 "the OpenCL library has no driver of any device");
  }
  if (count > kMaxPlatforms) count = kMaxPlatforms;
  /* A GPU of any driver before any other device of the first one. */
  static const cl_bitfield kKinds[] = {CL_DEVICE_TYPE_GPU, 0xFFFFFFFFu /* CL_DEVICE_TYPE_ALL */};
  uint32_t num_kinds = model->program->accelerator->needs_gpu ? 1 : 2;
  cl_uint found = 0;
  for (uint32_t kind = 0; kind < num_kinds && found == 0; kind++) {
    for (cl_uint i = 0; i < count && found == 0; i++) {
      code = api->GetDeviceIDs(platforms[i], kKinds[kind], 1, &state->device, &found);
      if (code != CL_SUCCESS) found = 0;
    }
  }
  if (found == 0) {
    return octavo_opencl_explain(model, OCTAVO_NO_ACCELERATOR,
                                 num_kinds == 1 ? "the OpenCL drivers have no GPU"
                                                : "the OpenCL drivers have no device");
  }
  octavo_status status = check_limits(model, state);
  if (status != OCTAVO_OK) return status;
  state->context = api->CreateContext(NULL, 1, &state->device, NULL, NULL, &code);
  if (state->context == NULL) return octavo_opencl_fail(model, "clCreateContext", code);
  state->queue =
      api->CreateCommandQueue(state->context, state->device, CL_QUEUE_PROFILING_ENABLE, &code);
  if (state->queue == NULL) return octavo_opencl_fail(model, "clCreateCommandQueue", code);
  return OCTAVO_OK;
}
