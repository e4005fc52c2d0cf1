/* Placebo replicates one at a time: for units of several clusters, clusters of several units, levels of the
 * absorbed effect that hold several units, entries computed as they are drawn, and many nuisance columns. */
#include <math.h>
#include <string.h>
#include "kernels/placebo.h"
#include "kernels/replicate.h"
#include "src/rep/placebo_private.h"

enum { LANES = PFX_REP_LANES, ROWS = PFX_PLACEBO_WIDE_ROWS };

/* Cells of a draw and where their entries are. */
static pfx_idx list_cells(const pfx_placebo *p, pfx_idx n, pfx_placebo_work_area *w)
{
    pfx_idx cells = 0;
    for (pfx_idx i = 0; i < n; i++)
        for (uint32_t c = p->cell0[w->unit[i]]; c < p->cell0[w->unit[i] + 1]; c++, cells++) {
            w->cell[cells] = c;
            w->at[cells] = p->table ? c * (uint32_t)p->a->n_paths + w->path[i] : (uint32_t)cells;
            if (!p->table) pfx_placebo_entry(p, c, w->path[i], w->mean, w->entry + cells * p->ld);
        }
    return cells;
}

/* Products of the level sums that S has to lose; level_sum stays for the scores. Returns the levels touched.
 */
static pfx_idx correct_levels(const pfx_placebo *p, pfx_idx cells, const double *T, double *sum,
                              pfx_placebo_work_area *w)
{
    int m = p->m;
    pfx_idx n = 0;
    for (pfx_idx i = 0; i < cells; i++)
        w->level_sum[(pfx_idx)p->level[w->cell[i]] * m] = NAN; /* not seen yet */
    for (pfx_idx i = 0; i < cells; i++) {
        double *s = w->level_sum + (pfx_idx)p->level[w->cell[i]] * m;
        if (isnan(s[0])) {
            memset(s, 0, (size_t)m * sizeof *s);
            w->touched_level[n++] = (uint32_t)p->level[w->cell[i]];
        }
        for (int a = 0; a < m; a++) s[a] += T[w->at[i] * p->ld + p->at_level + a];
    }
    for (pfx_idx i = 0; i < n; i++) {
        const double *s = w->level_sum + (pfx_idx)w->touched_level[i] * m;
        for (int a = 0, at = p->at_s; a < m; a++)
            for (int b = a; b < m; b++) sum[at++] -= s[a] * s[b] / p->level_weight[w->touched_level[i]];
    }
    return n;
}

/* What the level sums add to the change of a cluster's score. */
static double level_change(const pfx_placebo *p, const double *coef, uint32_t level,
                           const pfx_placebo_work_area *w)
{
    const double *s = w->level_sum + (pfx_idx)level * p->m;
    double x = 0;
    for (int a = 0, at = p->at_s; a < p->m; a++)
        for (int b = a; b < p->m; b++) x -= coef[at++] * s[a] * s[b] / p->level_weight[level];
    return x;
}

/* Changes of the touched clusters' scores into cluster_change (stride 1, or 24 from lane on); their list in
 * touched. Every touched cluster holds a cell of the draw. */
static pfx_idx change_clusters(const pfx_placebo *p, pfx_idx cells, pfx_idx levels, const double *T,
                               const double *coef, int lane, pfx_placebo_work_area *w)
{
    pfx_idx stride = p->wide ? LANES : 1, n = 0;
    pfx_k_placebo_dot(p->isa, cells, w->at, p->ld, T, coef, w->change);
    for (pfx_idx i = 0; i < cells; i++) {
        uint32_t g = p->cluster[w->cell[i]];
        double *to = w->cluster_change + g * stride + lane;
        if (*to == 0) w->touched[n++] = g;
        *to += w->change[i];
    }
    for (pfx_idx i = 0; i < levels; i++) {
        uint32_t l = w->touched_level[i];
        w->cluster_change[p->level_cluster[l] * stride + lane] += level_change(p, coef, l, w);
    }
    return n;
}

/* What the changes do to the squared scores; they are zero again. A cluster listed twice (its changes
 * cancelled on the way) has none left the second time. */
