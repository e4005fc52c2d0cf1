#include <math.h>
#include <string.h>

#include "kernels/wild.h"
#include "src/base/mem.h"
#include "src/rep/clusterstat.h"
#include "src/rep/wild_dense.h"

enum {
    LANES = PFX_REP_LANES,
    TABLE_WIDTH = 85 * LANES, /* replicates to a batch of sign tables: 2,040 share each table */
    PANELS = 8,               /* panels of 24 replicates to a batch of products */
    SIGN_CHUNK = PFX_WILD_SIGNS,
    CHUNK = 512, /* clusters whose weights and statistics are multiplied at a time: they stay in cache */
    AT_ONCE = 8, /* sign tables looked up in one pass over the replicates */
    MAX_ENUMERATED = 40
};
/* A variance below this share of the sum of squares it is the rest of is rounding. */
static const double RESOLVED = 1e-13;

/* Where things lie in a thread's scratch. */
typedef struct work {
    uint64_t *sign; /* [16 x TABLE_WIDTH] */
    double *T;      /* [AT_ONCE x 128 x ld] */
    double *acc;    /* [sum over tests of TABLE_WIDTH x ld] */
    double *C;      /* [PANELS x sum over tests of ld x LANES], or one panel of one test */
    double *sq;     /* [PANELS x sum over tests of n_sq x LANES] */
    double *W;      /* [CHUNK x LANES], or [rows x LANES] where clusterings cross */
    double *num;    /* [(2 + q + n_forms) x LANES] */
    uint8_t *code;  /* [LANES x SIGN_CHUNK] */
    pfx_idx bytes;
} work;

static pfx_idx sum_ld(const pfx_wild *w)
{
    pfx_idx n = 0;
    for (int t = 0; t < w->n_tests; t++) n += w->test[t].ld;
    return n;
}

static pfx_idx sum_sq(const pfx_wild *w)
{
    pfx_idx n = 0;
    for (int t = 0; t < w->n_tests; t++) n += w->test[t].n_sq;
    return n;
}

/* scratch NULL: the bytes alone. */
static work lay_out(const pfx_wild *w, void *scratch)
{
    work o = {0};
    pfx_idx at = 0, ld = sum_ld(w);
#define TAKE(field, n) o.field = scratch ? (void *)((double *)scratch + at) : NULL, at += ((n) + 7) / 8 * 8
    TAKE(num, w->s->iv ? pfx_wild_iv_room(w->s) : 128 * LANES);
    if (w->tables) {
        TAKE(sign, 16 * TABLE_WIDTH);
        TAKE(T, AT_ONCE * PFX_WILD_TABLE * w->max_ld);
        TAKE(acc, TABLE_WIDTH * ld);
        TAKE(C, w->max_ld * LANES);
        TAKE(sq, w->test[0].n_sq * LANES);
    } else {
        TAKE(C, PANELS * ld * LANES);
        TAKE(sq, PANELS * sum_sq(w) * LANES);
        TAKE(W, (w->crosses ? w->rows : CHUNK) * LANES);
        TAKE(code, LANES * SIGN_CHUNK / (pfx_idx)sizeof(double));
    }
#undef TAKE
    o.bytes = at * (pfx_idx)sizeof(double);
    return o;
}

/* F* of a joint test from num [q] and V [pairs], 24 apart; NaN where V is not positive. */
static double wald(int q, const double *num, const double *V)
{
    double L[PFX_WILD_MAX_TERMS][PFX_WILD_MAX_TERMS], z, sum = 0, x[PFX_WILD_MAX_TERMS];
    for (int i = 0; i < q; i++) {
        z = num[i * LANES];
        for (int j = 0; j <= i; j++) {
            double v = V[(i * (i + 1) / 2 + j) * LANES], diagonal = v;
            for (int l = 0; l < j; l++) v -= L[i][l] * L[j][l];
            if (j < i) {
                L[i][j] = v / L[j][j];
                z -= L[i][j] * x[j];
            } else {
                if (!(v > RESOLVED * diagonal)) return NAN;
                L[i][i] = sqrt(v);
            }
        }
        x[i] = z / L[i][i];
        sum += x[i] * x[i];
    }
    return sum / q;
}

/* One replicate of a test of one coefficient, from its null polynomial in units of lambda. n [2], d [3];
 * scale: what d is the rest of. */
