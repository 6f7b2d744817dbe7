/* Octavo runtime: runs one compiled model. C11, usable from C++.
 * Order of calls: octavo_load, octavo_prepare, then octavo_run as often as wanted, octavo_destroy.
 * Nothing is allocated after octavo_prepare. Instances are independent of each other, and any number
 * of them run at once; one instance is used by one thread at a time, octavo_cancel and
 * octavo_get_usage excepted. Every failure is a status: the runtime never ends the process, sets no
 * signal handler, and has no state outside of its instances.
 */
#ifndef OCTAVO_RUNTIME_H_
#define OCTAVO_RUNTIME_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OCTAVO_API __attribute__((visibility("default")))
#define OCTAVO_ABI_VERSION 4u
#ifdef __hexagon__
#define OCTAVO_ALIGNMENT 128u /* bytes of a vector; of the arena, the weights and every tensor */
#else
#define OCTAVO_ALIGNMENT 64u /* bytes; of the arena, the weights and every tensor */
#endif
#define OCTAVO_SLACK OCTAVO_ALIGNMENT /* readable bytes behind them: kernels load whole vectors */

typedef enum octavo_status {
  OCTAVO_OK = 0,
  OCTAVO_INVALID_ARGUMENT = 1,  /* NULL, an index out of range, a misaligned or short arena */
  OCTAVO_OUT_OF_MEMORY = 2,
  OCTAVO_FILE_ERROR = 3,        /* the weight file cannot be opened or mapped */
  OCTAVO_WRONG_SIZE = 4,        /* the weights are not those of this program */
  OCTAVO_WRONG_ABI = 5,         /* the program was generated for another runtime */
  OCTAVO_UNSUPPORTED_CPU = 6,   /* see octavo_missing_cpu_features */
  OCTAVO_THREAD_ERROR = 7,      /* the system refused to start a thread */
  OCTAVO_NOT_PREPARED = 8,
  OCTAVO_KERNEL_FAILED = 9,     /* a step was given what it cannot compute; see octavo_failure */
  OCTAVO_TILES_REFUSED = 10,    /* the system does not let this process use the AMX tiles */
  OCTAVO_NO_ACCELERATOR = 11,   /* no driver or no device that the program can run on */
  OCTAVO_ACCELERATOR_FAILED = 12, /* its driver refused something; see octavo_failure */
  OCTAVO_CANCELLED = 13,        /* octavo_cancel ended the run */
  OCTAVO_BUSY = 14              /* another thread is running this instance */
} octavo_status;

typedef enum octavo_dtype {
  OCTAVO_FLOAT32 = 0, OCTAVO_FLOAT64 = 1, OCTAVO_FLOAT16 = 2, OCTAVO_BFLOAT16 = 3, OCTAVO_BOOL = 4,
  OCTAVO_INT8 = 5, OCTAVO_INT16 = 6, OCTAVO_INT32 = 7, OCTAVO_INT64 = 8,
  OCTAVO_UINT8 = 9, OCTAVO_UINT16 = 10, OCTAVO_UINT32 = 11, OCTAVO_UINT64 = 12
} octavo_dtype;

/* A model input or output: row-major, no padding. */
typedef struct octavo_tensor {
  const char *name;
  octavo_dtype dtype;
  uint32_t rank;
  const int64_t *shape;  /* (rank,); never NULL */
  uint64_t num_bytes;
  uint64_t offset_bytes; /* into the arena, or into the weights of a constant output */
  bool in_weights;
  bool is_quantized;     /* real value = (q - zero_point) * scale */
  float scale;
  int32_t zero_point;
} octavo_tensor;

/* One kernel call; returns 0, or anything else on failure. */
typedef int32_t (*octavo_step_function)(uint8_t *arena, const uint8_t *weights);

typedef struct octavo_launch octavo_launch;           /* see octavo_accelerator.h */
typedef struct octavo_accelerator octavo_accelerator;
typedef struct octavo_packed_weights octavo_packed_weights; /* see octavo_packed_weights.h */

