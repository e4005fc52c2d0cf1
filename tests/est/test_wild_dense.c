/* The wild bootstrap beside effects that cross the clusters, against outcomes that are built and fitted
 * again, against the route of cluster statistics where both work, and against itself. */
#include "src/base/mem.h"
#include "src/est/absorb.h"
#include "src/rep/clusterstat.h"
#include "src/rep/wild_cells.h"
#include "tests/est/wild_twin.h"
#include "tests/faults.h"

static void compare_refits(pfx_idx firms, int effects, int cluster, pfx_weights_kind kind,
                           const wild_setting *g)
{
    made_panel a = made_panel_new(firms, 4);
    pfx_design *d = made_design(&a, effects, cluster, kind);
    pfx_clusterstat *s = wild_absorbed(d, 2, wild_terms, 1, pfx_cpu_best());
    pfx_wild_options o = wild_options(g);
    wild_compare(d, s, &o, PFX_VCOV_CLUSTER, d->clusters[0].code, 2, wild_terms, 50, 1e-10);
    if (!g->joint) {
        o.invert = true;
        wild_compare(d, s, &o, PFX_VCOV_CLUSTER, d->clusters[0].code, 2, wild_terms, 50, 1e-10);
    }
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_refits(void **state)
{
    static const wild_setting base = {.type = 11}, wcu = {.type = 11, .unrestricted = true},
                              joint = {.type = 11, .joint = true},
                              joint_wcu = {.type = 11, .joint = true, .unrestricted = true};
    (void)state;
    compare_refits(100, FIRM | YEAR, GROUP, PFX_W_NONE, &base); /* firms cross the groups */
    compare_refits(100, FIRM | YEAR, GROUP, PFX_W_NONE, &wcu);
    compare_refits(100, FIRM | YEAR, GROUP, PFX_W_ANALYTIC, &base);
    compare_refits(100, FIRM | YEAR, GROUP, PFX_W_NONE, &joint);
    compare_refits(100, FIRM | YEAR, GROUP, PFX_W_ANALYTIC, &joint_wcu);
    compare_refits(200, FIRM | YEAR | GROUP, TOWN, PFX_W_NONE, &base);
    compare_refits(200, FIRM | GROUP, TOWN, PFX_W_ANALYTIC, &wcu);
    compare_refits(700, FIRM, GROUP, PFX_W_NONE, &base); /* firms too many for columns */
    compare_refits(90, FIRM | YEAR, FIRM, PFX_W_NONE, &base);
    for (int kind = PFX_WILD_WEBB; kind < PFX_WILD_KINDS; kind++) {
        const wild_setting g = {.type = 11, .weights = (pfx_wild_weights)kind};
        compare_refits(60, FIRM | YEAR, GROUP, PFX_W_NONE, &g);
    }
}

/* Draws of two methods are the same to rounding. */
static void assert_same_draws(const pfx_clusterstat *cells, const pfx_clusterstat *absorbed,
                              const pfx_wild_options *o, pfx_idx reps, double tol)
{
    pfx_err err = {0};
    pfx_wild *w[2] = {0};
    wild_kept k[2];
    for (int i = 0; i < 2; i++) {
        assert_ok(pfx_wild_create(i ? absorbed : cells, o, &w[i], &err));
        assert_int_equal(pfx_wild_describe(w[i])->crossing, i);
        k[i] = wild_run(w[i], 5, 0, reps, 2);
    }
    for (int t = 0; t < k[0].n_tests; t++)
        assert_rel(pfx_wild_describe(w[1])->statistic[t], pfx_wild_describe(w[0])->statistic[t], tol);
    assert_int_equal(k[0].n_fields, k[1].n_fields);
    for (int f = 0; f < k[0].n_fields; f++) {
        double size = 0; /* of the field: n0 and d1 pass through zero */
        for (pfx_idx i = 0; i < reps * k[0].n_tests; i++)
            if (!isnan(k[0].out[f][i])) size = fmax(size, fabs(k[0].out[f][i]));
        for (pfx_idx i = 0; i < reps * k[0].n_tests; i++) {
            assert_int_equal(isnan(k[0].out[f][i]), isnan(k[1].out[f][i]));
            if (!isnan(k[0].out[f][i])) assert_abs(k[1].out[f][i], k[0].out[f][i], tol * size);
        }
    }
    for (int i = 0; i < 2; i++) {
        wild_kept_free(&k[i]);
        pfx_wild_free(w[i]);
    }
}

/* One clustering; boot 0, or weights by another, or errors two-way (c2). */
static void compare_routes(int effects, int c1, int c2, int boot, pfx_weights_kind kind,
                           const wild_setting *g)
{
    pfx_err err = {0};
    pfx_wild_cells *c = NULL;
    pfx_clusterstat *s[2] = {0};
    made_panel a = made_panel_new(150, 3);
    pfx_design *d = made_design(&a, effects, c1, kind);
    if (c2) made_add_factors(d, &a, c2, ref_add_cluster);
    int n_errors = d->n_clusters, weights = boot == c1 ? 0 : boot == c2 ? 1 : n_errors;
    if (weights == n_errors) made_add_factors(d, &a, boot, ref_add_cluster);
    assert_ok(pfx_wild_cells_create(d, n_errors, weights, &c, &err));
    for (int i = 0; i < 2; i++) {
        const pfx_clusterstat_options so = {.n_terms = 2,
                                            .terms = wild_terms,
                                            .tol = 1e-12,
                                            .maxiter = 10000,
                                            .nth = 1,
                                            .isa = pfx_cpu_best(),
                                            .cell = c->simple ? NULL : &c->cell,
                                            .n_within = c->simple ? 0 : 2,
                                            .within = {c->within[0], c->within[1]},
                                            .absorb = i};
        assert_ok(pfx_clusterstat_create(d, &so, &s[i], &err));
    }
    pfx_wild_options o = wild_options(g);
    o.reps = 150;
    o.n_errors = c->n_errors;
    for (int i = 0; i < c->n_errors; i++)
        o.errors[i] = (pfx_wild_errors){.code = c->code[i], .n = c->n[i], .weight = i == 2 ? -1 : 1};
    o.boot = c->boot;
    o.n_boot = c->n_boot;
    assert_same_draws(s[0], s[1], &o, o.reps, 1e-10);
    o.held_bytes = 1; /* by replicates */
    assert_same_draws(s[0], s[1], &o, o.reps, 1e-10);
    if (!g->joint) {
        o.invert = true;
        assert_same_draws(s[0], s[1], &o, o.reps, 1e-10);
    }
    if (c->n[0] <= 7) { /* all patterns of signs */
        pfx_wild *w = NULL;
        assert_ok(pfx_wild_create(s[1], &o, &w, &err));
        assert_true(pfx_wild_describe(w)->enumerated);
        assert_int_equal(pfx_wild_describe(w)->reps, 128);
        pfx_wild_free(w);
    }
    for (int i = 0; i < 2; i++) pfx_clusterstat_free(s[i]);
    pfx_wild_cells_free(c);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_routes(void **state)
{
    static const wild_setting base = {.type = 11}, wcu = {.type = 11, .unrestricted = true},
                              joint = {.type = 11, .joint = true},
                              webb = {.type = 11, .weights = PFX_WILD_WEBB};
    (void)state;
    compare_routes(FIRM | YEAR, FIRM, 0, FIRM, PFX_W_NONE, &base);
    compare_routes(FIRM | YEAR, TOWN, 0, TOWN, PFX_W_ANALYTIC, &webb);
    compare_routes(FIRM | YEAR, GROUP, 0, GROUP, PFX_W_NONE, &base);
    compare_routes(FIRM | GROUP | YEAR, FIRM, 0, FIRM, PFX_W_NONE, &joint);
    compare_routes(YEAR, FIRM, 0, FIRM, PFX_W_ANALYTIC, &wcu);
    compare_routes(0, FIRM, 0, FIRM, PFX_W_NONE, &base);
    compare_routes(FIRM, YEAR, 0, YEAR, PFX_W_NONE, &base); /* enumerated */
    compare_routes(FIRM | YEAR, TOWN, 0, FIRM, PFX_W_NONE, &base);
    compare_routes(FIRM | YEAR, FIRM, 0, TOWN, PFX_W_ANALYTIC, &joint);
    compare_routes(FIRM | YEAR, TOWN, GROUP, TOWN, PFX_W_NONE, &base);
    compare_routes(YEAR, TOWN, GROUP, FIRM, PFX_W_ANALYTIC, &webb);
}

/* The types that leave clusters out: where effects are nested or columns, the route of cluster statistics. */
static void test_types(void **state)
{
    (void)state;
    for (int type = 13; type <= 33; type += type == 13 ? 18 : 2)
        for (int how = 0; how < 4; how++) {
            const wild_setting g = {.type = type, .unrestricted = how == 1, .joint = how == 2};
            compare_routes(FIRM | YEAR, FIRM, 0, FIRM, how == 3 ? PFX_W_ANALYTIC : PFX_W_NONE, &g);
            compare_routes(FIRM | YEAR, TOWN, 0, TOWN, how == 0 ? PFX_W_ANALYTIC : PFX_W_NONE, &g);
            compare_routes(0, TOWN, 0, TOWN, PFX_W_NONE, &g);
            compare_routes(FIRM, TOWN, 0, FIRM, PFX_W_NONE, &g); /* weights by sub-clusters */
        }
}

/* One cluster alone identifies a coefficient, tested (x2) or not (x1): both routes take the same for it. */
static void test_singular(void **state)
{
    (void)state;
    for (int column = 1; column <= 2; column++)
        for (int how = 0; how < 6; how++) {
            static const int types[] = {13, 31, 33};
            const wild_setting g = {.type = types[how / 2], .unrestricted = how % 2};
            pfx_err err = {0};
            made_panel a = made_panel_new(40, 3);
            for (pfx_idx i = 0; i < a.n; i++) a.Z[i * a.p + column] *= a.firm[i] == 4;
            pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_ANALYTIC);
            pfx_clusterstat *cells = wild_statistics(d, 2, wild_terms, 1, pfx_cpu_best()),
                            *absorbed = wild_absorbed(d, 2, wild_terms, 1, pfx_cpu_best());
            const pfx_wild_options o = wild_options(&g);
            assert_same_draws(cells, absorbed, &o, 50, 1e-9);
            for (int i = 0; i < 2 && g.type % 10 == 3; i++) {
                pfx_wild *w = NULL;
                assert_ok(pfx_wild_create(i ? absorbed : cells, &o, &w, &err));
                if (column == 2) assert_int_equal(pfx_wild_describe(w)->n_singular, 1);
                if (column == 2) assert_int_equal(pfx_wild_describe(w)->first_singular, 4);
                pfx_wild_free(w);
            }
            pfx_clusterstat_free(cells);
            pfx_clusterstat_free(absorbed);
            ref_design_free(d);
            made_panel_free(&a);
        }
}

/* Effects as dummies, the first level of all but the first effect left out; no effects are absorbed. */
static pfx_design *with_dummies(const pfx_design *d)
{
    int p = d->p, at = 0;
    for (int e = 0; e < d->n_absorbed; e++) p += (int)d->absorbed[e].factor.n_levels - (e > 0);
    double *Z = calloc((size_t)(d->n * p), sizeof *Z);
    for (int e = 0; e < d->n_absorbed; e++) {
        const pfx_factor *f = &d->absorbed[e].factor;
        for (pfx_idx i = 0; i < d->n; i++) {
            int to = at + f->code[i] - (e > 0);
            if (e == 0 || f->code[i] > 0) Z[i * p + to] = 1;
        }
        at += (int)f->n_levels - (e > 0);
    }
    for (pfx_idx i = 0; i < d->n; i++) memcpy(Z + i * p + at, d->Z + i * d->p, (size_t)d->p * sizeof *Z);
    pfx_design *out = ref_design_new(d->n, p, Z, false);
    for (int j = 0; j < p; j++) {
        char name[24];
        snprintf(name, sizeof name, "effect%d", j);
        pfx_mem_free(out->name[j]);
        out->name[j] = pfx_mem_strdup(j < at ? name : d->name[j - at], NULL);
    }
    for (int c = 0; c < d->n_clusters; c++)
        ref_add_cluster(out, d->clusters[c].name, d->clusters[c].n_levels, d->clusters[c].code);
    out->weights_kind = d->weights_kind;
    if (d->w) {
        out->w = pfx_mem_alloc(d->n, sizeof *out->w, NULL);
        memcpy(out->w, d->w, (size_t)d->n * sizeof *d->w);
    }
    free(Z);
    return out;
}

/* Every level of the effects lies in several clusters, so that refits without one of them say it all. */
static void compare_left_out(int effects, pfx_weights_kind kind, const wild_setting *g)
{
    made_panel a = made_panel_new(40, 3);
    for (pfx_idx i = 0; i < a.n; i++) {
        a.group[i] = (a.firm[i] / 3 + a.year[i]) % 9;
        a.industry[i] = (a.firm[i] + 2 * a.year[i]) % 5; /* crosses firms and groups */
    }
    a.n_groups = 9;
    a.n_industries = 5;
    pfx_design *d = made_design(&a, effects, GROUP, kind), *dummies = with_dummies(d);
    pfx_clusterstat *s = wild_absorbed(d, 2, wild_terms, 1, pfx_cpu_best());
    pfx_wild_options o = wild_options(g);
    o.reps = 20;
    assert_non_null(s->absorber);
    wild_compare(dummies, s, &o, PFX_VCOV_CLUSTER, dummies->clusters[0].code, 2, wild_terms, 20, 1e-9);
    o.held_bytes = 1;
    wild_compare(dummies, s, &o, PFX_VCOV_CLUSTER, dummies->clusters[0].code, 2, wild_terms, 20, 1e-9);
    if (!g->joint) {
        o.invert = true;
        wild_compare(dummies, s, &o, PFX_VCOV_CLUSTER, dummies->clusters[0].code, 2, wild_terms, 20, 1e-9);
    }
    pfx_clusterstat_free(s);
    ref_design_free(d);
    ref_design_free(dummies);
    made_panel_free(&a);
}

static void test_left_out(void **state)
{
    (void)state;
    for (int type = 13; type <= 33; type += type == 13 ? 18 : 2)
        for (int how = 0; how < 4; how++) {
            const wild_setting g = {.type = type, .unrestricted = how == 1, .joint = how >= 2};
            compare_left_out(FIRM | YEAR, how % 2 ? PFX_W_ANALYTIC : PFX_W_NONE, &g);
            if (how == 0) compare_left_out(FIRM | YEAR | INDUSTRY, PFX_W_ANALYTIC, &g);
        }
}

static void test_same_bits(void **state)
{
    static const pfx_idx ranges[][2] = {{0, 700}, {0, 1}, {191, 193}, {100, 699}};
    static const wild_setting how[] = {
        {.type = 11}, {.type = 11, .joint = true, .weights = PFX_WILD_WEBB}, {.type = 33}, {.type = 13}};
    (void)state;
    made_panel a = made_panel_new(250, 4);
    pfx_design *d = made_design(&a, FIRM | YEAR | GROUP, TOWN, PFX_W_NONE);
    for (size_t h = 0; h < sizeof how / sizeof *how; h++) {
        wild_kept whole = {0};
        for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++)
            for (int nth = 1; nth <= 7 && pfx_cpu_has(isa); nth += nth < 3 ? 1 : 4) {
                pfx_err err = {0};
                pfx_wild *w = NULL;
                pfx_clusterstat *s = wild_absorbed(d, 2, wild_terms, nth, isa);
                pfx_wild_options o = wild_options(&how[h]);
                o.isa = isa;
                o.nth = nth;
                o.invert = h == 0;
                if (h == 3) o.held_bytes = 1; /* by replicates */
                assert_ok(pfx_wild_create(s, &o, &w, &err));
                assert_int_equal(pfx_wild_describe(w)->by_reps, h == 3);
                if (!whole.n_fields) whole = wild_run(w, 9, 0, 700, 1);
                wild_assert_slices(w, &whole, 9, sizeof ranges / sizeof *ranges, ranges, nth);
                pfx_wild_free(w);
                pfx_clusterstat_free(s);
            }
        wild_kept_free(&whole);
    }
    ref_design_free(d);
    made_panel_free(&a);
}

