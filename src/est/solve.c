#include "src/est/solve.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/model/design.h"

/* A demeaned norm below this share of the centred norm is the rounding noise of an absorbed column. */
static const double ABSORBED = 1e-9;
/* A centred norm below this share of the raw norm: the mean itself is only known to about 1e-16 of it. */
static const double CONSTANT = 1e-13;
/* Squared pivots below this have lost half the digits in the products: QR decides. */
static const double PIVOT_QR = 1e-8;
/* |R_jj| below this share of the column's demeaned norm is collinear (Filip keeps its columns at 6e-8) ... */
static const double PIVOT_DROP = 1e-10;
/* ... and so is one below this share of the raw norm, whatever the demeaned norm: demeaning left it as noise.
 */
static const double RAW_NOISE = 1e-14;

const char *pfx_drop_text(pfx_drop_reason r)
{
    static const char *const text[] = {"constant", "absorbed by the effects",
                                       "collinear with the terms before it"};
    return text[r];
}

bool pfx_design_removes_mean(const pfx_design *d)
{
    bool out = d->intercept;
    for (int e = 0; e < d->n_absorbed; e++) out |= d->absorbed[e].intercept;
    return out;
}

static void drop(pfx_solve *s, int col, pfx_drop_reason why)
{
    int i = s->n_dropped++;
    for (; i > 0 && s->dropped[i - 1] > col; i--) {
        s->dropped[i] = s->dropped[i - 1];
        s->reason[i] = s->reason[i - 1];
    }
    s->dropped[i] = col;
    s->reason[i] = why;
}

/* Columns that vanish once the effects are out. */
static void drop_absorbed(const pfx_design *d, const pfx_absorber *a, pfx_solve *s)
{
    const double *gram = pfx_absorber_gram(a), *centred = pfx_absorber_centred(a), *raw = pfx_absorber_raw(a);
    bool mean_out = pfx_design_removes_mean(d);
    for (int j = 0; j < s->p - 1; j++) {
        double dem = gram[j * s->p + j];
        if (!(raw[j] > 0) || (mean_out && centred[j] <= CONSTANT * CONSTANT * raw[j])) {
            drop(s, j, PFX_DROP_CONSTANT);
        } else if (dem <= ABSORBED * ABSORBED * (mean_out ? centred[j] : raw[j])) {
            drop(s, j, PFX_DROP_ABSORBED);
        } else {
            s->scale[s->k] = sqrt(dem);
            s->keep[s->k++] = j;
        }
    }
}

/* Cholesky of the scaled products; false: a pivot is too small for them. */
static bool factor_products(const double *gram, pfx_solve *s)
{
    int k = s->k, p = s->p;
    double *R = s->R;
    memset(R, 0, (size_t)(k * k) * sizeof *R);
    for (int j = 0; j < k; j++) {
        for (int i = 0; i <= j; i++) {
            double v = gram[s->keep[i] * p + s->keep[j]] / s->scale[i] / s->scale[j];
            for (int l = 0; l < i; l++) v -= R[l * k + i] * R[l * k + j];
            if (i < j)
                R[i * k + j] = v / R[i * k + i];
            else if (!(v >= PIVOT_QR))
                return false;
            else
                R[j * k + j] = sqrt(v);
        }
    }
    return true;
}

/* Solve R'x = x in place, then R x = x. */
static void forward(int k, const double *R, double *x)
{
    for (int i = 0; i < k; i++) {
        for (int l = 0; l < i; l++) x[i] -= R[l * k + i] * x[l];
        x[i] /= R[i * k + i];
    }
}

static void backward(int k, const double *R, double *x)
{
    for (int i = k - 1; i >= 0; i--) {
        for (int j = i + 1; j < k; j++) x[i] -= R[i * k + j] * x[j];
        x[i] /= R[i * k + i];
    }
}

/* v less its projection on the first m rows of Q [m x p], twice, for orthogonality to working precision; the
 * coefficients are added into r [m]. Returns the length left. */
static double orthogonalise(int p, int m, const double *Q, double *v, double *r)
{
    double len = 0;
    for (int i = 0; i < m; i++) r[i] = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < m; i++) {
            double dot = 0;
            for (int l = 0; l < p; l++) dot += Q[i * p + l] * v[l];
            for (int l = 0; l < p; l++) v[l] -= dot * Q[i * p + l];
            r[i] += dot;
        }
    for (int l = 0; l < p; l++) len += v[l] * v[l];
    return sqrt(len);
}

/* From the R of all columns (full [p x p]), in formula order, leaving out the dependent ones: s->R, s->b.
 * scratch [p x p + 2p]. */
