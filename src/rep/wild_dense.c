/* The wild bootstrap beside effects that are neither nested in the clusters nor few. Demeaning does not
 * commute with weights there, yet everything of a replicate is still linear in them: with M the projection
 * off effects and regressors, c_i = X~(X~'WX~)^-1 e_i and u the residuals, the score of cluster g of the
 * variance is s_gi = sum over bootstrap clusters h of v_h H_gi,h, H_gi,h = (c_i o g)'W M (u o h) = (M_D (c_i
 * o g))'W(u o h) - (X~'W(c_i o g))'(X~'WX~)^-1 X~'W(u o h), the numerator sum v_h c_i'W(u o h), the variance
 * the weighted sum of s_gi s_gj: one projected column for each cluster of the variance, once, and a product
 * for each replicate. The types that leave clusters out put (I - P_gg)^-1 u_g in the place of u (first digit
 * 3), and (I - P_gg)^-1 c_g in that of c o g (second digit: the coefficient without g is b less that times
 * the residuals): wild_leave.h. Source: methods.md section 4; MacKinnon, Nielsen and Webb (2023). */
#include <math.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/absorb.h"
#include "src/est/solve_factor.h"
#include "src/model/design.h"
#include "src/rep/clusterstat.h"
#include "src/rep/wild_dense.h"
#include "src/rep/wild_leave.h"

enum {
    COLUMNS = 32, /* columns projected at a time */
    AT_ONCE = 8   /* of which one thread sums so many */
};
/* Columns that take longer than this are told of before they are projected. */
static const double TELL_S = 2;

typedef struct wild_dense wild_dense;

/* Preparing one. */
typedef struct prep {
    const pfx_wild *w;
    const pfx_clusterstat *s;
    const wild_test *t;
    wild_dense *d;
    const double *R, *lambda;
    double *B, *K;        /* [n_errors][q x k] A^-1 X~'W(d o g), [rows][sets x k] X~'W(u o h) */
    double *um;           /* [n_errors x q] scores of the sample */
    double *c, *wu;       /* [n x q], [n x sets] with weights, of the rows */
    double *d_own, *left; /* second digit 3: [n x q] what stands for c o g; what has no solution; else NULL */
    const double *dc;     /* [n x q] c, or d_own */
    double *X, *P;        /* [n x columns] columns, projected */
    int columns;          /* in hand, q to a cluster */
    pfx_idx first;        /* their first cluster */
    double bytes;         /* of all tests */
} prep;

static pfx_idx cluster_of(const prep *p, int c, pfx_idx cell)
{
    return pfx_wild_dense_cluster(p->w, p->d, c, cell);
}

static double *entry(const prep *p, pfx_idx cluster, pfx_idx h)
{
    const wild_dense *d = p->d;
    return d->H + (cluster / d->per * p->w->rows + h) * d->width + cluster % d->per * p->t->m;
}

static double dot(int k, const double *x, const double *y)
{
    double v = 0;
    for (int i = 0; i < k; i++) v += x[i] * y[i];
    return v;
}

static double weight(const prep *p, pfx_idx row)
{
    return p->s->design->w ? p->s->design->w[row] : 1;
}

/* Scores of the rows, by bootstrap cluster and by cluster of the variance. */
static void sum_rows(const prep *p)
{
    const wild_test *t = p->t;
    const int k = p->s->k, q = t->q, sets = t->sets;
    const int32_t *cell = p->s->design->clusters[0].code;
    for (pfx_idx r = 0; r < p->s->n_rows; r++) {
        const double *Q = p->s->Q + r * (k + 1), *u = p->wu + r * sets, *d = p->dc + r * q, w = weight(p, r);
        double *K = p->K + (pfx_idx)p->w->own_boot[cell[r]] * sets * k;
        for (int s = 0; s < sets; s++)
            for (int j = 0; j < k; j++) K[s * k + j] += u[s] * Q[j];
        for (int c = 0; c < p->w->o.n_errors; c++) {
            pfx_idx g = cluster_of(p, c, cell[r]);
            for (int i = 0; i < q; i++) {
                double *B = p->B + (g * q + i) * k;
                for (int j = 0; j < k; j++) B[j] += w * d[i] * Q[j];
                p->um[g * q + i] += w * d[i] * Q[k];
            }
        }
    }
}

