#include "tests/est/dense_vcov.h"

#include <lapacke.h>
#include "tests/test.h"

static double *zeros(size_t n)
{
    double *x = calloc(n, sizeof *x);
    assert_non_null(x);
    return x;
}

typedef struct columns {
    int n, m, cap;
    long double *v; /* [m][n] orthonormal */
} columns;

/* What the columns leave of x [n], twice for digits. Returns its length. */
static long double reduce(const columns *c, long double *x)
{
    long double s = 0;
    for (int again = 0; again < 2; again++)
        for (int j = 0; j < c->m; j++) {
            long double dot = 0;
            for (int i = 0; i < c->n; i++) dot += c->v[(size_t)j * (size_t)c->n + (size_t)i] * x[i];
            for (int i = 0; i < c->n; i++) x[i] -= dot * c->v[(size_t)j * (size_t)c->n + (size_t)i];
        }
    for (int i = 0; i < c->n; i++) s += x[i] * x[i];
    return sqrtl(s);
}

/* Another column, unless it depends on those before it. */
static void join(columns *c, const double *x)
{
    long double *to = c->v + (size_t)c->m * (size_t)c->n, length = 0;
    assert_true(c->m < c->cap);
    for (int i = 0; i < c->n; i++) {
        to[i] = x[i];
        length += to[i] * to[i];
    }
    long double left = reduce(c, to);
    if (left < 1e-9L * sqrtl(length)) return;
    for (int i = 0; i < c->n; i++) to[i] /= left;
    c->m++;
}

static double root_weight(const pfx_design *d, int i)
{
    return d->w ? sqrt(d->w[i]) : 1;
}

static void add_effects(columns *c, const pfx_design *d, double *x)
{
    for (int e = 0; e < d->n_absorbed; e++)
        for (int l = 0; l < d->absorbed[e].factor.n_levels; l++) {
            for (int i = 0; i < c->n; i++) x[i] = d->absorbed[e].factor.code[i] == l ? root_weight(d, i) : 0;
            join(c, x);
        }
}

/* Coefficient j: the intercept is that of column -1. */
static void fill(const pfx_design *d, int j, double *x)
{
    for (int i = 0; i < d->n; i++) x[i] = (j < 0 ? 1 : d->Z[i * d->p + j]) * root_weight(d, i);
}

dense_ols dense_ols_new(const pfx_design *d)
{
    int n = (int)d->n, first = d->intercept ? -1 : 0, last = d->p - 1;
    dense_ols o = {.n = n, .k = last - first};
    size_t nn = (size_t)n * (size_t)n;
    double *x = zeros((size_t)n);
    long double *left = calloc((size_t)n, sizeof *left);
    o.H = zeros(nn);
    o.e = zeros((size_t)n);
    o.l = zeros((size_t)o.k * (size_t)n);
    for (int j = first; j <= last; j++) { /* j = last: all columns, for H and e */
        columns c = {.n = n, .cap = n, .v = calloc(nn, sizeof *c.v)};
        add_effects(&c, d, x);
        for (int i = first; i < last; i++) {
            fill(d, i, x);
            if (i != j) join(&c, x);
        }
        fill(d, j, x);
        for (int i = 0; i < n; i++) left[i] = x[i];
        long double length = reduce(&c, left);
        for (int i = 0; i < n && j < last; i++)
            o.l[(j - first) * n + i] = (double)(left[i] / (length * length));
        for (int i = 0; i < n && j == last; i++) {
            o.e[i] = (double)left[i];
            for (int h = 0; h < n; h++) {
                long double s = 0;
                for (int m = 0; m < c.m; m++)
                    s += c.v[(size_t)m * (size_t)n + (size_t)i] * c.v[(size_t)m * (size_t)n + (size_t)h];
                o.H[i * n + h] = (double)s;
            }
        }
        free(c.v);
    }
    free(x);
    free(left);
    return o;
}

/* Columns of the design in the roles, then column `last`, as a design of its own; Z is the caller's. */
static pfx_design columns_of(const pfx_design *d, pfx_role one, pfx_role other, int last)
{
    pfx_design out = *d;
    out.p = 0;
    out.Z = zeros((size_t)d->n * (size_t)d->p);
    for (int j = 0; j < d->p; j++) out.p += j < d->p - 1 && (d->role[j] == one || d->role[j] == other);
    out.p++;
    for (pfx_idx i = 0; i < d->n; i++) {
        int to = 0;
        for (int j = 0; j < d->p - 1; j++)
            if (d->role[j] == one || d->role[j] == other) out.Z[i * out.p + to++] = d->Z[i * d->p + j];
        out.Z[i * out.p + to] = d->Z[i * d->p + last];
    }
    return out;
}

