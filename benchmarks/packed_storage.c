/* Ways to store bytes of 2 to 4 bits, read back: see packed_storage.py. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* As runtime/src/packed.c: eight values of n bits in n bytes. */
static inline uint64_t spread(uint64_t fields, unsigned num_bits) {
  uint64_t one = (1u << num_bits) - 1;
  uint64_t two = (1u << 2 * num_bits) - 1;
  uint64_t four = (1u << 4 * num_bits) - 1;
  fields = (fields & four) | ((fields >> 4 * num_bits) & four) << 32;
  two *= 0x0000000100000001u;
  fields = (fields & two) | ((fields >> 2 * num_bits) & two) << 16;
  one *= 0x0001000100010001u;
  return (fields & one) | ((fields >> num_bits) & one) << 8;
}

static inline void expand(const uint8_t *in, uint8_t *out, size_t count, unsigned num_bits,
                          unsigned base) {
  const uint64_t kEach = 0x0101010101010101u;
  uint64_t low = (base & 0x7fu) * kEach, high = (base & 0x80u) * kEach, fields;
  for (; count >= 8; count -= 8, in += num_bits, out += 8) {
    memcpy(&fields, in, 8);
    fields = (spread(fields, num_bits) + low) ^ high;
    memcpy(out, &fields, 8);
  }
}

void words(const uint8_t *in, uint8_t *out, size_t count, unsigned num_bits, unsigned base) {
  switch (num_bits) {
    case 2: expand(in, out, count, 2, base); break;
    case 3: expand(in, out, count, 3, base); break;
    default: expand(in, out, count, 4, base);
  }
}

void words_of_any_width(const uint8_t *in, uint8_t *out, size_t count, unsigned num_bits,
                        unsigned base) {
  expand(in, out, count, num_bits, base);
}

/* Value by value from a stream of bits: the same file. */
void stream(const uint8_t *in, uint8_t *out, size_t count, unsigned num_bits, unsigned base) {
  uint32_t num_left = 0, word = 0;
  for (size_t i = 0; i < count; i++) {
    if (num_left < num_bits) {
      word |= (uint32_t)*in++ << num_left;
      num_left += 8;
    }
    out[i] = (uint8_t)((word & ((1u << num_bits) - 1)) + base);
    word >>= num_bits;
    num_left -= num_bits;
  }
}

/* Whole values in a byte only: neighbours for 4 bits, quarters of the constant for 2. */
void nibbles(const uint8_t *restrict in, uint8_t *restrict out, size_t count, unsigned num_bits,
             unsigned base) {
  if (num_bits == 2) {
    for (unsigned part = 0; part < 4; part++) {
      for (size_t i = 0; i < count / 4; i++) {
        out[part * (count / 4) + i] = (uint8_t)(((in[i] >> 2 * part) & 3) + base);
      }
    }
    return;
  }
  for (size_t i = 0; i < count / 2; i++) {
    out[2 * i] = (uint8_t)((in[i] & 15) + base);
    out[2 * i + 1] = (uint8_t)((in[i] >> 4) + base);
  }
}

/* Five values of three in a byte, 1.6 bits each. */
void ternary(const uint8_t *in, uint8_t *out, size_t count, unsigned num_bits, unsigned base) {
  uint64_t table[256];
  (void)num_bits;
  for (unsigned i = 0; i < 256; i++) {
    table[i] = 0;
    for (unsigned k = 0, rest = i; k < 5; k++, rest /= 3) {
      table[i] |= (uint64_t)(uint8_t)(rest % 3 + base) << 8 * k;
    }
  }
  for (size_t i = 0; i + 8 <= count; i += 5) memcpy(out + i, &table[*in++], 8);
}
