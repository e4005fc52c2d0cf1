#include "src/rep/cluster_vcov.h"

#include <math.h>
#include <string.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/model/design.h"
#include "src/rep/clusterstat.h"
#include "src/rep/jackknife.h"

/* Coefficients that the warning names. */
enum { MAX_NAMED = 5 };

/* ---- the jackknife ---- */

/* Deviations of the estimates without each cluster, in place, lost ones zero; scale [k] so that V = scale D'D
 * scale. */
static void centre(const pfx_jackknife *j, const double *b, bool about_mean, double *scale)
{
    for (int t = 0; t < j->n_terms; t++) {
        double n = (double)(j->G - j->n_lost[t]), mean = 0;
        for (pfx_idx g = 0; g < j->G && about_mean; g++) {
            double d = j->b[g * j->n_terms + t] - b[t];
            if (!isnan(d)) mean += d;
        }
        mean = b[t] + mean / n;
        for (pfx_idx g = 0; g < j->G; g++) {
            double *x = &j->b[g * j->n_terms + t];
            *x = isnan(*x) ? 0 : *x - (about_mean ? mean : b[t]);
        }
        scale[t] = n > 1 ? sqrt((n - 1) / n) : NAN;
    }
}

static pfx_idx count_lost(const pfx_jackknife *j)
{
    pfx_idx n = 0;
    for (pfx_idx g = 0; g < j->G; g++) {
        bool lost = false;
        for (int t = 0; t < j->n_terms; t++) lost |= isnan(j->b[g * j->n_terms + t]);
        n += lost;
    }
    return n;
}

static void warn_lost(const pfx_design *d, const pfx_cluster_vcov_in *in, const pfx_clusterstat *s,
                      const pfx_jackknife *j, pfx_idx n_lost)
{
    pfx_str names = {0};
    int named = 0;
    pfx_idx first = -1;
    for (int t = 0; t < in->k; t++) {
        if (!j->n_lost[t]) continue;
        if (named++ < MAX_NAMED) pfx_str_addf(&names, "%s%s", named > 1 ? ", " : "", in->terms[t]);
        if (first < 0 || j->first_lost[t] < first) first = j->first_lost[t];
    }
    if (named > MAX_NAMED) pfx_str_addf(&names, " and %d more", named - MAX_NAMED);
    pfx_warn("%s: not identified without a cluster: %s (%lld of the %lld clusters, %s; the first is that of "
             "panel row %lld): "
             "such a cluster is left out of the variance of these",
             pfx_vcov_name(in->type), names.s ? names.s : "some coefficients", (long long)n_lost,
             (long long)j->G, d->clusters[0].name, (long long)s->first_row[first] + 1);
    pfx_str_free(&names);
}

static pfx_status jackknife(const pfx_design *d, const pfx_cluster_vcov_in *in, const pfx_clusterstat *s,
                            pfx_cluster_vcov_out *out, pfx_err *err)
{
    pfx_jackknife *j = NULL;
    int k = in->k;
    double *scale = pfx_mem_alloc(k, sizeof *scale, err);
    if (!scale) return PFX_ENOMEM;
    pfx_status st = pfx_jackknife_run(s, in->nth, in->isa, &j, err);
    if (st != PFX_OK) goto done;
    out->n_singular = count_lost(j);
    if (out->n_singular) warn_lost(d, in, s, j, out->n_singular);
    centre(j, s->b, in->type == PFX_VCOV_CV3J, scale);
    memset(out->V, 0, (size_t)k * (size_t)k * sizeof *out->V);
    for (pfx_idx g = 0; g < j->G; g++)
        for (int a = 0; a < k; a++)
            for (int b = 0; b <= a; b++) out->V[a * k + b] += j->b[g * k + a] * j->b[g * k + b];
    for (int a = 0; a < k; a++) {
        out->df[a] = (double)(j->G - j->n_lost[a] - 1);
        for (int b = 0; b <= a; b++) out->V[b * k + a] = out->V[a * k + b] *= scale[a] * scale[b];
    }
done:
    pfx_jackknife_free(j);
    pfx_mem_free(scale);
    return st;
}

