/* Measures the model that this program is linked with (its model.c built with -DOCTAVO_ENTRY). */
#include "machine.h" /* first: it asks the system's headers for more than ISO C */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "octavo_packed_weights.h"
#include "octavo_runtime.h"

const octavo_program *octavo_entry(void); /* in the generated model.c */

static const char kUsage[] =
    "usage: bench [--weights FILE] [--runs N] [--warmup N] [--min-seconds S] [--threads N] [--pin]\n"
    "             [--cpus LIST] [--cache FOLDER] [--input NAME=FILE]... [--output NAME=FILE]... \n"
    "             [--profile] [--json] [--samples FILE]\n"
    "Runs the model at least N times (30) and at least S seconds (0) after warming up (5 runs) and\n"
    "prints latencies. Inputs are zero, or raw bytes from files. --profile adds a table of steps.\n"
    "FILE of --weights is weights.bin beside this program unless given. --samples writes every\n"
    "measured time: numbers of 64 bits, nanoseconds; first how many runs and, with --profile, how\n"
    "many steps and how many runs of each, then the runs, then each step's.\n"
    "--cpus keeps the program on the CPUs of the list: 4-7, or 0,2. --cache keeps what the driver\n"
    "of an accelerator makes of the kernels. --json also says what disturbed the whole runs: times\n"
    "of a loop of fixed work before, between and after them and the steps, how often the system\n"
    "took a processor away, the part of their time that was spent waiting for one, and the seconds\n"
    "that the program computed in all.\n";

enum { kMaxBindings = 64, kExitFailure = 1, kExitUsage = 2 };
enum { kNumReferences = 3 };

typedef struct binding {
  const char *name; /* not terminated: name_length bytes */
  size_t name_length;
  const char *path;
} binding;

typedef struct arguments {
  const char *weights, *samples, *cpus, *cache;
  size_t runs, warmup;
  double min_seconds;
  uint32_t threads;
  bool pin, profile, json;
  binding inputs[kMaxBindings], outputs[kMaxBindings];
  size_t num_inputs, num_outputs;
} arguments;

typedef struct samples {
  uint64_t *ns; /* (capacity,) */
  size_t size, capacity;
} samples;

_Noreturn static void fail(int code, const char *what, const char *value) {
  fprintf(stderr, "bench: %s%s%s\n", what, value[0] != '\0' ? ": " : "", value);
  exit(code);
}

static void require(octavo_status status, const char *what) {
  if (status != OCTAVO_OK) fail(kExitFailure, what, octavo_status_message(status));
}

static void *allocate(size_t num_bytes) {
  void *memory = calloc(num_bytes > 0 ? num_bytes : 1, 1);
  if (memory == NULL) fail(kExitFailure, "out of memory", "");
  return memory;
}

/* ------------------------------------------------------------------------ arguments ---- */

static double parse_number(const char *option, const char *text, double low, double high) {
  char *end = NULL;
  errno = 0;
  double value = strtod(text, &end);
  if (end == text || *end != '\0' || errno != 0 || !(value >= low && value <= high)) {
    fail(kExitUsage, option, "not a number in the allowed range");
  }
  return value;
}

static void parse_binding(const char *text, binding *bindings, size_t *size) {
  /* The last "=": a tensor's name may hold one, a path given here rarely does. */
  const char *equals = strrchr(text, '=');
  if (equals == NULL || *size == kMaxBindings) fail(kExitUsage, "expected NAME=FILE", text);
  bindings[(*size)++] = (binding){text, (size_t)(equals - text), equals + 1};
}

static arguments parse(int argc, char **argv) {
  arguments a = {.runs = 30, .warmup = 5, .threads = 1};
  for (int i = 1; i < argc; i++) {
    const char *option = argv[i];
    if (strcmp(option, "--help") == 0) {
      fputs(kUsage, stdout);
      exit(0);
    }
    if (strcmp(option, "--pin") == 0) { a.pin = true; continue; }
    if (strcmp(option, "--profile") == 0) { a.profile = true; continue; }
    if (strcmp(option, "--json") == 0) { a.json = true; continue; }
    if (i + 1 == argc) {
      fputs(kUsage, stderr);
      fail(kExitUsage, "unknown option or missing value", option);
    }
    const char *value = argv[++i];
    if (strcmp(option, "--weights") == 0) a.weights = value;
    else if (strcmp(option, "--samples") == 0) a.samples = value;
    else if (strcmp(option, "--cpus") == 0) a.cpus = value;
    else if (strcmp(option, "--cache") == 0) a.cache = value;
    else if (strcmp(option, "--runs") == 0) a.runs = (size_t)parse_number(option, value, 1, 1e9);
    else if (strcmp(option, "--warmup") == 0) a.warmup = (size_t)parse_number(option, value, 0, 1e9);
    else if (strcmp(option, "--threads") == 0) a.threads = (uint32_t)parse_number(option, value, 1, 256);
    else if (strcmp(option, "--min-seconds") == 0) a.min_seconds = parse_number(option, value, 0, 3600);
    else if (strcmp(option, "--input") == 0) parse_binding(value, a.inputs, &a.num_inputs);
    else if (strcmp(option, "--output") == 0) parse_binding(value, a.outputs, &a.num_outputs);
    else {
      fputs(kUsage, stderr);
      fail(kExitUsage, "unknown option", option);
    }
  }
  return a;
}

