/* Constants of few bits: whether their table and a file agree, and what they become. */
#ifndef OCTAVO_PACKED_H_
#define OCTAVO_PACKED_H_

#include "octavo_packed_weights.h"

/* Whether expanding reads and writes inside of the file and of memory, whatever the file says. At
 * most a quarter of what can be addressed is expanded. */
bool octavo_packed_is_consistent(const octavo_program *program);

/* Fills expanded_bytes of `weights` from a file of the program's size. */
void octavo_packed_expand(const octavo_packed_weights *packed, const uint8_t *file,
                          uint8_t *weights);

#endif /* OCTAVO_PACKED_H_ */