static void single(const pfx_wild *w, int t, const double *n, const double *d, double scale, pfx_idx at,
                   double *const *field)
{
    const wild_test *x = &w->test[t];
    bool restricted = !w->o.unrestricted;
    double lambda = (x->b - x->null) * x->step;
    double num = n[0] + (x->sets == 2 ? lambda * n[1] : 0);
    double var = d[0] + (x->sets == 2 ? lambda * (d[1] + lambda * d[2]) : 0);
    double se = var > RESOLVED * scale ? sqrt(var) : NAN;
    field[PFX_DRAW_ESTIMATE][at] = (restricted ? x->null : x->b) + num;
    field[PFX_DRAW_STD_ERROR][at] = se;
    field[PFX_DRAW_STATISTIC][at] = num / se;
    if (!w->o.invert) return;
    double *const *extra = field + PFX_DRAW_FIELDS;
    bool two = x->sets == 2;
    extra[PFX_WILD_N0][at] = n[0];
    extra[PFX_WILD_N1][at] = two ? -x->step * n[1] : 0;
    extra[PFX_WILD_D0][at] = d[0];
    extra[PFX_WILD_D1][at] = two ? -x->step * d[1] : 0;
    extra[PFX_WILD_D2][at] = two ? x->step * x->step * d[2] : 0;
}

/* Draws r0 .. r0 + 23 of a test from sums C [ld x 24] and sums of squares sq [n_sq x 24]. num scratch. */
static void finish(const pfx_wild *w, int t, pfx_idx r0, const double *C, const double *sq, double *num,
                   double *const *field)
{
    const wild_test *x = &w->test[t];
    pfx_isa isa = w->o.isa;
    if (x->iv) {
        pfx_wild_iv_finish(w, r0, C, sq, num, field);
        return;
    }
    int k = w->k, sets = x->sets;
    double *V = num + (pfx_idx)x->q * sets * LANES;
    const pfx_idx block = (pfx_idx)k * LANES;
    const double *S = C, *T = C + sets * block;
    for (int i = 0; i < x->q; i++)
        for (int s = 0; s < sets; s++)
            pfx_k_wild_dot(isa, k, x->h + (pfx_idx)i * k, S + s * block, num + (i * sets + s) * LANES);
    memcpy(V, sq, (size_t)(x->n_sq * LANES) * sizeof *V);
    if (sets == 1) {
        for (int f = 0; f < x->n_forms; f++)
            pfx_k_wild_form(isa, k, x->form + (pfx_idx)f * k * k, S, S, T + f * block, T + f * block,
                            V + f * LANES);
    } else {
        pfx_k_wild_form(isa, k, x->form, S, S, T, T, V);
        pfx_k_wild_form(isa, k, x->form, S, S + block, T, T + block, V + LANES);
        pfx_k_wild_form(isa, k, x->form, S + block, S + block, T + block, T + block, V + 2 * LANES);
    }
    pfx_wild_finish(w, t, r0, num, V, sq, field);
}

void pfx_wild_finish(const pfx_wild *w, int t, pfx_idx r0, const double *num, const double *V,
                     const double *sq, double *const *field)
{
    const wild_test *x = &w->test[t];
    const int sets = x->sets;
    for (int l = 0; l < LANES; l++) {
        pfx_idx at = (r0 + l) * w->n_tests + t;
        if (w->o.joint) {
            field[PFX_DRAW_ESTIMATE][at] = field[PFX_DRAW_STD_ERROR][at] = NAN;
            field[PFX_DRAW_STATISTIC][at] = wald(x->q, num + l, V + l);
            continue;
        }
        double n[2] = {num[l], sets == 2 ? num[LANES + l] : 0}, d[3] = {V[l]};
        double lambda = (x->b - x->null) * x->step, scale = sq[l];
        if (sets == 2) {
            d[1] = 2 * V[LANES + l];
            d[2] = V[2 * LANES + l];
            scale += lambda * (2 * sq[LANES + l] + lambda * sq[2 * LANES + l]);
        }
        single(w, t, n, d, fabs(scale), at, field);
    }
}

/* Signs of a chunk of clusters, by table codes: [16][TABLE_WIDTH]. */
static void draw_codes(const pfx_wild *w, uint64_t seed, pfx_idx first, pfx_idx chunk, uint64_t *sign)
{
    for (int r = 0; r < TABLE_WIDTH; r++) {
        uint64_t bits[16];
        pfx_wild_signs(w, seed, first + r, chunk, bits);
        for (int j = 0; j < 16; j++) sign[j * TABLE_WIDTH + r] = pfx_k_wild_code(bits[j]);
    }
}

