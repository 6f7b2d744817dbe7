/* Checks of the C runtime, one function per behaviour: checks NAME WEIGHTS_FILE. The program under
 * test is written by hand; its kernels call the thread pool as TVM's generated code does. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "octavo_packed_weights.h"
#include "octavo_runtime.h"

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                 \
    }                                                                          \
  } while (0)

static const char *g_weights;

/* ------------------------------------------------------- what generated code declares ---- */

typedef struct group { void *sync_handle; int32_t num_task; } group;
typedef int (*task_function)(int task_id, group *env, void *data);
int TVMBackendParallelLaunch(task_function task, void *data, int num_task);
int TVMBackendParallelBarrier(int task_id, group *env);

/* ---------------------------------------------------------------- allocation counting ---- */

#ifdef COUNT_ALLOCATIONS /* linked with --wrap for each of these */
static atomic_int g_allocations;
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int file, long offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, long offset);
void *__wrap_malloc(size_t size) { g_allocations++; return __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { g_allocations++; return __real_calloc(count, size); }
void *__wrap_realloc(void *memory, size_t size) { g_allocations++; return __real_realloc(memory, size); }
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size) {
  g_allocations++;
  return __real_posix_memalign(memory, alignment, size);
}
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, long offset) {
  g_allocations++;
  return __real_mmap(at, size, protection, flags, file, offset);
}

/* A made-up machine: CPUs 0 to 3 little, 4 to 6 middle, 7 big, 8 without what is asked for. */
static const char *g_cpu_file; /* NULL: the true ones */
size_t __real_octavo_platform_peek(const char *path, char *text, size_t num_bytes);
size_t __wrap_octavo_platform_peek(const char *path, char *text, size_t num_bytes);
size_t __wrap_octavo_platform_peek(const char *path, char *text, size_t num_bytes) {
  if (g_cpu_file == NULL) return __real_octavo_platform_peek(path, text, num_bytes);
  int cpu = -1;
  char file[64];
  CHECK(sscanf(path, "/sys/devices/system/cpu/cpu%d/%63s", &cpu, file) == 2 && cpu < 64);
  if (cpu > 7 || strcmp(file, g_cpu_file) != 0) return 0;
  return (size_t)snprintf(text, num_bytes, "%d\n", cpu < 4 ? 160 : cpu < 7 ? 498 : 1024);
}
#endif

/* ------------------------------------------------------------- the program under test ---- */

/* Arena: a persistent counter (64 bytes), x (kCount int32), y (kCount int32), scratch. Weights:
 * kCount int32 and slack; the file holds 0, 1, 2, ... */
enum { kCount = 1024, kCounter = 0, kX = 64, kY = kX + 4 * kCount, kScratch = kY + 4 * kCount,
       kScratchBytes = 64 * 256, kArena = kScratch + kScratchBytes, kWeights = 4 * kCount + 64 };

typedef struct closure { int32_t *in, *out; const int32_t *weights; } closure;

static int add_range(int task_id, group *env, void *data) {
  closure *c = data;
  int per_task = (kCount + env->num_task - 1) / env->num_task;
  for (int i = task_id * per_task; i < (task_id + 1) * per_task && i < kCount; i++) {
    c->out[i] = c->in[i] + c->weights[i];
  }
  return 0;
}

static int32_t step_add(uint8_t *arena, const uint8_t *weights) {
  closure c = {(int32_t *)(void *)(arena + kX), (int32_t *)(void *)(arena + kY),
               (const int32_t *)(const void *)weights};
  return TVMBackendParallelLaunch(add_range, &c, 0);
}

/* Tasks may run one after the other in one thread: waiting for another one cannot work. */
static int wait_for_the_others(int task_id, group *env, void *data) {
  (void)data;
  return TVMBackendParallelBarrier(task_id, env);
}

static int32_t step_barrier(uint8_t *arena, const uint8_t *weights) {
  (void)arena;
  (void)weights;
  return TVMBackendParallelLaunch(wait_for_the_others, NULL, 0);
}

static int32_t step_count(uint8_t *arena, const uint8_t *weights) {
  (void)weights;
  ++*(int32_t *)(void *)(arena + kCounter);
  return 0;
}

static int32_t step_fail(uint8_t *arena, const uint8_t *weights) {
  (void)arena;
  (void)weights;
  return -1;
}

static int32_t step_read_slack(uint8_t *arena, const uint8_t *weights) {
  uint32_t sum = 0;
  for (int i = 0; i < 64; i++) sum += arena[kArena + i] + (uint32_t)weights[kWeights - 64 + i];
  return (int32_t)sum;
}

static int fail_in_last(int task_id, group *env, void *data) {
  (void)data;
  return task_id == env->num_task - 1 ? -1 : 0;
}

static int32_t step_fail_in_task(uint8_t *arena, const uint8_t *weights) {
  (void)arena;
  (void)weights;
  return TVMBackendParallelLaunch(fail_in_last, NULL, 0);
}

static int inner(int task_id, group *env, void *data) {
  atomic_fetch_add((atomic_int *)data, 1);
  return task_id == 0 && env->num_task == 1 ? 0 : -1;
}

static int outer(int task_id, group *env, void *data) {
  (void)task_id;
  (void)env;
  return TVMBackendParallelLaunch(inner, data, 0);
}

static atomic_int g_inner_runs;
static int32_t step_nested(uint8_t *arena, const uint8_t *weights) {
  (void)arena;
  (void)weights;
  return TVMBackendParallelLaunch(outer, &g_inner_runs, 0);
}

static int keep_num_task(int task_id, group *env, void *data) {
  if (task_id == 0) *(int32_t *)data = env->num_task;
  return 0;
}

static int32_t g_num_task[3];
static int32_t step_num_task(uint8_t *arena, const uint8_t *weights) {
  (void)arena;
  (void)weights;
  return TVMBackendParallelLaunch(keep_num_task, &g_num_task[0], 0) |
         TVMBackendParallelLaunch(keep_num_task, &g_num_task[1], 2) |
         TVMBackendParallelLaunch(keep_num_task, &g_num_task[2], 100);
}

static const int64_t kShape[] = {kCount};
static const octavo_tensor kInputs[] = {
    {"x", OCTAVO_INT32, 1, kShape, 4 * kCount, kX, false, false, 1, 0}};
static const octavo_tensor kOutputs[] = {
    {"y", OCTAVO_INT32, 1, kShape, 4 * kCount, kY, false, false, 1, 0},
    {"constant", OCTAVO_INT32, 1, kShape, 4 * kCount, 0, true, false, 1, 0}};

