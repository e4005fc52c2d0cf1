/* One assignment for several specifications, each with rows of its own: the draws of one that has a part of
 * the rows, and not all of the units, against refits of these rows under the assignment of the whole. */
#include "src/base/mem.h"
#include "tests/est/placebo_world.h"

/* Rows of the world that a specification has, and their factors numbered anew. */
typedef struct part {
    pfx_idx n;
    bool split; /* no firm effects; firm 9 lies in two clusters, so that cells are as many as units though one
                   has none */
    pfx_idx *at;          /* [n] row of the world */
    int32_t *firm, *year; /* [n] as the world numbers them */
    double *Z;            /* [n x p] */
    pfx_design *d;
} part;

static void renumber(pfx_idx n, const int32_t *from, int32_t *to, pfx_idx *levels)
{
    int32_t seen[MAX_UNITS];
    memset(seen, 0xff, sizeof seen);
    *levels = 0;
    for (pfx_idx i = 0; i < n; i++) {
        if (seen[from[i]] < 0) seen[from[i]] = (int32_t)(*levels)++;
        to[i] = seen[from[i]];
    }
}

static pfx_design *make_design(const part *q, int p)
{
    int32_t *code = malloc((size_t)q->n * sizeof *code), *cluster = calloc((size_t)q->n, sizeof *cluster);
    pfx_idx levels;
    pfx_design *d = ref_design_new(q->n, p, q->Z, false);
    for (pfx_idx i = 0; i < q->n; i++)
        cluster[i] = q->split && q->firm[i] == 9 && q->year[i] >= 3 ? MAX_UNITS - 1 : q->firm[i];
    renumber(q->n, cluster, code, &levels);
    if (!q->split) ref_add_effect(d, "firm", levels, code);
    free(cluster);
    ref_add_cluster(d, "firm", levels, code);
    renumber(q->n, q->year, code, &levels);
    ref_add_effect(d, "year", levels, code);
    free(code);
    return d;
}

static part take_part(const world *w, bool split)
{
    pfx_idx n = w->a.n;
    part q = {.split = split,
              .at = malloc((size_t)n * sizeof *q.at),
              .firm = malloc((size_t)n * sizeof *q.firm),
              .year = malloc((size_t)n * sizeof *q.year),
              .Z = malloc((size_t)(n * w->a.p) * sizeof *q.Z)};
    for (pfx_idx i = 0; i < n; i++) {
        if (split ? w->a.firm[i] == 7 : w->a.firm[i] % 11 == 3 || test_uniform(91, (uint64_t)i) > 0.85)
            continue;
        memcpy(q.Z + q.n * w->a.p, w->a.Z + i * w->a.p, (size_t)w->a.p * sizeof *q.Z);
        q.firm[q.n] = w->a.firm[i];
        q.year[q.n] = w->a.year[i];
        q.at[q.n++] = i;
    }
    q.d = make_design(&q, w->a.p);
    return q;
}

static void check_draw(const world *w, part *q, const double *treatment, double b, double se)
{
    for (pfx_idx i = 0; i < q->n; i++) q->Z[i * w->a.p] = treatment[q->at[i]] * w->factor[q->at[i]];
    pfx_fit *f = made_fit(make_design(q, w->a.p), ref_options(PFX_VCOV_CLUSTER, PFX_SSC_NONE));
    const pfx_coef *c = ref_coef(f, "x0");
    assert_rel(b, c->estimate, 1e-10);
    assert_rel(se, c->std_error, 1e-10);
    pfx_fit_free(f);
}

static void compare_part(pfx_placebo_scheme scheme, bool cross, bool split)
{
    enum { REPS = 30 };
    const setting s = {200, FIRM | YEAR, FIRM, FIRM, PFX_W_NONE, STAYS, scheme, 1, 0, 0, false};
    world w = placebo_world_new(s);
    part q = take_part(&w, split);
    pfx_err err = {0};
    pfx_placebo *p = NULL;
    double *ones = malloc((size_t)q.n * sizeof *ones), *treatment = malloc((size_t)w.a.n * sizeof *treatment);
    double own[PFX_PLACEBO_FIELDS];
    for (pfx_idx i = 0; i < q.n; i++) ones[i] = w.factor[q.at[i]];
    const pfx_assign_in in = {.scheme = scheme,
                              .n = q.n,
                              .n_units = w.n_units,
                              .unit = q.firm,
                              .n_periods = YEARS,
                              .period = q.year};
    const pfx_placebo_in pi = {.d = q.d,
                               .assign = &in,
                               .n_drawn = 1,
                               .drawn = (const char *const[]){"x0"},
                               .factor = ones,
                               .tol = 1e-12,
                               .maxiter = 10000,
                               .nth = 1,
                               .isa = pfx_cpu_best(),
                               .std_error = true,
                               .ssc = 1,
                               .cross = cross};
    assert_int_equal(q.d->clusters[0].n_levels == w.n_units, split);
    assert_ok(pfx_placebo_create(&pi, w.assign, &p, &err));
    assert_ok(pfx_placebo_own(p, own, &err));
    check_draw(&w, &q, w.treatment, own[PFX_DRAW_ESTIMATE], own[PFX_DRAW_STD_ERROR]);
    kept k = placebo_run(p, 5, 0, REPS, 2);
    for (pfx_idx r = 0; r < REPS; r += 3) {
        pfx_rng rng;
        pfx_rng_start(&rng, 5, PFX_RNG_PLACEBO, (uint64_t)r);
        placebo_draw_units(&w, &rng, treatment);
        check_draw(&w, &q, treatment, k.out[PFX_DRAW_ESTIMATE][r], k.out[PFX_DRAW_STD_ERROR][r]);
    }
    placebo_free_kept(&k);
    pfx_placebo_free(p);
    ref_design_free(q.d);
    free(q.at);
    free(q.firm);
    free(q.year);
    free(q.Z);
    free(ones);
    free(treatment);
    placebo_world_free(&w);
}

static void test_parts(void **state)
{
    (void)state;
    compare_part(PFX_PLACEBO_PERMUTE, false, false);
    compare_part(PFX_PLACEBO_RANDOM_DATE, false, false);
    compare_part(PFX_PLACEBO_PERMUTE, true, false);
    compare_part(PFX_PLACEBO_PERMUTE, false, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