static void batch_tables(const void *ctx, uint64_t seed, pfx_idx first, void *scratch, double *const *field)
{
    const pfx_wild *w = ctx;
    work o = lay_out(w, scratch);
    memset(o.acc, 0, (size_t)(TABLE_WIDTH * sum_ld(w)) * sizeof *o.acc);
    for (pfx_idx g = 0; g < w->rows; g += SIGN_CHUNK) {
        draw_codes(w, seed, first, g / SIGN_CHUNK, o.sign);
        for (pfx_idx j = 0; j < 16 && g + 64 * j < w->rows; j++) {
            pfx_idx from = g + 64 * j, n = (w->rows - from) / 8 < AT_ONCE ? (w->rows - from) / 8 : AT_ONCE;
            double *acc = o.acc;
            for (int t = 0; t < w->n_tests; t++) {
                pfx_idx ld = w->test[t].ld;
                pfx_k_wild_tables(w->o.isa, n, ld, w->test[t].stat + from * ld, o.T);
                pfx_k_wild_lookup(w->o.isa, n, TABLE_WIDTH, o.sign + j * TABLE_WIDTH, ld, o.T, acc);
                acc += TABLE_WIDTH * ld;
            }
        }
    }
    const double *acc = o.acc;
    for (int t = 0; t < w->n_tests; t++) {
        const wild_test *x = &w->test[t];
        for (int q = 0; q < x->n_sq; q++)
            for (int l = 0; l < LANES; l++) o.sq[q * LANES + l] = x->sq_sum[q];
        for (pfx_idx r = 0; r < TABLE_WIDTH; r += LANES, acc += LANES * x->ld) {
            for (int l = 0; l < LANES; l++)
                for (pfx_idx s = 0; s < x->ld; s++) o.C[s * LANES + l] = acc[l * x->ld + s];
            finish(w, t, r, o.C, o.sq, o.num, field);
        }
    }
}

/* One chunk of clusters of one panel of replicates. */
static void multiply(const pfx_wild *w, uint64_t seed, pfx_idx first, int panel, pfx_idx g, work *o)
{
    pfx_idx n = w->rows - g < CHUNK ? w->rows - g : CHUNK;
    double *W = o->W + (w->crosses ? g * LANES : 0);
    double *C = o->C + panel * sum_ld(w) * LANES, *sq = o->sq + panel * sum_sq(w) * LANES;
    pfx_wild_fill(w, seed, first + panel * LANES, g, n, o->code, W);
    for (int t = 0; t < w->n_tests; t++) {
        const wild_test *x = &w->test[t];
        pfx_k_rep_sums(w->o.isa, n, W, x->n_stats, x->ld, x->stat + g * x->ld, (pfx_k_ahead){0}, C);
        pfx_k_wild_squares(w->o.isa, n, W, x->n_sq, x->sq + g * x->n_sq, sq);
        C += x->ld * LANES;
        sq += x->n_sq * LANES;
    }
}

/* Squares of clusterings that cross bootstrap clusters, with all of the panel's weights at hand. */
static void cross(const pfx_wild *w, int panel, work *o)
{
    double *sq = o->sq + panel * sum_sq(w) * LANES;
    for (int t = 0; t < w->n_tests; t++) {
        const wild_test *x = &w->test[t];
        for (int c = 0; c < w->o.n_errors; c++)
            if (w->start[c])
                pfx_k_wild_groups(w->o.isa, w->o.errors[c].n, w->start[c], w->order[c], w->own_boot, x->m,
                                  x->a, w->o.errors[c].weight, o->W, sq);
        sq += x->n_sq * LANES;
    }
}

static void batch_products(const void *ctx, uint64_t seed, pfx_idx first, void *scratch, double *const *field)
{
    const pfx_wild *w = ctx;
    work o = lay_out(w, scratch);
    pfx_idx ld = sum_ld(w), n_sq = sum_sq(w);
    memset(o.C, 0, (size_t)(PANELS * ld * LANES) * sizeof *o.C);
    memset(o.sq, 0, (size_t)(PANELS * n_sq * LANES) * sizeof *o.sq);
    if (w->crosses) /* all weights of a panel are kept: panel by panel */
        for (int p = 0; p < PANELS; p++) {
            for (pfx_idx g = 0; g < w->rows; g += CHUNK) multiply(w, seed, first, p, g, &o);
            cross(w, p, &o);
        }
    else
        for (pfx_idx g = 0; g < w->rows; g += CHUNK)
            for (int p = 0; p < PANELS; p++) multiply(w, seed, first, p, g, &o);
    for (int p = 0; p < PANELS; p++) {
        const double *C = o.C + p * ld * LANES, *sq = o.sq + p * n_sq * LANES;
        for (int t = 0; t < w->n_tests; t++) {
            finish(w, t, p * LANES, C, sq, o.num, field);
            C += w->test[t].ld * LANES;
            sq += w->test[t].n_sq * LANES;
        }
    }
}