/* ---- CR2 ---- */

/* An eigenvalue of Q_g'Q_g this near to one: the cluster alone determines that direction. */
static const double ALONE = 1e-10;
/* Clusters whose parts are held before they are added, in order. */
enum { BATCH = 64 };
/* Jacobi: entries whose square is below this share of the sum of squares are zeros; sweeps at most (few are
 * needed). */
static const double NEGLIGIBLE = 1e-34;
enum { MAX_SWEEPS = 60 };

typedef struct cr2 {
    const pfx_clusterstat *s;
    double *u;       /* [n x k] whitened functionals of the coefficients */
    double *score;   /* [BATCH][n] u' (I - M)^(-1/2) q */
    double *r;       /* [BATCH][n x k] (M (I - M)^(-1/2) u)' */
    double *own;     /* [BATCH][n] p_g'p_g */
    bool *singular;  /* [BATCH] */
    bool *failed;    /* [BATCH] */
    double *scratch; /* [nth][2 k x k + 3 k] */
    double *R;       /* [n][k x k] sum of r r', lower */
    double *sums;    /* [n][2] of p_g'p_g; of its square less that of r'r */
    pfx_idx g0, n_here;
} cr2;

/* Eigenvalues lambda of the symmetric A [k x k], which is overwritten, and eigenvectors, the rows of U [k x
 * k], by cyclic Jacobi rotations. LAPACK's differ in the last bits from call to call where threads call it at
 * once, and a result must not. False: no convergence. Source: Golub and Van Loan (2013), section 8.5. */
static bool spectrum(int k, double *restrict A, double *restrict U, double *lambda)
{
    double scale = 0, off = 0;
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++) {
            U[(pfx_idx)i * k + j] = i == j;
            scale += A[(pfx_idx)i * k + j] * A[(pfx_idx)i * k + j];
        }
    for (int sweep = 0; sweep < MAX_SWEEPS; sweep++) {
        off = 0;
        for (int p = 0; p < k; p++)
            for (int q = p + 1; q < k; q++) {
                double *Ap = A + (pfx_idx)p * k, *Aq = A + (pfx_idx)q * k, *Up = U + (pfx_idx)p * k,
                       *Uq = U + (pfx_idx)q * k;
                double apq = Ap[q], app = Ap[p], aqq = Aq[q];
                off += apq * apq;
                if (apq * apq <= NEGLIGIBLE * scale) continue;
                double theta = (aqq - app) / (2 * apq),
                       t = copysign(1, theta) / (fabs(theta) + sqrt(1 + theta * theta));
                double c = 1 / sqrt(1 + t * t), s = t * c;
                for (int i = 0; i < k; i++) {
                    double x = Ap[i], y = Aq[i], u = Up[i], v = Uq[i];
                    Ap[i] = c * x - s * y;
                    Aq[i] = s * x + c * y;
                    Up[i] = c * u - s * v;
                    Uq[i] = s * u + c * v;
                }
                Ap[p] = app - t * apq;
                Aq[q] = aqq + t * apq;
                Ap[q] = Aq[p] = 0;
                for (int i = 0; i < k; i++) /* rows are turned; columns are their mirror */
                    if (i != p && i != q) {
                        A[(pfx_idx)i * k + p] = Ap[i];
                        A[(pfx_idx)i * k + q] = Aq[i];
                    }
            }
        if (off <= NEGLIGIBLE * (double)k * (double)k * scale) break;
    }
    for (int i = 0; i < k; i++) lambda[i] = A[(pfx_idx)i * k + i];
    return off <= NEGLIGIBLE * (double)k * (double)k * scale;
}

