/* The Schur complement of large effects against its definition, S = B'WMB in long double: every way to
 * assemble and to solve it, and the bits over threads and instruction sets. */
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/schur.h"

enum { MAX_BLOCKS = 3, M = 3, LD = 8 };

/* YEARLY: a column is a pair of what is drawn and the row's number within its level; UNEVEN: levels of fewer
 * rows and of more, in turn. */
typedef enum shape { EVEN, YEARLY, UNEVEN } shape;

typedef struct made {
    pfx_idx levels, rows; /* of the eliminated effect, and of each of its levels */
    int n_blocks;
    pfx_idx columns[MAX_BLOCKS];
    int reach[MAX_BLOCKS];   /* 0: columns anywhere; else within so many of the level's own */
    double move[MAX_BLOCKS]; /* share of rows that leave the column of the row before */
    bool weights, slope;     /* slope: the last block has values */
    shape shape;
} made;

typedef struct data {
    pfx_schur_spec spec;
    pfx_schur_block block[MAX_BLOCKS];
    int32_t *code[MAX_BLOCKS];
    double *w, *value;
    pfx_idx *start;
    long double *S;    /* [q x q] */
    double *C, *floor; /* [q x LD] */
} data;

static double uniform(uint64_t *s)
{
    uint64_t z = (*s += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static void fill_rows(const made *m, data *d)
{
    uint64_t seed = 5;
    for (pfx_idx g = 0; g <= m->levels; g++)
        d->start[g] = g * m->rows - (m->shape == UNEVEN ? g % 2 * (m->rows / 4) : 0);
    for (int e = 0; e < m->n_blocks; e++)
        for (pfx_idx g = 0; g < m->levels; g++) {
            pfx_idx L = m->columns[e] / (m->shape == YEARLY ? m->rows : 1), home = g * L / m->levels,
                    c = m->reach[e] ? home : (pfx_idx)(uniform(&seed) * (double)L);
            for (pfx_idx r = d->start[g]; r < d->start[g + 1]; r++) {
                if (uniform(&seed) < m->move[e])
                    c = m->reach[e] ? (home + (pfx_idx)(uniform(&seed) * m->reach[e])) % L
                                    : (pfx_idx)(uniform(&seed) * (double)L);
                d->code[e][r] = (int32_t)(m->shape == YEARLY ? c * m->rows + r - d->start[g] : c);
            }
        }
    for (pfx_idx r = 0; r < m->levels * m->rows; r++) {
        d->w[r] = 0.5 + uniform(&seed);
        d->value[r] = 2 * uniform(&seed) - 1;
    }
}

/* S by its definition, level by level. */
static void fill_twin(data *d)
{
    const pfx_schur_spec *p = &d->spec;
    for (pfx_idx g = 0; g < p->n_levels; g++) {
        long double total = 0;
        for (pfx_idx r = p->start[g]; r < p->start[g + 1]; r++) total += p->w ? p->w[r] : 1;
        for (pfx_idx r = p->start[g]; r < p->start[g + 1]; r++)
            for (pfx_idx s = p->start[g]; s < p->start[g + 1]; s++) {
                long double wr = p->w ? p->w[r] : 1, ws = p->w ? p->w[s] : 1,
                            f = (r == s) * wr - wr * ws / total;
                for (int e = 0; e < p->n_blocks; e++)
                    for (int h = 0; h < p->n_blocks; h++)
                        d->S[(p->block[e].col0 + p->block[e].code[r]) * p->q + p->block[h].col0 +
                             p->block[h].code[s]] += f * (p->block[e].value ? p->block[e].value[r] : 1) *
                                                     (p->block[h].value ? p->block[h].value[s] : 1);
            }
    }
}

static data make(const made *m)
{
    data d = {0};
    pfx_idx n = m->levels * m->rows, q = 0;
    d.start = calloc((size_t)m->levels + 1, sizeof *d.start);
    d.w = calloc((size_t)n, sizeof *d.w), d.value = calloc((size_t)n, sizeof *d.value);
    for (int e = 0; e < m->n_blocks; e++) {
        d.code[e] = calloc((size_t)n, sizeof *d.code[e]);
        d.block[e] =
            (pfx_schur_block){d.code[e], m->slope && e == m->n_blocks - 1 ? d.value : NULL, m->columns[e], q};
        q += m->columns[e];
    }
    fill_rows(m, &d);
    d.spec = (pfx_schur_spec){.n = n,
                              .w = m->weights ? d.w : NULL,
                              .n_levels = m->levels,
                              .start = d.start,
                              .mean = true,
                              .n_blocks = m->n_blocks,
                              .q = q,
                              .tol = 1e-12,
                              .maxiter = 10000,
                              .nth = 2,
                              .isa = pfx_cpu_best(),
                              .effects = "worker, firm"};
    d.S = calloc((size_t)(q * q), sizeof *d.S);
    d.C = calloc((size_t)(q * LD), sizeof *d.C), d.floor = calloc(LD, sizeof *d.floor);
    d.spec.block = d.block;
    fill_twin(&d);
    uint64_t seed = 11;
    double *x = malloc((size_t)q * sizeof *x);
    for (int k = 0; k < M; k++) { /* a right-hand side that has a solution */
        for (pfx_idx i = 0; i < q; i++) x[i] = 2 * uniform(&seed) - 1;
        for (pfx_idx i = 0; i < q; i++) {
            long double sum = 0;
            for (pfx_idx j = 0; j < q; j++) sum += d.S[i * q + j] * x[j];
            d.C[i * LD + k] = (double)sum;
        }
    }
    free(x);
    return d;
}

static void discard(data *d)
{
    for (int e = 0; e < MAX_BLOCKS; e++) free(d->code[e]);
    free(d->w), free(d->value), free(d->start), free(d->S), free(d->C), free(d->floor);
}

/* Steps that a solve may take. */
static int most_steps = 60;

/* G [q x LD]; route and rank are looked at on the way. */
static double *solve(data *d, int nth, pfx_isa isa, const char *route, pfx_idx rank)
{
    pfx_err err = {0};
    pfx_schur *s = NULL;
    pfx_idx q = d->spec.q;
    double *G = malloc((size_t)(q * LD) * sizeof *G), *R = malloc((size_t)(q * LD) * sizeof *R);
    d->spec.nth = nth, d->spec.isa = isa;
    assert_ok(pfx_schur_create(&d->spec, &s, &err));
    d->spec.block = d->block;
    assert_ok(pfx_schur_add(s, &d->spec, &err));
    assert_ok(pfx_schur_finish(s, q, &err));
    if (pfx_schur_solve(s, M, LD, d->C, d->floor, G, R, &err) != PFX_OK) fail_msg("%s", err.msg);
    assert_string_equal(pfx_schur_route(s), route);
    if (rank >= 0) assert_int_equal(pfx_schur_rank(s), rank);
    if (pfx_schur_iterations(s) > most_steps) fail_msg("%d steps", pfx_schur_iterations(s));
    pfx_schur_free(s);
    free(R);
    return G;
}

static void check(made m, const char *route, pfx_idx rank)
{
    data d = make(&m);
    pfx_idx q = d.spec.q;
    double *G = solve(&d, 2, pfx_cpu_best(), route, rank);
    for (int k = 0; k < M; k++) {
        long double diff = 0, size = 0;
        for (pfx_idx i = 0; i < q; i++) {
            long double r = d.C[i * LD + k];
            for (pfx_idx j = 0; j < q; j++) r -= d.S[i * q + j] * G[j * LD + k];
            diff += r * r, size += (long double)d.C[i * LD + k] * d.C[i * LD + k];
        }
        if (!(sqrtl(diff) <= 1e-11L * sqrtl(size)))
            fail_msg("column %d: C - S G is %Lg of %Lg", k, sqrtl(diff), sqrtl(size));
    }
    static const int threads[] = {1, 3, 7};
    for (int i = 0; i < 3; i++) {
        double *H = solve(&d, threads[i], pfx_cpu_best(), route, rank);
        assert_memory_equal(G, H, (size_t)(q * LD) * sizeof *G);
        free(H);
    }
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has(isa)) continue;
        double *H = solve(&d, 2, isa, route, rank);
        assert_memory_equal(G, H, (size_t)(q * LD) * sizeof *G);
        free(H);
    }
    free(G);
    discard(&d);
}