/* Numerators, and the sample's own variance. */
static void finish_sums(const prep *p)
{
    const wild_test *t = p->t;
    const int k = p->s->k;
    for (pfx_idx h = 0; h < p->w->n_boot; h++)
        for (int q = 0; q < t->m; q++)
            p->d->num[h * p->d->ld_num + q] =
                dot(k, t->h + (pfx_idx)(q / t->sets) * k, p->K + (h * t->sets + q % t->sets) * k);
    for (pfx_idx g = 0; g < p->d->n_errors; g++) {
        double *V = t->full + t->q;
        const double *um = p->um + g * t->q;
        for (int i = 0; i < t->q; i++) {
            pfx_factor_forward(k, k, p->R, p->B + (g * t->q + i) * k);
            pfx_factor_backward(k, k, p->R, p->B + (g * t->q + i) * k);
            for (int j = 0; j <= i; j++) *V++ += p->d->weight[g] * um[i] * um[j];
        }
    }
}

/* c and u of the rows, yet without weights. */
static void fill_rows(const prep *p)
{
    const wild_test *t = p->t;
    const int k = p->s->k;
    for (pfx_idx r = 0; r < p->s->n_rows; r++) {
        const double *Q = p->s->Q + r * (k + 1);
        double *c = p->c + r * t->q, *u = p->wu + r * t->sets;
        for (int i = 0; i < t->q; i++) c[i] = dot(k, t->h + (pfx_idx)i * k, Q);
        u[0] = Q[k];
        if (t->sets == 2) u[1] = c[0];
        for (int i = 0; i < t->q && t->sets == 1 && !p->w->o.unrestricted; i++) u[0] += p->lambda[i] * c[i];
    }
}

/* Upper factor of c'Wc, [q x q]. */
static void factor_directions(const prep *p, double *CC)
{
    const int q = p->t->q;
    double spare[PFX_FACTOR_PANEL * PFX_WILD_MAX_TERMS];
    bool skip[PFX_WILD_MAX_TERMS];
    memset(CC, 0, (size_t)(q * q) * sizeof *CC);
    for (pfx_idx r = 0; r < p->s->n_rows; r++) {
        const double *c = p->c + r * q, w = weight(p, r);
        for (int i = 0; i < q; i++)
            for (int j = 0; j < q; j++) CC[i * q + j] += w * c[i] * c[j];
    }
    pfx_factor_skip(q, 0, CC, skip, spare);
}

/* By the digits of the type. */
static pfx_status leave_out(prep *p, pfx_wild_info *info, pfx_err *err)
{
    const wild_test *t = p->t;
    const int q = t->q, first = p->w->o.type / 10, second = p->w->o.type % 10;
    double CC[PFX_WILD_MAX_TERMS * PFX_WILD_MAX_TERMS];
    pfx_idx n = 0, which = -1;
    pfx_status st = PFX_OK;
    pfx_wild_leave l = {.s = p->s,
                        .n_clusters = p->d->n_errors,
                        .cluster = p->w->o.errors[0].code,
                        .R = p->R,
                        .c = p->c,
                        .CC = CC};
    if (second == 3) {
        memcpy(p->d_own, p->c, (size_t)(p->s->n_rows * q) * sizeof *p->c);
        st = pfx_wild_leave_out(&l, q, p->d_own, p->left, &n, &which, err);
        p->dc = p->d_own;
    }
    if (first == 3 && st == PFX_OK) {
        l.q = p->w->o.unrestricted ? 0 : q;
        factor_directions(p, CC);
        st = pfx_wild_leave_out(&l, t->sets, p->wu, NULL, &n, &which, err);
    }
    if (t == p->w->test && n > 0) {
        info->n_singular = n;
        info->first_singular = which;
    }
    if (p->d->u) memcpy(p->d->u, p->wu, (size_t)(p->s->n_rows * t->sets) * sizeof *p->wu);
    for (pfx_idx r = 0; r < p->s->n_rows && p->s->design->w; r++)
        for (int s = 0; s < t->sets; s++) p->wu[r * t->sets + s] *= weight(p, r);
    return st;
}

