/* Rows of 2SLS: the products of a few columns, residuals, with all others, by rows and by whole levels. */
#include "src/est/iv_private.h"

#include <string.h>

/* Rows that are worked on together; no sum runs over them. */
enum { TILE = 8 };

pfx_idx pfx_iv_rows_scratch(const pfx_iv_rows *r)
{
    return TILE * ((pfx_idx)r->p + r->n_left);
}

/* Columns of Q, by forward substitution through the scaled factor, and the residuals r. */
static void whiten(const pfx_iv_rows *r, double (*restrict x)[TILE], double (*restrict t)[TILE])
{
    const pfx_solve *z = r->z;
    int L = r->L, m = r->n_left - L;
    for (int a = 0; a < L; a++) {
        double v[TILE];
        for (int l = 0; l < TILE; l++) v[l] = x[r->column[a]][l] / z->scale[a];
        for (int b = 0; b < a; b++) {
            double c = z->R[(pfx_idx)b * L + a];
            for (int l = 0; l < TILE; l++) v[l] -= c * t[b][l];
        }
        for (int l = 0; l < TILE; l++) t[a][l] = v[l] * r->inverse[a];
    }
    for (int c = 0; c < m; c++) {
        double v[TILE];
        for (int l = 0; l < TILE; l++) v[l] = x[r->column[L + c]][l];
        for (int a = 0; a < L; a++) {
            double b = r->P[(pfx_idx)a * m + c];
            for (int l = 0; l < TILE; l++) v[l] -= b * t[a][l];
        }
        memcpy(t[L + c], v, sizeof v);
    }
}

void pfx_iv_rows_fill(const void *ctx, pfx_idx n, const double *rows, double *scores, double *scratch)
{
    const pfx_iv_rows *r = ctx;
    int k = r->n_left, each = k + r->constant;
    double(*x)[TILE] = (double(*)[TILE])scratch, (*t)[TILE] = x + r->p;
    for (pfx_idx i = 0; i < n; i += TILE) {
        int here = n - i < TILE ? (int)(n - i) : TILE;
        if (r->inverse) {
            for (int l = 0; l < TILE; l++)
                for (int j = 0; j < r->p; j++) x[j][l] = l < here ? rows[(i + l) * r->p + j] : 0;
            whiten(r, x, t);
        } else
            for (int l = 0; l < TILE; l++)
                for (int j = 0; j < k; j++) t[j][l] = l < here ? rows[(i + l) * r->p + r->column[j]] : 0;
        for (int c = 0; c < r->n_right; c++) {
            const double *right = r->right + (pfx_idx)c * k;
            double e[TILE] = {0};
            for (int j = 0; j < k; j++)
                for (int l = 0; l < TILE; l++) e[l] += right[j] * t[j][l];
            for (int l = 0; l < here; l++) {
                double *s = scores + (i + l) * each * r->n_right + (pfx_idx)c * each;
                for (int j = 0; j < k; j++) s[j] = t[j][l] * e[l];
                if (r->constant) s[k] = e[l];
            }
        }
    }
}

pfx_idx pfx_iv_rows_levels(const void *ctx, pfx_idx block, double *e, pfx_idx lds, double *S,
                           const pfx_idx **start, double *scratch)
{
    const pfx_iv_rows *r = ctx;
    pfx_idx n = 0, ld = ((pfx_idx)r->p + 7) / 8 * 8;
    double ssr;
    for (int c = 0; c < r->n_right; c++) {
        n = pfx_absorber_level_scores(r->a, block, r->combination + (pfx_idx)c * r->p, e, ld, scratch, start, &ssr);
        for (pfx_idx g = 0; g < n; g++)
            for (int j = 0; j < r->n_left; j++)
                S[g * lds + (pfx_idx)c * r->n_left + j] = scratch[g * ld + r->column[j]];
    }
    return n;
}
