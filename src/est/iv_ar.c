/* Anderson and Rubin's test, and the set of coefficients that it accepts. With g(b) = q2'(y - d b) and S(b)
 * the variance of g, the set is where g'S^-1 g <= c. Its ends are among the real b with det(c S(b) - g g') =
 * 0, a quadratic eigenvalue problem: none can be missed, whether the set is empty, an interval, several, or
 * unbounded. */
#include "src/est/iv_private.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_roots.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/dist.h"
#include "src/est/wald.h"

/* Imaginary parts below this share of a root's size are rounding; false roots do no harm. */
static const double NEARLY_REAL = 1e-4;
enum { MAX_ROOT_STEPS = 200 };

/* In t, b = center + unit t: g = y - d t, S = Syy - t Syd + t^2 Sdd. */
typedef struct curve {
    int l;
    double c, center, unit;
    double *y, *d;           /* [l] */
    double *Syy, *Syd, *Sdd; /* [l x l], Syd with its transpose added */
    double *S, *x, *work;    /* [l x l], [l], [l x l + l] */
} curve;

/* The test's chi-squared less its bound at t. */
static double excess(double t, void *ctx)
{
    const curve *k = ctx;
    int ll = k->l * k->l;
    for (int i = 0; i < ll; i++) k->S[i] = k->Syy[i] - t * k->Syd[i] + t * t * k->Sdd[i];
    for (int i = 0; i < k->l; i++) k->x[i] = k->y[i] - t * k->d[i];
    return pfx_quadratic_form(k->l, k->S, k->x, k->work) - k->c;
}

/* The same as t goes to infinity: the first stage's. */
static double excess_at_infinity(const curve *k)
{
    return pfx_quadratic_form(k->l, k->Sdd, k->d, k->work) - k->c;
}

