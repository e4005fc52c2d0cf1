/* Fletcher-32 with many lanes. With words w[0..m-1] the two sums are S1 = sum w[i] and S2 = sum (m - i) w[i],
 * modulo 65535. Lane l adds up the words l, l + LANES, .. (a), and its own running sums (b); the sums of a
 * tile follow from those, and tiles are chained. 2^8 x 2^8 = 1 modulo 65535, so swapping the bytes of a word
 * is a product with 256: words are added as little-endian ones lie in memory, and the sums are swapped at the
 * end. */
#include "hdf5_io/fletcher32.h"

#include <string.h>

enum { LANES = 32 };
/* b of a lane grows to 65535 k (k + 1) / 2 after k steps: 361 is the last k that 32 bits hold. */
enum { STEPS = 360 };
enum { MODULUS = 65535 };

typedef pfx_fletcher sums;

static uint32_t word(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

/* Half of the lanes: one wide register, or as many narrow ones as it takes. */
typedef uint32_t half __attribute__((vector_size(2 * LANES)));
typedef uint16_t words __attribute__((vector_size(LANES)));

/* a and b after `steps` times LANES words. */
static inline __attribute__((always_inline)) void add_lanes(size_t steps, const unsigned char *p,
                                                            uint32_t a[LANES], uint32_t b[LANES])
{
    half a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0};
    for (size_t k = 0; k < steps; k++, p += 2 * LANES) {
        words w0, w1;
        memcpy(&w0, p, sizeof w0);
        memcpy(&w1, p + sizeof w0, sizeof w1);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        w0 = w0 << 8 | w0 >> 8, w1 = w1 << 8 | w1 >> 8;
#endif
        a0 += __builtin_convertvector(w0, half), a1 += __builtin_convertvector(w1, half);
        b0 += a0, b1 += a1;
    }
    memcpy(a, &a0, sizeof a0), memcpy(a + LANES / 2, &a1, sizeof a1);
    memcpy(b, &b0, sizeof b0), memcpy(b + LANES / 2, &b1, sizeof b1);
}

/* The same sums, whole numbers, in registers of each width. */
typedef void lanes_fn(size_t steps, const unsigned char *p, uint32_t a[LANES], uint32_t b[LANES]);
static void add_lanes_portable(size_t steps, const unsigned char *p, uint32_t a[LANES], uint32_t b[LANES])
{
    add_lanes(steps, p, a, b);
}
#if defined(__x86_64__) && !defined(PFX_NO_X86)
__attribute__((target("avx2"))) static void add_lanes_v3(size_t steps, const unsigned char *p,
                                                         uint32_t a[LANES], uint32_t b[LANES])
{
    add_lanes(steps, p, a, b);
}
__attribute__((target("avx512f,avx512bw,avx512vl"))) static void
add_lanes_v4(size_t steps, const unsigned char *p, uint32_t a[LANES], uint32_t b[LANES])
{
    add_lanes(steps, p, a, b);
}
static lanes_fn *const lanes_of[] = {add_lanes_portable, add_lanes_v3, add_lanes_v4};
#else
static lanes_fn *const lanes_of[] = {add_lanes_portable, add_lanes_portable, add_lanes_portable};
#endif

/* `steps` times LANES words. */
static void add_tile(pfx_isa isa, sums *s, size_t steps, const unsigned char *p)
{
    uint32_t a[LANES], b[LANES];
    lanes_of[isa](steps, p, a, b);
    /* Word l of step k counts LANES (steps - k) - l times here, and b holds (steps - k) of it. */
    uint64_t sum_a = 0, sum_b = 0, sum_la = 0;
    for (int l = 0; l < LANES; l++) {
        sum_a += a[l];
        sum_b += b[l];
        sum_la += (uint64_t)l * a[l];
    }
    s->s2 = (s->s2 + s->s1 * (steps * LANES) + LANES * sum_b - sum_la) % MODULUS;
    s->s1 = (s->s1 + sum_a) % MODULUS;
    s->nonzero |= sum_a != 0;
}

static void add_word(sums *s, uint32_t w)
{
    s->s1 = (s->s1 + w) % MODULUS;
    s->s2 = (s->s2 + s->s1) % MODULUS;
    s->nonzero |= w != 0;
}

/* HDF5 folds its sums, which leaves 65535 where the remainder is zero, and 0 only where all words are. */
static uint32_t folded(const sums *s, uint64_t x)
{
    uint32_t r = (uint32_t)(x * 256 % MODULUS);
    return r == 0 && s->nonzero ? MODULUS : r;
}

void pfx_fletcher_add(pfx_isa isa, pfx_fletcher *to, size_t n, const void *bytes)
{
    const unsigned char *p = bytes;
    sums s = *to;
    while (n >= 2 * LANES) {
        size_t steps = n / (2 * LANES);
        if (steps > STEPS) steps = STEPS;
        add_tile(isa, &s, steps, p);
        p += steps * 2 * LANES;
        n -= steps * 2 * LANES;
    }
    for (; n >= 2; n -= 2, p += 2) add_word(&s, word(p));
    if (n) add_word(&s, *p);
    *to = s;
}

void pfx_fletcher_join(pfx_fletcher *to, const pfx_fletcher *more, size_t n)
{
    to->s2 = (to->s2 + to->s1 * (n / 2 % MODULUS) + more->s2) % MODULUS;
    to->s1 = (to->s1 + more->s1) % MODULUS;
    to->nonzero |= more->nonzero;
}

uint32_t pfx_fletcher_value(const pfx_fletcher *s)
{
    return folded(s, s->s2) << 16 | folded(s, s->s1);
}

uint32_t pfx_fletcher32(pfx_isa isa, size_t n, const void *bytes)
{
    pfx_fletcher s = {0, 0, false};
    pfx_fletcher_add(isa, &s, n, bytes);
    return pfx_fletcher_value(&s);
}
