/* Cluster statistics: absorb, solve, refine, whiten, and sum the products of each cluster's rows. */
#include "src/rep/clusterstat_private.h"

#include <math.h>
#include <string.h>
#include "kernels/gram.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/absorb.h"
#include "src/est/solve.h"
#include "src/est/vcov.h"
#include "src/model/design.h"
#include "src/rep/iv_stat.h"

/* Steps of refinement: the second only moves digits that the condition number took from the first. */
enum { REFINE_STEPS = 2 };
/* Blocks whose products are held before they are added to their clusters: at most so many for each thread,
 * and bytes in all. */
enum { BLOCKS_PER_THREAD = 4 };
static const double HELD_BYTES = 64.0 * 1048576.0;

typedef struct pass {
    const pfx_design *d;
    pfx_absorber *a;
    const pfx_solve *s;
    pfx_clusterstat *out;
    pfx_isa isa;
    double *T; /* [k x k] R^-1, upper */
    const pfx_iv_terms *iv;
    int n_last; /* columns after the whitened ones, 1: the residual */
    double *c;  /* [n_last x d->p] each of them = row of Z~ times its c */
    pfx_idx max_rows, block0;
    double *Z, *Q;    /* [nth][max_rows x d->p], [nth][max_rows x p] */
    double *gram;     /* [nth][p x p] */
    double *sums;     /* [blocks of a round][runs x ld] */
    int32_t *cluster; /* [blocks of a round][max_rows] of each run */
    pfx_idx *n_runs;  /* [blocks of a round] */
} pass;

/* Rows of a block: whitened regressors, then the last columns. */
static void whiten(const pass *ps, pfx_idx n, const double *Z, double *Q)
{
    const pfx_solve *s = ps->s;
    int k = s->k, p = ps->d->p;
    for (pfx_idx r = 0; r < n; r++) {
        const double *z = Z + r * p;
        double *q = Q + r * (k + ps->n_last);
        memset(q, 0, (size_t)(k + ps->n_last) * sizeof *q);
        for (int i = 0; i < k; i++) {
            double x = z[s->keep[i]];
            const double *t = ps->T + (pfx_idx)i * k;
            for (int j = i; j < k; j++) q[j] += x * t[j];
        }
        for (int i = 0; i < ps->n_last; i++) {
            const double *c = ps->c + (pfx_idx)i * p;
            double e = 0;
            for (int j = 0; j < p; j++) e += z[j] * c[j];
            q[k + i] = e;
        }
    }
}

/* One block: the products of each run of rows of one cluster, packed. */
static void block_products(void *ctx, pfx_idx slot, int thread)
{
    const pass *ps = ctx;
    const int32_t *code = ps->d->clusters[0].code;
    int p = ps->out->k + 1;
    double *Z = ps->Z + thread * ps->max_rows * ps->d->p, *Q = ps->Q + thread * ps->max_rows * p;
    double *gram = ps->gram + (pfx_idx)thread * p * p, *to = ps->sums + slot * ps->max_rows * ps->out->ld;
    int32_t *cluster = ps->cluster + slot * ps->max_rows;
    pfx_idx row0, n, runs = 0;

    pfx_absorber_block_rows(ps->a, ps->block0 + slot, &row0, &n);
    pfx_absorber_block(ps->a, ps->block0 + slot, Z);
    whiten(ps, n, Z, Q);
    if (ps->out->Q) memcpy(ps->out->Q + row0 * p, Q, (size_t)(n * p) * sizeof *Q);
    for (pfx_idx r = 0, end; r < n; r = end, runs++, to += ps->out->ld) {
        for (end = r + 1; end < n && code[row0 + end] == code[row0 + r];) end++;
        memset(gram, 0, (size_t)(p * p) * sizeof *gram);
        pfx_k_gram(ps->isa, end - r, p, p, Q + r * p, ps->d->w ? ps->d->w + row0 + r : NULL, gram);
        for (int i = 0, at = 0; i < p; i++)
            for (int j = 0; j <= i; j++) to[at++] = gram[j * p + i];
        cluster[runs] = code[row0 + r];
    }
    ps->n_runs[slot] = runs;
}

/* Runs are added to their clusters in the order of rows. */
static void add_runs(const pass *ps, pfx_idx n_slots)
{
    pfx_clusterstat *o = ps->out;
    pfx_idx live = (pfx_idx)(o->k + 1) * (o->k + 2) / 2;
    for (pfx_idx b = 0; b < n_slots; b++)
        for (pfx_idx r = 0; r < ps->n_runs[b]; r++) {
            const double *from = ps->sums + (b * ps->max_rows + r) * o->ld;
            double *to = o->M + ps->cluster[b * ps->max_rows + r] * o->ld;
            for (pfx_idx i = 0; i < live; i++) to[i] += from[i];
        }
}