#define PROGRAM(step_array)                                                                  \
  {OCTAVO_ABI_VERSION, "checks", 0, kArena, 64, kWeights, 1, 2,                              \
   sizeof step_array / sizeof step_array[0], kInputs, kOutputs, step_array, NULL, NULL}

static const octavo_step kSteps[] = {{"add", "add", 7, step_add, NULL}, {"count", "count", 0, step_count, NULL}};
static const octavo_program kProgram = PROGRAM(kSteps);
static const octavo_step kBarrierSteps[] = {{"wait", "wait", 0, step_barrier, NULL}};
static const octavo_program kBarrierProgram = PROGRAM(kBarrierSteps);

static octavo_model *prepared(const octavo_program *program, uint32_t num_threads) {
  octavo_model *model = NULL;
  octavo_options options = {.num_threads = num_threads};
  CHECK(octavo_load(program, g_weights, &model) == OCTAVO_OK);
  CHECK(octavo_prepare(model, &options) == OCTAVO_OK);
  return model;
}

static void fill(octavo_model *model, int32_t start) {
  int32_t *x = octavo_input(model, 0);
  for (int i = 0; i < kCount; i++) x[i] = start + i;
}

static void run_add(octavo_model *model, int num_runs) {
  for (int run = 0; run < num_runs; run++) {
    fill(model, run);
    CHECK(octavo_run(model) == OCTAVO_OK);
    const int32_t *y = octavo_output(model, 0);
    for (int i = 0; i < kCount; i++) CHECK(y[i] == run + 2 * i);
  }
}

/* ----------------------------------------------------------------------------- checks ---- */

static void weights_are_checked(void) {
  octavo_model *model = (octavo_model *)&model;
  CHECK(octavo_load(&kProgram, "/no/such/file", &model) == OCTAVO_FILE_ERROR && model == NULL);
  CHECK(octavo_load(&kProgram, "/", &model) != OCTAVO_OK && model == NULL);
  octavo_program other = kProgram;
  other.weights_bytes += 64;
  CHECK(octavo_load(&other, g_weights, &model) == OCTAVO_WRONG_SIZE && model == NULL);
  other.weights_bytes -= 128;
  CHECK(octavo_load(&other, g_weights, &model) == OCTAVO_WRONG_SIZE && model == NULL);
  other = kProgram;
  other.abi_version++;
  CHECK(octavo_load(&other, g_weights, &model) == OCTAVO_WRONG_ABI && model == NULL);
}

static void arguments_are_checked(void) {
  octavo_model *model = NULL;
  CHECK(octavo_load(NULL, g_weights, &model) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_load(&kProgram, NULL, &model) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_load(&kProgram, g_weights, NULL) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_prepare(NULL, NULL) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_run(NULL) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_reset(NULL) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_set_hook(NULL, NULL, NULL) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_model_program(NULL) == NULL && octavo_arena_bytes(NULL) == 0);
  octavo_destroy(NULL);
  CHECK(octavo_load(&kProgram, g_weights, &model) == OCTAVO_OK);
  CHECK(octavo_run(model) == OCTAVO_NOT_PREPARED && octavo_reset(model) == OCTAVO_NOT_PREPARED);
  CHECK(octavo_input(model, 0) == NULL && octavo_output(model, 0) == NULL);
  octavo_options too_many = {.num_threads = 257};
  CHECK(octavo_prepare(model, &too_many) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_prepare(model, NULL) == OCTAVO_OK);
  CHECK(octavo_prepare(model, NULL) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_input(model, 1) == NULL && octavo_output(model, 2) == NULL);
  CHECK(octavo_run_timed(model, NULL) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_run_copy(model, NULL, NULL) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_model_program(model) == &kProgram);
  octavo_destroy(model);
}

static void every_status_has_a_message(void) {
  for (int status = OCTAVO_OK; status <= OCTAVO_BUSY; status++) {
    CHECK(strcmp(octavo_status_message((octavo_status)status), "unknown status") != 0);
  }
  CHECK(strcmp(octavo_status_message((octavo_status)99), "unknown status") == 0);
}

static void results_do_not_depend_on_threads(void) {
  for (uint32_t num_threads = 0; num_threads <= 5; num_threads++) {
    octavo_model *model = prepared(&kProgram, num_threads);
    run_add(model, 200);
    octavo_destroy(model);
  }
}

static void barriers_are_refused(void) {
  for (uint32_t num_threads = 1; num_threads <= 4; num_threads++) {
    octavo_model *model = prepared(&kBarrierProgram, num_threads);
#ifdef OCTAVO_SINGLE_THREAD
    CHECK(octavo_run(model) == OCTAVO_OK);
#else
    CHECK(octavo_run(model) == (num_threads == 1 ? OCTAVO_OK : OCTAVO_KERNEL_FAILED));
#endif
    octavo_destroy(model);
  }
}

#ifndef OCTAVO_SINGLE_THREAD
static atomic_uint g_num_entered;
static int hold_one_thread(int task_id, group *env, void *data) {
  (void)env;
  (void)data;
  atomic_fetch_add(&g_num_entered, 1);
  /* One task takes long; the others must not wait for the thread that has it. */
  if (task_id == 0) {
    while (atomic_load(&g_num_entered) < (unsigned)env->num_task) sched_yield();
  }
  return 0;
}

static int32_t step_hold(uint8_t *arena, const uint8_t *weights) {
  (void)arena;
  (void)weights;
  atomic_store(&g_num_entered, 0);
  return TVMBackendParallelLaunch(hold_one_thread, NULL, 0);
}

#endif

/* Ends only if the tasks behind a slow one go to another thread. */
static void late_threads_are_not_waited_for(void) {
#ifndef OCTAVO_SINGLE_THREAD
  static const octavo_step kHold[] = {{"hold", "hold", 0, step_hold, NULL}};
  static const octavo_program kHoldProgram = PROGRAM(kHold);
  for (uint32_t num_threads = 2; num_threads <= 4; num_threads++) {
    octavo_model *model = prepared(&kHoldProgram, num_threads);
    for (int run = 0; run < 100; run++) CHECK(octavo_run(model) == OCTAVO_OK);
    octavo_destroy(model);
  }
#endif
}

static void sleeping_workers_wake(void) {
  octavo_model *model = prepared(&kProgram, 3);
  struct timespec pause = {0, 5000000};
  for (int i = 0; i < 10; i++) {
    run_add(model, 2);
    nanosleep(&pause, NULL);
  }
  octavo_destroy(model);
}

