/* The passes over the rows: the reduced form, and the meats of all scores that any statistic of 2SLS asks
 * for. Every such score is a column of Q, a residual r or the constant, times one of few residuals: r itself,
 * the columns less the exogenous, and combinations of these. So the rows are met once, with those few as
 * residuals of as many fits, and the rest is small matrices. Where digits would be lost, the rows are
 * whitened first, the reduced form is had before, and the structural residual is formed row by row. */
#include "src/est/iv_private.h"

#include <cblas.h>
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/hac.h"
#include "src/model/design.h"

/* First-stage coefficients are refined until a step changes the residuals by less than this share, squared.
 */
static const double STEP2 = 1e-20;
enum { MAX_STEPS = 4 };
/* Shares of a column's sum of squares below which a residual's is had from whitened rows alone: of a first
 * stage's; and of a residual of residuals, the structural one or of one first stage on another. */
static const double SMALL2 = 1e-6, SMALL_AGAIN2 = 1e-3;

/* What a pass computes: scores of n_left columns (and the constant) times n_right. */
typedef struct basis {
    pfx_iv_rows r;
    int *column;     /* [n_left] */
    double *left;    /* [(n_left + 1) x each] q, r and the constant over what the scores' first columns are */
    double *right;   /* [n_right x n_left] */
    double *raw;     /* [n_right x p] */
    double *inverse; /* [L] */
    double *sum;     /* [width + 1] */
    int each, width; /* n_left and the constant; times n_right */
} basis;

static void free_basis(basis *b)
{
    pfx_mem_free(b->column);
    pfx_mem_free(b->left);
    *b = (basis){0};
}

static int n_combinations(const pfx_ivm *v)
{
    return PFX_IV_PARTIAL + v->n;
}

static bool over_identified(const pfx_ivm *v)
{
    return v->n_excluded > v->n;
}

static pfx_status make_basis(const pfx_ivm *v, int n_right, basis *b, pfx_err *err)
{
    int L = v->L, m = v->n + 1, k = L + m, p = v->d->p;
    bool constant = v->m.intercept;
    *b = (basis){.each = k + constant, .width = (k + constant) * n_right};
    b->column = pfx_mem_alloc(k, sizeof *b->column, err);
    b->left = pfx_mem_calloc((pfx_idx)(k + 1) * b->each + n_right * (k + p) + L + b->width + 1,
                             sizeof *b->left, err);
    if (!b->column || !b->left) return PFX_ENOMEM;
    b->right = b->left + (pfx_idx)(k + 1) * b->each;
    b->raw = b->right + (pfx_idx)n_right * k;
    b->inverse = b->raw + (pfx_idx)n_right * p;
    b->sum = b->inverse + L;
    for (int a = 0; a < L; a++)
        b->column[a] = v->z->keep[a], b->inverse[a] = 1 / v->z->R[(pfx_idx)a * (L + 1)];
    for (int c = 0; c < m; c++) b->column[L + c] = v->column[c];
    b->r = (pfx_iv_rows){.z = v->z,
                         .a = v->m.a,
                         .p = p,
                         .L = L,
                         .column = b->column,
                         .P = v->P,
                         .inverse = v->delicate ? b->inverse : NULL,
                         .constant = constant,
                         .n_left = k,
                         .n_right = n_right,
                         .right = b->right,
                         .combination = b->raw};
    return PFX_OK;
}

/* row [n_left] = column L + c less what the first n columns of Q explain of it. half [L x L]: Q = Z half. */
static void residual_row(const pfx_ivm *v, const double *half, int n, int c, double *row)
{
    int L = v->L, m = v->n + 1;
    row[L + c] = 1;
    for (int j = 0; j < n; j++)
        for (int a = j; a < n; a++) row[j] -= half[(pfx_idx)j * L + a] * v->P[(pfx_idx)a * m + c];
}

/* What the scores' columns are at the P of now. */
static pfx_status set_left(const pfx_ivm *v, basis *b, double **half, pfx_err *err)
{
    int L = v->L, m = v->n + 1, k = L + m;
    memset(b->left, 0, (size_t)(k + 1) * (size_t)b->each * sizeof *b->left);
    if (!(*half = pfx_mem_alloc((pfx_idx)L * L, sizeof **half, err))) return PFX_ENOMEM;
    pfx_solve_half(v->z, *half);
    for (int a = 0; a < L; a++)
        for (int j = 0; j <= a; j++)
            b->left[(pfx_idx)a * b->each + j] = v->delicate ? j == a : (*half)[(pfx_idx)j * L + a];
    for (int c = 0; c < m; c++)
        if (v->delicate)
            b->left[(pfx_idx)(L + c) * (b->each + 1)] = 1;
        else
            residual_row(v, *half, L, c, b->left + (pfx_idx)(L + c) * b->each);
    if (b->r.constant) b->left[(pfx_idx)k * b->each + k] = 1;
    return PFX_OK;
}

