#include "src/rep/jackknife.h"

#include <math.h>
#include <string.h>
#include "kernels/replicate.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/rep/clusterstat.h"
#include "src/rep/identify.h"
#include "src/rep/iv_lanes.h"
#include "src/rep/refit.h"

enum { LANES = PFX_REP_LANES };
/* Of a whitened column, whose square is 1, this much must be left without the cluster: subtraction leaves
 * noise of about 1e-16. */
static const double LEFT = 1e-10, DEPENDENT = 1e-9;

typedef struct pass {
    const pfx_clusterstat *s;
    pfx_jackknife *out;
    pfx_isa isa;
    const double *u;        /* [n_terms x n_terms] functionals on the tested columns */
    double *scratch;        /* [nth][step] */
    pfx_idx step, at_refit; /* where a refit's own is, behind the clusters' weights */
    pfx_refit *refit;       /* where effects cross the clusters, else NULL */
} pass;

/* Products of the clusters but one, beside effects that cross them: a refit for each lane. */
static void refit_lanes(const pass *ps, pfx_idx g0, double *C, double *scratch)
{
    pfx_idx G = ps->s->G;
    double *weight = scratch + ps->at_refit;
    void *work = weight + (G + 7) / 8 * 8;
    for (pfx_idx g = 0; g < G; g++) weight[g] = 1;
    for (pfx_idx l = 0; l < LANES && g0 + l < G; l++) {
        weight[g0 + l] = 0;
        pfx_refit_products(ps->refit, 0, weight, work, LANES, C + l);
        weight[g0 + l] = 1;
    }
}

/* Leverage of cluster g, and of each term the variation that it brings. */
static void weigh(const pass *ps, pfx_idx g)
{
    const pfx_clusterstat *s = ps->s;
    const double *M = s->M + g * s->ld;
    int n = s->n_terms, first = s->k - n;
    double trace = 0;
    for (pfx_idx i = 0; i < s->k; i++) trace += M[i * (i + 1) / 2 + i];
    ps->out->leverage[g] = trace;
    for (int t = 0; t < n; t++) {
        const double *u = ps->u + (pfx_idx)t * n;
        double q = 0, len = 0;
        for (int i = 0; i < n; i++) {
            const double *row = M + (pfx_idx)(first + i) * (first + i + 1) / 2 + first;
            for (int j = 0; j < i; j++) q += 2 * u[i] * u[j] * row[j];
            q += u[i] * u[i] * row[i];
            len += u[i] * u[i];
        }
        ps->out->partial[g * n + t] = q / len;
    }
}

/* Twenty-four clusters, each left out in a lane. */
static void leave_out(void *ctx, pfx_idx panel, int thread)
{
    const pass *ps = ctx;
    const pfx_clusterstat *s = ps->s;
    pfx_idx k = s->k, g0 = panel * LANES, x_row = k * (k + 1) / 2;
    double *C = ps->scratch + thread * ps->step, *d = C + s->ld * LANES, *x = d + k * LANES,
           *term = x + k * LANES;
    for (int l = 0; l < LANES; l++) {
        const double *M = g0 + l < s->G ? s->M + (g0 + l) * s->ld : NULL;
        for (pfx_idx i = 0; i < s->ld; i++) C[i * LANES + l] = M ? s->A[i] - M[i] : s->A[i];
        for (pfx_idx i = 0; i < k; i++) {
            pfx_idx at = i * (i + 1) / 2 + i;
            if (C[at * LANES + l] <= LEFT * s->A[at]) C[at * LANES + l] = 0;
        }
    }
    if (ps->refit) refit_lanes(ps, g0, C, ps->scratch + thread * ps->step);
    if (s->iv) {
        const pfx_iv_lanes v = pfx_iv_lanes_at(s, C, d);
        pfx_iv_lanes_solve(ps->isa, s, &v);
        for (pfx_idx l = 0; l < LANES && g0 + l < s->G; l++) {
            double *at = ps->out->b + (g0 + l) * s->n_terms;
            pfx_iv_lanes_estimate(s, &v, (int)l, d + pfx_iv_lanes_size(s), at);
            ps->out->leverage[g0 + l] = NAN;
            for (int t = 0; t < s->n_terms; t++) ps->out->partial[(g0 + l) * s->n_terms + t] = NAN;
        }
        return;
    }
    memcpy(x, C + x_row * LANES, (size_t)(k * LANES) * sizeof *x);
    pfx_k_rep_factor(ps->isa, s->k, DEPENDENT, C, d);
    pfx_k_rep_solve(ps->isa, s->k, C, d, 0, x);
    for (int l = 0; l < LANES && g0 + l < s->G; l++) {
        pfx_identify(s, C + l, d + l, x + l, term, ps->out->b + (g0 + l) * s->n_terms);
        weigh(ps, g0 + l);
    }
}