static int ascending(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

/* Real t of the quadratic eigenvalue problem, ascending, into root [2 l]; returns how many, -1 where LAPACK
 * fails. mem [2 (2l)^2 + 3 (2l) + 8 (2l)]. */
static int real_roots(const curve *k, double *mem, double *root)
{
    int l = k->l, m = 2 * l, n = 0;
    double *A = mem, *B = A + m * m, *re = B + m * m, *im = re + m, *beta = im + m, *work = beta + m;
    memset(A, 0, 2 * (size_t)(m * m) * sizeof *A);
    for (int i = 0; i < l; i++) {
        for (int j = 0; j < l; j++) {
            int at = i * l + j;
            double yy = k->c * k->Syy[at] - k->y[i] * k->y[j], dd = k->c * k->Sdd[at] - k->d[i] * k->d[j];
            double yd = -k->c * k->Syd[at] + k->y[i] * k->d[j] + k->d[i] * k->y[j];
            /* t [dd 0; 0 I] [t x; x] = [-yd -yy; I 0] [t x; x], column-major */
            A[j * m + i] = -yd;
            A[(l + j) * m + i] = -yy;
            B[j * m + i] = dd;
        }
        A[i * m + l + i] = 1;
        B[(l + i) * m + l + i] = 1;
    }
    if (LAPACKE_dggev_work(LAPACK_COL_MAJOR, 'N', 'N', m, A, m, B, m, re, im, beta, NULL, 1, NULL, 1, work,
                           8 * m) != 0)
        return -1;
    for (int i = 0; i < m; i++)
        if (fabs(im[i]) <= NEARLY_REAL * (fabs(re[i]) + fabs(beta[i])) && fabs(beta[i]) > 1e-14 * fabs(re[i]))
            root[n++] = re[i] / beta[i];
    qsort(root, (size_t)n, sizeof *root, ascending);
    return n;
}

/* The end between lo and hi, where the excess changes its sign. */
static double polish(curve *k, double lo, double hi)
{
    gsl_root_fsolver *s = gsl_root_fsolver_alloc(gsl_root_fsolver_brent);
    gsl_function f = {excess, k};
    double t = (lo + hi) / 2;
    if (!s) return NAN;
    if (gsl_root_fsolver_set(s, &f, lo, hi) == GSL_SUCCESS)
        for (int i = 0; i < MAX_ROOT_STEPS; i++) {
            if (gsl_root_fsolver_iterate(s) != GSL_SUCCESS) break;
            t = gsl_root_fsolver_root(s);
            lo = gsl_root_fsolver_x_lower(s), hi = gsl_root_fsolver_x_upper(s);
            if (gsl_root_test_interval(lo, hi, 0, 4e-16) == GSL_SUCCESS) break;
        }
    gsl_root_fsolver_free(s);
    return t;
}

/* A point between roots i - 1 and i of n, beyond the outer ones too. */
static double between(int n, const double *root, int i)
{
    if (n == 0) return 0;
    double span = root[n - 1] - root[0] + fabs(root[0]) + fabs(root[n - 1]) + 1;
    if (i == 0) return root[0] - span;
    return i == n ? root[n - 1] + span : (root[i - 1] + root[i]) / 2;
}

/* Join the pieces between roots that are accepted. */
static pfx_status join(curve *k, int n, const double *root, pfx_iv_set *set, pfx_err *err)
{
    bool open = false;
    double last = 0, at_infinity = excess_at_infinity(k);
    if (!(set->bounds = pfx_mem_alloc(n + 1, sizeof *set->bounds, err))) return PFX_ENOMEM;
    for (int i = 0; i <= n; i++) {
        double t = between(n, root, i), e = excess(t, k);
        if (isnan(e) || isnan(at_infinity)) { /* a variance without full rank somewhere */
            set->n = 0;
            return PFX_OK;
        }
        bool in = e <= 0;
        double end = i == 0 ? -INFINITY : in != open ? k->center + k->unit * polish(k, last, t) : 0;
        if (in && !open) set->bounds[set->n++][0] = end;
        if (!in && open) set->bounds[set->n - 1][1] = end;
        open = in;
        last = t;
    }
    if (open) set->bounds[set->n - 1][1] = INFINITY;
    bool unbounded = set->n > 0 && (isinf(set->bounds[0][0]) || isinf(set->bounds[set->n - 1][1]));
    set->shape = set->n == 0 ? PFX_IV_EMPTY : unbounded ? PFX_IV_UNBOUNDED : PFX_IV_INTERVALS;
    return PFX_OK;
}

/* Shift and scale b so that roots are of order one: center at the estimate, unit the size of its error. */
static void make_curve(const pfx_ivm *v, const double *M, curve *k)
{
    int l = k->l, l2 = 2 * l;
    const double *P2 = v->P + (pfx_idx)v->n_exog * 2;
    double yy = 0, dd = 0;
    k->center = v->b[0];
    for (int i = 0; i < l; i++) {
        k->y[i] = v->gap[i];
        k->d[i] = P2[i * 2];
        for (int j = 0; j < l; j++) {
            double d = M[i * l2 + j], yd = M[i * l2 + l + j] + M[(l + i) * l2 + j],
                   y = M[(l + i) * l2 + l + j];
            k->Sdd[i * l + j] = d;
            k->Syd[i * l + j] = yd - 2 * k->center * d;
            k->Syy[i * l + j] = y - k->center * yd + k->center * k->center * d;
        }
        yy += k->Syy[i * l + i];
        dd += k->d[i] * k->d[i];
    }
    k->unit = sqrt(yy / dd);
    if (!(k->unit > 0)) k->unit = 1;
    for (int i = 0; i < l; i++) k->d[i] *= k->unit;
    for (int i = 0; i < l * l; i++) k->Syd[i] *= k->unit, k->Sdd[i] *= k->unit * k->unit;
}

static pfx_status accepted(pfx_ivm *v, pfx_err *err)
{
    int l = v->n_excluded, l2 = 2 * l;
    pfx_idx ll = (pfx_idx)l * l, pencil = 8 * ll + 22 * l;
    double *M = pfx_mem_alloc(4 * ll + 5 * ll + 4 * l + pencil + l2, sizeof *M, err);
    int *list = pfx_mem_alloc(l2, sizeof *list, err);
    pfx_status st = M && list ? PFX_OK : PFX_ENOMEM;
    if (st != PFX_OK) goto done;
    for (int a = 0; a < l2; a++) list[a] = pfx_iv_at(v, v->at_r, a / l, a % l);
    pfx_iv_meat(v, NULL, l2, list, M);
    curve k = {.l = l, .c = pfx_dist_f_critical(v->o->level, l, v->df2) * l / v->ratio};
    k.Syy = M + 4 * ll;
    k.Syd = k.Syy + ll;
    k.Sdd = k.Syd + ll;
    k.S = k.Sdd + ll;
    k.work = k.S + ll;
    k.x = k.work + ll + l;
    k.y = k.x + l;
    k.d = k.y + l;
    double *mem = k.d + l, *root = mem + pencil;
    make_curve(v, M, &k);
    int n = real_roots(&k, mem, root);
    if (n >= 0) st = join(&k, n, root, &v->iv->ar_set, err);
done:
    pfx_mem_free(M);
    pfx_mem_free(list);
    return st;
}

pfx_status pfx_iv_anderson_rubin(pfx_ivm *v, pfx_err *err)
{
    int n = v->n, l = v->n_excluded;
    pfx_idx ll = (pfx_idx)l * l;
    double *S = pfx_mem_alloc(2 * ll + 2 * l, sizeof *S, err);
    int *list = pfx_mem_alloc(l, sizeof *list, err);
    pfx_status st = S && list ? PFX_OK : PFX_ENOMEM;
    if (st == PFX_OK) {
        double *y = S + ll, *work = y + l;
        for (int a = 0; a < l; a++) y[a] = v->P[(pfx_idx)(v->n_exog + a) * (n + 1) + n];
        for (int a = 0; a < l; a++) list[a] = pfx_iv_at(v, v->at_r, n, a);
        pfx_iv_meat(v, NULL, l, list, S);
        v->iv->ar_chi2 = pfx_iv_chi2(pfx_quadratic_form(l, S, y, work), l);
        v->iv->ar_f = pfx_iv_f(v, v->iv->ar_chi2.statistic, l);
    }
    pfx_mem_free(S);
    pfx_mem_free(list);
    return st == PFX_OK && n == 1 ? accepted(v, err) : st;
}