static char *beside(const char *program_path, const char *file) {
  const char *slash = strrchr(program_path, '/');
  size_t length = slash == NULL ? 0 : (size_t)(slash - program_path) + 1;
  char *path = allocate(length + strlen(file) + 1);
  memcpy(path, program_path, length);
  strcpy(path + length, file);
  return path;
}

/* -------------------------------------------------------------------------- tensors ---- */

static uint32_t find(const octavo_tensor *tensors, uint32_t size, const binding *wanted) {
  for (uint32_t i = 0; i < size; i++) {
    if (strlen(tensors[i].name) == wanted->name_length &&
        strncmp(tensors[i].name, wanted->name, wanted->name_length) == 0) {
      return i;
    }
  }
  fail(kExitUsage, "the model has no such input or output", wanted->name);
}

static void read_file(const char *path, void *data, uint64_t num_bytes) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail(kExitUsage, "cannot read", path);
  bool fits = fread(data, 1, num_bytes, file) == num_bytes && fgetc(file) == EOF;
  fclose(file);
  if (!fits) fail(kExitUsage, "the file has not the size of the tensor", path);
}

static void write_file(const char *path, const void *data, uint64_t num_bytes) {
  FILE *file = fopen(path, "wb");
  if (file == NULL) fail(kExitUsage, "cannot write", path);
  bool written = fwrite(data, 1, num_bytes, file) == num_bytes;
  if (fclose(file) != 0 || !written) fail(kExitFailure, "cannot write", path);
}

/* Bytes of each input, kept apart from the arena: a run destroys the inputs in it. */
static void **read_inputs(const arguments *a, const octavo_program *program) {
  void **inputs = allocate(program->num_inputs * sizeof *inputs);
  for (uint32_t i = 0; i < program->num_inputs; i++) {
    inputs[i] = allocate(program->inputs[i].num_bytes);
  }
  for (size_t i = 0; i < a->num_inputs; i++) {
    uint32_t index = find(program->inputs, program->num_inputs, &a->inputs[i]);
    read_file(a->inputs[i].path, inputs[index], program->inputs[index].num_bytes);
  }
  return inputs;
}

static void set_inputs(octavo_model *model, const octavo_program *program, void *const *inputs) {
  for (uint32_t i = 0; i < program->num_inputs; i++) {
    memcpy(octavo_input(model, i), inputs[i], program->inputs[i].num_bytes);
  }
}

/* ----------------------------------------------------------------------- statistics ---- */

/* What the machine did beside the runs. */
typedef struct disturbance {
  uint64_t reference_ns[kNumReferences]; /* before, between and after runs and steps */
  long num_preemptions;                  /* in the whole runs */
  double waited_share;
} disturbance;

static void append(samples *s, uint64_t ns) {
  if (s->size == s->capacity) {
    s->capacity = s->capacity == 0 ? 256 : 2 * s->capacity;
    s->ns = realloc(s->ns, s->capacity * sizeof *s->ns);
    if (s->ns == NULL) fail(kExitFailure, "out of memory", "");
  }
  s->ns[s->size++] = ns;
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static void sort(samples *s) {
  qsort(s->ns, s->size, sizeof *s->ns, compare);
}

/* In the order of the runs: steps is (num_steps,), equally many times each, or NULL. */
static void write_samples(const char *path, const samples *latency, const samples *steps,
                          uint32_t num_steps) {
  FILE *file = fopen(path, "wb");
  if (file == NULL) fail(kExitUsage, "cannot write", path);
  if (steps == NULL) num_steps = 0;
  uint64_t sizes[] = {latency->size, num_steps, num_steps > 0 ? steps[0].size : 0};
  bool written = fwrite(sizes, sizeof sizes, 1, file) == 1 &&
                 fwrite(latency->ns, sizeof *latency->ns, latency->size, file) == latency->size;
  for (uint32_t i = 0; written && i < num_steps; i++) {
    written = fwrite(steps[i].ns, sizeof *steps[i].ns, steps[i].size, file) == steps[i].size;
  }
  if (fclose(file) != 0 || !written) fail(kExitFailure, "cannot write", path);
}

/* Linear interpolation between the two nearest ranks of sorted samples, in microseconds. */
static double quantile_us(const samples *s, double q) {
  double rank = q * (double)(s->size - 1);
  size_t low = (size_t)rank, high = low + 1 < s->size ? low + 1 : low;
  double below = (double)s->ns[low], above = (double)s->ns[high];
  return (below + (rank - (double)low) * (above - below)) * 1e-3;
}

static void print_json_string(const char *text) {
  putchar('"');
  for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
    if (*c == '"' || *c == '\\') printf("\\%c", *c);
    else if (*c < 0x20) printf("\\u%04x", *c);
    else putchar(*c);
  }
  putchar('"');
}

