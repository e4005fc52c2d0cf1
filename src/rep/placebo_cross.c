/* Placebo replicates beside effects that are neither nested in the clusters nor few: the drawn regressors of
 * eight replicates are columns of all rows, projected off the effects by one solve with the factor of the
 * full sample. */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/model/design.h"
#include "src/rep/placebo_private.h"
#include "src/rep/refit.h"

enum { REPS = PFX_PLACEBO_CROSS_REPS };
/* Squares that projections leave of a column below this share of what they were are rounding of rows. */
static const double NOTHING = 1e-18;

pfx_status pfx_placebo_cross_create(pfx_placebo *p, const pfx_placebo_in *in, pfx_err *err)
{
    pfx_idx n = in->d->n;
    const pfx_refit_in ri = {.d = in->d,
                             .columns = REPS * p->m,
                             .maxiter = in->maxiter,
                             .isa = in->isa,
                             .max_bytes = in->max_bytes,
                             .nth = in->nth};
    pfx_status st = pfx_refit_create(&ri, &p->cross, err);
    if (st != PFX_OK) return st;
    p->place = pfx_mem_alloc(n, sizeof *p->place, err);
    p->code = pfx_mem_alloc(n, sizeof *p->code, err);
    if (!p->place || !p->code) return PFX_ENOMEM;
    const pfx_idx *row = pfx_refit_row(p->cross);
    for (pfx_idx r = 0; r < n; r++) p->place[row[r]] = r;
    memcpy(p->code, in->d->clusters[0].code, (size_t)n * sizeof *p->code);
    p->work += (double)n * REPS * p->m;
    return PFX_OK;
}

/* The drawn regressors of one replicate into its columns of X, their squares into `before`, and how many
 * units switch. */
static void fill(const pfx_placebo *p, int r, pfx_idx n_units, pfx_placebo_work_area *w)
{
    int m = p->m;
    double *before = w->before + (pfx_idx)r * m, switching = 0;
    memset(before, 0, (size_t)m * sizeof *before);
    for (pfx_idx i = 0; i < n_units; i++) {
        uint32_t u = w->unit[i], path = w->path[i];
        switching += pfx_placebo_switches(p, u, path);
        for (pfx_idx at = p->cell_start[p->cell0[u]]; at < p->cell_start[p->cell0[u + 1]]; at++) {
            pfx_idx row = p->cell_rows[at];
            double *x = w->X + p->place[row] * REPS * m + r;
            for (int a = 0; a < m; a++) {
                double v = x[a * REPS] = pfx_placebo_value(p, row, path, a);
                before[a] += (p->w ? p->w[row] : 1) * v * v;
            }
        }
    }
    w->sum[r * p->ld + p->at_switch] = switching;
}

/* Products of the projected regressors, as the sums of entries: replicates lie side by side. */
static void sum_rows(const pfx_placebo *p, pfx_placebo_work_area *w)
{
    int m = p->m, k = p->k;
    const pfx_idx *row = pfx_refit_row(p->cross);
    double *U = w->acc + (pfx_idx)m * k * REPS;
    memset(w->acc, 0, (size_t)(p->at_switch * REPS) * sizeof *w->acc);
    for (pfx_idx i = 0; i < p->rows->n; i++) {
        const double *q = p->rows->Q + row[i] * p->rows->stride, *X = w->X + i * REPS * m;
        double weight = p->w ? p->w[row[i]] : 1, *S = U + (pfx_idx)2 * m * REPS;
        for (int a = 0; a < m; a++) {
            double wx[REPS], *f = w->acc + (pfx_idx)a * k * REPS, *u = U + a * REPS, *v = u + m * REPS;
            for (int r = 0; r < REPS; r++) wx[r] = weight * X[a * REPS + r];
            for (int j = 0; j < k; j++)
                for (int r = 0; r < REPS; r++) f[j * REPS + r] += wx[r] * q[j];
            for (int r = 0; r < REPS; r++) u[r] += wx[r] * q[k];
            for (int r = 0; r < REPS; r++) v[r] += wx[r] * q[k + 1];
            for (int b = a; b < m; b++, S += REPS)
                for (int r = 0; r < REPS; r++) S[r] += wx[r] * X[b * REPS + r];
        }
    }
    for (int s = 0; s < p->at_switch; s++)
        for (int r = 0; r < REPS; r++) w->sum[r * p->ld + s] = w->acc[s * REPS + r];
}

