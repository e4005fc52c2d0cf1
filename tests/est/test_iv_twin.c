/* 2SLS against a slow twin: effects as dummies, everything explicit in long double from textbook formulas. */
#include "src/base/mem.h"
#include "src/est/dist.h"
#include "src/est/iv.h"
#include "tests/est/iv_twin.h"
#include "tests/est/made_panel.h"

/* Columns of the made data: exogenous, endogenous, instruments, outcome. */
enum { N_D = 2, N_Z = 4, N_P = N_X + N_D + N_Z + 1 };

static const double TOL = 1e-9;

static void assert_real(double got, real want, const char *what)
{
    if (test_rel_equal(got, (double)want, TOL)) return;
    print_error("%s: %.17g, twin %.17Lg (%.1Le)\n", what, got, want, (got - want) / want);
    fail();
}

/* All regressors beside each other: first [n x a], then C. */
static real *beside(const twin *t, int a, const real *first)
{
    real *X = slow_columns(t->n, a + t->n_c);
    for (pfx_idx r = 0; r < t->n; r++) {
        memcpy(X + r * (a + t->n_c), first + r * a, (size_t)a * sizeof *X);
        memcpy(X + r * (a + t->n_c) + a, t->C + r * t->n_c, (size_t)t->n_c * sizeof *X);
    }
    return X;
}

/* The coefficients and their variances, from projected regressors and all dummies. */
static void check_coefficients(const twin *t, const pfx_fit *f)
{
    int p = t->n_d + t->n_c, q = t->n_z + t->n_c, i0 = f->k - t->n_d - N_X;
    real *W = beside(t, t->n_z, t->Z), *b = calloc((size_t)(q * MOST), sizeof *b),
         *hat = slow_columns(t->n, t->n_d), *u = slow_columns(t->n, 1);
    slow_regress(t, q, W, t->n_d, t->D, b, hat);
    for (pfx_idx i = 0; i < t->n * t->n_d; i++) hat[i] = t->D[i] - hat[i];
    real *X = beside(t, t->n_d, hat), *beta = calloc((size_t)p, sizeof *beta),
         *V = calloc((size_t)(p * p), sizeof *V);
    slow_regress(t, p, X, 1, t->y, beta, u);
    for (pfx_idx r = 0; r < t->n; r++)
        for (int j = 0; j < t->n_d; j++) u[r] += (hat[r * t->n_d + j] - t->D[r * t->n_d + j]) * beta[j];
    slow_sandwich(t, p, X, u, slow_small_sample(t, f, 0), V);
    /* the intercept, where there is one, is our first and the twin's last */
    for (int i = 0; i < f->k; i++) {
        int at = i < i0 ? p - 1 : i - i0;
        assert_real(f->coef[i].estimate, beta[at], f->coef[i].term);
        if (!f->v_floored) assert_real(f->coef[i].std_error, sqrtl(V[at * p + at]), "its standard error");
    }
    real ssr;
    slow_products(t, 1, u, 1, u, &ssr);
    real sum = 0;
    for (pfx_idx r = 0; r < t->n; r++) sum += slow_weight(t, r);
    assert_real(f->ssr, ssr * t->n / sum, "ssr");
    free(W), free(b), free(hat), free(u), free(X), free(beta), free(V);
}

/* First stages as regressions of their own. */
static void check_stage_fits(const twin *t, const pfx_fit *f)
{
    int q = t->n_z + t->n_c;
    real *W = beside(t, t->n_z, t->Z), *b = calloc((size_t)q, sizeof *b), *e = slow_columns(t->n, 1),
         *V = calloc((size_t)(q * q), sizeof *V);
    real *d = slow_columns(t->n, 1);
    for (int j = 0; j < t->n_d; j++) {
        const pfx_fit *s = f->iv->stage[j].fit;
        for (pfx_idx r = 0; r < t->n; r++) d[r] = t->D[r * t->n_d + j];
        slow_regress(t, q, W, 1, d, b, e);
        slow_sandwich(t, q, W, e, slow_small_sample(t, s, 0), V);
        int i0 = s->k - N_X - t->n_z;
        for (int i = 0; i < s->k; i++) {
            int at = i < i0 ? q - 1 : i < i0 + N_X ? t->n_z + i - i0 : i - i0 - N_X;
            assert_real(s->coef[i].estimate, b[at], s->coef[i].term);
            if (!s->v_floored)
                assert_real(s->coef[i].std_error, sqrtl(V[at * q + at]),
                            "its standard error in the first stage");
        }
    }
    free(W), free(b), free(e), free(V), free(d);
}

