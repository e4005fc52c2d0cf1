#include "src/rep/iv_lanes.h"

#include <math.h>
#include <string.h>
#include "src/rep/identify.h"

enum { LANES = PFX_REP_LANES };
/* In whitened columns a dependent one leaves a pivot of rounding noise, about 1e-16 of its diagonal; a column
 * that does not vary in a replicate is noise wholly, its square 1e-32 of the full sample's, which is 1. */
static const double DEPENDENT = 1e-11, NO_VARIATION = 1e-24;
/* Squared canonical correlation with the instruments below which fit, too, calls a variable not identified.
 */
static const double NO_CORRELATION2 = 1e-18;

static pfx_idx packed(pfx_idx n)
{
    return n * (n + 1) / 2;
}

pfx_idx pfx_iv_lanes_size(const pfx_clusterstat *s)
{
    pfx_idx K = s->iv->structural.k;
    return (s->iv->L + packed(K) + 2 * K) * LANES;
}

pfx_iv_lanes pfx_iv_lanes_at(const pfx_clusterstat *s, double *C, double *room)
{
    pfx_idx K = s->iv->structural.k;
    pfx_iv_lanes v = {.C = C, .d = room};
    v.F = v.d + (pfx_idx)s->iv->L * LANES;
    v.f = v.F + packed(K) * LANES;
    v.x = v.f + K * LANES;
    return v;
}

pfx_idx pfx_iv_lanes_work(const pfx_clusterstat *s)
{
    return 3 * (pfx_idx)s->iv->structural.n_terms + s->iv->structural.k;
}

/* x = L^-1 x */
static void forward(int n, const double *L, const double *d, double *x)
{
    for (int i = 0; i < n; i++, L += LANES) {
        double *to = x + i * LANES;
        for (int j = 0; j < i; j++, L += LANES)
            for (int l = 0; l < LANES; l++) to[l] -= L[l] * x[j * LANES + l];
        for (int l = 0; l < LANES; l++) to[l] *= d[i * LANES + l];
    }
}

/* x = L'^-1 x */
static void backward(int n, const double *L, const double *d, double *x)
{
    for (int j = n - 1; j >= 0; j--) {
        double *to = x + j * LANES;
        const double *row = L + packed(j) * LANES;
        for (int l = 0; l < LANES; l++) to[l] *= d[j * LANES + l];
        for (int i = 0; i < j; i++)
            for (int l = 0; l < LANES; l++) x[i * LANES + l] -= row[i * LANES + l] * to[l];
    }
}

/* The second stage of one lane beyond the exogenous columns: the factor's rows, and the forward solution. */
static void second_stage(const pfx_clusterstat *s, const pfx_iv_lanes *v, int lane)
{
    int ne = s->iv->n_exog, L = s->iv->L, n = s->iv->n;
    const double *u = v->C + packed(L + n) * LANES + lane;
    for (int i = 0; i < n; i++) {
        const double *Fi = v->C + packed(L + i) * LANES + lane;
        double *row = v->F + (packed(ne + i) + ne) * LANES + lane, z = 0, pivot = 0;
        for (int j = 0; j <= i; j++) {
            const double *Fj = v->C + packed(L + j) * LANES + lane;
            const double *other = v->F + (packed(ne + j) + ne) * LANES + lane;
            pivot = 0;
            for (int a = ne; a < L; a++) pivot += Fi[a * LANES] * Fj[a * LANES];
            if (j == i) row[j * LANES] = pivot;
            for (int l = 0; l < j; l++) pivot -= row[l * LANES] * other[l * LANES];
            if (j < i) row[j * LANES] = pivot * v->f[(ne + j) * LANES + lane];
        }
        double square = Fi[(L + i) * LANES];
        bool kept = pivot > NO_CORRELATION2 * square && pivot > NO_VARIATION &&
                    (i == 0 || pivot > DEPENDENT * row[i * LANES]);
        v->f[(ne + i) * LANES + lane] = kept ? 1 / sqrt(pivot) : 0;
        for (int a = ne; a < L; a++) z += Fi[a * LANES] * u[a * LANES];
        for (int l = 0; l < i; l++) z -= row[l * LANES] * v->x[(ne + l) * LANES + lane];
        v->x[(ne + i) * LANES + lane] = z * v->f[(ne + i) * LANES + lane];
    }
}

