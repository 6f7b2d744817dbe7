#include "thread_pool.h"

#include "platform.h"

#ifdef OCTAVO_SINGLE_THREAD

octavo_status octavo_pool_create(const octavo_options *options, octavo_pool **pool) {
  (void)options;
  *pool = NULL; /* loops run in the caller's thread */
  return OCTAVO_OK;
}

void octavo_pool_destroy(octavo_pool *pool) { (void)pool; }

octavo_pool_size octavo_pool_measure(const octavo_pool *pool) {
  (void)pool;
  return (octavo_pool_size){0, 1, 0};
}

octavo_pool *octavo_pool_enter(octavo_pool *pool) {
  (void)pool;
  return NULL;
}

int TVMBackendParallelLaunch(octavo_parallel_task task, void *data, int num_task) {
  (void)num_task;
  octavo_parallel_group alone = {NULL, 1};
  return task(0, &alone, data);
}

int TVMBackendParallelBarrier(int task_id, octavo_parallel_group *group) {
  (void)task_id;
  (void)group;
  return 0;
}

#else

#include "c_library.h"

/* How long a thread that waits spins before it sleeps, in microseconds. Waking it takes the caller
 * some 10, and the thread itself 30 or more; seeing a signal while it spins takes less than 1.
 * So during a run workers bridge the steps of one thread, and after a run the time to the next one
 * if that follows at once; an idle model does not burn a core. */
#ifndef OCTAVO_RUN_SPIN_US
#define OCTAVO_RUN_SPIN_US 1000
#endif
#ifndef OCTAVO_IDLE_SPIN_US
#define OCTAVO_IDLE_SPIN_US 50
#endif
enum { kSpinsPerLook = 32 }; /* about a microsecond between looks at the clock */
/* Yielding now and then lets the awaited thread go on where the system put both on one core. */
enum { kYieldNs = 8000 };
/* Kernels keep at most 64 KiB of locals; musl's default stack is only twice that. */
enum { kStackBytes = 512 * 1024 };
/* A loop is cut into more tasks than there are threads: one that comes late takes fewer. */
enum { kTasksPerThread = 2, kMaxTasks = 0xffff };

/* A counter that threads wait on: first by spinning, then asleep. */
typedef struct event {
  _Alignas(OCTAVO_ALIGNMENT) atomic_uint count;
  atomic_uint num_sleepers;
  octavo_bed bed;
} event;

/* Progress of one wait; times are monotonic. */
typedef struct spin {
  uint64_t begin_ns; /* 0: not looked yet */
  uint64_t last_run_ns;
  uint64_t last_yield_ns;
} spin;

/* A thread and its share of the tasks of a launch. */
typedef struct worker {
  /* Launch number (32 bits), end of its tasks (16), next of them to take (16). The number keeps
   * a thread that dozed through a launch from taking a task of the next one by mistake. */
  _Alignas(OCTAVO_ALIGNMENT) atomic_ullong ticket;
  octavo_pool *pool;
  pthread_t thread;
  uint32_t id; /* 0 is the launching thread */
} worker;

/* Every launch gives a thread the same share, so that it finds what it wrote in the launch before
 * in its own cache. Whoever ends its share takes from the others, task by task: a loop never waits
 * for a thread that the system has not scheduled. */
struct octavo_pool {
  event started;  /* one count per launch, and one to stop */
  event finished; /* one count per worker that is up, then one per launch, by whoever ends it */
  _Alignas(OCTAVO_ALIGNMENT) atomic_uint num_done;
  atomic_int failure;
  atomic_bool stopping;
  atomic_bool is_running; /* between octavo_pool_enter and its counterpart */
  /* Written by the launching thread before the tickets open, read by holders of a task. */
  octavo_parallel_task task;
  void *data;
  octavo_parallel_group group;
  atomic_bool is_anyone_asleep; /* at the launch: waking takes longer than most loops */
  unsigned long long num_launches;
  bool pin_threads;
  uint64_t cpus;
  atomic_uint num_pinned;
  uint32_t num_threads;
  worker workers[]; /* (num_threads,) */
};

static _Thread_local octavo_pool *t_pool;

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Whether to spin on, at a look at the clock; yields now and then. */
static bool keep_spinning(const octavo_pool *pool, spin *s) {
  uint64_t now_ns = octavo_platform_now_ns();
  if (s->begin_ns == 0) *s = (spin){now_ns, now_ns, now_ns};
  if (atomic_load_explicit(&pool->is_running, memory_order_relaxed)) s->last_run_ns = now_ns;
  if (now_ns - s->begin_ns > OCTAVO_RUN_SPIN_US * 1000u) return false;
  if (now_ns - s->last_run_ns > OCTAVO_IDLE_SPIN_US * 1000u) return false;
  if (now_ns - s->last_yield_ns > kYieldNs) {
    octavo_platform_yield();
    s->last_yield_ns = octavo_platform_now_ns();
  }
  return true;
}

