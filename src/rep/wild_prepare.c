/* From cluster statistics to the statistics that wild replicates are sums of. */
#include <gsl/gsl_eigen.h>
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/solve_factor.h"
#include "src/rep/clusterstat.h"
#include "src/rep/wild_private.h"

/* Of a whitened column, whose square is 1, this much must be left without the cluster: below, the difference
 * is rounding. */
static const double LEFT = 1e-10;

/* Preparing one test. Columns are turned (Householder) so that the restrictions are on the last q of them:
 * the model under the null is then the leading block of every matrix. */
typedef struct prep {
    pfx_wild *w;
    const pfx_clusterstat *s;
    wild_test *t;
    int k, free_k;                        /* free_k: columns that the null leaves */
    bool leave_residuals, leave_variance; /* digits of the type */
    const double *turn;                   /* [n_terms] Householder vector, or NULL */
    double *C;                            /* [q x k] restrictions */
    double *R;                            /* [k x k] Cholesky factor of A */
    double *lambda;                       /* [q] residuals are e + Q sum lambda_i h_i */
    /* Of the clusters of the variance that is being worked on: */
    const pfx_wild_errors *e;
    pfx_idx n;            /* clusters */
    const pfx_idx *start; /* [n + 1] NULL: cluster g is cell g */
    const int32_t *order;
    double *B, *u, *z; /* [n][q x k], [n][q x k], [n][sets x k] */
    bool *singular;    /* [n] */
    bool failed;       /* out of memory in a thread */
    double *scratch;   /* [nth][step] */
    pfx_idx step;
} prep;

/* x - 2 w w'x on the tested columns, x with the given distance of its elements. */
static void reflect(const prep *p, double *x, pfx_idx step)
{
    int n = p->s->n_terms;
    double dot = 0;
    x += (pfx_idx)(p->k - n) * step;
    for (int i = 0; i < n; i++) dot += p->turn[i] * x[i * step];
    for (int i = 0; i < n; i++) x[i * step] -= 2 * dot * p->turn[i];
}

/* A packed triangle with its last row: the square matrix M and the last row m, turned. */
static void unpack(const prep *p, const double *packed, double *M, double *m)
{
    pfx_idx k = p->k;
    for (pfx_idx i = 0; i < k; i++)
        for (pfx_idx j = 0; j <= i; j++) M[i * k + j] = M[j * k + i] = *packed++;
    memcpy(m, packed, (size_t)k * sizeof *m);
    if (!p->turn) return;
    for (pfx_idx i = 0; i < k; i++) reflect(p, M + i * k, 1);
    for (pfx_idx i = 0; i < k; i++) reflect(p, M + i, k);
    reflect(p, m, 1);
}

/* y = M x for symmetric M, leading n rows and columns. */
static void times(pfx_idx ld, int n, const double *M, const double *x, double *y)
{
    for (int i = 0; i < n; i++) {
        double v = 0;
        for (int j = 0; j < n; j++) v += M[i * ld + j] * x[j];
        y[i] = v;
    }
}

static double dot(int n, const double *x, const double *y)
{
    double v = 0;
    for (int i = 0; i < n; i++) v += x[i] * y[i];
    return v;
}

/* Upper factor of the leading n rows and columns in place; false where a pivot is below `least`. */
static bool cholesky(pfx_idx ld, int n, double least, double *A)
{
    for (int j = 0; j < n; j++) {
        double *row = A + j * ld;
        if (!(row[j] >= least)) return false;
        double pivot = sqrt(row[j]);
        for (int i = j; i < n; i++) row[i] /= pivot;
        for (int l = j + 1; l < n; l++)
            for (int i = l; i < n; i++) A[l * ld + i] -= row[l] * row[i];
    }
    return true;
}

/* P [n x n, ld apart] = pseudo-inverse of the leading block of K. False: out of memory. */
static bool pseudo_inverse(pfx_idx ld, int n, const double *K, double *P)
{
    gsl_matrix *V = gsl_matrix_alloc((size_t)n, (size_t)n), *copy = gsl_matrix_alloc((size_t)n, (size_t)n);
    gsl_vector *d = gsl_vector_alloc((size_t)n);
    gsl_eigen_symmv_workspace *work = gsl_eigen_symmv_alloc((size_t)n);
    bool ok = V && copy && d && work;
    if (ok) {
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) gsl_matrix_set(copy, (size_t)i, (size_t)j, K[i * ld + j]);
        ok = gsl_eigen_symmv(copy, d, V, work) == 0;
    }
    for (int i = 0; ok && i < n; i++)
        for (int j = 0; j < n; j++) {
            double v = 0;
            for (int l = 0; l < n; l++) {
                double value = gsl_vector_get(d, (size_t)l);
                if (value >= LEFT)
                    v += gsl_matrix_get(V, (size_t)i, (size_t)l) * gsl_matrix_get(V, (size_t)j, (size_t)l) /
                         value;
            }
            P[i * ld + j] = v;
        }
    gsl_matrix_free(V);
    gsl_matrix_free(copy);
    gsl_vector_free(d);
    gsl_eigen_symmv_free(work);
    return ok;
}