/* The columns d o g of clusters first .. of the clustering. */
static void fill_columns(const prep *p, int c)
{
    const int q = p->t->q;
    const int32_t *cell = p->s->design->clusters[0].code;
    memset(p->X, 0, (size_t)(p->s->n_rows * p->columns) * sizeof *p->X);
    for (pfx_idx r = 0; r < p->s->n_rows; r++) {
        pfx_idx g = cluster_of(p, c, cell[r]) - p->first;
        if (g >= 0 && g < p->columns / q)
            memcpy(p->X + r * p->columns + g * q, p->dc + r * q, (size_t)q * sizeof *p->dc);
    }
}

/* Some of the columns, projected, times u of each bootstrap cluster. */
static void sum_columns(void *ctx, pfx_idx part, int thread)
{
    const prep *p = ctx;
    const int q = p->t->q, sets = p->t->sets;
    const int32_t *cell = p->s->design->clusters[0].code;
    int from = (int)part * AT_ONCE, to = from + AT_ONCE < p->columns ? from + AT_ONCE : p->columns;
    (void)thread;
    for (pfx_idx r = 0; r < p->s->n_rows; r++) {
        const double *P = p->P + r * p->columns, *u = p->wu + r * sets;
        pfx_idx h = p->w->own_boot[cell[r]];
        for (int j = from; j < to; j++) {
            double *H = entry(p, p->first + j / q, h) + j % q * sets;
            for (int s = 0; s < sets; s++) H[s] += P[j] * u[s];
        }
    }
}

/* What has no solution meets the residuals of its own rows. */
static void add_left(const prep *p)
{
    const int q = p->t->q, sets = p->t->sets;
    const int32_t *cell = p->s->design->clusters[0].code;
    for (pfx_idx r = 0; r < p->s->n_rows && p->left; r++) {
        double *H = entry(p, cluster_of(p, 0, cell[r]), p->w->own_boot[cell[r]]);
        for (int i = 0; i < q; i++)
            for (int s = 0; s < sets; s++) H[i * sets + s] += p->left[r * q + i] * p->wu[r * sets + s];
    }
}

/* What the regressors take off, of one block. */
static void less_regressors(void *ctx, pfx_idx block, int thread)
{
    const prep *p = ctx;
    const wild_test *t = p->t;
    const int k = p->s->k;
    pfx_idx g0 = block * p->d->per, g1 = g0 + p->d->per < p->d->n_errors ? g0 + p->d->per : p->d->n_errors;
    (void)thread;
    for (pfx_idx h = 0; h < p->w->n_boot; h++)
        for (pfx_idx g = g0; g < g1; g++) {
            double *H = entry(p, g, h);
            for (int q = 0; q < t->m; q++)
                H[q] -= dot(k, p->B + (g * t->q + q / t->sets) * k, p->K + (h * t->sets + q % t->sets) * k);
        }
}

static void sum_scale(const prep *p)
{
    const int m = p->t->m;
    for (pfx_idx g = 0; g < p->d->n_errors; g++)
        for (pfx_idx h = 0; h < p->w->n_boot; h++) {
            const double *H = entry(p, g, h);
            for (int i = 0, at = 0; i < m; i++)
                for (int j = 0; j <= i; j++, at++) p->d->scale[at] += fabs(p->d->weight[g]) * H[i] * H[j];
        }
}

/* Project the columns of all clusters. done, total: columns of all tests. */
static pfx_status project(prep *p, pfx_idx done, pfx_idx total, pfx_err *err)
{
    pfx_status st = PFX_OK;
    const int q = p->t->q, at_once = COLUMNS / q;
    double t0 = pfx_wall_s();
    pfx_idx here = 0;
    for (int c = 0; c < p->w->o.n_errors && st == PFX_OK; c++) {
        const pfx_wild_errors *e = &p->w->o.errors[c];
        pfx_idx n = e->code ? e->n : p->w->n_cells;
        for (pfx_idx g = 0; g < n && st == PFX_OK; g += at_once) {
            p->columns = q * (int)(n - g < at_once ? n - g : at_once);
            p->first = p->d->base[c] + g;
            fill_columns(p, c);
            st = pfx_absorber_project(p->s->absorber, p->columns, p->X, p->P, err);
            if (st != PFX_OK) break;
            pfx_par_for((p->columns + AT_ONCE - 1) / AT_ONCE, p->w->o.nth, sum_columns, p);
            double left = (pfx_wall_s() - t0) / (double)p->columns * (double)(total - p->columns);
            if (done + here == 0 && left > TELL_S)
                pfx_note("effects cross the clusters: %lld columns are demeaned first, in about %.0f s; "
                         "%.0f MiB of memory",
                         (long long)total, left, p->bytes / 0x1p20);
            here += p->columns;
            pfx_progress_set((double)(done + here));
        }
    }
    return st;
}