static void wait_past(const octavo_pool *pool, event *e, unsigned seen) {
  spin s = {0};
  do {
    for (int i = 0; i < kSpinsPerLook; i++) {
      if (atomic_load_explicit(&e->count, memory_order_acquire) != seen) return;
      pause_cpu();
    }
  } while (keep_spinning(pool, &s));
  /* Sequentially consistent on both sides: either the signaller sees the sleeper, or the sleeper
   * sees the new count. */
  atomic_fetch_add(&e->num_sleepers, 1);
  while (atomic_load(&e->count) == seen) octavo_platform_wait(&e->count, seen, &e->bed);
  atomic_fetch_sub(&e->num_sleepers, 1);
}

static void signal_all(event *e) {
  atomic_fetch_add(&e->count, 1);
  if (atomic_load(&e->num_sleepers) != 0) octavo_platform_wake_all(&e->count, &e->bed);
}

static void run_task(octavo_pool *pool, int task_id) {
  unsigned num_tasks = (unsigned)pool->group.num_task; /* of this launch, until the last is done */
  if (pool->task(task_id, &pool->group, pool->data) != 0) atomic_store(&pool->failure, -1);
  if (atomic_fetch_add(&pool->num_done, 1) + 1 == num_tasks) signal_all(&pool->finished);
}

static bool take_task(worker *owner, int *task_id) {
  unsigned long long ticket = atomic_load(&owner->ticket);
  for (;;) {
    unsigned next = ticket & 0xffffu, end = (ticket >> 16) & 0xffffu;
    if (next >= end) return false;
    if (atomic_compare_exchange_weak(&owner->ticket, &ticket, ticket + 1)) {
      *task_id = (int)next;
      return true;
    }
  }
}

static bool has_tasks(worker *owner) {
  unsigned long long ticket = atomic_load_explicit(&owner->ticket, memory_order_relaxed);
  return (ticket & 0xffffu) < ((ticket >> 16) & 0xffffu);
}

/* Runs the own share, then what the others leave. They get as long again: a task that moves
 * between caches costs its data twice, in this launch and in the next one, where its owner is late
 * for that reason. */
static void run_tasks(octavo_pool *pool, uint32_t id) {
  int task_id;
  uint64_t begin_ns = octavo_platform_now_ns();
  while (take_task(&pool->workers[id], &task_id)) run_task(pool, task_id);
  uint64_t end_ns = octavo_platform_now_ns();
  uint64_t patience_ns = pool->is_anyone_asleep ? 0 : end_ns - begin_ns;
  for (uint32_t i = 1; i < pool->num_threads; i++) {
    worker *owner = &pool->workers[(id + i) % pool->num_threads];
    while (has_tasks(owner) && octavo_platform_now_ns() - end_ns < patience_ns) pause_cpu();
    while (take_task(owner, &task_id)) run_task(pool, task_id);
  }
}

static void open_tickets(octavo_pool *pool, unsigned num_tasks) {
  unsigned long long launch = ++pool->num_launches << 32;
  for (uint32_t i = 0; i < pool->num_threads; i++) {
    unsigned long long begin = num_tasks * i / pool->num_threads;
    unsigned long long end = num_tasks * (i + 1) / pool->num_threads;
    atomic_store(&pool->workers[i].ticket, launch | end << 16 | begin);
  }
}

/* The bit of number n of the bits that are set, counted in a circle. */
static uint64_t set_bit(uint64_t bits, uint32_t n) {
  uint64_t left = bits;
  for (; n > 0; n--) {
    left &= left - 1;
    if (left == 0) left = bits;
  }
  return left & (~left + 1);
}

static bool pin(const octavo_pool *pool, uint32_t id) {
  if (pool->cpus == 0) return pool->pin_threads && octavo_platform_pin_thread(id, 1);
  return octavo_platform_pin_thread(0, pool->pin_threads ? set_bit(pool->cpus, id) : pool->cpus);
}

static void *work(void *argument) {
  worker *self = argument;
  octavo_pool *pool = self->pool;
  if (pin(pool, self->id)) atomic_fetch_add(&pool->num_pinned, 1);
  signal_all(&pool->finished);
  for (unsigned seen = 0;;) {
    wait_past(pool, &pool->started, seen);
    seen = atomic_load(&pool->started.count);
    if (atomic_load(&pool->stopping)) return NULL;
    run_tasks(pool, self->id);
  }
}

static void stop(octavo_pool *pool, uint32_t num_workers) {
  atomic_store(&pool->stopping, true);
  signal_all(&pool->started);
  for (uint32_t i = 1; i <= num_workers; i++) pthread_join(pool->workers[i].thread, NULL);
  octavo_platform_end_bed(&pool->started.bed);
  octavo_platform_end_bed(&pool->finished.bed);
  octavo_platform_free(pool);
}

static size_t bytes_of(uint32_t num_threads) {
  return sizeof(octavo_pool) + num_threads * sizeof(worker);
}