/* x = K^-1 x, leading n rows; R its factor, or where that failed P. work [n] */
static void solve(const prep *p, bool singular, int n, const double *R, double *x, double *work)
{
    if (singular) {
        times(p->k, n, R, x, work);
        memcpy(x, work, (size_t)n * sizeof *x);
        return;
    }
    pfx_factor_forward(n, p->k, R, x);
    pfx_factor_backward(n, p->k, R, x);
}

/* Factor the leading n rows of A - M into F, or its pseudo-inverse; *singular tells. */
static void without(prep *p, int n, const double *A, const double *M, double *F, double *K, bool *singular)
{
    pfx_idx k = p->k;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) F[i * k + j] = K[i * k + j] = A[i * k + j] - M[i * k + j];
    *singular = !cholesky(k, n, LEFT, F);
    if (*singular && !pseudo_inverse(k, n, K, F)) p->failed = true;
}

/* Scores of a cell for each set of residuals, out [sets x k]. */
static void scores(const prep *p, const double *M, const double *m, double *out, double *work)
{
    const wild_test *t = p->t;
    int k = p->k;
    memcpy(out, m, (size_t)k * sizeof *out);
    if (p->w->o.unrestricted) return;
    if (t->sets == 2) {
        times(k, k, M, t->h, out + k);
        return;
    }
    for (int i = 0; i < t->q; i++) {
        times(k, k, M, t->h + (pfx_idx)i * k, work);
        for (int j = 0; j < k; j++) out[j] += p->lambda[i] * work[j];
    }
}

/* What a cluster of the variance contributes: B, u and z. */
static void one_cluster(void *ctx, pfx_idx g, int thread)
{
    prep *p = ctx;
    wild_test *t = p->t;
    pfx_idx k = p->k, kk = k * k;
    double *A = p->scratch + thread * p->step, *M = A + kk, *F = M + kk, *K = F + kk, *cell = K + kk;
    double *m = cell + kk, *work = m + 2 * k, *mc = work + 2 * k;
    memset(M, 0, (size_t)kk * sizeof *M);
    memset(m, 0, (size_t)k * sizeof *m);
    if (!p->start)
        unpack(p, p->s->M + g * p->s->ld, M, m);
    else
        for (pfx_idx i = p->start[g]; i < p->start[g + 1]; i++) {
            unpack(p, p->s->M + p->order[i] * p->s->ld, cell, mc);
            for (pfx_idx j = 0; j < kk; j++) M[j] += cell[j];
            for (pfx_idx j = 0; j < k; j++) m[j] += mc[j];
        }
    double *B = p->B + g * t->q * k, *u = p->u + g * t->q * k;
    bool singular = false;
    if (p->leave_residuals || p->leave_variance) unpack(p, p->s->A, A, work);
    if (p->leave_variance) {
        without(p, (int)k, A, M, F, K, &singular);
        for (int i = 0; i < t->q; i++) {
            memcpy(u + i * k, p->C + i * k, (size_t)k * sizeof *u);
            solve(p, singular, (int)k, F, u + i * k, work);
            for (pfx_idx j = 0; j < k; j++) B[i * k + j] = u[i * k + j] - t->h[i * k + j];
        }
        p->singular[g] |= singular;
    } else {
        for (int i = 0; i < t->q; i++) {
            memcpy(u + i * k, t->h + i * k, (size_t)k * sizeof *u);
            times(k, (int)k, M, t->h + i * k, B + i * k);
            solve(p, false, (int)k, p->R, B + i * k, work);
        }
    }
    if (!p->leave_residuals) return;
    int n = p->w->o.unrestricted ? (int)k : p->free_k;
    double *z = p->z + g * t->sets * k;
    scores(p, M, m, z, work);
    without(p, n, A, M, F, K, &singular);
    p->singular[g] |= singular;
    for (int s = 0; s < t->sets; s++) {
        solve(p, singular, n, F, z + s * k, work);
        for (pfx_idx j = n; j < k; j++) z[s * k + j] = 0;
    }
}

