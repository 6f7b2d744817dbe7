/* What an expander of packed weights does for the rest of the runtime. */
#ifndef OCTAVO_PACKED_H_
#define OCTAVO_PACKED_H_

#include "octavo_packed_weights.h"

struct octavo_expander {
  /* Whether expanding reads and writes inside of the file and of memory, whatever the file says. At
   * most a quarter of what can be addressed is expanded. */
  bool (*is_consistent)(const octavo_program *program);

  /* Fills the expanded bytes, which are zeros, from the file; the table is consistent. */
  void (*expand)(const octavo_packed_weights *packed, const uint8_t *file, uint8_t *weights);
};

#endif /* OCTAVO_PACKED_H_ */
