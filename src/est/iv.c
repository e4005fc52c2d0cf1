/* Two-stage least squares: absorb, orthonormal instruments, coefficients, one pass of scores, variances.
 * Source: methods.md section 8; Wooldridge (2010), chapter 5. */
#include "src/est/iv_private.h"

#include <math.h>
#include <string.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/est/hac.h"
#include "src/model/design.h"

static const double KAPPA_WARN = 1e5;

static void release(pfx_ivm *v)
{
    pfx_solve_free(v->m.s);
    pfx_solve_free(v->z);
    pfx_absorber_free(v->m.a);
    pfx_mem_free(v->m.c);
    pfx_mem_free(v->m.gradient);
    pfx_mem_free(v->m.df);
    pfx_mem_free(v->column);
    pfx_mem_free(v->P);
    pfx_mem_free(v->pair);
    pfx_mem_free(v->base);
    pfx_mem_free(v->meat[0]);
}

/* Columns of the design in the role, or regressors. Returns how many. */
static int columns_of(const pfx_design *d, pfx_role role, int *col)
{
    int n = 0;
    for (int j = 0; j < d->p; j++)
        if (d->role[j] == PFX_REGRESSOR || d->role[j] == role) col[n++] = j;
    return n;
}

static bool is_dropped(const pfx_solve *s, int col, pfx_drop_reason *why)
{
    for (int i = 0; i < s->n_dropped; i++)
        if (s->dropped[i] == col) {
            *why = s->reason[i];
            return true;
        }
    return false;
}

/* A solver's shell: kept and dropped columns of the structural equation, endogenous first. x: the factored
 * exogenous and endogenous columns. */
static pfx_status structural_solver(pfx_ivm *v, const pfx_solve *x, pfx_err *err)
{
    const pfx_design *d = v->d;
    pfx_solve *s = v->m.s = pfx_mem_calloc(1, sizeof *s, err);
    v->column = pfx_mem_alloc(d->p, sizeof *v->column, err);
    if (!s || !v->column) return PFX_ENOMEM;
    s->p = d->p;
    s->keep = pfx_mem_calloc(d->p, sizeof *s->keep, err);
    s->dropped = pfx_mem_calloc(d->p, sizeof *s->dropped, err);
    s->reason = pfx_mem_calloc(d->p, sizeof *s->reason, err);
    s->b = pfx_mem_calloc(d->p, sizeof *s->b, err);
    if (!s->keep || !s->dropped || !s->reason || !s->b) return PFX_ENOMEM;
    for (int j = 0; j < d->p - 1; j++) {
        bool endogenous = d->role[j] == PFX_ENDOGENOUS;
        if (is_dropped(endogenous ? x : v->z, j, &s->reason[s->n_dropped]))
            s->dropped[s->n_dropped++] = j;
        else if (endogenous)
            s->keep[s->k++] = v->column[v->n++] = j;
    }
    v->column[v->n] = d->p - 1;
    v->L = v->z->k;
    for (int a = 0; a < v->L; a++) v->n_exog += d->role[v->z->keep[a]] == PFX_REGRESSOR;
    v->n_excluded = v->L - v->n_exog;
    for (int a = 0; a < v->n_exog; a++) s->keep[s->k++] = v->z->keep[a];
    s->pivot_ratio = fmax(x->pivot_ratio, v->z->pivot_ratio);
    s->condition = fmax(x->condition, v->z->condition);
    s->qr = x->qr || v->z->qr;
    v->delicate = x->whitened;
    return PFX_OK;
}

/* The columns of a role that were left out, and why: "Bartik (absorbed by the effects), ...". */
static void list_role(const pfx_ivm *v, pfx_role role, pfx_str *out)
{
    const pfx_solve *s = v->m.s;
    for (int i = 0; i < s->n_dropped; i++)
        if (v->d->role[s->dropped[i]] == role)
            pfx_str_addf(out, "%s%s (%s)", out->len ? ", " : "", v->d->name[s->dropped[i]],
                         pfx_drop_text(s->reason[i]));
}

