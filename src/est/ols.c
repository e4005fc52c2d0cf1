/* Ordinary least squares with absorbed effects: absorb, solve, refine, variance. */
#include "src/est/ols_private.h"

#include <cblas.h>
#include <math.h>
#include <string.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/est/hac.h"
#include "src/est/vcov.h"
#include "src/model/design.h"

/* Pivot ratios beyond which products of columns need more steps of refinement, and a warning. */
static const double KAPPA_REFINE = 1e4, KAPPA_WARN = 1e5;
/* Refinement ends when a step changes the fitted values by less than 1e-10 of the residuals' length. */
static const double STEP2 = 1e-20;
enum { MAX_MORE_STEPS = 2 };
/* Collinear columns that a message names; the fit lists all. */
enum { MAX_NAMED = 5 };

bool pfx_vcov_is_clustered(pfx_vcov_type t)
{
    return pfx_vcov_n_clusters(t) > 0;
}

pfx_status pfx_ols_check_variance(const pfx_design *d, const pfx_fit_options *o, pfx_err *err)
{
    pfx_vcov_type vcov = o->vcov;
    int want = pfx_vcov_n_clusters(vcov);
    if (pfx_vcov_leaves_out(vcov) && !o->cluster_vcov)
        return pfx_fail(err, PFX_EUSAGE, "%s is not offered here; take cluster", pfx_vcov_name(vcov));
    if (d->stream && (pfx_vcov_leaves_out(vcov) || pfx_vcov_is_hac(vcov)))
        return pfx_fail(err, PFX_ENOMEM, "--vcov %s needs all rows in memory; give more --memory", pfx_vcov_name(vcov));
    if (d->n_clusters < want)
        return pfx_fail(
            err, PFX_EUSAGE, "--vcov %s needs %d cluster variable%s, there %s %d; name them with --cluster",
            pfx_vcov_name(vcov), want, want > 1 ? "s" : "", d->n_clusters == 1 ? "is" : "are", d->n_clusters);
    for (int c = 0; c < want && !d->stream; c++) /* a stream looks itself, after its first pass */
        if (d->clusters[c].n_levels < 2)
            return pfx_fail(err, PFX_EDATA,
                            "cluster variable %s has %lld level in the %lld rows used; at least 2 are needed",
                            d->clusters[c].name, (long long)d->clusters[c].n_levels, (long long)d->n);
    return PFX_OK;
}

pfx_status pfx_ols_check_design(const pfx_design *d, pfx_err *err)
{
    if (d->stream && !d->stream->whole) return PFX_OK; /* it looks at its rows itself */
    if (d->n < 1) return pfx_fail(err, PFX_EDATA, "%s: no rows", d->formula ? d->formula : "design");
    if (!d->w || d->weights_kind != PFX_W_FREQUENCY) return PFX_OK;
    for (pfx_idx i = 0; i < d->n; i++)
        if (d->w[i] != floor(d->w[i]))
            return pfx_fail(err, PFX_EDATA,
                            "frequency weights must be whole numbers: %g in row %lld; use analytic weights",
                            d->w[i], (long long)(d->row ? d->row[i] : i) + 1);
    return PFX_OK;
}

static void count_observations(pfx_ols *m)
{
    const pfx_design *d = m->d;
    bool frequency = d->w && d->weights_kind == PFX_W_FREQUENCY;
    m->sum_w = d->w ? pfx_absorber_weight(m->a) : (double)d->n;
    m->n = frequency ? m->sum_w : (double)d->n;
    m->w_scale = m->n / m->sum_w;
}

