/* Loads, stores, swaps and atomics that Cython has no words for.  No state, no calls. */
#ifndef FASTPATH_BYTES_H
#define FASTPATH_BYTES_H

#include <stdint.h>
#include <string.h>

#include "_flow_layout.h"

static inline be16 load_be16(const void *p) { be16 v; memcpy(&v, p, 2); return v; }
static inline be32 load_be32(const void *p) { be32 v; memcpy(&v, p, 4); return v; }
static inline be64 load_be64(const void *p) { be64 v; memcpy(&v, p, 8); return v; }
static inline void store_be16(void *p, be16 v) { memcpy(p, &v, 2); }
static inline void store_be32(void *p, be32 v) { memcpy(p, &v, 4); }
static inline void store_be64(void *p, be64 v) { memcpy(p, &v, 8); }

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline uint16_t ntoh16(be16 v) { return __builtin_bswap16(v); }
static inline uint32_t ntoh32(be32 v) { return __builtin_bswap32(v); }
static inline uint64_t ntoh64(be64 v) { return __builtin_bswap64(v); }
#else
static inline uint16_t ntoh16(be16 v) { return v; }
static inline uint32_t ntoh32(be32 v) { return v; }
static inline uint64_t ntoh64(be64 v) { return v; }
#endif
static inline be16 hton16(uint16_t v) { return ntoh16(v); }
static inline be32 hton32(uint32_t v) { return ntoh32(v); }
static inline be64 hton64(uint64_t v) { return ntoh64(v); }

static inline uint16_t get16(const void *p) { return ntoh16(load_be16(p)); }
static inline uint32_t get32(const void *p) { return ntoh32(load_be32(p)); }
static inline void put16(void *p, uint16_t v) { store_be16(p, hton16(v)); }
static inline void put32(void *p, uint32_t v) { store_be32(p, hton32(v)); }

/* Two neighbours in memory as one word, the first at the lower address. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline uint16_t pair8(uint8_t a, uint8_t b) { return (uint16_t)(a | b << 8); }
static inline uint32_t pair16(uint16_t a, uint16_t b) { return a | (uint32_t)b << 16; }
static inline uint64_t pair32(uint32_t a, uint32_t b) { return a | (uint64_t)b << 32; }
#else
static inline uint16_t pair8(uint8_t a, uint8_t b) { return (uint16_t)(a << 8 | b); }
static inline uint32_t pair16(uint16_t a, uint16_t b) { return (uint32_t)a << 16 | b; }
static inline uint64_t pair32(uint32_t a, uint32_t b) { return (uint64_t)a << 32 | b; }
#endif

#undef likely
#undef unlikely
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define prefetch(p) __builtin_prefetch(p)

#define load_acquire32(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define load_acquire64(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store_release32(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define store_release64(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define load_acquire_ptr(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store_release_ptr(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define load_relaxed16(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define load_relaxed32(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define load_relaxed64(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define store_relaxed16(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define store_relaxed32(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define store_relaxed64(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define fetch_add64(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELAXED)
#define fetch_add32(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELAXED)
#define exchange32(p, v) __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL)
#ifdef __SANITIZE_THREAD__      /* which knows no fences: a locked operation orders as much on every machine it runs on */
#define fence() do { uint32_t word_ = 0; __atomic_fetch_add(&word_, 1, __ATOMIC_SEQ_CST); } while (0)
#else
#define fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/* Add to a word that this thread alone writes and others read: one instruction where a load and a store take three. */
static inline void own_add64(uint64_t *p, uint64_t v)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    __asm__("addq %1, %0" : "+m"(*p) : "er"(v) : "cc");
#else
    store_relaxed64(p, load_relaxed64(p) + v);
#endif
}

static inline int cas32(uint32_t *p, uint32_t expected, uint32_t desired)
{
    return __atomic_compare_exchange_n(p, &expected, desired, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline int cas64(uint64_t *p, uint64_t expected, uint64_t desired)
{
    return __atomic_compare_exchange_n(p, &expected, desired, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Zero n words, n a constant, by plain 16-byte stores.  gcc makes `rep stos` of a memset of this size,
 * which costs a flow key 30 ns to start where the stores take 4 (bench_extract).  The empty asm keeps
 * it from seeing that they are a memset. */
typedef uint64_t word_pair __attribute__((vector_size(16), aligned(8), may_alias));
static inline __attribute__((always_inline)) void zero_words(uint64_t *w, int n)
{
    word_pair zero = {0, 0};
#if defined(__x86_64__) || defined(__i386__)
    __asm__("" : "+x"(zero));
#elif defined(__aarch64__)
    __asm__("" : "+w"(zero));
#endif
#pragma GCC unroll 64
    for (int i = 0; i + 2 <= n; i += 2) {
        *(word_pair *)(w + i) = zero;
    }
    if (n & 1) {
        w[n - 1] = 0;
    }
}

/* Fold a 64x64->128 multiplication: the mixing step of every key hash. */
static inline uint64_t mul_fold(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

#endif