static pfx_status check_counts(const pfx_ivm *v, pfx_err *err)
{
    const char *formula = v->d->formula ? v->d->formula : "formula";
    pfx_str out = {0};
    pfx_status st = PFX_OK;
    if (v->n == 0) {
        list_role(v, PFX_ENDOGENOUS, &out);
        st = pfx_fail(err, PFX_EIDENT,
                      "%s: no endogenous variable is left: %s; leave out an effect or choose others", formula,
                      out.s ? out.s : "");
    } else if (v->n_excluded < v->n) {
        list_role(v, PFX_INSTRUMENT, &out);
        st = pfx_fail(err, PFX_EIDENT,
                      "%s: not identified: %d endogenous variable%s and %d instrument%s; left out: %s; leave "
                      "out an effect or "
                      "choose other instruments",
                      formula, v->n, v->n == 1 ? "" : "s", v->n_excluded, v->n_excluded == 1 ? "" : "s",
                      out.s ? out.s : "none");
    }
    pfx_str_free(&out);
    return st;
}

/* Absorb the effects, and find which columns stay. */
static pfx_status prepare(pfx_ivm *v, pfx_err *err)
{
    pfx_ols *m = &v->m;
    const pfx_fit_options *o = v->o;
    pfx_absorb_options ao = {.tol = o->tol, .maxiter = o->maxiter, .nth = o->nth, .isa = o->isa};
    pfx_solve *x = NULL;
    int *col = pfx_mem_alloc(v->d->p, sizeof *col, err);
    pfx_status st = col ? pfx_absorber_create(v->d, &ao, &m->a, err) : PFX_ENOMEM;
    if (st != PFX_OK) goto done;
    m->info = pfx_absorber_info(m->a);
    m->f->route = m->info->route;
    m->f->converged = m->info->converged;
    m->f->iterations = m->info->iterations;
    m->f->rank_absorbed = v->d->n_absorbed > 0 ? m->info->rank : 0;
    if ((st = pfx_ols_check_range(m, err)) != PFX_OK) goto done;
    int n = columns_of(v->d, PFX_INSTRUMENT, col);
    if ((st = pfx_solve_columns(v->d, m->a, n, col, o->nth, o->isa, &v->z, err)) != PFX_OK) goto done;
    n = columns_of(v->d, PFX_ENDOGENOUS, col);
    if ((st = pfx_solve_columns(v->d, m->a, n, col, o->nth, o->isa, &x, err)) != PFX_OK) goto done;
    if ((st = structural_solver(v, x, err)) != PFX_OK || (st = check_counts(v, err)) != PFX_OK) goto done;
    m->intercept = v->d->intercept && v->d->n_absorbed == 0;
    m->k = m->s->k + m->intercept;
    m->f->condition = m->s->condition;
    m->f->solver = m->s->qr ? "qr" : "cholesky";
    st = pfx_ols_list_collinear(m, err);
    if (st == PFX_OK && m->s->pivot_ratio > KAPPA_WARN)
        pfx_warn(
            "regressors or instruments are ill-conditioned (condition number %.1e): about %d digits of the "
            "estimates are sound; centre or rescale them, or drop one",
            m->s->condition, (int)fmax(0, 16 - log10(m->s->condition)));
done:
    pfx_solve_free(x);
    pfx_mem_free(col);
    return st;
}

static pfx_status allocate(pfx_ivm *v, pfx_err *err)
{
    pfx_idx n = v->n, m = n + 1, L = v->L, l1 = v->n_excluded;
    pfx_idx size = L * m + m * m + 2 * n * n + 3 * n + l1 + n * l1 + (PFX_IV_PARTIAL + n) * (l1 + m);
    v->P = pfx_mem_calloc(size, sizeof *v->P, err);
    v->m.c = pfx_mem_alloc(v->d->p, sizeof *v->m.c, err);
    v->m.gradient = pfx_mem_calloc(v->m.q, sizeof *v->m.gradient, err);
    if (!v->P || !v->m.c || !v->m.gradient) return PFX_ENOMEM;
    v->O = v->P + L * m;
    v->U = v->O + m * m;
    v->R = v->U + n * n;
    v->b = v->R + n * n;
    v->b_least = v->b + n;
    v->b_v = v->b_least + n;
    v->gap = v->b_v + n;
    v->H = v->gap + l1;
    v->made = v->H + n * l1;
    return PFX_OK;
}

/* V = B M B', B [k x n], into V [k x k]. work [k x n]. */
static void sandwich(int k, int n, const double *B, const double *M, double *V, double *work)
{
    for (int i = 0; i < k; i++)
        for (int j = 0; j < n; j++) {
            double s = 0;
            for (int l = 0; l < n; l++) s += B[(pfx_idx)i * n + l] * M[(pfx_idx)l * n + j];
            work[(pfx_idx)i * n + j] = s;
        }
    for (int i = 0; i < k; i++)
        for (int j = 0; j <= i; j++) {
            double s = 0;
            for (int l = 0; l < n; l++) s += work[(pfx_idx)i * n + l] * B[(pfx_idx)j * n + l];
            V[(pfx_idx)i * k + j] = V[(pfx_idx)j * k + i] = s;
        }
}