/* The residuals that are taken of the rows: r, and with the others the columns less the exogenous, the
 * outcome's where b does not give it; of whitened rows the structural residual itself. */
static pfx_status set_right(const pfx_ivm *v, basis *b, pfx_err *err)
{
    int L = v->L, n = v->n, m = n + 1, l1 = v->n_excluded, k = b->r.n_left, p = v->d->p;
    double *half = NULL;
    pfx_status st = set_left(v, b, &half, err);
    memset(b->right, 0, (size_t)b->r.n_right * (size_t)(k + p) * sizeof *b->right);
    for (int c = 0; c < b->r.n_right && st == PFX_OK; c++) {
        double *row = b->right + (pfx_idx)c * k;
        if (c < m)
            memcpy(row, b->left + (pfx_idx)(L + c) * b->each, (size_t)k * sizeof *row);
        else if (v->delicate)
            memcpy(row + L - l1,
                   v->made + (pfx_idx)(c < m + n ? PFX_IV_PARTIAL + c - m : PFX_IV_U) * (l1 + m),
                   (size_t)(l1 + m) * sizeof *row);
        else
            residual_row(v, half, v->n_exog, c - m, row);
        if (v->delicate) continue;
        double *raw = b->raw + (pfx_idx)c * p;
        for (int j = 0; j < k; j++) raw[b->column[j]] = row[j];
    }
    pfx_mem_free(half);
    return st;
}

/* One pass: sums of the scores, and where wanted their meats [(width + 1)^2 each] into meat. */
static pfx_status pass(const pfx_ivm *v, basis *b, const pfx_factor *const *cluster, double *meat,
                       pfx_err *err)
{
    double unused;
    pfx_idx qq = (pfx_idx)(b->width + 1) * (b->width + 1);
    pfx_score_map map = {.fill = pfx_iv_rows_fill,
                         .levels = v->delicate || b->r.constant ? NULL : pfx_iv_rows_levels,
                         .ctx = &b->r,
                         .width = b->width,
                         .n_scratch = pfx_iv_rows_scratch(&b->r)};
    pfx_scores sc = {.d = v->d,
                     .a = v->m.a,
                     .map = &map,
                     .nth = v->o->nth,
                     .isa = v->o->isa,
                     .gradient = b->sum,
                     .ssr = &unused};
    pfx_status st = set_right(v, b, err);
    if (meat && !v->hac) {
        sc.n_meats = v->n_meats;
        for (int c = 0; c < v->n_meats; c++) sc.meat[c] = (pfx_meat){cluster[c], meat + c * qq};
    }
    if (st == PFX_OK) st = pfx_scores_run(&sc, err);
    return st == PFX_OK && meat && v->hac ? pfx_hac_meat(v->hac, &sc, meat, meat + qq, err) : st;
}

/* Room for the meats of a pass, the HAC ones with theirs. */
static pfx_status make_meats(const pfx_ivm *v, const basis *b, double **meat, pfx_err *err)
{
    pfx_idx qq = (pfx_idx)(b->width + 1) * (b->width + 1);
    *meat = NULL;
    if (v->n_meats == 0) return PFX_OK;
    *meat = pfx_mem_alloc((v->hac ? 3 : v->n_meats) * qq, sizeof **meat, err);
    return *meat ? PFX_OK : PFX_ENOMEM;
}

/* P, O from the products of the columns. */
static pfx_status from_products(pfx_ivm *v, pfx_err *err)
{
    int L = v->L, m = v->n + 1;
    const double *gram = pfx_absorber_gram(v->m.a);
    double *x = pfx_mem_alloc(L, sizeof *x, err);
    if (!x) return PFX_ENOMEM;
    for (int c = 0; c < m; c++) {
        for (int a = 0; a < L; a++)
            x[a] = gram[(pfx_idx)v->z->keep[a] * v->d->p + v->column[c]] / v->z->scale[a];
        pfx_iv_forward(L, L, v->z->R, x);
        for (int a = 0; a < L; a++) v->P[(pfx_idx)a * m + c] = x[a];
    }
    for (int c = 0; c < m; c++)
        for (int e = 0; e < m; e++) {
            double s = gram[(pfx_idx)v->column[c] * v->d->p + v->column[e]];
            for (int a = 0; a < L; a++) s -= v->P[(pfx_idx)a * m + c] * v->P[(pfx_idx)a * m + e];
            v->O[c * m + e] = s;
        }
    pfx_mem_free(x);
    return PFX_OK;
}

