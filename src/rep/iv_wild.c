/* The wild restricted efficient bootstrap (WRE) of two-stage least squares: the equation's residual u under
 * the null and the first stages' v are multiplied by one weight for each cluster; the first stages are
 * estimated beside u, which makes them efficient. Source: Davidson and MacKinnon (2010), section 3; Roodman,
 * Nielsen, MacKinnon and Webb (2019), section 6, for clusters.
 *
 * In the columns of the cluster statistics y* = y~* b0 + w u, y~*_i = q2 pi_i + w v_i: nothing exogenous is
 * needed in them, since both stages take it out. The tested coefficient is f'b. With sums over clusters a =
 * sum w q'u and c_i = sum w q'v_i: F = pi + c2 are the first stages, b* - b0 = (F'F)^-1 F'a2 = delta, a1 - c1
 * delta the exogenous coefficients, h = F (F'F)^-1 f, and a cluster's score is h'(w (a_g - c_g delta) - N_g
 * tau), N_g = q2'q of the cluster, tau = [a1 - c1 delta, pi delta]. Its square is a form in h of sums linear
 * in the weights and of sums of squares of them. */
#include "src/rep/wild_private.h"

#include <lapacke.h>
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

/* Products of u - y~ g, y~ and themselves, less what all of q explains; [(1 + n) x (1 + n)], u first. */
static void rest(const pfx_clusterstat *s, double *M)
{
    int L = s->iv->L, n = s->iv->n, m = n + 1;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) {
            int at = i ? L + i - 1 : L + n, bt = j ? L + j - 1 : L + n;
            double x = s->A[packed(at, bt)];
            for (int a = 0; a < L; a++) x -= s->A[packed(at, a)] * s->A[packed(bt, a)];
            M[i * m + j] = x;
        }
}

/* g [n]: what the null takes off the coefficients of y~, f'g = d. The first stage of y~ is orthonormal and u
 * has nothing of it, so that two-stage least squares has the shortest such g, f d / f'f. Limited information
 * maximum likelihood, which the bootstrap's data are made by where there are more instruments than endogenous
 * variables (as boottest), adds directions N c orthogonal to f: the greatest ratio of what q leaves of u - y~
 * g to what q2 explains of it. mem [3 m m + n m + m], m = n + 1. IDENT. */
static pfx_status restricted(const pfx_clusterstat *s, const double *f, double d, double *mem, double *g,
                             pfx_err *err)
{
    int L = s->iv->L, ne = s->iv->n_exog, n = s->iv->n, m = n + 1, k = n; /* k: 1, c */
    double *M = mem, *D = M + m * m, *H = D + n * m, *lambda = H + m * m, *N = lambda + m, ff = 0,
           explained = 0;
    for (int i = 0; i < n; i++) ff += f[i] * f[i];
    for (int i = 0; i < n; i++) g[i] = f[i] * d / ff;
    if (n == 1 || L - ne == n) return PFX_OK;
    /* N [n x n]: a reflection takes f to the first axis; its other columns. */
    double length = sqrt(ff), v0 = f[0] + copysign(length, f[0]), vv = ff - f[0] * f[0] + v0 * v0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) N[i * n + j] = (i == j) - 2 * (i ? f[i] : v0) * (j ? f[j] : v0) / vv;
    rest(s, M);
    for (int a = ne; a < L; a++) explained += s->A[packed(L + n, a)] * s->A[packed(L + n, a)];
    explained = sqrt(explained + d * d / ff);
    /* Rows of D: [u, y~] of the directions, the first u - y~ g scaled. */
    memset(D, 0, (size_t)(n * m) * sizeof *D);
    D[0] = 1 / explained;
    for (int i = 0; i < n; i++) D[1 + i] = -g[i] / explained;
    for (int j = 1; j < k; j++)
        for (int i = 0; i < n; i++) D[j * m + 1 + i] = -N[i * n + j];
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++) {
            H[i * k + j] = 0;
            for (int a = 0; a < m; a++)
                for (int b = 0; b < m; b++) H[i * k + j] += D[i * m + a] * M[a * m + b] * D[j * m + b];
        }
    if (LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', k, H, k, lambda) != 0 || !(fabs(H[k - 1]) > 1e-12))
        return pfx_fail(
            err, PFX_EIDENT,
            "the equation under the null is not identified: limited information maximum likelihood has no "
            "estimate; take --method pairs");
    double first = H[k - 1] / explained;
    for (int j = 1; j < k; j++)
        for (int i = 0; i < n; i++) g[i] += N[i * n + j] * H[j * k + k - 1] / first;
    return PFX_OK;
}