/* Variance of coefficients m->f from the scores that begin at `at`, a constant's first. B [k x (1 + L)] turns
 * the sums of scores into coefficients, the intercept's row (if any) left for here. */
static pfx_status variance(const pfx_ivm *v, pfx_ols *m, int at, double *B, pfx_err *err)
{
    int n = 1 + v->L, k = m->k, i0 = m->intercept;
    const double *mean = pfx_absorber_mean(m->a);
    pfx_idx nn = (pfx_idx)n * n;
    double factor[3], *M = pfx_mem_alloc(nn + (pfx_idx)k * n, sizeof *M, err);
    int *list = pfx_mem_alloc(n, sizeof *list, err);
    m->f->V = pfx_mem_calloc((pfx_idx)k * k, sizeof *m->f->V, err);
    pfx_status st = M && list && m->f->V ? PFX_OK : PFX_ENOMEM;
    if (st != PFX_OK) goto done;
    if (i0) {
        B[0] = 1 / m->sum_w;
        for (int j = 1; j < n; j++) {
            B[j] = 0;
            for (int i = 0; i < m->s->k; i++) B[j] -= mean[m->s->keep[i]] * B[(pfx_idx)(i + 1) * n + j];
        }
    }
    for (int i = 0; i < n; i++) list[i] = at + i;
    pfx_iv_factors(v, &m->ssc, factor);
    pfx_iv_meat(v, factor, n, list, M);
    sandwich(k, n, B, M, m->f->V, M + nn);
    if (m->f->vcov != PFX_VCOV_TWOWAY) goto done;
    st = pfx_vcov_floor(k, m->f->V, &m->f->v_floored, err);
    if (m->f->v_floored)
        pfx_warn("the two-way clustered variance of %s is not positive semi-definite: negative eigenvalues "
                 "were set to "
                 "zero (Cameron, Gelbach and Miller 2011)",
                 m->f->outcome);
done:
    pfx_mem_free(M);
    pfx_mem_free(list);
    return st;
}

static void set_intercept(pfx_ols *m)
{
    const double *mean = pfx_absorber_mean(m->a);
    m->b0 = mean[m->y];
    for (int i = 0; i < m->s->k; i++) m->b0 -= mean[m->s->keep[i]] * m->s->b[i];
}

/* Rows of the inverse of the exogenous factor, scaled: coefficients of the exogenous from q1. */
static pfx_status structural_variance(pfx_ivm *v, pfx_err *err)
{
    pfx_ols *m = &v->m;
    int n = v->n, nx = v->n_exog, L = v->L, l1 = v->n_excluded, w = 1 + L, i0 = m->intercept;
    double *B = pfx_mem_calloc((pfx_idx)m->k * w + nx, sizeof *B, err), *x = B + (pfx_idx)m->k * w;
    if (!B) return PFX_ENOMEM;
    for (int i = 0; i < n; i++)
        for (int a = 0; a < l1; a++) B[(pfx_idx)(i0 + i) * w + 1 + nx + a] = v->H[(pfx_idx)i * l1 + a];
    for (int c = 0; c < L; c++) { /* x = Rx^-1 (e_c - P1 H e_c) */
        for (int a = 0; a < nx; a++) {
            x[a] = a == c;
            for (int i = 0; i < n && c >= nx; i++)
                x[a] -= v->P[(pfx_idx)a * (n + 1) + i] * v->H[(pfx_idx)i * l1 + c - nx];
        }
        pfx_iv_backward(nx, L, v->z->R, x);
        for (int a = 0; a < nx; a++) B[(pfx_idx)(i0 + n + a) * w + 1 + c] = x[a] / v->z->scale[a];
    }
    pfx_status st = variance(v, m, v->at_u, B, err);
    pfx_mem_free(B);
    return st;
}