/* Add one cell: score, S and T of its bootstrap cluster, and alpha of its cluster g of the variance. first:
 * of the clusterings, whose S counts. work [(3 + sets) k + k^2] */
static void add_cell(const prep *p, bool first, pfx_idx g, pfx_idx x, double *alpha, double *work)
{
    const wild_test *t = p->t;
    pfx_idx k = p->k;
    double *M = work, *m = M + k * k, *score = m + k, *spare = score + t->sets * k;
    double a[PFX_WILD_MAX_TERMS * 2];
    double *stat = t->stat + p->w->own_boot[x] * t->ld;
    unpack(p, p->s->M + x * p->s->ld, M, m);
    scores(p, M, m, score, spare);
    for (int s = 0; s < t->sets && p->leave_residuals; s++) {
        times(k, (int)k, M, p->z + (g * t->sets + s) * k, spare);
        for (pfx_idx j = 0; j < k; j++) score[s * k + j] += spare[j];
    }
    for (int i = 0; i < t->q; i++)
        for (int s = 0; s < t->sets; s++)
            a[i * t->sets + s] = dot((int)k, p->u + (g * t->q + i) * k, score + s * k);
    for (int q = 0; q < t->m; q++) alpha[q] += a[q];
    if (t->a && first) memcpy(t->a + x * t->m, a, (size_t)t->m * sizeof *a);
    for (pfx_idx j = 0; first && j < t->sets * k; j++) stat[j] += score[j];
    stat += t->sets * k;
    for (int i = 0; i < t->q; i++)
        for (int j = 0; j <= i; j++)
            for (int s = 0; s < t->sets; s++, stat += k) {
                const double *Bi = p->B + (g * t->q + i) * k, *Bj = p->B + (g * t->q + j) * k;
                double ai = 0.5 * p->e->weight * a[i * t->sets + s],
                       aj = 0.5 * p->e->weight * a[j * t->sets + s];
                for (pfx_idx l = 0; l < k; l++) stat[l] += ai * Bj[l] + aj * Bi[l];
            }
}

/* The cluster's part of the forms and of the sample's own variance. u'm is its score. */
static void add_cluster(const prep *p, pfx_idx g, const double *um)
{
    wild_test *t = p->t;
    pfx_idx k = p->k;
    double *Q = t->form, *V = t->full + t->q;
    for (int i = 0; i < t->q; i++)
        for (int j = 0; j <= i; j++, Q += k * k, V++) {
            const double *Bi = p->B + (g * t->q + i) * k, *Bj = p->B + (g * t->q + j) * k;
            for (pfx_idx a = 0; a < k; a++)
                for (pfx_idx b = 0; b < k; b++)
                    Q[a * k + b] += 0.5 * p->e->weight * (Bi[a] * Bj[b] + Bj[a] * Bi[b]);
            *V += p->e->weight * um[i] * um[j];
        }
}

/* Sums over the cells, in the order of clusters. */
static pfx_status add_all(const prep *p, bool first, pfx_err *err)
{
    wild_test *t = p->t;
    const pfx_wild *w = p->w;
    pfx_idx k = p->k;
    bool squares = !w->start[p->e - w->o.errors];
    double *work = pfx_mem_alloc(k * k + (pfx_idx)(4 + t->sets) * k, sizeof *work, err);
    if (!work) return PFX_ENOMEM;
    for (pfx_idx g = 0; g < p->n; g++) {
        double alpha[PFX_WILD_MAX_TERMS * 2] = {0}, um[PFX_WILD_MAX_TERMS] = {0};
        pfx_idx from = p->start ? p->start[g] : g, to = p->start ? p->start[g + 1] : g + 1;
        for (pfx_idx i = from; i < to; i++) {
            pfx_idx x = p->order ? p->order[i] : i;
            add_cell(p, first, g, x, alpha, work);
            unpack(p, p->s->M + x * p->s->ld, work, work + k * k);
            for (int j = 0; j < t->q; j++) um[j] += dot((int)k, p->u + (g * t->q + j) * k, work + k * k);
        }
        add_cluster(p, g, um);
        if (!squares) continue;
        double *sq = t->sq + w->own_boot[p->order ? p->order[from] : from] * t->n_sq;
        for (int i = 0; i < t->m; i++)
            for (int j = 0; j <= i; j++) *sq++ += p->e->weight * alpha[i] * alpha[j];
    }
    pfx_mem_free(work);
    return PFX_OK;
}

