#include "src/rep/permute.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/rep/clusterstat.h"
#include "src/rep/pairs.h"

struct pfx_permute {
    const pfx_clusterstat *s;
    int n_groups;
    const int32_t *group;
    pfx_pairs *pairs;
    pfx_rep_method method;
};

/* Where things lie in a thread's scratch. */
typedef struct work {
    void *pairs;
    double *b;      /* [lanes x n_terms] */
    double *none;   /* the same, for the fields that are not used */
    pfx_idx *order; /* [G] */
    int32_t *label; /* [G] */
    uint8_t *count; /* [lanes x ld] */
    pfx_idx bytes;
} work;

static int lanes(const pfx_permute *p)
{
    return pfx_pairs_method(p->pairs)->width;
}

static work lay_out(const pfx_permute *p, void *scratch)
{
    pfx_idx at = 0, values = (pfx_idx)lanes(p) * p->s->n_terms;
    char *base = scratch;
    work w = {0};
#define TAKE(field, type, size)                                                                              \
    w.field = base ? (type *)(void *)(base + at) : NULL, at += ((size) + 63) / 64 * 64
    TAKE(pairs, void, pfx_pairs_method(p->pairs)->scratch);
    TAKE(b, double, values *(pfx_idx)sizeof(double));
    TAKE(none, double, values *(pfx_idx)sizeof(double));
    TAKE(order, pfx_idx, p->s->G * (pfx_idx)sizeof(pfx_idx));
    TAKE(label, int32_t, p->s->G * (pfx_idx)sizeof(int32_t));
    TAKE(count, uint8_t, lanes(p) * pfx_pairs_ld(p->pairs));
#undef TAKE
    w.bytes = at;
    return w;
}

void pfx_permute_labels(const pfx_permute *p, uint64_t seed, pfx_idx replicate, pfx_idx *order,
                        int32_t *label)
{
    pfx_rng r;
    pfx_rng_start(&r, seed, PFX_RNG_PLACEBO, (uint64_t)replicate);
    for (pfx_idx g = 0; g < p->s->G; g++) order[g] = g;
    pfx_rng_shuffle(&r, p->s->G, order);
    for (pfx_idx g = 0; g < p->s->G; g++) label[g] = p->group[order[g]];
}

/* The clusters of each group, as counts of the draw's lanes. */
static void fill(const pfx_permute *p, work *w, int draw)
{
    pfx_idx ld = pfx_pairs_ld(p->pairs);
    uint8_t *count = w->count + (pfx_idx)draw * p->n_groups * ld;
    for (pfx_idx g = 0; g < p->s->G; g++) count[w->label[g] * ld + g] = 1;
}

static void compare(const pfx_permute *p, const work *w, int draw, double *out)
{
    int k = p->s->n_terms;
    const double *b = w->b + (pfx_idx)draw * p->n_groups * k;
    for (int t = 0; t < k; t++) {
        double mean = 0, sum = 0;
        if (p->n_groups == 2) {
            out[t] = b[k + t] - b[t];
            continue;
        }
        for (int g = 0; g < p->n_groups; g++) mean += b[g * k + t];
        mean /= p->n_groups;
        for (int g = 0; g < p->n_groups; g++) sum += (b[g * k + t] - mean) * (b[g * k + t] - mean);
        out[t] = sum;
    }
}

static void estimate(const pfx_permute *p, work *w)
{
    double *const field[PFX_DRAW_FIELDS] = {w->b, w->none, w->none};
    pfx_pairs_batch(p->pairs, w->count, w->pairs, field);
}

static void batch(const void *ctx, uint64_t seed, pfx_idx first, void *scratch, double *const *field)
{
    const pfx_permute *p = ctx;
    int k = p->s->n_terms;
    work w = lay_out(p, scratch);
    /* Scratch is there, and so is what lies in it. */
    memset(w.count, 0, (size_t)(lanes(p) * pfx_pairs_ld(p->pairs))); /* NOLINT(*NonNullParamChecker) */
    for (int d = 0; d < p->method.width; d++) {
        pfx_permute_labels(p, seed, first + d, w.order, w.label);
        fill(p, &w, d);
    }
    estimate(p, &w);
    for (int d = 0; d < p->method.width; d++) {
        compare(p, &w, d, field[PFX_DRAW_ESTIMATE] + d * k);
        for (int t = 0; t < k; t++)
            field[PFX_DRAW_STD_ERROR][d * k + t] = field[PFX_DRAW_STATISTIC][d * k + t] = NAN;
    }
}

pfx_status pfx_permute_own(const pfx_permute *p, double *value, pfx_err *err)
{
    void *scratch = pfx_mem_calloc(p->method.scratch, 1, err);
    if (!scratch) return PFX_ENOMEM;
    work w = lay_out(p, scratch);
    memcpy(w.label, p->group, (size_t)p->s->G * sizeof *w.label);
    fill(p, &w, 0);
    estimate(p, &w);
    compare(p, &w, 0, value);
    pfx_mem_free(scratch);
    return PFX_OK;
}

pfx_status pfx_permute_create(const pfx_clusterstat *s, int n_groups, const int32_t *group, pfx_isa isa,
                              pfx_permute **out, pfx_err *err)
{
    const pfx_pairs_options o = {.isa = isa};
    pfx_permute *p = pfx_mem_calloc(1, sizeof *p, err);
    if (!p) return PFX_ENOMEM;
    *p = (pfx_permute){.s = s, .n_groups = n_groups, .group = group};
    pfx_status st = pfx_pairs_create(s, &o, &p->pairs, err);
    if (st != PFX_OK) {
        pfx_permute_free(p);
        return st;
    }
    p->method = (pfx_rep_method){.name = "permute", .n_terms = s->n_terms, .ctx = p, .batch = batch};
    p->method.width = lanes(p) / n_groups;
    p->method.scratch = lay_out(p, NULL).bytes;
    *out = p;
    return PFX_OK;
}

void pfx_permute_free(pfx_permute *p)
{
    if (!p) return;
    pfx_pairs_free(p->pairs);
    pfx_mem_free(p);
}

const pfx_rep_method *pfx_permute_method(const pfx_permute *p)
{
    return &p->method;
}