static void caller_owns_its_arena(void) {
  size_t num_bytes = octavo_arena_bytes(&kProgram);
  CHECK(num_bytes == kArena + OCTAVO_SLACK);
  uint8_t *memory = NULL;
  CHECK(posix_memalign((void **)&memory, 64, num_bytes + 64) == 0);
  memset(memory, 0xff, num_bytes + 64);
  octavo_model *model = NULL;
  CHECK(octavo_load(&kProgram, g_weights, &model) == OCTAVO_OK);
  octavo_options misaligned = {.arena = memory + 8, .arena_bytes = num_bytes};
  CHECK(octavo_prepare(model, &misaligned) == OCTAVO_INVALID_ARGUMENT);
  octavo_options short_one = {.arena = memory, .arena_bytes = num_bytes - 1};
  CHECK(octavo_prepare(model, &short_one) == OCTAVO_INVALID_ARGUMENT);
  octavo_options good = {2, true, memory, num_bytes, NULL, 0};
  CHECK(octavo_prepare(model, &good) == OCTAVO_OK);
  CHECK((uint8_t *)octavo_input(model, 0) == memory + kX);
  run_add(model, 3);
  octavo_destroy(model);
  for (int i = 0; i < 64; i++) CHECK(memory[num_bytes + (size_t)i] == 0xff);
  free(memory); /* a second free would be an error of the runtime */
}

static void weights_in_memory(void) {
  uint8_t *weights = NULL;
  CHECK(posix_memalign((void **)&weights, 64, kWeights + 64) == 0);
  memset(weights, 0, kWeights + 64);
  for (int i = 0; i < kCount; i++) ((int32_t *)(void *)weights)[i] = i;
  octavo_model *model = NULL;
  CHECK(octavo_load_memory(&kProgram, weights + 4, kWeights, &model) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_load_memory(&kProgram, weights, kWeights + 1, &model) == OCTAVO_WRONG_SIZE);
  CHECK(octavo_load_memory(&kProgram, weights, kWeights, &model) == OCTAVO_OK);
  CHECK(octavo_prepare(model, NULL) == OCTAVO_OK);
  run_add(model, 2);
  octavo_destroy(model);
  free(weights);
}

/* A program whose one output is all of its weights: constants of every width and number of values
 * up to kMostValues, floats of every width, one more plain constant, and slack. */
enum { kMostBits = 8, kMostValues = 17, kEachBytes = 128, kPlain = 128, kFloatValues = 29,
       kConstants = kMostBits * kMostValues, kRun = 2, kLanes = 3, kRows = 2, kScales = 9,
       kExpanded = kEachBytes * (kConstants + kMostBits),
       kStored = kPlain + (kConstants * 3 + kMostBits * 4) * kMostBits +
                 4 * kScales * kMostBits + OCTAVO_PACKED_SLACK };

typedef struct packed_case {
  octavo_packed_constant constants[kConstants];
  octavo_packed_floats floats[kMostBits];
  octavo_packed_weights packed;
  int64_t shape[1];
  octavo_tensor output;
  octavo_program program;
  uint8_t *file;                 /* (kStored,), aligned */
  uint8_t expected[kExpanded + kPlain];
} packed_case;

static uint32_t g_random = 1;
static unsigned next_random(unsigned num_bits) {
  g_random = g_random * 1664525u + 1013904223u;
  return (g_random >> 16) & ((1u << num_bits) - 1);
}

/* Stores num_values fields and returns the constant; the values as kernels read them are added to
 * `values`. */
static octavo_packed_constant store(packed_case *c, uint64_t *stored, uint64_t offset_bytes,
                                    unsigned num_bits, unsigned num_values, uint8_t base,
                                    uint8_t *values) {
  octavo_packed_constant constant = {*stored,           offset_bytes, num_values,
                                     (uint8_t)num_bits, base,         OCTAVO_BYTES};
  for (unsigned n = 0; n < num_values; n++) {
    unsigned field = next_random(num_bits);
    values[n] = (uint8_t)(base + field);
    for (unsigned bit = 0; bit < num_bits; bit++) {
      unsigned place = n % 8 * num_bits + bit;
      c->file[*stored + n / 8 * num_bits + place / 8] |=
          (uint8_t)((field >> bit & 1u) << place % 8);
    }
  }
  *stored += (num_values + 7) / 8 * num_bits;
  return constant;
}

static void store_floats(packed_case *c, uint64_t *stored, unsigned num_bits) {
  octavo_packed_floats *floats = &c->floats[num_bits - 1];
  uint64_t place = (uint64_t)kEachBytes * (kConstants + num_bits - 1);
  uint8_t integers[kFloatValues];
  uint8_t base = (uint8_t)(num_bits == 8 ? 0 : -(1 << (num_bits - 1)));
  *floats = (octavo_packed_floats){
      store(c, stored, place + 3 * kFloatValues, num_bits, kFloatValues, base, integers),
      *stored, kScales, kRun, kLanes, kRows};
  floats->scales_offset = *stored;
  float scales[kScales];
  for (int i = 0; i < kScales; i++) scales[i] = 0.3f + 0.7f * (float)i;
  memcpy(c->file + *stored, scales, sizeof scales);
  *stored += sizeof scales;
  for (int i = 0; i < kFloatValues; i++) {
    int set = i / (kRun * kLanes * kRows), lane = i / kRun % kLanes;
    float value = (float)(int8_t)integers[i] * scales[set * kLanes + lane];
    memcpy(c->expected + place + 4 * (size_t)i, &value, sizeof value);
  }
}

