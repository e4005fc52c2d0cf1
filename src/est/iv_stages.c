/* The two stages in the coordinates of Q: the reduced form, least squares, the structural coefficients, and
 * the pass that collects the scores of all of them. */
#include "src/est/iv_private.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/model/design.h"

/* First-stage coefficients are refined until a step changes the residuals by less than this share, squared.
 */
static const double STEP2 = 1e-20;
enum { MAX_STEPS = 4 };
/* Squared share of an endogenous variable that its first stage leaves: below it, rounding. */
static const double NO_RESIDUAL2 = 1e-18;
/* A canonical correlation below this is rounding: the coefficients are not identified. */
static const double NO_CORRELATION = 1e-9;

/* One pass over the rows: sums of the pairs' products, and where n_meats their meats. */
static pfx_status pass(pfx_ivm *v, int n_made, int n_pairs, const int (*pair)[2], int n_meats,
                       const pfx_factor *const *cluster, double *sum, pfx_err *err)
{
    pfx_iv_rows r = {.z = v->z,
                     .p = v->d->p,
                     .L = v->L,
                     .n_excluded = v->n_excluded,
                     .n = v->n,
                     .column = v->column,
                     .P = v->P,
                     .n_made = n_made,
                     .made = v->made,
                     .n_pairs = n_pairs,
                     .pair = pair};
    double unused;
    if (!(r.inverse = pfx_mem_alloc(v->L, sizeof *r.inverse, err))) return PFX_ENOMEM;
    for (int a = 0; a < v->L; a++) r.inverse[a] = 1 / v->z->R[(pfx_idx)a * (v->L + 1)];
    pfx_score_map map = {
        .fill = pfx_iv_rows_fill, .ctx = &r, .width = n_pairs, .n_scratch = pfx_iv_rows_scratch(&r)};
    pfx_scores sc = {.d = v->d,
                     .a = v->m.a,
                     .map = &map,
                     .nth = v->o->nth,
                     .isa = v->o->isa,
                     .n_meats = n_meats,
                     .gradient = sum,
                     .ssr = &unused};
    for (int c = 0; c < n_meats; c++) sc.meat[c] = (pfx_meat){cluster[c], v->meat[c]};
    pfx_status st = pfx_scores_run(&sc, err);
    pfx_mem_free(r.inverse);
    return st;
}

/* P and O: from products first, then refined by the rows' residuals. */
pfx_status pfx_iv_reduced_form(pfx_ivm *v, pfx_err *err)
{
    int L = v->L, m = v->n + 1, k = 0, n_pairs = L * m + m * (m + 1) / 2;
    const double *gram = pfx_absorber_gram(v->m.a);
    int(*pair)[2] = pfx_mem_alloc(n_pairs, sizeof *pair, err);
    double *sum = pfx_mem_alloc(n_pairs + 1 + L, sizeof *sum, err), *x = sum + n_pairs + 1;
    pfx_status st = pair && sum ? PFX_OK : PFX_ENOMEM;
    if (st != PFX_OK) goto done;
    for (int c = 0; c < m; c++) {
        for (int a = 0; a < L; a++, k++) pair[k][0] = a, pair[k][1] = L + c;
        for (int a = 0; a < L; a++)
            x[a] = gram[(pfx_idx)v->z->keep[a] * v->d->p + v->column[c]] / v->z->scale[a];
        pfx_iv_forward(L, L, v->z->R, x);
        for (int a = 0; a < L; a++) v->P[(pfx_idx)a * m + c] = x[a];
    }
    for (int c = 0; c < m; c++)
        for (int e = c; e < m; e++, k++) pair[k][0] = L + c, pair[k][1] = L + e;
    for (int step = 0; step < MAX_STEPS; step++) {
        if ((st = pass(v, 0, n_pairs, (const int(*)[2])pair, 0, NULL, sum, err)) != PFX_OK) goto done;
        bool done = true;
        const double *products = sum + (pfx_idx)L * m;
        for (int c = 0; c < m; c++)
            for (int e = c; e < m; e++) {
                double o = *products++;
                for (int a = 0; a < L; a++) o -= sum[c * L + a] * sum[e * L + a];
                v->O[c * m + e] = v->O[e * m + c] = o;
            }
        for (int c = 0; c < m; c++) {
            double g2 = 0;
            for (int a = 0; a < L; a++) {
                v->P[(pfx_idx)a * m + c] += sum[c * L + a];
                g2 += sum[c * L + a] * sum[c * L + a];
            }
            done &= g2 <= STEP2 * v->O[c * m + c];
        }
        if (done) break;
    }
done:
    pfx_mem_free(pair);
    pfx_mem_free(sum);
    return st;
}

