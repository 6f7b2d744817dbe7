/* Load, prepare, reset, destroy. */
#include "instance.h"

#include "cpu_features.h"
#include "platform.h"

enum { kMaxThreads = 256 };

const char *octavo_status_message(octavo_status status) {
  switch (status) {
    case OCTAVO_OK: return "ok";
    case OCTAVO_INVALID_ARGUMENT: return "invalid argument";
    case OCTAVO_OUT_OF_MEMORY: return "out of memory";
    case OCTAVO_FILE_ERROR: return "the weight file cannot be read";
    case OCTAVO_WRONG_SIZE: return "the weights have not the size that this program expects";
    case OCTAVO_WRONG_ABI: return "the program was generated for another version of the runtime";
    case OCTAVO_UNSUPPORTED_CPU: return "this CPU lacks instructions that the program was built for";
    case OCTAVO_THREAD_ERROR: return "the system refused to start a thread";
    case OCTAVO_NOT_PREPARED: return "octavo_prepare has not been called";
    case OCTAVO_KERNEL_FAILED: return "a kernel reported a failure";
    case OCTAVO_TILES_REFUSED: return "the system refuses this process the AMX tiles of the CPU";
    case OCTAVO_NO_ACCELERATOR: return "there is no accelerator that the program can run on";
    case OCTAVO_ACCELERATOR_FAILED: return "the accelerator's driver failed";
    case OCTAVO_CANCELLED: return "the run was cancelled";
    case OCTAVO_BUSY: return "another thread is running this model";
  }
  return "unknown status";
}

static bool is_aligned(const void *pointer) {
  return (uintptr_t)pointer % OCTAVO_ALIGNMENT == 0;
}

static octavo_status create(const octavo_program *program, octavo_model **out) {
  if (program->abi_version != OCTAVO_ABI_VERSION) return OCTAVO_WRONG_ABI;
  if (program->arena_bytes > SIZE_MAX - OCTAVO_SLACK || program->weights_bytes > SIZE_MAX ||
      octavo_weights_memory_bytes(program) == SIZE_MAX) {
    return OCTAVO_OUT_OF_MEMORY; /* a program of a 64-bit machine on a 32-bit one */
  }
  octavo_model *model = octavo_platform_allocate(sizeof *model);
  if (model == NULL) return OCTAVO_OUT_OF_MEMORY;
  __builtin_memset(model, 0, sizeof *model);
  model->program = program;
  *out = model;
  return OCTAVO_OK;
}

/* Hands a model out, or frees it where its weights were refused. */
static octavo_status finish_load(octavo_model *model, octavo_status status, octavo_model **out) {
  if (status == OCTAVO_OK) *out = model;
  else octavo_platform_free(model);
  return status;
}

octavo_status octavo_load(const octavo_program *program, const char *weights_path,
                          octavo_model **out) {
  if (out == NULL) return OCTAVO_INVALID_ARGUMENT;
  *out = NULL;
  if (program == NULL || weights_path == NULL) return OCTAVO_INVALID_ARGUMENT;
  octavo_model *model = NULL;
  octavo_status status = create(program, &model);
  if (status != OCTAVO_OK) return status;
  return finish_load(model, octavo_weights_load(model, weights_path), out);
}

octavo_status octavo_load_descriptor(const octavo_program *program, int descriptor,
                                     uint64_t offset, uint64_t num_bytes, octavo_model **out) {
  if (out == NULL) return OCTAVO_INVALID_ARGUMENT;
  *out = NULL;
  if (program == NULL || descriptor < 0) return OCTAVO_INVALID_ARGUMENT;
  if (num_bytes != program->weights_bytes) return OCTAVO_WRONG_SIZE;
  octavo_model *model = NULL;
  octavo_status status = create(program, &model);
  if (status != OCTAVO_OK) return status;
  return finish_load(model, octavo_weights_load_part(model, descriptor, offset), out);
}

octavo_status octavo_load_memory(const octavo_program *program, const void *weights,
                                 size_t weights_bytes, octavo_model **out) {
  if (out == NULL) return OCTAVO_INVALID_ARGUMENT;
  *out = NULL;
  if (program == NULL || weights == NULL || !is_aligned(weights)) return OCTAVO_INVALID_ARGUMENT;
  if (weights_bytes != program->weights_bytes) return OCTAVO_WRONG_SIZE;
  octavo_model *model = NULL;
  octavo_status status = create(program, &model);
  if (status != OCTAVO_OK) return status;
  return finish_load(model, octavo_weights_use(model, weights), out);
}