/* One cluster: the spectrum of M_g, and what follows from it. */
static void take_cluster(void *ctx, pfx_idx slot, int thread)
{
    const cr2 *c = ctx;
    const pfx_clusterstat *s = c->s;
    int k = s->k, n = s->n_terms;
    const double *M = s->M + (c->g0 + slot) * s->ld, *q = M + (pfx_idx)k * (k + 1) / 2;
    double *A = c->scratch + thread * (2 * (pfx_idx)k * k + 3 * k), *U = A + (pfx_idx)k * k,
           *lambda = U + (pfx_idx)k * k, *f = lambda + k, *x = f + k;
    c->singular[slot] = false;
    for (int i = 0; i < k; i++)
        for (int j = 0; j <= i; j++)
            A[(pfx_idx)i * k + j] = A[(pfx_idx)j * k + i] = M[(pfx_idx)i * (i + 1) / 2 + j];
    c->failed[slot] = !spectrum(k, A, U, lambda);
    for (int i = 0; i < k; i++) {
        bool alone = 1 - lambda[i] <= ALONE;
        c->singular[slot] |= alone;
        f[i] = alone ? 0 : 1 / sqrt(1 - lambda[i]);
    }
    for (int t = 0; t < n; t++) {
        const double *u = c->u + (pfx_idx)t * k;
        double *r = c->r + (slot * n + t) * k, score = 0, own = 0;
        memset(r, 0, (size_t)k * sizeof *r);
        for (int i = 0; i < k; i++) {
            double in_u = 0, in_q = 0;
            for (int l = 0; l < k; l++) {
                in_u += U[(pfx_idx)i * k + l] * u[l];
                in_q += U[(pfx_idx)i * k + l] * q[l];
            }
            score += in_u * f[i] * in_q;
            own += in_u * in_u * lambda[i] * (1 - lambda[i]) * f[i] * f[i];
            x[i] = in_u * lambda[i] * f[i];
        }
        for (int l = 0; l < k; l++)
            for (int i = 0; i < k; i++) r[l] += U[(pfx_idx)i * k + l] * x[i];
        c->score[slot * n + t] = score;
        c->own[slot * n + t] = own;
    }
}

/* A coefficient's sums over the batch, in the order of the clusters. */
static void add_term(void *ctx, pfx_idx t, int thread)
{
    const cr2 *c = ctx;
    int k = c->s->k, n = c->s->n_terms;
    double *R = c->R + t * k * k;
    (void)thread;
    for (pfx_idx slot = 0; slot < c->n_here; slot++) {
        const double *r = c->r + (slot * n + t) * k;
        double own = c->own[slot * n + t], rr = 0;
        for (int i = 0; i < k; i++) {
            rr += r[i] * r[i];
            for (int j = 0; j <= i; j++) R[(pfx_idx)i * k + j] += r[i] * r[j];
        }
        c->sums[2 * t] += own;
        c->sums[2 * t + 1] += own * own - rr * rr;
    }
}

static pfx_status allocate(cr2 *c, int nth, pfx_err *err)
{
    pfx_idx k = c->s->k, n = c->s->n_terms;
    c->u = pfx_mem_calloc(n * k, sizeof *c->u, err);
    c->score = pfx_mem_alloc(BATCH * n, sizeof *c->score, err);
    c->r = pfx_mem_alloc(BATCH * n * k, sizeof *c->r, err);
    c->own = pfx_mem_alloc(BATCH * n, sizeof *c->own, err);
    c->singular = pfx_mem_alloc(BATCH, sizeof *c->singular, err);
    c->failed = pfx_mem_alloc(BATCH, sizeof *c->failed, err);
    c->scratch = pfx_mem_alloc(nth * (2 * k * k + 3 * k), sizeof *c->scratch, err);
    c->R = pfx_mem_calloc(n * k * k, sizeof *c->R, err);
    c->sums = pfx_mem_calloc(2 * n, sizeof *c->sums, err);
    return c->u && c->score && c->r && c->own && c->singular && c->failed && c->scratch && c->R && c->sums
               ? PFX_OK
               : PFX_ENOMEM;
}

