/* Rows of 2SLS: orthonormal instruments, reduced-form residuals, and products of columns as scores. */
#include "src/est/iv_private.h"

#include <string.h>

/* Rows that are worked on together; no sum runs over them. */
enum { TILE = 8 };

static int n_columns(const pfx_iv_rows *r)
{
    return r->L + r->n + 2 + r->n_made;
}

pfx_idx pfx_iv_rows_scratch(const pfx_iv_rows *r)
{
    return TILE * ((pfx_idx)r->p + n_columns(r));
}

/* Columns of Q, by forward substitution through the scaled factor. */
static void orthonormal(const pfx_iv_rows *r, double (*restrict x)[TILE], double (*restrict t)[TILE])
{
    const pfx_solve *z = r->z;
    int L = r->L;
    for (int a = 0; a < L; a++) {
        double v[TILE];
        for (int l = 0; l < TILE; l++) v[l] = x[z->keep[a]][l] / z->scale[a];
        for (int b = 0; b < a; b++) {
            double c = z->R[(pfx_idx)b * L + a];
            for (int l = 0; l < TILE; l++) v[l] -= c * t[b][l];
        }
        for (int l = 0; l < TILE; l++) t[a][l] = v[l] * r->inverse[a];
    }
}

/* All columns of a tile, t [n_columns], from demeaned x [p]. */
static void make_columns(const pfx_iv_rows *r, double (*restrict x)[TILE], double (*restrict t)[TILE])
{
    int L = r->L, m = r->n + 1, l1 = r->n_excluded;
    orthonormal(r, x, t);
    for (int c = 0; c < m; c++) {
        double v[TILE];
        for (int l = 0; l < TILE; l++) v[l] = x[r->column[c]][l];
        for (int a = 0; a < L; a++) {
            double b = r->P[(pfx_idx)a * m + c];
            for (int l = 0; l < TILE; l++) v[l] -= b * t[a][l];
        }
        memcpy(t[L + c], v, sizeof v);
    }
    for (int l = 0; l < TILE; l++) t[L + m][l] = 1;
    for (int f = 0; f < r->n_made; f++) {
        double v[TILE] = {0};
        const double *c = r->made + (pfx_idx)f * (l1 + m);
        for (int i = 0; i < l1 + m; i++)
            for (int l = 0; l < TILE; l++) v[l] += c[i] * t[L - l1 + i][l];
        memcpy(t[L + m + 1 + f], v, sizeof v);
    }
}

void pfx_iv_rows_fill(const void *ctx, pfx_idx n, const double *rows, double *scores, double *scratch)
{
    const pfx_iv_rows *r = ctx;
    double(*x)[TILE] = (double(*)[TILE])scratch, (*t)[TILE] = x + r->p;
    for (pfx_idx i = 0; i < n; i += TILE) {
        int here = n - i < TILE ? (int)(n - i) : TILE;
        for (int l = 0; l < TILE; l++)
            for (int j = 0; j < r->p; j++) x[j][l] = l < here ? rows[(i + l) * r->p + j] : 0;
        make_columns(r, x, t);
        for (int l = 0; l < here; l++) {
            double *s = scores + (i + l) * r->n_pairs;
            for (int k = 0; k < r->n_pairs; k++) s[k] = t[r->pair[k][0]][l] * t[r->pair[k][1]][l];
        }
    }
}
