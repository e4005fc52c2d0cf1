/* Body of pfx_k_multinomial, compiled once for each ISA. */
#include <string.h>
#include "kernels/multinomial.h"
#include "kernels/philox.h"

enum { WORDS = 32 };

/* Where the word at position i of the stream's 32 lies: word i % 4 of block i / 4, stored word by word. */
#define AT(i) (((i) % 4) * 8 + (i) / 4)

/* 32 words: both indices of each, the first in the low half. Returns a bit for each word refused. */
PFX_INLINE uint32_t pairs(uint64_t seed, uint32_t purpose, uint64_t index, uint32_t block, u8x g, u8x floor,
                          uint64_t *out)
{
    u8x u[4];
    uint32_t bad = 0;
    pfx_philox8(seed, purpose, index, block, u);
    for (int w = 0; w < 4; w++) {
        u8x x = u8x_mul(u[w], g), y = u8x_mul(x, g);
        bad |= u8x_less(u8x_low(y), floor) << (8 * w);
        u8x_store(out + 8 * w, u8x_pair(u8x_high(x), u8x_high(y)));
    }
    return bad;
}

PFX_INLINE uint32_t singles(uint64_t seed, uint32_t purpose, uint64_t index, uint32_t block, u8x g, u8x floor,
                            uint64_t *out)
{
    u8x u[4];
    uint32_t bad = 0;
    pfx_philox8(seed, purpose, index, block, u);
    for (int w = 0; w < 4; w++) {
        u8x x = u8x_mul(u[w], g);
        bad |= u8x_less(u8x_low(x), floor) << (8 * w);
        u8x_store(out + 8 * w, u8x_high(x));
    }
    return bad;
}

static void draw_pairs(uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx G, pfx_idx draws,
                       uint8_t *count)
{
    const u8x g = u8x_set1((uint64_t)G), floor = u8x_set1((UINT64_C(1) << 32) % ((uint64_t)G * (uint64_t)G));
    uint64_t out[WORDS];
    pfx_idx left = draws;
    for (uint32_t block = 0; left > 0; block += 8) {
        uint32_t bad = pairs(seed, purpose, index, block, g, floor, out);
        if (!bad && left >= 2 * WORDS) { /* all are taken: their order does not matter */
            PFX_UNROLL_LONG
            for (int i = 0; i < WORDS; i++) {
                count[(uint32_t)out[i]]++;
                count[out[i] >> 32]++;
            }
            left -= 2 * WORDS;
            continue;
        }
        for (int i = 0; i < WORDS && left > 0; i++) {
            if (bad >> AT(i) & 1) continue;
            count[(uint32_t)out[AT(i)]]++;
            if (--left == 0) break;
            count[out[AT(i)] >> 32]++;
            left--;
        }
    }
}

static void draw_singles(uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx G, pfx_idx draws,
                         uint8_t *count)
{
    const u8x g = u8x_set1((uint64_t)G), floor = u8x_set1((UINT64_C(1) << 32) % (uint64_t)G);
    uint64_t out[WORDS];
    pfx_idx left = draws;
    for (uint32_t block = 0; left > 0; block += 8) {
        uint32_t bad = singles(seed, purpose, index, block, g, floor, out);
        for (int i = 0; i < WORDS && left > 0; i++) {
            if (bad >> AT(i) & 1) continue;
            count[out[AT(i)]]++;
            left--;
        }
    }
}

void PFX_K(pfx_k_multinomial)(uint64_t seed, uint32_t purpose, uint64_t replicate, pfx_idx G, pfx_idx draws,
                              uint8_t *count)
{
    memset(count, 0, (size_t)G);
    if (G < 65536)
        draw_pairs(seed, purpose, replicate, G, draws, count);
    else
        draw_singles(seed, purpose, replicate, G, draws, count);
}
