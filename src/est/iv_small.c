/* Small matrices of 2SLS: QR, triangles, and the variances of sums of scores. */
#include "src/est/iv_private.h"

#include <math.h>
#include <string.h>

void pfx_iv_qr(int m, int n, int nc, double *A)
{
    for (int k = 0; k < n; k++) {
        double norm2 = 0, *top = A + (pfx_idx)k * nc;
        for (int i = k; i < m; i++) norm2 += A[(pfx_idx)i * nc + k] * A[(pfx_idx)i * nc + k];
        double norm = sqrt(norm2), head = top[k];
        if (norm == 0) continue;
        /* v = x + sign(x_1) |x| e_1, kept where x was; v'v = 2 |x| (|x| + |x_1|) */
        double v0 = head + (head < 0 ? -norm : norm), half = norm * (norm + fabs(head));
        for (int j = k + 1; j < nc; j++) {
            double dot = v0 * top[j];
            for (int i = k + 1; i < m; i++) dot += A[(pfx_idx)i * nc + k] * A[(pfx_idx)i * nc + j];
            dot /= half;
            top[j] -= dot * v0;
            for (int i = k + 1; i < m; i++) A[(pfx_idx)i * nc + j] -= dot * A[(pfx_idx)i * nc + k];
        }
        top[k] = norm;
        for (int i = k + 1; i < m; i++) A[(pfx_idx)i * nc + k] = 0;
        if (head < 0) continue; /* the reflection gave +norm */
        for (int j = k + 1; j < nc; j++) top[j] = -top[j];
    }
}

void pfx_iv_backward(int n, int ld, const double *R, double *x)
{
    for (int i = n - 1; i >= 0; i--) {
        double s = x[i], pivot = R[(pfx_idx)i * ld + i];
        for (int j = i + 1; j < n; j++) s -= R[(pfx_idx)i * ld + j] * x[j];
        x[i] = pivot != 0 ? s / pivot : 0;
    }
}

void pfx_iv_forward(int n, int ld, const double *R, double *x)
{
    for (int i = 0; i < n; i++) {
        double s = x[i], pivot = R[(pfx_idx)i * ld + i];
        for (int j = 0; j < i; j++) s -= R[(pfx_idx)j * ld + i] * x[j];
        x[i] = pivot != 0 ? s / pivot : 0;
    }
}

/* Product of two columns of the pass, by what they are: Q is orthonormal and orthogonal to r; the constant,
 * where one is estimated, to both. */
static double product(const pfx_ivm *v, int i, int j)
{
    int L = v->L, m = v->n + 1, l1 = v->n_excluded, lo = i < j ? i : j, hi = i < j ? j : i;
    if (hi < L) return i == j;
    if (hi < L + m) return lo < L ? 0 : v->O[(lo - L) * m + hi - L];
    if (hi == L + m) return lo == hi ? v->m.sum_w : 0;
    const double *a = v->made + (pfx_idx)(hi - L - m - 1) * (l1 + m);
    if (lo < L) return lo < L - l1 ? 0 : a[lo - (L - l1)];
    if (lo == L + m) return 0;
    double sum = 0;
    if (lo < L + m) {
        for (int c = 0; c < m; c++) sum += a[l1 + c] * v->O[(lo - L) * m + c];
        return sum;
    }
    const double *b = v->made + (pfx_idx)(lo - L - m - 1) * (l1 + m);
    for (int c = 0; c < l1; c++) sum += a[c] * b[c];
    for (int c = 0; c < m; c++)
        for (int e = 0; e < m; e++) sum += a[l1 + c] * v->O[c * m + e] * b[l1 + e];
    return sum;
}

void pfx_iv_meat(const pfx_ivm *v, const double *factor, int n, const int *at, double *M)
{
    static const double plain[3] = {1, 1, -1};
    const double *f = factor ? factor : plain;
    pfx_idx q = v->n_scores;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double s = 0;
            const int *a = v->pair[at[i]], *b = v->pair[at[j]];
            if (v->n_meats == 0) s = f[0] * product(v, a[0], b[0]) * product(v, a[1], b[1]) / v->m.n;
            for (int c = 0; c < v->n_meats && c < PFX_MAX_MEATS; c++) s += f[c] * v->meat[c][at[i] * q + at[j]];
            M[(pfx_idx)i * n + j] = s;
        }
}

double pfx_iv_structural_ssr(const pfx_ivm *v)
{
    int n = v->n, m = n + 1;
    double ssr = 0;
    for (int a = 0; a < v->n_excluded; a++) ssr += v->gap[a] * v->gap[a];
    for (int c = 0; c < m; c++)
        for (int e = 0; e < m; e++)
            ssr += (c < n ? -v->b[c] : 1) * v->O[c * m + e] * (e < n ? -v->b[e] : 1);
    return ssr;
}

void pfx_iv_factors(const pfx_ivm *v, const pfx_ssc_out *ssc, double factor[3])
{
    for (int c = 0; c < 3; c++) factor[c] = c == 2 ? -ssc->factor[c] : ssc->factor[c];
    if (v->m.f->vcov == PFX_VCOV_IID) factor[0] *= v->m.n;
}

int pfx_iv_at(const pfx_ivm *v, int at, int c, int a)
{
    /* of u and r a constant and the exogenous stand before */
    bool whole = at < v->at_partial;
    return at + c * (whole ? 1 + v->L : v->n_excluded) + (whole ? 1 + v->n_exog : 0) + a;
}
