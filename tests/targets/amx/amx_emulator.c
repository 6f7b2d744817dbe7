/* AMX-INT8 in software, for tests on CPUs that lack it: a handler of SIGILL that decodes the
 * instruction that faulted, executes it exactly on a tile file of the thread, and steps over it.
 * The machine code under test is the real one.
 *
 * Faults end the process as they do on a CPU, with the reason on standard error.
 *
 * Source: Intel Architecture Instruction Set Extensions Programming Reference (319433), chapters
 * on AMX; encodings are VEX, map 0F38.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { kNumTiles = 8, kMaxRows = 16, kRowBytes = 64, kMaxThreads = 256 };
enum { kConfigBytes = 64, kRowBytesAt = 16, kRowsAt = 48 };
enum { kLoadConfig, kStoreConfig, kLoad, kStore, kZero, kRelease, kMultiply, kNumKinds };
enum { kPrefixNone, kPrefix66, kPrefixF3, kPrefixF2 };
enum { kVex3 = 0xC4, kMap0F38 = 2 };

typedef struct tile_file {
  uint8_t config[kConfigBytes]; /* zeros: the initial state, no tile is configured */
  uint8_t data[kNumTiles][kMaxRows][kRowBytes];
} tile_file;

static tile_file g_files[kMaxThreads];
static atomic_uint g_num_files;
static _Thread_local tile_file *t_file __attribute__((tls_model("initial-exec")));
static atomic_ullong g_counts[kNumKinds];
static atomic_bool g_is_permitted;
static struct sigaction g_before;

/* What ARCH_REQ_XCOMP_PERM does. */
EXPORT void amx_emulator_permit(void) { atomic_store(&g_is_permitted, true); }

/* Instructions since the last call: loads and stores of the configuration, loads, stores, zeroes,
 * releases, products. */
EXPORT void amx_emulator_take_counts(uint64_t *counts) {
  for (int i = 0; i < kNumKinds; i++) counts[i] = atomic_exchange(&g_counts[i], 0);
}

/* Threads whose tiles are configured: none, once every kernel has released them. */
EXPORT unsigned amx_emulator_num_unreleased(void) {
  unsigned num = 0;
  for (unsigned i = 0; i < atomic_load(&g_num_files); i++) num += g_files[i].config[0] != 0;
  return num;
}

static _Noreturn void fault(int signal_number, const char *reason) {
  static const char kPrefix[] = "AMX fault: ";
  (void)!write(STDERR_FILENO, kPrefix, sizeof kPrefix - 1);
  (void)!write(STDERR_FILENO, reason, strlen(reason));
  (void)!write(STDERR_FILENO, "\n", 1);
  signal(signal_number, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal_number);
  sigprocmask(SIG_UNBLOCK, &only, NULL);
  raise(signal_number);
  _exit(128 + signal_number);
}

static _Noreturn void undefined(const char *reason) { fault(SIGILL, reason); }      /* #UD */
static _Noreturn void not_allowed(const char *reason) { fault(SIGSEGV, reason); }   /* #GP */

static tile_file *own_file(void) {
  if (t_file == NULL) {
    unsigned index = atomic_fetch_add(&g_num_files, 1);
    if (index >= kMaxThreads) undefined("more threads than the emulator has tiles for");
    t_file = &g_files[index];
  }
  return t_file;
}

static unsigned row_bytes(const tile_file *file, int tile) {
  const uint8_t *at = file->config + kRowBytesAt + 2 * tile;
  return at[0] | (unsigned)at[1] << 8;
}

static unsigned rows(const tile_file *file, int tile) { return file->config[kRowsAt + tile]; }

static void require_configured(const tile_file *file, int tile) {
  if (file->config[0] == 0) undefined("a tile is used before the shapes are set");
  if (rows(file, tile) == 0) undefined("a tile is used that has no shape");
}

static void load_config(tile_file *file, const uint8_t *source) {
  uint8_t config[kConfigBytes];
  memcpy(config, source, kConfigBytes);
  memset(file->data, 0, sizeof file->data);
  if (config[0] == 0) {
    memset(file->config, 0, kConfigBytes);
    return;
  }
  if (config[0] != 1) not_allowed("unknown palette");
  for (int i = 2; i < kRowBytesAt; i++) {
    if (config[i] != 0) not_allowed("reserved bytes of the configuration");
  }
  for (int i = kRowBytesAt + 2 * kNumTiles; i < kConfigBytes; i++) {
    if ((i < kRowsAt || i >= kRowsAt + kNumTiles) && config[i] != 0) {
      not_allowed("a shape of a tile that does not exist");
    }
  }
  tile_file tried;
  memcpy(tried.config, config, kConfigBytes);
  for (int tile = 0; tile < kNumTiles; tile++) {
    unsigned num_rows = rows(&tried, tile), num_bytes = row_bytes(&tried, tile);
    if (num_rows > kMaxRows || num_bytes > kRowBytes) not_allowed("a tile that is too large");
    if ((num_rows == 0) != (num_bytes == 0)) not_allowed("a tile with rows of no bytes");
  }
  memcpy(file->config, config, kConfigBytes);
}