static void factor_qr(const pfx_absorber *a, const double *full, double *scratch, pfx_solve *s)
{
    const double *raw = pfx_absorber_raw(a);
    int p = s->p, k0 = s->k, k = 0;
    double *Q = scratch, *v = Q + p * p, *r = v + p, *R = s->R;
    for (int c = 0; c < k0; c++) {
        int j = s->keep[c];
        double norm = 0;
        for (int l = 0; l <= j; l++) norm += full[l * p + j] * full[l * p + j];
        norm = sqrt(norm);
        for (int l = 0; l < p; l++) v[l] = l <= j ? full[l * p + j] / norm : 0;
        double len = orthogonalise(p, k, Q, v, r);
        if (!(len >= PIVOT_DROP) || len * norm < RAW_NOISE * sqrt(raw[j])) {
            drop(s, j, PFX_DROP_COLLINEAR);
            continue;
        }
        for (int l = 0; l < p; l++) Q[k * p + l] = v[l] / len;
        for (int i = 0; i < k; i++) R[i * k0 + k] = r[i];
        for (int i = k; i < k0; i++) R[i * k0 + k] = 0;
        R[k * k0 + k] = len;
        s->keep[k] = j;
        s->scale[k++] = norm;
    }
    for (int i = 0; i < k; i++) memmove(R + i * k, R + i * k0, (size_t)k * sizeof *R);
    s->k = k;
    for (int l = 0; l < p; l++) v[l] = full[l * p + p - 1];
    orthogonalise(p, k, Q, v, s->b);
    backward(k, R, s->b);
    for (int i = 0; i < k; i++) s->b[i] /= s->scale[i];
}

static pfx_status factor_rows(const pfx_design *d, pfx_absorber *a, int nth, pfx_solve *s, pfx_err *err)
{
    pfx_idx pp = (pfx_idx)s->p * s->p;
    double *full = pfx_mem_alloc(2 * pp + 2 * s->p, sizeof *full, err);
    if (!full) return PFX_ENOMEM;
    pfx_status st = pfx_tsqr(d, a, nth, full, err);
    if (st == PFX_OK) factor_qr(a, full, full + pp, s);
    s->qr = true;
    pfx_mem_free(full);
    return st;
}

static double pivot_ratio(const pfx_solve *s)
{
    double lo = INFINITY, hi = 0;
    for (int i = 0; i < s->k; i++) {
        double r = s->R[i * s->k + i];
        if (r < lo) lo = r;
        if (r > hi) hi = r;
    }
    return s->k ? hi / lo : 1;
}

pfx_status pfx_solve_create(const pfx_design *d, pfx_absorber *a, int nth, pfx_solve **out,
                            pfx_err *err)
{
    pfx_status st = PFX_OK;
    int p = d->p;
    pfx_solve *s = pfx_mem_calloc(1, sizeof *s, err);
    if (!s) return PFX_ENOMEM;
    s->p = p;
    s->keep = pfx_mem_calloc(p, sizeof *s->keep, err);
    s->dropped = pfx_mem_calloc(p, sizeof *s->dropped, err);
    s->reason = pfx_mem_calloc(p, sizeof *s->reason, err);
    s->scale = pfx_mem_calloc(p, sizeof *s->scale, err);
    s->R = pfx_mem_calloc((pfx_idx)p * p, sizeof *s->R, err);
    s->b = pfx_mem_calloc(p, sizeof *s->b, err);
    s->step = pfx_mem_calloc(p, sizeof *s->step, err);
    if (!s->keep || !s->dropped || !s->reason || !s->scale || !s->R || !s->b || !s->step) {
        st = PFX_ENOMEM;
        goto done;
    }
    drop_absorbed(d, a, s);
    if (factor_products(pfx_absorber_gram(a), s)) {
        const double *gram = pfx_absorber_gram(a);
        for (int i = 0; i < s->k; i++) s->b[i] = gram[s->keep[i] * p + p - 1] / s->scale[i];
        forward(s->k, s->R, s->b);
        backward(s->k, s->R, s->b);
        for (int i = 0; i < s->k; i++) s->b[i] /= s->scale[i];
    } else if ((st = factor_rows(d, a, nth, s, err)) != PFX_OK) {
        goto done;
    }
    s->condition = pivot_ratio(s);
    *out = s;
    s = NULL;
done:
    pfx_solve_free(s);
    return st;
}

void pfx_solve_free(pfx_solve *s)
{
    if (!s) return;
    pfx_mem_free(s->keep);
    pfx_mem_free(s->dropped);
    pfx_mem_free(s->reason);
    pfx_mem_free(s->scale);
    pfx_mem_free(s->R);
    pfx_mem_free(s->b);
    pfx_mem_free(s->step);
    pfx_mem_free(s);
}

double pfx_solve_apply(const pfx_solve *s, const double *x, double *y)
{
    int k = s->k;
    double len2 = 0;
    for (int i = 0; i < k; i++) y[i] = x[i] / s->scale[i];
    forward(k, s->R, y);
    for (int i = 0; i < k; i++) len2 += y[i] * y[i];
    backward(k, s->R, y);
    for (int i = 0; i < k; i++) y[i] /= s->scale[i];
    return len2;
}

double pfx_solve_refine(pfx_solve *s, const double *gradient)
{
    double len2 = pfx_solve_apply(s, gradient, s->step);
    for (int i = 0; i < s->k; i++) s->b[i] += s->step[i];
    return len2;
}

void pfx_solve_inverse(const pfx_solve *s, double *inv, double *work)
{
    int k = s->k;
    /* Rows of work: columns of R^-1, scaled. */
    for (int j = 0; j < k; j++) {
        double *x = work + j * k;
        for (int i = 0; i < k; i++) x[i] = i == j;
        backward(k, s->R, x);
    }
    for (int i = 0; i < k; i++)
        for (int j = 0; j <= i; j++) {
            double v = 0;
            for (int l = i; l < k; l++) v += work[l * k + i] * work[l * k + j];
            inv[i * k + j] = inv[j * k + i] = v / s->scale[i] / s->scale[j];
        }
}