static packed_case *make_packed(void) {
  packed_case *c = calloc(1, sizeof *c);
  CHECK(c != NULL && posix_memalign((void **)&c->file, 128, kStored) == 0);
  memset(c->file, 0, kStored);
  for (int i = 0; i < kPlain; i++) c->file[i] = c->expected[kExpanded + i] = (uint8_t)(i * 7);
  uint64_t stored = kPlain;
  for (int i = 0; i < kConstants; i++) {
    unsigned num_bits = 1 + (unsigned)i % kMostBits, num_values = 1 + (unsigned)i / kMostBits;
    uint8_t base = (uint8_t)(i % 3 == 0 ? -(1 << (num_bits - 1)) : i * 11);
    uint64_t place = (uint64_t)i * kEachBytes;
    if (num_bits == 8) base = 0;
    uint8_t values[kMostValues];
    c->constants[i] = store(c, &stored, place, num_bits, num_values, base, values);
    c->constants[i].layout = (octavo_packed_layout)(i % 5 < 3 ? i % 5 : 0);
    for (unsigned n = 0; n < num_values; n++) {
      int16_t wide = (int8_t)values[n];
      if (i % 5 == OCTAVO_WORDS) memcpy(c->expected + place + 2 * n, &wide, sizeof wide);
      else if (i % 5 != OCTAVO_NIBBLES) c->expected[place + n] = values[n];
      else c->expected[place + n / 2] |= (uint8_t)((values[n] & 15) << n % 2 * 4);
    }
    /* Fields behind the last value are 0: it may share a byte with one of them. */
    if (i % 5 == OCTAVO_NIBBLES && num_values % 2 != 0) {
      c->expected[place + num_values / 2] |= (uint8_t)((base & 15) << 4);
    }
  }
  for (unsigned num_bits = 1; num_bits <= kMostBits; num_bits++) store_floats(c, &stored, num_bits);
  CHECK(stored + OCTAVO_PACKED_SLACK <= kStored);
  c->packed = (octavo_packed_weights){&octavo_packed_expander, kPlain, kExpanded, kConstants, kMostBits,
                                      c->constants, c->floats};
  c->shape[0] = kExpanded + kPlain;
  c->output = (octavo_tensor){"w", OCTAVO_UINT8, 1, c->shape, kExpanded + kPlain, 0, true,
                              false, 1, 0};
  c->program = kProgram;
  c->program.weights_bytes = kStored;
  c->program.num_inputs = c->program.num_steps = 0;
  c->program.num_outputs = 1;
  c->program.outputs = &c->output;
  c->program.packed = &c->packed;
  return c;
}

static void free_packed(packed_case *c) {
  free(c->file);
  free(c);
}

static void check_packed(const packed_case *c, octavo_model *model) {
  CHECK(octavo_prepare(model, NULL) == OCTAVO_OK && octavo_run(model) == OCTAVO_OK);
  const uint8_t *weights = octavo_output(model, 0);
  CHECK((uintptr_t)weights % OCTAVO_ALIGNMENT == 0);
  CHECK(memcmp(weights, c->expected, sizeof c->expected) == 0);
  octavo_destroy(model);
}

static void write_file(const char *path, const uint8_t *data, size_t num_bytes) {
  FILE *file = fopen(path, "wb");
  CHECK(file != NULL && fwrite(data, 1, num_bytes, file) == num_bytes && fclose(file) == 0);
}

static void packed_weights_are_expanded(void) {
  packed_case *c = make_packed();
  octavo_model *model = NULL;
  CHECK(octavo_load_memory(&c->program, c->file, kStored, &model) == OCTAVO_OK);
  check_packed(c, model);
  char path[4096];
  snprintf(path, sizeof path, "%s.packed.%ld", g_weights, (long)getpid());
  write_file(path, c->file, kStored);
  CHECK(octavo_load(&c->program, path, &model) == OCTAVO_OK);
  check_packed(c, model);
  write_file(path, c->file, kStored - 1);
  CHECK(octavo_load(&c->program, path, &model) == OCTAVO_WRONG_SIZE && model == NULL);
  remove(path);
  CHECK(octavo_load(&c->program, path, &model) == OCTAVO_FILE_ERROR && model == NULL);
  CHECK(octavo_load_memory(&c->program, c->file, kStored - 1, &model) == OCTAVO_WRONG_SIZE);
  free_packed(c);
}

static void refuse_packed(packed_case *c, octavo_status expected) {
  octavo_model *model = NULL;
  CHECK(octavo_load_memory(&c->program, c->file, kStored, &model) == expected && model == NULL);
  char path[4096];
  snprintf(path, sizeof path, "%s.refused.%ld", g_weights, (long)getpid());
  write_file(path, c->file, kStored);
  CHECK(octavo_load(&c->program, path, &model) == expected && model == NULL);
  remove(path);
}

/* Whatever a table and a file say, nothing outside of the weights is read or written. */
static void contradictory_packed_weights_are_refused(void) {
  packed_case *c = make_packed();
  octavo_packed_constant *last = &c->constants[kConstants - 1], good = *last;
  static const uint64_t kHuge[] = {kStored, kExpanded + 1, 1ull << 61, 1ull << 63, ~0ull - 7, ~0ull};
  for (size_t i = 0; i < sizeof kHuge / sizeof kHuge[0]; i++) {
    *last = good;
    last->stored_offset = kHuge[i];
    refuse_packed(c, OCTAVO_WRONG_SIZE);
    *last = good;
    last->num_values = kHuge[i];
    refuse_packed(c, OCTAVO_WRONG_SIZE);
    if (kHuge[i] < kExpanded) continue;
    *last = good;
    last->offset_bytes = kHuge[i];
    refuse_packed(c, OCTAVO_WRONG_SIZE);
  }
  *last = good;
  last->num_bits = 0;
  refuse_packed(c, OCTAVO_WRONG_SIZE);
  last->num_bits = 9;
  refuse_packed(c, OCTAVO_WRONG_SIZE);
  *last = good;
  last->layout = OCTAVO_WORDS;
  last->offset_bytes = kExpanded - 2 * last->num_values + 1;
  refuse_packed(c, OCTAVO_WRONG_SIZE);
  last->layout = OCTAVO_NIBBLES;
  last->offset_bytes = kExpanded - (last->num_values + 1) / 2 + 1;
  refuse_packed(c, OCTAVO_WRONG_SIZE);
  last->offset_bytes--;
  octavo_model *model = NULL;
  CHECK(octavo_load_memory(&c->program, c->file, kStored, &model) == OCTAVO_OK);
  octavo_destroy(model);
  *last = good;
  last->num_bits = 8; /* fields of a byte, to which a base would be added, carry */
  last->base = 1;
  refuse_packed(c, OCTAVO_WRONG_SIZE);
  *last = good;
  octavo_packed_floats *floats = &c->floats[kMostBits - 1], sound = *floats;
  for (size_t i = 0; i < sizeof kHuge / sizeof kHuge[0]; i++) {
    *floats = sound;
    floats->scales_offset = kHuge[i];
    refuse_packed(c, OCTAVO_WRONG_SIZE);
    *floats = sound;
    floats->num_scales = kHuge[i];
    refuse_packed(c, OCTAVO_WRONG_SIZE);
    *floats = sound;
    floats->integers.num_values = kHuge[i];
    refuse_packed(c, OCTAVO_WRONG_SIZE);
  }
  static const octavo_packed_floats kWrong[] = {
      {.run = 0, .lanes = kLanes, .rows = kRows}, {.run = kRun, .lanes = 0, .rows = kRows},
      {.run = kRun, .lanes = kLanes, .rows = 0},  {.run = 1, .lanes = kLanes, .rows = kRows},
      {.run = kRun, .lanes = kScales + 1, .rows = kRows},
      {.run = kRun, .lanes = UINT32_MAX, .rows = UINT32_MAX}};
  for (size_t i = 0; i < sizeof kWrong / sizeof kWrong[0]; i++) {
    *floats = sound;
    floats->run = kWrong[i].run;
    floats->lanes = kWrong[i].lanes;
    floats->rows = kWrong[i].rows;
    refuse_packed(c, OCTAVO_WRONG_SIZE);
  }
  *floats = sound;
  floats->integers.layout = OCTAVO_WORDS;
  refuse_packed(c, OCTAVO_WRONG_SIZE);
  *floats = sound;
  floats->integers.offset_bytes = 3 * kFloatValues - 1; /* their numbers begin before all others */
  refuse_packed(c, OCTAVO_WRONG_SIZE);
  *floats = sound;
  c->packed.plain_bytes = kStored + 1;
  refuse_packed(c, OCTAVO_WRONG_SIZE);
  c->packed.plain_bytes = kPlain;
  c->packed.expanded_bytes = kExpanded - kEachBytes; /* not all constants have room */
  refuse_packed(c, OCTAVO_WRONG_SIZE);
  *last = good;
  c->packed.expanded_bytes = ~0ull - 63;
  refuse_packed(c, OCTAVO_OUT_OF_MEMORY);
  c->packed.expanded_bytes = kExpanded;
  for (int round = 0; round < 20; round++) { /* a damaged file gives other numbers */
    for (int i = 0; i < kStored; i++) c->file[i] = (uint8_t)next_random(8);
    CHECK(octavo_load_memory(&c->program, c->file, kStored, &model) == OCTAVO_OK);
    CHECK(octavo_prepare(model, NULL) == OCTAVO_OK && octavo_run(model) == OCTAVO_OK);
    octavo_destroy(model);
  }
  free_packed(c);
}