static void load_tile(tile_file *file, int tile, const uint8_t *base, int64_t stride) {
  require_configured(file, tile);
  uint8_t loaded[kMaxRows][kRowBytes] = {{0}};
  for (unsigned r = 0; r < rows(file, tile); r++) {
    memcpy(loaded[r], base + (int64_t)r * stride, row_bytes(file, tile));
  }
  memcpy(file->data[tile], loaded, sizeof loaded);
}

static void store_tile(const tile_file *file, int tile, uint8_t *base, int64_t stride) {
  require_configured(file, tile);
  for (unsigned r = 0; r < rows(file, tile); r++) {
    memcpy(base + (int64_t)r * stride, file->data[tile][r], row_bytes(file, tile));
  }
}

static void widen(int16_t wide[kMaxRows][kRowBytes], uint8_t tile[kMaxRows][kRowBytes],
                  bool is_signed) {
  for (int r = 0; r < kMaxRows; r++) {
    for (int i = 0; i < kRowBytes; i++) wide[r][i] = is_signed ? (int8_t)tile[r][i] : tile[r][i];
  }
}

static void multiply(tile_file *file, int acc, int a, int b, bool a_signed, bool b_signed) {
  if (acc == a || acc == b || a == b) undefined("a product of the same tile twice");
  require_configured(file, acc);
  require_configured(file, a);
  require_configured(file, b);
  if (row_bytes(file, acc) % 4 || row_bytes(file, a) % 4 || row_bytes(file, b) % 4) {
    undefined("a product of tiles whose rows are no whole groups of four");
  }
  if (rows(file, acc) != rows(file, a) || row_bytes(file, acc) != row_bytes(file, b) ||
      row_bytes(file, a) / 4 != rows(file, b)) {
    undefined("a product of tiles whose shapes do not fit");
  }
  int16_t wide_a[kMaxRows][kRowBytes], wide_b[kMaxRows][kRowBytes];
  widen(wide_a, file->data[a], a_signed);
  widen(wide_b, file->data[b], b_signed);
  uint32_t sums[kMaxRows][kRowBytes / 4]; /* wraps around, as the CPU does */
  memcpy(sums, file->data[acc], sizeof sums);
  for (unsigned m = 0; m < rows(file, acc); m++) {
    for (unsigned k = 0; k < rows(file, b); k++) {
      for (unsigned n = 0; n < kRowBytes / 4; n++) { /* behind row_bytes both are zero */
        int32_t sum = 0;
        for (int i = 0; i < 4; i++) sum += wide_a[m][4 * k + i] * wide_b[k][4 * n + i];
        sums[m][n] += (uint32_t)sum;
      }
    }
  }
  memcpy(file->data[acc], sums, sizeof sums);
}

static int64_t general_register(const ucontext_t *context, int number) {
  static const int kPlaces[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                  REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                  REG_R12, REG_R13, REG_R14, REG_R15};
  return context->uc_mcontext.gregs[kPlaces[number]];
}

typedef struct instruction {
  int prefix, opcode, mod, reg, rm, vvvv;
  bool wide_base, wide_index; /* the extension bits of base (or rm) and index */
  const uint8_t *modrm;       /* in the code */
} instruction;

static bool decode(const uint8_t *code, instruction *out) {
  if (code[0] != kVex3 || (code[1] & 0x1F) != kMap0F38) return false;
  bool has_w = code[2] & 0x80, is_256 = code[2] & 4, extends_reg = !(code[1] & 0x80);
  out->opcode = code[3];
  if (out->opcode != 0x49 && out->opcode != 0x4B && out->opcode != 0x5E) return false;
  if (has_w || is_256 || extends_reg) return false;
  out->wide_index = !(code[1] & 0x40);
  out->wide_base = !(code[1] & 0x20);
  out->vvvv = ~code[2] >> 3 & 15;
  out->prefix = code[2] & 3;
  out->modrm = code + 4;
  out->mod = code[4] >> 6;
  out->reg = code[4] >> 3 & 7;
  out->rm = code[4] & 7;
  return true;
}

