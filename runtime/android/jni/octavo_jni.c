/* What Java calls; see Native.java. Sizes, types and lifetimes are checked there: no function here
 * is reached with a closed model, a buffer that is too small or one that is not direct. */
#include "jni_table.h"
#include "model_table.h"

void *malloc(size_t num_bytes);
void free(void *memory);

enum { kRecord = 5 /* numbers in front of a shape, see Native.tensorRecord */ };

/* An instance, with the pointers that a run takes. */
typedef struct instance {
  octavo_model *model;
  void *pointers[]; /* (num_inputs + num_outputs,) */
} instance;

static const octavo_program *program_of(jint model) { return octavo_models[model].program(); }

static instance *instance_of(jlong handle) { return (instance *)(intptr_t)handle; }

static const octavo_tensor *tensor_of(jint model, jboolean is_output, jint index) {
  const octavo_program *program = program_of(model);
  return is_output ? &program->outputs[index] : &program->inputs[index];
}

static size_t length_of(const char *text) {
  size_t length = 0;
  while (text[length] != '\0') length++;
  return length;
}

static jobject new_bytes(jni_environment *env, const char *text) {
  jint length = (jint)length_of(text);
  jobject array = jni_new_array(env, JNI_NEW_BYTE_ARRAY, length);
  if (array != NULL) {
    jni_copy(env, JNI_SET_BYTE_ARRAY_REGION, array, length, (void *)(uintptr_t)text);
  }
  return array;
}

/* Makes the instance of a model that was loaded, or forgets it. */
static jlong finish_load(jni_environment *env, octavo_status status, octavo_model *model,
                         jobject status_out) {
  instance *made = NULL;
  if (status == OCTAVO_OK) {
    const octavo_program *program = octavo_model_program(model);
    size_t num_pointers = (size_t)program->num_inputs + program->num_outputs;
    made = malloc(sizeof *made + num_pointers * sizeof made->pointers[0]);
    if (made == NULL) {
      octavo_destroy(model);
      status = OCTAVO_OUT_OF_MEMORY;
    } else {
      made->model = model;
    }
  }
  jint number = (jint)status;
  jni_copy(env, JNI_SET_INT_ARRAY_REGION, status_out, 1, &number);
  return (jlong)(intptr_t)made;
}

/* Text that Java ended with a zero, in memory to be freed; NULL for NULL and without memory. */
static char *copy_text(jni_environment *env, jobject text) {
  if (text == NULL) return NULL;
  jint length = jni_get_array_length(env, text);
  char *copy = malloc((size_t)length);
  if (copy != NULL) jni_copy(env, JNI_GET_BYTE_ARRAY_REGION, text, length, copy);
  return copy;
}

OCTAVO_JNI(jint, numModels)(jni_environment *env, jclass class) {
  (void)env, (void)class;
  return (jint)octavo_num_models;
}

OCTAVO_JNI(jobject, modelName)(jni_environment *env, jclass class, jint model) {
  (void)class;
  return new_bytes(env, program_of(model)->name);
}

OCTAVO_JNI(jobject, assetName)(jni_environment *env, jclass class, jint model) {
  (void)class;
  return new_bytes(env, octavo_models[model].asset);
}

OCTAVO_JNI(jobject, missingFeatures)(jni_environment *env, jclass class, jint model) {
  (void)class;
  enum { kBits = 64, kRoom = 1024, kLongestName = 32 };
  char names[kRoom];
  size_t length = 0;
  uint64_t missing = octavo_missing_cpu_features(program_of(model));
  for (uint32_t bit = 0; bit < kBits && length + kLongestName < kRoom; bit++) {
    if ((missing >> bit & 1) == 0) continue;
    if (length > 0) names[length++] = ' ';
    const char *name = octavo_cpu_feature_name(bit);
    for (size_t i = 0; name[i] != '\0' && i < kLongestName - 2; i++) names[length++] = name[i];
  }
  names[length] = '\0';
  return new_bytes(env, names);
}

OCTAVO_JNI(jlong, weightsBytes)(jni_environment *env, jclass class, jint model) {
  (void)env, (void)class;
  return (jlong)program_of(model)->weights_bytes;
}

OCTAVO_JNI(jint, numTensors)(jni_environment *env, jclass class, jint model, jboolean is_output) {
  (void)env, (void)class;
  const octavo_program *program = program_of(model);
  return (jint)(is_output ? program->num_outputs : program->num_inputs);
}

OCTAVO_JNI(jobject, tensorName)
(jni_environment *env, jclass class, jint model, jboolean is_output, jint index) {
  (void)class;
  return new_bytes(env, tensor_of(model, is_output, index)->name);
}

OCTAVO_JNI(jobject, tensorRecord)
(jni_environment *env, jclass class, jint model, jboolean is_output, jint index) {
  (void)class;
  const octavo_tensor *tensor = tensor_of(model, is_output, index);
  enum { kMaxRank = 64 };
  jint rank = tensor->rank < kMaxRank ? (jint)tensor->rank : kMaxRank;
  jint scale_bits = 0;
  __builtin_memcpy(&scale_bits, &tensor->scale, sizeof scale_bits);
  jlong numbers[kRecord + kMaxRank] = {tensor->dtype, (jlong)tensor->num_bytes,
                                       tensor->is_quantized, scale_bits, tensor->zero_point};
  for (jint i = 0; i < rank; i++) numbers[kRecord + i] = tensor->shape[i];
  jobject array = jni_new_array(env, JNI_NEW_LONG_ARRAY, kRecord + rank);
  if (array != NULL) jni_copy(env, JNI_SET_LONG_ARRAY_REGION, array, kRecord + rank, numbers);
  return array;
}