/* Small pieces of the partialled-out model. */
typedef struct parts {
    int l, n;
    real Pi[16], rho[8], Qzz[64], Sdd[16]; /* Pi [l x n] */
    real *V, *v, *u, *ols;                 /* residuals; reduced form of y; 2SLS; least squares */
    real b[4], b_ols[4], ratio;
} parts;

static parts make_parts(const twin *t, const pfx_fit *f)
{
    parts q = {.l = t->n_z,
               .n = t->n_d,
               .V = slow_columns(t->n, t->n_d),
               .v = slow_columns(t->n, 1),
               .u = slow_columns(t->n, 1),
               .ols = slow_columns(t->n, 1)};
    real *hat = slow_columns(t->n, t->n_d), *e = slow_columns(t->n, 1);
    slow_products(t, q.l, t->Zp, q.l, t->Zp, q.Qzz);
    slow_regress(t, q.l, t->Zp, q.n, t->Dp, q.Pi, q.V);
    slow_regress(t, q.l, t->Zp, 1, t->yp, q.rho, q.v);
    slow_products(t, q.n, q.V, q.n, q.V, q.Sdd);
    for (pfx_idx i = 0; i < t->n * q.n; i++) hat[i] = t->Dp[i] - q.V[i];
    slow_regress(t, q.n, hat, 1, t->yp, q.b, e);
    for (pfx_idx r = 0; r < t->n; r++) {
        q.u[r] = t->yp[r];
        for (int j = 0; j < q.n; j++) q.u[r] -= t->Dp[r * q.n + j] * q.b[j];
    }
    slow_regress(t, q.n, t->Dp, 1, t->yp, q.b_ols, q.ols);
    real n = t->n, G = t->G[0], left = n - f->iv->stage[0].fit->k_adj;
    if (t->n_clusters == 2 && t->G[1] < t->G[0]) G = t->G[1];
    q.ratio = t->n_clusters ? left / (n - 1) * (G - 1) / G : left / n;
    free(hat), free(e);
    return q;
}

static void free_parts(parts *q)
{
    free(q->V), free(q->v), free(q->u), free(q->ols);
}

/* Qzz^-1 S Qzz^-1 of l x m coefficients whose moments have variance S, in place. */
static void to_coefficients(const parts *q, int m, real *S)
{
    int l = q->l, w = l * m;
    real A[64], T[1024] = {0}, R[1024] = {0};
    memcpy(A, q->Qzz, sizeof A);
    slow_invert(l, A);
    for (int a = 0; a < w; a++)
        for (int b = 0; b < w; b++)
            for (int k = 0; k < l; k++) T[a * w + b] += A[a % l * l + k] * S[(a / l * l + k) * w + b];
    for (int a = 0; a < w; a++)
        for (int b = 0; b < w; b++)
            for (int k = 0; k < l; k++) R[a * w + b] += T[a * w + b / l * l + k] * A[k * l + b % l];
    memcpy(S, R, (size_t)(w * w) * sizeof *S);
}

/* Canonical directions for one or two endogenous variables: c of the smallest correlation, other of the
 * largest. */
static real directions(const twin *t, const parts *q, real *c, real *other)
{
    real Q[4], B[4] = {0}, QP[16] = {0};
    slow_products(t, q->n, t->Dp, q->n, t->Dp, Q);
    for (int a = 0; a < q->l; a++)
        for (int j = 0; j < q->n; j++)
            for (int k = 0; k < q->l; k++) QP[a * q->n + j] += q->Qzz[a * q->l + k] * q->Pi[k * q->n + j];
    for (int i = 0; i < q->n; i++)
        for (int j = 0; j < q->n; j++)
            for (int a = 0; a < q->l; a++) B[i * q->n + j] += q->Pi[a * q->n + i] * QP[a * q->n + j];
    if (q->n == 1) {
        c[0] = 1;
        return B[0] / Q[0];
    }
    /* det(B - r Q) = 0 */
    real qa = Q[0] * Q[3] - Q[1] * Q[2], qb = -(B[0] * Q[3] + B[3] * Q[0] - B[1] * Q[2] - B[2] * Q[1]),
         qc = B[0] * B[3] - B[1] * B[2];
    real root = sqrtl(qb * qb - 4 * qa * qc), high = (-qb + root) / (2 * qa), low = qc / (qa * high);
    for (int k = 0; k < 2; k++) {
        real r = k ? high : low, *x = k ? other : c;
        x[0] = -(B[1] - r * Q[1]);
        x[1] = B[0] - r * Q[0];
    }
    return low;
}