static void release(cr2 *c)
{
    pfx_mem_free(c->u);
    pfx_mem_free(c->score);
    pfx_mem_free(c->r);
    pfx_mem_free(c->own);
    pfx_mem_free(c->singular);
    pfx_mem_free(c->failed);
    pfx_mem_free(c->scratch);
    pfx_mem_free(c->R);
    pfx_mem_free(c->sums);
}

static void degrees_of_freedom(const cr2 *c, double *df)
{
    int k = c->s->k;
    for (int t = 0; t < c->s->n_terms; t++) {
        const double *R = c->R + (pfx_idx)t * k * k;
        double both = c->sums[2 * t + 1];
        for (int i = 0; i < k; i++)
            for (int j = 0; j <= i; j++)
                both += (i == j ? 1 : 2) * R[(pfx_idx)i * k + j] * R[(pfx_idx)i * k + j];
        df[t] = c->sums[2 * t] * c->sums[2 * t] / both;
    }
}

static pfx_idx packed(pfx_idx i, pfx_idx j)
{
    return i >= j ? i * (i + 1) / 2 + j : j * (j + 1) / 2 + i;
}

/* Two-stage least squares is least squares of the outcome on the projected regressors, with its own residual:
 * in their whitened columns, [exogenous q, q2 Pi], Pi = q2'y~ orthonormal, and u, the products of each
 * cluster. Frees nothing of s; view->M is the caller's. Without instruments view is s. */
static pfx_status project(const pfx_clusterstat *s, pfx_clusterstat *view, pfx_err *err)
{
    *view = *s;
    if (!s->iv) return PFX_OK;
    int L = s->iv->L, ne = s->iv->n_exog, n = s->iv->n, K = ne + n, from = L + n + 1;
    view->k = K;
    view->ld = ((pfx_idx)(K + 1) * (K + 2) / 2 + 7) / 8 * 8;
    view->M = pfx_mem_calloc(s->G * view->ld, sizeof *view->M, err);
    double *half = pfx_mem_alloc((pfx_idx)(K + 1) * from, sizeof *half, err);
    if (!view->M || !half) {
        pfx_mem_free(half);
        return PFX_ENOMEM;
    }
    for (pfx_idx g = 0; g < s->G; g++) {
        const double *M = s->M + g * s->ld;
        double *to = view->M + g * view->ld;
        for (int j = 0; j <= K; j++) /* column j of the new ones with each of the old */
            for (int m = 0; m < from; m++) {
                double x = 0;
                if (j < ne || j == K) x = M[packed(j < K ? j : L + n, m)];
                for (int a = ne; a < L && j >= ne && j < K; a++)
                    x += s->A[packed(L + j - ne, a)] * M[packed(a, m)];
                half[(pfx_idx)j * from + m] = x;
            }
        for (int i = 0; i <= K; i++)
            for (int j = 0; j <= i; j++, to++) {
                const double *h = half + (pfx_idx)j * from;
                if (i < ne || i == K) *to = h[i < K ? i : L + n];
                for (int a = ne; a < L && i >= ne && i < K; a++) *to += s->A[packed(L + i - ne, a)] * h[a];
            }
    }
    pfx_mem_free(half);
    return PFX_OK;
}

/* Coefficient t as a functional of the whitened columns, u [k] of zeros. */
static void set_functional(const pfx_clusterstat *s, int k, int t, double *u)
{
    if (s->iv) {
        int ns = s->iv->structural.n_terms;
        memcpy(u + k - ns, s->iv->functional + (pfx_idx)t * ns, (size_t)ns * sizeof *u);
        return;
    }
    u += k - s->n_terms;
    u[t] = 1;
    pfx_clusterstat_functional(s, u);
}

