/* Workers of one model instance, reached by generated code through TVMBackendParallelLaunch. */
#ifndef OCTAVO_THREAD_POOL_H_
#define OCTAVO_THREAD_POOL_H_

#include "octavo_runtime.h"

typedef struct octavo_pool octavo_pool;

/* num_threads counts the caller, >= 2. */
octavo_status octavo_pool_create(const octavo_options *options, octavo_pool **pool);
void octavo_pool_destroy(octavo_pool *pool);

/* What a pool takes; NULL: the caller's thread alone. */
typedef struct octavo_pool_size {
  size_t num_bytes;
  uint32_t num_threads, num_pinned;
} octavo_pool_size;
octavo_pool_size octavo_pool_measure(const octavo_pool *pool);

/* Makes `pool` (NULL: none) the one that the calling thread's parallel loops use; returns the
 * one before, which the caller puts back. */
octavo_pool *octavo_pool_enter(octavo_pool *pool);

/* The two symbols that TVM's generated code calls; see tvm/runtime/c_backend_api.h. */
typedef struct octavo_parallel_group {
  void *sync_handle;
  int32_t num_task;
} octavo_parallel_group;
typedef int (*octavo_parallel_task)(int task_id, octavo_parallel_group *group, void *data);

int TVMBackendParallelLaunch(octavo_parallel_task task, void *data, int num_task);
int TVMBackendParallelBarrier(int task_id, octavo_parallel_group *group);

#endif /* OCTAVO_THREAD_POOL_H_ */