static void print_json(const arguments *a, const octavo_program *program, const samples *latency,
                       double load_us, double prepare_us, samples *steps,
                       const disturbance *d) {
  printf("{\"model\": ");
  print_json_string(program->name);
  printf(", \"num_threads\": %u, \"num_runs\": %zu, \"load_us\": %.1f, \"prepare_us\": %.1f,\n",
         a->threads, latency->size, load_us, prepare_us);
  printf(" \"latency_us\": {\"median\": %.3f, \"p95\": %.3f, \"min\": %.3f, \"iqr\": %.3f}",
         quantile_us(latency, 0.5), quantile_us(latency, 0.95), quantile_us(latency, 0),
         quantile_us(latency, 0.75) - quantile_us(latency, 0.25));
  printf(",\n \"reference_us\": [");
  for (int i = 0; i < kNumReferences; i++) {
    printf("%s%.3f", i > 0 ? ", " : "", (double)d->reference_ns[i] * 1e-3);
  }
  printf("], \"num_preemptions\": %ld, \"waited_share\": %.4f, \"computed_s\": %.4f",
         d->num_preemptions, d->waited_share, computed_s());
  if (a->profile) {
    printf(",\n \"steps\": [");
    for (uint32_t i = 0; i < program->num_steps; i++) {
      printf("%s\n  {\"name\": ", i > 0 ? "," : "");
      print_json_string(program->steps[i].name);
      printf(", \"kernel\": ");
      print_json_string(program->steps[i].kernel);
      printf(", \"macs\": %llu, \"latency_us\": %.3f}", (unsigned long long)program->steps[i].macs,
             quantile_us(&steps[i], 0.5));
    }
    printf("]");
  }
  printf("}\n");
}

static void print_table(const octavo_program *program, samples *steps) {
  double total_us = 0;
  for (uint32_t i = 0; i < program->num_steps; i++) total_us += quantile_us(&steps[i], 0.5);
  printf("\n%5s %12s %7s %10s  %-28s %s\n", "step", "median us", "share", "GMAC/s", "kernel", "name");
  for (uint32_t i = 0; i < program->num_steps; i++) {
    const octavo_step *step = &program->steps[i];
    double us = quantile_us(&steps[i], 0.5);
    printf("%5u %12.2f %6.1f%% %10.2f  %-28s %s\n", i, us, total_us > 0 ? 100 * us / total_us : 0,
           us > 0 ? (double)step->macs / us * 1e-3 : 0, step->kernel, step->name);
  }
}

static void print_text(const arguments *a, const octavo_program *program, const samples *latency,
                       double load_us, double prepare_us, samples *steps) {
  printf("%s: %u inputs, %u outputs, %u steps, arena %llu bytes, weights %llu bytes, %u threads\n",
         program->name, program->num_inputs, program->num_outputs, program->num_steps,
         (unsigned long long)program->arena_bytes, (unsigned long long)program->weights_bytes,
         a->threads);
  const octavo_packed_weights *packed = program->packed;
  if (packed != NULL) {
    printf("%u packed weights, expanded by load: %llu bytes in memory\n",
           packed->num_constants + packed->num_floats,
           (unsigned long long)(packed->expanded_bytes + packed->plain_bytes));
  }
  printf("load %.1f us, prepare %.1f us, %zu runs\n", load_us, prepare_us, latency->size);
  printf("latency: median %.2f us, p95 %.2f us, min %.2f us, IQR %.2f us\n",
         quantile_us(latency, 0.5), quantile_us(latency, 0.95), quantile_us(latency, 0),
         quantile_us(latency, 0.75) - quantile_us(latency, 0.25));
  if (a->profile) print_table(program, steps);
}