dense_ols dense_iv_new(const pfx_design *d)
{
    pfx_design x = columns_of(d, PFX_REGRESSOR, PFX_ENDOGENOUS, d->p - 1);
    double *gap = zeros((size_t)d->n * (size_t)d->p); /* what projection takes off, in weighted rows */
    for (int j = 0, at = 0; j < d->p - 1; j++) {
        if (d->role[j] == PFX_INSTRUMENT) continue;
        if (d->role[j] == PFX_ENDOGENOUS) {
            pfx_design first = columns_of(d, PFX_REGRESSOR, PFX_INSTRUMENT, j);
            dense_ols stage = dense_ols_new(&first);
            for (int i = 0; i < d->n; i++) {
                gap[i * d->p + at] = stage.e[i];
                x.Z[i * x.p + at] -= stage.e[i] / root_weight(d, i);
            }
            dense_ols_free(&stage);
            free(first.Z);
        }
        at++;
    }
    dense_ols o = dense_ols_new(&x);
    int i0 = o.k - (x.p - 1);
    for (int j = 0; j < x.p - 1; j++) {
        double b = 0;
        for (int i = 0; i < o.n; i++)
            b += o.l[(j + i0) * o.n + i] * d->Z[i * d->p + d->p - 1] * root_weight(d, i);
        for (int i = 0; i < o.n; i++) o.e[i] -= gap[i * d->p + j] * b;
    }
    free(gap);
    free(x.Z);
    return o;
}

void dense_ols_free(dense_ols *o)
{
    free(o->H);
    free(o->e);
    free(o->l);
}

/* (I - H_gg)^(-1/2) [m x m] of the rows listed, eigenvalues of zero left zero. */
static void adjustment(const dense_ols *o, int m, const int *row, double *A)
{
    double *U = zeros((size_t)m * (size_t)m), *lambda = zeros((size_t)m);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) U[i * m + j] = (i == j) - o->H[row[i] * o->n + row[j]];
    assert_int_equal(LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', m, U, m, lambda), 0);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) {
            double s = 0;
            for (int l = 0; l < m; l++)
                if (lambda[l] > 1e-9) s += U[i * m + l] * U[j * m + l] / sqrt(lambda[l]);
            A[i * m + j] = s;
        }
    free(U);
    free(lambda);
}

void dense_cr2(const dense_ols *o, const pfx_design *d, double *V, double *df)
{
    int n = o->n, k = o->k, G = (int)d->clusters[0].n_levels;
    size_t kg = (size_t)k * (size_t)G;
    double *score = zeros(kg), *p = zeros(kg * (size_t)n), *A = zeros((size_t)n * (size_t)n);
    int *row = calloc((size_t)n, sizeof *row);
    for (int g = 0; g < G; g++) {
        int m = 0;
        for (int i = 0; i < n; i++)
            if (d->clusters[0].code[i] == g) row[m++] = i;
        adjustment(o, m, row, A);
        for (int j = 0; j < k; j++) {
            double *pg = p + ((size_t)j * (size_t)G + (size_t)g) * (size_t)n;
            for (int b = 0; b < m; b++) {
                double a = 0; /* (A_g l_g) of row b */
                for (int c = 0; c < m; c++) a += A[b * m + c] * o->l[j * n + row[c]];
                score[j * G + g] += a * o->e[row[b]];
                for (int i = 0; i < n; i++) pg[i] += ((i == row[b]) - o->H[i * n + row[b]]) * a;
            }
        }
    }
    for (int j = 0; j < k; j++) {
        double sum = 0, square = 0;
        for (int g = 0; g < G; g++)
            for (int h = 0; h < G; h++) {
                double dot = 0;
                for (int i = 0; i < n; i++)
                    dot += p[((size_t)j * (size_t)G + (size_t)g) * (size_t)n + (size_t)i] *
                           p[((size_t)j * (size_t)G + (size_t)h) * (size_t)n + (size_t)i];
                sum += g == h ? dot : 0;
                square += dot * dot;
            }
        df[j] = sum * sum / square;
        for (int i = 0; i < k; i++) {
            V[j * k + i] = 0;
            for (int g = 0; g < G; g++) V[j * k + i] += score[j * G + g] * score[i * G + g];
        }
    }
    free(score);
    free(p);
    free(A);
    free(row);
}

void dense_hac(const dense_ols *o, const int32_t *unit, const int *rank, int lag, double *V)
{
    int n = o->n, k = o->k;
    for (int a = 0; a < k; a++)
        for (int b = 0; b < k; b++) {
            double sum = 0;
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++) {
                    int apart = abs(rank[i] - rank[j]);
                    if (apart > lag || (unit && unit[i] != unit[j])) continue;
                    sum += (1 - apart / (lag + 1.0)) * o->l[a * n + i] * o->e[i] * o->l[b * n + j] * o->e[j];
                }
            V[a * k + b] = sum;
        }
}