/* U, R, and least squares with the exogenous out. */
pfx_status pfx_iv_least_squares(pfx_ivm *v, pfx_err *err)
{
    int n = v->n, m = n + 1, l1 = v->n_excluded, rows = l1 + n;
    double *A = pfx_mem_alloc((pfx_idx)rows * m, sizeof *A, err);
    if (!A) return PFX_ENOMEM;
    for (int i = 0; i < n; i++) {
        double *u = v->U + (pfx_idx)i * n, whole = v->O[i * m + i], pivot = whole;
        for (int a = v->n_exog; a < v->L; a++) whole += v->P[(pfx_idx)a * m + i] * v->P[(pfx_idx)a * m + i];
        for (int k = 0; k < i; k++) pivot -= v->U[k * n + i] * v->U[k * n + i];
        if (!(pivot > NO_RESIDUAL2 * whole)) {
            v->singular = true;
            continue;
        }
        u[i] = sqrt(pivot);
        for (int j = i + 1; j < n; j++) {
            double s = v->O[i * m + j];
            for (int k = 0; k < i; k++) s -= v->U[k * n + i] * v->U[k * n + j];
            u[j] = s / u[i];
        }
    }
    for (int i = 0; i < n; i++) v->b_v[i] = v->O[i * m + n];
    pfx_iv_forward(n, n, v->U, v->b_v);
    memcpy(A, v->P + (pfx_idx)v->n_exog * m, (size_t)l1 * (size_t)m * sizeof *A);
    for (int i = 0; i < n; i++) {
        memcpy(A + (pfx_idx)(l1 + i) * m, v->U + i * n, (size_t)n * sizeof *A);
        A[(pfx_idx)(l1 + i) * m + n] = v->b_v[i];
    }
    pfx_iv_qr(rows, n, m, A);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) v->R[i * n + j] = j < i ? 0 : A[i * m + j];
        v->b_least[i] = A[i * m + n];
    }
    pfx_iv_backward(n, n, v->R, v->b_least);
    pfx_iv_backward(n, n, v->U, v->b_v);
    pfx_mem_free(A);
    return PFX_OK;
}

pfx_status pfx_iv_check_rank(const pfx_ivm *v, pfx_err *err)
{
    int n = v->n, l1 = v->n_excluded;
    double sigma, *c = pfx_mem_alloc(n + (pfx_idx)(l1 - n + 1) * l1, sizeof *c, err);
    pfx_status st = c ? pfx_iv_null_space(v, &sigma, c, c + n, err) : PFX_ENOMEM;
    if (st == PFX_OK && !(sigma > NO_CORRELATION))
        st = pfx_fail(
            err, PFX_EIDENT,
            "%s: not identified: the instruments explain nothing of %s%s (smallest canonical correlation "
            "%.1e); choose other instruments",
            v->d->formula ? v->d->formula : "formula",
            n > 1 ? "a combination of the endogenous variables, " : "", v->d->name[v->column[0]], sigma);
    pfx_mem_free(c);
    return st;
}

/* Structural coefficients: the outcome's q2 part on that of the endogenous variables, then the exogenous
 * ones. */
pfx_status pfx_iv_second_stage(pfx_ivm *v, pfx_err *err)
{
    int n = v->n, m = n + 1, l1 = v->n_excluded, nx = v->n_exog, L = v->L, nc = m + l1;
    double *A = pfx_mem_calloc((pfx_idx)l1 * nc + nx, sizeof *A, err), *x = A + (pfx_idx)l1 * nc;
    if (!A) return PFX_ENOMEM;
    for (int a = 0; a < l1; a++) {
        memcpy(A + a * nc, v->P + (pfx_idx)(nx + a) * m, (size_t)m * sizeof *A);
        A[a * nc + m + a] = 1;
    }
    pfx_iv_qr(l1, n, nc, A);
    for (int i = 0; i < n; i++) v->b[i] = A[i * nc + n];
    pfx_iv_backward(n, nc, A, v->b);
    for (int a = 0; a < l1; a++) { /* column a of H */
        for (int i = 0; i < n; i++) v->H[(pfx_idx)i * l1 + a] = A[i * nc + m + a];
        for (int i = n - 1; i >= 0; i--) {
            double s = v->H[(pfx_idx)i * l1 + a];
            for (int j = i + 1; j < n; j++) s -= A[i * nc + j] * v->H[(pfx_idx)j * l1 + a];
            v->H[(pfx_idx)i * l1 + a] = s / A[i * nc + i];
        }
        v->gap[a] = v->P[(pfx_idx)(nx + a) * m + n];
        for (int i = 0; i < n; i++) v->gap[a] -= v->P[(pfx_idx)(nx + a) * m + i] * v->b[i];
    }
    for (int a = 0; a < nx; a++) {
        x[a] = v->P[(pfx_idx)a * m + n];
        for (int i = 0; i < n; i++) x[a] -= v->P[(pfx_idx)a * m + i] * v->b[i];
    }
    pfx_iv_backward(nx, L, v->z->R, x);
    for (int i = 0; i < n; i++) v->m.s->b[i] = v->b[i];
    for (int a = 0; a < nx; a++) v->m.s->b[n + a] = x[a] / v->z->scale[a];
    pfx_mem_free(A);
    return PFX_OK;
}

