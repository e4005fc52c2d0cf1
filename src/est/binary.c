#include "src/est/binary.h"

#include <float.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_sf_erf.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>
#include "kernels/gram.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/model/design.h"

const char *const pfx_link_names[] = {"logit", "probit", NULL};

enum { BLOCK = 1024 };
/* A column is left out where those before it leave less than this of its variance. */
static const double COLLINEAR = 1e-10;
/* Converged: no coefficient, in units of its column's length, moved by more. The next step would be its
 * square. */
static const double STEP = 1e-9;
/* Separation: the log likelihood rises by less than FLAT, and the index of some row still moves by more than
 * STRIDE (along a direction of recession each Newton step adds about one to the index of the rows told
 * apart). Where nothing is separated such a move would have to gain more, but for rows of a probability
 * within 1e-4 of 0 or 1. */
static const double FLAT = 1e-7, STRIDE = 0.05;

typedef struct work {
    const pfx_design *d;
    const pfx_binary_options *o;
    pfx_binary *f;
    int k;             /* columns in use, the intercept among them */
    int *column;       /* [k] of Z, -1: the intercept */
    double *mean, *sd; /* [p - 1] of the regressors; mean is 0 without an intercept */
    double *beta;      /* [k] on scaled columns */
    double *step;      /* [k] */
    double *info;      /* [k x k] */
    pfx_idx n_blocks;
    int size;      /* numbers of a block's sums */
    double *sums;  /* [n_blocks x size] */
    double *x, *w; /* [nth][BLOCK x k], [nth][BLOCK] */
} work;

double pfx_link_probability(pfx_link link, double index)
{
    return link == PFX_PROBIT ? gsl_cdf_ugaussian_P(index) : 1 / (1 + exp(-index));
}

/* Log likelihood of a row with outcome y at index v; *score its derivative, *weight minus the second. */
static double row_likelihood(pfx_link link, double y, double v, double *score, double *weight)
{
    if (link == PFX_PROBIT) {
        double q = 2 * y - 1, z = q * v, mills = gsl_sf_hazard(-z);
        *score = q * mills;
        *weight = mills * (mills + z);
        return gsl_sf_log_erfc(-z * M_SQRT1_2) - M_LN2;
    }
    double e = exp(-fabs(v)), small = e / (1 + e), p = v >= 0 ? 1 - small : small;
    *score = y ? (v >= 0 ? small : 1 - small) : -p;
    *weight = small / (1 + e);
    return (y ? (v < 0 ? v : 0) : (v > 0 ? -v : 0)) - log1p(e);
}

static pfx_idx block_rows(const work *w, pfx_idx b)
{
    pfx_idx left = w->d->n - b * BLOCK;
    return left < BLOCK ? left : BLOCK;
}

/* Scaled columns of a block, and the index at beta. */
static void load_block(const work *w, pfx_idx b, double *x, double *index)
{
    const pfx_design *d = w->d;
    for (pfx_idx r = 0, n = block_rows(w, b); r < n; r++) {
        const double *z = d->Z + (b * BLOCK + r) * d->p;
        double v = 0;
        for (int j = 0; j < w->k; j++) {
            int c = w->column[j];
            double s = c < 0 ? 1 : (z[c] - w->mean[c]) / w->sd[c];
            x[r * w->k + j] = s;
            v += s * w->beta[j];
        }
        index[r] = v;
    }
}

/* Sums of a block: log likelihood, gradient [k], information [k x k]. */
static void block_sums(void *ctx, pfx_idx b, int thread)
{
    const work *w = ctx;
    const pfx_design *d = w->d;
    pfx_idx n = block_rows(w, b);
    double *x = w->x + (pfx_idx)thread * BLOCK * w->k, *index = w->w + (pfx_idx)thread * BLOCK;
    double *sum = w->sums + b * w->size, *gradient = sum + 1, *info = gradient + w->k;
    memset(sum, 0, (size_t)w->size * sizeof *sum);
    load_block(w, b, x, index);
    for (pfx_idx r = 0; r < n; r++) {
        double y = d->Z[(b * BLOCK + r) * d->p + d->p - 1], score;
        sum[0] += row_likelihood(w->o->link, y, index[r], &score, &index[r]);
        for (int j = 0; j < w->k; j++) gradient[j] += score * x[r * w->k + j];
    }
    pfx_k_gram(w->o->isa, n, w->k, w->k, x, index, info);
}