/* rk statistic with residuals e [n x n_d]: m'Pi c for m orthogonal to Pi other, by its variance. */
static real rank_statistic(const twin *t, const parts *q, const real *c, const real *other, const real *e)
{
    int l = q->l, n = q->n, w = l * n, rank = l - n + 1, found = 0;
    real S[1024], m[64] = {0}, used[8] = {0}, x[8] = {0}, T[64] = {0}, length = 0;
    slow_moment_variance(t, l, t->Zp, n, e, S);
    to_coefficients(q, n, S);
    if (n == 2)
        for (int a = 0; a < l; a++)
            used[a] = q->Pi[a * n] * other[0] + q->Pi[a * n + 1] * other[1], length += used[a] * used[a];
    for (int a = 0; a < l && found < rank; a++) { /* unit vectors less what is taken */
        real *v = m + found * l, left = 0;
        for (int k = 0; k < l; k++) v[k] = (k == a) - (length > 0 ? used[a] * used[k] / length : 0);
        for (int g = 0; g < found; g++) {
            real dot = 0;
            for (int k = 0; k < l; k++) dot += v[k] * m[g * l + k];
            for (int k = 0; k < l; k++) v[k] -= dot * m[g * l + k];
        }
        for (int k = 0; k < l; k++) left += v[k] * v[k];
        if (left < 1e-6L) continue;
        for (int k = 0; k < l; k++) v[k] /= sqrtl(left);
        found++;
    }
    assert_int_equal(found, rank);
    for (int i = 0; i < rank; i++)
        for (int a = 0; a < l; a++) {
            for (int j = 0; j < n; j++) x[i] += m[i * l + a] * q->Pi[a * n + j] * c[j];
            for (int k = 0; k < rank; k++)
                for (int b = 0; b < l; b++)
                    for (int j = 0; j < n; j++)
                        for (int h = 0; h < n; h++)
                            T[i * rank + k] +=
                                m[i * l + a] * c[j] * S[(j * l + a) * w + h * l + b] * c[h] * m[k * l + b];
        }
    return slow_form(rank, T, x, x);
}

/* min over b of (g - G b)'S^-1 (g - G b), moments of Z [n x l] with D and y. */
static real gmm(const twin *t, int l, const real *Z, const real *S)
{
    real G[32], g[16], A[16], h[4] = {0}, W[256];
    int n = t->n_d;
    slow_products(t, l, Z, n, t->Dp, G);
    slow_products(t, l, Z, 1, t->yp, g);
    memcpy(W, S, (size_t)(l * l) * sizeof *W);
    slow_invert(l, W);
    memset(A, 0, sizeof A);
    for (int i = 0; i < n; i++)
        for (int a = 0; a < l; a++)
            for (int b = 0; b < l; b++) {
                h[i] += G[a * n + i] * W[a * l + b] * g[b];
                for (int j = 0; j < n; j++) A[i * n + j] += G[a * n + i] * W[a * l + b] * G[b * n + j];
            }
    slow_invert(n, A);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int a = 0; a < l; a++) g[a] -= G[a * n + i] * A[i * n + j] * h[j];
    return slow_form(l, S, g, g);
}

static void check_effective(const parts *q, const real *S, const pfx_iv *iv)
{
    static const double tau[] = {0.05, 0.10, 0.20, 0.30}, one[] = {37.42, 23.11, 15.06, 12.05};
    for (int i = 0; i < 4; i++) {
        double k = (double)slow_effective_df(q->l, S, q->Qzz, 1 / (real)tau[i]);
        if (i == 1) assert_rel(iv->effective_df, k, 1e-8);
        assert_rel(iv->effective_critical[i], pfx_dist_noncentral_chi2_critical(0.95, k, k / tau[i]) / k,
                   1e-8);
        if (q->l == 1)
            assert_abs(iv->effective_critical[i], one[i], 0.006); /* Montiel Olea and Pflueger, table 1 */
    }
}

