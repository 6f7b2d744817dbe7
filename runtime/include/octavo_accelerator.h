/* What a program that also runs on an accelerator tells the runtime: constant data of model.c. */
#ifndef OCTAVO_ACCELERATOR_H_
#define OCTAVO_ACCELERATOR_H_

#include "octavo_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An argument of a kernel on an accelerator: the arena, the weights, or a number. */
typedef enum octavo_argument_kind {
  OCTAVO_ARENA = 0, OCTAVO_WEIGHTS = 1, OCTAVO_NUMBER = 2
} octavo_argument_kind;

typedef struct octavo_argument {
  octavo_argument_kind kind;
  int32_t number;
} octavo_argument;

/* A kernel call on an accelerator. */
struct octavo_launch {
  const char *kernel;    /* its name in the source */
  uint32_t num_arguments;
  const octavo_argument *arguments;
  uint32_t global_size[3], local_size[3]; /* work items, in all and of one work-group */
};

/* Bytes of the arena. */
typedef struct octavo_range {
  uint64_t offset_bytes, num_bytes;
} octavo_range;

/* Consecutive steps in one place; ranges do not overlap. */
typedef struct octavo_segment {
  uint32_t first_step, num_steps;
  bool on_accelerator;
  uint32_t num_ranges;
  const octavo_range *ranges; /* what the steps touch, where the CPU computes them */
} octavo_segment;

/* Runs the segments of a program; the runtime has one, octavo_opencl_driver. */
typedef struct octavo_driver octavo_driver;
extern const octavo_driver octavo_opencl_driver;

/* What a program that also uses an accelerator adds. */
struct octavo_accelerator {
  const octavo_driver *driver;
  const char *const *source; /* (num_lines,), of all kernels */
  uint32_t num_lines;
  bool needs_gpu;            /* else any device of the driver will do */
  uint32_t num_segments;
  const octavo_segment *segments;
  uint32_t num_ranges;
  const octavo_range *ranges; /* inputs, outputs and state: the caller's between runs */
  bool can_fail;              /* kernels set an int32 of the state where they fail */
  uint64_t failures_offset;   /* of it in the arena */
};

#ifdef __cplusplus
}
#endif
#endif /* OCTAVO_ACCELERATOR_H_ */