pfx_status pfx_wild_sort_cells(pfx_idx cells, const pfx_wild_errors *e, pfx_idx **start, int32_t **order,
                               pfx_err *err)
{
    pfx_idx *s = *start = pfx_mem_calloc(e->n + 2, sizeof *s, err);
    int32_t *o = *order = pfx_mem_alloc(cells, sizeof *o, err);
    if (!s || !o) return PFX_ENOMEM;
    for (pfx_idx x = 0; x < cells; x++) s[e->code[x] + 2]++;
    for (pfx_idx g = 2; g <= e->n + 1; g++) s[g] += s[g - 1];
    for (pfx_idx x = 0; x < cells; x++) o[s[e->code[x] + 1]++] = (int32_t)x;
    return PFX_OK;
}

/* All clusters of one clustering of the variance. */
static pfx_status clustering(prep *p, int c, pfx_err *err)
{
    pfx_status st = PFX_ENOMEM;
    wild_test *t = p->t;
    pfx_idx k = p->k, *start = NULL;
    int32_t *order = NULL;
    p->e = &p->w->o.errors[c];
    p->n = p->e->code ? p->e->n : p->s->G;
    if (p->e->code && pfx_wild_sort_cells(p->s->G, p->e, &start, &order, err) != PFX_OK) goto done;
    p->start = start;
    p->order = order;
    p->B = pfx_mem_alloc(p->n * t->q * k, sizeof *p->B, err);
    p->u = pfx_mem_alloc(p->n * t->q * k, sizeof *p->u, err);
    p->z = pfx_mem_alloc(p->leave_residuals ? p->n * t->sets * k : 1, sizeof *p->z, err);
    p->singular = pfx_mem_calloc(p->n, sizeof *p->singular, err);
    if (!p->B || !p->u || !p->z || !p->singular) goto done;
    pfx_par_for(p->n, p->w->o.nth, one_cluster, p);
    if (p->failed) {
        pfx_fail(err, PFX_ENOMEM, "out of memory for a pseudo-inverse of %d columns", p->k);
        goto done;
    }
    if ((st = add_all(p, c == 0, err)) != PFX_OK) goto done;
    for (pfx_idx g = 0; g < p->n && t == p->w->test; g++)
        if (p->singular[g] && p->w->info.n_singular++ == 0) p->w->info.first_singular = g;
done:
    pfx_mem_free(start);
    pfx_mem_free(order);
    pfx_mem_free(p->B);
    pfx_mem_free(p->u);
    pfx_mem_free(p->z);
    pfx_mem_free(p->singular);
    return st;
}

/* The restrictions of test number i, turned onto the last columns. turn [n_terms] */
static void restrictions(prep *p, int i, double *turn)
{
    const pfx_clusterstat *s = p->s;
    int n = s->n_terms, k = p->k;
    for (int j = 0; j < p->t->q; j++) {
        double *y = p->C + (pfx_idx)j * k + k - n;
        y[p->w->o.joint ? j : i] = 1;
        pfx_clusterstat_functional(s, y);
    }
    if (p->t->q == n || p->w->info.crossing) return; /* there no columns are left out */
    /* v = y + sign(y_last) |y| e_last, of length one: y - 2 v v'y lies on the last column. */
    double *y = p->C + k - n, length = sqrt(dot(n, y, y));
    memcpy(turn, y, (size_t)n * sizeof *turn);
    turn[n - 1] += copysign(length, y[n - 1]);
    double norm = sqrt(dot(n, turn, turn));
    for (int j = 0; j < n; j++) turn[j] /= norm;
    p->turn = turn;
    reflect(p, p->C, 1);
    memset(y, 0, (size_t)(n - 1) * sizeof *y);
}

/* h, lambda, and how far the null is. work [k + q^2] */
static pfx_status directions(prep *p, int first_term, double *work, pfx_err *err)
{
    wild_test *t = p->t;
    const pfx_clusterstat *s = p->s;
    int k = p->k, q = t->q;
    double *CH = work + k;
    unpack(p, s->A, p->R, work);
    if (!cholesky(k, k, LEFT, p->R))
        return pfx_fail(err, PFX_ENOCONV, "the regressors are collinear to rounding: leave one out");
    for (int i = 0; i < q; i++) {
        memcpy(t->h + (pfx_idx)i * k, p->C + (pfx_idx)i * k, (size_t)k * sizeof *t->h);
        solve(p, false, k, p->R, t->h + (pfx_idx)i * k, work);
        p->lambda[i] = t->full[i] = s->b[first_term + i] - p->w->o.null[first_term + i];
    }
    for (int i = 0; i < q; i++)
        for (int j = 0; j < q; j++) CH[i * q + j] = dot(k, p->C + (pfx_idx)i * k, t->h + (pfx_idx)j * k);
    t->step = 1 / CH[0];
    t->b = s->b[first_term];
    t->null = p->w->o.null[first_term];
    if (!cholesky(q, q, 0, CH)) return pfx_fail(err, PFX_ENOCONV, "the tested coefficients are collinear");
    pfx_factor_forward(q, q, CH, p->lambda);
    pfx_factor_backward(q, q, CH, p->lambda);
    return PFX_OK;
}