static pfx_status sum_clusters(pass *ps, int nth, pfx_err *err)
{
    pfx_status st = PFX_OK;
    pfx_clusterstat *o = ps->out;
    pfx_idx slots = (pfx_idx)nth * BLOCKS_PER_THREAD, n_blocks = pfx_absorber_n_blocks(ps->a);
    int p = o->k + 1;
    ps->max_rows = pfx_absorber_max_block_rows(ps->a);
    double fit = HELD_BYTES / ((double)ps->max_rows * (double)o->ld * sizeof *ps->sums);
    if (fit < (double)slots) slots = fit > 1 ? (pfx_idx)fit : 1;
    ps->Z = pfx_mem_alloc(nth * ps->max_rows * ps->d->p, sizeof *ps->Z, err);
    ps->Q = pfx_mem_alloc(nth * ps->max_rows * p, sizeof *ps->Q, err);
    ps->gram = pfx_mem_alloc((pfx_idx)nth * p * p, sizeof *ps->gram, err);
    ps->sums = pfx_mem_alloc(slots * ps->max_rows * o->ld, sizeof *ps->sums, err);
    ps->cluster = pfx_mem_alloc(slots * ps->max_rows, sizeof *ps->cluster, err);
    ps->n_runs = pfx_mem_alloc(slots, sizeof *ps->n_runs, err);
    if (!ps->Z || !ps->Q || !ps->gram || !ps->sums || !ps->cluster || !ps->n_runs) {
        st = PFX_ENOMEM;
        goto done;
    }
    for (ps->block0 = 0; ps->block0 < n_blocks; ps->block0 += slots) {
        pfx_idx n = n_blocks - ps->block0 < slots ? n_blocks - ps->block0 : slots;
        pfx_par_for(n, nth, block_products, ps);
        add_runs(ps, n);
    }
    for (pfx_idx g = 0; g < o->G; g++)
        for (pfx_idx i = 0; i < o->ld; i++) o->A[i] += o->M[g * o->ld + i];
done:
    pfx_mem_free(ps->Z);
    pfx_mem_free(ps->Q);
    pfx_mem_free(ps->gram);
    pfx_mem_free(ps->sums);
    pfx_mem_free(ps->cluster);
    pfx_mem_free(ps->n_runs);
    return st;
}

/* c and the coefficients, refined with gradients from the rows. */
static pfx_status solve_full(pass *ps, pfx_solve *s, int nth, pfx_err *err)
{
    const pfx_design *d = ps->d;
    double *g = pfx_mem_alloc(d->p + 1 + s->k, sizeof *g, err), ssr;
    if (!g) return PFX_ENOMEM;
    pfx_scores sc = {.d = d,
                     .a = ps->a,
                     .c = ps->c,
                     .whiten = s->whitened ? s : NULL,
                     .nth = nth,
                     .isa = ps->isa,
                     .gradient = g,
                     .ssr = &ssr};
    pfx_status st = PFX_OK;
    for (int step = 0; step <= REFINE_STEPS && st == PFX_OK; step++) {
        memset(ps->c, 0, (size_t)d->p * sizeof *ps->c);
        for (int i = 0; i < s->k; i++) ps->c[s->keep[i]] = -s->b[i];
        ps->c[d->p - 1] = 1;
        if (step == REFINE_STEPS) break;
        if ((st = pfx_scores_run(&sc, err)) != PFX_OK) break;
        for (int i = 0; i < s->k; i++) g[d->p + 1 + i] = g[s->whitened ? i : s->keep[i]];
        pfx_solve_refine(s, g + d->p + 1);
    }
    pfx_mem_free(g);
    return st;
}

/* R and R^-1 in raw units. */
static void set_factor(const pass *ps)
{
    const pfx_solve *s = ps->s;
    int k = s->k;
    double *R = ps->out->R, *T = ps->T;
    for (int i = 0; i < k; i++)
        for (int j = i; j < k; j++) R[i * k + j] = s->R[i * k + j] * s->scale[j];
    for (int j = 0; j < k; j++) /* column j of the inverse, from its diagonal up */
        for (int i = j; i >= 0; i--) {
            double v = i == j;
            for (int l = i + 1; l <= j; l++) v -= R[i * k + l] * T[l * k + j];
            T[i * k + j] = v / R[i * k + i];
        }
}