static void check_rank_tests(const twin *t, const parts *q, const pfx_iv *iv)
{
    real c[2] = {0}, other[2] = {0}, r2 = directions(t, q, c, other);
    real left = t->n - iv->stage[0].fit->k_adj;
    assert_real(iv->cd_f, r2 / (1 - r2) * left / q->l, "Cragg-Donald F");
    assert_real(iv->kp_lm.statistic, rank_statistic(t, q, c, other, t->Dp), "KP rk LM");
    assert_real(iv->kp_f, rank_statistic(t, q, c, other, q->V) * q->ratio / q->l, "KP rk Wald F");
    assert_int_equal(iv->kp_lm.df1, q->l - q->n + 1);
    for (int j = 0; j < q->n; j++) {
        real S[64], pi[8], *e = slow_columns(t->n, 1), d2 = 0, e2 = 0;
        for (pfx_idx r = 0; r < t->n; r++) {
            e[r] = q->V[r * q->n + j];
            d2 += slow_weight(t, r) * t->Dp[r * q->n + j] * t->Dp[r * q->n + j];
            e2 += slow_weight(t, r) * e[r] * e[r];
        }
        slow_moment_variance(t, q->l, t->Zp, 1, e, S);
        to_coefficients(q, 1, S);
        for (int a = 0; a < q->l; a++) pi[a] = q->Pi[a * q->n + j];
        assert_real(iv->stage[j].excluded.statistic, slow_form(q->l, S, pi, pi) * q->ratio / q->l,
                    "first-stage F");
        assert_real(iv->stage[j].partial_r2, 1 - e2 / d2, "partial R2");
        if (q->n == 1) {
            /* trace of S in the metric of Z'Z: Montiel Olea and Pflueger's W2 */
            real trace = 0, length = 0;
            for (int a = 0; a < q->l; a++)
                for (int b = 0; b < q->l; b++) {
                    trace += S[a * q->l + b] * q->Qzz[b * q->l + a];
                    length += pi[a] * q->Qzz[a * q->l + b] * pi[b];
                }
            assert_real(iv->effective_f, length / trace * q->ratio, "effective F");
            check_effective(q, S, iv);
        } else
            assert_true(isnan(iv->effective_df) && isnan(iv->effective_critical[0]));
        free(e);
    }
}

static void check_j_and_endogeneity(const twin *t, const parts *q, const pfx_iv *iv)
{
    int l = q->l, m = l + q->n;
    real S[256], *ZD = slow_columns(t->n, m), sub[64];
    slow_moment_variance(t, l, t->Zp, 1, q->u, S);
    if (l > q->n) assert_real(iv->j.statistic, gmm(t, l, t->Zp, S), "J");
    assert_int_equal(iv->j.df1, l - q->n);
    for (pfx_idx r = 0; r < t->n; r++) {
        memcpy(ZD + r * m, t->Zp + r * l, (size_t)l * sizeof *ZD);
        memcpy(ZD + r * m + l, t->Dp + r * q->n, (size_t)q->n * sizeof *ZD);
    }
    slow_moment_variance(t, m, ZD, 1, q->ols, S);
    for (int a = 0; a < l; a++)
        for (int b = 0; b < l; b++) sub[a * l + b] = S[a * m + b];
    real all = gmm(t, m, ZD, S), part = gmm(t, l, t->Zp, sub);
    if (isnan((double)(all - part))) {
        assert_true(isnan(iv->endogeneity.statistic));
    } else if (!(fabs(iv->endogeneity.statistic - (double)(all - part)) <= TOL * (double)all)) {
        print_error("endogeneity: %.17g, twin %.17Lg\n", iv->endogeneity.statistic, all - part);
        fail();
    }
    free(ZD);
}

/* The outcome on D, C and the first-stage residuals, by least squares. */
static void check_wu_hausman(const twin *t, const parts *q, const pfx_fit *f)
{
    int n = q->n, a = 2 * n, p = a + t->n_c;
    real *first = slow_columns(t->n, a), *b = calloc((size_t)p, sizeof *b), *e = slow_columns(t->n, 1),
         *V = calloc((size_t)(p * p), sizeof *V);
    for (pfx_idx r = 0; r < t->n; r++)
        for (int j = 0; j < n; j++)
            first[r * a + j] = t->D[r * n + j], first[r * a + n + j] = q->V[r * n + j];
    real *X = beside(t, a, first), S[16], x[4];
    slow_regress(t, p, X, 1, t->y, b, e);
    slow_sandwich(t, p, X, e, slow_small_sample(t, f, n), V);
    for (int i = 0; i < n; i++) {
        x[i] = b[n + i];
        for (int j = 0; j < n; j++) S[i * n + j] = V[(n + i) * p + n + j];
    }
    assert_real(f->iv->wu_hausman.statistic, slow_form(n, S, x, x) / n, "Wu-Hausman F");
    free(first), free(b), free(e), free(V), free(X);
}

