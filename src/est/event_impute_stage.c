/* The regression of the untreated rows: coefficients, imputed outcomes, and the weights that rows have in an
 * average of imputed effects. */
#include <lapacke.h>
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/est/event_impute_private.h"
#include "src/model/design.h"

/* A scaled covariate whose pivot is below this is collinear; a row whose combination of effects differs by
 * more between two solutions is not determined. */
static const double COLLINEAR = 1e-9, DETERMINED = 1e-6;

/* ---- the untreated rows ---- */

static pfx_status take_factor(const impute_rows *r, pfx_idx n, const pfx_factor *from, pfx_factor *to,
                              int32_t *level, pfx_err *err)
{
    to->name = pfx_mem_strdup(from->name, err);
    to->code = pfx_mem_alloc(n + 1, sizeof *to->code, err);
    if (!to->name || !to->code) return PFX_ENOMEM;
    memset(level, 0xff, (size_t)from->n_levels * sizeof *level);
    for (pfx_idx i = 0, at = 0; i < r->d->n; i++) {
        if (r->treated[i]) continue;
        int32_t *l = &level[from->code[i]];
        if (*l < 0) *l = (int32_t)to->n_levels++;
        to->code[at++] = *l;
    }
    return PFX_OK;
}

static pfx_status take_columns(const impute_rows *r, bool leads, pfx_design *o, pfx_err *err)
{
    const pfx_design *d = r->d;
    int skip = leads ? 0 : r->n_cells;
    pfx_idx at = 0;
    o->p = d->p - skip;
    o->Z = pfx_mem_alloc(o->n * o->p + 1, sizeof *o->Z, err);
    o->row = pfx_mem_alloc(o->n + 1, sizeof *o->row, err);
    o->name = pfx_mem_calloc(o->p, sizeof *o->name, err);
    o->role = pfx_mem_calloc(o->p, sizeof *o->role, err);
    if (d->w) o->w = pfx_mem_alloc(o->n + 1, sizeof *o->w, err);
    if (!o->Z || !o->row || !o->name || !o->role || (d->w && !o->w)) return PFX_ENOMEM;
    int from[o->p]; /* the latest lead first: of collinear ones the earliest is left out */
    for (int j = 0; j < o->p; j++) from[j] = leads && j < r->n_cells ? r->n_cells - 1 - j : j + skip;
    for (int j = 0; j < o->p; j++) {
        if (!(o->name[j] = pfx_mem_strdup(d->name[from[j]], err))) return PFX_ENOMEM;
        o->role[j] = d->role[from[j]];
    }
    for (pfx_idx i = 0; i < d->n; i++) {
        if (r->treated[i]) continue;
        for (int j = 0; j < o->p; j++) o->Z[at * o->p + j] = d->Z[i * d->p + from[j]];
        if (d->w) o->w[at] = d->w[i];
        o->row[at++] = i;
    }
    return PFX_OK;
}

pfx_status impute_take(const impute_rows *r, bool leads, pfx_design **out, int32_t **level, pfx_err *err)
{
    const pfx_design *d = r->d;
    pfx_design *o = pfx_mem_calloc(1, sizeof *o, err);
    int32_t *scratch =
        d->n_clusters ? pfx_mem_alloc(d->clusters[0].n_levels + 1, sizeof *scratch, err) : NULL;
    pfx_status st = o && (scratch || !d->n_clusters) ? PFX_OK : PFX_ENOMEM;
    for (pfx_idx i = 0; st == PFX_OK && i < d->n; i++) o->n += !r->treated[i];
    if (st == PFX_OK) st = take_columns(r, leads, o, err);
    if (st == PFX_OK) {
        o->weights_kind = d->weights_kind;
        o->formula = pfx_mem_strdup(d->formula ? d->formula : "formula", err);
        o->absorbed = pfx_mem_calloc(d->n_absorbed + 1, sizeof *o->absorbed, err);
        o->clusters = pfx_mem_calloc(d->n_clusters + 1, sizeof *o->clusters, err);
        if (!o->formula || !o->absorbed || !o->clusters) st = PFX_ENOMEM;
    }
    for (int e = 0; st == PFX_OK && e < d->n_absorbed; e++) {
        o->n_absorbed++;
        o->absorbed[e].intercept = true;
        st = take_factor(r, o->n, &d->absorbed[e].factor, &o->absorbed[e].factor, level[e], err);
    }
    if (st == PFX_OK && d->n_clusters) {
        o->n_clusters = 1;
        st = take_factor(r, o->n, &d->clusters[0], &o->clusters[0], scratch, err);
    }
    pfx_mem_free(scratch);
    if (st == PFX_OK)
        *out = o;
    else
        pfx_design_free(o);
    return st;
}

