/* The wild restricted efficient bootstrap (WRE) of two-stage least squares: the equation's residual u under
 * the null and the first stage's v are multiplied by one weight for each cluster; the first stage is
 * estimated beside u, which makes it efficient. Source: Davidson and MacKinnon (2010), section 3; Roodman,
 * Nielsen, MacKinnon and Webb (2019), section 6, for clusters.
 *
 * In the columns of the cluster statistics y* = b0 y~* + w u, y~* = q2 pi + w v: nothing exogenous is needed
 * in them, since both stages take it out. With sums over clusters a = sum w q'u and c = sum w q'v: F = pi +
 * c2 is the first stage, b* - b0 = F'a2 / F'F = delta, delta_1 = a1 - delta c1 the exogenous coefficients,
 * and a cluster's score is F'(w (a_g - delta c_g) - N_g tau), N_g = q2'q of the cluster, tau = [delta_1,
 * delta pi]. Its square is a form in F of sums linear in the weights and of sums of squares of them. */
#include "src/rep/wild_private.h"

#include <math.h>
#include <string.h>
#include "kernels/wild.h"
#include "src/base/mem.h"
#include "src/rep/clusterstat.h"

enum { LANES = PFX_REP_LANES };
/* A variance below this share of the sum of squares it is the rest of is rounding. */
static const double RESOLVED = 1e-13;

static pfx_idx packed(pfx_idx i, pfx_idx j)
{
    return i >= j ? i * (i + 1) / 2 + j : j * (j + 1) / 2 + i;
}

/* How far the null is in units of y~, and pi, efficient: the coefficients on q2 of y~ regressed on q and u.
 */
static void first_stage(const pfx_wild *w, const wild_test *t, double *shift, double *pi)
{
    const pfx_clusterstat *s = w->s;
    pfx_idx L = s->iv->L, ne = s->iv->n_exog, y = L, u = L + 1;
    const double *A = s->A;
    double yy = A[packed(y, y)], yu = A[packed(y, u)], uu = A[packed(u, u)];
    double x = *shift = w->o.unrestricted ? 0 : (t->b - t->null) * t->iv->unit;
    for (pfx_idx a = 0; a < L; a++) {
        yy -= A[packed(y, a)] * A[packed(y, a)];
        yu -= A[packed(y, a)] * A[packed(u, a)];
        uu -= A[packed(u, a)] * A[packed(u, a)];
    }
    double phi = (yu + x * yy) / (uu + x * (2 * yu + x * yy)); /* of u + x y~ in the regression of y~ */
    for (pfx_idx i = 0; i < L - ne; i++)
        pi[i] = A[packed(y, ne + i)] - phi * (A[packed(u, ne + i)] + x * A[packed(y, ne + i)]);
}

/* What cluster g adds to its own statistics, to the forms, and to the sample's variance. work [2 L] */
static void add_cluster(const pfx_wild *w, wild_test *t, pfx_idx g, double shift, double *work)
{
    const pfx_clusterstat *s = w->s;
    const double *M = s->M + g * s->ld, weight = w->o.errors[0].weight;
    pfx_idx L = s->iv->L, ne = s->iv->n_exog, y = L, u = L + 1;
    int l1 = t->iv->l1;
    double *a = work, *c = work + L, *stat = t->stat + g * t->ld, *sq = t->sq + g * t->n_sq, score = 0;
    for (pfx_idx m = 0; m < L; m++) {
        a[m] = M[packed(u, m)] + shift * M[packed(y, m)];
        c[m] = M[packed(y, m)];
        for (int i = 0; i < l1; i++) c[m] -= M[packed(m, ne + i)] * t->iv->pi[i];
    }
    memcpy(stat, work, (size_t)(2 * L) * sizeof *stat);
    stat += 2 * L;
    double *form = t->form;
    for (pfx_idx i = ne; i < L; i++)
        for (pfx_idx j = ne; j <= i; j++, stat += 2 * L, form += L * L)
            for (pfx_idx m = 0; m < L; m++) {
                double Ni = M[packed(i, m)], Nj = M[packed(j, m)];
                stat[m] = 0.5 * weight * (a[i] * Nj + a[j] * Ni);
                stat[L + m] = 0.5 * weight * (c[i] * Nj + c[j] * Ni);
                for (pfx_idx n = 0; n < L; n++)
                    form[m * L + n] += 0.5 * weight * (Ni * M[packed(j, n)] + Nj * M[packed(i, n)]);
            }
    for (int i = 0; i < 2 * l1; i++)
        for (int j = 0; j <= i; j++) {
            double zi = i < l1 ? a[ne + i] : c[ne + i - l1], zj = j < l1 ? a[ne + j] : c[ne + j - l1];
            *sq++ = weight * zi * zj;
        }
    for (int i = 0; i < l1; i++) score += s->A[packed(y, ne + i)] * M[packed(u, ne + i)];
    t->full[1] += weight * score * score;
}

