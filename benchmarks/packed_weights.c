// y[n] = sum_k x[k] w[n][k]: 16 outputs at a time, 4 inputs per 32-bit lane (vpdpbusd).
#include <immintrin.h>
#include <stdint.h>
#include <stddef.h>
void gemv8(const uint8_t *x, const int8_t *w, int32_t *y, size_t n, size_t k) {
  for (size_t i = 0; i < n; i += 64) {
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    const int8_t *p = w + i * k;
    for (size_t j = 0; j < k; j += 4, p += 256) {
      __m512i v = _mm512_set1_epi32(*(const int32_t *)(x + j));
      a = _mm512_dpbusd_epi32(a, v, _mm512_loadu_si512(p));
      b = _mm512_dpbusd_epi32(b, v, _mm512_loadu_si512(p + 64));
      c = _mm512_dpbusd_epi32(c, v, _mm512_loadu_si512(p + 128));
      d = _mm512_dpbusd_epi32(d, v, _mm512_loadu_si512(p + 192));
    }
    _mm512_storeu_si512(y + i, a); _mm512_storeu_si512(y + i + 16, b);
    _mm512_storeu_si512(y + i + 32, c); _mm512_storeu_si512(y + i + 48, d);
  }
}
// Codes are w + 8, low nibble: one vector, high nibble: the next. 8 * sum(x) comes off at the end.
void gemv4(const uint8_t *x, const uint8_t *w, int32_t *y, size_t n, size_t k) {
  int32_t s = 0;
  for (size_t j = 0; j < k; j++) s += x[j];
  const __m512i m = _mm512_set1_epi8(15), off = _mm512_set1_epi32(-8 * s);
  for (size_t i = 0; i < n; i += 64) {
    __m512i a = off, b = off, c = off, d = off;
    const uint8_t *p = w + i * k / 2;
    for (size_t j = 0; j < k; j += 4, p += 128) {
      __m512i v = _mm512_set1_epi32(*(const int32_t *)(x + j));
      __m512i q = _mm512_loadu_si512(p), r = _mm512_loadu_si512(p + 64);
      a = _mm512_dpbusd_epi32(a, v, _mm512_and_si512(q, m));
      b = _mm512_dpbusd_epi32(b, v, _mm512_and_si512(_mm512_srli_epi16(q, 4), m));
      c = _mm512_dpbusd_epi32(c, v, _mm512_and_si512(r, m));
      d = _mm512_dpbusd_epi32(d, v, _mm512_and_si512(_mm512_srli_epi16(r, 4), m));
    }
    _mm512_storeu_si512(y + i, a); _mm512_storeu_si512(y + i + 16, b);
    _mm512_storeu_si512(y + i + 32, c); _mm512_storeu_si512(y + i + 48, d);
  }
}
// The whole weight unpacked to int8 first, then gemv8.
void unpack(const uint8_t *w, int8_t *o, size_t bytes) {
  const __m512i m = _mm512_set1_epi8(15), e = _mm512_set1_epi8(8);
  for (size_t i = 0; i < bytes; i += 64) {
    __m512i q = _mm512_loadu_si512(w + i);
    _mm512_storeu_si512(o + 2 * i, _mm512_sub_epi8(_mm512_and_si512(q, m), e));
    _mm512_storeu_si512(o + 2 * i + 64, _mm512_sub_epi8(_mm512_and_si512(_mm512_srli_epi16(q, 4), m), e));
  }
}
