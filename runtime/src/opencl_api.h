/* The part of OpenCL 1.2 that the runtime calls, found at run time: no header and no library of
 * OpenCL is needed to build or to start a program. Names and numbers are those of the standard
 * (Khronos, The OpenCL Specification 1.2, and its cl.h). */
#ifndef OCTAVO_OPENCL_API_H_
#define OCTAVO_OPENCL_API_H_

#include <stddef.h>
#include <stdint.h>

typedef int32_t cl_int;
typedef uint32_t cl_uint;
typedef uint64_t cl_ulong;
typedef uint64_t cl_bitfield;
typedef struct cl_platform *cl_platform_id;
typedef struct cl_device *cl_device_id;
typedef struct cl_context_ *cl_context;
typedef struct cl_queue_ *cl_queue;
typedef struct cl_memory_ *cl_mem;
typedef struct cl_program_ *cl_program;
typedef struct cl_kernel_ *cl_kernel;
typedef struct cl_event_ *cl_event;

enum {
  CL_SUCCESS = 0,
  CL_TRUE = 1,
  CL_DEVICE_TYPE_GPU = 1 << 2,
  CL_DEVICE_MAX_WORK_GROUP_SIZE = 0x1004,
  CL_DEVICE_MAX_MEM_ALLOC_SIZE = 0x1010,
  CL_DEVICE_NAME = 0x102B,
  CL_DRIVER_VERSION = 0x102D,
  CL_DEVICE_VERSION = 0x102F,
  CL_QUEUE_PROFILING_ENABLE = 1 << 1,
  CL_MEM_READ_WRITE = 1 << 0,
  CL_MEM_READ_ONLY = 1 << 2,
  CL_MEM_USE_HOST_PTR = 1 << 3,
  CL_MEM_ALLOC_HOST_PTR = 1 << 4,
  CL_MEM_COPY_HOST_PTR = 1 << 5,
  CL_MAP_READ = 1 << 0,
  CL_MAP_WRITE = 1 << 1,
  CL_PROGRAM_BINARY_SIZES = 0x1165,
  CL_PROGRAM_BINARIES = 0x1166,
  CL_PROGRAM_BUILD_LOG = 0x1183,
  CL_PROFILING_COMMAND_START = 0x1282,
  CL_PROFILING_COMMAND_END = 0x1283
};

/* Return type, name, parameters. */
#define OCTAVO_OPENCL_FUNCTIONS(F)                                                                 \
  F(cl_int, GetPlatformIDs, (cl_uint, cl_platform_id *, cl_uint *))                                \
  F(cl_int, GetDeviceIDs, (cl_platform_id, cl_bitfield, cl_uint, cl_device_id *, cl_uint *))       \
  F(cl_int, GetDeviceInfo, (cl_device_id, cl_uint, size_t, void *, size_t *))                      \
  F(cl_context, CreateContext,                                                                     \
    (const intptr_t *, cl_uint, const cl_device_id *,                                              \
     void (*)(const char *, const void *, size_t, void *), void *, cl_int *))                      \
  F(cl_int, ReleaseContext, (cl_context))                                                          \
  F(cl_queue, CreateCommandQueue, (cl_context, cl_device_id, cl_bitfield, cl_int *))               \
  F(cl_int, ReleaseCommandQueue, (cl_queue))                                                       \
  F(cl_mem, CreateBuffer, (cl_context, cl_bitfield, size_t, void *, cl_int *))                     \
  F(cl_int, ReleaseMemObject, (cl_mem))                                                            \
  F(void *, EnqueueMapBuffer,                                                                      \
    (cl_queue, cl_mem, cl_uint, cl_bitfield, size_t, size_t, cl_uint, const cl_event *,            \
     cl_event *, cl_int *))                                                                        \
  F(cl_int, EnqueueUnmapMemObject,                                                                 \
    (cl_queue, cl_mem, void *, cl_uint, const cl_event *, cl_event *))                             \
  F(cl_program, CreateProgramWithSource,                                                           \
    (cl_context, cl_uint, const char *const *, const size_t *, cl_int *))                          \
  F(cl_program, CreateProgramWithBinary,                                                           \
    (cl_context, cl_uint, const cl_device_id *, const size_t *, const unsigned char *const *,      \
     cl_int *, cl_int *))                                                                          \
  F(cl_int, BuildProgram,                                                                          \
    (cl_program, cl_uint, const cl_device_id *, const char *, void (*)(cl_program, void *),        \
     void *))                                                                                      \
  F(cl_int, GetProgramInfo, (cl_program, cl_uint, size_t, void *, size_t *))                       \
  F(cl_int, GetProgramBuildInfo, (cl_program, cl_device_id, cl_uint, size_t, void *, size_t *))    \
  F(cl_int, ReleaseProgram, (cl_program))                                                          \
  F(cl_kernel, CreateKernel, (cl_program, const char *, cl_int *))                                 \
  F(cl_int, SetKernelArg, (cl_kernel, cl_uint, size_t, const void *))                              \
  F(cl_int, ReleaseKernel, (cl_kernel))                                                            \
  F(cl_int, EnqueueNDRangeKernel,                                                                  \
    (cl_queue, cl_kernel, cl_uint, const size_t *, const size_t *, const size_t *, cl_uint,        \
     const cl_event *, cl_event *))                                                                \
  F(cl_int, GetEventProfilingInfo, (cl_event, cl_uint, size_t, void *, size_t *))                  \
  F(cl_int, ReleaseEvent, (cl_event))                                                              \
  F(cl_int, Finish, (cl_queue))

typedef struct octavo_opencl_api {
  void *library; /* NULL: not loaded */
#define OCTAVO_DECLARE(result, name, parameters) result(*name) parameters;
  OCTAVO_OPENCL_FUNCTIONS(OCTAVO_DECLARE)
#undef OCTAVO_DECLARE
} octavo_opencl_api;

/* Loads the system's OpenCL library; NULL, or what is missing. */
const char *octavo_opencl_load(octavo_opencl_api *api);
void octavo_opencl_unload(octavo_opencl_api *api);

#endif /* OCTAVO_OPENCL_API_H_ */
