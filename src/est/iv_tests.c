/* Tests of the instruments' validity and of endogeneity. */
#include "src/est/iv_private.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/dist.h"
#include "src/est/wald.h"

/* min over b of (g - G b)'S^-1 (g - G b), S [l x l], A [l x (n + 1)] = [G g], overwritten; NaN where S is not
 * positive definite. L [l x l + l] scratch. S may have row stride ld. */
static double criterion(int l, int n, const double *S, int ld, double *A, double *L)
{
    double *scale = L + (pfx_idx)l * l, sum = 0;
    for (int i = 0; i < l; i++) {
        if (!(S[(pfx_idx)i * (ld + 1)] > 0)) return NAN;
        scale[i] = 1 / sqrt(S[(pfx_idx)i * (ld + 1)]);
    }
    for (int i = 0; i < l; i++) {
        for (int j = 0; j < l; j++) L[(pfx_idx)i * l + j] = S[(pfx_idx)i * ld + j] * scale[i] * scale[j];
        for (int j = 0; j <= n; j++) A[(pfx_idx)i * (n + 1) + j] *= scale[i];
    }
    /* Row-major lower is LAPACK's upper. */
    if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', l, L, l) != 0) return NAN;
    for (int i = 0; i < l; i++) {
        double *row = A + (pfx_idx)i * (n + 1), pivot = L[(pfx_idx)i * (l + 1)];
        if (!(pivot * pivot > 1e-12)) return NAN; /* rounding: no full rank */
        for (int k = 0; k < i; k++)
            for (int j = 0; j <= n; j++) row[j] -= L[(pfx_idx)i * l + k] * A[(pfx_idx)k * (n + 1) + j];
        for (int j = 0; j <= n; j++) row[j] /= pivot;
    }
    pfx_iv_qr(l, n, n + 1, A);
    for (int i = n; i < l; i++) sum += A[(pfx_idx)i * (n + 1) + n] * A[(pfx_idx)i * (n + 1) + n];
    return sum;
}

/* Moments of q2 and, where with_r, of the first-stage residuals, with the endogenous variables and the
 * outcome. */
static void moments(const pfx_ivm *v, bool with_r, double *A)
{
    int n = v->n, m = n + 1, l1 = v->n_excluded;
    memcpy(A, v->P + (pfx_idx)v->n_exog * m, (size_t)l1 * (size_t)m * sizeof *A);
    if (with_r) memcpy(A + (pfx_idx)l1 * m, v->O, (size_t)n * (size_t)m * sizeof *A);
}

pfx_status pfx_iv_j_tests(pfx_ivm *v, pfx_err *err)
{
    int n = v->n, m = n + 1, l1 = v->n_excluded, l = l1 + n;
    pfx_iv *iv = v->iv;
    double *S = pfx_mem_alloc(2 * (pfx_idx)l * l + l + (pfx_idx)l * m, sizeof *S, err);
    int *list = pfx_mem_alloc(l, sizeof *list, err);
    pfx_status st = S && list ? PFX_OK : PFX_ENOMEM;
    if (st != PFX_OK) goto done;
    double *L = S + (pfx_idx)l * l, *A = L + (pfx_idx)l * l + l;
    for (int a = 0; a < l1; a++) list[a] = pfx_iv_at(v, v->at_u, 0, a);
    pfx_iv_meat(v, NULL, l1, list, S);
    moments(v, false, A);
    iv->j = l1 > n ? pfx_iv_chi2(criterion(l1, n, S, l1, A, L), l1 - n) : (pfx_iv_test){0, 0, 0, NAN};

    iv->endogeneity = pfx_iv_chi2(NAN, n);
    if (v->singular) goto done;
    for (int a = 0; a < l; a++) list[a] = v->at_least + a;
    pfx_iv_meat(v, NULL, l, list, S);
    moments(v, true, A);
    double all = criterion(l, n, S, l, A, L);
    moments(v, false, A);
    iv->endogeneity = pfx_iv_chi2(all - criterion(l1, n, S, l, A, L), n);
done:
    pfx_mem_free(S);
    pfx_mem_free(list);
    return st;
}

/* The coefficients of the first-stage residuals, b_v - b, from the pass's residual e with them among the
 * regressors: (V'V)^-1 V'e less H q2'e. B [n x (l1 + n)]. */
static void influence(const pfx_ivm *v, double *B, double *x)
{
    int n = v->n, l1 = v->n_excluded, l = l1 + n;
    for (int i = 0; i < n; i++)
        for (int a = 0; a < l1; a++) B[(pfx_idx)i * l + a] = -v->H[(pfx_idx)i * l1 + a];
    for (int c = 0; c < n; c++) {
        for (int i = 0; i < n; i++) x[i] = i == c;
        pfx_iv_forward(n, n, v->U, x);
        pfx_iv_backward(n, n, v->U, x);
        for (int i = 0; i < n; i++) B[(pfx_idx)i * l + l1 + c] = x[i];
    }
}

pfx_status pfx_iv_wu_hausman(pfx_ivm *v, pfx_err *err)
{
    int n = v->n, l1 = v->n_excluded, l = l1 + n;
    const pfx_ols *m = &v->m;
    double factor[3], left = m->n - m->ssc.k_adj;
    double df2 = pfx_vcov_is_clustered(m->f->vcov) ? m->ssc.df_t : left - n;
    v->iv->wu_hausman = (pfx_iv_test){NAN, n, df2, NAN};
    if (v->singular || !(left - n > 0)) return PFX_OK;
    double *M = pfx_mem_alloc((pfx_idx)l * l + 2 * (pfx_idx)n * l + 2 * n * n + 3 * n, sizeof *M, err);
    int *list = pfx_mem_alloc(l, sizeof *list, err);
    pfx_status st = M && list ? PFX_OK : PFX_ENOMEM;
    if (st != PFX_OK) goto done;
    double *B = M + (pfx_idx)l * l, *BM = B + (pfx_idx)n * l, *V = BM + (pfx_idx)n * l, *x = V + n * n,
           *work = x + n;
    for (int a = 0; a < l; a++) list[a] = v->at_augmented + a;
    pfx_iv_factors(v, &m->ssc, factor);
    if (m->f->ssc != PFX_SSC_NONE)
        for (int c = 0; c < 3; c++) factor[c] *= left / (left - n); /* n regressors more */
    pfx_iv_meat(v, factor, l, list, M);
    influence(v, B, x);
    for (int i = 0; i < n; i++) {
        for (int a = 0; a < l; a++) {
            BM[(pfx_idx)i * l + a] = 0;
            for (int b = 0; b < l; b++)
                BM[(pfx_idx)i * l + a] += B[(pfx_idx)i * l + b] * M[(pfx_idx)b * l + a];
        }
        x[i] = v->b_v[i] - v->b[i];
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double s = 0;
            for (int a = 0; a < l; a++) s += BM[(pfx_idx)i * l + a] * B[(pfx_idx)j * l + a];
            V[i * n + j] = s;
        }
    double f = pfx_quadratic_form(n, V, x, work) / n;
    v->iv->wu_hausman = (pfx_iv_test){f, n, df2, pfx_dist_f_p(f, n, df2)};
done:
    pfx_mem_free(M);
    pfx_mem_free(list);
    return st;
}