static pfx_status check(const pfx_clusterstat *s, const pfx_wild_options *o, pfx_err *err)
{
    if (o->type != 11 && o->type != 13 && o->type != 31 && o->type != 33)
        return pfx_fail(err, PFX_EUSAGE, "--type %d: want 11, 13, 31 or 33", o->type);
    if (o->n_errors > 1 && o->type != 11)
        return pfx_fail(err, PFX_EUSAGE,
                        "--type %d leaves out one cluster at a time: it takes one cluster variable", o->type);
    if (o->joint && s->n_terms > PFX_WILD_MAX_TERMS)
        return pfx_fail(err, PFX_EUSAGE, "a joint test takes at most %d coefficients, not %d",
                        PFX_WILD_MAX_TERMS, s->n_terms);
    if (o->joint && o->invert)
        return pfx_fail(err, PFX_EUSAGE, "a joint test has no confidence interval: ask for --ci none");
    return PFX_OK;
}

/* Bootstrap clusters of the cells, and which clusterings cross them. */
static pfx_status map_cells(pfx_wild *w, pfx_err *err)
{
    const pfx_wild_errors *first = &w->o.errors[0];
    const int32_t *boot = w->o.boot ? w->o.boot : first->code;
    w->n_boot = w->o.boot ? w->o.n_boot : first->code ? first->n : w->n_cells;
    w->own_boot = pfx_mem_alloc(w->n_cells, sizeof *w->own_boot, err);
    if (!w->own_boot) return PFX_ENOMEM;
    for (pfx_idx x = 0; x < w->n_cells; x++) w->own_boot[x] = boot ? boot[x] : (int32_t)x;
    for (int c = 0; c < w->o.n_errors; c++) {
        const pfx_wild_errors *e = &w->o.errors[c];
        bool crosses = false;
        if (!e->code) continue;
        if (pfx_wild_sort_cells(w->n_cells, e, &w->start[c], &w->order[c], err) != PFX_OK) return PFX_ENOMEM;
        for (pfx_idx g = 0; g < e->n; g++)
            for (pfx_idx i = w->start[c][g] + 1; i < w->start[c][g + 1]; i++)
                crosses |= w->own_boot[w->order[c][i]] != w->own_boot[w->order[c][i - 1]];
        w->crosses |= crosses;
        if (crosses) continue;
        pfx_mem_free(w->start[c]);
        pfx_mem_free(w->order[c]);
        w->start[c] = NULL;
        w->order[c] = NULL;
    }
    return PFX_OK;
}

static void choose_weights(pfx_wild *w)
{
    static const double webb[6] = {-1.5, -1, -0.5, 0.5, 1, 1.5};
    if (w->o.weights == PFX_WILD_RADEMACHER) {
        w->value[0] = -1;
        w->value[1] = 1;
    } else if (w->o.weights == PFX_WILD_MAMMEN) {
        w->value[0] = (1 + sqrt(5)) / 2;
        w->value[1] = (1 - sqrt(5)) / 2;
    } else {
        for (int i = 0; i < 6; i++) w->value[i] = copysign(sqrt(fabs(webb[i])), webb[i]);
    }
    bool two = w->o.weights == PFX_WILD_RADEMACHER;
    w->info.reps = w->o.reps;
    w->info.enumerated = two && w->n_boot <= MAX_ENUMERATED && (INT64_C(1) << w->n_boot) <= w->o.reps;
    if (w->info.enumerated) w->info.reps = INT64_C(1) << w->n_boot;
    w->tables = two && !w->crosses;
}

/* The sample's own statistics, by the variance of the replicates. */
static pfx_status describe(pfx_wild *w, pfx_err *err)
{
    for (int t = 0; t < w->n_tests; t++) {
        const wild_test *x = &w->test[t];
        double lanes[(PFX_WILD_MAX_TERMS + PFX_WILD_MAX_TERMS * (PFX_WILD_MAX_TERMS + 1) / 2) * LANES] = {0};
        for (int i = 0; i < x->q + x->n_forms; i++) lanes[i * LANES] = x->full[i];
        if (w->o.joint) {
            w->info.statistic[t] = wald(x->q, lanes, lanes + x->q * LANES);
            w->info.std_error[t] = NAN;
        } else {
            w->info.std_error[t] = x->full[1] > 0 ? sqrt(x->full[1]) : NAN;
            w->info.statistic[t] = x->full[0] / w->info.std_error[t];
        }
        if (isnan(w->info.statistic[t]))
            return pfx_fail(err, PFX_ENOCONV, "%s: the variance of the test is not positive",
                            w->o.joint ? "the joint test" : w->s->term[t]);
    }
    return PFX_OK;
}

