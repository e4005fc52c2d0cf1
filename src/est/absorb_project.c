/* The projection off the absorbed effects for columns that are not the design's. */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/absorb_internal.h"
#include "src/model/design.h"

/* As for the design's own columns: below this share of a column's squares, products have lost too many
 * digits, and another pass takes them from projected data. */
static const double REFINE_BELOW = 1e-4;
enum { LANES = 8, MAX_PASSES = 3 };

typedef struct project_work {
    double *gram, *mean, *centred, *floor, *origin; /* [m x m], [m], [m], [ld], [m] */
    double *C, *G, *R, *gamma;                      /* [q x ld] */
    double *long_mean;                              /* [n_long x ld] */
} project_work;

static pfx_status allocate(const pfx_absorber *a, int m, pfx_idx ld, project_work *w, pfx_err *err)
{
    double **const part[] = {&w->gram, &w->mean, &w->centred, &w->origin, &w->floor,
                             &w->C,    &w->G,    &w->R,       &w->gamma,  &w->long_mean};
    const pfx_idx q = a->q * ld, size[] = {(pfx_idx)m * m, m, m, m, ld, q, q, q, q, a->n_long * ld};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        if (!(*part[i] = pfx_mem_calloc(size[i], sizeof(double), err))) return PFX_ENOMEM;
    return PFX_OK;
}

static void release(project_work *w)
{
    double *const part[] = {w->gram, w->mean, w->centred, w->floor, w->origin,
                            w->C,    w->G,    w->R,       w->gamma, w->long_mean};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) pfx_mem_free(part[i]);
}

/* Squares that the solution left of a column fell so far that they are mostly rounding. */
static bool lost_digits(const pfx_absorber *a, const pfx_absorb_view *v, const project_work *w)
{
    for (int k = 0; k < v->p; k++) {
        double before = w->gram[k * v->p + k], after = before;
        for (pfx_idx t = k; t < a->q * v->ld; t += v->ld) after -= (w->C[t] + w->R[t]) * w->G[t];
        if (after < REFINE_BELOW * before && before > w->floor[k]) return true;
    }
    return false;
}

static pfx_status solve(pfx_absorber *a, pfx_absorb_view *v, project_work *w, pfx_err *err)
{
    pfx_absorb_sums sums = {.gram = w->gram, .mean = w->mean, .centred = w->centred, .C = w->C};
    pfx_status st = pfx_absorb_long_means(a, v, err);
    for (int pass = 0; pass < MAX_PASSES && st == PFX_OK && a->q > 0; pass++) {
        if ((st = pfx_absorb_pass(a, v, &sums, err)) != PFX_OK) break;
        for (int k = 0; k < v->p && pass == 0; k++) w->floor[k] = 1e-28 * w->centred[k];
        if ((st = pfx_schur_solve(a->schur, v->p, v->ld, w->C, w->floor, w->G, w->R, err)) != PFX_OK) break;
        for (pfx_idx i = 0; i < a->q * v->ld; i++) w->gamma[i] += w->G[i];
        v->gamma = w->gamma;
        sums.mean = sums.centred = NULL;
        st = pfx_absorb_long_means(a, v, err);
        if (!lost_digits(a, v, w)) break;
    }
    return st;
}

typedef struct fill_job {
    const pfx_absorber *a;
    const pfx_absorb_view *v;
    double *out;
} fill_job;

static void fill_block(void *ctx, pfx_idx block, int thread)
{
    const fill_job *j = ctx;
    (void)thread;
    pfx_absorb_fill(j->a, j->v, block, j->v->p, j->out + j->a->block_row[block] * j->v->p, NULL);
}

pfx_status pfx_absorber_project(pfx_absorber *a, int m, const double *X, double *out, pfx_err *err)
{
    project_work w = {0};
    const pfx_idx ld = (m + LANES - 1) / LANES * LANES;
    pfx_status st = allocate(a, m, ld, &w, err);
    if (st == PFX_OK) {
        pfx_absorb_view v = {X, w.origin, m, ld, NULL, w.long_mean};
        fill_job j = {a, &v, out};
        if (a->d->n > 0) memcpy(w.origin, X, (size_t)m * sizeof *w.origin);
        if ((st = solve(a, &v, &w, err)) == PFX_OK) pfx_par_for(a->n_blocks, a->opt.nth, fill_block, &j);
    }
    release(&w);
    return st;
}