static pfx_status allocate(pfx_wild *w, wild_test *t, pfx_err *err)
{
    const pfx_clusterstat *s = w->s;
    pfx_idx L = s->iv->L;
    wild_iv *v = t->iv = pfx_mem_calloc(1, sizeof *v, err);
    if (!v) return PFX_ENOMEM;
    v->l1 = s->iv->L - s->iv->n_exog;
    v->n_pairs = v->l1 * (v->l1 + 1) / 2;
    t->q = t->sets = t->n_forms = 1;
    t->m = 2 * v->l1;
    t->n_sq = t->m * (t->m + 1) / 2;
    t->n_stats = 2 * L * (1 + v->n_pairs);
    t->ld = (t->n_stats + 7) / 8 * 8;
    t->stat = pfx_mem_calloc(w->rows * t->ld, sizeof *t->stat, err);
    t->sq = pfx_mem_calloc(w->rows * t->n_sq, sizeof *t->sq, err);
    t->sq_sum = pfx_mem_calloc(t->n_sq, sizeof *t->sq_sum, err);
    t->form = pfx_mem_calloc(v->n_pairs * L * L, sizeof *t->form, err);
    t->full = pfx_mem_calloc(2, sizeof *t->full, err);
    v->pi = pfx_mem_alloc(v->l1, sizeof *v->pi, err);
    return t->stat && t->sq && t->sq_sum && t->form && t->full && v->pi ? PFX_OK : PFX_ENOMEM;
}

pfx_status pfx_wild_iv_prepare(pfx_wild *w, pfx_err *err)
{
    const pfx_clusterstat *s = w->s;
    const pfx_clusterstat *o = &s->iv->structural;
    wild_test *t = w->test;
    pfx_idx L = s->iv->L, ne = s->iv->n_exog;
    double shift, square = 0;
    pfx_status st = allocate(w, t, err);
    double *work = st == PFX_OK ? pfx_mem_alloc(2 * L, sizeof *work, err) : NULL;
    if (!work) return PFX_ENOMEM;
    t->iv->unit = o->R[(pfx_idx)o->k * o->k - 1];
    t->b = s->b[0];
    t->null = w->o.null[0];
    t->full[0] = t->b - t->null;
    first_stage(w, t, &shift, t->iv->pi);
    for (pfx_idx g = 0; g < s->G; g++) add_cluster(w, t, g, shift, work);
    for (pfx_idx g = 0; g < s->G; g++)
        for (int j = 0; j < t->n_sq; j++) t->sq_sum[j] += t->sq[g * t->n_sq + j];
    for (pfx_idx i = ne; i < L; i++) square += s->A[packed(L, i)] * s->A[packed(L, i)];
    t->full[1] /= square * square * t->iv->unit * t->iv->unit;
    w->max_ld = t->ld;
    pfx_mem_free(work);
    return PFX_OK;
}

pfx_idx pfx_wild_iv_room(const pfx_clusterstat *s)
{
    return (3 * (pfx_idx)s->iv->L + 4) * LANES;
}