static pfx_status create(pfx_wild *w, pfx_err *err)
{
    static const char *const extra[PFX_WILD_EXTRA] = {"n0", "n1", "d0", "d1", "d2"};
    pfx_status st = map_cells(w, err);
    if (st != PFX_OK) return st;
    pfx_wild_errors *e = &w->o.errors[0];
    double G = (double)(e->code ? e->n : w->n_cells);
    if (w->o.type % 10 == 3) e->weight = (G - 1) / G;
    w->rows = (w->n_boot + 7) / 8 * 8;
    w->n_tests = w->info.n_tests = w->o.joint ? 1 : w->s->n_terms;
    w->info.n_boot = w->n_boot;
    w->info.first_singular = -1;
    w->info.crossing = w->s->absorber != NULL;
    w->test = pfx_mem_calloc(w->n_tests, sizeof *w->test, err);
    w->info.statistic = pfx_mem_alloc(w->n_tests, sizeof *w->info.statistic, err);
    w->info.std_error = pfx_mem_alloc(w->n_tests, sizeof *w->info.std_error, err);
    if (!w->test || !w->info.statistic || !w->info.std_error) return PFX_ENOMEM;
    choose_weights(w);
    w->info.by_reps = w->by_reps = w->info.crossing && pfx_wild_dense_choose(w);
    st = w->s->iv ? pfx_wild_iv_prepare(w, err) : pfx_wild_prepare(w, err);
    if (st != PFX_OK || (st = describe(w, err)) != PFX_OK) return st;
    bool dense = w->info.crossing;
    w->method = (pfx_rep_method){.name = "wild",
                                 .width = w->by_reps  ? LANES
                                          : dense     ? PFX_WILD_DENSE_WIDTH
                                          : w->tables ? TABLE_WIDTH
                                                      : PANELS * LANES,
                                 .n_terms = w->n_tests,
                                 .n_extra = w->o.invert ? PFX_WILD_EXTRA : 0,
                                 .extra = extra,
                                 .scratch = w->by_reps ? pfx_wild_rows_scratch(w)
                                            : dense    ? pfx_wild_dense_scratch(w)
                                                       : lay_out(w, NULL).bytes,
                                 .ctx = w,
                                 .batch = w->by_reps  ? pfx_wild_rows_batch
                                          : dense     ? pfx_wild_dense_batch
                                          : w->tables ? batch_tables
                                                      : batch_products};
    return PFX_OK;
}

pfx_status pfx_wild_create(const pfx_clusterstat *s, const pfx_wild_options *o, pfx_wild **out, pfx_err *err)
{
    pfx_status st = check(s, o, err);
    if (st == PFX_OK && s->iv) st = pfx_wild_iv_check(s, o, err);
    if (st != PFX_OK) return st;
    pfx_wild *w = pfx_mem_calloc(1, sizeof *w, err);
    if (!w) return PFX_ENOMEM;
    w->s = s;
    w->o = *o;
    w->k = s->k;
    w->n_cells = s->G;
    if ((st = create(w, err)) == PFX_OK)
        *out = w;
    else
        pfx_wild_free(w);
    return st;
}

void pfx_wild_free(pfx_wild *w)
{
    if (!w) return;
    for (int t = 0; w->test && t < w->n_tests; t++) {
        double *const parts[] = {w->test[t].stat, w->test[t].sq,   w->test[t].sq_sum, w->test[t].a,
                                 w->test[t].h,    w->test[t].form, w->test[t].full};
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) pfx_mem_free(parts[i]);
        pfx_wild_dense_free(w->test[t].dense);
        if (w->test[t].iv) pfx_mem_free(w->test[t].iv->pi);
        pfx_mem_free(w->test[t].iv);
    }
    for (int c = 0; c < PFX_WILD_MAX_ERRORS; c++) {
        pfx_mem_free(w->start[c]);
        pfx_mem_free(w->order[c]);
    }
    pfx_mem_free(w->test);
    pfx_mem_free(w->own_boot);
    pfx_mem_free(w->info.statistic);
    pfx_mem_free(w->info.std_error);
    pfx_mem_free(w);
}

const pfx_rep_method *pfx_wild_method(const pfx_wild *w)
{
    return &w->method;
}

const pfx_wild_info *pfx_wild_describe(const pfx_wild *w)
{
    return &w->info;
}