pfx_status pfx_ols_list_collinear(pfx_ols *m, pfx_err *err)
{
    const pfx_solve *s = m->s;
    pfx_fit *f = m->f;
    pfx_status st = PFX_OK;
    pfx_str text = {0};
    if (s->n_dropped == 0) return PFX_OK;
    if (!(f->collinear = pfx_mem_calloc(s->n_dropped, sizeof *f->collinear, err))) return PFX_ENOMEM;
    for (int i = 0; i < s->n_dropped; i++) {
        const char *name = m->d->name[s->dropped[i]];
        if (!(f->collinear[f->n_collinear++] = pfx_mem_strdup(name, err))) {
            st = PFX_ENOMEM;
            goto done;
        }
        if (i < MAX_NAMED || s->n_dropped == MAX_NAMED + 1)
            pfx_str_addf(&text, "%s%s (%s)", i ? ", " : "", name, pfx_drop_text(s->reason[i]));
    }
    if (s->n_dropped > MAX_NAMED + 1) pfx_str_addf(&text, ", and %d more", s->n_dropped - MAX_NAMED);
    if (text.failed)
        st = pfx_fail(err, PFX_ENOMEM, "out of memory for a message");
    else if (s->k == 0)
        st = pfx_fail(
            err, PFX_EIDENT,
            "%s: everything is collinear, no regressor is left: %s; leave out an effect or choose others",
            m->d->formula ? m->d->formula : "formula", text.s);
    else
        pfx_warn("collinear, left out: %s", text.s);
done:
    pfx_str_free(&text);
    return st;
}

/* Which effects are nested in a cluster variable, and the counts of the small-sample rules. */
pfx_status pfx_ols_count_parameters(pfx_ols *m, pfx_idx g12, pfx_err *err)
{
    const pfx_design *d = m->d;
    const pfx_absorb_info *info = m->info;
    pfx_fit *f = m->f;
    int n_effects = info->n_effects, n_clusters = pfx_vcov_n_clusters(f->vcov);
    bool *flags = pfx_mem_calloc(2 * n_effects + 1, sizeof *flags, err);
    f->effects = pfx_mem_calloc(n_effects, sizeof *f->effects, err);
    if (!flags || !f->effects) {
        pfx_mem_free(flags);
        return PFX_ENOMEM;
    }
    pfx_status st = PFX_OK;
    bool *nested = flags, *is_slope = flags + n_effects;
    int e = 0;
    for (int b = 0; b < d->n_absorbed && st == PFX_OK; b++) {
        const pfx_absorbed *ab = &d->absorbed[b];
        bool in = false;
        for (int c = 0; c < n_clusters && !in && st == PFX_OK; c++)
            if (d->stream) in = d->stream->nested(d->stream->ctx, b, c);
            else if (!pfx_absorber_nested(m->a, b, c, &in))
                st = pfx_factor_nested(d->n, &ab->factor, &d->clusters[c], m->o->nth, &in, err);
        for (int i = 0; i < ab->intercept + ab->n_slopes && e < n_effects; i++, e++) {
            nested[e] = in;
            is_slope[e] = i >= ab->intercept;
        }
    }
    pfx_ssc_in in = {.rule = f->ssc,
                     .vcov = f->vcov,
                     .n = m->n,
                     .k = m->k,
                     .n_effects = n_effects,
                     .levels = info->levels,
                     .redundant = info->redundant,
                     .is_slope = is_slope,
                     .nested = nested,
                     .rank = info->rank};
    for (int c = 0; c < n_clusters; c++) in.G[c] = d->clusters[c].n_levels;
    in.G[2] = g12;
    pfx_ssc_count(&in, &m->ssc);
    for (int c = 0; c < 3; c++) f->factor[c] = m->ssc.factor[c];
    bool first = true;
    for (e = 0; e < n_effects && st == PFX_OK; e++) {
        pfx_fit_effect *fe = &f->effects[f->n_effects];
        if (!(fe->name = pfx_mem_strdup(info->name[e], err)))
            st = PFX_ENOMEM;
        else
            f->n_effects++;
        fe->levels = info->levels[e];
        fe->redundant = f->ssc != PFX_SSC_FIXEST ? info->redundant[e] : is_slope[e] || first ? 0 : 1;
        fe->nested_in_cluster = nested[e];
        if (!is_slope[e]) first = false;
    }
    pfx_mem_free(flags);
    if (st == PFX_OK && !(m->ssc.df_residual > 0))
        st = pfx_fail(err, PFX_EDATA,
                      "%s: %.0f observations for %.0f parameters, none left to estimate a variance from",
                      d->formula ? d->formula : "formula", m->n, m->k + m->ssc.df_absorbed);
    return st;
}

