#include "src/est/wald.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/dist.h"

double pfx_quadratic_form(int q, const double *S, const double *x, double *work)
{
    double *L = work, *z = work + (pfx_idx)q * q, form = 0;
    if (q == 0) return 0;
    memcpy(L, S, (size_t)q * (size_t)q * sizeof *L);
    memcpy(z, x, (size_t)q * sizeof *z);
    /* Row-major lower is LAPACK's upper. */
    if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', q, L, q) != 0) return NAN;
    for (int i = 0; i < q; i++) {
        const double *row = L + (pfx_idx)i * q;
        /* A pivot this far below its diagonal is rounding: the matrix has no full rank. */
        if (!(row[i] * row[i] > 1e-12 * S[(pfx_idx)i * q + i])) return NAN;
        for (int j = 0; j < i; j++) z[i] -= row[j] * z[j];
        z[i] /= row[i];
        form += z[i] * z[i];
    }
    return form;
}

/* Rows of R that earlier rows imply are taken out. Returns the rank. Q [q x k] scratch. */
static int independent_rows(const pfx_restrictions *w, double *Q, int *rows)
{
    int k = w->k, rank = 0;
    for (int i = 0; i < w->q; i++) {
        double *v = Q + rank * k, norm = 0, left = 0;
        memcpy(v, w->R + i * k, (size_t)k * sizeof *v);
        for (int j = 0; j < k; j++) norm += v[j] * v[j];
        for (int pass = 0; pass < 2; pass++)
            for (int m = 0; m < rank; m++) {
                double dot = 0;
                for (int j = 0; j < k; j++) dot += Q[m * k + j] * v[j];
                for (int j = 0; j < k; j++) v[j] -= dot * Q[m * k + j];
            }
        for (int j = 0; j < k; j++) left += v[j] * v[j];
        if (left <= 1e-24 * norm) continue;
        for (int j = 0; j < k; j++) v[j] /= sqrt(left);
        rows[rank++] = i;
    }
    return rank;
}

pfx_status pfx_wald_test(const pfx_restrictions *w, const double *b, const double *V, double df2,
                         pfx_wald *out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    int k = w->k, q = w->q;
    pfx_idx size = (pfx_idx)q * k + 2 * ((pfx_idx)q * q + q);
    double *mem = pfx_mem_alloc(size, sizeof *mem, err);
    int *rows = pfx_mem_alloc(q, sizeof *rows, err);
    if (!mem || !rows) {
        st = PFX_ENOMEM;
        goto done;
    }
    double *S = mem + q * k, *x = S + q * q, *work = x + q;
    int rank = independent_rows(w, mem, rows);
    for (int a = 0; a < rank; a++) {
        const double *ra = w->R + rows[a] * k;
        x[a] = -w->r[rows[a]];
        for (int i = 0; i < k; i++) x[a] += ra[i] * b[i];
        for (int c = 0; c < rank; c++) {
            const double *rc = w->R + rows[c] * k;
            double v = 0;
            for (int i = 0; i < k; i++)
                for (int j = 0; j < k; j++)
                    if (ra[i] != 0 && rc[j] != 0) v += ra[i] * V[i * k + j] * rc[j];
            S[a * rank + c] = v;
        }
    }
    out->df1 = rank;
    out->df2 = df2;
    out->statistic = pfx_quadratic_form(rank, S, x, work) / rank;
    out->p_value = pfx_dist_f_p(out->statistic, rank, df2);
    out->estimate = out->std_error = NAN;
    if (q == 1) {
        out->estimate = x[0] + w->r[0];
        out->std_error = sqrt(S[0]);
    }
done:
    pfx_mem_free(mem);
    pfx_mem_free(rows);
    return st;
}
