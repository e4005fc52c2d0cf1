/* Weights of the wild bootstrap. Cluster g of replicate r takes its random words from the stream (seed, wild,
 * r) at a place of its own: bit g of the words for Rademacher, digit g of base 6 for Webb, word g for Mammen,
 * words 2g and 2g + 1 for the normal, 4g .. 4g + 3 for the gamma distribution. */
#include "src/rep/wild_private.h"

#include <math.h>
#include <stddef.h>
#include "kernels/wild.h"
#include "src/base/rng.h"

enum { LANES = PFX_REP_LANES, CHUNK = PFX_WILD_SIGNS };

const char *const pfx_wild_weights_names[] = {"rademacher", "webb", "mammen", "normal", "gamma", NULL};

/* P(v = (1 - sqrt 5)/2) = (sqrt 5 + 1)/(2 sqrt 5), of 2^32. */
static const double MAMMEN_SHARE = 0.72360679774997896964 * 0x1p32;

void pfx_wild_signs(const pfx_wild *w, uint64_t seed, pfx_idx replicate, pfx_idx c, uint64_t out[16])
{
    if (!w->info.enumerated) {
        pfx_k_wild_signs(w->o.isa, seed, PFX_RNG_WILD, (uint64_t)replicate, c, out);
        return;
    }
    for (int j = 0; j < 16; j++) out[j] = 0;
    out[0] = (uint64_t)replicate;
}

static double normal_of(uint64_t bits)
{
    return pfx_normal_quantile(((double)(bits >> 12) + 0.5) * 0x1p-52);
}

/* -log of a product of four uniforms is gamma with shape 4. */
static double gamma_of(uint64_t a, uint64_t b)
{
    double u = ((double)(uint32_t)a + 0.5) * ((double)(a >> 32) + 0.5) * 0x1p-64;
    u *= ((double)(uint32_t)b + 0.5) * ((double)(b >> 32) + 0.5) * 0x1p-64;
    return -0.5 * log(u) - 2;
}

/* Codes of one replicate for two-point and six-point weights. */
static void codes(const pfx_wild *w, uint64_t seed, pfx_idx rep, pfx_idx first, pfx_idx n, uint8_t *code)
{
    uint64_t bits[16];
    if (w->o.weights == PFX_WILD_RADEMACHER) {
        pfx_wild_signs(w, seed, rep, first / CHUNK, bits);
        for (pfx_idx g = 0, at = first % CHUNK; g < n; g++, at++) code[g] = bits[at / 64] >> (at % 64) & 1;
    } else if (w->o.weights == PFX_WILD_WEBB) {
        for (pfx_idx g = 0; g < n; g += PFX_WILD_DIGITS)
            pfx_k_wild_digits(w->o.isa, seed, PFX_RNG_WILD, (uint64_t)rep, (first + g) / PFX_WILD_DIGITS,
                              code + g);
    } else {
        for (pfx_idx g = 0; g < n; g += 32) {
            pfx_k_wild_signs(w->o.isa, seed, PFX_RNG_WILD, (uint64_t)rep, (first + g) / 32, bits);
            for (int i = 0; i < 32; i++)
                code[g + i] = (double)(uint32_t)(bits[i / 2] >> (i % 2 * 32)) < MAMMEN_SHARE;
        }
    }
}

/* Continuous weights of one replicate, 24 apart. */
static void values(const pfx_wild *w, uint64_t seed, pfx_idx rep, pfx_idx first, pfx_idx n, double *W)
{
    const bool normal = w->o.weights == PFX_WILD_NORMAL;
    const pfx_idx step = normal ? 16 : 8;
    for (pfx_idx g = 0; g < n; g += step) {
        uint64_t bits[16];
        pfx_k_wild_signs(w->o.isa, seed, PFX_RNG_WILD, (uint64_t)rep, (first + g) / step, bits);
        for (pfx_idx i = 0; i < step && g + i < n; i++)
            W[(g + i) * LANES] = normal ? normal_of(bits[i]) : gamma_of(bits[2 * i], bits[2 * i + 1]);
    }
}

void pfx_wild_fill(const pfx_wild *w, uint64_t seed, pfx_idx rep0, pfx_idx first, pfx_idx n, uint8_t *code,
                   double *W)
{
    bool coded = w->o.weights != PFX_WILD_NORMAL && w->o.weights != PFX_WILD_GAMMA;
    for (int l = 0; l < LANES; l++)
        if (coded)
            codes(w, seed, rep0 + l, first, n, code + l * CHUNK);
        else
            values(w, seed, rep0 + l, first, n, W + l);
    if (coded) pfx_k_wild_pack(w->o.isa, n, CHUNK, code, w->value, W);
}

/* Word by word from the stream, on purpose not the way above. */
void pfx_wild_draw(const pfx_wild *w, uint64_t seed, pfx_idx replicate, double *v)
{
    pfx_rng r;
    pfx_rng_start(&r, seed, PFX_RNG_WILD, (uint64_t)replicate);
    for (pfx_idx g = 0; g < w->n_boot; g++) {
        static const double six[6] = {-1.5, -1, -0.5, 0.5, 1, 1.5};
        uint32_t word[4];
        uint64_t x;
        switch (w->o.weights) {
        case PFX_WILD_RADEMACHER:
            pfx_rng_block(seed, PFX_RNG_WILD, (uint64_t)replicate, (uint32_t)(g / 128), word);
            x = w->info.enumerated ? (uint64_t)replicate >> g : word[g / 32 % 4] >> (g % 32);
            v[g] = x & 1 ? 1 : -1;
            break;
        case PFX_WILD_WEBB:
            pfx_rng_block(seed, PFX_RNG_WILD, (uint64_t)replicate, (uint32_t)(g / 32), word);
            for (uint32_t again = 0;; again++) {
                const uint32_t all = word[g / 8 % 4];
                if ((uint32_t)(all * UINT64_C(1679616)) >= (UINT64_C(1) << 32) % 1679616) break;
                pfx_rng_block(seed, PFX_RNG_WILD, (uint64_t)replicate,
                              UINT32_C(0x80000000) + (again << 24) + (uint32_t)(g / 32), word);
            }
            x = word[g / 8 % 4] * UINT64_C(1679616) >> 32; /* the eight digits, the first highest */
            for (pfx_idx i = g % 8; i < 7; i++) x /= 6;
            v[g] = copysign(sqrt(fabs(six[x % 6])), six[x % 6]);
            break;
        case PFX_WILD_MAMMEN:
            v[g] = pfx_rng_u32(&r) < MAMMEN_SHARE ? (1 - sqrt(5)) / 2 : (1 + sqrt(5)) / 2;
            break;
        case PFX_WILD_NORMAL:
            v[g] = pfx_rng_normal(&r);
            break;
        default:
            for (int i = 0; i < 4; i++) word[i] = pfx_rng_u32(&r);
            v[g] = gamma_of(word[0] | (uint64_t)word[1] << 32, word[2] | (uint64_t)word[3] << 32);
        }
    }
}
