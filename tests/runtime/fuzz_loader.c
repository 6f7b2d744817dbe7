/* Damaged weight files, and tables that contradict them, for the loader: fuzz_loader WEIGHTS SECONDS
 * [SEED]. A finding is what a sanitizer reports, a status that is not documented, or a failure after
 * which something is left. Prints how much was tried. */
#define main checks_main
#include "checks.c"
#undef main

#include <time.h>

static uint64_t g_state;

/* Xorshift: the same numbers everywhere. */
static uint64_t draw(uint64_t end) {
  g_state ^= g_state << 13;
  g_state ^= g_state >> 7;
  g_state ^= g_state << 17;
  return end == 0 ? g_state : g_state % end;
}

/* A number that is likely to be at some limit. */
static uint64_t edge(uint64_t near) {
  static const uint64_t kEdges[] = {0, 1, 7, 8, 63, 64, 65, 127, 4095, 4096, 65535, 65536,
                                    1ull << 31, 1ull << 32, 1ull << 62, 1ull << 63, ~0ull};
  switch (draw(4)) {
    case 0: return kEdges[draw(sizeof kEdges / sizeof kEdges[0])] + draw(3) - 1;
    case 1: return near + draw(17) - 8;
    case 2: return draw(near + 64);
    default: return draw(0) >> draw(64);
  }
}

static void damage_constant(octavo_packed_constant *constant) {
  switch (draw(6)) {
    case 0: constant->stored_offset = edge(constant->stored_offset); break;
    case 1: constant->offset_bytes = edge(constant->offset_bytes); break;
    case 2: constant->num_values = edge(constant->num_values); break;
    case 3: constant->num_bits = (uint8_t)draw(10); break;
    case 4: constant->base = (uint8_t)draw(256); break;
    default: constant->layout = (octavo_packed_layout)draw(3);
  }
}

static void damage_floats(octavo_packed_floats *floats) {
  switch (draw(6)) {
    case 0: damage_constant(&floats->integers); break;
    case 1: floats->scales_offset = edge(floats->scales_offset); break;
    case 2: floats->num_scales = edge(floats->num_scales); break;
    case 3: floats->run = (uint32_t)edge(floats->run); break;
    case 4: floats->lanes = (uint32_t)edge(floats->lanes); break;
    default: floats->rows = (uint32_t)edge(floats->rows);
  }
}

/* Sizes that a machine has are tried, and those that none has; the ones in between cost minutes. */
static uint64_t damage_size(uint64_t size) {
  uint64_t other = edge(size);
  return other > 1u << 20 && other < 1ull << 47 ? size : other;
}

static void damage_table(packed_case *c) {
  for (uint64_t n = draw(4); n > 0; n--) {
    switch (draw(8)) {
      case 0: c->packed.plain_bytes = damage_size(c->packed.plain_bytes); break;
      case 1: c->packed.expanded_bytes = damage_size(c->packed.expanded_bytes); break;
      case 2: c->program.weights_bytes = damage_size(c->program.weights_bytes); break;
      case 3: c->program.arena_bytes = damage_size(c->program.arena_bytes); break;
      case 4: c->packed.num_constants = (uint32_t)draw(kConstants + 1); break;
      case 5: damage_floats(&c->floats[draw(kMostBits)]); break;
      default: damage_constant(&c->constants[draw(kConstants)]);
    }
  }
}

static void damage_bytes(uint8_t *data, size_t num_bytes) {
  for (uint64_t n = draw(20); n > 0; n--) data[draw(num_bytes)] = (uint8_t)draw(256);
}

static octavo_status load_somehow(const octavo_program *program, const uint8_t *data,
                                  size_t num_bytes, octavo_model **model) {
  size_t offset = 0;
  uint64_t way = draw(4);
  if (way == 0) return octavo_load_memory(program, data, num_bytes, model);
  if (way > 1) offset = way == 2 ? draw(200) : 64 * draw(1100);
  int file = open_part(data, num_bytes, offset, way == 1 ? 0 : draw(100));
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  octavo_status status = OCTAVO_OK;
  if (way == 1) {
    status = octavo_load(program, path, model);
  } else {
    uint64_t said = draw(8) == 0 ? edge(program->weights_bytes) : program->weights_bytes;
    status = octavo_load_descriptor(program, file, draw(8) == 0 ? edge(offset) : offset, said, model);
  }
  CHECK(close(file) == 0);
  return status;
}

/* Reads all that kernels could, and runs. */
static void use(octavo_model *model, const octavo_program *program) {
  if (octavo_prepare(model, NULL) == OCTAVO_OK) {
    octavo_usage usage;
    CHECK(octavo_get_usage(model, &usage) == OCTAVO_OK);
    const uint8_t *weights = octavo_output(model, program->num_outputs - 1);
    uint64_t num_bytes = program->weights_bytes, sum = 0;
    if (program->packed != NULL) {
      num_bytes = program->packed->expanded_bytes + program->packed->plain_bytes;
    }
    for (uint64_t i = 0; i < num_bytes; i++) sum += weights[i];
    CHECK(sum < ~0ull);
    CHECK(octavo_run(model) == OCTAVO_OK);
  }
  octavo_destroy(model);
}

static bool try_one(void) {
  octavo_model *model = NULL;
  octavo_status status;
  if (draw(2) == 0) {
    static _Alignas(128) uint8_t weights[kWeights + 128];
    octavo_program program = kProgram;
    if (draw(2) == 0) {
      program.weights_bytes = damage_size(program.weights_bytes);
      program.num_steps = 0; /* they read what the true program has */
    }
    damage_bytes(weights, kWeights);
    size_t num_bytes = (size_t)(draw(3) == 0 ? draw(kWeights + 128) : kWeights);
    status = load_somehow(&program, weights, num_bytes, &model);
    CHECK(status <= OCTAVO_WRONG_SIZE && (status == OCTAVO_OK) == (model != NULL));
    if (model != NULL) use(model, &program);
  } else {
    packed_case *c = make_packed();
    damage_table(c);
    damage_bytes(c->file, kStored);
    size_t num_bytes = (size_t)(draw(3) == 0 ? draw(kStored) : kStored);
    status = load_somehow(&c->program, c->file, num_bytes, &model);
    CHECK(status <= OCTAVO_WRONG_SIZE && (status == OCTAVO_OK) == (model != NULL));
    if (model != NULL) use(model, &c->program);
    free_packed(c);
  }
  return status == OCTAVO_OK;
}

int main(int argc, char **argv) {
  CHECK(argc >= 3);
  g_weights = argv[1];
  g_state = argc > 3 ? strtoull(argv[3], NULL, 10) : 88172645463325252ull;
  time_t end = time(NULL) + (time_t)strtoll(argv[2], NULL, 10);
  unsigned num_tried = 0, num_loaded = 0;
  do {
    for (int i = 0; i < 100; i++) {
      num_tried++;
      num_loaded += try_one() ? 1 : 0;
    }
  } while (time(NULL) < end);
  printf("%u %u\n", num_tried, num_loaded);
  return 0;
}
