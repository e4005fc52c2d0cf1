/* Wild replicates by the matrix of clusters by bootstrap clusters that wild_dense.c makes. */
#include <string.h>

#include "kernels/wild.h"
#include "src/rep/wild_dense.h"

enum {
    LANES = PFX_REP_LANES,
    PANELS = PFX_WILD_DENSE_WIDTH / LANES,
    CHUNK = 512 /* bootstrap clusters multiplied at a time */
};
typedef struct wild_dense wild_dense;

/* Where things lie in a thread's scratch. */
typedef struct work {
    double *W;     /* [panels][rows x LANES] */
    double *C;     /* [panels][most rows of a product x LANES] */
    double *V;     /* [panels][n_sq x LANES] */
    double *sq;    /* [n_sq x LANES] */
    uint8_t *code; /* [LANES x PFX_WILD_SIGNS] */
} work;

enum { MOST_SQ = PFX_WILD_MAX_TERMS * (PFX_WILD_MAX_TERMS + 1) / 2 };

static work lay_out(const pfx_wild *w, double *scratch)
{
    work o = {.W = scratch};
    o.C = o.W + PANELS * w->rows * LANES;
    o.V = o.C + PANELS * PFX_WILD_DENSE_ROWS * LANES;
    o.sq = o.V + PANELS * MOST_SQ * LANES;
    o.code = (uint8_t *)(o.sq + MOST_SQ * LANES);
    return o;
}

pfx_idx pfx_wild_dense_scratch(const pfx_wild *w)
{
    pfx_idx doubles = (PANELS * (w->rows + PFX_WILD_DENSE_ROWS + MOST_SQ) + MOST_SQ) * LANES;
    return doubles * (pfx_idx)sizeof(double) + LANES * PFX_WILD_SIGNS;
}

/* Scores of one block of clusters, of all panels. */
static void multiply(const pfx_wild *w, const double *H, pfx_idx ld, const work *o)
{
    memset(o->C, 0, (size_t)(PANELS * PFX_WILD_DENSE_ROWS * LANES) * sizeof *o->C);
    for (pfx_idx g = 0; g < w->rows; g += CHUNK) {
        pfx_idx n = w->rows - g < CHUNK ? w->rows - g : CHUNK;
        for (int p = 0; p < PANELS; p++)
            pfx_k_rep_sums(w->o.isa, n, o->W + (p * w->rows + g) * LANES, ld, ld, H + g * ld,
                           (pfx_k_ahead){0}, o->C + p * PFX_WILD_DENSE_ROWS * LANES);
    }
}

void pfx_wild_dense_squares(pfx_idx n, int m, const double *weight, const double *C, double *V)
{
    for (pfx_idx g = 0; g < n; g++, C += m * LANES) {
        double *to = V;
        for (int i = 0; i < m; i++)
            for (int j = 0; j <= i; j++, to += LANES)
                for (int l = 0; l < LANES; l++) to[l] += weight[g] * C[i * LANES + l] * C[j * LANES + l];
    }
}

static void one_test(const pfx_wild *w, int t, const work *o, double *const *field)
{
    const wild_test *x = &w->test[t];
    const wild_dense *d = x->dense;
    memset(o->V, 0, (size_t)(PANELS * MOST_SQ * LANES) * sizeof *o->V);
    for (pfx_idx b = 0; b < d->n_blocks; b++) {
        multiply(w, d->H + b * w->rows * d->width, d->width, o);
        for (int p = 0; p < PANELS; p++)
            pfx_wild_dense_squares(d->per, x->m, d->weight + b * d->per,
                                   o->C + p * PFX_WILD_DENSE_ROWS * LANES, o->V + p * MOST_SQ * LANES);
    }
    multiply(w, d->num, d->ld_num, o);
    for (int q = 0; q < x->n_sq; q++)
        for (int l = 0; l < LANES; l++) o->sq[q * LANES + l] = d->scale[q];
    for (int p = 0; p < PANELS; p++)
        pfx_wild_finish(w, t, p * LANES, o->C + p * PFX_WILD_DENSE_ROWS * LANES, o->V + p * MOST_SQ * LANES,
                        o->sq, field);
}

void pfx_wild_dense_batch(const void *ctx, uint64_t seed, pfx_idx first, void *scratch, double *const *field)
{
    const pfx_wild *w = ctx;
    const work o = lay_out(w, scratch);
    for (int p = 0; p < PANELS; p++)
        for (pfx_idx g = 0; g < w->rows; g += CHUNK)
            pfx_wild_fill(w, seed, first + p * LANES, g, w->rows - g < CHUNK ? w->rows - g : CHUNK, o.code,
                          o.W + (p * w->rows + g) * LANES);
    for (int t = 0; t < w->n_tests; t++) one_test(w, t, &o, field);
}
