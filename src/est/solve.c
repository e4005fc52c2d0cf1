#include "src/est/solve.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/solve_factor.h"
#include "src/est/solve_rows.h"
#include "src/model/design.h"

/* A demeaned norm below this share of the centred norm is the rounding noise of an absorbed column. */
static const double ABSORBED = 1e-9;
/* A centred norm below this share of the raw norm: the mean itself is only known to about 1e-16 of it. */
static const double CONSTANT = 1e-13;
/* Squared pivots below this have lost half the digits in the products: the rows decide. */
static const double PIVOT_ROWS = 1e-8;
/* Pivot ratio beyond which products cost standard errors more digits than the condition takes. */
static const double WHITEN = 30;
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

/* Columns among the n of col that vanish once the effects are out. */
static void drop_absorbed(const pfx_design *d, const pfx_absorber *a, int n, const int *col, pfx_solve *s)
{
    const double *gram = pfx_absorber_gram(a), *centred = pfx_absorber_centred(a), *raw = pfx_absorber_raw(a);
    bool mean_out = pfx_design_removes_mean(d);
    for (int i = 0; i < n; i++) {
        int j = col ? col[i] : i;
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

/* Is a residual of this length, of a column of demeaned length norm, rounding? */
static bool is_dependent(double left, double norm, double raw2)
{
    return !(left >= PIVOT_DROP * norm) || left < RAW_NOISE * sqrt(raw2);
}

/* Leave the columns out whose entry of gone [s->k] is set, as collinear. */
static void drop_collinear(pfx_solve *s, const bool *gone)
{
    int k = 0;
    for (int j = 0; j < s->k; j++) {
        if (gone[j]) {
            drop(s, s->keep[j], PFX_DROP_COLLINEAR);
            continue;
        }
        s->keep[k] = s->keep[j];
        s->scale[k++] = s->scale[j];
    }
    s->k = k;
}

/* What a pass over the rows needs to judge doubtful columns: place lists the k columns that products could factor
 * (R, their factor), then the m doubtful ones; all are places in s->keep. */
typedef struct doubt {
    int k, m, *place, *col;
    double *R, *B, *G, *scale, *left2, *x;
} doubt;

static pfx_status make_doubt(const pfx_solve *s, const bool *skip, int m, doubt *t, pfx_err *err)
{
    int k0 = s->k, k = k0 - m;
    *t = (doubt){.k = k, .m = m};
    pfx_idx kk = (pfx_idx)k * k, km = (pfx_idx)k * m;
    t->place = pfx_mem_alloc(2 * k0, sizeof *t->place, err);
    t->R = pfx_mem_calloc(kk + 2 * km + k0 + m + k, sizeof *t->R, err);
    if (!t->place || !t->R) return PFX_ENOMEM;
    t->col = t->place + k0;
    t->B = t->R + kk;
    t->G = t->B + km;
    t->scale = t->G + km;
    t->left2 = t->scale + k0;
    t->x = t->left2 + m;
    for (int j = 0, i = 0, c = k; j < k0; j++) t->place[skip[j] ? c++ : i++] = j;
    for (int i = 0; i < k0; i++) {
        t->col[i] = s->keep[t->place[i]];
        t->scale[i] = s->scale[t->place[i]];
    }
    for (int i = 0; i < k; i++)
        for (int j = i; j < k; j++) t->R[(pfx_idx)i * k + j] = s->R[(pfx_idx)t->place[i] * k0 + t->place[j]];
    return PFX_OK;
}

/* Coefficients of each doubtful column on the columns before it, from products, then one step of refinement from the
 * rows; residuals. The columns before have pivots above 1e-4, so one step is enough. */
static pfx_status leave(const pfx_design *d, pfx_absorber *a, const pfx_solve *s, doubt *t, int nth,
                        pfx_err *err)
{
    for (int step = 0; step < 2; step++) {
        for (int c = 0; c < t->m; c++) {
            int at = t->place[t->k + c], before = 0;
            for (; before < t->k && t->place[before] < at; before++)
                t->x[before] = step ? t->G[(pfx_idx)before * t->m + c] : s->R[(pfx_idx)t->place[before] * s->k + at];
            if (step) pfx_factor_forward(before, t->k, t->R, t->x);
            pfx_factor_backward(before, t->k, t->R, t->x);
            for (int i = 0; i < before; i++) t->B[(pfx_idx)i * t->m + c] += t->x[i];
        }
        pfx_solve_left l = {t->k, t->m, t->col, t->scale, t->B, t->left2, t->G};
        pfx_status st = pfx_solve_leave(d, a, &l, nth, err);
        if (st != PFX_OK) return st;
    }
    return PFX_OK;
}

/* Drop what the columns before it leave nothing of. *stays: a doubtful column is left, and needs a QR; else s->R
 * is the factor of those that stay. */
static pfx_status judge(const pfx_design *d, pfx_absorber *a, int nth, bool *skip, int m, pfx_solve *s,
                        bool *stays, pfx_err *err)
{
    doubt t;
    const double *raw = pfx_absorber_raw(a);
    pfx_status st = make_doubt(s, skip, m, &t, err);
    if (st == PFX_OK) st = leave(d, a, s, &t, nth, err);
    *stays = false;
    for (int c = 0; st == PFX_OK && c < m; c++) {
        int j = t.place[t.k + c];
        /* lengths are of scaled columns */
        skip[j] = is_dependent(sqrt(t.left2[c]) * s->scale[j], s->scale[j], raw[s->keep[j]]);
        *stays |= !skip[j];
    }
    if (st == PFX_OK) {
        drop_collinear(s, skip);
        if (!*stays) memcpy(s->R, t.R, (size_t)s->k * (size_t)s->k * sizeof *s->R);
    }
    pfx_mem_free(t.R);
    pfx_mem_free(t.place);
    return st;
}

/* Factor the scaled products. *rows: some column needs the rows. */
static pfx_status factor_products(const pfx_design *d, pfx_absorber *a, int nth, pfx_solve *s, bool *rows,
                                  pfx_err *err)
{
    pfx_status st = PFX_OK;
    const double *gram = pfx_absorber_gram(a);
    int k = s->k;
    bool *skip = pfx_mem_calloc(k, sizeof *skip, err);
    double *spare = pfx_mem_alloc(PFX_FACTOR_PANEL * (pfx_idx)k, sizeof *spare, err);
    *rows = false;
    if (!skip || !spare) {
        st = PFX_ENOMEM;
        goto done;
    }
    for (int i = 0; i < k; i++)
        for (int j = i; j < k; j++)
            s->R[(pfx_idx)i * k + j] = gram[(pfx_idx)s->keep[i] * s->p + s->keep[j]] / s->scale[i] / s->scale[j];
    int m = pfx_factor_skip(k, PIVOT_ROWS, s->R, skip, spare);
    if (m > 0) st = judge(d, a, nth, skip, m, s, rows, err);
    if (st != PFX_OK || *rows) goto done;
    for (int i = 0; i < s->k; i++) s->b[i] = gram[(pfx_idx)s->keep[i] * s->p + s->p - 1] / s->scale[i];
    pfx_factor_forward(s->k, s->k, s->R, s->b);
    pfx_factor_backward(s->k, s->k, s->R, s->b);
    for (int i = 0; i < s->k; i++) s->b[i] /= s->scale[i];
done:
    pfx_mem_free(spare);
    pfx_mem_free(skip);
    return st;
}

/* v less its projection on the first m rows of Q [m x n], twice, for orthogonality to working precision; the
 * coefficients are added into r [m]. Returns the length left. */
static double orthogonalise(int n, int m, const double *Q, double *v, double *r)
{
    double len = 0;
    for (int i = 0; i < m; i++) r[i] = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < m; i++) {
            const double *q = Q + (pfx_idx)i * n;
            double dot = 0;
            for (int l = 0; l < n; l++) dot += q[l] * v[l];
            for (int l = 0; l < n; l++) v[l] -= dot * q[l];
            r[i] += dot;
        }
    for (int l = 0; l < n; l++) len += v[l] * v[l];
    return sqrt(len);
}

/* Column j of U [n x n] upper, scaled to length one, into v [n]; returns its length. */
static double unit_column(int n, const double *U, int j, double *v)
{
    double norm = 0;
    for (int l = 0; l < n; l++) v[l] = l <= j ? U[(pfx_idx)l * n + j] : 0;
    for (int l = 0; l <= j; l++) norm += v[l] * v[l];
    norm = sqrt(norm);
    for (int l = 0; l <= j; l++) v[l] /= norm;
    return norm;
}

/* The R of all columns [n x n], the outcome last, as it stands, if no column is dependent. */
static bool take_r(const double *raw, const double *U, double *v, pfx_solve *s)
{
    int k = s->k, n = k + 1;
    for (int j = 0; j < k; j++) {
        s->scale[j] = unit_column(n, U, j, v);
        if (is_dependent(fabs(v[j]) * s->scale[j], s->scale[j], raw[s->keep[j]])) return false;
    }
    for (int i = 0; i < k; i++) {
        const double *u = U + (pfx_idx)i * n;
        double sign = u[i] < 0 ? -1 : 1;
        for (int j = 0; j < k; j++) s->R[(pfx_idx)i * k + j] = j < i ? 0 : sign * u[j] / s->scale[j];
        s->b[i] = sign * u[k];
    }
    return true;
}

/* The same in formula order, leaving out the dependent columns. scratch [n x n + 2n]. */
static void select_r(const double *raw, const double *U, double *scratch, pfx_solve *s)
{
    int k0 = s->k, n = k0 + 1, k = 0;
    double *Q = scratch, *v = Q + (pfx_idx)n * n, *r = v + n, *R = s->R;
    for (int c = 0; c < k0; c++) {
        int j = s->keep[c];
        double norm = unit_column(n, U, c, v), len = orthogonalise(n, k, Q, v, r);
        if (is_dependent(len * norm, norm, raw[j])) {
            drop(s, j, PFX_DROP_COLLINEAR);
            continue;
        }
        for (int l = 0; l < n; l++) Q[(pfx_idx)k * n + l] = v[l] / len;
        for (int i = 0; i < k0; i++) R[(pfx_idx)i * k0 + k] = i < k ? r[i] : i == k ? len : 0;
        s->keep[k] = j;
        s->scale[k++] = norm;
    }
    for (int i = 0; i < k; i++) memmove(R + (pfx_idx)i * k, R + (pfx_idx)i * k0, (size_t)k * sizeof *R);
    s->k = k;
    for (int l = 0; l < n; l++) v[l] = U[(pfx_idx)l * n + k0];
    orthogonalise(n, k, Q, v, s->b);
}

static pfx_status factor_rows(const pfx_design *d, pfx_absorber *a, int nth, pfx_solve *s, pfx_err *err)
{
    int n = s->k + 1;
    pfx_idx nn = (pfx_idx)n * n;
    double *U = pfx_mem_alloc(2 * nn + 2 * n, sizeof *U, err);
    int *col = pfx_mem_alloc(n, sizeof *col, err);
    pfx_status st = U && col ? PFX_OK : PFX_ENOMEM;
    if (st == PFX_OK) {
        memcpy(col, s->keep, (size_t)s->k * sizeof *col);
        col[s->k] = s->p - 1;
        st = pfx_tsqr(d, a, nth, n, col, U, err);
    }
    if (st == PFX_OK) {
        const double *raw = pfx_absorber_raw(a);
        if (!take_r(raw, U, U + nn, s)) select_r(raw, U, U + nn, s);
        pfx_factor_backward(s->k, s->k, s->R, s->b);
        for (int i = 0; i < s->k; i++) s->b[i] /= s->scale[i];
        s->qr = s->whitened = true;
    }
    pfx_mem_free(col);
    pfx_mem_free(U);
    return st;
}

static double pivot_ratio(const pfx_solve *s)
{
    double lo = INFINITY, hi = 0;
    for (int i = 0; i < s->k; i++) {
        double r = s->R[(pfx_idx)i * s->k + i];
        if (r < lo) lo = r;
        if (r > hi) hi = r;
    }
    return s->k ? hi / lo : 1;
}

/* R is right to the pivot ratio squared; the factor of the whitened rows' products corrects it to the ratio. */
static pfx_status sharpen(const pfx_design *d, pfx_absorber *a, int nth, pfx_isa isa, pfx_solve *s,
                          pfx_err *err)
{
    int k = s->k, n = k + 1;
    double *G = pfx_mem_alloc((pfx_idx)n * n + (pfx_idx)k * (k + PFX_FACTOR_PANEL), sizeof *G, err);
    bool *skip = pfx_mem_calloc(k, sizeof *skip, err);
    pfx_status st = G && skip ? pfx_solve_regram(d, a, s, nth, isa, G, err) : PFX_ENOMEM;
    if (st == PFX_OK) {
        double *R2 = G + (pfx_idx)n * n;
        for (int i = 0; i < k; i++) {
            s->b[i] = G[(pfx_idx)i * n + k];
            for (int j = 0; j < k; j++) R2[(pfx_idx)i * k + j] = j < i ? 0 : G[(pfx_idx)i * n + j];
        }
        pfx_factor_skip(k, 0.5, R2, skip, R2 + (pfx_idx)k * k); /* close to the identity: nothing is skipped */
        for (int i = 0; i < k; i++)
            for (int j = 0; j < i; j++) R2[(pfx_idx)i * k + j] = 0;
        pfx_factor_forward(k, k, R2, s->b);
        cblas_dtrmm(CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, k, k, 1, R2, k, s->R, k);
        pfx_factor_backward(k, k, s->R, s->b);
        for (int i = 0; i < k; i++) s->b[i] /= s->scale[i];
        s->whitened = true;
    }
    pfx_mem_free(skip);
    pfx_mem_free(G);
    return st;
}

static pfx_status factor(const pfx_design *d, pfx_absorber *a, int nth, pfx_isa isa, pfx_solve *s, pfx_err *err)
{
    bool rows;
    pfx_status st = factor_products(d, a, nth, s, &rows, err);
    if (st == PFX_OK && rows) st = factor_rows(d, a, nth, s, err);
    if (st != PFX_OK) return st;
    s->pivot_ratio = pivot_ratio(s);
    if (!s->qr && s->pivot_ratio > WHITEN && (st = sharpen(d, a, nth, isa, s, err)) != PFX_OK) return st;
    s->condition = fmax(s->pivot_ratio, pfx_factor_condition(s->k, s->R, s->step));
    return PFX_OK;
}

pfx_status pfx_solve_create(const pfx_design *d, pfx_absorber *a, int nth, pfx_isa isa, pfx_solve **out,
                            pfx_err *err)
{
    return pfx_solve_columns(d, a, d->p - 1, NULL, nth, isa, out, err);
}

pfx_status pfx_solve_columns(const pfx_design *d, pfx_absorber *a, int n, const int *col, int nth, pfx_isa isa,
                             pfx_solve **out, pfx_err *err)
{
    int p = d->p;
    pfx_status st = PFX_ENOMEM;
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
    if (s->keep && s->dropped && s->reason && s->scale && s->R && s->b && s->step) {
        drop_absorbed(d, a, n, col, s);
        st = factor(d, a, nth, isa, s, err);
    }
    if (st == PFX_OK)
        *out = s;
    else
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
    pfx_factor_forward(k, k, s->R, y);
    for (int i = 0; i < k; i++) len2 += y[i] * y[i];
    pfx_factor_backward(k, k, s->R, y);
    for (int i = 0; i < k; i++) y[i] /= s->scale[i];
    return len2;
}

double pfx_solve_refine(pfx_solve *s, const double *gradient)
{
    double len2 = 0;
    if (s->whitened) {
        for (int i = 0; i < s->k; i++) {
            s->step[i] = gradient[i];
            len2 += gradient[i] * gradient[i];
        }
        pfx_factor_backward(s->k, s->k, s->R, s->step);
        for (int i = 0; i < s->k; i++) s->step[i] /= s->scale[i];
    } else {
        len2 = pfx_solve_apply(s, gradient, s->step);
    }
    for (int i = 0; i < s->k; i++) s->b[i] += s->step[i];
    return len2;
}

void pfx_solve_half(const pfx_solve *s, double *T)
{
    int k = s->k;
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++) T[(pfx_idx)i * k + j] = j < i ? 0 : s->R[(pfx_idx)i * k + j];
    /* Row-major upper is LAPACK's lower. No pivot is zero. */
    if (k > 0) LAPACKE_dtrtri_work(LAPACK_COL_MAJOR, 'L', 'N', k, T, k);
    for (int i = 0; i < k; i++)
        for (int j = i; j < k; j++) T[(pfx_idx)i * k + j] /= s->scale[i];
}

void pfx_solve_whiten(const pfx_solve *s, pfx_idx n, double *rows)
{
    int p = s->p, k = s->k;
    for (pfx_idx i = 0; i < n; i++) {
        double *z = rows + i * p;
        for (int j = 0; j < k; j++) z[j] = z[s->keep[j]] / s->scale[j];
        for (int j = k; j < p - 1; j++) z[j] = 0;
    }
    if (k > 0)
        cblas_dtrsm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, (int)n, k, 1, s->R, k, rows, p);
}