/* pi [l1 x n], efficient: the coefficients on q2 of y~ regressed on q and the restricted residual. */
static void first_stages(const pfx_clusterstat *s, const double *g, double *M, double *pi)
{
    int L = s->iv->L, ne = s->iv->n_exog, n = s->iv->n, m = n + 1;
    double uu = 0;
    rest(s, M);
    for (int a = 0; a < m; a++)
        for (int b = 0; b < m; b++) uu += (a ? -g[a - 1] : 1) * M[a * m + b] * (b ? -g[b - 1] : 1);
    for (int i = 0; i < n; i++) {
        double yu = 0;
        for (int a = 0; a < m; a++) yu += (a ? -g[a - 1] : 1) * M[a * m + 1 + i];
        for (int a = 0; a < L - ne; a++) {
            double qu = s->A[packed(L + n, ne + a)];
            for (int j = 0; j < n; j++) qu -= g[j] * s->A[packed(L + j, ne + a)];
            pi[a * n + i] = s->A[packed(L + i, ne + a)] - yu / uu * qu;
        }
    }
}

/* h [l1] = F (F'F)^-1 f, F [l1 x n], by Cholesky; x [n] in: F'a, out: (F'F)^-1 of it. G [n x n]. */
static void solve(int l1, int n, const double *F, const double *f, double *G, double *y, double *x, double *h)
{
    for (int i = 0; i < n; i++) {
        y[i] = f[i];
        for (int j = 0; j <= i; j++) {
            double v = 0;
            for (int a = 0; a < l1; a++) v += F[a * n + i] * F[a * n + j];
            for (int l = 0; l < j; l++) v -= G[i * n + l] * G[j * n + l];
            G[i * n + j] = j < i ? v / G[j * n + j] : sqrt(v);
        }
        for (int l = 0; l < i; l++) y[i] -= G[i * n + l] * y[l], x[i] -= G[i * n + l] * x[l];
        y[i] /= G[i * n + i], x[i] /= G[i * n + i];
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int l = i + 1; l < n; l++) y[i] -= G[l * n + i] * y[l], x[i] -= G[l * n + i] * x[l];
        y[i] /= G[i * n + i], x[i] /= G[i * n + i];
    }
    for (int a = 0; a < l1; a++) {
        h[a] = 0;
        for (int i = 0; i < n; i++) h[a] += F[a * n + i] * y[i];
    }
}

/* What cluster g adds to its own statistics, to the forms, and to the sample's variance, h the full sample's.
 * work
 * [(1 + n) L]: scores with u, then with each v. */
static void add_cluster(const pfx_wild *w, wild_test *t, pfx_idx g, const double *shift, const double *h,
                        double *work)
{
    const pfx_clusterstat *s = w->s;
    const wild_iv *iv = t->iv;
    const double *M = s->M + g * s->ld, weight = w->o.errors[0].weight;
    pfx_idx L = s->iv->L, ne = s->iv->n_exog, u = L + s->iv->n;
    int l1 = iv->l1, n = iv->n, blocks = n + 1, values = blocks * l1;
    double *stat = t->stat + g * t->ld, *sq = t->sq + g * t->n_sq, score = 0;
    for (pfx_idx m = 0; m < L; m++) {
        work[m] = M[packed(u, m)];
        for (int i = 0; i < n; i++) {
            double *c = work + (1 + i) * L + m;
            *c = M[packed(L + i, m)];
            work[m] -= shift[i] * *c;
            for (int a = 0; a < l1; a++) *c -= M[packed(m, ne + a)] * iv->pi[a * n + i];
        }
    }
    memcpy(stat, work, (size_t)(blocks * L) * sizeof *stat);
    stat += blocks * L;
    double *form = t->form;
    for (pfx_idx i = ne; i < L; i++)
        for (pfx_idx j = ne; j <= i; j++, stat += blocks * L, form += L * L)
            for (pfx_idx m = 0; m < L; m++) {
                double Ni = M[packed(i, m)], Nj = M[packed(j, m)];
                for (int b = 0; b < blocks; b++)
                    stat[b * L + m] = 0.5 * weight * (work[b * L + i] * Nj + work[b * L + j] * Ni);
                for (pfx_idx k = 0; k < L; k++)
                    form[m * L + k] += 0.5 * weight * (Ni * M[packed(j, k)] + Nj * M[packed(i, k)]);
            }
    for (int i = 0; i < values; i++)
        for (int j = 0; j <= i; j++)
            *sq++ = weight * work[i / l1 * L + ne + i % l1] * work[j / l1 * L + ne + j % l1];
    for (int a = 0; a < l1; a++) score += h[a] * M[packed(u, ne + a)];
    t->full[1] += weight * score * score;
}