/* Anderson-Rubin's chi-squared at b. */
static real ar(const twin *t, const parts *q, const real *b)
{
    real S[64], g[8], *e = slow_columns(t->n, 1);
    for (int a = 0; a < q->l; a++) {
        g[a] = q->rho[a];
        for (int j = 0; j < q->n; j++) g[a] -= q->Pi[a * q->n + j] * b[j];
    }
    for (pfx_idx r = 0; r < t->n; r++) {
        e[r] = q->v[r];
        for (int j = 0; j < q->n; j++) e[r] -= q->V[r * q->n + j] * b[j];
    }
    slow_moment_variance(t, q->l, t->Zp, 1, e, S);
    to_coefficients(q, 1, S);
    free(e);
    return slow_form(q->l, S, g, g);
}

static void check_ar(const twin *t, const parts *q, const pfx_iv *iv)
{
    real zero[2] = {0};
    assert_real(iv->ar_chi2.statistic, ar(t, q, zero), "Anderson-Rubin chi2");
    assert_real(iv->ar_f.statistic, ar(t, q, zero) * q->ratio / q->l, "Anderson-Rubin F");
    if (q->n > 1 || iv->ar_set.shape == PFX_IV_NONE) return;
    double critical = pfx_dist_f_critical(0.95, q->l, iv->ar_f.df2);
    for (int i = 0; i < iv->ar_set.n; i++)
        for (int side = 0; side < 2; side++) {
            real b = iv->ar_set.bounds[i][side];
            if (isfinite((double)b)) assert_rel((double)(ar(t, q, &b) * q->ratio / q->l), critical, 1e-8);
        }
    for (int k = 0; k <= 60; k++) { /* inside and outside, on a grid about the estimate */
        real b = q->b[0] + (k - 30) * fabsl(q->b[0]) * 0.05L;
        bool in = false, want = (double)(ar(t, q, &b) * q->ratio / q->l) <= critical;
        for (int i = 0; i < iv->ar_set.n; i++)
            in |= (double)b >= iv->ar_set.bounds[i][0] && (double)b <= iv->ar_set.bounds[i][1];
        assert_int_equal(in, want);
    }
}

/* A made panel turned into one with instruments. */
static made_panel make_data(pfx_idx n_firms, double strength)
{
    made_panel a = made_panel_new(n_firms, N_P - 1);
    for (pfx_idx i = 0; i < a.n; i++) {
        double *x = a.Z + i * a.p, *d = x + N_X, *z = d + N_D, u = test_uniform(77, (uint64_t)i) - 0.5;
        d[0] += strength * (0.8 * z[0] - 0.5 * z[1]) + 3 * u + 0.2 * x[0];
        d[1] += strength * (0.6 * z[2] + 0.4 * z[1]) - 2 * u + 0.1 * z[3];
        x[N_P - 1] += 0.5 * d[0] - 0.3 * d[1] + (8 + fabs(z[0] - 40)) * u;
    }
    return a;
}

static pfx_design *iv_design(const made_panel *a, int effects, int clusters, pfx_weights_kind kind, int n_d,
                             int n_z)
{
    pfx_design *d = made_design(a, effects, clusters, kind);
    int p = N_X + n_d + n_z + 1;
    for (pfx_idx i = 0; i < d->n; i++) { /* fewer columns: in place, row by row */
        double *from = d->Z + i * d->p, *to = d->Z + i * p;
        double row[N_P];
        memcpy(row, from, sizeof row);
        for (int j = 0; j < N_X + n_d; j++) to[j] = row[j];
        for (int j = 0; j < n_z; j++) to[N_X + n_d + j] = row[N_X + N_D + j];
        to[p - 1] = row[N_P - 1];
    }
    for (int j = 0; j < p; j++)
        d->role[j] = j == p - 1      ? PFX_OUTCOME
                     : j < N_X       ? PFX_REGRESSOR
                     : j < N_X + n_d ? PFX_ENDOGENOUS
                                     : PFX_INSTRUMENT;
    char *last = d->name[d->p - 1];
    for (int j = p - 1; j < d->p - 1; j++) pfx_mem_free(d->name[j]);
    d->name[p - 1] = last;
    d->p = p;
    return d;
}