OCTAVO_JNI(jlong, loadPath)
(jni_environment *env, jclass class, jint model, jobject path, jobject status_out) {
  (void)class;
  octavo_model *loaded = NULL;
  char *text = copy_text(env, path);
  octavo_status status = OCTAVO_OUT_OF_MEMORY;
  if (text != NULL) status = octavo_load(program_of(model), text, &loaded);
  free(text);
  return finish_load(env, status, loaded, status_out);
}

OCTAVO_JNI(jlong, loadDescriptor)
(jni_environment *env, jclass class, jint model, jint descriptor, jlong offset, jlong num_bytes,
 jobject status_out) {
  (void)class;
  octavo_model *loaded = NULL;
  octavo_status status = octavo_load_descriptor(program_of(model), descriptor, (uint64_t)offset,
                                                (uint64_t)num_bytes, &loaded);
  return finish_load(env, status, loaded, status_out);
}

OCTAVO_JNI(jint, misalignment)(jni_environment *env, jclass class, jobject buffer) {
  (void)class;
  uintptr_t address = (uintptr_t)jni_buffer_address(env, buffer);
  return (jint)((OCTAVO_ALIGNMENT - address % OCTAVO_ALIGNMENT) % OCTAVO_ALIGNMENT);
}

OCTAVO_JNI(jlong, loadMemory)
(jni_environment *env, jclass class, jint model, jobject buffer, jobject status_out) {
  (void)class;
  octavo_model *loaded = NULL;
  const octavo_program *program = program_of(model);
  octavo_status status = octavo_load_memory(program, jni_buffer_address(env, buffer),
                                            (size_t)program->weights_bytes, &loaded);
  return finish_load(env, status, loaded, status_out);
}

OCTAVO_JNI(jint, prepare)
(jni_environment *env, jclass class, jlong handle, jint num_threads, jlong cpus,
 jobject cache_folder) {
  (void)class;
  char *folder = copy_text(env, cache_folder);
  if (folder == NULL && cache_folder != NULL) return OCTAVO_OUT_OF_MEMORY;
  octavo_options options = {0};
  options.num_threads = (uint32_t)num_threads;
  options.cpus = (uint64_t)cpus;
  options.cache_folder = folder;
  octavo_status status = octavo_prepare(instance_of(handle)->model, &options);
  free(folder);
  return (jint)status;
}

/* Addresses of the buffers of an array; NULL for an output that is not wanted. */
static void find_buffers(jni_environment *env, jobject buffers, uint32_t count, void **addresses) {
  for (uint32_t i = 0; i < count; i++) {
    jobject buffer = jni_get_element(env, buffers, (jint)i);
    addresses[i] = buffer == NULL ? NULL : jni_buffer_address(env, buffer);
    jni_delete_local_ref(env, buffer);
  }
}

OCTAVO_JNI(jint, run)
(jni_environment *env, jclass class, jlong handle, jobject inputs, jobject outputs) {
  (void)class;
  instance *self = instance_of(handle);
  const octavo_program *program = octavo_model_program(self->model);
  void **output_pointers = self->pointers + program->num_inputs;
  find_buffers(env, inputs, program->num_inputs, self->pointers);
  find_buffers(env, outputs, program->num_outputs, output_pointers);
  return (jint)octavo_run_copy(self->model, (const void *const *)self->pointers, output_pointers);
}

OCTAVO_JNI(jboolean, cancel)(jni_environment *env, jclass class, jlong handle) {
  (void)env, (void)class;
  return octavo_cancel(instance_of(handle)->model);
}

OCTAVO_JNI(jint, reset)(jni_environment *env, jclass class, jlong handle) {
  (void)env, (void)class;
  return (jint)octavo_reset(instance_of(handle)->model);
}

OCTAVO_JNI(jint, usage)(jni_environment *env, jclass class, jlong handle, jobject numbers) {
  (void)class;
  octavo_usage usage = {0};
  octavo_status status = octavo_get_usage(instance_of(handle)->model, &usage);
  jlong values[] = {(jlong)usage.arena_bytes,          (jlong)usage.weights_mapped_bytes,
                    (jlong)usage.weights_copied_bytes, (jlong)usage.instance_bytes,
                    (jlong)usage.last_run_ns,          usage.num_threads,
                    usage.num_pinned_threads};
  jni_copy(env, JNI_SET_LONG_ARRAY_REGION, numbers, sizeof values / sizeof values[0], values);
  return (jint)status;
}

OCTAVO_JNI(void, destroy)(jni_environment *env, jclass class, jlong handle) {
  (void)env, (void)class;
  instance *self = instance_of(handle);
  octavo_destroy(self->model);
  free(self);
}

OCTAVO_JNI(jobject, message)(jni_environment *env, jclass class, jint status) {
  (void)class;
  return new_bytes(env, octavo_status_message((octavo_status)status));
}

OCTAVO_JNI(jobject, failure)(jni_environment *env, jclass class, jlong handle) {
  (void)class;
  return new_bytes(env, octavo_failure(instance_of(handle)->model));
}

OCTAVO_JNI(jlong, findCpus)(jni_environment *env, jclass class, jint kind) {
  (void)env, (void)class;
  return (jlong)octavo_find_cpus((octavo_cpu_kind)kind);
}
