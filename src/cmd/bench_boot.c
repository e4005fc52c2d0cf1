/* Replications on made-up firm-year panels of the paper's shape: the pairs bootstrap and the cluster
 * jackknife, beside refits of literally resampled rows. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/multinomial.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/cmd/bench_private.h"
#include "src/est/fit.h"
#include "src/rep/clusterstat.h"
#include "src/rep/jackknife.h"
#include "src/rep/keep.h"
#include "src/rep/pairs.h"

enum { P = BENCH_COLUMNS, REFITS = 5 };
static const uint64_t SEED = 1;

typedef struct job {
    pfx_design *d;
    pfx_clusterstat *s;
    pfx_pairs *pairs;
    pfx_jackknife *jack;
    pfx_draw_keep keep;
    pfx_idx reps;
    int nth;
    pfx_isa isa;
} job;

/* The rows of a replicate: each copy of a firm has an effect and a cluster of its own; g < 0: the counts as
 * they are, without cluster g. */
static pfx_status resample(const pfx_design *d, const uint8_t *count, pfx_design **out, pfx_err *err)
{
    pfx_idx n = 0;
    int32_t copies = 0, level[64];
    const int32_t *unit = d->clusters[0].code, *year = d->absorbed[1].factor.code;
    pfx_design *c = pfx_mem_calloc(1, sizeof *c, err);
    if (!c) return PFX_ENOMEM;
    *out = c;
    for (pfx_idx i = 0; i < d->n; i++) n += count[unit[i]];
    *c = (pfx_design){.n = n, .p = P};
    c->Z = pfx_mem_alloc(n * P, sizeof *c->Z, err);
    c->name = pfx_mem_calloc(P, sizeof *c->name, err);
    c->role = pfx_mem_calloc(P, sizeof *c->role, err);
    c->absorbed = pfx_mem_calloc(2, sizeof *c->absorbed, err);
    c->clusters = pfx_mem_calloc(1, sizeof *c->clusters, err);
    if (!c->Z || !c->name || !c->role || !c->absorbed || !c->clusters) return PFX_ENOMEM;
    pfx_factor *const f[] = {&c->absorbed[0].factor, &c->absorbed[1].factor, &c->clusters[0]};
    for (int i = 0; i < 3; i++) {
        f[i]->code = pfx_mem_alloc(n, sizeof *f[i]->code, err);
        f[i]->name = pfx_mem_strdup(i == 1 ? "year" : "unit", err);
        if (!f[i]->code || !f[i]->name) return PFX_ENOMEM;
    }
    c->n_absorbed = 2, c->n_clusters = 1;
    c->absorbed[0].intercept = c->absorbed[1].intercept = true;
    for (int k = 0; k < P; k++) {
        c->role[k] = d->role[k];
        if (!(c->name[k] = pfx_mem_strdup(d->name[k], err))) return PFX_ENOMEM;
    }
    for (int i = 0; i < 64; i++) level[i] = -1;
    pfx_idx to = 0;
    for (pfx_idx first = 0, end; first < d->n; first = end) { /* rows are sorted by unit */
        for (end = first; end < d->n && unit[end] == unit[first];) end++;
        for (int k = 0; k < count[unit[first]]; k++, copies++)
            for (pfx_idx i = first; i < end; i++, to++) {
                memcpy(c->Z + to * P, d->Z + i * P, P * sizeof *c->Z);
                if (level[year[i]] < 0) level[year[i]] = (int32_t)c->absorbed[1].factor.n_levels++;
                f[0]->code[to] = f[2]->code[to] = copies;
                f[1]->code[to] = level[year[i]];
            }
    }
    f[0]->n_levels = f[2]->n_levels = copies;
    return PFX_OK;
}

/* The design with each row's weight that of its cluster. */
static pfx_status reweight(const job *j, uint64_t replicate, pfx_design *c, pfx_err *err)
{
    const pfx_design *d = j->d;
    double *e = pfx_mem_alloc(j->s->G, sizeof *e, err);
    *c = *d; /* shares all but the weights */
    c->w = pfx_mem_alloc(d->n, sizeof *c->w, err);
    c->weights_kind = PFX_W_ANALYTIC;
    if (e && c->w) {
        pfx_pairs_exponentials(j->isa, SEED, replicate, NULL, 0, j->s->G, 1, e);
        for (pfx_idx i = 0; i < d->n; i++) c->w[i] = e[d->clusters[0].code[i]];
    }
    pfx_mem_free(e);
    return e && c->w ? PFX_OK : PFX_ENOMEM;
}

/* count NULL: exponential weights. */
static pfx_status refit(const job *j, const uint8_t *count, pfx_idx replicate, double *b, double *se,
                        pfx_err *err)
{
    const pfx_fit_options o = {.vcov = PFX_VCOV_CLUSTER,
                               .ssc = PFX_SSC_NONE,
                               .level = 0.95,
                               .tol = 1e-10,
                               .maxiter = 10000,
                               .nth = j->nth,
                               .isa = j->isa};
    pfx_design *c = NULL, weighted = {0};
    pfx_fit *f = NULL;
    pfx_status st = count ? resample(j->d, count, &c, err) : reweight(j, (uint64_t)replicate, &weighted, err);
    if (st == PFX_OK) st = pfx_fit_ols(count ? c : &weighted, &o, &f, err);
    if (st == PFX_OK) *b = f->coef[0].estimate, *se = f->coef[0].std_error;
    pfx_fit_free(f);
    pfx_design_free(c);
    pfx_mem_free(weighted.w);
    return st;
}

