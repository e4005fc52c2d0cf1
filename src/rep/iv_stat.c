#include "src/rep/iv_stat.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/iv_small.h"
#include "src/model/design.h"
#include "src/rep/iv_lanes.h"

static bool left_out(const pfx_clusterstat_options *o, const char *name)
{
    for (int i = 0; i < o->n_collinear; i++)
        if (!strcmp(name, o->collinear[i])) return true;
    return false;
}

static int column_of(const pfx_design *d, const char *name)
{
    int j = 0;
    while (j < d->p - 1 && strcmp(d->name[j], name)) j++;
    return j < d->p - 1 ? j : -1;
}

/* Columns of a role that the fit kept. Returns how many. */
static int add_role(const pfx_design *d, const pfx_clusterstat_options *o, pfx_role role, const char **to)
{
    int n = 0;
    for (int j = 0; j < d->p - 1; j++)
        if (d->role[j] == role && !left_out(o, d->name[j])) to[n++] = d->name[j];
    return n;
}

pfx_status pfx_iv_terms_create(const pfx_design *d, const pfx_clusterstat_options *o, pfx_iv_terms *out,
                               pfx_err *err)
{
    pfx_iv_terms t = {0};
    *out = t;
    for (int j = 0; j < d->p; j++) t.n_endogenous += d->role[j] == PFX_ENDOGENOUS;
    if (t.n_endogenous == 0) return PFX_OK;
    for (int j = 0; j < d->p - 1; j++) /* what the fit left out is known by its name */
        for (int i = 0; i < j; i++)
            if (d->role[i] != d->role[j] && !strcmp(d->name[i], d->name[j])) {
                t.n_endogenous = 0;
                return pfx_fail(err, PFX_EUSAGE, "%s stands in two parts of the formula; name it once",
                                d->name[j]);
            }
    t.name = pfx_mem_calloc(d->p + o->n_terms, sizeof *t.name, err);
    t.place = pfx_mem_alloc(o->n_terms, sizeof *t.place, err);
    *out = t;
    if (!t.name || !t.place) return PFX_ENOMEM;
    for (int i = 0; i < o->n_terms; i++) {
        int j = column_of(d, o->terms[i]);
        if (j >= 0 && d->role[j] == PFX_INSTRUMENT)
            return pfx_fail(err, PFX_EUSAGE,
                            "%s is an instrument: the equation has no coefficient of it to test",
                            o->terms[i]);
        /* Those that are no column, or were left out, too: the design says what is wrong with them. */
        if (j < 0 || d->role[j] != PFX_ENDOGENOUS || left_out(o, o->terms[i])) {
            t.place[i] = t.n_exog;
            t.name[t.n_exog++] = o->terms[i];
        }
    }
    t.n_instruments = add_role(d, o, PFX_INSTRUMENT, t.name + t.n_exog);
    const char **endogenous = t.name + t.n_exog + t.n_instruments;
    t.n_endogenous = add_role(d, o, PFX_ENDOGENOUS, endogenous);
    t.n = t.n_exog + t.n_instruments + t.n_endogenous;
    for (int i = 0; i < o->n_terms; i++)
        for (int e = 0; e < t.n_endogenous; e++)
            if (!strcmp(o->terms[i], endogenous[e])) t.place[i] = t.n_exog + e;
    *out = t;
    return PFX_OK;
}

void pfx_iv_terms_free(pfx_iv_terms *t)
{
    pfx_mem_free(t->name);
    pfx_mem_free(t->place);
}

typedef struct stages {
    int p, L, ne, n, l1;
    const pfx_solve *z;
    double *P;    /* [L x (n + 1)] coefficients on q of the endogenous, the outcome */
    double *A;    /* [l1 x (n + 1)] those on the instruments, turned: R on top, then b~ */
    double *beta; /* [n] */
} stages;