void pfx_ols_combination(pfx_ols *m)
{
    memset(m->c, 0, (size_t)m->p * sizeof *m->c);
    for (int i = 0; i < m->s->k; i++) m->c[m->s->keep[i]] = -m->s->b[i];
    m->c[m->p - 1] = 1;
}

pfx_status pfx_ols_hac(pfx_ols *m, pfx_hac *h, pfx_err *err)
{
    pfx_status st = pfx_hac_create(m->d, m->f->vcov, m->o->fixed_lag ? m->o->lag : -1, h, err);
    m->f->lag = h->lag;
    m->f->n_periods = h->n_periods;
    return st;
}

static pfx_status hac_meat(pfx_ols *m, pfx_scores *sc, pfx_err *err)
{
    pfx_hac h = {0};
    pfx_status st = pfx_ols_hac(m, &h, err);
    pfx_ols_combination(m);
    if (st == PFX_OK) st = pfx_hac_meat(&h, sc, m->meat[0], m->meat[1], err);
    pfx_hac_clear(&h);
    return st;
}

/* Passes over the rows until refinement no longer moves the residuals; the last computes the meats. */
static pfx_status refine(pfx_ols *m, int n_meats, const pfx_factor *const *cluster, pfx_err *err)
{
    const double *mean = pfx_absorber_mean(m->a);
    int before = m->s->pivot_ratio > KAPPA_WARN ? 2 : m->s->pivot_ratio > KAPPA_REFINE ? 1 : 0;
    double *g = m->gradient + m->q; /* [k] of the kept regressors */
    pfx_scores sc = {.d = m->d,
                     .a = m->a,
                     .c = m->c,
                     .whiten = m->s->whitened ? m->s : NULL,
                     .nth = m->o->nth,
                     .isa = m->o->isa,
                     .gradient = m->gradient,
                     .ssr = &m->ssr};
    for (int c = 0; c < n_meats; c++) sc.meat[c] = (pfx_meat){cluster[c], m->meat[c]};
    for (int step = 0;; step++) {
        bool last = step >= before;
        sc.n_meats = last ? n_meats : 0;
        pfx_ols_combination(m);
        pfx_status st = pfx_scores_run(&sc, err);
        if (st != PFX_OK) return st;
        for (int i = 0; i < m->s->k; i++) g[i] = m->gradient[m->s->whitened ? i : m->s->keep[i]];
        double step2 = pfx_solve_refine(m->s, g);
        if (last && (step2 <= STEP2 * m->ssr || step >= before + MAX_MORE_STEPS)) break;
    }
    if (m->intercept) {
        m->b0 = mean[m->y];
        for (int i = 0; i < m->s->k; i++) m->b0 -= mean[m->s->keep[i]] * m->s->b[i];
    }
    return pfx_vcov_is_hac(m->f->vcov) ? hac_meat(m, &sc, err) : PFX_OK;
}

/* Over the reported coefficients: A = (X'WX)^-1, and the bread H that turns scores into coefficients, A itself or,
 * for whitened scores, its half T with TT' = A. Both are those of the centred design, the intercept's row turned
 * back from the centred intercept c0: b0 = c0 - mean'b. H, A [k x k], work [k x k]. */