static void block_stride(void *ctx, pfx_idx b, int thread)
{
    const work *w = ctx;
    double *x = w->x + (pfx_idx)thread * BLOCK * w->k, *most = w->sums + b * w->size;
    load_block(w, b, x, w->w + (pfx_idx)thread * BLOCK);
    *most = 0;
    for (pfx_idx r = 0, n = block_rows(w, b); r < n; r++) {
        double v = 0;
        for (int j = 0; j < w->k; j++) v += x[r * w->k + j] * w->step[j];
        *most = fmax(*most, fabs(v));
    }
}

/* The furthest that the step moves the index of a row. */
static double row_stride(work *w)
{
    double most = 0;
    pfx_par_for(w->n_blocks, w->o->nth, block_stride, w);
    for (pfx_idx b = 0; b < w->n_blocks; b++) most = fmax(most, w->sums[b * w->size]);
    return most;
}

/* Log likelihood at beta; gradient and information into step and info. */
static double evaluate(work *w)
{
    double loglik = 0;
    pfx_par_for(w->n_blocks, w->o->nth, block_sums, w);
    memset(w->step, 0, (size_t)w->k * sizeof *w->step);
    memset(w->info, 0, (size_t)w->k * (size_t)w->k * sizeof *w->info);
    for (pfx_idx b = 0; b < w->n_blocks; b++) {
        const double *sum = w->sums + b * w->size;
        loglik += sum[0];
        for (int j = 0; j < w->k; j++) w->step[j] += sum[1 + j];
        for (int j = 0; j < w->k * w->k; j++) w->info[j] += sum[1 + w->k + j];
    }
    return loglik;
}

/* Sums of columns: of values (pass 0), or of squares about the mean (pass 1). */
typedef struct moments {
    work *w;
    int pass;
} moments;

static void block_moments(void *ctx, pfx_idx b, int thread)
{
    const moments *m = ctx;
    const work *w = m->w;
    const pfx_design *d = w->d;
    double *sum = w->sums + b * w->size;
    (void)thread;
    memset(sum, 0, (size_t)w->size * sizeof *sum);
    for (pfx_idx r = 0, n = block_rows(w, b); r < n; r++) {
        const double *z = d->Z + (b * BLOCK + r) * d->p;
        for (int j = 0; j < d->p - 1; j++) {
            double v = z[j] - w->mean[j];
            sum[j] += m->pass ? v * v : v;
        }
    }
}

static void scale_columns(work *w)
{
    const pfx_design *d = w->d;
    for (int pass = d->intercept ? 0 : 1; pass < 2; pass++) {
        moments m = {w, pass};
        double *to = pass ? w->sd : w->mean;
        pfx_par_for(w->n_blocks, w->o->nth, block_moments, &m);
        for (int j = 0; j < d->p - 1; j++) {
            double s = 0;
            for (pfx_idx b = 0; b < w->n_blocks; b++) s += w->sums[b * w->size + j];
            to[j] = pass ? sqrt(s / (double)d->n) : s / (double)d->n;
        }
    }
}

/* The cross-products of the scaled columns at beta = 0 are the information times a constant: columns that
 * those before them imply go, in formula order. */
static pfx_status drop_collinear(work *w, pfx_err *err)
{
    int k = w->k, kept = 0;
    pfx_binary *f = w->f;
    evaluate(w);
    for (int j = 0; j < k; j++) {
        double *A = w->info, whole = A[j * k + j], pivot = whole;
        for (int l = 0; l < kept; l++) { /* row l of the factor lies in row l of A */
            double v = A[w->column[l] * k + j];
            for (int m = 0; m < l; m++) v -= A[w->column[m] * k + w->column[l]] * A[w->column[m] * k + j];
            A[w->column[l] * k + j] = v /= A[w->column[l] * k + w->column[l]];
            pivot -= v * v;
        }
        if (pivot > COLLINEAR * whole) {
            A[j * k + j] = sqrt(pivot);
            w->column[kept++] = j;
        } else if (!(f->collinear[f->n_collinear++] = pfx_mem_strdup(w->d->name[j - w->d->intercept], err)))
            return PFX_ENOMEM;
    }
    for (int j = 0; j < kept; j++) w->column[j] -= w->d->intercept;
    w->k = kept;
    w->size = 1 + kept + kept * kept;
    return PFX_OK;
}

static pfx_status check_outcome(work *w, pfx_err *err)
{
    const pfx_design *d = w->d;
    const char *y = d->name[d->p - 1];
    w->f->n = d->n;
    for (pfx_idx i = 0; i < d->n; i++) {
        double v = d->Z[i * d->p + d->p - 1];
        if (v != 0 && v != 1)
            return pfx_fail(err, PFX_EDATA, "%s: %g in row %lld; want 0 or 1", y, v,
                            (long long)(d->row ? d->row[i] : i) + 1);
        w->f->n1 += v == 1;
    }
    if (w->f->n1 == 0 || w->f->n1 == d->n)
        return pfx_fail(err, PFX_EDATA,
                        "%s is %d in all %lld rows of the sample: there is nothing to compare", y,
                        w->f->n1 ? 1 : 0, (long long)d->n);
    return PFX_OK;
}