static pfx_status allocate(pfx_wild *w, wild_test *t, pfx_err *err)
{
    const pfx_clusterstat *s = w->s;
    pfx_idx L = s->iv->L;
    wild_iv *v = t->iv = pfx_mem_calloc(1, sizeof *v, err);
    if (!v) return PFX_ENOMEM;
    v->n = s->iv->n;
    v->l1 = s->iv->L - s->iv->n_exog;
    v->n_pairs = v->l1 * (v->l1 + 1) / 2;
    t->q = t->sets = t->n_forms = 1;
    t->m = (1 + v->n) * v->l1;
    t->n_sq = t->m * (t->m + 1) / 2;
    t->n_stats = (1 + v->n) * L * (1 + v->n_pairs);
    t->ld = (t->n_stats + 7) / 8 * 8;
    t->stat = pfx_mem_calloc(w->rows * t->ld, sizeof *t->stat, err);
    t->sq = pfx_mem_calloc(w->rows * t->n_sq, sizeof *t->sq, err);
    t->sq_sum = pfx_mem_calloc(t->n_sq, sizeof *t->sq_sum, err);
    t->form = pfx_mem_calloc(v->n_pairs * L * L, sizeof *t->form, err);
    t->full = pfx_mem_calloc(2, sizeof *t->full, err);
    v->pi = pfx_mem_alloc((pfx_idx)v->l1 * v->n + v->n, sizeof *v->pi, err);
    if (v->pi) v->f = v->pi + (pfx_idx)v->l1 * v->n;
    return t->stat && t->sq && t->sq_sum && t->form && t->full && v->pi ? PFX_OK : PFX_ENOMEM;
}

pfx_status pfx_wild_iv_prepare(pfx_wild *w, pfx_err *err)
{
    const pfx_clusterstat *s = w->s;
    int n = s->iv->n, m = n + 1, ns = s->iv->structural.n_terms;
    wild_test *t = w->test;
    pfx_idx L = s->iv->L, ne = s->iv->n_exog;
    pfx_status st = allocate(w, t, err);
    if (st != PFX_OK) return st;
    wild_iv *v = t->iv;
    double *shift =
        pfx_mem_calloc(2 * n + 4 * (pfx_idx)m * m + m + (pfx_idx)v->l1 * m + m * L, sizeof *shift, err);
    if (!shift) return PFX_ENOMEM;
    double *x = shift + n, *small = x + n, *F = small + 4 * (pfx_idx)m * m + m, *h = F + (pfx_idx)v->l1 * n,
           *work = h + v->l1;
    memcpy(v->f, s->iv->functional + ns - n, (size_t)n * sizeof *v->f);
    t->b = s->b[0];
    t->null = w->o.null[0];
    t->full[0] = t->b - t->null;
    if (!w->o.unrestricted && (st = restricted(s, v->f, t->null - t->b, small, shift, err)) != PFX_OK)
        goto done;
    first_stages(s, shift, small, v->pi);
    for (int a = 0; a < v->l1; a++)
        for (int i = 0; i < n; i++) F[a * n + i] = s->A[packed(L + i, ne + a)];
    solve(v->l1, n, F, v->f, small, small + n * n, x, h);
    for (pfx_idx g = 0; g < s->G; g++) add_cluster(w, t, g, shift, h, work);
    for (pfx_idx g = 0; g < s->G; g++)
        for (int j = 0; j < t->n_sq; j++) t->sq_sum[j] += t->sq[g * t->n_sq + j];
    w->max_ld = t->ld;
done:
    pfx_mem_free(shift);
    return st;
}

pfx_idx pfx_wild_iv_room(const pfx_clusterstat *s)
{
    pfx_idx n = s->iv->n, l1 = s->iv->L - s->iv->n_exog;
    return (2 * (pfx_idx)s->iv->L + l1 + n + 1) * LANES + l1 * n + n * n + 2 * n + l1;
}

/* Sums of squares of one lane: of (a - c delta)_i (a - c delta)_j, coef [1 + n] = (1, -delta). */
static double squares(int l1, int n, int i, int j, const double *coef, const double *sq)
{
    double sum = 0;
    for (int a = 0; a <= n; a++)
        for (int b = 0; b <= n; b++)
            sum += coef[a * LANES] * coef[b * LANES] * sq[packed(a * l1 + i, b * l1 + j) * LANES];
    return sum;
}

