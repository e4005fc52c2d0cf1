/* Quantiles by selection: linear time on average, no second copy of the column. */
#include <math.h>
#include "src/report/summary_moments.h"

static double median3(double a, double b, double c)
{
    if (a > b) {
        double t = a;
        a = b;
        b = t;
    }
    return c < a ? a : c > b ? b : c;
}

/* Tukey's ninther: sorted, reversed and organ-pipe columns do not become quadratic. */
static double pivot_of(const double *a, pfx_idx lo, pfx_idx hi)
{
    const pfx_idx n = hi - lo + 1, s = n / 8, m = lo + n / 2;
    if (n < 40) return median3(a[lo], a[m], a[hi]);
    return median3(median3(a[lo], a[lo + s], a[lo + 2 * s]), median3(a[m - s], a[m], a[m + s]),
                   median3(a[hi - 2 * s], a[hi - s], a[hi]));
}

/* Put the k-th smallest of a[lo .. hi] at k, smaller ones before it, larger ones after. Three-way partitions,
 * since columns are full of ties. */
static void select_kth(double *a, pfx_idx lo, pfx_idx hi, pfx_idx k)
{
    while (lo < hi) {
        const double pivot = pivot_of(a, lo, hi);
        pfx_idx below = lo, i = lo, above = hi;
        while (i <= above) {
            const double x = a[i];
            if (x < pivot) {
                a[i++] = a[below];
                a[below++] = x;
            } else if (x > pivot) {
                a[i] = a[above];
                a[above--] = x;
            } else {
                i++;
            }
        }
        if (k < below)
            hi = below - 1;
        else if (k > above)
            lo = above + 1;
        else
            return;
    }
}

void summary_quantiles(pfx_idx n, double *a, int n_probs, const double *probs, double *out)
{
    pfx_idx from = 0; /* all before it are no larger than all after */
    for (int j = 0; j < n_probs; j++) {
        if (n == 0) {
            out[j] = NAN;
            continue;
        }
        const double h = (double)(n - 1) * probs[j];
        pfx_idx k = (pfx_idx)h;
        if (k > n - 1) k = n - 1;
        select_kth(a, from, n - 1, k);
        from = k;
        out[j] = a[k];
        if (h > (double)k && k + 1 < n) {
            select_kth(a, k + 1, n - 1, k + 1);
            out[j] += (h - (double)k) * (a[k + 1] - a[k]);
        }
    }
}