/* Would digits be lost without whitened rows? By the first P and O. */
static pfx_status look_for_trouble(pfx_ivm *v, pfx_err *err)
{
    int n = v->n, m = n + 1;
    const double *gram = pfx_absorber_gram(v->m.a);
    v->delicate |= v->z->whitened;
    for (int c = 0; c < m; c++)
        v->delicate |= !(v->O[c * m + c] > SMALL2 * gram[(pfx_idx)v->column[c] * (v->d->p + 1)]);
    if (v->delicate) return PFX_OK;
    pfx_status st = pfx_iv_least_squares(v, err);
    if (st == PFX_OK) st = pfx_iv_second_stage(v, err);
    if (st != PFX_OK) return st;
    double ssr = 0, size = v->O[n * m + n];
    for (int i = 0; i < n; i++) {
        v->delicate |= !(v->U[i * n + i] * v->U[i * n + i] > SMALL_AGAIN2 * v->O[i * m + i]);
        size += v->b[i] * v->b[i] * v->O[i * m + i];
    }
    ssr = pfx_iv_structural_ssr(v);
    v->delicate |= !(ssr > SMALL_AGAIN2 * size);
    return PFX_OK;
}

/* P and O refined by the sums of the pass, r its first residuals. Returns whether they had settled. */
static bool refine(pfx_ivm *v, const basis *b, double *g)
{
    int L = v->L, m = v->n + 1;
    bool done = true;
    for (int c = 0; c < m; c++) {
        const double *s = b->sum + (pfx_idx)c * b->each;
        for (int i = 0; i < L + m; i++) {
            const double *l = b->left + (pfx_idx)i * b->each;
            double x = 0;
            for (int j = 0; j <= (i < L ? i : L + m - 1); j++) x += l[j] * s[j];
            g[c * (L + m) + i] = x;
        }
    }
    for (int c = 0; c < m; c++)
        for (int e = c; e < m; e++) {
            double o = g[c * (L + m) + L + e];
            for (int a = 0; a < L; a++) o -= g[c * (L + m) + a] * g[e * (L + m) + a];
            v->O[c * m + e] = v->O[e * m + c] = o;
        }
    for (int c = 0; c < m; c++) {
        double g2 = 0;
        for (int a = 0; a < L; a++) {
            double x = g[c * (L + m) + a];
            v->P[(pfx_idx)a * m + c] += x;
            g2 += x * x;
        }
        done &= g2 <= STEP2 * v->O[c * m + c];
    }
    return done;
}