/* The combinations of q2 and r whose scores are wanted. */
static void make_combinations(pfx_ivm *v)
{
    int n = v->n, m = n + 1, l1 = v->n_excluded, w = l1 + m;
    const double *P2 = v->P + (pfx_idx)v->n_exog * m;
    double *u = v->made, *aug = u + w, *least = aug + w, *partial = least + w;
    for (int a = 0; a < l1; a++) {
        u[a] = aug[a] = v->gap[a];
        least[a] = P2[a * m + n];
        for (int i = 0; i < n; i++) least[a] -= P2[a * m + i] * v->b_least[i];
        for (int c = 0; c < n; c++) partial[c * w + a] = P2[a * m + c];
    }
    for (int i = 0; i < n; i++) {
        u[l1 + i] = -v->b[i];
        aug[l1 + i] = -v->b_v[i];
        least[l1 + i] = -v->b_least[i];
    }
    u[l1 + n] = aug[l1 + n] = least[l1 + n] = 1;
    for (int c = 0; c < n; c++) partial[c * w + l1 + c] = 1;
}

static void add_pairs(pfx_ivm *v, int from, int count, int with)
{
    for (int i = 0; i < count; i++, v->n_scores++)
        v->pair[v->n_scores][0] = from + i, v->pair[v->n_scores][1] = with;
}

static pfx_status list_scores(pfx_ivm *v, pfx_err *err)
{
    int n = v->n, m = n + 1, L = v->L, l1 = v->n_excluded, q2 = L - l1, one = L + m, made = one + 1;
    int most = (1 + L) * (1 + m) + l1 * n + 2 * (l1 + n) + 3;
    if (!(v->pair = pfx_mem_alloc(most, sizeof *v->pair, err))) return PFX_ENOMEM;
    v->at_u = 0;
    add_pairs(v, one, 1, made + PFX_IV_U);
    add_pairs(v, 0, L, made + PFX_IV_U);
    v->at_r = v->n_scores;
    for (int c = 0; c < m; c++) {
        add_pairs(v, one, 1, L + c);
        add_pairs(v, 0, L, L + c);
    }
    v->at_partial = v->n_scores;
    for (int c = 0; c < n; c++) add_pairs(v, q2, l1, made + PFX_IV_PARTIAL + c);
    v->at_augmented = v->n_scores;
    add_pairs(v, q2, l1 + n, made + PFX_IV_AUGMENTED);
    v->at_least = v->n_scores;
    add_pairs(v, q2, l1 + n, made + PFX_IV_LEAST);
    v->at_square = v->n_scores;
    for (int f = PFX_IV_U; f <= PFX_IV_LEAST; f++) add_pairs(v, made + f, 1, made + f);
    pfx_idx q = v->n_scores + 1;
    v->sum = pfx_mem_alloc(q, sizeof *v->sum, err);
    v->meat[0] = pfx_mem_alloc(v->n_meats * q * q, sizeof *v->meat[0], err);
    if (!v->sum || !v->meat[0]) return PFX_ENOMEM;
    for (int c = 1; c < v->n_meats; c++) v->meat[c] = v->meat[c - 1] + q * q;
    return PFX_OK;
}

pfx_status pfx_iv_collect(pfx_ivm *v, const pfx_factor *const *cluster, pfx_err *err)
{
    make_combinations(v);
    pfx_status st = list_scores(v, err);
    if (st != PFX_OK) return st;
    st = pass(v, PFX_IV_PARTIAL + v->n, v->n_scores, (const int(*)[2])v->pair, v->n_meats, cluster, v->sum,
              err);
    v->m.ssr = v->sum[v->at_square];
    return st;
}