/* Firms joined by moves to anywhere, to neighbours, and hardly at all; few rows (row by row) and many
 * (panels). */
static void test_workers(void **state)
{
    (void)state;
    for (int w = 0; w < 2; w++) {
        check((made){1500, 5, 1, {1100}, {0}, {0.6}, w, false, EVEN}, "schur-pcg", -1);
        check((made){1500, 5, 1, {1100}, {8}, {0.6}, w, false, EVEN}, "schur-cholesky", -1);
        check((made){1500, 5, 1, {1100}, {0}, {0.05}, w, false, EVEN}, "schur-cholesky", -1);
        check((made){30000, 6, 1, {1100}, {0}, {0.3}, w, false, EVEN}, "schur-pcg", 1099);
    }
}

static void test_several_blocks(void **state)
{
    (void)state;
    for (int w = 0; w < 2; w++) {
        check((made){3000, 6, 2, {150, 40}, {0}, {0.2, 1}, w, false, EVEN}, "schur-cholesky", 188);
        check((made){40000, 5, 3, {1100, 60, 20}, {0}, {0.7, 0.3, 1}, w, false, EVEN}, "schur-pcg", -1);
        check((made){3000, 9, 3, {150, 40, 30}, {0}, {0.3, 0.1, 0.5}, w, true, EVEN}, "schur-cholesky",
              188 + 30);
        check((made){1500, 4, 2, {1090, 12}, {8, 0}, {0.5, 1}, w, false, EVEN}, "schur-cholesky", -1);
    }
}

/* industry^year + region^year beside firms that seldom move: the years of an industry are a family. */
static void test_yearly(void **state)
{
    (void)state;
    most_steps = 25; /* with the diagonal alone 53, 43, 53 */
    check((made){30000, 7, 2, {1050, 140}, {0}, {0.02, 0.01}, false, false, YEARLY}, "schur-pcg", -1);
    check((made){30000, 7, 2, {1050, 140}, {0}, {0.02, 0.01}, true, true, YEARLY}, "schur-pcg", -1);
    check((made){6000, 40, 2, {1040, 160}, {0}, {0.002, 0.001}, true, false, YEARLY}, "schur-pcg", -1);
    check((made){3000, 7, 3, {350, 140, 49}, {0}, {0.02, 0.02, 0.1}, false, false, YEARLY}, "schur-cholesky",
          -1);
    most_steps = 60;
}

/* Levels of many rows, in which columns come back. */
static void test_long_levels(void **state)
{
    (void)state;
    for (int w = 0; w < 2; w++)
        check((made){60, 300, 2, {90, 50}, {0}, {0.8, 0.5}, w, false, EVEN}, "schur-cholesky", 138);
    check((made){300, 40, 2, {300, 60}, {8, 0}, {0.5, 0.5}, false, false, UNEVEN}, "schur-cholesky", 358);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_workers), cmocka_unit_test(test_several_blocks),
                                       cmocka_unit_test(test_yearly), cmocka_unit_test(test_long_levels)};
    pfx_err err = {0};
    if (pfx_par_single_thread_blas(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