static void fill_bread(const pfx_ols *m, double *H, double *A, double *work)
{
    const double *mean = pfx_absorber_mean(m->a);
    int k = m->k, i0 = m->intercept, ks = m->s->k;
    double *T = work, *x = T + (pfx_idx)ks * ks, *A1 = A + (pfx_idx)i0 * (k + 1);
    pfx_solve_half(m->s, T);
    if (ks > 0) cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, ks, ks, 1, T, ks, 0, A1, k);
    for (int i = 0; i < ks; i++)
        for (int j = 0; j < ks; j++) {
            double *a = A1 + (pfx_idx)i * k + j;
            if (j < i) *a = A1[(pfx_idx)j * k + i];
            H[(pfx_idx)(i + i0) * k + j + i0] = m->s->whitened ? T[(pfx_idx)i * ks + j] : *a;
        }
    if (!i0) return;
    /* x = T'mean, so that mean'A mean = x'x: nothing cancels. */
    A[0] = H[0] = 1 / m->sum_w;
    for (int j = 0; j < ks; j++) {
        x[j] = 0;
        for (int i = 0; i <= j; i++) x[j] += T[(pfx_idx)i * ks + j] * mean[m->s->keep[i]];
        A[0] += x[j] * x[j];
    }
    for (int i = 0; i < ks; i++) {
        double y = 0;
        for (int j = i; j < ks; j++) y += T[(pfx_idx)i * ks + j] * x[j];
        A[i + 1] = A[(pfx_idx)(i + 1) * k] = -y;
        H[i + 1] = m->s->whitened ? -x[i] : -y;
        H[(pfx_idx)(i + 1) * k] = 0;
    }
}

/* Where the score of coefficient i stands among the q columns of a meat. */
static int score_column(const pfx_ols *m, int i)
{
    int j = i - m->intercept;
    return j < 0 ? m->p : m->s->whitened ? j : m->s->keep[j];
}

/* The [k x k] part of a [q x q] meat, in coefficient order. */
static void add_meat(const pfx_ols *m, double factor, const double *from, double *to)
{
    for (pfx_idx i = 0; i < m->k; i++) {
        pfx_idx row = score_column(m, (int)i) * (pfx_idx)m->q;
        for (int j = 0; j < m->k; j++) to[i * m->k + j] += factor * from[row + score_column(m, j)];
    }
}

pfx_status pfx_ols_cluster_variance(pfx_ols *m, pfx_err *err)
{
    pfx_fit *f = m->f;
    const pfx_fit_options *o = m->o;
    pfx_cluster_vcov_in in = {.type = f->vcov,
                              .k = m->k,
                              .n_collinear = f->n_collinear,
                              .collinear = (const char *const *)f->collinear,
                              .tol = o->tol,
                              .maxiter = o->maxiter,
                              .nth = o->nth,
                              .isa = o->isa,
                              .max_bytes = o->max_bytes};
    const char **terms = pfx_mem_alloc(m->k, sizeof *terms, err);
    f->V = pfx_mem_calloc((pfx_idx)m->k * m->k, sizeof *f->V, err);
    m->df = pfx_mem_calloc(m->k, sizeof *m->df, err);
    pfx_status st = terms && f->V && m->df ? PFX_OK : PFX_ENOMEM;
    for (int i = 0; i < m->k && st == PFX_OK; i++)
        terms[i] = i < m->intercept ? "(Intercept)" : m->d->name[m->s->keep[i - m->intercept]];
    in.terms = terms;
    pfx_cluster_vcov_out out = {.V = f->V, .df = m->df};
    if (st == PFX_OK) st = o->cluster_vcov(m->d, &in, &out, err);
    f->n_singular = out.n_singular;
    pfx_mem_free(terms);
    return st;
}

static pfx_status variance(pfx_ols *m, int n_meats, pfx_err *err)
{
    pfx_status st = PFX_OK;
    pfx_fit *f = m->f;
    int k = m->k;
    pfx_idx kk = (pfx_idx)k * k;
    if (pfx_vcov_leaves_out(f->vcov)) return pfx_ols_cluster_variance(m, err);
    double *mem = pfx_mem_calloc(4 * kk + 2 * k, sizeof *mem, err);
    if (!mem || !(f->V = pfx_mem_calloc(kk, sizeof *f->V, err))) {
        st = PFX_ENOMEM;
        goto done;
    }
    double *H = mem, *A = H + kk, *M = A + kk, *work = M + kk;
    fill_bread(m, H, A, work);
    if (f->vcov == PFX_VCOV_IID) {
        for (pfx_idx i = 0; i < kk; i++) f->V[i] = m->ssc.factor[0] * m->ssr * A[i];
        goto done;
    }
    for (int c = 0; c < n_meats; c++)
        add_meat(m, c == 2 ? -m->ssc.factor[c] : m->ssc.factor[c], m->meat[c], M);
    pfx_sandwich(k, H, M, f->V, work);
    if (f->vcov != PFX_VCOV_TWOWAY) goto done;
    st = pfx_vcov_floor(k, f->V, &f->v_floored, err);
    if (f->v_floored)
        pfx_warn("the two-way clustered variance is not positive semi-definite: negative eigenvalues were "
                 "set to zero "
                 "(Cameron, Gelbach and Miller 2011)");
done:
    pfx_mem_free(mem);
    return st;
}