/* ---- coefficients ---- */

static pfx_status allocate(const impute_rows *r, impute_stage *s, pfx_err *err)
{
    const pfx_design *d = r->d;
    int n_e = s->n_effects = d->n_absorbed;
    s->level = pfx_mem_calloc(n_e + 1, sizeof *s->level, err);
    s->alpha = pfx_mem_calloc(n_e + 1, sizeof *s->alpha, err);
    s->sums = pfx_mem_calloc(n_e + 1, sizeof *s->sums, err);
    if (!s->level || !s->alpha || !s->sums) return PFX_ENOMEM;
    for (int e = 0; e < n_e; e++) {
        pfx_idx levels = d->absorbed[e].factor.n_levels;
        s->level[e] = pfx_mem_alloc(levels + 1, sizeof *s->level[e], err);
        s->alpha[e] = pfx_mem_alloc(levels + 1, sizeof *s->alpha[e], err);
        s->sums[e] = pfx_mem_alloc(levels + 1, sizeof *s->sums[e], err);
        if (!s->level[e] || !s->alpha[e] || !s->sums[e]) return PFX_ENOMEM;
    }
    return PFX_OK;
}

/* L L' = X'WX of columns over their scale. */
static pfx_status factor(impute_stage *s, pfx_err *err)
{
    int k = s->k, p = k + 1;
    const double *gram = pfx_absorber_gram(s->a), *centred = pfx_absorber_centred(s->a);
    for (int j = 0; j < k; j++) s->scale[j] = sqrt(centred[j]);
    for (int i = 0; i < k; i++) {
        for (int j = 0; j < k; j++) s->L[j * k + i] = gram[i * p + j] / (s->scale[i] * s->scale[j]);
        bool fine = s->scale[i] > 0;
        /* Row by row, so that the column that fails is known. */
        for (int j = 0; j <= i && fine; j++) {
            double x = s->L[j * k + i];
            for (int l = 0; l < j; l++) x -= s->L[l * k + i] * s->L[l * k + j];
            if (i == j) fine = x > COLLINEAR;
            s->L[j * k + i] = i == j ? sqrt(x) : x / s->L[j * k + j];
        }
        if (!fine)
            return pfx_fail(
                err, PFX_EIDENT,
                "%s is collinear with the effects or other covariates among the untreated rows, from "
                "which outcomes are imputed; leave it out",
                s->d0->name[i]);
    }
    return PFX_OK;
}

/* b = (X'WX)^-1 x, in place. */
static void solve(const impute_stage *s, double *x)
{
    for (int j = 0; j < s->k; j++) x[j] /= s->scale[j];
    if (s->k) LAPACKE_dpotrs_work(LAPACK_COL_MAJOR, 'L', s->k, 1, s->L, s->k, x, s->k);
    for (int j = 0; j < s->k; j++) x[j] /= s->scale[j];
}

/* y less X b of raw columns into out; b [k]. */
static void take_off(const impute_stage *s, double *out)
{
    const pfx_design *d = s->d0;
    for (pfx_idx i = 0; i < d->n; i++) {
        const double *z = d->Z + i * d->p;
        out[i] = z[s->k];
        for (int j = 0; j < s->k; j++) out[i] -= s->b[j] * z[j];
    }
}

