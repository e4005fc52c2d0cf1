/* Philox through Random123, and the few distributions that the project draws from. */
#include "src/base/rng.h"

#include <math.h>
#include <Random123/philox.h>

void pfx_rng_block(uint64_t seed, uint32_t purpose, uint64_t index, uint32_t block, uint32_t out[4])
{
    philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    philox4x32_ctr_t ctr = {{block, (uint32_t)index, (uint32_t)(index >> 32), purpose}};
    philox4x32_ctr_t r = philox4x32(ctr, key);
    for (int i = 0; i < 4; i++) out[i] = r.v[i];
}

void pfx_rng_start(pfx_rng *r, uint64_t seed, uint32_t purpose, uint64_t index)
{
    *r = (pfx_rng){.seed = seed, .index = index, .purpose = purpose};
}

uint32_t pfx_rng_u32(pfx_rng *r)
{
    if (r->left == 0) {
        pfx_rng_block(r->seed, r->purpose, r->index, r->block++, r->word);
        r->left = 4;
    }
    return r->word[4 - r->left--];
}

uint64_t pfx_rng_u64(pfx_rng *r)
{
    uint64_t low = pfx_rng_u32(r);
    return low | (uint64_t)pfx_rng_u32(r) << 32;
}

/* The half step keeps both ends out; 52 bits are the most for which k + 1/2 is exact. */
static double open_unit(uint64_t bits)
{
    return ((double)(bits >> 12) + 0.5) * 0x1p-52;
}

double pfx_rng_uniform(pfx_rng *r)
{
    return open_unit(pfx_rng_u64(r));
}

double pfx_rng_normal(pfx_rng *r)
{
    return pfx_normal_quantile(pfx_rng_uniform(r));
}

/* The high half of x * n is uniform once the x whose low half falls under 2^w mod n are refused. */
static uint64_t below32(pfx_rng *r, uint64_t n)
{
    const uint32_t floor = (uint32_t)((UINT64_C(1) << 32) % n);
    uint64_t m;
    do m = (uint64_t)pfx_rng_u32(r) * n;
    while ((uint32_t)m < floor);
    return m >> 32;
}

static uint64_t below64(pfx_rng *r, uint64_t n)
{
    const uint64_t floor = (0 - n) % n;
    __extension__ unsigned __int128 m;
    do {
        __extension__ unsigned __int128 x = pfx_rng_u64(r);
        m = x * n;
    } while ((uint64_t)m < floor);
    return (uint64_t)(m >> 64);
}

pfx_idx pfx_rng_below(pfx_rng *r, pfx_idx n)
{
    return (pfx_idx)(n <= INT64_C(1) << 32 ? below32(r, (uint64_t)n) : below64(r, (uint64_t)n));
}

void pfx_rng_shuffle(pfx_rng *r, pfx_idx n, pfx_idx *a)
{
    for (pfx_idx i = n - 1; i > 0; i--) {
        pfx_idx j = pfx_rng_below(r, i + 1), t = a[i];
        a[i] = a[j];
        a[j] = t;
    }
}

void pfx_rng_fill_normal(uint64_t seed, uint32_t purpose, uint64_t index, pfx_idx n, double *out)
{
    for (pfx_idx i = 0; i < n; i += 2) {
        uint32_t w[4];
        pfx_rng_block(seed, purpose, index, (uint32_t)(i / 2), w);
        out[i] = pfx_normal_quantile(open_unit(w[0] | (uint64_t)w[1] << 32));
        if (i + 1 < n) out[i + 1] = pfx_normal_quantile(open_unit(w[2] | (uint64_t)w[3] << 32));
    }
}

static double poly7(const double c[8], double x)
{
    double s = c[7];
    for (int i = 6; i >= 0; i--) s = s * x + c[i];
    return s;
}
/* AS 241: rational approximations on |p - 1/2| <= 0.425, on sqrt(-log tail) <= 5, and beyond; ascending
 * powers. */
static const double central_num[8] = {
    3.3871328727963666080e+0, 1.3314166789178437745e+2, 1.9715909503065514427e+3, 1.3731693765509461125e+4,
    4.5921953931549871457e+4, 6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3};
static const double central_den[8] = {1.0,
                                      4.2313330701600911252e+1,
                                      6.8718700749205790830e+2,
                                      5.3941960214247511077e+3,
                                      2.1213794301586595867e+4,
                                      3.9307895800092710610e+4,
                                      2.8729085735721942674e+4,
                                      5.2264952788528545610e+3};
static const double middle_num[8] = {1.42343711074968357734e+0, 4.63033784615654529590e+0,
                                     5.76949722146069140550e+0, 3.64784832476320460504e+0,
                                     1.27045825245236838258e+0, 2.41780725177450611770e-1,
                                     2.27238449892691845833e-2, 7.74545014278341407640e-4};
static const double middle_den[8] = {1.0,
                                     2.05319162663775882187e+0,
                                     1.67638483018380384940e+0,
                                     6.89767334985100004550e-1,
                                     1.48103976427480074590e-1,
                                     1.51986665636164571966e-2,
                                     5.47593808499534494600e-4,
                                     1.05075007164441684324e-9};
static const double tail_num[8] = {6.65790464350110377720e+0, 5.46378491116411436990e+0,
                                   1.78482653991729133580e+0, 2.96560571828504891230e-1,
                                   2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                   2.71155556874348757815e-5, 2.01033439929228813265e-7};
static const double tail_den[8] = {1.0,
                                   5.99832206555887937690e-1,
                                   1.36929880922735805310e-1,
                                   1.48753612908506148525e-2,
                                   7.86869131145613259100e-4,
                                   1.84631831751005468180e-5,
                                   1.42151175831644588870e-7,
                                   2.04426310338993978564e-15};

double pfx_normal_quantile(double p)
{
    const double q = p - 0.5;
    if (fabs(q) <= 0.425) {
        const double r = 0.180625 - q * q;
        return q * (poly7(central_num, r) / poly7(central_den, r));
    }
    const double r = sqrt(-log(q < 0 ? p : 1 - p));
    const double x = r <= 5 ? poly7(middle_num, r - 1.6) / poly7(middle_den, r - 1.6)
                            : poly7(tail_num, r - 5) / poly7(tail_den, r - 5);
    return q < 0 ? -x : x;
}