/* The regression of endogenous variable c on all instruments, as a fit of its own. */
static pfx_status first_stage(pfx_ivm *v, int c, pfx_idx g12, pfx_ssc_out *ssc, pfx_err *err)
{
    pfx_fit_options o = *v->o;
    pfx_ols m = v->m;
    int L = v->L, w = 1 + L, i0 = m.intercept;
    o.vcov = v->m.f->vcov;
    o.save = false;
    o.n_tests = 0;
    m.o = &o;
    m.s = v->z;
    m.y = v->column[c];
    m.k = L + i0;
    m.ssr = v->O[c * (v->n + 1) + c];
    if (!(m.f = v->iv->stage[c].fit = pfx_mem_calloc(1, sizeof *m.f, err))) return PFX_ENOMEM;
    m.f->first_stage = &v->iv->stage[c];
    m.f->route = m.info->route;
    m.f->converged = true;
    m.f->iterations = m.info->iterations;
    m.f->rank_absorbed = v->m.f->rank_absorbed;
    m.f->condition = v->z->condition;
    m.f->solver = v->z->qr ? "qr" : "cholesky";
    m.f->lag = v->m.f->lag;
    m.f->n_periods = v->m.f->n_periods;
    pfx_status st = pfx_ols_describe(&m, err);
    if (st != PFX_OK || (st = pfx_ols_count_parameters(&m, g12, err)) != PFX_OK) return st;
    *ssc = m.ssc;
    double *B = pfx_mem_calloc((pfx_idx)m.k * w + L, sizeof *B, err), *x = B + (pfx_idx)m.k * w;
    if (!B) return PFX_ENOMEM;
    for (int a = 0; a <= L; a++) { /* the coefficients, then the columns of R^-1 */
        for (int i = 0; i < L; i++) x[i] = a == 0 ? v->P[(pfx_idx)i * (v->n + 1) + c] : i == a - 1;
        pfx_iv_backward(L, L, v->z->R, x);
        for (int i = 0; i < L; i++) {
            if (a == 0)
                v->z->b[i] = x[i] / v->z->scale[i];
            else
                B[(pfx_idx)(i0 + i) * w + a] = x[i] / v->z->scale[i];
        }
    }
    if (i0) set_intercept(&m);
    st = variance(v, &m, pfx_iv_at(v, v->at_r, c, 0) - 1 - v->n_exog, B, err);
    pfx_mem_free(B);
    return st == PFX_OK ? pfx_ols_tables(&m, err) : st;
}

/* Degrees of freedom of the F forms, as ivreg2: L counts all instruments and the effects. */
static void set_ratio(pfx_ivm *v, const pfx_ssc_out *ssc)
{
    const pfx_fit *f = v->m.f;
    double left = v->left = v->m.n - ssc->k_adj;
    v->df2 = ssc->df_t;
    v->ratio = left / v->m.n;
    if (!pfx_vcov_is_clustered(f->vcov) || f->vcov == PFX_VCOV_NW) return;
    double G = (double)f->clusters[0].levels;
    if (f->vcov == PFX_VCOV_TWOWAY) G = fmin(G, (double)f->clusters[1].levels);
    v->ratio = left / (v->m.n - 1) * (G - 1) / G;
}

/* The coefficients' own variance, where whole clusters are left out: everything else is by their scores. */
static pfx_status leave_out(pfx_ivm *v, pfx_err *err)
{
    pfx_ols *m = &v->m;
    if (!pfx_vcov_leaves_out(v->o->vcov)) return PFX_OK;
    m->f->vcov = v->o->vcov;
    for (int c = 0; c < 3; c++) m->f->factor[c] = 1;
    return pfx_ols_cluster_variance(m, err);
}

static pfx_status statistics(pfx_ivm *v, pfx_idx g12, pfx_err *err)
{
    pfx_ssc_out ssc = {0};
    pfx_ols *m = &v->m;
    pfx_status st = PFX_OK;
    pfx_iv *iv = v->iv = m->f->iv = pfx_mem_calloc(1, sizeof *iv, err);
    if (!iv || !(iv->stage = pfx_mem_calloc(v->n, sizeof *iv->stage, err))) return PFX_ENOMEM;
    iv->n_instruments = v->n_excluded;
    iv->level = v->o->level;
    for (int c = 0; c < v->n && st == PFX_OK; c++) {
        iv->n_endogenous++;
        st = first_stage(v, c, g12, &ssc, err);
    }
    if (st != PFX_OK) return st;
    set_ratio(v, &ssc);
    iv->critical = pfx_stock_yogo_values(v->n, v->n_excluded);
    if ((st = pfx_iv_stage_tests(v, err)) != PFX_OK || (st = pfx_iv_rank_tests(v, err)) != PFX_OK ||
        (st = pfx_iv_j_tests(v, err)) != PFX_OK || (st = pfx_iv_anderson_rubin(v, err)) != PFX_OK)
        return st;
    return pfx_iv_wu_hausman(v, err);
}