/* One lane's coefficients: coef = (1, -delta), h, tau. small [l1 n + n n + 2 n + l1]. */
static void estimate(const wild_iv *v, pfx_idx L, pfx_idx ne, const double *C, double *coef, double *h,
                     double *tau, double *small)
{
    int l1 = v->l1, n = v->n;
    double *F = small, *G = F + l1 * n, *y = G + n * n, *x = y + n, *hs = x + n;
    for (int i = 0; i < n; i++) x[i] = 0;
    for (int a = 0; a < l1; a++)
        for (int i = 0; i < n; i++) {
            F[a * n + i] = v->pi[a * n + i] + C[((1 + i) * L + ne + a) * LANES];
            x[i] += F[a * n + i] * C[(ne + a) * LANES];
        }
    solve(l1, n, F, v->f, G, y, x, hs);
    coef[0] = 1;
    for (int i = 0; i < n; i++) coef[(1 + i) * LANES] = -x[i];
    for (int a = 0; a < l1; a++) {
        double p = 0;
        h[a * LANES] = hs[a];
        for (int i = 0; i < n; i++) p += v->pi[a * n + i] * x[i];
        tau[(ne + a) * LANES] = p;
    }
    for (pfx_idx k = 0; k < ne; k++) {
        double p = C[k * LANES];
        for (int i = 0; i < n; i++) p -= x[i] * C[((1 + i) * L + k) * LANES];
        tau[k * LANES] = p;
    }
}

void pfx_wild_iv_finish(const pfx_wild *w, pfx_idx r0, const double *C, const double *sq, double *room,
                        double *const *field)
{
    const wild_test *t = w->test;
    const wild_iv *v = t->iv;
    pfx_idx L = w->s->iv->L, ne = w->s->iv->n_exog, block = L * LANES;
    int n = v->n;
    const double *T = C + (1 + n) * block;
    double *tau = room, *cross = tau + block, *h = cross + block, *coef = h + v->l1 * LANES,
           *small = coef + (n + 1) * LANES, one[LANES], var[LANES] = {0}, scale[LANES] = {0};
    for (int l = 0; l < LANES; l++) estimate(v, L, ne, C + l, coef + l, h + l, tau + l, small);
    for (int i = 0, f = 0; i < v->l1; i++)
        for (int j = 0; j <= i; j++, f++, T += (1 + n) * block) {
            memcpy(cross, T, (size_t)block * sizeof *cross);
            for (int e = 1; e <= n; e++)
                for (pfx_idx k = 0; k < block; k++)
                    cross[k] += coef[e * LANES + k % LANES] * T[e * block + k];
            for (int l = 0; l < LANES; l++) one[l] = squares(v->l1, n, i, j, coef + l, sq + l);
            for (int l = 0; l < LANES; l++)
                scale[l] += (i == j ? 1 : 2) * h[i * LANES + l] * h[j * LANES + l] * one[l];
            pfx_k_wild_form(w->o.isa, (int)L, t->form + f * L * L, tau, tau, cross, cross, one);
            for (int l = 0; l < LANES; l++)
                var[l] += (i == j ? 1 : 2) * h[i * LANES + l] * h[j * LANES + l] * one[l];
        }
    for (int l = 0; l < LANES; l++) {
        pfx_idx at = r0 + l;
        double se = var[l] > RESOLVED * scale[l] ? sqrt(var[l]) : NAN, move = 0;
        for (int i = 0; i < n; i++) move -= v->f[i] * coef[(1 + i) * LANES + l];
        field[PFX_DRAW_ESTIMATE][at] = (w->o.unrestricted ? t->b : t->null) + move;
        field[PFX_DRAW_STD_ERROR][at] = se;
        field[PFX_DRAW_STATISTIC][at] = move / se;
    }
}

pfx_status pfx_wild_iv_check(const pfx_clusterstat *s, const pfx_wild_options *o, pfx_err *err)
{
    const pfx_clusterstat *of = &s->iv->structural;
    if (s->n_terms != 1 || s->iv->place[0] < of->n_terms - s->iv->n)
        return pfx_fail(err, PFX_EUSAGE,
                        "the wild bootstrap of 2SLS tests the coefficient of one endogenous variable; "
                        "--method pairs takes any");
    if (o->type != 11 || o->joint || o->n_errors != 1 || o->boot || o->errors[0].code || s->absorber)
        return pfx_fail(err, PFX_EUSAGE,
                        "the wild bootstrap of 2SLS is of type 11, with one cluster variable for errors and "
                        "weights");
    if (o->invert)
        return pfx_fail(err, PFX_EUSAGE, "the wild bootstrap of 2SLS has no polynomials of the null");
    return PFX_OK;
}
