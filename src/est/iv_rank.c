/* Strength of the instruments: rank tests of Kleibergen and Paap (2006) in the null-space form, Cragg and
 * Donald (1993), the first stages' F, Sanderson and Windmeijer (2016), Montiel Olea and Pflueger (2013). */
#include "src/est/iv_private.h"

#include <gsl/gsl_linalg.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/dist.h"
#include "src/est/wald.h"

pfx_iv_test pfx_iv_chi2(double statistic, double df)
{
    return (pfx_iv_test){statistic, df, 0, pfx_dist_chi2_p(statistic, df)};
}

pfx_iv_test pfx_iv_f(const pfx_ivm *v, double chi2, double df)
{
    double f = chi2 * v->ratio / df;
    return (pfx_iv_test){f, df, v->df2, pfx_dist_f_p(f, df, v->df2)};
}

/* Theta = P2 R^-1, [l1 x n], whose singular values are the canonical correlations. */
static void canonical(const pfx_ivm *v, double *Theta)
{
    int n = v->n, l1 = v->n_excluded;
    for (int a = 0; a < l1; a++) {
        double *t = Theta + (pfx_idx)a * n;
        memcpy(t, v->P + (pfx_idx)(v->n_exog + a) * (n + 1), (size_t)n * sizeof *t);
        pfx_iv_forward(n, n, v->R, t);
    }
}

pfx_status pfx_iv_null_space(const pfx_ivm *v, double *sigma, double *c, double *N, pfx_err *err)
{
    int n = v->n, l1 = v->n_excluded, nc = n - 1 + l1;
    pfx_idx size = (pfx_idx)l1 * n + (pfx_idx)n * n + n + (pfx_idx)l1 * nc;
    double *T = pfx_mem_calloc(size, sizeof *T, err);
    if (!T) return PFX_ENOMEM;
    double *W = T + (pfx_idx)l1 * n, *s = W + (pfx_idx)n * n, *A = s + n;
    canonical(v, T);
    gsl_matrix_view mt = gsl_matrix_view_array(T, (size_t)l1, (size_t)n),
                    mw = gsl_matrix_view_array(W, (size_t)n, (size_t)n);
    gsl_vector_view vs = gsl_vector_view_array(s, (size_t)n);
    /* one-sided Jacobi: small singular values to their own relative accuracy */
    pfx_status st = PFX_OK;
    if (gsl_linalg_SV_decomp_jacobi(&mt.matrix, &mw.matrix, &vs.vector))
        st = pfx_fail(err, PFX_ENOCONV, "the canonical correlations of the instruments did not converge");
    if (st == PFX_OK) {
        *sigma = s[n - 1];
        for (int i = 0; i < n; i++) c[i] = W[(pfx_idx)i * n + n - 1];
        pfx_iv_backward(n, n, v->R, c);
        /* what is orthogonal to the other left singular vectors */
        for (int a = 0; a < l1; a++) {
            for (int i = 0; i < n - 1; i++) A[(pfx_idx)a * nc + i] = T[(pfx_idx)a * n + i];
            A[(pfx_idx)a * nc + n - 1 + a] = 1;
        }
        pfx_iv_qr(l1, n - 1, nc, A);
        for (int i = n - 1; i < l1; i++)
            memcpy(N + (pfx_idx)(i - n + 1) * l1, A + (pfx_idx)i * nc + n - 1, (size_t)l1 * sizeof *N);
    }
    pfx_mem_free(T);
    return st;
}

/* S [l1 x l1] += the variance of the sums of q2 times the columns of the kind at `at`, combined by c [m].
 * work holds the list [m l1] and M [m l1 x m l1]. */
static void combined(const pfx_ivm *v, int at, int m, const double *c, double *S, int *list, double *M)
{
    int l1 = v->n_excluded, n = m * l1;
    for (int e = 0; e < m; e++)
        for (int a = 0; a < l1; a++) list[e * l1 + a] = pfx_iv_at(v, at, e, a);
    pfx_iv_meat(v, NULL, n, list, M);
    for (int a = 0; a < l1; a++)
        for (int b = 0; b < l1; b++) {
            double s = 0;
            for (int e = 0; e < m; e++)
                for (int f = 0; f < m; f++) s += c[e] * c[f] * M[(pfx_idx)(e * l1 + a) * n + f * l1 + b];
            S[a * l1 + b] = s;
        }
}

typedef struct scratch {
    int *list;
    double *M, *S, *c, *x, *N, *T, *work;
} scratch;

