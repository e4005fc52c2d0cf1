/* Coefficients of the absorbed effects from what the regressors leave: the same projection for one column. */
#include <math.h>
#include <string.h>
#include "kernels/demean.h"
#include "src/base/mem.h"
#include "src/est/absorb_internal.h"
#include "src/est/components.h"
#include "src/model/design.h"

#define LD 8

/* Where info lists the levels of entry e (slope < 0) or one of its slopes. */
static int place(const pfx_design *d, int e, int slope)
{
    int at = 0;
    for (int f = 0; f < e; f++) at += d->absorbed[f].intercept + d->absorbed[f].n_slopes;
    return slope < 0 ? at : at + d->absorbed[e].intercept + slope;
}

/* r less the other effects, u [n]; gamma [q x LD]. */
static void take_off(const pfx_absorber *a, const double *r, const double *gamma, double *u)
{
    memcpy(u, r, (size_t)a->n * sizeof *u);
    for (int b = 0; b < a->n_rest; b++) {
        const pfx_schur_block *x = &a->rest[b];
        for (pfx_idx i = 0; i < a->n; i++)
            u[i] -= gamma[(x->col0 + x->code[i]) * LD] * (x->value ? x->value[i] : 1.0);
    }
}

/* Least squares of u on the eliminated level's mean and slopes, column by column off the basis: with basis vectors
 * q_k spanning the slopes in order, solve the triangular system s_k = sum_j R_jk q_j from the last back.
 * coef [1 + n_basis]: mean, slopes. */
static void level_coefficients(const pfx_absorber *a, pfx_idx g, const double *u, double *const *slope, double *coef)
{
    pfx_idx r0 = a->start[g], r1 = a->start[g + 1];
    const double *w = a->d->w;
    double total = 0.0;

    coef[0] = 0.0;
    for (int k = a->n_basis - 1; k >= 0; k--) {
        const double *q = a->basis[k];
        double top = 0.0, own = 0.0;
        for (pfx_idx r = r0; r < r1; r++) {
            double f = (w ? w[r] : 1.0) * q[r], left = u[r];
            for (int j = k + 1; j < a->n_basis; j++) left -= coef[1 + j] * slope[j][r];
            top += f * left;
            own += f * slope[k][r];
        }
        coef[1 + k] = own != 0.0 ? top / own : 0.0;
    }
    for (pfx_idx r = r0; r < r1 && a->mean; r++) {
        double f = w ? w[r] : 1.0, left = u[r] - u[r0];
        for (int k = 0; k < a->n_basis; k++) left -= coef[1 + k] * slope[k][r];
        total += f;
        coef[0] += f * left;
    }
    if (a->mean) coef[0] = u[r0] + coef[0] / total;
}

static void fill_eliminated(const pfx_absorber *a, const double *u, double **alpha, double **slope)
{
    const pfx_design *d = a->d;
    double coef[1 + a->n_basis];
    int levels_at = -1, k = 0, at[1 + a->n_basis];

    if (a->first < 0 || a->n_levels == 0 || !a->level) return;
    for (int e = 0; e < d->n_absorbed; e++) {
        if (!a->in_first[e]) continue;
        if (d->absorbed[e].intercept && levels_at < 0) levels_at = place(d, e, -1);
        for (int s = 0; a->n_basis > 0 && s < d->absorbed[e].n_slopes; s++, k++) {
            slope[k] = d->absorbed[e].slope[s];
            at[k] = place(d, e, s);
        }
    }
    for (pfx_idx g = 0; g < a->n_levels; g++) {
        level_coefficients(a, g, u, slope, coef);
        if (levels_at >= 0) alpha[levels_at][g] = coef[0];
        /* The first loop met each of the n_basis slopes. */
        for (k = 0; k < a->n_basis; k++) alpha[at[k]][g] = coef[1 + k]; /* NOLINT(*ArraySubscript) */
    }
}

/* Shift constants between the first effect with levels and each later one, component by component, so that the first
 * level of the later one is zero there. */