static octavo_status allocate_pool(const octavo_options *options, octavo_pool **out) {
  octavo_pool *pool = octavo_platform_allocate(bytes_of(options->num_threads));
  if (pool == NULL) return OCTAVO_OUT_OF_MEMORY;
  __builtin_memset(pool, 0, bytes_of(options->num_threads));
  pool->num_threads = options->num_threads;
  pool->pin_threads = options->pin_threads;
  pool->cpus = options->cpus;
  if (octavo_platform_begin_bed(&pool->started.bed)) {
    if (octavo_platform_begin_bed(&pool->finished.bed)) {
      *out = pool;
      return OCTAVO_OK;
    }
    octavo_platform_end_bed(&pool->started.bed);
  }
  octavo_platform_free(pool);
  return OCTAVO_THREAD_ERROR;
}

octavo_status octavo_pool_create(const octavo_options *options, octavo_pool **out) {
  *out = NULL;
  octavo_pool *pool = NULL;
  octavo_status status = allocate_pool(options, &pool);
  if (status != OCTAVO_OK) return status;
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) {
    stop(pool, 0);
    return OCTAVO_THREAD_ERROR;
  }
  pthread_attr_setstacksize(&attributes, kStackBytes);
  uint32_t num_started = 0, num_threads = options->num_threads;
  for (; num_started < num_threads - 1 && status == OCTAVO_OK; num_started++) {
    worker *w = &pool->workers[num_started + 1];
    w->pool = pool;
    w->id = num_started + 1;
    if (pthread_create(&w->thread, &attributes, work, w) != 0) {
      status = OCTAVO_THREAD_ERROR;
      break;
    }
  }
  pthread_attr_destroy(&attributes);
  if (status != OCTAVO_OK) {
    stop(pool, num_started);
    return status;
  }
  /* Not before all are up, on the CPUs that they keep: the first run finds them waiting. */
  for (unsigned num_up; (num_up = atomic_load(&pool->finished.count)) < num_started;) {
    wait_past(pool, &pool->finished, num_up);
  }
  *out = pool;
  return status;
}

void octavo_pool_destroy(octavo_pool *pool) {
  if (pool != NULL) stop(pool, pool->num_threads - 1);
}

octavo_pool_size octavo_pool_measure(const octavo_pool *pool) {
  if (pool == NULL) return (octavo_pool_size){0, 1, 0};
  return (octavo_pool_size){bytes_of(pool->num_threads), pool->num_threads,
                            atomic_load(&pool->num_pinned)};
}

octavo_pool *octavo_pool_enter(octavo_pool *pool) {
  octavo_pool *before = t_pool;
  if (before != NULL) atomic_store(&before->is_running, false);
  if (pool != NULL) atomic_store(&pool->is_running, true);
  t_pool = pool;
  return before;
}

int TVMBackendParallelLaunch(octavo_parallel_task task, void *data, int num_task) {
  octavo_pool *pool = t_pool;
  if (pool == NULL || num_task == 1) {
    octavo_parallel_group alone = {NULL, 1};
    return task(0, &alone, data);
  }
  uint32_t most = pool->num_threads * kTasksPerThread;
  if (most > kMaxTasks) most = kMaxTasks;
  pool->task = task;
  pool->data = data;
  pool->group.sync_handle = pool;
  /* Generated code splits its range by num_task, so another number than asked for is fine. */
  pool->group.num_task = num_task <= 0 || (uint32_t)num_task > most ? (int32_t)most : num_task;
  atomic_store(&pool->failure, 0);
  atomic_store(&pool->num_done, 0);
  unsigned seen = atomic_load(&pool->finished.count);
  atomic_store(&pool->is_anyone_asleep, atomic_load(&pool->started.num_sleepers) != 0);
  open_tickets(pool, (unsigned)pool->group.num_task);
  signal_all(&pool->started);
  t_pool = NULL; /* a loop inside a task runs in that task's thread */
  run_tasks(pool, 0);
  t_pool = pool;
  wait_past(pool, &pool->finished, seen);
  return atomic_load(&pool->failure);
}

/* Tasks may run one after the other in one thread, so they cannot wait for each other; Octavo's
 * kernels never do. */
int TVMBackendParallelBarrier(int task_id, octavo_parallel_group *group) {
  (void)task_id;
  return group->num_task == 1 ? 0 : -1;
}

#endif

/* Generated code calls through these slots, of which each kernel object has a weak, empty one. */
extern int (*__TVMBackendParallelLaunch)(octavo_parallel_task, void *, int);
extern int (*__TVMBackendParallelBarrier)(int, octavo_parallel_group *);
int (*__TVMBackendParallelLaunch)(octavo_parallel_task, void *, int) = TVMBackendParallelLaunch;
int (*__TVMBackendParallelBarrier)(int, octavo_parallel_group *) = TVMBackendParallelBarrier;