/* Clusters of all clusterings, the first of each, and how H is cut. */
static void count_clusters(const pfx_wild *w, int m, wild_dense *d)
{
    for (int c = 0; c < w->o.n_errors; c++) {
        d->base[c] = d->n_errors;
        d->n_errors += w->o.errors[c].code ? w->o.errors[c].n : w->n_cells;
    }
    d->per = PFX_WILD_DENSE_ROWS / m / 8 * 8;
    if (d->per == 0) d->per = 8;
    d->width = d->per * m;
    d->n_blocks = (d->n_errors + d->per - 1) / d->per;
    d->ld_num = m;
}

bool pfx_wild_dense_choose(const pfx_wild *w)
{
    const int q = w->o.joint ? w->s->n_terms : 1, sets = w->o.invert && !w->o.unrestricted ? 2 : 1;
    wild_dense d = {0};
    count_clusters(w, q * sets, &d);
    double H = (double)(d.n_blocks * w->rows * d.width) * sizeof(double) * w->n_tests;
    return H > (w->o.held_bytes > 0 ? w->o.held_bytes : PFX_WILD_HELD);
}

/* Bytes of a test: H, or what stands for it, and what its making needs of the rows. */
static double bytes_of(const prep *p, double *H)
{
    const wild_test *t = p->t;
    double n = (double)p->s->n_rows;
    *H = (double)(p->d->n_blocks * p->w->rows * p->d->width) * sizeof(double);
    if (p->w->by_reps)
        *H = sizeof(double) *
             (n * (t->sets + 2.0 * t->q) + (double)(p->d->n_errors * t->q + p->w->rows * t->sets) * p->s->k);
    double leave =
        p->w->o.type == 11 ? 0 : 2 * sizeof(double) * n * t->q + pfx_wild_leave_bytes(p->s->n_rows, t->m);
    return *H + sizeof(double) * n * (t->q + t->sets + 2.0 * COLUMNS) + leave;
}

static pfx_status allocate(prep *p, pfx_err *err)
{
    const wild_test *t = p->t;
    const pfx_wild *w = p->w;
    wild_dense *d = p->d;
    const pfx_idx n = p->s->n_rows, k = p->s->k;
    count_clusters(w, t->m, d);
    double H, bytes = bytes_of(p, &H);
    p->bytes = bytes += H * (double)(w->n_tests - 1);
    if (w->o.max_bytes > 0 && bytes > w->o.max_bytes)
        return pfx_fail(
            err, PFX_ENOMEM,
            "effects cross the clusters: %lld clusters, %lld bootstrap clusters and their rows need %.0f "
            "bytes "
            "(%.1f MiB), more than --memory leaves (%.1f MiB); give more, or use coarser clusters",
            (long long)p->d->n_errors, (long long)w->n_boot, bytes, bytes / 0x1p20, w->o.max_bytes / 0x1p20);
    if (w->by_reps) {
        d->u = pfx_mem_alloc(n * t->sets, sizeof *d->u, err);
        d->wd = pfx_mem_alloc(n * t->q, sizeof *d->wd, err);
        if (!d->u || !d->wd) return PFX_ENOMEM;
    } else if (!(d->H = pfx_mem_calloc(d->n_blocks * w->rows * d->width, sizeof *d->H, err))) {
        return PFX_ENOMEM;
    }
    d->num = pfx_mem_calloc(w->rows * d->ld_num, sizeof *d->num, err);
    d->weight = pfx_mem_calloc(d->n_blocks * d->per, sizeof *d->weight, err);
    d->scale = pfx_mem_calloc(t->n_sq, sizeof *d->scale, err);
    p->B = pfx_mem_calloc(p->d->n_errors * t->q * k, sizeof *p->B, err);
    p->K = pfx_mem_calloc(w->rows * t->sets * k, sizeof *p->K, err);
    p->um = pfx_mem_calloc(p->d->n_errors * t->q, sizeof *p->um, err);
    p->c = pfx_mem_alloc(n * t->q, sizeof *p->c, err);
    p->wu = pfx_mem_alloc(n * t->sets, sizeof *p->wu, err);
    p->X = pfx_mem_alloc(w->by_reps ? 1 : n * COLUMNS, sizeof *p->X, err);
    p->P = pfx_mem_alloc(w->by_reps ? 1 : n * COLUMNS, sizeof *p->P, err);
    if (w->o.type % 10 == 3) {
        p->d_own = pfx_mem_alloc(n * t->q, sizeof *p->d_own, err);
        p->left = pfx_mem_calloc(n * t->q, sizeof *p->left, err);
        if (!p->d_own || !p->left) return PFX_ENOMEM;
    }
    p->dc = p->c;
    if (!d->num || !d->weight || !d->scale || !p->B || !p->K || !p->um || !p->c || !p->wu || !p->X || !p->P)
        return PFX_ENOMEM;
    for (int c = 0; c < w->o.n_errors; c++)
        for (pfx_idx g = p->d->base[c]; g < (c + 1 < w->o.n_errors ? p->d->base[c + 1] : p->d->n_errors); g++)
            d->weight[g] = w->o.errors[c].weight;
    return PFX_OK;
}