static pfx_status normalise(const pfx_absorber *a, double **alpha, pfx_err *err)
{
    const pfx_design *d = a->d;
    int first = 0;

    while (first < d->n_absorbed && !d->absorbed[first].intercept) first++;
    for (int e = first + 1; e < d->n_absorbed; e++) {
        if (!d->absorbed[e].intercept) continue;
        const pfx_factor *x = &d->absorbed[first].factor, *y = &d->absorbed[e].factor;
        double *ax = alpha[place(d, first, -1)], *ay = alpha[place(d, e, -1)];
        pfx_idx nodes = x->n_levels + y->n_levels;
        pfx_idx *root = pfx_mem_alloc(nodes, sizeof *root, err);
        double *shift = pfx_mem_alloc(nodes, sizeof *shift, err);
        if (!root || !shift) {
            pfx_mem_free(root), pfx_mem_free(shift);
            return PFX_ENOMEM;
        }
        pfx_components_of_pair(d->n, x->code, x->n_levels, y->code, y->n_levels, a->opt.nth, root);
        for (pfx_idx i = 0; i < nodes; i++) shift[i] = NAN;
        for (pfx_idx l = 0; l < y->n_levels; l++) {
            double *s = &shift[pfx_components_find(root, x->n_levels + l)];
            if (isnan(*s)) *s = ay[l];
            ay[l] -= *s;
        }
        for (pfx_idx l = 0; l < x->n_levels; l++) ax[l] += shift[pfx_components_find(root, l)];
        pfx_mem_free(root), pfx_mem_free(shift);
    }
    return PFX_OK;
}

static pfx_status solve_rest(pfx_absorber *a, const double *r, double *gamma, pfx_err *err)
{
    pfx_status st = PFX_ENOMEM;
    double gram = 0.0, mean = 0.0, centred = 0.0, floor[LD] = {0};
    pfx_absorb_sums sums = {.gram = &gram, .mean = &mean, .centred = &centred};
    pfx_absorb_view v = {r, r, 1, LD, NULL, NULL};
    double *R = NULL;

    if (!(v.long_mean = pfx_mem_calloc(a->n_long * LD, sizeof *v.long_mean, err)) ||
        !(sums.C = pfx_mem_calloc(a->q * LD, sizeof *sums.C, err)) ||
        !(R = pfx_mem_calloc(a->q * LD, sizeof *R, err)))
        goto done;
    if ((st = pfx_absorb_long_means(a, &v, err)) != PFX_OK || (st = pfx_absorb_pass(a, &v, &sums, err)) != PFX_OK)
        goto done;
    floor[0] = 1e-28 * centred;
    st = pfx_schur_solve(a->schur, 1, LD, sums.C, floor, gamma, R, err);
done:
    pfx_mem_free(v.long_mean), pfx_mem_free(sums.C), pfx_mem_free(R);
    return st;
}

pfx_status pfx_absorber_effects(pfx_absorber *a, const double *r, double **alpha, pfx_err *err)
{
    const pfx_design *d = a->d;
    pfx_status st = PFX_ENOMEM;
    double *gamma = pfx_mem_calloc(a->q * LD, sizeof *gamma, err);
    double *u = pfx_mem_alloc(d->n, sizeof *u, err);
    double **slope = pfx_mem_calloc(a->n_basis, sizeof *slope, err);

    if (!gamma || !u || !slope) goto done;
    if (a->q > 0 && (st = solve_rest(a, r, gamma, err)) != PFX_OK) goto done;
    if ((st = pfx_absorb_all_codes(a, err)) != PFX_OK) goto done;
    for (int e = 0; e < a->info.n_effects; e++)
        memset(alpha[e], 0, (size_t)a->info.levels[e] * sizeof **alpha);
    take_off(a, r, gamma, u);
    fill_eliminated(a, u, alpha, slope);
    for (int b = 0; b < a->n_rest; b++) {
        if (a->rest_entry[b] < 0) continue;
        double *out = alpha[place(d, a->rest_entry[b], a->rest_slope[b])];
        for (pfx_idx l = 0; l < a->rest[b].n_levels; l++) out[l] = gamma[(a->rest[b].col0 + l) * LD];
    }
    st = normalise(a, alpha, err);
done:
    pfx_mem_free(gamma), pfx_mem_free(u), pfx_mem_free(slope);
    return st;
}

/* One solution, into alpha: with m the eliminated levels' sums over their weights, S gamma = c - B'W m for the others,
 * and m less the levels' means of B gamma. */
