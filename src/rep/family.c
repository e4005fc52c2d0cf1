#include "src/rep/family.h"

#include <math.h>
#include <stdlib.h>
#include "src/base/ascending.h"
#include "src/base/mem.h"

/* A draw as extreme as the sample up to rounding is as extreme. */
static const double TIE = 1e-9;

/* A test and what it is sorted by, pfx_ascending. */
typedef struct place {
    double key;
    int test;
} place;

typedef struct adjust {
    const pfx_family_in *in;
    place *order;   /* [n_tests] */
    double *sorted; /* [reps] |t*| of a test, pfx_ascending */
    double *least;  /* [reps] the extreme so far over the tests from the last on */
} adjust;

static int by_key(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->test > y->test) - (x->test < y->test);
}

static double draw(const pfx_family_in *in, pfx_idx r, int test)
{
    return fabs(in->t[r * in->stride + test]);
}

/* Is x as extreme as a? */
static bool extreme(const pfx_family_in *in, double x, double a)
{
    return in->rule.strict ? x > a * (1 + TIE) : x >= a * (1 - TIE);
}

static double share(const pfx_family_in *in, pfx_idx count, pfx_idx n)
{
    int own = in->rule.with_own;
    return n > 0 ? (double)(count + own) / (double)(n + own) : NAN;
}

/* No p-value is below that of a test before it in the order. */
static void climb(const adjust *a, double *p)
{
    double top = 0;
    for (int j = 0; j < a->in->n_tests; j++) {
        double *x = &p[a->order[j].test];
        if (*x > top) top = *x;
        if (!isnan(*x)) *x = top;
    }
}

static void romano_wolf(adjust *a, double *p)
{
    const pfx_family_in *in = a->in;
    for (int t = 0; t < in->n_tests; t++) a->order[t] = (place){-fabs(in->statistic[t]), t};
    qsort(a->order, (size_t)in->n_tests, sizeof *a->order, by_key);
    for (pfx_idx r = 0; r < in->reps; r++) a->least[r] = 0;
    for (int j = in->n_tests - 1; j >= 0; j--) {
        int test = a->order[j].test;
        pfx_idx n = 0, count = 0;
        for (pfx_idx r = 0; r < in->reps; r++) {
            double x = draw(in, r, test);
            if (isnan(x)) continue;
            if (x > a->least[r]) a->least[r] = x;
            n++;
            count += extreme(in, a->least[r], fabs(in->statistic[test]));
        }
        p[test] = share(in, count, n);
    }
    climb(a, p);
}

/* Valid |t*| of a test, pfx_ascending; how many. */
static pfx_idx sort_test(adjust *a, int test)
{
    const pfx_family_in *in = a->in;
    pfx_idx n = 0;
    for (pfx_idx r = 0; r < in->reps; r++) {
        double x = draw(in, r, test);
        if (!isnan(x)) a->sorted[n++] = x;
    }
    qsort(a->sorted, (size_t)n, sizeof *a->sorted, pfx_ascending);
    return n;
}

/* How many of the sorted values are as extreme as x: those from the first one on that is. */
static pfx_idx count_extreme(const adjust *a, pfx_idx n, double x)
{
    pfx_idx low = 0, high = n;
    while (low < high) {
        pfx_idx mid = low + (high - low) / 2;
        if (extreme(a->in, a->sorted[mid], x))
            high = mid;
        else
            low = mid + 1;
    }
    return n - low;
}

static void westfall_young(adjust *a, double *p)
{
    const pfx_family_in *in = a->in;
    for (int t = 0; t < in->n_tests; t++) {
        pfx_idx n = sort_test(a, t);
        double own = share(in, count_extreme(a, n, fabs(in->statistic[t])), n);
        a->order[t] = (place){isnan(own) ? 2 : own, t};
    }
    qsort(a->order, (size_t)in->n_tests, sizeof *a->order, by_key);
    for (pfx_idx r = 0; r < in->reps; r++) a->least[r] = INFINITY;
    for (int j = in->n_tests - 1; j >= 0; j--) {
        int test = a->order[j].test;
        double own = a->order[j].key, sample = fabs(in->statistic[test]);
        pfx_idx n = sort_test(a, test), count = 0;
        for (pfx_idx r = 0; r < in->reps; r++) {
            double x = draw(in, r, test);
            if (isnan(x)) continue;
            /* Its rank among the draws, and the sample where that counts among them. */
            pfx_idx rank = count_extreme(a, n, x);
            double q = in->rule.with_own ? (double)(rank + extreme(in, sample, x)) / (double)(n + 1)
                                         : (double)rank / (double)n;
            if (q < a->least[r]) a->least[r] = q;
            count += in->rule.strict ? a->least[r] < own : a->least[r] <= own;
        }
        p[test] = share(in, count, n);
    }
    climb(a, p);
}

pfx_status pfx_family_adjust(const pfx_family_in *in, double *p_rw, double *p_wy, pfx_err *err)
{
    adjust a = {.in = in};
    pfx_status st = PFX_ENOMEM;
    a.order = pfx_mem_alloc(in->n_tests, sizeof *a.order, err);
    a.sorted = pfx_mem_alloc(in->reps, sizeof *a.sorted, err);
    a.least = pfx_mem_alloc(in->reps, sizeof *a.least, err);
    if (a.order && a.sorted && a.least) {
        romano_wolf(&a, p_rw);
        westfall_young(&a, p_wy);
        st = PFX_OK;
    }
    pfx_mem_free(a.order);
    pfx_mem_free(a.sorted);
    pfx_mem_free(a.least);
    return st;
}