/* Sums of squares of one lane: (a_i - delta c_i)(a_j - delta c_j). */
static double squares(int l1, int i, int j, double delta, const double *sq)
{
    double aa = sq[packed(i, j) * LANES], ac = sq[packed(l1 + j, i) * LANES];
    double ca = sq[packed(l1 + i, j) * LANES], cc = sq[packed(l1 + i, l1 + j) * LANES];
    return aa - delta * (ac + ca) + delta * delta * cc;
}

void pfx_wild_iv_finish(const pfx_wild *w, pfx_idx r0, const double *C, const double *sq, double *room,
                        double *const *field)
{
    const wild_test *t = w->test;
    const wild_iv *v = t->iv;
    pfx_idx L = w->s->iv->L, ne = w->s->iv->n_exog, block = L * LANES;
    const double *a = C, *c = C + block, *T = c + block;
    double *tau = room, *cross = tau + block, *F = cross + block, *delta = F + v->l1 * LANES;
    double *square = delta + LANES, *one = square + LANES, var[LANES] = {0}, scale[LANES] = {0};
    for (int l = 0; l < LANES; l++) {
        double top = 0, bottom = 0;
        for (int i = 0; i < v->l1; i++) {
            double f = F[i * LANES + l] = v->pi[i] + c[(ne + i) * LANES + l];
            top += f * a[(ne + i) * LANES + l];
            bottom += f * f;
        }
        square[l] = bottom;
        delta[l] = top / bottom;
        for (pfx_idx m = 0; m < ne; m++) tau[m * LANES + l] = a[m * LANES + l] - delta[l] * c[m * LANES + l];
        for (int i = 0; i < v->l1; i++) tau[(ne + i) * LANES + l] = v->pi[i] * delta[l];
    }
    for (int i = 0, f = 0; i < v->l1; i++)
        for (int j = 0; j <= i; j++, f++, T += 2 * block) {
            for (pfx_idx m = 0; m < block; m++) cross[m] = T[m] - delta[m % LANES] * T[block + m];
            for (int l = 0; l < LANES; l++) one[l] = squares(v->l1, i, j, delta[l], sq + l);
            for (int l = 0; l < LANES; l++)
                scale[l] += (i == j ? 1 : 2) * F[i * LANES + l] * F[j * LANES + l] * one[l];
            pfx_k_wild_form(w->o.isa, (int)L, t->form + f * L * L, tau, tau, cross, cross, one);
            for (int l = 0; l < LANES; l++)
                var[l] += (i == j ? 1 : 2) * F[i * LANES + l] * F[j * LANES + l] * one[l];
        }
    for (int l = 0; l < LANES; l++) {
        pfx_idx at = r0 + l;
        double se = var[l] > RESOLVED * scale[l] ? sqrt(var[l]) / square[l] : NAN;
        field[PFX_DRAW_ESTIMATE][at] = (w->o.unrestricted ? t->b : t->null) + delta[l] / v->unit;
        field[PFX_DRAW_STD_ERROR][at] = se / v->unit;
        field[PFX_DRAW_STATISTIC][at] = delta[l] / se;
    }
}

pfx_status pfx_wild_iv_check(const pfx_clusterstat *s, const pfx_wild_options *o, pfx_err *err)
{
    const pfx_clusterstat *of = &s->iv->structural;
    if (s->iv->n != 1 || s->n_terms != 1 || s->iv->place[0] != of->n_terms - 1)
        return pfx_fail(err, PFX_EUSAGE,
                        "the wild bootstrap of 2SLS tests the coefficient of the only endogenous variable; "
                        "--method pairs takes any");
    if (o->type != 11 || o->joint || o->n_errors != 1 || o->boot || o->errors[0].code || s->absorber)
        return pfx_fail(err, PFX_EUSAGE,
                        "the wild bootstrap of 2SLS is of type 11, with one cluster variable for errors and "
                        "weights");
    if (o->invert)
        return pfx_fail(err, PFX_EUSAGE, "the wild bootstrap of 2SLS has no polynomials of the null");
    return PFX_OK;
}
