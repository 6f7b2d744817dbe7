/* Which vector extensions a program needs and the CPU has. Bits are per architecture; the names
 * are LLVM's, and the compiler's table (cpu_features.py) lists them in the same order. */
#ifndef OCTAVO_CPU_FEATURES_H_
#define OCTAVO_CPU_FEATURES_H_

#include "octavo_runtime.h"

/* Features of this CPU that its operating system lets programs use. */
uint64_t octavo_cpu_features(void);

/* The bit of AMX tiles, which need a permission from Linux; 0 on other architectures. */
uint64_t octavo_cpu_feature_amx(void);

#endif /* OCTAVO_CPU_FEATURES_H_ */