void pfx_iv_lanes_solve(pfx_isa isa, const pfx_clusterstat *s, const pfx_iv_lanes *v)
{
    int ne = s->iv->n_exog, L = s->iv->L, n = s->iv->n;
    for (int a = 0; a < L; a++) {
        double *square = v->C + (packed(a) + a) * LANES;
        for (int l = 0; l < LANES; l++)
            if (square[l] < NO_VARIATION) square[l] = 0;
    }
    pfx_k_rep_factor(isa, L, DEPENDENT, v->C, v->d);
    for (int i = 0; i <= n; i++) forward(L, v->C, v->d, v->C + packed(L + i) * LANES);
    memcpy(v->F, v->C, (size_t)(packed(ne) * LANES) * sizeof *v->F);
    memcpy(v->f, v->d, (size_t)(ne * LANES) * sizeof *v->f);
    memcpy(v->x, v->C + packed(L + n) * LANES, (size_t)(ne * LANES) * sizeof *v->x);
    for (int i = 0; i < n; i++)
        memcpy(v->F + packed(ne + i) * LANES, v->C + packed(L + i) * LANES,
               (size_t)(ne * LANES) * sizeof *v->F);
    for (int l = 0; l < LANES; l++) second_stage(s, v, l);
    backward(ne + n, v->F, v->f, v->x);
}

void pfx_iv_lanes_estimate(const pfx_clusterstat *s, const pfx_iv_lanes *v, int lane, double *work,
                           double *out)
{
    const pfx_clusterstat_iv *iv = s->iv;
    double *all = work + 2 * iv->structural.n_terms + iv->structural.k;
    bool lost = false;
    pfx_identify(&iv->structural, v->F + lane, v->f + lane, v->x + lane, work, all);
    for (int i = 0; i < iv->n; i++) lost |= !(v->f[(iv->n_exog + i) * LANES + lane] > 0);
    for (int t = 0; t < s->n_terms; t++) out[t] = lost ? NAN : all[iv->place[t]];
}

void pfx_iv_lanes_scores(pfx_isa isa, const pfx_clusterstat *s, const pfx_iv_lanes *v, int t, double *h,
                         double *b)
{
    const pfx_clusterstat_iv *iv = s->iv;
    int ne = iv->n_exog, L = iv->L, n = iv->n, K = ne + n, first = K - iv->structural.n_terms;
    const double *functional = iv->functional + (pfx_idx)t * iv->structural.n_terms;
    double *hs = b; /* on the second stage's columns; b is filled once they are used */
    memset(hs, 0, (size_t)(K * LANES) * sizeof *hs);
    for (int j = first; j < K; j++)
        for (int l = 0; l < LANES; l++) hs[j * LANES + l] = functional[j - first];
    pfx_k_rep_solve(isa, K, v->F, v->f, first, hs);
    memset(h, 0, (size_t)((L + n) * LANES) * sizeof *h);
    for (int i = 0; i < n; i++) {
        const double *Fi = v->C + packed(L + i) * LANES;
        for (int a = 0; a < L * LANES; a++) h[a] += Fi[a] * hs[(ne + i) * LANES + a % LANES];
    }
    backward(L, v->C, v->d, h);
    for (int a = 0; a < ne * LANES; a++) h[a] += hs[a];
    memset(b, 0, (size_t)((L + n) * LANES) * sizeof *b);
    memcpy(b, v->x, (size_t)(ne * LANES) * sizeof *b);
    memcpy(b + L * LANES, v->x + ne * LANES, (size_t)(n * LANES) * sizeof *b);
}
