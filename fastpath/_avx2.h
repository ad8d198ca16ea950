/* Names for what the vector forms are written with, and whether this processor can run them. */
#ifndef FASTPATH_AVX2_H
#define FASTPATH_AVX2_H

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2_TARGET "avx2,bmi,bmi2,aes"
#define AVX2 __attribute__((target(AVX2_TARGET)))
#define AVX2_INLINE AVX2 __attribute__((always_inline)) static inline

AVX2_INLINE __m128i load16(const void *at) { return _mm_loadu_si128((const __m128i *)at); }
AVX2_INLINE __m256i load32(const void *at) { return _mm256_loadu_si256((const __m256i *)at); }
AVX2_INLINE void store16(void *at, __m128i v) { _mm_storeu_si128((__m128i *)at, v); }
AVX2_INLINE void store32(void *at, __m256i v) { _mm256_storeu_si256((__m256i *)at, v); }
AVX2_INLINE __m256i two_of(__m128i low, __m128i high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

static inline int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")
           && __builtin_cpu_supports("aes");
}
#else
static inline int has_avx2(void) { return 0; }
#endif

#endif