/* A regressor that the effects span is none: its sums are zero. */
static void clear_spanned(const pfx_placebo *p, const double *before, double *sum)
{
    int m = p->m;
    for (int a = 0; a < m; a++) {
        if (sum[p->at_s + a * m - a * (a - 1) / 2] > NOTHING * before[a]) continue;
        memset(sum + (pfx_idx)a * p->k, 0, (size_t)p->k * sizeof *sum);
        sum[p->at_u + a] = sum[p->at_v + a] = 0;
        for (int b = 0, at = p->at_s; b < m; b++)
            for (int c = b; c < m; c++, at++)
                if (b == a || c == a) sum[at] = 0;
    }
}

/* What turns rows into scores, replicates side by side: h, b [m], phi_h, phi_b [k]. */
static void lay_forms(const pfx_placebo *p, const pfx_placebo_solved *s, pfx_placebo_work_area *w)
{
    int m = p->m, k = p->k;
    for (int r = 0; r < REPS; r++) {
        double *to = w->acc + r;
        for (int a = 0; a < m; a++, to += REPS) *to = s[r].h[a];
        for (int a = 0; a < m; a++, to += REPS) *to = isnan(s[r].b[a]) ? 0 : s[r].b[a];
        for (int j = 0; j < 2 * k; j++, to += REPS) *to = w->phi[(pfx_idx)r * 2 * k + j];
    }
}

/* Scores of the clusters, and the sums of their squares: w x e of each row, x = X h - Q phi_h, e = y - X b +
 * Q phi_b. */
static void sum_scores(const pfx_placebo *p, const pfx_placebo_solved *s, pfx_placebo_work_area *w)
{
    int m = p->m, k = p->k;
    const pfx_idx *row = pfx_refit_row(p->cross);
    const double *h = w->acc, *b = h + m * REPS, *phi_h = b + m * REPS, *phi_b = phi_h + k * REPS;
    lay_forms(p, s, w);
    memset(w->cluster_change, 0, (size_t)(p->G * REPS) * sizeof(double));
    for (pfx_idx i = 0; i < p->rows->n; i++) {
        const double *q = p->rows->Q + row[i] * p->rows->stride, *X = w->X + i * REPS * m;
        double weight = p->w ? p->w[row[i]] : 1, *score = w->cluster_change + (pfx_idx)p->code[row[i]] * REPS;
        double x[REPS] = {0}, e[REPS];
        for (int r = 0; r < REPS; r++) e[r] = q[k];
        for (int a = 0; a < m * REPS; a += REPS)
            for (int r = 0; r < REPS; r++) {
                x[r] += X[a + r] * h[a + r];
                e[r] -= X[a + r] * b[a + r];
            }
        for (int j = 0; j < k; j++)
            for (int r = 0; r < REPS; r++) {
                x[r] -= q[j] * phi_h[j * REPS + r];
                e[r] += q[j] * phi_b[j * REPS + r];
            }
        for (int r = 0; r < REPS; r++) score[r] += weight * x[r] * e[r];
    }
    memset(w->meat, 0, REPS * sizeof *w->meat);
    for (pfx_idx g = 0; g < p->G; g++)
        for (int r = 0; r < REPS; r++)
            w->meat[r] += w->cluster_change[g * REPS + r] * w->cluster_change[g * REPS + r];
}

void pfx_placebo_cross_batch(const pfx_placebo *p, uint64_t seed, pfx_idx first, bool own,
                             pfx_placebo_work_area *w, double *const *field)
{
    pfx_placebo_solved s[REPS];
    memset(w->X, 0, (size_t)(p->rows->n * REPS * p->m) * sizeof *w->X);
    for (int r = 0; r < REPS; r++) fill(p, r, pfx_placebo_assign(p, seed, first + r, own, w), w);
    bool solved = pfx_refit_project(p->cross, w->X, w->refit);
    sum_rows(p, w);
    for (int r = 0; r < REPS; r++) {
        double *sum = w->sum + r * p->ld;
        clear_spanned(p, w->before + r * p->m, sum);
        pfx_placebo_solve(p, sum, &s[r], p->std_error ? w->coef + r * p->ld : NULL,
                          w->phi + (pfx_idx)r * 2 * p->k);
        field[PFX_DRAW_ESTIMATE][r] = solved ? s[r].b[p->tested] : NAN;
        field[PFX_PLACEBO_SLOPE][r] = solved ? s[r].slope : NAN;
        field[PFX_PLACEBO_SWITCHERS][r] = sum[p->at_switch];
    }
    if (p->std_error) sum_scores(p, s, w);
}
