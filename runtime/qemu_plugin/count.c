/* Counts what a program executes under qemu's user-mode emulation.
 *
 *   qemu-ARCH -plugin count.so,out=FILE[,marks=FILE][,memory=off] PROGRAM
 *
 * marks: lines "BEGIN END LABEL", addresses of the running program in hexadecimal, labels from 1 to
 * kMaxLabels - 1. A block of code that begins in [BEGIN, END) makes LABEL the owner of
 * all that its thread executes until another mark is reached; label 0 owns what comes before. So a
 * function that is marked at its first instruction owns what it calls.
 * memory=off leaves out accesses, which is several times faster.
 *
 * out: for each label that owns something, a line
 *   LABEL INSTRUCTIONS LOADS STORES LOADED_BYTES STORED_BYTES
 * Accesses are those of the emulator: a load of several registers may be several accesses. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin_api.h"

#ifndef OCTAVO_QEMU_PLUGIN_VERSION
#define OCTAVO_QEMU_PLUGIN_VERSION 1
#endif

QEMU_PLUGIN_EXPORT int qemu_plugin_version = OCTAVO_QEMU_PLUGIN_VERSION;
QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                           char **argv);

enum { kMaxThreads = 512, kMaxLabels = 1 << 16 };

typedef struct counts {
  uint64_t instructions, loads, stores, loaded_bytes, stored_bytes;
} counts;

typedef struct mark {
  uint64_t begin, end;
  uint32_t label;
} mark;

/* Made once for each translation of a block, and never freed: translations may come back. */
typedef struct block {
  uint32_t num_instructions;
  uint32_t label; /* 0: the owner stays */
} block;

/* Each emulated thread counts for itself: no two write to the same place. */
typedef struct thread {
  counts *by_label; /* (num_labels,), made when the thread first runs */
  counts *owner;
} thread;

static thread threads[kMaxThreads];
static mark *marks; /* (num_marks,), by address */
static size_t num_marks;
static uint32_t num_labels = 1;
static bool counts_memory = true;
static const char *out_path;

static void *allocate(size_t num, size_t size) {
  void *memory = calloc(num > 0 ? num : 1, size);
  if (memory == NULL) abort();
  return memory;
}

static thread *current(unsigned vcpu_index) {
  thread *t = &threads[vcpu_index % kMaxThreads];
  if (t->by_label == NULL) {
    t->by_label = allocate(num_labels, sizeof *t->by_label);
    t->owner = t->by_label;
  }
  return t;
}

static void on_block(unsigned vcpu_index, void *data) {
  const block *b = data;
  thread *t = current(vcpu_index);
  if (b->label != 0) t->owner = &t->by_label[b->label];
  t->owner->instructions += b->num_instructions;
}

static void on_access(unsigned vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data) {
  (void)vaddr;
  (void)data;
  counts *owner = current(vcpu_index)->owner;
  uint64_t num_bytes = (uint64_t)1 << qemu_plugin_mem_size_shift(info);
  if (qemu_plugin_mem_is_store(info)) {
    owner->stores++;
    owner->stored_bytes += num_bytes;
  } else {
    owner->loads++;
    owner->loaded_bytes += num_bytes;
  }
}

/* The label of the mark that holds an address; 0 when none does. */
static uint32_t find_label(uint64_t address) {
  size_t low = 0, high = num_marks;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (marks[middle].end <= address) low = middle + 1;
    else high = middle;
  }
  return low < num_marks && marks[low].begin <= address ? marks[low].label : 0;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
  (void)id;
  size_t num_instructions = qemu_plugin_tb_n_insns(tb);
  block *b = allocate(1, sizeof *b);
  b->num_instructions = (uint32_t)num_instructions;
  b->label = find_label(qemu_plugin_tb_vaddr(tb));
  qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, b);
  for (size_t i = 0; counts_memory && i < num_instructions; i++) {
    qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_access,
                                     QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
  }
}

static void on_exit(qemu_plugin_id_t id, void *data) {
  (void)id;
  (void)data;
  FILE *file = fopen(out_path, "w");
  if (file == NULL) {
    fprintf(stderr, "count: cannot write %s: %s\n", out_path, strerror(errno));
    return;
  }
  for (uint32_t label = 0; label < num_labels; label++) {
    counts sum = {0};
    for (size_t i = 0; i < kMaxThreads; i++) {
      if (threads[i].by_label == NULL) continue;
      const counts *c = &threads[i].by_label[label];
      sum.instructions += c->instructions;
      sum.loads += c->loads;
      sum.stores += c->stores;
      sum.loaded_bytes += c->loaded_bytes;
      sum.stored_bytes += c->stored_bytes;
    }
    if (sum.instructions == 0) continue;
    fprintf(file, "%u %llu %llu %llu %llu %llu\n", label, (unsigned long long)sum.instructions,
            (unsigned long long)sum.loads, (unsigned long long)sum.stores,
            (unsigned long long)sum.loaded_bytes, (unsigned long long)sum.stored_bytes);
  }
  fclose(file);
}

static int compare_marks(const void *a, const void *b) {
  uint64_t x = ((const mark *)a)->begin, y = ((const mark *)b)->begin;
  return (x > y) - (x < y);
}

/* False when the file cannot be read or a line of it is no mark. */
static bool read_marks(const char *path) {
  FILE *file = fopen(path, "r");
  if (file == NULL) return false;
  size_t capacity = 0;
  unsigned long long begin, end;
  unsigned label;
  int found;
  bool is_valid = true;
  while (is_valid && (found = fscanf(file, "%llx %llx %u", &begin, &end, &label)) != EOF) {
    is_valid = found == 3 && begin < end && label > 0 && label < kMaxLabels;
    if (num_marks == capacity) {
      capacity = capacity == 0 ? 256 : 2 * capacity;
      marks = realloc(marks, capacity * sizeof *marks);
      if (marks == NULL) abort();
    }
    if (is_valid) marks[num_marks++] = (mark){begin, end, label};
    if (is_valid && label >= num_labels) num_labels = label + 1;
  }
  fclose(file);
  qsort(marks, num_marks, sizeof *marks, compare_marks);
  return is_valid;
}

static char *copy(const char *text) {
  return strcpy(allocate(strlen(text) + 1, 1), text);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
  (void)info;
  for (int i = 0; i < argc; i++) {
    char *value = strchr(argv[i], '=');
    size_t length = value == NULL ? 0 : (size_t)(value++ - argv[i]);
    bool is_known = true;
    if (length == 3 && strncmp(argv[i], "out", 3) == 0) {
      out_path = copy(value);
    } else if (length == 5 && strncmp(argv[i], "marks", 5) == 0) {
      is_known = read_marks(value);
    } else if (length == 6 && strncmp(argv[i], "memory", 6) == 0) {
      counts_memory = strcmp(value, "off") != 0;
    } else {
      is_known = false;
    }
    if (!is_known) {
      fprintf(stderr, "count: bad argument %s\n", argv[i]);
      return 1;
    }
  }
  if (out_path == NULL) {
    fprintf(stderr, "count: no out=FILE\n");
    return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, on_exit, NULL);
  return 0;
}