static pfx_status allocate(prep *p, pfx_err *err)
{
    wild_test *t = p->t;
    const pfx_wild *w = p->w;
    pfx_idx k = p->k, kk = k * k;
    t->q = w->o.joint ? p->s->n_terms : 1;
    t->sets = w->o.invert && !w->o.unrestricted ? 2 : 1;
    t->n_forms = t->q * (t->q + 1) / 2;
    t->m = t->q * t->sets;
    t->n_sq = t->m * (t->m + 1) / 2;
    t->n_stats = w->info.crossing ? 0 : k * t->sets * (1 + t->n_forms);
    t->ld = (t->n_stats + 7) / 8 * 8;
    t->stat = pfx_mem_calloc(w->rows * t->ld, sizeof *t->stat, err);
    t->sq = pfx_mem_calloc(w->rows * t->n_sq, sizeof *t->sq, err);
    t->sq_sum = pfx_mem_calloc(t->n_sq, sizeof *t->sq_sum, err);
    t->h = pfx_mem_calloc(t->q * k, sizeof *t->h, err);
    t->form = pfx_mem_calloc(t->n_forms * kk, sizeof *t->form, err);
    t->full = pfx_mem_calloc(t->q + t->n_forms, sizeof *t->full, err);
    p->C = pfx_mem_calloc(t->q * k, sizeof *p->C, err);
    p->R = pfx_mem_calloc(kk, sizeof *p->R, err);
    p->lambda = pfx_mem_calloc(t->q, sizeof *p->lambda, err);
    p->step = (5 * kk + 5 * k + 7) / 8 * 8;
    p->scratch = pfx_mem_alloc(w->o.nth * p->step, sizeof *p->scratch, err);
    if (w->crosses && !w->info.crossing && !(t->a = pfx_mem_alloc(w->n_cells * t->m, sizeof *t->a, err)))
        return PFX_ENOMEM;
    return t->stat && t->sq && t->sq_sum && t->h && t->form && t->full && p->C && p->R && p->lambda &&
                   p->scratch
               ? PFX_OK
               : PFX_ENOMEM;
}

static pfx_status one_test(pfx_wild *w, int i, pfx_err *err)
{
    const pfx_clusterstat *s = w->s;
    prep p = {.w = w, .s = s, .t = &w->test[i], .k = s->k};
    wild_test *t = p.t;
    p.leave_residuals = w->o.type / 10 == 3;
    p.leave_variance = w->o.type % 10 == 3;
    double *turn = pfx_mem_alloc(s->n_terms, sizeof *turn, err);
    double *work = pfx_mem_alloc(s->k + (pfx_idx)s->n_terms * s->n_terms, sizeof *work, err);
    pfx_status st = turn && work ? allocate(&p, err) : PFX_ENOMEM;
    if (st == PFX_OK) {
        p.free_k = s->k - t->q;
        restrictions(&p, i, turn);
        st = directions(&p, i, work, err);
    }
    if (st == PFX_OK && w->info.crossing) st = pfx_wild_dense_prepare(w, i, p.R, p.lambda, err);
    for (int c = 0; c < w->o.n_errors && !w->info.crossing && st == PFX_OK; c++) st = clustering(&p, c, err);
    for (pfx_idx g = 0; g < w->n_boot && st == PFX_OK; g++)
        for (int j = 0; j < t->n_sq; j++) t->sq_sum[j] += t->sq[g * t->n_sq + j];
    pfx_mem_free(turn);
    pfx_mem_free(work);
    pfx_mem_free(p.C);
    pfx_mem_free(p.R);
    pfx_mem_free(p.lambda);
    pfx_mem_free(p.scratch);
    return st;
}

pfx_status pfx_wild_prepare(pfx_wild *w, pfx_err *err)
{
    for (int i = 0; i < w->n_tests; i++) {
        pfx_status st = one_test(w, i, err);
        if (st != PFX_OK) return st;
        if (w->test[i].ld > w->max_ld) w->max_ld = w->test[i].ld;
    }
    return PFX_OK;
}