/* What one term's coefficients without each cluster say. */
static void summarise(pfx_jackknife *o, double b, int t)
{
    pfx_idx n = 0;
    double mean = 0, about_b = 0, about_mean = 0, cube = 0, even = 0, spread = 0;
    o->first_lost[t] = -1;
    for (pfx_idx g = 0; g < o->G; g++) {
        double x = o->b[g * o->n_terms + t];
        if (isnan(x)) {
            if (o->n_lost[t]++ == 0) o->first_lost[t] = g;
            continue;
        }
        n++;
        mean += x - b;
        about_b += (x - b) * (x - b);
    }
    mean = b + mean / (double)n;
    for (pfx_idx g = 0; g < o->G; g++) {
        double d = mean - o->b[g * o->n_terms + t];
        if (isnan(d)) continue;
        about_mean += d * d;
        cube += d * d * d;
    }
    double factor = (double)(n - 1) / (double)n;
    o->cv3[t] = n > 1 ? sqrt(factor * about_b) : NAN;
    o->cv3j[t] = n > 1 ? sqrt(factor * about_mean) : NAN;
    o->acceleration[t] = about_mean > 0 ? cube / (6 * about_mean * sqrt(about_mean)) : 0;
    for (pfx_idx g = 0; g < o->G; g++) even += o->partial[g * o->n_terms + t];
    even /= (double)o->G;
    for (pfx_idx g = 0; g < o->G; g++) {
        double r = o->partial[g * o->n_terms + t] / even - 1;
        spread += r * r;
    }
    o->effective[t] = (double)o->G / (1 + spread / (double)o->G);
}

static pfx_status allocate(pfx_jackknife *o, pfx_err *err)
{
    pfx_idx n = o->n_terms;
    o->b = pfx_mem_alloc(o->G * n, sizeof *o->b, err);
    o->leverage = pfx_mem_alloc(o->G, sizeof *o->leverage, err);
    o->partial = pfx_mem_alloc(o->G * n, sizeof *o->partial, err);
    o->n_lost = pfx_mem_calloc(n, sizeof *o->n_lost, err);
    o->first_lost = pfx_mem_calloc(n, sizeof *o->first_lost, err);
    o->cv3 = pfx_mem_calloc(n, sizeof *o->cv3, err);
    o->cv3j = pfx_mem_calloc(n, sizeof *o->cv3j, err);
    o->acceleration = pfx_mem_calloc(n, sizeof *o->acceleration, err);
    o->effective = pfx_mem_calloc(n, sizeof *o->effective, err);
    return o->b && o->leverage && o->partial && o->n_lost && o->first_lost && o->cv3 && o->cv3j &&
                   o->acceleration && o->effective
               ? PFX_OK
               : PFX_ENOMEM;
}

static pfx_status make_refit(pass *ps, int nth, pfx_err *err)
{
    const pfx_clusterstat *s = ps->s;
    const pfx_refit_in in = {.d = s->design,
                             .p = s->k + 1,
                             .Q = s->Q,
                             .slots = 1,
                             .maxiter = s->maxiter,
                             .isa = ps->isa,
                             .max_bytes = s->max_bytes,
                             .nth = nth};
    pfx_status st = pfx_refit_create(&in, &ps->refit, err);
    ps->at_refit = ps->step;
    if (st == PFX_OK) ps->step += (s->G + 7) / 8 * 8 + pfx_refit_scratch(ps->refit) / (pfx_idx)sizeof(double);
    return st;
}

pfx_status pfx_jackknife_run(const pfx_clusterstat *s, int nth, pfx_isa isa, pfx_jackknife **out,
                             pfx_err *err)
{
    int n = s->n_terms;
    pfx_idx k = s->k;
    pfx_status st = PFX_ENOMEM;
    pfx_jackknife *o = pfx_mem_calloc(1, sizeof *o, err);
    if (!o) return PFX_ENOMEM;
    o->G = s->G;
    o->n_terms = n;
    pass ps = {.s = s, .out = o, .isa = isa, .step = (s->ld + 2 * k) * LANES + (2 * n + k + 7) / 8 * 8};
    if (s->iv) ps.step = (s->ld * LANES + pfx_iv_lanes_size(s) + pfx_iv_lanes_work(s) + 7) / 8 * 8;
    ps.step = (ps.step + 7) / 8 * 8;
    if (s->absorber) {
        pfx_status made = make_refit(&ps, nth, err);
        if (made != PFX_OK) {
            pfx_jackknife_free(o);
            return made;
        }
    }
    double *u = pfx_mem_calloc((pfx_idx)n * n, sizeof *u, err);
    ps.scratch = pfx_mem_alloc(nth * ps.step, sizeof *ps.scratch, err);
    if (!u || !ps.scratch || allocate(o, err) != PFX_OK) goto done;
    for (int t = 0; t < n && !s->iv; t++) {
        u[t * n + t] = 1;
        pfx_clusterstat_functional(s, u + (pfx_idx)t * n);
    }
    ps.u = u;
    pfx_par_for((s->G + LANES - 1) / LANES, nth, leave_out, &ps);
    for (int t = 0; t < n; t++) summarise(o, s->b[t], t);
    *out = o;
    o = NULL;
    st = PFX_OK;
done:
    pfx_refit_free(ps.refit);
    pfx_mem_free(u);
    pfx_mem_free(ps.scratch);
    pfx_jackknife_free(o);
    return st;
}

void pfx_jackknife_free(pfx_jackknife *j)
{
    if (!j) return;
    pfx_mem_free(j->b);
    pfx_mem_free(j->leverage);
    pfx_mem_free(j->partial);
    pfx_mem_free(j->n_lost);
    pfx_mem_free(j->first_lost);
    pfx_mem_free(j->cv3);
    pfx_mem_free(j->cv3j);
    pfx_mem_free(j->acceleration);
    pfx_mem_free(j->effective);
    pfx_mem_free(j);
}