static pfx_status bias_reduced(const pfx_design *d, const pfx_cluster_vcov_in *in, const pfx_clusterstat *s,
                               pfx_cluster_vcov_out *out, pfx_err *err)
{
    pfx_clusterstat view;
    cr2 c = {.s = &view};
    int n = in->k;
    pfx_idx first = -1;
    pfx_status st = project(s, &view, err);
    if (st == PFX_OK) st = allocate(&c, in->nth, err);
    if (st != PFX_OK) goto done;
    for (int t = 0; t < n; t++) set_functional(s, view.k, t, c.u + (pfx_idx)t * view.k);
    memset(out->V, 0, (size_t)n * (size_t)n * sizeof *out->V);
    for (c.g0 = 0; c.g0 < s->G; c.g0 += BATCH) {
        c.n_here = s->G - c.g0 < BATCH ? s->G - c.g0 : BATCH;
        pfx_par_for(c.n_here, in->nth, take_cluster, &c);
        pfx_par_for(n, in->nth, add_term, &c);
        for (pfx_idx slot = 0; slot < c.n_here; slot++) {
            const double *x = c.score + slot * n;
            if (c.failed[slot]) {
                st = pfx_fail(err, PFX_ENOCONV,
                              "CR2: eigenvalues of a cluster's products [%d x %d] did not converge", view.k,
                              view.k);
                goto done;
            }
            if (c.singular[slot] && out->n_singular++ == 0) first = c.g0 + slot;
            for (int a = 0; a < n; a++)
                for (int b = 0; b <= a; b++) out->V[a * n + b] += x[a] * x[b];
        }
    }
    for (int a = 0; a < n; a++)
        for (int b = 0; b < a; b++) out->V[b * n + a] = out->V[a * n + b];
    degrees_of_freedom(&c, out->df);
    if (out->n_singular)
        pfx_warn("CR2: %lld of the %lld clusters (%s; the first: that of panel row %lld) alone determine%s a "
                 "coefficient "
                 "or an effect: a pseudo-inverse adjusts %s",
                 (long long)out->n_singular, (long long)s->G, d->clusters[0].name,
                 (long long)s->first_row[first] + 1, out->n_singular == 1 ? "s" : "",
                 out->n_singular == 1 ? "it" : "them");
done:
    if (s->iv) pfx_mem_free(view.M);
    release(&c);
    return st;
}

pfx_status pfx_cluster_vcov(const pfx_design *d, const pfx_cluster_vcov_in *in, pfx_cluster_vcov_out *out,
                            pfx_err *err)
{
    pfx_clusterstat_options o = {.n_terms = in->k,
                                 .terms = in->terms,
                                 .n_collinear = in->n_collinear,
                                 .collinear = in->collinear,
                                 .tol = in->tol,
                                 .maxiter = in->maxiter,
                                 .nth = in->nth,
                                 .isa = in->isa,
                                 .max_bytes = in->max_bytes};
    pfx_clusterstat *s = NULL;
    if (in->type == PFX_VCOV_CR2 && d->w && d->weights_kind != PFX_W_ANALYTIC)
        return pfx_fail(err, PFX_EUSAGE,
                        "--vcov CR2 takes analytic weights only: its errors have variance 1 / weight; "
                        "take CRV3, which takes any");
    pfx_idx columns = 0;
    pfx_status st = in->type == PFX_VCOV_CR2 ? PFX_OK : pfx_clusterstat_columns(d, &o, &columns, err);
    o.absorb = columns > PFX_CLUSTERSTAT_REFIT; /* the jackknife then takes a refit for each cluster */
    if (st == PFX_OK) st = pfx_clusterstat_create(d, &o, &s, err);
    if (st == PFX_OK)
        st = in->type == PFX_VCOV_CR2 ? bias_reduced(d, in, s, out, err) : jackknife(d, in, s, out, err);
    pfx_clusterstat_free(s);
    return st;
}