static pfx_status first_stage(const stages *g, const double *gram, pfx_err *err)
{
    int L = g->L, n = g->n, m = n + 1;
    double *x = pfx_mem_alloc(L, sizeof *x, err);
    if (!x) return PFX_ENOMEM;
    for (int i = 0; i < m; i++) {
        for (int a = 0; a < L; a++)
            x[a] = gram[(pfx_idx)g->z->keep[a] * g->p + g->p - m + i] / g->z->scale[a];
        pfx_iv_forward(L, L, g->z->R, x);
        for (int a = 0; a < L; a++) g->P[(pfx_idx)a * m + i] = x[a];
    }
    pfx_mem_free(x);
    memcpy(g->A, g->P + (pfx_idx)g->ne * m, (size_t)(g->l1 * m) * sizeof *g->A);
    pfx_iv_qr(g->l1, n, m, g->A);
    for (int i = 0; i < n; i++)
        if (!(g->A[(pfx_idx)i * m + i] > 0))
            return pfx_fail(err, PFX_EIDENT,
                            "not identified: the instruments do not explain the endogenous "
                            "variables");
    for (int i = 0; i < n; i++) g->beta[i] = g->A[(pfx_idx)i * m + n];
    pfx_iv_backward(n, m, g->A, g->beta);
    return PFX_OK;
}

/* The equation's triangular factor, norms, and coefficients of tested exogenous and endogenous. */
static void structural(const stages *g, const double *R, pfx_clusterstat *o)
{
    int ne = g->ne, n = g->n, m = n + 1, K = ne + n, first = K - o->n_terms;
    for (int i = 0; i < ne; i++) {
        for (int j = i; j < ne; j++) o->R[(pfx_idx)i * K + j] = R[(pfx_idx)i * g->L + j];
        for (int j = 0; j < n; j++) o->R[(pfx_idx)i * K + ne + j] = g->P[(pfx_idx)i * m + j];
    }
    for (int i = 0; i < n; i++)
        for (int j = i; j < n; j++) o->R[(pfx_idx)(ne + i) * K + ne + j] = g->A[(pfx_idx)i * m + j];
    for (int t = 0; t < o->n_terms; t++) {
        int j = first + t;
        o->b[t] = j < ne ? g->P[(pfx_idx)j * m + n] : g->A[(pfx_idx)(j - ne) * m + n];
        for (int i = 0; i <= j; i++) o->norm[t] = hypot(o->norm[t], o->R[(pfx_idx)i * K + j]);
    }
    pfx_clusterstat_unwhiten(o, o->b);
}

/* One column: less Q1 (Q1'Y) coef, where it is Y coef and Y [n + 1] the endogenous and the outcome. */
static void combine(const stages *g, const double *T, const double *coef, double *c)
{
    int m = g->n + 1;
    for (int i = 0; i < m; i++) c[g->p - m + i] = coef[i];
    for (int a = 0; a < g->ne; a++) {
        double q = 0;
        for (int i = 0; i < m; i++) q += g->P[(pfx_idx)a * m + i] * coef[i];
        for (int i = 0; i <= a; i++) c[g->z->keep[i]] -= T[(pfx_idx)i * g->L + a] * q;
    }
}

static pfx_status allocate(const stages *g, const pfx_iv_terms *t, int n_terms, pfx_clusterstat_iv *iv,
                           pfx_err *err)
{
    pfx_idx K = g->ne + g->n;
    pfx_clusterstat *o = &iv->structural;
    iv->L = g->L;
    iv->n_exog = g->ne;
    iv->n = g->n;
    o->k = (int)K;
    o->n_terms = t->n_exog + g->n;
    o->R = pfx_mem_calloc(K * K, sizeof *o->R, err);
    o->b = pfx_mem_alloc(o->n_terms, sizeof *o->b, err);
    o->norm = pfx_mem_calloc(o->n_terms, sizeof *o->norm, err);
    iv->place = pfx_mem_alloc(n_terms, sizeof *iv->place, err);
    iv->functional = pfx_mem_calloc((pfx_idx)n_terms * o->n_terms, sizeof *iv->functional, err);
    if (!o->R || !o->b || !o->norm || !iv->place || !iv->functional) return PFX_ENOMEM;
    memcpy(iv->place, t->place, (size_t)n_terms * sizeof *iv->place);
    return PFX_OK;
}

static void set_terms(pfx_clusterstat *s)
{
    for (int i = 0; i < s->n_terms; i++) s->b[i] = s->iv->structural.b[s->iv->place[i]];
}

