/* What the source files of the OpenCL driver know of its state. */
#ifndef OCTAVO_OPENCL_H_
#define OCTAVO_OPENCL_H_

#include "instance.h"
#include "opencl_api.h"

typedef struct octavo_opencl {
  octavo_opencl_api api;
  cl_device_id device;
  cl_context context;
  cl_queue queue;     /* in order, and times what it runs */
  cl_mem arena, weights;
  octavo_range all;   /* of the arena */
  const octavo_range *given; /* (num_given,), mapped: what the caller has */
  uint32_t num_given;
  uint8_t *own_arena; /* memory of the arena where neither the caller nor the driver gave any */
  cl_program program;
  uint32_t num_steps;
  cl_kernel *kernels; /* (num_steps,), arguments set; NULL where the CPU computes the step */
  cl_event *events;   /* (num_steps,), NULL while there is none */
} octavo_opencl;

/* Stores "what: OpenCL error code" for octavo_failure; returns OCTAVO_ACCELERATOR_FAILED. */
octavo_status octavo_opencl_fail(octavo_model *model, const char *what, cl_int code);

/* Stores a text for octavo_failure, cut where it is too long; returns `status`. */
octavo_status octavo_opencl_explain(octavo_model *model, octavo_status status, const char *text);

/* Finds a device that fits, and makes its context and queue. */
octavo_status octavo_opencl_open(octavo_model *model, octavo_opencl *state);

/* Builds the program, from the cache where it is there; cache_folder may be NULL. */
octavo_status octavo_opencl_build(octavo_model *model, octavo_opencl *state,
                                  const char *cache_folder);

/* Gives the ranges of the arena to the CPU, waiting for what writes them, or back. */
octavo_status octavo_opencl_map(octavo_model *model, octavo_opencl *state,
                                const octavo_range *ranges, uint32_t count);
octavo_status octavo_opencl_unmap(octavo_model *model, octavo_opencl *state,
                                  const octavo_range *ranges, uint32_t count);

/* Maps ranges for the caller; takes back what it has. */
octavo_status octavo_opencl_give(octavo_model *model, octavo_opencl *state,
                                 const octavo_range *ranges, uint32_t count);
octavo_status octavo_opencl_take(octavo_model *model, octavo_opencl *state);

octavo_status octavo_opencl_run(octavo_model *model, uint64_t *step_ns);

#endif /* OCTAVO_OPENCL_H_ */