static pfx_status solve_sums(pfx_absorber *a, double *const *sums, double **alpha, double *work, pfx_err *err)
{
    const pfx_design *d = a->d;
    double *C = work, *gamma = C + a->q * LD, *R = gamma + a->q * LD, *m = R + a->q * LD, *total = m + a->n_levels;
    double floor[LD] = {0};
    pfx_status st = PFX_OK;
    int first = -1;

    memset(work, 0, (size_t)(3 * a->q * LD + 2 * a->n_levels) * sizeof *work);
    for (int e = 0; e < d->n_absorbed; e++)
        if (first < 0 && a->in_first[e]) first = e;
    for (pfx_idx r = 0; r < a->n && a->level; r++) total[a->level[r]] += d->w ? d->w[r] : 1.0;
    for (pfx_idx g = 0; g < a->n_levels && first >= 0; g++) m[g] = sums[first][g] / total[g];
    for (int b = 0; b < a->n_rest; b++) {
        const pfx_schur_block *x = &a->rest[b];
        for (pfx_idx l = 0; l < x->n_levels; l++) C[(x->col0 + l) * LD] = sums[a->rest_entry[b]][l];
        for (pfx_idx r = 0; r < a->n && first >= 0; r++)
            C[(x->col0 + x->code[r]) * LD] -= (d->w ? d->w[r] : 1.0) * m[a->level[r]];
    }
    for (pfx_idx i = 0; i < a->q; i++) floor[0] += 1e-32 * C[i * LD] * C[i * LD];
    if (a->q > 0 && (st = pfx_schur_solve(a->schur, 1, LD, C, floor, gamma, R, err)) != PFX_OK) return st;
    for (int b = 0; b < a->n_rest; b++) {
        const pfx_schur_block *x = &a->rest[b];
        for (pfx_idx r = 0; r < a->n && first >= 0; r++)
            m[a->level[r]] -= (d->w ? d->w[r] : 1.0) / total[a->level[r]] * gamma[(x->col0 + x->code[r]) * LD];
        for (pfx_idx l = 0; l < x->n_levels; l++) alpha[a->rest_entry[b]][l] += gamma[(x->col0 + l) * LD];
    }
    for (pfx_idx g = 0; g < a->n_levels && first >= 0; g++) alpha[first][g] += m[g];
    return PFX_OK;
}

pfx_status pfx_absorber_effects_of_sums(pfx_absorber *a, const double *const *sums, double **alpha, pfx_err *err)
{
    const pfx_design *d = a->d;
    int n = a->info.n_effects;
    pfx_idx size = 0;
    pfx_status st = PFX_OK;

    for (int e = 0; e < d->n_absorbed; e++)
        if (d->absorbed[e].n_slopes || !d->absorbed[e].intercept)
            return pfx_fail(err, PFX_EUSAGE, "%s: an effect with slopes has no sums", d->absorbed[e].factor.name);
    for (int e = 0; e < n; e++) size += a->info.levels[e];
    double **left = pfx_mem_calloc(n + 1, sizeof *left, err);
    double *own = pfx_mem_alloc(size + 1, sizeof *own, err);
    double *work = pfx_mem_alloc(3 * a->q * LD + 2 * a->n_levels + 1, sizeof *work, err);
    if (!left || !own || !work) st = PFX_ENOMEM;
    double *next = own;
    for (int e = 0; st == PFX_OK && e < n; e++) {
        left[e] = next;
        next += a->info.levels[e];
        memcpy(left[e], sums[e], (size_t)a->info.levels[e] * sizeof *own);
        memset(alpha[e], 0, (size_t)a->info.levels[e] * sizeof *own);
    }
    for (int step = 0; step < 2 && st == PFX_OK; step++) { /* the second refines */
        st = solve_sums(a, left, alpha, work, err);
        for (int e = 0; e < n; e++) memcpy(left[e], sums[e], (size_t)a->info.levels[e] * sizeof *own);
        for (pfx_idx r = 0; r < a->n && step == 0; r++) {
            double fitted = 0.0;
            for (int e = 0; e < n; e++) fitted += alpha[e][d->absorbed[e].factor.code[r]];
            for (int e = 0; e < n; e++) left[e][d->absorbed[e].factor.code[r]] -= (d->w ? d->w[r] : 1.0) * fitted;
        }
    }
    pfx_mem_free(left), pfx_mem_free(own), pfx_mem_free(work);
    return st;
}