pfx_status pfx_iv_stat_create(int p, const double *gram, const pfx_solve *z, const double *T,
                              const pfx_iv_terms *t, pfx_clusterstat *s, double *c, pfx_err *err)
{
    stages g = {.p = p, .L = z->k, .n = t->n_endogenous, .z = z};
    int first_instrument = p - 1 - t->n_endogenous - t->n_instruments;
    while (g.ne < g.L && z->keep[g.ne] < first_instrument) g.ne++;
    g.l1 = g.L - g.ne;
    if (g.l1 < g.n)
        return pfx_fail(err, PFX_EIDENT, "not identified: %d endogenous variables and %d instruments", g.n,
                        g.l1);
    pfx_idx m = g.n + 1;
    s->iv = pfx_mem_calloc(1, sizeof *s->iv, err);
    g.P = pfx_mem_alloc(g.L * m + g.l1 * m + g.n + m, sizeof *g.P, err);
    pfx_status st = s->iv && g.P ? allocate(&g, t, s->n_terms, s->iv, err) : PFX_ENOMEM;
    if (st != PFX_OK) goto done;
    g.A = g.P + g.L * m;
    g.beta = g.A + g.l1 * m;
    double *coef = g.beta + g.n;
    if ((st = first_stage(&g, gram, err)) != PFX_OK) goto done;
    pfx_clusterstat *o = &s->iv->structural;
    structural(&g, s->R, o);
    for (int i = 0; i < g.n; i++) { /* column i of y~: Y2 times that of the inverse of R */
        for (int j = 0; j < m; j++) coef[j] = j == i;
        pfx_iv_backward(g.n, (int)m, g.A, coef);
        combine(&g, T, coef, c + (pfx_idx)i * p);
    }
    for (int i = 0; i < g.n; i++) coef[i] = -g.beta[i];
    coef[g.n] = 1;
    combine(&g, T, coef, c + (pfx_idx)g.n * p);
    for (int i = 0; i < s->n_terms; i++) {
        double *f = s->iv->functional + (pfx_idx)i * o->n_terms;
        f[s->iv->place[i]] = 1;
        pfx_clusterstat_functional(o, f);
    }
    set_terms(s);
done:
    pfx_mem_free(g.P);
    return st;
}

void pfx_iv_stat_free(pfx_clusterstat_iv *iv)
{
    if (!iv) return;
    pfx_mem_free(iv->structural.R);
    pfx_mem_free(iv->structural.b);
    pfx_mem_free(iv->structural.norm);
    pfx_mem_free(iv->place);
    pfx_mem_free(iv->functional);
    pfx_mem_free(iv);
}

/* The last column of packed M less the others times x [k]. */
static void take_off(int k, const double *x, double *M)
{
    double *last = M + (pfx_idx)k * (k + 1) / 2;
    for (int i = 0; i < k; i++) last[k] -= 2 * x[i] * last[i];
    for (int i = 0, at = 0; i < k; i++)
        for (int j = 0; j <= i; j++, at++) {
            last[k] += (i == j ? 1 : 2) * x[i] * M[at] * x[j];
            last[i] -= M[at] * x[j];
            if (j < i) last[j] -= M[at] * x[i];
        }
}

pfx_status pfx_iv_stat_refine(pfx_isa isa, pfx_clusterstat *s, pfx_err *err)
{
    enum { LANES = PFX_REP_LANES };
    pfx_clusterstat *o = &s->iv->structural;
    int ne = s->iv->n_exog, first = o->k - o->n_terms;
    double *C = pfx_mem_alloc(s->ld * LANES + pfx_iv_lanes_size(s) + s->k + o->n_terms, sizeof *C, err);
    if (!C) return PFX_ENOMEM;
    double *x = C + s->ld * LANES + pfx_iv_lanes_size(s), *step = x + s->k;
    const pfx_iv_lanes v = pfx_iv_lanes_at(s, C, C + s->ld * LANES);
    for (pfx_idx i = 0; i < s->ld * LANES; i++) C[i] = s->A[i / LANES];
    pfx_iv_lanes_solve(isa, s, &v);
    memset(x, 0, (size_t)s->k * sizeof *x);
    for (int j = 0; j < o->k; j++) x[j < ne ? j : s->iv->L + j - ne] = v.x[j * LANES];
    for (pfx_idx g = 0; g < s->G; g++) take_off(s->k, x, s->M + g * s->ld);
    take_off(s->k, x, s->A);
    for (pfx_idx r = 0; r < s->n_rows && s->Q; r++) {
        double *row = s->Q + r * (s->k + 1);
        for (int j = 0; j < s->k; j++) row[s->k] -= row[j] * x[j];
    }
    for (int t = 0; t < o->n_terms; t++) step[t] = v.x[(first + t) * LANES];
    pfx_clusterstat_unwhiten(o, step);
    for (int t = 0; t < o->n_terms; t++) o->b[t] += step[t];
    set_terms(s);
    pfx_mem_free(C);
    return PFX_OK;
}