/* ----------------------------------------------------------------------------- main ---- */

static samples measure(const arguments *a, octavo_model *model, const octavo_program *program,
                       void *const *inputs, disturbance *d) {
  samples latency = {0};
  long preempted = preemptions();
  uint64_t first_ns = now_ns(), waited = waited_ns(), begin_ns = now_ns();
  while (latency.size < a->runs || (double)(now_ns() - begin_ns) * 1e-9 < a->min_seconds) {
    set_inputs(model, program, inputs);
    uint64_t start_ns = now_ns();
    require(octavo_run(model), "run");
    append(&latency, now_ns() - start_ns);
  }
  waited = waited_ns() - waited;
  double whole_ns = (double)(now_ns() - first_ns); /* what waited lies in, so that 1 is the most */
  d->waited_share = whole_ns > 0 ? (double)waited / whole_ns : 0;
  d->num_preemptions = preemptions() - preempted;
  return latency;
}

/* (num_steps,). Apart from the whole-run latencies, which carry no clock calls. */
static samples *profile(const arguments *a, octavo_model *model, const octavo_program *program,
                        void *const *inputs) {
  samples *steps = allocate(program->num_steps * sizeof *steps);
  uint64_t *step_ns = allocate(program->num_steps * sizeof *step_ns);
  for (size_t run = 0; run < a->runs; run++) {
    set_inputs(model, program, inputs);
    require(octavo_run_timed(model, step_ns), "run");
    for (uint32_t i = 0; i < program->num_steps; i++) append(&steps[i], step_ns[i]);
  }
  free(step_ns);
  return steps;
}

int main(int argc, char **argv) {
  arguments a = parse(argc, argv);
  const char *refused = a.cpus != NULL ? use_cpus(a.cpus) : NULL;
  if (refused != NULL) fail(kExitUsage, refused, a.cpus);
  const octavo_program *program = octavo_entry();
  char *default_weights = beside(argv[0], "weights.bin");
  octavo_model *model = NULL;
  uint64_t start_ns = now_ns();
  require(octavo_load(program, a.weights != NULL ? a.weights : default_weights, &model), "load");
  uint64_t loaded_ns = now_ns();
  octavo_options options = {
      .num_threads = a.threads, .pin_threads = a.pin, .cache_folder = a.cache};
  octavo_status prepared = octavo_prepare(model, &options);
  if (octavo_failure(model)[0] != '\0') fprintf(stderr, "bench: %s\n", octavo_failure(model));
  require(prepared, "prepare");
  uint64_t prepared_ns = now_ns();

  void **inputs = read_inputs(&a, program);
  for (size_t i = 0; i < a.warmup; i++) {
    set_inputs(model, program, inputs);
    require(octavo_run(model), "run");
  }
  disturbance d = {0};
  if (a.json) d.reference_ns[0] = reference_ns();
  samples latency = measure(&a, model, program, inputs, &d);
  if (a.json) d.reference_ns[1] = reference_ns();
  samples *steps = a.profile ? profile(&a, model, program, inputs) : NULL;
  if (a.json) d.reference_ns[2] = reference_ns();
  if (a.num_outputs > 0) {
    require(octavo_reset(model), "reset"); /* outputs are those of a first run */
    set_inputs(model, program, inputs);
    require(octavo_run(model), "run");
  }
  for (size_t i = 0; i < a.num_outputs; i++) {
    uint32_t index = find(program->outputs, program->num_outputs, &a.outputs[i]);
    write_file(a.outputs[i].path, octavo_output(model, index), program->outputs[index].num_bytes);
  }
  if (a.samples != NULL) write_samples(a.samples, &latency, steps, program->num_steps);
  sort(&latency);
  for (uint32_t i = 0; steps != NULL && i < program->num_steps; i++) sort(&steps[i]);
  double load_us = (double)(loaded_ns - start_ns) * 1e-3;
  double prepare_us = (double)(prepared_ns - loaded_ns) * 1e-3;
  if (a.json) print_json(&a, program, &latency, load_us, prepare_us, steps, &d);
  else print_text(&a, program, &latency, load_us, prepare_us, steps);

  for (uint32_t i = 0; steps != NULL && i < program->num_steps; i++) free(steps[i].ns);
  free(steps);
  free(latency.ns);
  for (uint32_t i = 0; i < program->num_inputs; i++) free(inputs[i]);
  free(inputs);
  free(default_weights);
  octavo_destroy(model);
  return 0;
}