typedef struct octavo_step {
  const char *name;    /* the layer */
  const char *kernel;  /* the function that computes it */
  uint64_t macs;       /* multiply-accumulates of one run */
  octavo_step_function run;    /* NULL where the accelerator computes it */
  const octavo_launch *launch; /* NULL where the CPU does */
} octavo_step;

/* A compiled model; constant data of the generated model.c. */
typedef struct octavo_program {
  uint32_t abi_version;      /* OCTAVO_ABI_VERSION */
  const char *name;
  uint64_t cpu_features;     /* bits that the CPU must have, see cpu_features.h */
  uint64_t arena_bytes;      /* without slack */
  uint64_t persistent_bytes; /* state at the front of the arena, zeroed by prepare and reset */
  uint64_t weights_bytes;    /* exact size of weights.bin, slack included */
  uint32_t num_inputs, num_outputs, num_steps;
  const octavo_tensor *inputs, *outputs;
  const octavo_step *steps;
  const octavo_accelerator *accelerator; /* NULL: every step runs on the CPU */
  const octavo_packed_weights *packed;   /* NULL: kernels read the file as it is */
} octavo_program;

typedef struct octavo_options {
  uint32_t num_threads; /* 0 and 1: run in the caller's thread; at most 256 */
  bool pin_threads;     /* keep worker i on CPU i, or on number i of `cpus`, counted from 0 */
  void *arena;          /* caller's memory, aligned to 64 bytes, or NULL: allocate it */
  size_t arena_bytes;   /* its size, at least octavo_arena_bytes(); ignored if arena is NULL */
  const char *cache_folder; /* keeps what an accelerator's compiler made, or NULL: compile anew */
  uint64_t cpus; /* where workers may run, as octavo_find_cpus gives them; 0: anywhere */
} octavo_options; /* CPUs are wishes, and the caller's thread is left alone: octavo_pin_thread */

/* What an instance takes. An accelerator's own copies and the stacks of threads are not counted. */
typedef struct octavo_usage {
  uint64_t arena_bytes;          /* 0 where it is the caller's */
  uint64_t weights_mapped_bytes; /* pages of the file, which the system may drop and read again */
  uint64_t weights_copied_bytes; /* expanded, or copied from a file where they were not aligned */
  uint64_t instance_bytes;       /* everything else */
  uint64_t last_run_ns;          /* time of the last run that succeeded, without copies; or 0 */
  uint32_t num_threads;          /* the caller's included */
  uint32_t num_pinned_threads;   /* workers that the system put where options wished */
} octavo_usage;

typedef enum octavo_cpu_kind { OCTAVO_BIG_CPUS = 0, OCTAVO_LITTLE_CPUS = 1 } octavo_cpu_kind;

typedef struct octavo_model octavo_model; /* an instance of a program */

/* Called before (is_end false) and after (true) each step. time_ns is monotonic. */
typedef void (*octavo_step_hook)(void *context, uint32_t step, bool is_end, uint64_t time_ns);

/* One line for a status; never NULL. */
OCTAVO_API const char *octavo_status_message(octavo_status status);

/* Maps the weight file and expands what is packed in it into memory of its own. `program` must
 * outlive the instance. *model is NULL on failure. */
OCTAVO_API octavo_status octavo_load(const octavo_program *program, const char *weights_path,
                                     octavo_model **model);

/* As octavo_load, with weights that are num_bytes of an open file from `offset` on, such as an
 * uncompressed asset of an Android package. They are mapped where `offset` is a multiple of
 * OCTAVO_ALIGNMENT, else copied. The descriptor stays the caller's, who may close it at once. */
OCTAVO_API octavo_status octavo_load_descriptor(const octavo_program *program, int descriptor,
                                                uint64_t offset, uint64_t num_bytes,
                                                octavo_model **model);