size_t octavo_arena_bytes(const octavo_program *program) {
  return program == NULL ? 0 : (size_t)program->arena_bytes + OCTAVO_SLACK;
}

const char *octavo_failure(const octavo_model *model) {
  return model == NULL ? "" : model->failure;
}

/* Frees what the model made for itself to run, the arena included. */
static void release(octavo_model *model) {
  if (model->accelerator != NULL) {
    model->program->accelerator->driver->destroy(model);
  }
  if (model->owns_arena) octavo_platform_free(model->arena);
  model->accelerator = NULL;
  model->arena = NULL;
}

/* Finds memory for the arena: the caller's, an accelerator's, or new. */
static octavo_status make_arena(octavo_model *model, const octavo_options *options) {
  if (model->program->accelerator != NULL) {
    return model->program->accelerator->driver->create(model, options);
  }
  model->owns_arena = options->arena == NULL;
  size_t num_bytes = octavo_arena_bytes(model->program);
  model->arena = model->owns_arena ? octavo_platform_allocate(num_bytes) : options->arena;
  if (model->arena == NULL) return OCTAVO_OUT_OF_MEMORY;
  /* All of it, not only the persistent part: padding that kernels load but do not use is then the
   * same in every run, and the first run takes no page faults. */
  __builtin_memset(model->arena, 0, num_bytes);
  return OCTAVO_OK;
}

static octavo_status check_cpu(const octavo_program *program) {
  if (octavo_missing_cpu_features(program) != 0) return OCTAVO_UNSUPPORTED_CPU;
  bool needs_amx = (program->cpu_features & octavo_cpu_feature_amx()) != 0;
  /* The first tile instruction of a process without the permission is a fatal signal. */
  return needs_amx && !octavo_platform_request_amx() ? OCTAVO_TILES_REFUSED : OCTAVO_OK;
}

octavo_status octavo_prepare(octavo_model *model, const octavo_options *options) {
  static const octavo_options kDefaults = {0};
  if (options == NULL) options = &kDefaults;
  if (model == NULL || model->arena != NULL || options->num_threads > kMaxThreads) {
    return OCTAVO_INVALID_ARGUMENT;
  }
  size_t num_bytes = octavo_arena_bytes(model->program);
  if (options->arena != NULL && (!is_aligned(options->arena) || options->arena_bytes < num_bytes)) {
    return OCTAVO_INVALID_ARGUMENT;
  }
  octavo_status status = check_cpu(model->program);
  if (status != OCTAVO_OK) return status;
  status = make_arena(model, options);
  if (status == OCTAVO_OK && options->num_threads > 1) {
    status = octavo_pool_create(options, &model->pool);
  }
  if (status != OCTAVO_OK) {
    release(model);
    return status;
  }
  model->arena_bytes = options->arena == NULL ? num_bytes : 0;
  return OCTAVO_OK;
}

octavo_status octavo_get_usage(const octavo_model *model, octavo_usage *usage) {
  if (model == NULL || usage == NULL) return OCTAVO_INVALID_ARGUMENT;
  if (model->arena == NULL) return OCTAVO_NOT_PREPARED;
  octavo_pool_size pool = octavo_pool_measure(model->pool);
  *usage = (octavo_usage){
      .arena_bytes = model->arena_bytes,
      .weights_mapped_bytes = model->mapped_bytes,
      .weights_copied_bytes = model->copied_bytes,
      .instance_bytes = sizeof *model + pool.num_bytes,
      .last_run_ns = atomic_load_explicit(&model->last_run_ns, memory_order_relaxed),
      .num_threads = pool.num_threads,
      .num_pinned_threads = pool.num_pinned,
  };
  return OCTAVO_OK;
}

octavo_status octavo_reset(octavo_model *model) {
  octavo_status status = octavo_enter(model);
  if (status != OCTAVO_OK) return status;
  __builtin_memset(model->arena, 0, (size_t)model->program->persistent_bytes);
  return octavo_leave(model, OCTAVO_OK);
}

void octavo_destroy(octavo_model *model) {
  if (model == NULL) return;
  octavo_pool_destroy(model->pool);
  release(model);
  octavo_weights_free(model);
  octavo_platform_free(model);
}

const octavo_program *octavo_model_program(const octavo_model *model) {
  return model == NULL ? NULL : model->program;
}