/* The tested terms' coefficients and norms. */
static void set_terms(const pass *ps)
{
    const pfx_solve *s = ps->s;
    pfx_clusterstat *o = ps->out;
    for (int t = 0; t < o->n_terms; t++) {
        int col = s->k - o->n_terms + t;
        o->b[t] = s->b[col];
        for (int i = 0; i <= col; i++) o->norm[t] = hypot(o->norm[t], o->R[(pfx_idx)i * s->k + col]);
    }
}

pfx_status pfx_clusterstat_check_kept(const pfx_design *d, const pfx_solve *s, int n_terms, pfx_err *err)
{
    for (int i = 0; i < s->n_dropped; i++)
        if (s->dropped[i] >= d->p - 1 - n_terms)
            return pfx_fail(err, PFX_ENOCONV,
                            "%s is not identified beside the other regressors and effects (%s)",
                            d->name[s->dropped[i]], pfx_drop_text(s->reason[i]));
    return PFX_OK;
}

static pfx_status allocate(pass *ps, const pfx_clusterstat_options *o, pfx_err *err)
{
    pfx_clusterstat *c = ps->out;
    const pfx_design *d = ps->d;
    int k = ps->s->k + ps->n_last - 1;
    c->k = k;
    c->n_terms = o->n_terms;
    c->maxiter = o->maxiter;
    c->max_bytes = o->max_bytes;
    c->n_rows = d->n;
    c->G = d->clusters[0].n_levels;
    c->rows = (c->G + 7) / 8 * 8;
    c->ld = ((pfx_idx)(k + 1) * (k + 2) / 2 + 7) / 8 * 8;
    double bytes =
        (double)c->rows * (double)c->ld * sizeof *c->M +
        (o->absorb ? (double)d->n * (double)(k + 1) * sizeof *c->Q : 0); /* the rows, where they are kept */
    if (o->max_bytes > 0 && bytes > o->max_bytes)
        return pfx_fail(
            err, PFX_ENOMEM,
            "the statistics of %lld clusters with %d columns need %.0f MiB, more than --memory leaves; "
            "give more, or use fewer regressors and effects that are not nested",
            (long long)c->G, k + 1, bytes / 1048576.0);
    c->M = pfx_mem_calloc(c->rows * c->ld, sizeof *c->M, err);
    c->A = pfx_mem_calloc(c->ld, sizeof *c->A, err);
    c->R = pfx_mem_calloc((pfx_idx)k * k, sizeof *c->R, err);
    c->b = pfx_mem_alloc(o->n_terms, sizeof *c->b, err);
    c->norm = pfx_mem_calloc(o->n_terms, sizeof *c->norm, err);
    c->first_row = pfx_mem_alloc(c->G, sizeof *c->first_row, err);
    c->term = pfx_mem_calloc(o->n_terms, sizeof *c->term, err);
    if (o->absorb && !(c->Q = pfx_mem_alloc(d->n * (k + 1), sizeof *c->Q, err))) return PFX_ENOMEM;
    ps->T = pfx_mem_calloc((pfx_idx)k * k, sizeof *ps->T, err);
    ps->c = pfx_mem_calloc((pfx_idx)ps->n_last * d->p, sizeof *ps->c, err);
    if (!c->M || !c->A || !c->R || !c->b || !c->norm || !c->first_row || !c->term || !ps->T || !ps->c)
        return PFX_ENOMEM;
    for (int t = 0; t < o->n_terms; t++)
        if (!(c->term[t] = pfx_mem_strdup(o->terms[t], err))) return PFX_ENOMEM;
    for (pfx_idx g = 0; g < c->G; g++) c->first_row[g] = INT64_MAX;
    for (pfx_idx i = 0; i < d->n; i++) {
        pfx_idx row = d->row ? d->row[i] : i, *at = &c->first_row[d->clusters[0].code[i]];
        if (row < *at) *at = row;
    }
    return PFX_OK;
}