static pfx_status results(pfx_ivm *v, pfx_idx g12, pfx_err *err)
{
    pfx_ols *m = &v->m;
    pfx_status st = pfx_ols_count_parameters(m, g12, err);
    if (st == PFX_OK && !pfx_vcov_leaves_out(v->o->vcov)) st = structural_variance(v, err);
    if (st == PFX_OK && m->intercept) set_intercept(m);
    if (st == PFX_OK) st = statistics(v, g12, err);
    if (st == PFX_OK) st = leave_out(v, err);
    return st == PFX_OK ? pfx_ols_tables(m, err) : st;
}

static pfx_status run(pfx_ivm *v, pfx_factor *both, pfx_hac *hac, pfx_err *err)
{
    const pfx_design *d = v->d;
    pfx_ols *m = &v->m;
    pfx_status st = prepare(v, err);
    if (st != PFX_OK || (st = pfx_ols_describe(m, err)) != PFX_OK) return st;
    m->f->method = "2sls";
    if (pfx_vcov_leaves_out(m->f->vcov)) m->f->vcov = PFX_VCOV_CLUSTER;
    if (pfx_vcov_is_hac(m->f->vcov)) {
        if ((st = pfx_ols_hac(m, hac, err)) != PFX_OK) return st;
        v->hac = hac;
    }
    const pfx_factor *cluster[3] = {NULL, NULL, NULL};
    v->n_meats = m->f->vcov == PFX_VCOV_IID ? 0 : m->f->vcov == PFX_VCOV_TWOWAY ? 3 : 1;
    if (pfx_vcov_is_clustered(m->f->vcov)) cluster[0] = &d->clusters[0];
    if (m->f->vcov == PFX_VCOV_TWOWAY) {
        if ((st = pfx_cluster_intersect(d->n, &d->clusters[0], &d->clusters[1], both, err)) != PFX_OK)
            return st;
        cluster[1] = &d->clusters[1];
        cluster[2] = both;
    }
    if ((st = allocate(v, err)) != PFX_OK || (st = pfx_iv_reduced_form(v, cluster, err)) != PFX_OK ||
        (st = pfx_iv_least_squares(v, err)) != PFX_OK || (st = pfx_iv_check_rank(v, err)) != PFX_OK ||
        (st = pfx_iv_second_stage(v, err)) != PFX_OK || (st = pfx_iv_collect(v, cluster, err)) != PFX_OK ||
        (st = results(v, both->n_levels, err)) != PFX_OK)
        return st;
    if (v->singular)
        pfx_warn("%s: the instruments explain an endogenous variable wholly: it is exogenous, and 2SLS is "
                 "least squares",
                 d->formula ? d->formula : "formula");
    return v->o->save ? pfx_ols_save(m, err) : PFX_OK;
}

static pfx_status check_roles(const pfx_design *d, pfx_err *err)
{
    int n = 0, l = 0;
    for (int j = 0; j < d->p; j++) n += d->role[j] == PFX_ENDOGENOUS, l += d->role[j] == PFX_INSTRUMENT;
    if (l >= n) return PFX_OK;
    return pfx_fail(err, PFX_EUSAGE,
                    "%s: %d instrument%s for %d endogenous variables; at least as many are needed",
                    d->formula ? d->formula : "formula", l, l == 1 ? "" : "s", n);
}

pfx_status pfx_fit_iv(pfx_design *d, const pfx_fit_options *o, pfx_fit **out, pfx_err *err)
{
    double t0 = pfx_wall_s();
    pfx_ivm v = {.d = d, .o = o, .m = {.d = d, .o = o, .p = d->p, .q = d->p + 1, .y = d->p - 1}};
    pfx_factor both = {0};
    pfx_hac hac = {0};
    pfx_status st = check_roles(d, err);
    if (st == PFX_OK) st = pfx_ols_check_design(d, err);
    if (st == PFX_OK) st = pfx_ols_check_variance(d, o, err);
    if (st != PFX_OK) return st;
    if (!(v.m.f = pfx_mem_calloc(1, sizeof *v.m.f, err))) return PFX_ENOMEM;
    st = run(&v, &both, &hac, err);
    v.m.f->compute_s = pfx_wall_s() - t0;
    pfx_factor_clear(&both);
    pfx_hac_clear(&hac);
    release(&v);
    if (st == PFX_OK)
        *out = v.m.f;
    else
        pfx_fit_free(v.m.f);
    return st;
}