static pfx_status draw(void *ctx, pfx_err *err)
{
    job *j = ctx;
    j->keep.n = 0;
    const pfx_draw_sink sink = pfx_draw_keep_sink(&j->keep);
    pfx_rep_run run = {.seed = SEED, .last = j->reps, .nth = j->nth, .n_sinks = 1, .sinks = &sink};
    return pfx_rep_run_method(pfx_pairs_method(j->pairs), &run, err);
}

static pfx_status leave_out(void *ctx, pfx_err *err)
{
    job *j = ctx;
    pfx_jackknife_free(j->jack);
    j->jack = NULL;
    return pfx_jackknife_run(j->s, j->nth, j->isa, &j->jack, err);
}

static double digits_of(double a, double b)
{
    return a == b ? 16 : -log10(fabs(a - b) / fmax(fabs(a), fabs(b)));
}

/* Some replicates, or clusters left out, the slow way: how many digits agree, and the seconds of each. */
static pfx_status check(const job *j, const bench_case *c, double *digits, double *seconds, pfx_err *err)
{
    pfx_status st = PFX_OK;
    pfx_idx G = j->s->G;
    double begin = pfx_wall_s(), factor = sqrt((double)G / (double)(G - 1));
    uint8_t *count = pfx_mem_alloc(G, 1, err);
    if (!count) return PFX_ENOMEM;
    *digits = 16;
    for (int r = 0; r < REFITS && st == PFX_OK; r++) {
        double b = NAN, se = NAN;
        pfx_idx at = c->kind == BENCH_JACKKNIFE ? (G - 1) * r / (REFITS - 1) : r;
        if (c->kind == BENCH_JACKKNIFE) {
            memset(count, 1, (size_t)G);
            count[at] = 0;
        } else if (c->kind != BENCH_PAIRS_BAYES) {
            pfx_k_multinomial(j->isa, SEED, PFX_RNG_PAIRS, (uint64_t)r, G, G, count);
        }
        if ((st = refit(j, c->kind == BENCH_PAIRS_BAYES ? NULL : count, at, &b, &se, err))) break;
        *digits = fmin(
            *digits,
            digits_of(c->kind == BENCH_JACKKNIFE ? j->jack->b[at] : j->keep.field[PFX_DRAW_ESTIMATE][r], b));
        if (c->kind == BENCH_PAIRS_SE)
            *digits = fmin(*digits, digits_of(j->keep.field[PFX_DRAW_STD_ERROR][r], se * factor));
    }
    *seconds = (pfx_wall_s() - begin) / REFITS;
    pfx_mem_free(count);
    return st;
}

static pfx_status prepare(job *j, const bench_case *c, pfx_idx rows, pfx_err *err)
{
    static const char *const terms[] = {"x0"};
    const pfx_clusterstat_options o = {
        .n_terms = 1, .terms = terms, .tol = 1e-10, .maxiter = 10000, .nth = j->nth, .isa = j->isa};
    pfx_status st = bench_design(BENCH_FIRMS, rows, 0, false, j->nth, &j->d, err);
    if (st == PFX_OK) st = pfx_clusterstat_create(j->d, &o, &j->s, err);
    if (st == PFX_OK && c->kind != BENCH_JACKKNIFE) {
        st = pfx_pairs_create(j->s,
                              &(pfx_pairs_options){.std_error = c->kind == BENCH_PAIRS_SE,
                                                   .bayes = c->kind == BENCH_PAIRS_BAYES,
                                                   .isa = j->isa},
                              &j->pairs, err);
        if (st == PFX_OK)
            st = pfx_draw_keep_init(&j->keep, 1, 1u << PFX_DRAW_ESTIMATE | 1u << PFX_DRAW_STD_ERROR, 0,
                                    j->reps, err);
    }
    return st;
}

pfx_status bench_boot(bench_run *r, const bench_case *c, pfx_err *err)
{
    const bool jack = c->kind == BENCH_JACKKNIFE;
    job j = {.nth = r->nth, .isa = (pfx_isa)r->common->isa, .reps = bench_rows(r, c) < 100000 ? 19200 : 960};
    double digits = NAN, slow = NAN;
    int nth[2], k = bench_thread_list(r, nth);
    pfx_status st = prepare(&j, c, bench_rows(r, c), err);
    for (int i = 0; i < k && st == PFX_OK; i++) {
        pfx_bench_line l = pfx_bench_line_of(c->name, j.d->n, j.s->k + 1, nth[i]);
        j.nth = nth[i];
        if ((st = pfx_bench_best(3, r->patience, jack ? leave_out : draw, &j, &l.seconds, err))) break;
        if (i == 0 && (st = check(&j, c, &digits, &slow, err))) break;
        double each = l.seconds / (double)(jack ? j.s->G : j.reps), p = j.s->k + 1;
        /* Two operations for each product of columns, cluster and pass. */
        l.rate = jack ? 1e-6 / each
                      : 1e-9 * p * (p + 1) * (double)j.s->G * (c->kind == BENCH_PAIRS_SE ? 2 : 1) / each;
        l.unit = jack ? "clusters/us" : "GFLOP/s";
        if (!jack) l.limit = "dgemm", l.limit_rate = r->limit.dgemm[i];
        l.digits = digits;
        pfx_bench_verdict(&l, digits >= 9 ? PFX_BENCH_PASS : PFX_BENCH_FAIL,
                          "%lld %s, %.3g us each; a refit of its rows %.3g ms, %.0f x",
                          (long long)(jack ? j.s->G : j.reps), jack ? "clusters left out" : "replicates",
                          1e6 * each, 1e3 * slow, slow / each);
        st = pfx_bench_add(&r->report, &l, err);
    }
    pfx_draw_keep_free(&j.keep);
    pfx_pairs_free(j.pairs);
    pfx_jackknife_free(j.jack);
    pfx_clusterstat_free(j.s);
    pfx_design_free(j.d);
    return st;
}
