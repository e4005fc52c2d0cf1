#include "src/est/vcov.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/codes.h"
#include "src/model/design.h"

void pfx_factor_clear(pfx_factor *f)
{
    pfx_mem_free(f->name);
    pfx_mem_free(f->code);
    *f = (pfx_factor){0};
}

pfx_status pfx_cluster_intersect(pfx_idx n, const pfx_factor *f, const pfx_factor *g, pfx_factor *out,
                                 pfx_err *err)
{
    pfx_status st = PFX_OK;
    *out = (pfx_factor){0};
    if (n > INT32_MAX)
        return pfx_fail(err, PFX_EDATA,
                        "two-way clusters of %lld rows: at most %d are supported; cluster one way",
                        (long long)n, INT32_MAX);
    /* Rows by level of f (a counting sort), then a stamp for each level of g: no pairs are ever hashed. */
    pfx_idx *start = pfx_mem_calloc(f->n_levels + 1, sizeof *start, err);
    pfx_idx *order = pfx_mem_alloc(n, sizeof *order, err);
    int32_t *stamp = pfx_mem_alloc(g->n_levels, sizeof *stamp, err);
    pfx_idx *owner = pfx_mem_alloc(g->n_levels, sizeof *owner, err);
    out->code = pfx_mem_alloc(n, sizeof *out->code, err);
    if (!start || !order || !stamp || !owner || !out->code) {
        st = PFX_ENOMEM;
        pfx_factor_clear(out);
        goto done;
    }
    for (pfx_idx i = 0; i < n; i++) start[f->code[i] + 1]++;
    for (pfx_idx l = 0; l < f->n_levels; l++) start[l + 1] += start[l];
    for (pfx_idx i = 0; i < n; i++) order[start[f->code[i]]++] = i;
    for (pfx_idx l = 0; l < g->n_levels; l++) owner[l] = -1;
    for (pfx_idx o = 0; o < n; o++) {
        pfx_idx i = order[o];
        int32_t gc = g->code[i];
        if (owner[gc] != f->code[i]) {
            owner[gc] = f->code[i];
            stamp[gc] = (int32_t)out->n_levels++;
        }
        out->code[i] = stamp[gc];
    }
done:
    pfx_mem_free(start);
    pfx_mem_free(order);
    pfx_mem_free(stamp);
    pfx_mem_free(owner);
    return st;
}

pfx_status pfx_factor_nested(pfx_idx n, const pfx_factor *f, const pfx_factor *g, int nth, bool *nested, pfx_err *err)
{
    *nested = true;
    if (f->code == g->code) return PFX_OK;
    pfx_codes_order order = pfx_codes_compare(n, f->code, g->code, true, nth);
    if (!order.f_falls || order.splits) {   /* where f ascends, splits decide; they speak against it in any order */
        *nested = !order.splits;
        return PFX_OK;
    }
    int32_t *parent = pfx_mem_alloc(f->n_levels, sizeof *parent, err);
    if (!parent) return PFX_ENOMEM;
    for (pfx_idx l = 0; l < f->n_levels; l++) parent[l] = -1;
    for (pfx_idx i = 0; i < n && *nested; i++) {
        int32_t *at = &parent[f->code[i]];
        if (*at < 0) *at = g->code[i];
        *nested = *at == g->code[i];
    }
    pfx_mem_free(parent);
    return PFX_OK;
}

void pfx_sandwich(int k, const double *H, const double *M, double *V, double *work)
{
    if (k == 0) return;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, k, k, k, 1, H, k, M, k, 0, work, k);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, k, k, k, 1, work, k, H, k, 0, V, k);
    for (pfx_idx i = 0; i < k; i++)
        for (pfx_idx j = 0; j < i; j++) V[j * k + i] = V[i * k + j];
}

pfx_status pfx_vcov_floor(int k, double *V, bool *floored, pfx_err *err)
{
    *floored = false;
    if (k == 0) return PFX_OK;
    pfx_status st = PFX_OK;
    pfx_idx kk = (pfx_idx)k * k;
    double *U = pfx_mem_alloc(kk, sizeof *U, err), *lambda = pfx_mem_alloc(k, sizeof *lambda, err);
    if (!U || !lambda) {
        st = PFX_ENOMEM;
        goto done;
    }
    memcpy(U, V, (size_t)kk * sizeof *U);
    if (LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', k, U, k, lambda) != 0) {
        st = pfx_fail(err, PFX_ENOCONV, "eigenvalues of the two-way variance [%d x %d] did not converge", k,
                      k);
        goto done;
    }
    /* Ascending; a negative one within rounding of the largest is a zero. */
    if (lambda[0] >= -1e-13 * fabs(lambda[k - 1])) goto done;
    *floored = true;
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++) {
            double v = 0;
            for (int l = 0; l < k; l++)
                if (lambda[l] > 0) v += U[i * k + l] * lambda[l] * U[j * k + l];
            V[i * k + j] = v;
        }
done:
    pfx_mem_free(U);
    pfx_mem_free(lambda);
    return st;
}
