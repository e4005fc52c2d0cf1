#include "src/rep/identify.h"

#include <math.h>
#include <string.h>
#include "kernels/replicate.h"

enum { LANES = PFX_REP_LANES };
/* Share of a null vector (columns in units of their norm) at which a term is part of the dependence. */
static const double IN_NULL = 1e-6;

/* Which terms a tested column that was left out takes with it: those in its null vector. */
static void mark_lost(const pfx_clusterstat *s, const double *L, const double *d, int col, double *c,
                      double *null, double *lost)
{
    int n = s->n_terms, first = s->k - n;
    double top = 0;
    for (int i = col - 1; i >= 0; i--) { /* column col as a combination of those before it */
        double v = L[((pfx_idx)col * (col + 1) / 2 + i) * LANES];
        for (int j = i + 1; j < col; j++) v -= L[((pfx_idx)j * (j + 1) / 2 + i) * LANES] * c[j];
        c[i] = v * d[i * LANES];
    }
    for (int j = 0; j < n; j++) null[j] = first + j < col ? -c[first + j] : first + j == col ? 1 : 0;
    pfx_clusterstat_unwhiten(s, null);
    for (int j = 0; j < n; j++)
        if (fabs(null[j]) * s->norm[j] > top) top = fabs(null[j]) * s->norm[j];
    for (int j = 0; j < n; j++)
        if (fabs(null[j]) * s->norm[j] > IN_NULL * top) lost[j] = 1;
}

void pfx_identify(const pfx_clusterstat *s, const double *L, const double *d, const double *x, double *work,
                  double *out)
{
    int n = s->n_terms, first = s->k - n;
    double *lost = work, *null = lost + n, *c = null + n;
    memset(lost, 0, (size_t)n * sizeof *lost);
    for (int j = 0; j < n; j++) {
        out[j] = x[(first + j) * LANES];
        if (!(d[(first + j) * LANES] > 0)) mark_lost(s, L, d, first + j, c, null, lost);
    }
    pfx_clusterstat_unwhiten(s, out);
    for (int j = 0; j < n; j++) out[j] = lost[j] != 0 ? NAN : s->b[j] + out[j];
}