pfx_status pfx_iv_reduced_form(pfx_ivm *v, const pfx_factor *const *cluster, pfx_err *err)
{
    int m = v->n + 1;
    basis b = {0};
    double *g = NULL;
    pfx_status st = from_products(v, err);
    if (st == PFX_OK) st = look_for_trouble(v, err);
    if (st != PFX_OK) return st;
    bool meats = !v->delicate && v->n_meats > 0;
    v->n_right = m + (meats ? v->n + over_identified(v) : 0);
    if (!(g = pfx_mem_alloc((pfx_idx)m * (v->L + m), sizeof *g, err))) return PFX_ENOMEM;
    if ((st = make_basis(v, v->n_right, &b, err)) != PFX_OK) goto done;
    if (meats) st = make_meats(v, &b, &v->base, err);
    for (int step = 0; step < MAX_STEPS && st == PFX_OK; step++) {
        st = pass(v, &b, cluster, meats ? v->base : NULL, err);
        if (st == PFX_OK && refine(v, &b, g)) break;
    }
done:
    free_basis(&b);
    pfx_mem_free(g);
    return st;
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

/* The wanted residuals, r and the combinations, over those of the pass: D [(m + n_combinations) x n_right].
 * With the columns less the exogenous, x_i and y: u = y - x'b, or r_y - r'b where nothing of the outcome is
 * left in q2; with first-stage residuals among the regressors u + r'(b - b_v); least squares u + x'(b -
 * b_least). */
static void set_wanted(const pfx_ivm *v, double *D)
{
    int n = v->n, m = n + 1, E = v->n_right;
    double *u = D + (pfx_idx)(m + PFX_IV_U) * E, *aug = D + (pfx_idx)(m + PFX_IV_AUGMENTED) * E,
           *least = D + (pfx_idx)(m + PFX_IV_LEAST) * E, *partial = D + (pfx_idx)(m + PFX_IV_PARTIAL) * E;
    for (int c = 0; c < m; c++) D[(pfx_idx)c * (E + 1)] = 1;
    for (int i = 0; i < n; i++) partial[(pfx_idx)i * E + m + i] = 1;
    int from = over_identified(v) || v->delicate ? m : 0;
    u[from + n] = 1;
    for (int i = 0; i < n && !v->delicate; i++) u[from + i] = -v->b[i];
    memcpy(aug, u, (size_t)E * sizeof *u);
    memcpy(least, u, (size_t)E * sizeof *u);
    for (int i = 0; i < n; i++) {
        aug[i] += v->b[i] - v->b_v[i];
        least[m + i] += v->b[i] - v->b_least[i];
    }
}

static void add_pairs(pfx_ivm *v, int from, int count, int with)
{
    for (int i = 0; i < count; i++, v->n_scores++)
        v->pair[v->n_scores][0] = from + i, v->pair[v->n_scores][1] = with;
}

static pfx_status list_scores(pfx_ivm *v, pfx_err *err)
{
    int n = v->n, m = n + 1, L = v->L, l1 = v->n_excluded, q2 = L - l1, one = L + m, made = one + 1;
    int most = (1 + L) * (1 + m) + l1 * n + 2 * (l1 + n);
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
    pfx_idx q = v->n_scores;
    v->meat[0] = pfx_mem_alloc(v->n_meats * q * q, sizeof *v->meat[0], err);
    if (!v->meat[0]) return PFX_ENOMEM;
    for (int c = 1; c < v->n_meats; c++) v->meat[c] = v->meat[c - 1] + q * q;
    return PFX_OK;
}

/* The meats of the listed scores, T M T' of those of the pass. */
static pfx_status turn_meats(pfx_ivm *v, basis *b, pfx_err *err)
{
    int L = v->L, m = v->n + 1, E = v->n_right, each = b->each, W = b->width, q = v->n_scores;
    pfx_idx rights = m + n_combinations(v);
    double *half = NULL, *D = pfx_mem_calloc(rights * E + 2 * (pfx_idx)q * W, sizeof *D, err);
    pfx_status st = D ? set_left(v, b, &half, err) : PFX_ENOMEM;
    if (st != PFX_OK) goto done;
    double *T = D + rights * E, *work = T + (pfx_idx)q * W;
    set_wanted(v, D);
    for (int k = 0; k < q; k++) {
        int i = v->pair[k][0], j = v->pair[k][1]; /* q, r, one; r, one, made */
        const double *l = b->left + (pfx_idx)i * each, *r = D + (pfx_idx)(j < L + m ? j - L : j - L - 1) * E;
        for (int c = 0; c < E; c++)
            for (int a = 0; a < each; a++) T[(pfx_idx)k * W + c * each + a] = r[c] * l[a];
    }
    for (int c = 0; c < v->n_meats; c++) {
        const double *M = v->base + (pfx_idx)c * (W + 1) * (W + 1);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, q, W, W, 1, T, W, M, W + 1, 0, work, W);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, q, q, W, 1, work, W, T, W, 0, v->meat[c], q);
    }
done:
    pfx_mem_free(D);
    pfx_mem_free(half);
    return st;
}

/* Sum of squares of u, from its products with the columns of whitened rows: u is small there before it is
 * summed. */
static double whitened_ssr(const pfx_ivm *v, const basis *b)
{
    int m = v->n + 1, l1 = v->n_excluded;
    const double *s = b->sum + (pfx_idx)(m + v->n) * b->each + v->L - l1, *u = v->made;
    double ssr = 0;
    for (int i = 0; i < l1 + m; i++) ssr += u[i] * s[i];
    return fmax(0, ssr);
}

pfx_status pfx_iv_collect(pfx_ivm *v, const pfx_factor *const *cluster, pfx_err *err)
{
    basis b = {0};
    make_combinations(v);
    pfx_status st = list_scores(v, err);
    if (v->delicate) v->n_right = 2 * v->n + 2;
    if (st == PFX_OK) st = make_basis(v, v->n_right, &b, err);
    if (st == PFX_OK && v->delicate) st = make_meats(v, &b, &v->base, err);
    if (st == PFX_OK && v->delicate) st = pass(v, &b, cluster, v->base, err);
    if (st == PFX_OK) v->m.ssr = v->delicate ? whitened_ssr(v, &b) : pfx_iv_structural_ssr(v);
    if (st == PFX_OK && v->n_meats > 0) st = turn_meats(v, &b, err);
    free_basis(&b);
    return st;
}
