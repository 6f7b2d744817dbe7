/* Build the program from source, or from what the driver made of it before. */
#include "opencl.h"
#include "platform.h"

enum { kMaxPath = 1024, kMaxName = 256 };

/* What is in front of a binary in the cache: it must be whole, and made of this source. */
typedef struct header {
  uint64_t key, num_bytes, checksum;
} header;

/* FNV-1a, 64 bits; a zero behind every text keeps neighbours apart. */
static uint64_t hash(uint64_t state, const void *data, size_t num_bytes) {
  const uint8_t *bytes = data;
  for (size_t i = 0; i < num_bytes; i++) state = (state ^ bytes[i]) * 0x100000001b3u;
  return state * 0x100000001b3u;
}

static uint64_t source_key(const octavo_model *model, const octavo_opencl *state) {
  static const cl_uint kNames[] = {CL_DEVICE_NAME, CL_DEVICE_VERSION, CL_DRIVER_VERSION};
  uint64_t key = 0xcbf29ce484222325u;
  for (size_t i = 0; i < sizeof kNames / sizeof *kNames; i++) {
    char name[kMaxName] = {0};
    state->api.GetDeviceInfo(state->device, kNames[i], sizeof name, name, NULL);
    key = hash(key, name, __builtin_strlen(name));
  }
  const octavo_accelerator *accelerator = model->program->accelerator;
  for (uint32_t i = 0; i < accelerator->num_lines; i++) {
    key = hash(key, accelerator->source[i], __builtin_strlen(accelerator->source[i]));
  }
  return key;
}

/* "folder/octavo-<key><end>"; false where it is too long. */
static bool cache_path(char *path, const char *folder, uint64_t key, const char *end) {
  static const char kStem[] = "/octavo-";
  size_t at = __builtin_strlen(folder), tail = __builtin_strlen(end);
  if (at + sizeof kStem + 16 + tail >= kMaxPath) return false;
  __builtin_memcpy(path, folder, at);
  __builtin_memcpy(path + at, kStem, sizeof kStem - 1);
  at += sizeof kStem - 1;
  for (int shift = 60; shift >= 0; shift -= 4) path[at++] = "0123456789abcdef"[key >> shift & 15];
  __builtin_memcpy(path + at, end, tail + 1);
  return true;
}

/* The program in the cache, or NULL. */
static cl_program read_cached(const octavo_opencl *state, const char *path, uint64_t key) {
  size_t num_bytes = 0;
  uint8_t *data = octavo_platform_read(path, &num_bytes);
  if (data == NULL) return NULL;
  cl_program program = NULL;
  header head;
  if (num_bytes > sizeof head) {
    const unsigned char *binary = data + sizeof head;
    size_t rest = num_bytes - sizeof head;
    __builtin_memcpy(&head, data, sizeof head);
    if (head.key == key && head.num_bytes == rest && head.checksum == hash(key, binary, rest)) {
      cl_int code = CL_SUCCESS;
      program = state->api.CreateProgramWithBinary(state->context, 1, &state->device, &rest,
                                                   &binary, NULL, &code);
      if (program != NULL && state->api.BuildProgram(program, 1, &state->device, "", NULL, NULL)) {
        state->api.ReleaseProgram(program);
        program = NULL;
      }
    }
  }
  octavo_platform_free(data);
  return program;
}

/* A cache is a wish: a full disk or a read-only folder is no failure. */
static void write_cached(const octavo_opencl *state, const char *path, const char *temporary,
                         uint64_t key) {
  size_t num_bytes = 0;
  if (state->api.GetProgramInfo(state->program, CL_PROGRAM_BINARY_SIZES, sizeof num_bytes,
                                &num_bytes, NULL) != CL_SUCCESS || num_bytes == 0) {
    return;
  }
  uint8_t *data = octavo_platform_allocate(sizeof(header) + num_bytes);
  if (data == NULL) return;
  unsigned char *binary = data + sizeof(header);
  if (state->api.GetProgramInfo(state->program, CL_PROGRAM_BINARIES, sizeof binary, &binary,
                                NULL) == CL_SUCCESS) {
    header head = {key, num_bytes, hash(key, binary, num_bytes)};
    __builtin_memcpy(data, &head, sizeof head);
    octavo_platform_write(path, temporary, data, sizeof head + num_bytes);
  }
  octavo_platform_free(data);
}

static octavo_status build_source(octavo_model *model, octavo_opencl *state) {
  const octavo_accelerator *accelerator = model->program->accelerator;
  cl_int code = CL_SUCCESS;
  state->program = state->api.CreateProgramWithSource(state->context, accelerator->num_lines,
                                                      accelerator->source, NULL, &code);
  if (state->program == NULL) return octavo_opencl_fail(model, "clCreateProgramWithSource", code);
  code = state->api.BuildProgram(state->program, 1, &state->device, "", NULL, NULL);
  if (code == CL_SUCCESS) return OCTAVO_OK;
  octavo_status status = octavo_opencl_fail(model, "clBuildProgram", code);
  size_t num_bytes = 0;
  if (state->api.GetProgramBuildInfo(state->program, state->device, CL_PROGRAM_BUILD_LOG, 0, NULL,
                                     &num_bytes) != CL_SUCCESS || num_bytes < 2) {
    return status;
  }
  char *log = octavo_platform_allocate(num_bytes);
  if (log == NULL) return status;
  if (state->api.GetProgramBuildInfo(state->program, state->device, CL_PROGRAM_BUILD_LOG,
                                     num_bytes, log, NULL) == CL_SUCCESS) {
    log[num_bytes - 1] = '\0';
    octavo_opencl_explain(model, status, log);
  }
  octavo_platform_free(log);
  return status;
}

octavo_status octavo_opencl_build(octavo_model *model, octavo_opencl *state,
                                  const char *cache_folder) {
  char path[kMaxPath], temporary[kMaxPath];
  uint64_t key = source_key(model, state);
  bool has_cache = cache_folder != NULL && cache_path(path, cache_folder, key, ".bin") &&
                   cache_path(temporary, cache_folder, key, ".new");
  if (has_cache) state->program = read_cached(state, path, key);
  if (state->program != NULL) return OCTAVO_OK;
  octavo_status status = build_source(model, state);
  if (status == OCTAVO_OK && has_cache) write_cached(state, path, temporary, key);
  return status;
}
