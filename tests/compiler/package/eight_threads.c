/* Eight threads with two models each, and a ninth that cancels and reads: eight_threads WEIGHTS_OF_TINY
 * WEIGHTS_OF_OTHER. The outputs of both are y = x + 2 * w, and w. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "octavo_other.h"
#include "octavo_tiny.h"

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                 \
    }                                                                          \
  } while (0)

enum { kThreads = 8, kRounds = 5, kRuns = 40, kCount = 1000 };

static const char *const *g_weights;
static octavo_model *g_watched; /* the one that the ninth thread knows */
static atomic_bool g_is_over;
static atomic_int g_num_cancelled;

static void check(const int8_t *x, const int8_t *y, const int8_t *w) {
  for (int i = 0; i < kCount; i++) CHECK(y[i] == (int8_t)(x[i] + 2 * w[i]));
}

static void *use_two_models(void *argument) {
  int seed = *(const int *)argument;
  int8_t x[kCount], y[kCount], w[kCount];
  for (int i = 0; i < kCount; i++) x[i] = (int8_t)(i * seed + 3);
  for (int round = 0; round < kRounds; round++) {
    octavo_model *tiny = NULL, *other = NULL;
    CHECK(octavo_tiny_create(g_weights[0], 1 + (uint32_t)seed % 3, &tiny) == OCTAVO_OK);
    CHECK(octavo_other_create(g_weights[1], 1 + (uint32_t)round % 2, &other) == OCTAVO_OK);
    for (int run = 0; run < kRuns; run++) {
      CHECK(octavo_tiny_run(tiny, x, y, w) == OCTAVO_OK);
      check(x, y, w);
      CHECK(octavo_other_run(other, x, y, w) == OCTAVO_OK);
      check(x, y, w);
      CHECK(octavo_other_run(tiny, x, y, w) == OCTAVO_INVALID_ARGUMENT); /* of another program */
    }
    octavo_tiny_destroy(tiny);
    octavo_other_destroy(other);
  }
  return NULL;
}

/* The instance that is watched: its runs succeed or are cancelled, and are right where they succeed. */
static void *run_watched(void *unused) {
  (void)unused;
  int8_t x[kCount], y[kCount], w[kCount];
  for (int i = 0; i < kCount; i++) x[i] = (int8_t)i;
  while (!atomic_load(&g_is_over)) {
    octavo_status status = octavo_tiny_run(g_watched, x, y, w);
    CHECK(status == OCTAVO_OK || status == OCTAVO_CANCELLED || status == OCTAVO_BUSY);
    if (status == OCTAVO_OK) check(x, y, w);
    if (status == OCTAVO_CANCELLED) atomic_fetch_add(&g_num_cancelled, 1);
  }
  return NULL;
}

static void *watch(void *unused) {
  (void)unused;
  for (int num_hits = 0; num_hits < 20;) {
    octavo_usage usage;
    CHECK(octavo_get_usage(g_watched, &usage) == OCTAVO_OK && usage.num_threads == 2);
    if (octavo_cancel(g_watched)) num_hits++;
  }
  return NULL;
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  const char *weights[] = {argv[1], argv[2]};
  g_weights = weights;
  CHECK(octavo_tiny_create(weights[0], 2, &g_watched) == OCTAVO_OK);
  pthread_t users[kThreads], runner, watcher;
  int seeds[kThreads];
  for (int i = 0; i < kThreads; i++) {
    seeds[i] = i;
    CHECK(pthread_create(&users[i], NULL, use_two_models, &seeds[i]) == 0);
  }
  CHECK(pthread_create(&runner, NULL, run_watched, NULL) == 0);
  CHECK(pthread_create(&watcher, NULL, watch, NULL) == 0);
  CHECK(pthread_join(watcher, NULL) == 0);
  for (int i = 0; i < kThreads; i++) CHECK(pthread_join(users[i], NULL) == 0);
  atomic_store(&g_is_over, true);
  CHECK(pthread_join(runner, NULL) == 0);
  CHECK(atomic_load(&g_num_cancelled) > 0);
  octavo_tiny_destroy(g_watched);
  puts("right");
  return 0;
}