static pfx_status allocate(pfx_ols *m, pfx_err *err)
{
    pfx_idx qq = (pfx_idx)m->q * m->q;
    m->c = pfx_mem_alloc(m->p, sizeof *m->c, err);
    m->gradient = pfx_mem_calloc(m->q + m->p, sizeof *m->gradient, err);
    m->meat[0] = pfx_mem_calloc(3 * qq, sizeof *m->meat[0], err);
    if (!m->c || !m->gradient || !m->meat[0]) return PFX_ENOMEM;
    m->meat[1] = m->meat[0] + qq;
    m->meat[2] = m->meat[1] + qq;
    return PFX_OK;
}

/* Squares and their sums must lie within the range of a double, with room for digits. */
pfx_status pfx_ols_check_range(const pfx_ols *m, pfx_err *err)
{
    static const double least = 1e-280;
    const double *raw = pfx_absorber_raw(m->a);
    for (int j = 0; j < m->p; j++)
        if (!isfinite(raw[j]) || (raw[j] > 0 && raw[j] < least))
            return pfx_fail(err, PFX_EDATA, "%s: its numbers are too %s for their squares (sum of squares %.1e): rescale it",
                            m->d->name[j], isfinite(raw[j]) ? "small" : "large", raw[j]);
    return PFX_OK;
}

static pfx_status absorb(pfx_ols *m, pfx_err *err)
{
    pfx_absorb_options ao = {.tol = m->o->tol, .maxiter = m->o->maxiter, .nth = m->o->nth, .isa = m->o->isa};
    pfx_status st = pfx_absorber_create(m->d, &ao, &m->a, err);
    if (st != PFX_OK) return st;
    m->info = pfx_absorber_info(m->a);
    m->f->route = m->info->route;
    m->f->converged = m->info->converged;
    m->f->iterations = m->info->iterations;
    m->f->rank_absorbed = m->d->n_absorbed > 0 ? m->info->rank : 0;
    if ((st = pfx_ols_check_range(m, err)) != PFX_OK || (st = pfx_solve_create(m->d, m->a, m->o->nth, m->o->isa, &m->s, err)) != PFX_OK) return st;
    m->intercept = m->d->intercept && m->d->n_absorbed == 0;
    m->k = m->s->k + m->intercept;
    m->f->condition = m->s->condition;
    m->f->solver = m->s->qr ? "qr" : "cholesky";
    if ((st = pfx_ols_list_collinear(m, err)) != PFX_OK) return st;
    if (m->s->pivot_ratio > KAPPA_WARN)
        pfx_warn("the regressors are ill-conditioned (condition number %.1e): about %d digits of the estimates "
                 "are sound; "
                 "centre or rescale them, or drop one",
                 m->s->condition, (int)fmax(0, 16 - log10(m->s->condition)));
    return PFX_OK;
}

