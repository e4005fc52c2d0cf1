/* The two stages in the coordinates of Q, once the reduced form is known: least squares and the structural
 * coefficients. */
#include "src/est/iv_private.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/model/design.h"

/* Squared share of an endogenous variable that its first stage leaves: below it, rounding. */
static const double NO_RESIDUAL2 = 1e-18;
/* A canonical correlation below this is rounding: the coefficients are not identified. */
static const double NO_CORRELATION = 1e-9;

/* U, R, and least squares with the exogenous out. */
pfx_status pfx_iv_least_squares(pfx_ivm *v, pfx_err *err)
{
    int n = v->n, m = n + 1, l1 = v->n_excluded, rows = l1 + n;
    double *A = pfx_mem_alloc((pfx_idx)rows * m, sizeof *A, err);
    if (!A) return PFX_ENOMEM;
    v->singular = false;
    memset(v->U, 0, (size_t)(n * n) * sizeof *v->U);
    for (int i = 0; i < n; i++) {
        double *u = v->U + (pfx_idx)i * n, whole = v->O[i * m + i], pivot = whole;
        for (int a = v->n_exog; a < v->L; a++) whole += v->P[(pfx_idx)a * m + i] * v->P[(pfx_idx)a * m + i];
        for (int k = 0; k < i; k++) pivot -= v->U[k * n + i] * v->U[k * n + i];
        if (!(pivot > NO_RESIDUAL2 * whole)) {
            v->singular = true;
            continue;
        }
        u[i] = sqrt(pivot);
        for (int j = i + 1; j < n; j++) {
            double s = v->O[i * m + j];
            for (int k = 0; k < i; k++) s -= v->U[k * n + i] * v->U[k * n + j];
            u[j] = s / u[i];
        }
    }
    for (int i = 0; i < n; i++) v->b_v[i] = v->O[i * m + n];
    pfx_iv_forward(n, n, v->U, v->b_v);
    memcpy(A, v->P + (pfx_idx)v->n_exog * m, (size_t)l1 * (size_t)m * sizeof *A);
    for (int i = 0; i < n; i++) {
        memcpy(A + (pfx_idx)(l1 + i) * m, v->U + i * n, (size_t)n * sizeof *A);
        A[(pfx_idx)(l1 + i) * m + n] = v->b_v[i];
    }
    pfx_iv_qr(rows, n, m, A);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) v->R[i * n + j] = j < i ? 0 : A[i * m + j];
        v->b_least[i] = A[i * m + n];
    }
    pfx_iv_backward(n, n, v->R, v->b_least);
    pfx_iv_backward(n, n, v->U, v->b_v);
    pfx_mem_free(A);
    return PFX_OK;
}

pfx_status pfx_iv_check_rank(const pfx_ivm *v, pfx_err *err)
{
    int n = v->n, l1 = v->n_excluded;
    double sigma, *c = pfx_mem_alloc(n + (pfx_idx)(l1 - n + 1) * l1, sizeof *c, err);
    pfx_status st = c ? pfx_iv_null_space(v, &sigma, c, c + n, err) : PFX_ENOMEM;
    if (st == PFX_OK && !(sigma > NO_CORRELATION))
        st = pfx_fail(
            err, PFX_EIDENT,
            "%s: not identified: the instruments explain nothing of %s%s (smallest canonical correlation "
            "%.1e); choose other instruments",
            v->d->formula ? v->d->formula : "formula",
            n > 1 ? "a combination of the endogenous variables, " : "", v->d->name[v->column[0]], sigma);
    pfx_mem_free(c);
    return st;
}

/* Structural coefficients: the outcome's q2 part on that of the endogenous variables, then the exogenous
 * ones. */
pfx_status pfx_iv_second_stage(pfx_ivm *v, pfx_err *err)
{
    int n = v->n, m = n + 1, l1 = v->n_excluded, nx = v->n_exog, L = v->L, nc = m + l1;
    double *A = pfx_mem_calloc((pfx_idx)l1 * nc + nx, sizeof *A, err), *x = A + (pfx_idx)l1 * nc;
    if (!A) return PFX_ENOMEM;
    for (int a = 0; a < l1; a++) {
        memcpy(A + a * nc, v->P + (pfx_idx)(nx + a) * m, (size_t)m * sizeof *A);
        A[a * nc + m + a] = 1;
    }
    pfx_iv_qr(l1, n, nc, A);
    for (int i = 0; i < n; i++) v->b[i] = A[i * nc + n];
    pfx_iv_backward(n, nc, A, v->b);
    for (int a = 0; a < l1; a++) { /* column a of H */
        for (int i = 0; i < n; i++) v->H[(pfx_idx)i * l1 + a] = A[i * nc + m + a];
        for (int i = n - 1; i >= 0; i--) {
            double s = v->H[(pfx_idx)i * l1 + a];
            for (int j = i + 1; j < n; j++) s -= A[i * nc + j] * v->H[(pfx_idx)j * l1 + a];
            v->H[(pfx_idx)i * l1 + a] = s / A[i * nc + i];
        }
        v->gap[a] = v->P[(pfx_idx)(nx + a) * m + n];
        for (int i = 0; i < n; i++) v->gap[a] -= v->P[(pfx_idx)(nx + a) * m + i] * v->b[i];
    }
    for (int a = 0; a < nx; a++) {
        x[a] = v->P[(pfx_idx)a * m + n];
        for (int i = 0; i < n; i++) x[a] -= v->P[(pfx_idx)a * m + i] * v->b[i];
    }
    pfx_iv_backward(nx, L, v->z->R, x);
    for (int i = 0; i < n; i++) v->m.s->b[i] = v->b[i];
    for (int a = 0; a < nx; a++) v->m.s->b[n + a] = x[a] / v->z->scale[a];
    pfx_mem_free(A);
    return PFX_OK;
}