static pfx_status coefficients(impute_stage *s, pfx_err *err)
{
    const pfx_design *d = s->d0;
    int k = s->k;
    for (pfx_idx i = 0; i < d->n; i++) memcpy(s->work + i * k, d->Z + i * d->p, (size_t)k * sizeof *s->work);
    pfx_status st = k ? pfx_absorber_project(s->a, k, s->work, s->X, err) : PFX_OK;
    for (int step = 0; step < 3 && st == PFX_OK; step++) { /* the second refines, the third is for e */
        double add[k + 1];
        take_off(s, s->work);
        if ((st = pfx_absorber_project(s->a, 1, s->work, s->e, err)) != PFX_OK || step == 2) break;
        memset(add, 0, sizeof add);
        for (pfx_idx i = 0; i < d->n; i++)
            for (int j = 0; j < k; j++) add[j] += (d->w ? d->w[i] : 1) * s->X[i * k + j] * s->e[i];
        solve(s, add);
        for (int j = 0; j < k; j++) s->b[j] += add[j];
        if (k == 0) break;
    }
    if (st == PFX_OK) {
        take_off(s, s->work);
        st = pfx_absorber_effects(s->a, s->work, s->alpha, err);
    }
    return st;
}

pfx_status impute_stage_fit(const impute_rows *r, const pfx_impute_options *o, impute_stage *s, pfx_err *err)
{
    const pfx_absorb_options ao = {
        .tol = o->fit.tol, .maxiter = o->fit.maxiter, .nth = o->fit.nth, .isa = o->fit.isa};
    pfx_idx k = r->k;
    s->k = r->k;
    pfx_status st = allocate(r, s, err);
    if (st == PFX_OK) st = impute_take(r, false, &s->d0, s->level, err);
    if (st == PFX_OK) st = pfx_absorber_create(s->d0, &ao, &s->a, err);
    if (st != PFX_OK) return st;
    pfx_idx n = s->d0->n;
    s->X = pfx_mem_alloc(n * k + 1, sizeof *s->X, err);
    s->L = pfx_mem_calloc(k * k + 1, sizeof *s->L, err);
    s->scale = pfx_mem_alloc(k + 1, sizeof *s->scale, err);
    s->b = pfx_mem_calloc(k + 1, sizeof *s->b, err);
    s->e = pfx_mem_alloc(n + 1, sizeof *s->e, err);
    s->work = pfx_mem_alloc(n * (k + 1) + 1, sizeof *s->work, err);
    if (!s->X || !s->L || !s->scale || !s->b || !s->e || !s->work) return PFX_ENOMEM;
    if ((st = factor(s, err)) != PFX_OK) return st;
    return coefficients(s, err);
}

void impute_stage_free(impute_stage *s)
{
    for (int e = 0; e < s->n_effects; e++) {
        if (s->level) pfx_mem_free(s->level[e]);
        if (s->alpha) pfx_mem_free(s->alpha[e]);
        if (s->sums) pfx_mem_free(s->sums[e]);
    }
    pfx_mem_free(s->level);
    pfx_mem_free(s->alpha);
    pfx_mem_free(s->sums);
    pfx_absorber_free(s->a);
    pfx_design_free(s->d0);
    pfx_mem_free(s->X);
    pfx_mem_free(s->L);
    pfx_mem_free(s->scale);
    pfx_mem_free(s->b);
    pfx_mem_free(s->e);
    pfx_mem_free(s->work);
}

/* ---- treated rows ---- */

/* Sum of a row's effects; *seen false: a level that no untreated row has. */
static double combine(const impute_rows *r, const impute_stage *s, double *const *alpha, pfx_idx i,
                      bool *seen)
{
    double sum = 0;
    *seen = true;
    for (int e = 0; e < r->d->n_absorbed; e++) {
        int32_t l = s->level[e][r->d->absorbed[e].factor.code[i]];
        if (l < 0)
            *seen = false;
        else
            sum += alpha[e][l];
    }
    return sum;
}

/* The untreated rows' effects are known up to a null space. A random point of it, sums [effects]: random
 * effects less what comes back from their sums by row; a treated row that it moves is not determined. */