static pfx_status allocate(work *w, pfx_err *err)
{
    const pfx_design *d = w->d;
    pfx_binary *f = w->f;
    int k = d->p - 1 + d->intercept, nth = w->o->nth;
    w->k = k;
    w->size = 1 + k + k * k;
    w->n_blocks = (d->n + BLOCK - 1) / BLOCK;
    w->column = pfx_mem_alloc(k, sizeof *w->column, err);
    w->mean = pfx_mem_calloc(d->p, sizeof *w->mean, err);
    w->sd = pfx_mem_calloc(d->p, sizeof *w->sd, err);
    w->beta = pfx_mem_calloc(k, sizeof *w->beta, err);
    w->step = pfx_mem_alloc(k, sizeof *w->step, err);
    w->info = pfx_mem_alloc((pfx_idx)k * k, sizeof *w->info, err);
    w->sums = pfx_mem_alloc(w->n_blocks * w->size, sizeof *w->sums, err);
    w->x = pfx_mem_alloc((pfx_idx)nth * BLOCK * k, sizeof *w->x, err);
    w->w = pfx_mem_alloc((pfx_idx)nth * BLOCK, sizeof *w->w, err);
    f->term = pfx_mem_calloc(k, sizeof *f->term, err);
    f->b = pfx_mem_calloc(k, sizeof *f->b, err);
    f->se = pfx_mem_calloc(k, sizeof *f->se, err);
    f->collinear = pfx_mem_calloc(k, sizeof *f->collinear, err);
    f->index = pfx_mem_alloc(d->n, sizeof *f->index, err);
    if (!w->column || !w->mean || !w->sd || !w->beta || !w->step || !w->info || !w->sums || !w->x || !w->w ||
        !f->term || !f->b || !f->se || !f->collinear || !f->index)
        return PFX_ENOMEM;
    for (int j = 0; j < k; j++) w->column[j] = j - d->intercept;
    return PFX_OK;
}

static pfx_status separated(const work *w, pfx_err *err)
{
    const pfx_design *d = w->d;
    int most = -1;
    for (int j = 0; j < w->k; j++)
        if (w->column[j] >= 0 && (most < 0 || fabs(w->step[j]) > fabs(w->step[most]))) most = j;
    return pfx_fail(
        err, PFX_ENOCONV,
        "%s: perfect separation: the regressors, %s above all, tell all or some of its 0 and 1 without "
        "error, and no finite coefficient fits; leave it out, coarsen it, or narrow the sample with --where",
        d->name[d->p - 1], most < 0 ? "the constant" : d->name[w->column[most]]);
}

/* info becomes its inverse, step the Newton step. false: not positive definite. */
static bool solve(work *w)
{
    lapack_int k = w->k;
    if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', k, w->info, k) != 0) return false;
    return LAPACKE_dpotrs_work(LAPACK_COL_MAJOR, 'L', k, 1, w->info, k, w->step, k) == 0;
}

static double largest(int n, const double *x)
{
    double most = 0;
    for (int i = 0; i < n; i++) most = fmax(most, fabs(x[i]));
    return most;
}

/* before [3 k] scratch: beta, step and gradient. */
static pfx_status newton(work *w, double *before, pfx_err *err)
{
    double last = evaluate(w);
    for (int it = 1;; it++) {
        if (!solve(w)) return separated(w, err);
        w->f->iterations = it;
        if (largest(w->k, w->step) <= STEP * (1 + largest(w->k, w->beta))) break;
        if (it == w->o->maxiter)
            return pfx_fail(err, PFX_ENOCONV, "%s: the %s has not converged after %d steps; raise --maxiter",
                            w->d->name[w->d->p - 1], pfx_link_names[w->o->link], it);
        memcpy(before, w->beta, (size_t)w->k * sizeof *before);
        memcpy(before + w->k, w->step, (size_t)w->k * sizeof *before);
        double now = -INFINITY, size = 1;
        for (int half = 0; half < 20; half++, size /= 2) { /* to a millionth */
            for (int j = 0; j < w->k; j++) w->beta[j] = before[j] + size * before[w->k + j];
            now = evaluate(w);
            if (now >= last - 1e-13 * fabs(last)) break;
        }
        if (now - last < FLAT) {
            double *gradient = before + 2 * (pfx_idx)w->k;
            memcpy(gradient, w->step, (size_t)w->k * sizeof *before);
            memcpy(w->step, before + w->k, (size_t)w->k * sizeof *before);
            if (row_stride(w) > STRIDE) return separated(w, err);
            memcpy(w->step, gradient, (size_t)w->k * sizeof *before);
        }
        last = now;
    }
    for (int j = 0; j < w->k; j++) w->beta[j] += w->step[j];
    w->f->loglik = last;
    return PFX_OK;
}

