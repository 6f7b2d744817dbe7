#include "cpu_features.h"

#include "platform.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

enum { kEax, kEbx, kEcx, kEdx, kNumRegisters };
enum { kLeaf1, kLeaf7, kLeaf7Sub1, kLeafExt1, kNumLeaves };

/* Parts of the register file that the system must save, as bits of XCR0. */
enum {
  kStateNone = 0,
  kStateAvx = 0x6,       /* XMM, YMM */
  kStateAvx512 = 0xe6,   /* and opmask, the upper halves, ZMM16 to ZMM31 */
  kStateAmx = 0x60000    /* tile configuration and data */
};

/* Source: Intel 64 and IA-32 Architectures Software Developer's Manual, CPUID. */
static const struct {
  const char *name;
  uint8_t leaf, reg, bit;
  uint32_t state;
} kFeatures[] = {
    {"sse4.2", kLeaf1, kEcx, 20, kStateNone},
    {"popcnt", kLeaf1, kEcx, 23, kStateNone},
    {"movbe", kLeaf1, kEcx, 22, kStateNone},
    {"lzcnt", kLeafExt1, kEcx, 5, kStateNone},
    {"bmi", kLeaf7, kEbx, 3, kStateNone},
    {"bmi2", kLeaf7, kEbx, 8, kStateNone},
    {"gfni", kLeaf7, kEcx, 8, kStateNone},
    {"avx", kLeaf1, kEcx, 28, kStateAvx},
    {"f16c", kLeaf1, kEcx, 29, kStateAvx},
    {"fma", kLeaf1, kEcx, 12, kStateAvx},
    {"avx2", kLeaf7, kEbx, 5, kStateAvx},
    {"avxvnni", kLeaf7Sub1, kEax, 4, kStateAvx},
    {"avxvnniint8", kLeaf7Sub1, kEdx, 4, kStateAvx},
    {"avx512f", kLeaf7, kEbx, 16, kStateAvx512},
    {"avx512dq", kLeaf7, kEbx, 17, kStateAvx512},
    {"avx512ifma", kLeaf7, kEbx, 21, kStateAvx512},
    {"avx512cd", kLeaf7, kEbx, 28, kStateAvx512},
    {"avx512bw", kLeaf7, kEbx, 30, kStateAvx512},
    {"avx512vl", kLeaf7, kEbx, 31, kStateAvx512},
    {"avx512vbmi", kLeaf7, kEcx, 1, kStateAvx512},
    {"avx512vbmi2", kLeaf7, kEcx, 6, kStateAvx512},
    {"avx512vnni", kLeaf7, kEcx, 11, kStateAvx512},
    {"avx512bitalg", kLeaf7, kEcx, 12, kStateAvx512},
    {"avx512vpopcntdq", kLeaf7, kEcx, 14, kStateAvx512},
    {"avx512bf16", kLeaf7Sub1, kEax, 5, kStateAvx512},
    {"avx512fp16", kLeaf7, kEdx, 23, kStateAvx512},
    {"amx-tile", kLeaf7, kEdx, 24, kStateAmx},
    {"amx-int8", kLeaf7, kEdx, 25, kStateAmx},
    {"amx-bf16", kLeaf7, kEdx, 22, kStateAmx},
};
enum { kNumFeatures = sizeof kFeatures / sizeof kFeatures[0], kAmxTileBit = 26 };