static pfx_status null_point(impute_stage *s, pfx_err *err)
{
    const pfx_design *d = s->d0;
    const pfx_absorb_info *info = pfx_absorber_info(s->a);
    double **back = pfx_mem_calloc(d->n_absorbed + 1, sizeof *back, err);
    pfx_status st = back ? PFX_OK : PFX_ENOMEM;
    pfx_rng rng;
    pfx_rng_start(&rng, 1, PFX_RNG_IMPUTE, 0);
    for (int e = 0; e < d->n_absorbed && st == PFX_OK; e++) {
        for (pfx_idx l = 0; l < info->levels[e]; l++) s->sums[e][l] = pfx_rng_uniform(&rng);
        if (!(back[e] = pfx_mem_alloc(info->levels[e] + 1, sizeof *back[e], err))) st = PFX_ENOMEM;
    }
    for (pfx_idx i = 0; i < d->n && st == PFX_OK; i++) {
        s->work[i] = 0;
        for (int e = 0; e < d->n_absorbed; e++) s->work[i] += s->sums[e][d->absorbed[e].factor.code[i]];
    }
    if (st == PFX_OK) st = pfx_absorber_effects(s->a, s->work, back, err);
    for (int e = 0; e < d->n_absorbed && st == PFX_OK; e++)
        for (pfx_idx l = 0; l < info->levels[e]; l++) s->sums[e][l] -= back[e][l];
    for (int e = 0; back && e < d->n_absorbed; e++) pfx_mem_free(back[e]);
    pfx_mem_free(back);
    return st;
}

pfx_status impute_effects(const impute_rows *r, impute_stage *s, double *tau, pfx_err *err)
{
    const pfx_design *d = r->d;
    pfx_status st = null_point(s, err);
    for (pfx_idx i = 0; i < d->n && st == PFX_OK; i++) {
        const double *z = d->Z + i * d->p + r->n_cells;
        bool seen;
        tau[i] = NAN;
        if (!r->treated[i]) continue;
        double moved = combine(r, s, s->sums, i, &seen);
        if (!seen || fabs(moved) > DETERMINED) continue;
        tau[i] = z[r->k] - combine(r, s, s->alpha, i, &seen);
        for (int j = 0; j < r->k; j++) tau[i] -= s->b[j] * z[j];
    }
    return st;
}

pfx_status impute_weights(const impute_rows *r, impute_stage *s, const double *w1, double *v, pfx_err *err)
{
    const pfx_design *d = r->d, *d0 = s->d0;
    int k = r->k;
    double lambda[k + 1];
    memset(lambda, 0, sizeof lambda);
    for (int e = 0; e < d->n_absorbed; e++)
        memset(s->sums[e], 0, (size_t)d0->absorbed[e].factor.n_levels * sizeof **s->sums);
    for (pfx_idx i = 0; i < d->n; i++) {
        if (w1[i] == 0) continue;
        for (int e = 0; e < d->n_absorbed; e++)
            s->sums[e][s->level[e][d->absorbed[e].factor.code[i]]] -= w1[i];
        for (int j = 0; j < k; j++) lambda[j] -= w1[i] * d->Z[i * d->p + r->n_cells + j];
    }
    /* With D the effects: v = W (D a + X~ l), D'WD a = the sums, l = (X~'WX~)^-1 (x - X'WD a). */
    pfx_status st = pfx_absorber_effects_of_sums(s->a, (const double *const *)s->sums, s->alpha, err);
    if (st != PFX_OK) return st;
    for (pfx_idx i = 0; i < d0->n; i++) {
        v[i] = 0;
        for (int e = 0; e < d0->n_absorbed; e++) v[i] += s->alpha[e][d0->absorbed[e].factor.code[i]];
        for (int j = 0; j < k; j++) lambda[j] -= (d0->w ? d0->w[i] : 1) * d0->Z[i * d0->p + j] * v[i];
    }
    solve(s, lambda);
    for (pfx_idx i = 0; i < d0->n; i++) {
        for (int j = 0; j < k; j++) v[i] += s->X[i * k + j] * lambda[j];
        if (d0->w) v[i] *= d0->w[i];
    }
    return PFX_OK;
}