/* Coefficients and standard errors of the columns as they came; info holds the Cholesky factor. */
static pfx_status unscale(work *w, pfx_err *err)
{
    const pfx_design *d = w->d;
    pfx_binary *f = w->f;
    int k = w->k;
    f->k = k;
    if (LAPACKE_dpotri_work(LAPACK_COL_MAJOR, 'L', k, w->info, k) != 0) return separated(w, err);
    for (int j = 0; j < k; j++) /* the upper half of the inverse */
        for (int i = 0; i < j; i++) w->info[j * k + i] = w->info[i * k + j];
    for (int j = 0; j < k; j++) {
        int c = w->column[j];
        double *t = w->step, v = 0; /* the coefficient is t'beta */
        memset(t, 0, (size_t)k * sizeof *t);
        if (c >= 0)
            t[j] = 1 / w->sd[c];
        else
            for (int l = 0; l < k; l++)
                t[l] = w->column[l] < 0 ? 1 : -w->mean[w->column[l]] / w->sd[w->column[l]];
        for (int l = 0; l < k; l++) {
            f->b[j] += t[l] * w->beta[l];
            for (int m = 0; m < k; m++) v += t[l] * w->info[l * k + m] * t[m];
        }
        f->se[j] = sqrt(v);
        if (!(f->term[j] = pfx_mem_strdup(c < 0 ? "(Intercept)" : d->name[c], err))) return PFX_ENOMEM;
    }
    return PFX_OK;
}

static void block_index(void *ctx, pfx_idx b, int thread)
{
    const work *w = ctx;
    load_block(w, b, w->x + (pfx_idx)thread * BLOCK * w->k, w->f->index + b * BLOCK);
}

static pfx_status fit(work *w, pfx_err *err)
{
    const pfx_design *d = w->d;
    pfx_status st = check_outcome(w, err);
    double n1 = (double)w->f->n1, n0 = (double)(d->n - w->f->n1);
    if (st != PFX_OK || (st = allocate(w, err)) != PFX_OK) return st;
    scale_columns(w);
    /* A column without variation has no length; the pivots then leave it out. */
    for (int j = 0; j < d->p - 1; j++)
        if (!(w->sd[j] > 1e-14 * fabs(w->mean[j]))) w->sd[j] = INFINITY;
    if ((st = drop_collinear(w, err)) != PFX_OK) return st;
    double *before = pfx_mem_alloc(3 * (pfx_idx)w->k, sizeof *before, err);
    if (!before) return PFX_ENOMEM;
    w->f->loglik0 = d->intercept ? n1 * log(n1 / (n1 + n0)) + n0 * log(n0 / (n1 + n0)) : -(n1 + n0) * M_LN2;
    st = newton(w, before, err);
    pfx_mem_free(before);
    if (st == PFX_OK) st = unscale(w, err);
    if (st == PFX_OK) pfx_par_for(w->n_blocks, w->o->nth, block_index, w);
    return st;
}

pfx_status pfx_binary_fit(const pfx_design *d, const pfx_binary_options *o, pfx_binary **out, pfx_err *err)
{
    work w = {.d = d, .o = o};
    if (!(w.f = pfx_mem_calloc(1, sizeof *w.f, err))) return PFX_ENOMEM;
    pfx_status st = fit(&w, err);
    pfx_mem_free(w.column);
    pfx_mem_free(w.mean);
    pfx_mem_free(w.sd);
    pfx_mem_free(w.beta);
    pfx_mem_free(w.step);
    pfx_mem_free(w.info);
    pfx_mem_free(w.sums);
    pfx_mem_free(w.x);
    pfx_mem_free(w.w);
    if (st == PFX_OK)
        *out = w.f;
    else
        pfx_binary_free(w.f);
    return st;
}

void pfx_binary_free(pfx_binary *f)
{
    if (!f) return;
    for (int j = 0; f->term && j < f->k; j++) pfx_mem_free(f->term[j]);
    for (int j = 0; f->collinear && j < f->n_collinear; j++) pfx_mem_free(f->collinear[j]);
    pfx_mem_free(f->term);
    pfx_mem_free(f->collinear);
    pfx_mem_free(f->b);
    pfx_mem_free(f->se);
    pfx_mem_free(f->index);
    pfx_mem_free(f);
}