static void check(const made_panel *a, int effects, int clusters, pfx_weights_kind kind, int n_d, int n_z,
                  pfx_vcov_type vcov)
{
    pfx_err err = {0};
    pfx_fit *f = NULL;
    pfx_design *d = iv_design(a, effects, clusters, kind, n_d, n_z),
               *plain = iv_design(a, effects, clusters, kind, n_d, n_z);
    pfx_fit_options o = ref_options(vcov, PFX_SSC_FIXEST);
    assert_ok(pfx_fit_iv(d, &o, &f, &err));
    twin t = slow_make(plain, n_d, n_z, vcov);
    parts q = make_parts(&t, f);
    check_coefficients(&t, f);
    check_stage_fits(&t, f);
    check_rank_tests(&t, &q, f->iv);
    check_j_and_endogeneity(&t, &q, f->iv);
    check_wu_hausman(&t, &q, f);
    check_ar(&t, &q, f->iv);
    free_parts(&q);
    slow_free(&t);
    pfx_fit_free(f);
    ref_design_free(d);
    ref_design_free(plain);
}

static void each_size(const made_panel *a, int effects, int clusters, pfx_weights_kind kind,
                      pfx_vcov_type vcov)
{
    check(a, effects, clusters, kind, 1, 1, vcov);
    check(a, effects, clusters, kind, 1, 3, vcov);
    check(a, effects, clusters, kind, 2, 2, vcov);
    check(a, effects, clusters, kind, 2, 4, vcov);
}

static void test_no_effects(void **state)
{
    (void)state;
    made_panel a = make_data(40, 1);
    each_size(&a, 0, 0, PFX_W_NONE, PFX_VCOV_IID);
    each_size(&a, 0, 0, PFX_W_ANALYTIC, PFX_VCOV_HC1);
    each_size(&a, 0, TOWN | GROUP, PFX_W_NONE, PFX_VCOV_TWOWAY);
    made_panel_free(&a);
}

static void test_effects(void **state)
{
    (void)state;
    made_panel a = make_data(45, 1);
    each_size(&a, FIRM, 0, PFX_W_ANALYTIC, PFX_VCOV_IID);
    each_size(&a, FIRM | YEAR, 0, PFX_W_NONE, PFX_VCOV_HC1);
    each_size(&a, FIRM | YEAR, FIRM, PFX_W_NONE, PFX_VCOV_CLUSTER);
    each_size(&a, INDUSTRY | YEAR, GROUP, PFX_W_ANALYTIC, PFX_VCOV_CLUSTER);
    each_size(&a, FIRM | YEAR, FIRM | GROUP, PFX_W_ANALYTIC, PFX_VCOV_TWOWAY);
    made_panel_free(&a);
}

/* Weak instruments: the sets of Anderson and Rubin are wide, unbounded, or in pieces. */
static void test_weak(void **state)
{
    static const double strength[] = {0, 0.02, 0.05, 0.1, 0.2};
    (void)state;
    for (int i = 0; i < 5; i++) {
        made_panel a = make_data(30, strength[i]);
        check(&a, FIRM | YEAR, FIRM, PFX_W_NONE, 1, 1, PFX_VCOV_CLUSTER);
        check(&a, FIRM | YEAR, 0, PFX_W_NONE, 1, 3, PFX_VCOV_HC1);
        check(&a, 0, 0, PFX_W_NONE, 1, 3, PFX_VCOV_IID);
        made_panel_free(&a);
    }
}

/* Where products of the columns would cost digits: exogenous columns that are nearly one, a structural
 * equation with hardly a residual, a first stage with hardly one. */
static void test_delicate(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        made_panel a = make_data(40, 1);
        for (pfx_idx i = 0; i < a.n; i++) {
            double *x = a.Z + i * a.p, *d = x + N_X, *z = d + N_D, u = test_uniform(78, (uint64_t)i) - 0.5;
            if (kind == 0) x[1] = x[0] + 0.004 * x[1];
            if (kind == 1) x[N_P - 1] = x[0] + 2 * d[0] + d[1] + (0.05 + 1e-3 * fabs(z[0] - 40)) * u;
            if (kind == 2) d[0] = z[0] + z[1] + 4e-3 * u;
        }
        each_size(&a, 0, 0, PFX_W_NONE, PFX_VCOV_IID);
        each_size(&a, FIRM | YEAR, 0, PFX_W_NONE, PFX_VCOV_HC1);
        each_size(&a, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, PFX_VCOV_CLUSTER);
        each_size(&a, 0, GROUP, PFX_W_NONE, PFX_VCOV_CLUSTER);
        made_panel_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_effects), cmocka_unit_test(test_effects),
                                       cmocka_unit_test(test_weak), cmocka_unit_test(test_delicate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