/* H of test t. */
static pfx_status make_matrix(prep *p, int t, pfx_err *err)
{
    pfx_idx here = p->d->n_errors * p->t->q;
    pfx_progress_begin("boot: columns", "columns", (double)(here * p->w->n_tests));
    pfx_status st = project(p, here * t, here * p->w->n_tests, err);
    pfx_progress_end();
    if (st != PFX_OK) return st;
    add_left(p);
    pfx_par_for(p->d->n_blocks, p->w->o.nth, less_regressors, p);
    sum_scale(p);
    return PFX_OK;
}

/* What replicates by columns of their own need, in its stead. Their variances are sums of squares: against
 * the sample's own. */
static pfx_status keep_rows(prep *p)
{
    const wild_test *t = p->t;
    wild_dense *d = p->d;
    for (pfx_idx r = 0; r < p->s->n_rows; r++)
        for (int i = 0; i < t->q; i++) {
            d->wd[r * t->q + i] = weight(p, r) * p->dc[r * t->q + i];
            if (p->left) p->left[r * t->q + i] *= weight(p, r);
        }
    for (int f = 0; f < t->n_forms; f++) d->scale[f] = fabs(t->full[t->q + f]);
    d->wleft = p->left;
    d->B = p->B;
    d->K = p->K;
    p->left = p->B = p->K = NULL;
    return PFX_OK;
}

pfx_status pfx_wild_dense_prepare(pfx_wild *w, int t, const double *R, const double *lambda, pfx_err *err)
{
    prep p = {.w = w, .s = w->s, .t = &w->test[t], .R = R, .lambda = lambda};
    pfx_status st = PFX_ENOMEM;
    if (!(p.d = w->test[t].dense = pfx_mem_calloc(1, sizeof *p.d, err))) return st;
    if ((st = allocate(&p, err)) == PFX_OK) {
        fill_rows(&p);
        st = leave_out(&p, &w->info, err);
    }
    if (st == PFX_OK) {
        sum_rows(&p);
        finish_sums(&p);
        st = w->by_reps ? keep_rows(&p) : make_matrix(&p, t, err);
    }
    double *const spare[] = {p.B, p.K, p.um, p.c, p.wu, p.X, p.P, p.d_own, p.left};
    for (size_t i = 0; i < sizeof spare / sizeof *spare; i++) pfx_mem_free(spare[i]);
    return st;
}

void pfx_wild_dense_free(wild_dense *d)
{
    if (!d) return;
    pfx_mem_free(d->H);
    pfx_mem_free(d->num);
    pfx_mem_free(d->weight);
    pfx_mem_free(d->scale);
    pfx_mem_free(d->B);
    pfx_mem_free(d->K);
    pfx_mem_free(d->u);
    pfx_mem_free(d->wd);
    pfx_mem_free(d->wleft);
    pfx_mem_free(d);
}