/* Address of the memory operand, its stride (the index, where it is one), and the code's end. */
static const uint8_t *decode_memory(const ucontext_t *context, const instruction *in,
                                    int64_t *address, int64_t *stride) {
  const uint8_t *at = in->modrm + 1;
  int64_t base = 0;
  int num_displacement = in->mod == 1 ? 1 : in->mod == 2 ? 4 : 0;
  bool is_relative = false;
  *stride = 0;
  if (in->rm == 4) {
    uint8_t sib = *at++;
    int index = (sib >> 3 & 7) + 8 * in->wide_index;
    if (index != 4) *stride = general_register(context, index) * (1 << (sib >> 6));
    if ((sib & 7) == 5 && in->mod == 0) num_displacement = 4;
    else base = general_register(context, (sib & 7) + 8 * in->wide_base);
  } else if (in->rm == 5 && in->mod == 0) {
    is_relative = true;
    num_displacement = 4;
  } else {
    base = general_register(context, in->rm + 8 * in->wide_base);
  }
  int32_t displacement = 0;
  if (num_displacement == 1) displacement = (int8_t)*at;
  if (num_displacement == 4) memcpy(&displacement, at, 4);
  at += num_displacement;
  if (is_relative) base = (int64_t)(uintptr_t)at;
  *address = base + displacement;
  return at;
}

/* Executes `in`; returns the code behind it, or NULL if it is none of AMX. */
static const uint8_t *execute(const ucontext_t *context, const instruction *in) {
  const uint8_t *end = in->modrm + 1;
  tile_file *file = own_file();
  int kind;
  if (in->opcode == 0x5E) {
    if (in->mod != 3 || in->wide_base || in->vvvv >= kNumTiles) return NULL;
    bool a_signed = in->prefix == kPrefixF2 || in->prefix == kPrefixF3;
    bool b_signed = in->prefix == kPrefixF2 || in->prefix == kPrefix66;
    multiply(file, in->reg, in->rm, in->vvvv, a_signed, b_signed);
    kind = kMultiply;
  } else if (in->vvvv != 0) {
    return NULL;
  } else if (in->mod == 3) {
    if (in->opcode != 0x49 || in->rm != 0 || in->wide_base) return NULL;
    if (in->prefix == kPrefixF2) {
      require_configured(file, in->reg);
      memset(file->data[in->reg], 0, sizeof file->data[in->reg]);
      kind = kZero;
    } else if (in->prefix == kPrefixNone && in->reg == 0) {
      memset(file, 0, sizeof *file);
      kind = kRelease;
    } else {
      return NULL;
    }
  } else {
    int64_t address, stride;
    end = decode_memory(context, in, &address, &stride);
    uint8_t *memory = (uint8_t *)(uintptr_t)address;
    if (in->opcode == 0x4B) {
      if (in->rm != 4 || in->prefix == kPrefixNone) return NULL;
      kind = in->prefix == kPrefixF3 ? kStore : kLoad;
      if (kind == kStore) store_tile(file, in->reg, memory, stride);
      else load_tile(file, in->reg, memory, stride);
    } else {
      if (in->reg != 0 || in->prefix > kPrefix66) return NULL;
      memory += stride; /* an ordinary operand: the index counts once */
      kind = in->prefix == kPrefixNone ? kLoadConfig : kStoreConfig;
      if (kind == kLoadConfig) load_config(file, memory);
      else memcpy(memory, file->config, kConfigBytes);
    }
  }
  atomic_fetch_add_explicit(&g_counts[kind], 1, memory_order_relaxed);
  return end;
}

static void handle(int signal_number, siginfo_t *info, void *opaque) {
  (void)signal_number;
  (void)info;
  ucontext_t *context = opaque;
  instruction in;
  if (decode((const uint8_t *)(uintptr_t)context->uc_mcontext.gregs[REG_RIP], &in)) {
    if (!atomic_load(&g_is_permitted)) undefined("tiles are used without permission");
    const uint8_t *end = execute(context, &in);
    if (end != NULL) {
      context->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)end;
      return;
    }
  }
  sigaction(SIGILL, &g_before, NULL); /* not ours: whoever was there before sees it again */
}

__attribute__((constructor)) static void install(void) {
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
  sigemptyset(&action.sa_mask);
  sigaction(SIGILL, &action, &g_before);
}

__attribute__((destructor)) static void uninstall(void) { sigaction(SIGILL, &g_before, NULL); }
