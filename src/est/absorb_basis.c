/* Unit-specific slopes of the eliminated effect: for each level a small basis, orthonormal with the weights, zero
 * where a slope brings nothing new (one row, a constant slope). */
#include <math.h>
#include <string.h>
#include "kernels/demean.h"
#include "kernels/project.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/absorb_internal.h"
#include "src/model/design.h"

#define CHUNKS 256
/* What is left of a slope counts as rounding below this share of its size: of the raw size after the mean, of the
 * centred size after the slopes before it. */
#define LOST_MEAN 1e-14
#define LOST_SLOPE 1e-10

typedef struct job {
    pfx_absorber *a;
    const double *slope;
    int k;              /* which vector of the basis */
    pfx_idx *lost;      /* [CHUNKS] */
} job;

static double norm2(const pfx_absorber *a, pfx_idx r0, pfx_idx r1, const double *x)
{
    double s = 0.0;
    for (pfx_idx r = r0; r < r1; r++) s += (a->d->w ? a->d->w[r] : 1.0) * x[r] * x[r];
    return s;
}

static void chunk(void *ctx, pfx_idx c, int thread)
{
    job *j = ctx;
    pfx_absorber *a = j->a;
    double *q = a->basis[j->k];
    (void)thread;

    j->lost[c] = 0;
    for (pfx_idx g = a->n_levels * c / CHUNKS; g < a->n_levels * (c + 1) / CHUNKS; g++) {
        pfx_idx r0 = a->start[g], r1 = a->start[g + 1];
        const double *w = a->d->w ? a->d->w + r0 : NULL;
        double size = norm2(a, r0, r1, j->slope);
        if (a->mean) pfx_k_demean(a->opt.isa, 1, a->start + g, 1, 1, j->slope + r0, w, 0, NULL, 1, q + r0, NULL, NULL, NULL);
        else memcpy(q + r0, j->slope + r0, (size_t)(r1 - r0) * sizeof *q);
        double centred = norm2(a, r0, r1, q);
        bool lost = !(centred > LOST_MEAN * LOST_MEAN * size);
        for (int pass = 0; pass < 2 && !lost; pass++)
            for (int i = 0; i < j->k; i++)
                pfx_k_project(a->opt.isa, 1, a->start + g, 1, 1, q + r0, a->basis[i] + r0, w);
        double left = norm2(a, r0, r1, q);
        lost |= !(left > LOST_SLOPE * LOST_SLOPE * centred);
        double f = lost ? 0.0 : 1.0 / sqrt(left);
        for (pfx_idx r = r0; r < r1; r++) q[r] = lost ? 0.0 : q[r] * f;
        j->lost[c] += lost;
    }
}

pfx_status pfx_absorb_basis(pfx_absorber *a, pfx_err *err)
{
    pfx_idx lost[CHUNKS];
    int k = 0;

    a->rank_first = a->mean ? a->n_levels : 0;
    if (a->n_basis == 0) return PFX_OK;
    if (!(a->basis = pfx_mem_calloc(a->n_basis, sizeof *a->basis, err)) ||
        !(a->basis_lost = pfx_mem_calloc(a->n_basis, sizeof *a->basis_lost, err)))
        return PFX_ENOMEM;
    for (int e = 0; e < a->d->n_absorbed; e++)
        for (int s = 0; a->in_first[e] && s < a->d->absorbed[e].n_slopes; s++, k++) {
            if (!(a->basis[k] = pfx_mem_alloc(a->n, sizeof **a->basis, err))) return PFX_ENOMEM;
            job j = {a, a->d->absorbed[e].slope[s], k, lost};
            pfx_par_for(CHUNKS, a->opt.nth, chunk, &j);
            for (int c = 0; c < CHUNKS; c++) a->basis_lost[k] += lost[c];
            a->rank_first += a->n_levels - a->basis_lost[k];
        }
    return PFX_OK;
}