static void state_persists_until_reset(void) {
  octavo_model *model = prepared(&kProgram, 1);
  const int32_t *counter = (const int32_t *)octavo_input(model, 0) - 16;
  run_add(model, 3);
  CHECK(*counter == 3);
  CHECK(octavo_reset(model) == OCTAVO_OK && *counter == 0);
  run_add(model, 1);
  CHECK(*counter == 1);
  octavo_destroy(model);
}

typedef struct record { int calls; uint32_t step[8]; bool is_end[8]; uint64_t time_ns[8]; } record;

static void keep(void *context, uint32_t step, bool is_end, uint64_t time_ns) {
  record *r = context;
  CHECK(r->calls < 8);
  r->step[r->calls] = step;
  r->is_end[r->calls] = is_end;
  r->time_ns[r->calls++] = time_ns;
}

static void hook_sees_each_step(void) {
  octavo_model *model = prepared(&kProgram, 2);
  record r = {0};
  CHECK(octavo_set_hook(model, keep, &r) == OCTAVO_OK);
  run_add(model, 1);
  CHECK(r.calls == 4);
  for (int i = 0; i < 4; i++) {
    CHECK(r.step[i] == (uint32_t)i / 2 && r.is_end[i] == (i % 2 == 1));
    CHECK(i == 0 || r.time_ns[i] >= r.time_ns[i - 1]);
  }
  CHECK(octavo_set_hook(model, NULL, NULL) == OCTAVO_OK);
  run_add(model, 1);
  CHECK(r.calls == 4);
  uint64_t step_ns[3] = {~0ull, ~0ull, 42};
  fill(model, 0);
  CHECK(octavo_run_timed(model, step_ns) == OCTAVO_OK);
  CHECK(step_ns[0] < 1000000000u && step_ns[1] < 1000000000u && step_ns[2] == 42);
  octavo_destroy(model);
}

static void failures_are_reported(void) {
  static const octavo_step kFail[] = {{"f", "g", 0, step_fail, NULL}, {"count", "count", 0, step_count, NULL}};
  static const octavo_program kFailProgram = PROGRAM(kFail);
  octavo_model *model = prepared(&kFailProgram, 1);
  CHECK(octavo_run(model) == OCTAVO_KERNEL_FAILED);
  CHECK(strcmp(octavo_failure(model), "f") == 0);
  CHECK(*((const int32_t *)octavo_input(model, 0) - 16) == 0); /* the next step did not run */
  uint64_t step_ns[2];
  CHECK(octavo_run_timed(model, step_ns) == OCTAVO_KERNEL_FAILED);
  octavo_destroy(model);
  static const octavo_step kTask[] = {{"f", "f", 0, step_fail_in_task, NULL}};
  static const octavo_program kTaskProgram = PROGRAM(kTask);
  for (uint32_t num_threads = 1; num_threads <= 3; num_threads++) {
    model = prepared(&kTaskProgram, num_threads);
    CHECK(octavo_run(model) == OCTAVO_KERNEL_FAILED);
    CHECK(octavo_run(model) == OCTAVO_KERNEL_FAILED);
    octavo_destroy(model);
  }
}

static void slack_is_readable_and_zero(void) {
  static const octavo_step kSlack[] = {{"s", "s", 0, step_read_slack, NULL}};
  static const octavo_program kSlackProgram = PROGRAM(kSlack);
  octavo_model *model = prepared(&kSlackProgram, 1);
  CHECK(octavo_run(model) == OCTAVO_OK);
  octavo_destroy(model);
}

static void loops_inside_tasks_run_inline(void) {
  static const octavo_step kNested[] = {{"n", "n", 0, step_nested, NULL}};
  static const octavo_program kNestedProgram = PROGRAM(kNested);
  octavo_model *model = prepared(&kNestedProgram, 3);
  g_inner_runs = 0;
  CHECK(octavo_run(model) == OCTAVO_OK);
#ifdef OCTAVO_SINGLE_THREAD
  CHECK(g_inner_runs == 1);
#else
  CHECK(g_inner_runs == 6);
#endif
  octavo_destroy(model);
}

static void task_counts_follow_threads(void) {
  static const octavo_step kTasks[] = {{"n", "n", 0, step_num_task, NULL}};
  static const octavo_program kTasksProgram = PROGRAM(kTasks);
  octavo_model *model = prepared(&kTasksProgram, 3);
  CHECK(octavo_run(model) == OCTAVO_OK);
#ifdef OCTAVO_SINGLE_THREAD
  CHECK(g_num_task[0] == 1 && g_num_task[1] == 1 && g_num_task[2] == 1);
#else
  CHECK(g_num_task[0] == 6 && g_num_task[1] == 2 && g_num_task[2] == 6);
#endif
  octavo_destroy(model);
}