/* As octavo_load, with weights in memory: 64-byte aligned, kept by the caller until destroy. They
 * are copied only where some of them are packed. */
OCTAVO_API octavo_status octavo_load_memory(const octavo_program *program, const void *weights,
                                            size_t weights_bytes, octavo_model **model);

/* Bytes that a caller's arena must have, slack included. */
OCTAVO_API size_t octavo_arena_bytes(const octavo_program *program);

/* Checks the CPU, allocates the arena and starts the threads. NULL options: one thread. Once. */
OCTAVO_API octavo_status octavo_prepare(octavo_model *model, const octavo_options *options);

/* Of the last failure: the step of OCTAVO_KERNEL_FAILED, such as one that was given an index out of
 * bounds, or what an accelerator's driver said; "" where there is nothing to say. */
OCTAVO_API const char *octavo_failure(const octavo_model *model);

/* Where to write input `index` before each run; NULL if out of range or not prepared. The memory
 * is reused during a run, so an input is gone afterwards. */
OCTAVO_API void *octavo_input(octavo_model *model, uint32_t index);

/* Output `index`, valid from a run until inputs are written again; NULL as above. */
OCTAVO_API const void *octavo_output(const octavo_model *model, uint32_t index);

/* One inference on the inputs in place. */
OCTAVO_API octavo_status octavo_run(octavo_model *model);

/* One inference with copies. inputs (num_inputs,) and outputs (num_outputs,) hold pointers to
 * buffers of each tensor's num_bytes; a NULL output is not copied. */
OCTAVO_API octavo_status octavo_run_copy(octavo_model *model, const void *const *inputs,
                                         void *const *outputs);

/* octavo_run that stores the nanoseconds of each step in step_ns (num_steps,): those of an
 * accelerator on its own clock, without the wait for their turn. */
OCTAVO_API octavo_status octavo_run_timed(octavo_model *model, uint64_t *step_ns);

/* Calls `hook` around each step of octavo_run from now on; NULL switches it off. An accelerator
 * then ends each step before the next begins. */
OCTAVO_API octavo_status octavo_set_hook(octavo_model *model, octavo_step_hook hook, void *context);

/* From any thread: ends the run that is in progress, before its next step. True: that run returns
 * OCTAVO_CANCELLED, or what failed meanwhile. False: there is none, and nothing happens. State that
 * outlives a run is then that of half of one: see octavo_reset. */
OCTAVO_API bool octavo_cancel(octavo_model *model);

/* From any thread, once prepared: what the instance takes. */
OCTAVO_API octavo_status octavo_get_usage(const octavo_model *model, octavo_usage *usage);

/* Zeroes the state that outlives a run. */
OCTAVO_API octavo_status octavo_reset(octavo_model *model);

/* Stops the threads and frees what the runtime allocated. NULL is allowed. */
OCTAVO_API void octavo_destroy(octavo_model *model);

/* CPUs 0 to 63 as bits: little ones are those of the lowest capacity that Linux tells, big ones all
 * others, or all where they are alike. 0 where the system does not tell. */
OCTAVO_API uint64_t octavo_find_cpus(octavo_cpu_kind kind);

/* Has the calling thread run on those CPUs only. A wish: false where the system refused it. */
OCTAVO_API bool octavo_pin_thread(uint64_t cpus);

/* The program of an instance; NULL for NULL. */
OCTAVO_API const octavo_program *octavo_model_program(const octavo_model *model);

/* Required features that this CPU or its operating system lacks; 0 when it can run the program. */
OCTAVO_API uint64_t octavo_missing_cpu_features(const octavo_program *program);

/* LLVM's name of feature bit 0..63 on this architecture, such as "avx512vnni", or "". */
OCTAVO_API const char *octavo_cpu_feature_name(uint32_t bit);

#ifdef __cplusplus
}
#endif
#endif /* OCTAVO_RUNTIME_H_ */