/* What the design says about itself, once its rows were read. */
pfx_status pfx_ols_describe(pfx_ols *m, pfx_err *err)
{
    const pfx_design *d = m->d;
    pfx_fit *f = m->f;
    f->method = "ols";
    f->vcov = m->o->vcov;
    f->ssc = m->o->ssc;
    count_observations(m);
    f->n_obs = (pfx_idx)m->n;
    f->n_rows = d->n;
    f->n_missing = d->n_missing;
    f->n_singletons = d->n_singletons;
    f->n_zero_weight = d->n_zero_weight;
    f->formula = pfx_mem_strdup(d->formula, err);
    f->outcome = pfx_mem_strdup(d->name[m->y], err);
    f->by_name = pfx_mem_strdup(d->by_name, err);
    f->by_level = pfx_mem_strdup(d->by_level, err);
    if ((d->formula && !f->formula) || !f->outcome || (d->by_name && !f->by_name) ||
        (d->by_level && !f->by_level))
        return PFX_ENOMEM;
    if (d->w && d->weights_kind == PFX_W_PROBABILITY && f->vcov == PFX_VCOV_IID) {
        pfx_note("probability weights: the variance is heteroskedasticity-robust (HC1)");
        f->vcov = PFX_VCOV_HC1;
    }
    if (!pfx_vcov_is_clustered(f->vcov)) return PFX_OK;
    int n_clusters = pfx_vcov_n_clusters(f->vcov);
    if (!(f->clusters = pfx_mem_calloc(n_clusters, sizeof *f->clusters, err))) return PFX_ENOMEM;
    for (int c = 0; c < n_clusters; c++, f->n_clusters++) {
        f->clusters[c].levels = d->clusters[c].n_levels;
        if (!(f->clusters[c].name = pfx_mem_strdup(d->clusters[c].name, err))) return PFX_ENOMEM;
    }
    return PFX_OK;
}

static pfx_status run(pfx_ols *m, pfx_factor *both, pfx_err *err)
{
    const pfx_design *d = m->d;
    pfx_fit *f = m->f;
    pfx_status st = absorb(m, err);
    if (st != PFX_OK || (st = pfx_ols_describe(m, err)) != PFX_OK) return st;

    const pfx_factor *cluster[3] = {NULL, NULL, NULL};
    bool plain = f->vcov != PFX_VCOV_IID && !pfx_vcov_leaves_out(f->vcov) && !pfx_vcov_is_hac(f->vcov);
    int n_meats = !plain ? 0 : f->vcov == PFX_VCOV_TWOWAY ? 3 : 1;
    if (pfx_vcov_is_clustered(f->vcov)) cluster[0] = &d->clusters[0];
    if (f->vcov == PFX_VCOV_TWOWAY) {
        if ((st = pfx_cluster_intersect(d->n, &d->clusters[0], &d->clusters[1], both, err)) != PFX_OK)
            return st;
        cluster[1] = &d->clusters[1];
        cluster[2] = both;
    }
    if ((st = pfx_ols_count_parameters(m, both->n_levels, err)) != PFX_OK ||
        (st = refine(m, n_meats, cluster, err)) != PFX_OK || (st = variance(m, pfx_vcov_is_hac(f->vcov) ? 1 : n_meats, err)) != PFX_OK ||
        (st = pfx_ols_tables(m, err)) != PFX_OK)
        return st;
    return m->o->save ? pfx_ols_save(m, err) : PFX_OK;
}

pfx_status pfx_fit_ols(pfx_design *d, const pfx_fit_options *o, pfx_fit **out, pfx_err *err)
{
    double t0 = pfx_wall_s();
    pfx_ols m = {.d = d, .o = o, .p = d->p, .q = d->p + 1, .y = d->p - 1};
    pfx_factor both = {0};
    for (int j = 0; j < d->p; j++)
        if (d->role[j] == PFX_ENDOGENOUS || d->role[j] == PFX_INSTRUMENT)
            return pfx_fail(err, PFX_EUSAGE,
                            "%s is endogenous or an instrument: least squares has no place for it",
                            d->name[j]);
    pfx_status st = pfx_ols_check_design(d, err);
    if (st == PFX_OK) st = pfx_ols_check_variance(d, o, err);
    if (st != PFX_OK) return st;
    if (!(m.f = pfx_mem_calloc(1, sizeof *m.f, err))) return PFX_ENOMEM;
    if ((st = allocate(&m, err)) == PFX_OK) st = run(&m, &both, err);
    m.f->compute_s = pfx_wall_s() - t0;
    pfx_factor_clear(&both);
    pfx_solve_free(m.s);
    pfx_absorber_free(m.a);
    pfx_mem_free(m.c);
    pfx_mem_free(m.gradient);
    pfx_mem_free(m.df);
    pfx_mem_free(m.meat[0]);
    if (st == PFX_OK)
        *out = m.f;
    else
        pfx_fit_free(m.f);
    return st;
}