static void copies_go_in_and_out(void) {
  octavo_model *model = prepared(&kProgram, 1);
  static int32_t x[kCount], y[kCount], constant[kCount];
  for (int i = 0; i < kCount; i++) x[i] = 5;
  const void *inputs[] = {x};
  void *outputs[] = {y, constant};
  CHECK(octavo_run_copy(model, inputs, outputs) == OCTAVO_OK);
  for (int i = 0; i < kCount; i++) CHECK(y[i] == i + 5 && constant[i] == i);
  memset(y, 0, sizeof y);
  void *only_constant[] = {NULL, constant};
  CHECK(octavo_run_copy(model, inputs, only_constant) == OCTAVO_OK && y[9] == 0);
  octavo_destroy(model);
}

static void cpu_features_are_checked(void) {
  octavo_program needy = kProgram;
  needy.cpu_features = 1ull << 63; /* a feature that no CPU has */
  octavo_model *model = NULL;
  CHECK(octavo_load(&needy, g_weights, &model) == OCTAVO_OK);
#if defined(__x86_64__)
  CHECK(octavo_missing_cpu_features(&needy) == 1ull << 63);
  CHECK(octavo_prepare(model, NULL) == OCTAVO_UNSUPPORTED_CPU);
  CHECK(octavo_run(model) == OCTAVO_NOT_PREPARED);
  CHECK(strcmp(octavo_cpu_feature_name(0), "sse4.2") == 0);
#endif
  CHECK(octavo_cpu_feature_name(63)[0] == '\0');
  octavo_destroy(model);
}

static void *use_own_model(void *unused) {
  (void)unused;
  for (int i = 0; i < 5; i++) {
    octavo_model *model = prepared(&kProgram, 2);
    run_add(model, 50);
    octavo_destroy(model);
  }
  return NULL;
}

static void instances_are_independent(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, use_own_model, NULL) == 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

static void running_allocates_nothing(void) {
#ifdef COUNT_ALLOCATIONS
  int before_load = g_allocations;
  octavo_model *model = prepared(&kProgram, 3);
  CHECK(g_allocations > before_load); /* the counting works */
  int before_runs = g_allocations;
  record r = {0};
  uint64_t step_ns[2];
  run_add(model, 100);
  CHECK(octavo_run_timed(model, step_ns) == OCTAVO_OK);
  CHECK(octavo_set_hook(model, keep, &r) == OCTAVO_OK && octavo_run(model) == OCTAVO_OK);
  CHECK(octavo_reset(model) == OCTAVO_OK);
  CHECK(g_allocations == before_runs);
  octavo_destroy(model);
#endif
}

/* ------------------------------------------------------------ parts of files, for apps ---- */

/* A file that has `data` at `offset` and something else before and behind it; opened. */
static int open_part(const uint8_t *data, size_t num_bytes, size_t offset, size_t behind) {
  char path[4096];
  snprintf(path, sizeof path, "%s.part.%ld", g_weights, (long)getpid());
  uint8_t *content = malloc(offset + num_bytes + behind);
  CHECK(content != NULL);
  memset(content, 0xa5, offset + num_bytes + behind);
  memcpy(content + offset, data, num_bytes);
  write_file(path, content, offset + num_bytes + behind);
  free(content);
  int descriptor = open(path, O_RDONLY);
  CHECK(descriptor >= 0 && remove(path) == 0);
  return descriptor;
}

static const size_t kOffsets[] = {0, 64, 4096, 65536, 65536 + 128, 4, 70001};
enum { kNumOffsets = sizeof kOffsets / sizeof kOffsets[0] };

static void weights_are_found_inside_a_file(void) {
  static int32_t weights[kWeights / 4];
  for (int i = 0; i < kCount; i++) weights[i] = i;
  for (int n = 0; n < kNumOffsets; n++) {
    size_t offset = kOffsets[n];
    int file = open_part((const uint8_t *)weights, kWeights, offset, 10);
    octavo_model *model = NULL;
    CHECK(octavo_load_descriptor(&kProgram, file, offset, kWeights, &model) == OCTAVO_OK);
    CHECK(lseek(file, 0, SEEK_CUR) == 0);
    CHECK(close(file) == 0);
    CHECK(octavo_prepare(model, NULL) == OCTAVO_OK);
    run_add(model, 2);
    octavo_usage usage;
    CHECK(octavo_get_usage(model, &usage) == OCTAVO_OK);
    bool is_aligned = offset % OCTAVO_ALIGNMENT == 0;
    CHECK(usage.weights_mapped_bytes == (is_aligned ? kWeights : 0));
    CHECK(usage.weights_copied_bytes == (is_aligned ? 0 : kWeights));
    octavo_destroy(model);
  }
}

static void packed_weights_are_found_inside_a_file(void) {
  packed_case *c = make_packed();
  for (int n = 0; n < kNumOffsets; n++) {
    int file = open_part(c->file, kStored, kOffsets[n], 10);
    octavo_model *model = NULL;
    CHECK(octavo_load_descriptor(&c->program, file, kOffsets[n], kStored, &model) == OCTAVO_OK);
    CHECK(close(file) == 0);
    check_packed(c, model);
  }
  free_packed(c);
}

static void wrong_parts_of_files_are_refused(void) {
  static const uint8_t kZeros[kWeights];
  octavo_model *model = NULL;
  int file = open_part(kZeros, kWeights, 64, 0);
  CHECK(octavo_load_descriptor(&kProgram, file, 64, kWeights, NULL) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_load_descriptor(NULL, file, 64, kWeights, &model) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_load_descriptor(&kProgram, -1, 64, kWeights, &model) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_load_descriptor(&kProgram, file, 64, kWeights - 1, &model) == OCTAVO_WRONG_SIZE);
  static const uint64_t kBeyond[] = {65, 128, kWeights + 65, 1ull << 32, ~0ull - kWeights, ~0ull};
  for (size_t i = 0; i < sizeof kBeyond / sizeof kBeyond[0]; i++) {
    octavo_status status = octavo_load_descriptor(&kProgram, file, kBeyond[i], kWeights, &model);
    CHECK(status == OCTAVO_WRONG_SIZE && model == NULL);
  }
  CHECK(close(file) == 0);
  CHECK(octavo_load_descriptor(&kProgram, file, 64, kWeights, &model) == OCTAVO_FILE_ERROR);
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK(octavo_load_descriptor(&kProgram, ends[0], 0, kWeights, &model) == OCTAVO_FILE_ERROR);
  CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  int folder = open("/", O_RDONLY);
  CHECK(octavo_load_descriptor(&kProgram, folder, 0, kWeights, &model) == OCTAVO_FILE_ERROR);
  CHECK(close(folder) == 0 && model == NULL);
}