static pfx_status make_scratch(const pfx_ivm *v, scratch *w, pfx_err *err)
{
    pfx_idx n = v->n, l1 = v->n_excluded, nl = n * l1;
    *w = (scratch){.list = pfx_mem_alloc(nl, sizeof *w->list, err)};
    w->M = pfx_mem_alloc(nl * nl + 4 * l1 * l1 + 2 * l1 + n + l1 * n, sizeof *w->M, err);
    if (!w->list || !w->M) {
        pfx_mem_free(w->list);
        pfx_mem_free(w->M);
        return PFX_ENOMEM;
    }
    w->S = w->M + nl * nl;
    w->N = w->S + l1 * l1;
    w->T = w->N + l1 * l1;
    w->work = w->T + l1 * l1; /* [l1^2 + l1] */
    w->x = w->work + l1 * l1 + l1;
    w->c = w->x + l1;
    return PFX_OK;
}

static void free_scratch(scratch *w)
{
    pfx_mem_free(w->list);
    pfx_mem_free(w->M);
}

/* (N P2 c)' (N S N')^-1 (N P2 c), the rk statistic with scores of the kind at `at`. */
static double rk(const pfx_ivm *v, int at, const scratch *w)
{
    int n = v->n, l1 = v->n_excluded, q = l1 - n + 1;
    combined(v, at, n, w->c, w->S, w->list, w->M);
    for (int i = 0; i < q; i++) {
        const double *ni = w->N + (pfx_idx)i * l1;
        w->x[i] = 0;
        for (int a = 0; a < l1; a++) {
            double p = 0;
            for (int e = 0; e < n; e++) p += v->P[(pfx_idx)(v->n_exog + a) * (n + 1) + e] * w->c[e];
            w->x[i] += ni[a] * p;
        }
        for (int j = 0; j < q; j++) {
            const double *nj = w->N + (pfx_idx)j * l1;
            double s = 0;
            for (int a = 0; a < l1; a++)
                for (int b = 0; b < l1; b++) s += ni[a] * w->S[a * l1 + b] * nj[b];
            w->T[i * q + j] = s;
        }
    }
    return pfx_quadratic_form(q, w->T, w->x, w->work);
}

const double pfx_effective_bias[PFX_EFFECTIVE_BIAS] = {0.05, 0.10, 0.20, 0.30};

/* The effective F is about a weighted sum of noncentral chi-squares, which is taken for one of K degrees of
 * freedom, as Patnaik (1949): K = (tr W)^2 (1 + 2x) / (tr W'W + 2x tr W max eig W), x = 1 / tau, the worst of
 * all structural covariances, W the variance S of the first stage. Montiel Olea and Pflueger (2013),
 * section 2.3. work [l x l]. */
static pfx_status effective_critical(pfx_iv *iv, int l, const double *S, double *work, pfx_err *err)
{
    double trace = 0, square = 0, most = 0, *lambda = pfx_mem_alloc(l, sizeof *lambda, err);
    if (!lambda) return PFX_ENOMEM;
    memcpy(work, S, (size_t)(l * l) * sizeof *work);
    bool found = LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'U', l, work, l, lambda) == 0;
    for (int a = 0; a < l && found; a++) {
        trace += lambda[a];
        square += lambda[a] * lambda[a];
        most = fmax(most, lambda[a]);
    }
    pfx_mem_free(lambda);
    for (int i = 0; i < PFX_EFFECTIVE_BIAS && found && trace > 0; i++) {
        double x = 1 / pfx_effective_bias[i],
               k = trace * trace * (1 + 2 * x) / (square + 2 * x * trace * most);
        iv->effective_critical[i] = pfx_dist_noncentral_chi2_critical(0.95, k, x * k) / k;
        if (pfx_effective_bias[i] == 0.10) iv->effective_df = k;
    }
    return PFX_OK;
}

