/* Constants of few bits in a weight file: constant data of model.c.
 *
 * The file holds plain_bytes that kernels read as they are, their slack included, then the packed
 * constants. Kernels read expanded_bytes that the runtime fills, and behind them the plain ones. */
#ifndef OCTAVO_PACKED_WEIGHTS_H_
#define OCTAVO_PACKED_WEIGHTS_H_

#include "octavo_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What kernels read of a value: its byte, an int16 where that is signed, or the lower half of its
 * byte, two to a byte, the first one low. */
typedef enum octavo_packed_layout {
  OCTAVO_BYTES = 0, OCTAVO_WORDS = 1, OCTAVO_NIBBLES = 2
} octavo_packed_layout;

/* Values of which each is `base` plus num_bits of the file, modulo 256. Eight of them take num_bits
 * bytes, the first the lowest bits of the first byte; the last eight may be incomplete. */
typedef struct octavo_packed_constant {
  uint64_t stored_offset; /* in the file */
  uint64_t offset_bytes;  /* in what kernels read */
  uint64_t num_values;
  uint8_t num_bits;       /* 1 to 7; 8 where base is 0 */
  uint8_t base;
  octavo_packed_layout layout;
} octavo_packed_constant;

/* float32 numbers of which each is a signed integer times a scale. The integers, which are bytes, are
 * expanded to the last quarter of the numbers' place. Scales change after each `run` numbers; `lanes` of them come
 * again and again, `rows` times in all, and then the next ones. */
typedef struct octavo_packed_floats {
  octavo_packed_constant integers;
  uint64_t scales_offset; /* of float32 numbers, in the file */
  uint64_t num_scales;
  uint32_t run, lanes, rows;
} octavo_packed_floats;

enum { OCTAVO_PACKED_SLACK = 8 }; /* readable bytes of the file behind each packed constant */

/* Checks and expands them; the runtime has one, which other programs do not link. */
typedef struct octavo_expander octavo_expander;
extern const octavo_expander octavo_packed_expander;

struct octavo_packed_weights {
  const octavo_expander *expander;
  uint64_t plain_bytes;
  uint64_t expanded_bytes; /* a multiple of OCTAVO_ALIGNMENT */
  uint32_t num_constants, num_floats;
  const octavo_packed_constant *constants;
  const octavo_packed_floats *floats;
};

#ifdef __cplusplus
}
#endif
#endif /* OCTAVO_PACKED_WEIGHTS_H_ */