/* ------------------------------------------------------------- cancelling, and being busy ---- */

static atomic_int g_is_inside, g_may_leave;

static int32_t step_linger(uint8_t *arena, const uint8_t *weights) {
  (void)arena;
  (void)weights;
  atomic_store(&g_is_inside, 1);
  while (atomic_load(&g_may_leave) == 0) sched_yield();
  return 0;
}

static const octavo_step kLingerSteps[] = {{"linger", "linger", 0, step_linger, NULL},
                                           {"count", "count", 0, step_count, NULL}};
static const octavo_program kLingerProgram = PROGRAM(kLingerSteps);
static const octavo_program kLastProgram = {
    OCTAVO_ABI_VERSION, "last", 0, kArena, 64, kWeights, 1, 2, 1, kInputs, kOutputs, kLingerSteps,
    NULL, NULL};

typedef struct lingering {
  octavo_model *model;
  int how;
  octavo_status status;
} lingering;

static octavo_status run_as(octavo_model *model, int how) {
  static int32_t x[kCount], y[kCount];
  const void *inputs[] = {x};
  void *outputs[] = {y, NULL};
  uint64_t step_ns[2];
  if (how == 0) return octavo_run(model);
  return how == 1 ? octavo_run_timed(model, step_ns) : octavo_run_copy(model, inputs, outputs);
}

static void *run_lingering(void *argument) {
  lingering *l = argument;
  l->status = run_as(l->model, l->how);
  return NULL;
}

/* Begins a run in another thread, and returns inside its first step. */
static pthread_t linger(lingering *l) {
  pthread_t thread;
  atomic_store(&g_is_inside, 0);
  atomic_store(&g_may_leave, 0);
  CHECK(pthread_create(&thread, NULL, run_lingering, l) == 0);
  while (atomic_load(&g_is_inside) == 0) sched_yield();
  return thread;
}

static void a_run_is_cancelled_before_its_next_step(void) {
  CHECK(!octavo_cancel(NULL));
  for (int how = 0; how < 3; how++) {
    octavo_model *model = prepared(&kLingerProgram, 2);
    const int32_t *counter = (const int32_t *)octavo_input(model, 0) - 16;
    CHECK(!octavo_cancel(model)); /* there is no run */
    lingering l = {model, how, OCTAVO_OK};
    pthread_t thread = linger(&l);
    CHECK(octavo_cancel(model) && octavo_cancel(model)); /* the second time changes nothing */
    atomic_store(&g_may_leave, 1);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(l.status == OCTAVO_CANCELLED && *counter == 0);
    octavo_usage usage;
    CHECK(octavo_get_usage(model, &usage) == OCTAVO_OK && usage.last_run_ns == 0);
    CHECK(!octavo_cancel(model));
    CHECK(run_as(model, how) == OCTAVO_OK && *counter == 1); /* and the next run is not */
    octavo_destroy(model);
  }
}

static void a_run_that_was_cancelled_never_succeeds(void) {
  octavo_model *model = prepared(&kLastProgram, 1);
  lingering l = {model, 0, OCTAVO_OK};
  pthread_t thread = linger(&l);
  CHECK(octavo_cancel(model));
  atomic_store(&g_may_leave, 1);
  CHECK(pthread_join(thread, NULL) == 0 && l.status == OCTAVO_CANCELLED);
  octavo_destroy(model);
}

static void an_instance_that_runs_is_busy(void) {
  octavo_model *model = prepared(&kLingerProgram, 1);
  lingering l = {model, 0, OCTAVO_BUSY};
  pthread_t thread = linger(&l);
  for (int how = 0; how < 3; how++) CHECK(run_as(model, how) == OCTAVO_BUSY);
  CHECK(octavo_reset(model) == OCTAVO_BUSY);
  octavo_usage usage;
  CHECK(octavo_get_usage(model, &usage) == OCTAVO_OK);
  atomic_store(&g_may_leave, 1);
  CHECK(pthread_join(thread, NULL) == 0 && l.status == OCTAVO_OK);
  CHECK(octavo_run(model) == OCTAVO_OK);
  octavo_destroy(model);
}

/* ------------------------------------------------------------------- what an instance takes ---- */

static void usage_is_told(void) {
  octavo_usage usage = {0};
  octavo_model *model = NULL;
  CHECK(octavo_get_usage(NULL, &usage) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_load(&kProgram, g_weights, &model) == OCTAVO_OK);
  CHECK(octavo_get_usage(model, &usage) == OCTAVO_NOT_PREPARED);
  CHECK(octavo_prepare(model, NULL) == OCTAVO_OK);
  CHECK(octavo_get_usage(model, NULL) == OCTAVO_INVALID_ARGUMENT);
  CHECK(octavo_get_usage(model, &usage) == OCTAVO_OK);
  CHECK(usage.arena_bytes == octavo_arena_bytes(&kProgram) && usage.last_run_ns == 0);
  CHECK(usage.weights_mapped_bytes == kWeights && usage.weights_copied_bytes == 0);
  CHECK(usage.num_threads == 1 && usage.num_pinned_threads == 0);
  CHECK(usage.instance_bytes > 0 && usage.instance_bytes < 4096);
  run_add(model, 1);
  CHECK(octavo_get_usage(model, &usage) == OCTAVO_OK);
  CHECK(usage.last_run_ns > 0 && usage.last_run_ns < 10000000000u);
  octavo_destroy(model);
  packed_case *c = make_packed();
  CHECK(octavo_load_memory(&c->program, c->file, kStored, &model) == OCTAVO_OK);
  uint8_t *memory = NULL;
  CHECK(posix_memalign((void **)&memory, OCTAVO_ALIGNMENT, octavo_arena_bytes(&c->program)) == 0);
  octavo_options own = {.num_threads = 3, .arena = memory,
                        .arena_bytes = octavo_arena_bytes(&c->program)};
  CHECK(octavo_prepare(model, &own) == OCTAVO_OK);
  CHECK(octavo_get_usage(model, &usage) == OCTAVO_OK && usage.arena_bytes == 0);
  CHECK(usage.weights_mapped_bytes == 0 && usage.weights_copied_bytes == kExpanded + kPlain);
#ifndef OCTAVO_SINGLE_THREAD
  CHECK(usage.num_threads == 3);
#endif
  octavo_destroy(model);
  free(memory);
  free_packed(c);
}