static void score(const pfx_placebo *p, pfx_idx n, int r, pfx_placebo_work_area *w)
{
    for (pfx_idx i = 0; i < n; i++) {
        w->change[i] = w->cluster_change[w->touched[i]];
        w->cluster_change[w->touched[i]] = 0;
    }
    w->square[r] = pfx_placebo_squares(p, n, w->touched, w->theta + r * p->ldt, w);
}

static void one_replicate(const pfx_placebo *p, pfx_idx n_units, int r, pfx_placebo_work_area *w,
                          double *const *field)
{
    const double *T = p->table ? p->table : w->entry;
    double *sum = w->sum + r * p->ld;
    pfx_idx cells = list_cells(p, n_units, w), levels = 0;
    memset(sum, 0, (size_t)p->ld * sizeof *sum);
    pfx_k_placebo_sum(p->isa, cells, w->at, p->ld, T, sum);
    if (p->coupled) levels = correct_levels(p, cells, T, sum, w);
    pfx_placebo_coefficients(p, r, r + 1, w, field);
    if (!p->std_error) return;
    pfx_idx n = change_clusters(p, cells, levels, T, w->coef + r * p->ld, p->wide ? r % LANES : 0, w);
    if (!p->wide) score(p, n, r, w);
}

/* Sums of squared scores of 24 replicates, from all rows: the score of a cluster is the sum over its rows of
 * -w (Q phi_h)(y + Q phi_b), plus its change. */
static void wide_meats(const pfx_placebo *p, int r0, pfx_placebo_work_area *w)
{
    int k = p->k;
    double *meat = w->meat + r0, *fit_h = w->wide_fit, *fit_b = w->wide_fit + ROWS * LANES;
    for (int c = 0; c < 2; c++)
        for (int j = 0; j < k; j++)
            for (int l = 0; l < LANES; l++)
                w->wide_phi[((pfx_idx)c * k + j) * LANES + l] = w->phi[((pfx_idx)(r0 + l) * 2 + c) * k + j];
    memset(meat, 0, LANES * sizeof *meat);
    pfx_idx n = p->cluster_start[p->G], g = 0;
    memcpy(w->wide_score, w->cluster_change, LANES * sizeof(double));
    for (pfx_idx row0 = 0; row0 < n; row0 += ROWS) {
        const double *Q = p->wide_Q + row0 * k;
        memset(w->wide_fit, 0, (size_t)(2 * ROWS * LANES) * sizeof(double));
        pfx_k_rep_sums(p->isa, k, w->wide_phi, ROWS, ROWS, Q, (pfx_k_ahead){0}, fit_h);
        pfx_k_rep_sums(p->isa, k, w->wide_phi + (pfx_idx)k * LANES, ROWS, ROWS, Q, (pfx_k_ahead){0}, fit_b);
        for (pfx_idx i = 0; i < ROWS && row0 + i < n; i++) {
            double wi = p->wide_w[row0 + i], y = p->wide_y[row0 + i];
            for (int l = 0; l < LANES; l++)
                w->wide_score[l] -= wi * fit_h[i * LANES + l] * (y + fit_b[i * LANES + l]);
            if (row0 + i + 1 < p->cluster_start[g + 1]) continue;
            for (int l = 0; l < LANES; l++) meat[l] += w->wide_score[l] * w->wide_score[l];
            if (++g < p->G) memcpy(w->wide_score, w->cluster_change + g * LANES, LANES * sizeof(double));
        }
    }
}

void pfx_placebo_general(const pfx_placebo *p, uint64_t seed, pfx_idx first, bool own,
                         pfx_placebo_work_area *w, double *const *field)
{
    size_t changes = (size_t)(p->G * (p->wide ? LANES : 1)) * sizeof(double);
    memset(w->cluster_change, 0, changes);
    for (int r0 = 0; r0 < p->width; r0 += LANES) {
        if (p->wide) memset(w->cluster_change, 0, changes);
        for (int r = r0; r < r0 + LANES; r++)
            one_replicate(p, pfx_placebo_assign(p, seed, first + r, own, w), r, w, field);
        if (!p->std_error) continue;
        if (p->wide)
            wide_meats(p, r0, w);
        else
            pfx_placebo_meats(p, r0, w);
    }
}