pfx_status pfx_iv_rank_tests(pfx_ivm *v, pfx_err *err)
{
    pfx_iv *iv = v->iv;
    int n = v->n, m = n + 1, l1 = v->n_excluded, q = l1 - n + 1;
    double sigma, left = 0, trace = 0, length2 = 0, one = 1;
    scratch w;
    pfx_status st = make_scratch(v, &w, err);
    if (st != PFX_OK) return st;
    if ((st = pfx_iv_null_space(v, &sigma, w.c, w.N, err)) != PFX_OK) goto done;
    /* 1 - sigma^2, without the cancellation */
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) left += w.c[i] * v->O[i * m + j] * w.c[j];
    iv->cd_f = sigma * sigma / left * v->left / l1;
    iv->kp_lm = pfx_iv_chi2(rk(v, v->at_partial, &w), q);
    iv->kp_f = rk(v, v->at_r, &w) * v->ratio / l1;
    iv->effective_f = iv->effective_df = NAN;
    for (int i = 0; i < PFX_EFFECTIVE_BIAS; i++) iv->effective_critical[i] = NAN;
    if (n == 1) {
        combined(v, v->at_r, 1, &one, w.S, w.list, w.M);
        for (int a = 0; a < l1; a++) {
            double p = v->P[(pfx_idx)(v->n_exog + a) * m];
            length2 += p * p;
            trace += w.S[a * l1 + a];
        }
        iv->effective_f = length2 / trace * v->ratio;
        st = effective_critical(iv, l1, w.S, w.T, err);
    }
done:
    free_scratch(&w);
    return st;
}

/* Coefficients of endogenous variable j's q2 part on the others', as c: 1 at j, minus them elsewhere. */
static void conditional(const pfx_ivm *v, int j, double *A, double *x, double *c)
{
    int n = v->n, l1 = v->n_excluded, k = 0;
    const double *P2 = v->P + (pfx_idx)v->n_exog * (n + 1);
    for (int a = 0; a < l1; a++) {
        k = 0;
        for (int e = 0; e < n; e++)
            if (e != j) A[(pfx_idx)a * n + k++] = P2[(pfx_idx)a * (n + 1) + e];
        A[(pfx_idx)a * n + k] = P2[(pfx_idx)a * (n + 1) + j];
    }
    pfx_iv_qr(l1, n - 1, n, A);
    for (int i = 0; i < n - 1; i++) x[i] = A[(pfx_idx)i * n + n - 1];
    pfx_iv_backward(n - 1, n, A, x);
    k = 0;
    for (int e = 0; e < n; e++) c[e] = e == j ? 1 : -x[k++];
}

/* Squared length of row j of the inverse of an upper triangle [n x n], stride ld: an entry of (R'R)^-1. */
static double inverse_entry(int n, int ld, const double *R, int j, double *x)
{
    double sum = 0;
    for (int i = 0; i < n; i++) x[i] = i == j;
    pfx_iv_forward(n, ld, R, x);
    for (int i = 0; i < n; i++) sum += x[i] * x[i];
    return sum;
}

pfx_status pfx_iv_stage_tests(pfx_ivm *v, pfx_err *err)
{
    int n = v->n, m = n + 1, l1 = v->n_excluded;
    const double *P2 = v->P + (pfx_idx)v->n_exog * m;
    scratch w;
    pfx_status st = make_scratch(v, &w, err);
    if (st != PFX_OK) return st;
    double *second = w.x + l1 + n; /* [l1 x n] */
    for (int a = 0; a < l1; a++)
        memcpy(second + (pfx_idx)a * n, P2 + (pfx_idx)a * m, (size_t)n * sizeof *second);
    pfx_iv_qr(l1, n, n, second);
    for (int j = 0; j < n; j++) {
        pfx_iv_stage *s = &v->iv->stage[j];
        double length2 = 0, wald;
        for (int a = 0; a < l1; a++) w.x[a] = P2[(pfx_idx)a * m + j], length2 += w.x[a] * w.x[a];
        for (int e = 0; e < n; e++) w.c[e] = e == j;
        combined(v, v->at_r, n, w.c, w.S, w.list, w.M);
        wald = pfx_quadratic_form(l1, w.S, w.x, w.work);
        s->excluded = pfx_iv_f(v, wald, l1);
        s->partial_r2 = length2 / (length2 + v->O[j * m + j]);
        /* work is [l1^2 + l1], and n <= l1 */
        s->shea_r2 = inverse_entry(n, n, v->R, j, w.work) / inverse_entry(n, n, second, j, w.work);
        conditional(v, j, w.M, w.work, w.c);
        for (int a = 0; a < l1; a++) {
            w.x[a] = 0;
            for (int e = 0; e < n; e++) w.x[a] += P2[(pfx_idx)a * m + e] * w.c[e];
        }
        combined(v, v->at_r, n, w.c, w.S, w.list, w.M);
        s->sw = pfx_iv_f(v, pfx_quadratic_form(l1, w.S, w.x, w.work), l1 - n + 1);
    }
    free_scratch(&w);
    return PFX_OK;
}