#if defined(__linux__) && !defined(OCTAVO_PORTABLE)
/* CPUs that the calling thread may run on, of the first 64. */
static uint64_t allowed_cpus(void) {
  cpu_set_t set;
  uint64_t cpus = 0;
  CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
  for (int cpu = 0; cpu < 64; cpu++) {
    if (CPU_ISSET(cpu, &set)) cpus |= (uint64_t)1 << cpu;
  }
  return cpus;
}

static _Atomic uint64_t g_seen_cpus; /* of workers */
static pthread_t g_caller;
static int see_cpus(int task_id, group *env, void *data) {
  (void)env;
  (void)data;
  if (!pthread_equal(pthread_self(), g_caller)) atomic_fetch_or(&g_seen_cpus, allowed_cpus());
  /* One task takes long, so that a worker takes others. */
  for (int i = 0; task_id == 0 && i < 100000 && atomic_load(&g_seen_cpus) == 0; i++) sched_yield();
  return 0;
}

static int32_t step_see(uint8_t *arena, const uint8_t *weights) {
  (void)arena;
  (void)weights;
  return TVMBackendParallelLaunch(see_cpus, NULL, 0);
}
#endif

static void workers_run_where_options_wish(void) {
#if defined(__linux__) && !defined(OCTAVO_PORTABLE)
  static const octavo_step kSee[] = {{"see", "see", 0, step_see, NULL}};
  static const octavo_program kSeeProgram = PROGRAM(kSee);
  uint64_t all = allowed_cpus(), one = all & (~all + 1);
  CHECK(all != 0);
  g_caller = pthread_self();
  for (int pin = 0; pin < 2; pin++) {
    octavo_options options = {.num_threads = 2, .pin_threads = pin == 1, .cpus = one};
    octavo_model *model = NULL;
    octavo_usage usage;
    CHECK(octavo_load(&kSeeProgram, g_weights, &model) == OCTAVO_OK);
    CHECK(octavo_prepare(model, &options) == OCTAVO_OK);
    CHECK(octavo_get_usage(model, &usage) == OCTAVO_OK && usage.num_pinned_threads == 1);
    atomic_store(&g_seen_cpus, 0);
    CHECK(octavo_run(model) == OCTAVO_OK && atomic_load(&g_seen_cpus) == one);
    CHECK(allowed_cpus() == all); /* the caller's thread is left alone */
    octavo_destroy(model);
  }
  CHECK(octavo_pin_thread(one) && allowed_cpus() == one);
  CHECK(octavo_pin_thread(all) && allowed_cpus() == all);
#endif
}

static void wishes_that_cannot_be_met_are_no_errors(void) {
  octavo_options options = {.num_threads = 3, .pin_threads = true, .cpus = 1ull << 63};
  octavo_model *model = NULL;
  octavo_usage usage;
  CHECK(octavo_load(&kProgram, g_weights, &model) == OCTAVO_OK);
  CHECK(octavo_prepare(model, &options) == OCTAVO_OK);
  CHECK(octavo_get_usage(model, &usage) == OCTAVO_OK);
  if (sysconf(_SC_NPROCESSORS_CONF) < 64) CHECK(usage.num_pinned_threads == 0);
  run_add(model, 3);
  octavo_destroy(model);
  CHECK(!octavo_pin_thread(0));
}

static void big_and_little_cpus_are_told_apart(void) {
  (void)octavo_find_cpus(OCTAVO_BIG_CPUS); /* of this machine: whatever it says */
#if defined(COUNT_ALLOCATIONS)
  g_cpu_file = "cpu_capacity";
  CHECK(octavo_find_cpus(OCTAVO_BIG_CPUS) == 0xf0 && octavo_find_cpus(OCTAVO_LITTLE_CPUS) == 0x0f);
  g_cpu_file = "cpufreq/cpuinfo_max_freq";
  CHECK(octavo_find_cpus(OCTAVO_BIG_CPUS) == 0xf0 && octavo_find_cpus(OCTAVO_LITTLE_CPUS) == 0x0f);
  g_cpu_file = "nothing";
  CHECK(octavo_find_cpus(OCTAVO_BIG_CPUS) == 0 && octavo_find_cpus(OCTAVO_LITTLE_CPUS) == 0);
#endif
}

static const struct { const char *name; void (*run)(void); } kChecks[] = {
#define ENTRY(name) {#name, name}
    ENTRY(weights_are_checked), ENTRY(arguments_are_checked), ENTRY(every_status_has_a_message),
    ENTRY(results_do_not_depend_on_threads), ENTRY(barriers_are_refused), ENTRY(late_threads_are_not_waited_for),
    ENTRY(sleeping_workers_wake), ENTRY(caller_owns_its_arena), ENTRY(weights_in_memory),
    ENTRY(packed_weights_are_expanded), ENTRY(contradictory_packed_weights_are_refused),
    ENTRY(state_persists_until_reset), ENTRY(hook_sees_each_step), ENTRY(failures_are_reported),
    ENTRY(slack_is_readable_and_zero), ENTRY(loops_inside_tasks_run_inline),
    ENTRY(task_counts_follow_threads), ENTRY(copies_go_in_and_out),
    ENTRY(cpu_features_are_checked), ENTRY(instances_are_independent),
    ENTRY(running_allocates_nothing), ENTRY(weights_are_found_inside_a_file),
    ENTRY(packed_weights_are_found_inside_a_file), ENTRY(wrong_parts_of_files_are_refused),
    ENTRY(a_run_is_cancelled_before_its_next_step), ENTRY(a_run_that_was_cancelled_never_succeeds),
    ENTRY(an_instance_that_runs_is_busy), ENTRY(usage_is_told),
    ENTRY(workers_run_where_options_wish), ENTRY(wishes_that_cannot_be_met_are_no_errors),
    ENTRY(big_and_little_cpus_are_told_apart),
};

int main(int argc, char **argv) {
  CHECK(argc == 3);
  g_weights = argv[2];
  for (size_t i = 0; i < sizeof kChecks / sizeof kChecks[0]; i++) {
    if (strcmp(kChecks[i].name, argv[1]) == 0) {
      kChecks[i].run();
      return 0;
    }
  }
  fprintf(stderr, "no check %s\n", argv[1]);
  return 2;
}