static pfx_status run(pass *ps, const pfx_clusterstat_options *o, pfx_design *d, int n_effect, pfx_err *err)
{
    pfx_absorb_options ao = {.tol = o->tol, .maxiter = o->maxiter, .nth = o->nth, .isa = o->isa};
    pfx_absorber *a = NULL;
    pfx_solve *s = NULL;
    pfx_status st = pfx_absorber_create(d, &ao, &a, err);
    if (st != PFX_OK) return st;
    ps->a = a;
    const pfx_iv_terms *iv = ps->iv;
    st = pfx_solve_columns(d, a, d->p - 1 - iv->n_endogenous, NULL, o->nth, o->isa, &s, err);
    if (st != PFX_OK) goto done;
    ps->s = s;
    st = pfx_clusterstat_check_kept(d, s, iv->n_endogenous ? iv->n : o->n_terms, err);
    if (st != PFX_OK || (st = allocate(ps, o, err)) != PFX_OK) goto done;
    while (ps->out->n_effect < s->k && s->keep[ps->out->n_effect] < n_effect) ps->out->n_effect++;
    set_factor(ps);
    if (iv->n_endogenous) {
        st = pfx_iv_stat_create(d->p, pfx_absorber_gram(a), s, ps->T, iv, ps->out, ps->c, err);
    } else {
        st = solve_full(ps, s, o->nth, err);
        set_terms(ps);
    }
    if (st == PFX_OK) st = sum_clusters(ps, o->nth, err);
    if (st == PFX_OK && iv->n_endogenous) st = pfx_iv_stat_refine(o->isa, ps->out, err);
done:
    pfx_solve_free(s);
    if (st == PFX_OK && o->absorb)
        ps->out->absorber = a;
    else
        pfx_absorber_free(a);
    return st;
}

pfx_status pfx_clusterstat_create(const pfx_design *d, const pfx_clusterstat_options *o,
                                  pfx_clusterstat **out, pfx_err *err)
{
    pfx_design *own = NULL;
    pfx_iv_terms iv;
    pass ps = {.isa = o->isa, .iv = &iv};
    int n_effect = 0;
    if (d->n_clusters < 1 || d->clusters[0].n_levels < 2)
        return pfx_fail(err, PFX_EDATA, "%s: %lld cluster in the %lld rows used; at least 2 are needed",
                        d->n_clusters ? d->clusters[0].name : "no cluster variable",
                        d->n_clusters ? (long long)d->clusters[0].n_levels : 0LL, (long long)d->n);
    if (!(ps.out = pfx_mem_calloc(1, sizeof *ps.out, err))) return PFX_ENOMEM;
    pfx_clusterstat_options columns = *o;
    pfx_status st = pfx_iv_terms_create(d, o, &iv, err);
    if (iv.n_endogenous) {
        columns.n_terms = iv.n;
        columns.terms = iv.name;
    }
    if (st == PFX_OK && (st = pfx_clusterstat_design(d, &columns, &own, &n_effect, err)) == PFX_OK) {
        ps.d = own;
        ps.n_last = 1 + iv.n_endogenous;
        st = run(&ps, o, own, n_effect, err);
    }
    pfx_iv_terms_free(&iv);
    if (ps.out->absorber)
        ps.out->design = own;
    else
        pfx_design_free(own);
    pfx_mem_free(ps.T);
    pfx_mem_free(ps.c);
    if (st == PFX_OK)
        *out = ps.out;
    else
        pfx_clusterstat_free(ps.out);
    return st;
}

void pfx_clusterstat_free(pfx_clusterstat *s)
{
    if (!s) return;
    for (int t = 0; s->term && t < s->n_terms; t++) pfx_mem_free(s->term[t]);
    pfx_mem_free(s->term);
    pfx_mem_free(s->M);
    pfx_mem_free(s->A);
    pfx_mem_free(s->R);
    pfx_mem_free(s->b);
    pfx_mem_free(s->norm);
    pfx_mem_free(s->first_row);
    pfx_iv_stat_free(s->iv);
    pfx_absorber_free(s->absorber);
    pfx_design_free(s->design);
    pfx_mem_free(s->Q);
    pfx_mem_free(s);
}

void pfx_clusterstat_functional(const pfx_clusterstat *s, double *y)
{
    int k = s->k, n = s->n_terms;
    const double *R = s->R + (pfx_idx)(k - n) * (k + 1); /* first tested term's diagonal */
    for (int i = 0; i < n; i++) {
        for (int l = 0; l < i; l++) y[i] -= R[l * k + i] * y[l];
        y[i] /= R[i * k + i];
    }
}

void pfx_clusterstat_unwhiten(const pfx_clusterstat *s, double *y)
{
    int k = s->k, n = s->n_terms;
    const double *R = s->R + (pfx_idx)(k - n) * (k + 1);
    for (int i = n - 1; i >= 0; i--) {
        for (int j = i + 1; j < n; j++) y[i] -= R[i * k + j] * y[j];
        y[i] /= R[i * k + i];
    }
}