/* Register file parts that the system saves; 0 where XGETBV is not enabled. */
static uint32_t enabled_state(uint32_t leaf1_ecx) {
  if ((leaf1_ecx >> 27 & 1) == 0) return 0; /* OSXSAVE */
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

uint64_t octavo_cpu_features(void) {
  unsigned leaves[kNumLeaves][kNumRegisters] = {{0}};
  static const struct { unsigned leaf, subleaf; } kQueries[kNumLeaves] = {
      {1, 0}, {7, 0}, {7, 1}, {0x80000001u, 0}};
  for (int i = 0; i < kNumLeaves; i++) {
    unsigned *r = leaves[i];
    /* Leaves above the highest supported one answer with the data of another leaf: it leaves r 0. */
    (void)__get_cpuid_count(kQueries[i].leaf, kQueries[i].subleaf, &r[kEax], &r[kEbx], &r[kEcx],
                            &r[kEdx]);
  }
  uint32_t state = enabled_state(leaves[kLeaf1][kEcx]);
  uint64_t features = 0;
  for (int i = 0; i < kNumFeatures; i++) {
    bool present = leaves[kFeatures[i].leaf][kFeatures[i].reg] >> kFeatures[i].bit & 1;
    bool saved = (state & kFeatures[i].state) == kFeatures[i].state;
    if (present && saved) features |= (uint64_t)1 << i;
  }
  return features;
}

uint64_t octavo_cpu_feature_amx(void) { return (uint64_t)1 << kAmxTileBit; }

#elif defined(__aarch64__) || defined(__arm__)

#if defined(__APPLE__)

/* By the names that the system has for them; one that it does not know is not there. Source: Apple,
 * Determining Instruction Set Characteristics. No Apple CPU lacks NEON, or has scalable vectors
 * outside of streaming mode. */
static const struct {
  const char *name, *system_name;
} kFeatures[] = {
    {"dotprod", "hw.optional.arm.FEAT_DotProd"}, {"fullfp16", "hw.optional.arm.FEAT_FP16"},
    {"sve", ""},                                 {"sve2", ""},
    {"i8mm", "hw.optional.arm.FEAT_I8MM"},       {"bf16", "hw.optional.arm.FEAT_BF16"},
};
enum { kNumFeatures = sizeof kFeatures / sizeof kFeatures[0] };

uint64_t octavo_cpu_features(void) {
  uint64_t features = 0;
  for (int i = 0; i < kNumFeatures; i++) {
    if (octavo_platform_says_yes(kFeatures[i].system_name)) features |= (uint64_t)1 << i;
  }
  return features;
}

#else

/* Source: Linux arch/arm64/include/uapi/asm/hwcap.h, arch/arm/include/uapi/asm/hwcap.h. */
static const struct {
  const char *name;
  uint8_t word, bit;
} kFeatures[] = {
#if defined(__aarch64__)
    {"dotprod", 0, 20}, {"fullfp16", 0, 10}, {"sve", 0, 22},
    {"sve2", 1, 1},     {"i8mm", 1, 13},     {"bf16", 1, 14},
#else
    {"neon", 0, 12}, {"vfp4", 0, 16},
#endif
};
enum { kNumFeatures = sizeof kFeatures / sizeof kFeatures[0] };

uint64_t octavo_cpu_features(void) {
#if OCTAVO_PLATFORM_LINUX
  uint64_t features = 0;
  for (int i = 0; i < kNumFeatures; i++) {
    if (octavo_platform_hwcap(kFeatures[i].word) >> kFeatures[i].bit & 1) {
      features |= (uint64_t)1 << i;
    }
  }
  return features;
#else
  return ~(uint64_t)0; /* no portable way to ask */
#endif
}

#endif

uint64_t octavo_cpu_feature_amx(void) { return 0; }

#else

static const struct {
  const char *name;
} kFeatures[] = {{""}};
enum { kNumFeatures = 1 };

uint64_t octavo_cpu_features(void) { return ~(uint64_t)0; }

uint64_t octavo_cpu_feature_amx(void) { return 0; }

#endif

uint64_t octavo_missing_cpu_features(const octavo_program *program) {
  return program == NULL ? 0 : program->cpu_features & ~octavo_cpu_features();
}

const char *octavo_cpu_feature_name(uint32_t bit) {
  return bit < (uint32_t)kNumFeatures ? kFeatures[bit].name : "";
}