/* The design's own columns, given as if they were others. */
static void compare_projection(pfx_idx firms, int effects, pfx_weights_kind kind)
{
    pfx_err err = {0};
    pfx_absorber *absorber = NULL;
    const pfx_absorb_options o = {.tol = 1e-12, .maxiter = 10000, .nth = 2, .isa = pfx_cpu_best()};
    made_panel a = made_panel_new(firms, 4);
    pfx_design *d = made_design(&a, effects, FIRM, kind);
    assert_ok(pfx_absorber_create(d, &o, &absorber, &err));
    double *want = calloc((size_t)(d->n * d->p), sizeof *want),
           *got = calloc((size_t)(d->n * d->p), sizeof *got);
    for (pfx_idx b = 0; b < pfx_absorber_n_blocks(absorber); b++) {
        pfx_idx row, n;
        pfx_absorber_block_rows(absorber, b, &row, &n);
        pfx_absorber_block(absorber, b, want + row * d->p);
    }
    assert_ok(pfx_absorber_project(absorber, d->p, d->Z, got, &err));
    for (pfx_idx i = 0; i < d->n * d->p; i++) assert_abs(got[i], want[i], 1e-11);
    free(want);
    free(got);
    pfx_absorber_free(absorber);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_projection(void **state)
{
    (void)state;
    compare_projection(50, FIRM, PFX_W_NONE);
    compare_projection(50, FIRM | YEAR, PFX_W_ANALYTIC);
    compare_projection(300, FIRM | YEAR | GROUP | INDUSTRY, PFX_W_NONE);
    compare_projection(1500, 0, PFX_W_NONE); /* one level that takes several blocks */
    compare_projection(1500, GROUP | TOWN, PFX_W_ANALYTIC);
}

static void test_refusals(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_wild *w = NULL;
    pfx_idx columns = 0;
    made_panel a = made_panel_new(60, 4);
    pfx_design *d = made_design(&a, FIRM | YEAR, GROUP, PFX_W_NONE);
    pfx_clusterstat *s = wild_absorbed(d, 2, wild_terms, 1, pfx_cpu_best());
    pfx_wild_options o = wild_options(&(wild_setting){.type = 11});
    o.max_bytes = 10000;
    assert_fails(pfx_wild_create(s, &o, &w, &err), PFX_ENOMEM, "29 clusters, 29 bootstrap clusters");
    pfx_clusterstat_free(s);
    made_panel many = made_panel_new(700, 4);
    pfx_design *firms = made_design(&many, FIRM | YEAR, FIRM, PFX_W_NONE);
    s = wild_absorbed(firms, 2, wild_terms, 1, pfx_cpu_best());
    o.reps = 100000;
    o.max_bytes = 60e6;
    for (int small = 0; small < 2; small++) { /* 700 by 700 is too much: by replicates */
        o.held_bytes = small ? 3e6 : 30e6;
        assert_ok(pfx_wild_create(s, &o, &w, &err));
        assert_int_equal(pfx_wild_describe(w)->by_reps, small);
        pfx_wild_free(w);
        w = NULL;
    }
    ref_design_free(firms);
    made_panel_free(&many);
    /* 59 firms and 6 years, were they columns */
    const pfx_clusterstat_options so = {.n_terms = 2, .terms = wild_terms};
    assert_ok(pfx_clusterstat_columns(d, &so, &columns, &err));
    assert_int_equal(columns, 65);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

/* Every allocation failing in turn leaves nothing behind. */
static void test_allocations(void **state)
{
    (void)state;
    made_panel a = made_panel_new(30, 3);
    pfx_design *d = made_design(&a, FIRM | YEAR, GROUP, PFX_W_ANALYTIC);
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        pfx_wild *w = NULL;
        pfx_clusterstat *s = NULL;
        const pfx_clusterstat_options so = {.n_terms = 2,
                                            .terms = wild_terms,
                                            .tol = 1e-12,
                                            .maxiter = 100,
                                            .nth = 1,
                                            .isa = pfx_cpu_best(),
                                            .absorb = true};
        pfx_wild_options o = wild_options(&(wild_setting){.type = 33, .joint = true});
        o.nth = 1;
        pfx_status st = pfx_clusterstat_create(d, &so, &s, &err);
        if (st == PFX_OK) st = pfx_wild_create(s, &o, &w, &err);
        pfx_rep_run r = {.seed = 1, .last = 10, .nth = 1};
        if (st == PFX_OK) st = pfx_rep_run_method(pfx_wild_method(w), &r, &err);
        pfx_wild_free(w);
        pfx_clusterstat_free(s);
        test_faults_done(&f, st);
    }
    ref_design_free(d);
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_projection),  cmocka_unit_test(test_refits),
        cmocka_unit_test(test_routes),      cmocka_unit_test(test_types),
        cmocka_unit_test(test_left_out),    cmocka_unit_test(test_singular),
        cmocka_unit_test(test_same_bits),   cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
