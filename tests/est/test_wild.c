/* The wild bootstrap against outcomes that are literally built and fitted again, against enumeration, and
 * against itself: threads, ranges, instruction sets, routes. */
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/rep/clusterstat.h"
#include "src/rep/wild.h"
#include "src/rep/wild_cells.h"
#include "src/rep/wild_summary.h"
#include "tests/est/wild_twin.h"
#include "tests/faults.h"

static void compare_refits(pfx_idx firms, int effects, int cluster, pfx_weights_kind kind,
                           const wild_setting *g)
{
    made_panel a = made_panel_new(firms, 4);
    pfx_design *d = made_design(&a, effects, cluster, kind);
    pfx_clusterstat *s = wild_statistics(d, 2, wild_terms, 1, pfx_cpu_best());
    pfx_wild_options o = wild_options(g);
    wild_compare(d, s, &o, PFX_VCOV_CLUSTER, d->clusters[0].code, 2, wild_terms, 50, 1e-10);
    if (!g->joint) { /* the other null: same draws from the null polynomials' route */
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
                              joint = {.type = 11, .joint = true};
    static const wild_setting joint_wcu = {.type = 11, .joint = true, .unrestricted = true};
    (void)state;
    compare_refits(100, FIRM | YEAR, FIRM, PFX_W_NONE, &base);
    compare_refits(100, FIRM | YEAR, FIRM, PFX_W_NONE, &wcu);
    compare_refits(100, FIRM | YEAR, FIRM, PFX_W_NONE, &joint);
    compare_refits(100, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, &joint_wcu);
    compare_refits(100, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, &base);
    compare_refits(200, FIRM | YEAR, TOWN, PFX_W_NONE, &base);
    compare_refits(200, FIRM | YEAR, TOWN, PFX_W_ANALYTIC, &wcu);
    compare_refits(100, FIRM | YEAR | INDUSTRY, FIRM, PFX_W_NONE, &base);
    compare_refits(150, FIRM | GROUP | YEAR, FIRM, PFX_W_NONE, &base);
    compare_refits(100, YEAR, FIRM, PFX_W_NONE, &base);
    compare_refits(100, 0, FIRM, PFX_W_NONE, &wcu);
    compare_refits(1100, YEAR, FIRM, PFX_W_NONE, &base); /* more clusters than one chunk */
    for (int kind = PFX_WILD_WEBB; kind < PFX_WILD_KINDS; kind++) {
        const wild_setting g = {.type = 11, .weights = (pfx_wild_weights)kind},
                           j = {.type = 11, .joint = true, .weights = g.weights};
        compare_refits(100, FIRM | YEAR, FIRM, PFX_W_NONE, &g);
        compare_refits(600, YEAR, FIRM, PFX_W_ANALYTIC, &g);
        compare_refits(100, FIRM | YEAR, FIRM, PFX_W_ANALYTIC, &j);
    }
}

/* Within-firm demeaned columns and year dummies, by loops: a design without effects for the types that refit.
 */
static pfx_design *demeaned(const made_panel *a, int cluster, pfx_weights_kind kind)
{
    int p = a->k + (int)a->n_years; /* dummies of all years but one */
    double *Z = calloc((size_t)(a->n * p), sizeof *Z);
    for (pfx_idx i = 0; i < a->n; i++) {
        memcpy(Z + i * p, a->Z + i * a->p, (size_t)a->k * sizeof *Z);
        if (a->year[i] > 0) Z[i * p + a->k + a->year[i] - 1] = 1;
        Z[i * p + p - 1] = a->Z[i * a->p + a->k];
    }
    for (pfx_idx f0 = 0, f1; f0 < a->n; f0 = f1) {
        for (f1 = f0; f1 < a->n && a->firm[f1] == a->firm[f0];) f1++;
        for (int j = 0; j < p; j++) {
            double sum = 0, weight = 0;
            for (pfx_idx i = f0; i < f1; i++) {
                double w = kind == PFX_W_NONE ? 1 : a->w[i];
                sum += w * Z[i * p + j];
                weight += w;
            }
            for (pfx_idx i = f0; i < f1; i++) Z[i * p + j] -= sum / weight;
        }
    }
    pfx_design *d = ref_design_new(a->n, p, Z, false);
    made_add_factors(d, a, cluster, ref_add_cluster);
    if (kind != PFX_W_NONE) {
        d->weights_kind = kind;
        d->w = pfx_mem_alloc(a->n, sizeof *d->w, NULL);
        memcpy(d->w, a->w, (size_t)a->n * sizeof *d->w);
    }
    free(Z);
    return d;
}

static void test_types(void **state)
{
    static const int types[] = {11, 13, 31, 33};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (int u = 0; u < 2; u++)
            for (int j = 0; j < 2; j++) {
                const wild_setting g = {.type = types[i],
                                        .unrestricted = u,
                                        .joint = j,
                                        .weights = i ? PFX_WILD_RADEMACHER : PFX_WILD_WEBB};
                for (int town = 0; town < 2; town++) {
                    pfx_weights_kind kind = town ? PFX_W_ANALYTIC : PFX_W_NONE;
                    made_panel a = made_panel_new(town ? 90 : 14, 4);
                    pfx_design *slow = demeaned(&a, town ? TOWN : FIRM, kind);
                    pfx_design *d = made_design(&a, FIRM | YEAR, town ? TOWN : FIRM, kind);
                    pfx_clusterstat *s = wild_statistics(d, 2, wild_terms, 1, pfx_cpu_best());
                    pfx_wild_options o = wild_options(&g);
                    wild_compare(slow, s, &o, PFX_VCOV_CLUSTER, slow->clusters[0].code, 2, wild_terms, 50,
                                 2e-10);
                    pfx_clusterstat_free(s);
                    ref_design_free(d);
                    ref_design_free(slow);
                    made_panel_free(&a);
                }
            }
}

/* Clusterings of the variance (c2: 0 for one) and of the weights that are not the same: cells are the
 * intersection. */
static void compare_cells(pfx_idx firms, int effects, int c1, int c2, int boot, pfx_weights_kind kind,
                          const wild_setting *g)
{
    pfx_err err = {0};
    pfx_wild_cells *c = NULL;
    pfx_clusterstat *s = NULL;
    made_panel a = made_panel_new(firms, 3);
    pfx_design *d = made_design(&a, effects, c1, kind);
    if (c2) made_add_factors(d, &a, c2, ref_add_cluster);
    int n_errors = d->n_clusters, weights = boot == c1 ? 0 : boot == c2 ? 1 : n_errors;
    if (weights == n_errors) made_add_factors(d, &a, boot, ref_add_cluster);
    assert_ok(pfx_wild_cells_create(d, n_errors, weights, &c, &err));
    assert_false(c->simple);
    const pfx_clusterstat_options so = {.n_terms = 2,
                                        .terms = wild_terms,
                                        .tol = 1e-12,
                                        .maxiter = 10000,
                                        .nth = 1,
                                        .isa = pfx_cpu_best(),
                                        .cell = &c->cell,
                                        .n_within = 2,
                                        .within = {c->within[0], c->within[1]}};
    assert_ok(pfx_clusterstat_create(d, &so, &s, &err));
    pfx_wild_options o = wild_options(g);
    o.n_errors = c->n_errors;
    for (int i = 0; i < c->n_errors; i++)
        o.errors[i] = (pfx_wild_errors){.code = c->code[i], .n = c->n[i], .weight = i == 2 ? -1 : 1};
    o.boot = c->boot;
    o.n_boot = c->n_boot;
    int32_t *codes = malloc((size_t)d->n * sizeof *codes);
    memcpy(codes, d->clusters[weights].code, (size_t)d->n * sizeof *codes);
    pfx_vcov_type vcov = c2 ? PFX_VCOV_TWOWAY : PFX_VCOV_CLUSTER;
    wild_compare(d, s, &o, vcov, codes, 2, wild_terms, 50, 2e-10);
    if (!g->joint) {
        o.invert = true;
        wild_compare(d, s, &o, vcov, codes, 2, wild_terms, 50, 2e-10);
    }
    free(codes);
    pfx_wild_cells_free(c);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

static void test_cells(void **state)
{
    static const wild_setting base = {.type = 11}, wcu = {.type = 11, .unrestricted = true};
    static const wild_setting joint = {.type = 11, .joint = true},
                              webb = {.type = 11, .weights = PFX_WILD_WEBB};
    (void)state;
    compare_cells(150, FIRM | YEAR, TOWN, 0, FIRM, PFX_W_NONE, &base); /* sub-clusters */
    compare_cells(150, TOWN | YEAR, TOWN, 0, FIRM, PFX_W_ANALYTIC, &wcu);
    compare_cells(150, FIRM | YEAR, TOWN, 0, FIRM, PFX_W_NONE, &joint);
    compare_cells(150, YEAR, TOWN, 0, FIRM, PFX_W_NONE, &webb);
    compare_cells(150, FIRM | YEAR, FIRM, 0, TOWN, PFX_W_NONE, &base); /* coarser */
    compare_cells(150, YEAR, FIRM, 0, TOWN, PFX_W_ANALYTIC, &webb);
    compare_cells(150, YEAR, INDUSTRY, 0, GROUP, PFX_W_NONE, &base);       /* crossed */
    compare_cells(300, YEAR, TOWN, GROUP, TOWN, PFX_W_NONE, &base);        /* two-way, by the first */
    compare_cells(600, FIRM | YEAR, TOWN, GROUP, TOWN, PFX_W_NONE, &base); /* firms too many for columns */
    compare_cells(150, FIRM | YEAR, FIRM, GROUP, FIRM, PFX_W_ANALYTIC, &base);
    compare_cells(300, YEAR, TOWN, GROUP, GROUP, PFX_W_ANALYTIC, &webb);
    compare_cells(300, YEAR, TOWN, GROUP, FIRM, PFX_W_NONE, &wcu);
}

static void test_same_bits(void **state)
{
    static const pfx_idx ranges[][2] = {{0, 4500}, {0, 1}, {191, 193}, {2039, 2041}, {100, 4499}};
    static const wild_setting how[] = {{.type = 11},
                                       {.type = 11, .weights = PFX_WILD_WEBB},
                                       {.type = 33, .joint = true},
                                       {.type = 31, .weights = PFX_WILD_GAMMA}};
    (void)state;
    made_panel a = made_panel_new(333, 4);
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
    for (size_t h = 0; h < sizeof how / sizeof *how; h++) {
        wild_kept whole = {0};
        for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
            if (!pfx_cpu_has(isa)) continue;
            for (int nth = 1; nth <= 7; nth += nth < 3 ? 1 : 4) {
                pfx_err err = {0};
                pfx_wild *w = NULL;
                pfx_clusterstat *s = wild_statistics(d, 2, wild_terms, nth, isa);
                pfx_wild_options o = wild_options(&how[h]);
                o.isa = isa;
                o.nth = nth;
                o.invert = h < 2;
                assert_ok(pfx_wild_create(s, &o, &w, &err));
                if (!whole.n_fields) whole = wild_run(w, 9, 0, 4500, 1);
                wild_assert_slices(w, &whole, 9, sizeof ranges / sizeof *ranges, ranges, nth);
                pfx_wild_free(w);
                pfx_clusterstat_free(s);
            }
        }
        wild_kept_free(&whole);
    }
    ref_design_free(d);
    made_panel_free(&a);
}

/* p-values of a set of draws. */
static pfx_wild_out summary(const pfx_wild *w, const wild_kept *k, pfx_idx reps, int t, double b,
                            pfx_wild_p kind)
{
    pfx_err err = {0};
    pfx_wild_out out;
    const pfx_wild_info *info = pfx_wild_describe(w);
    pfx_wild_in in = {.reps = reps,
                      .stride = k->n_tests,
                      .t = k->out[PFX_DRAW_STATISTIC] + t,
                      .statistic = info->statistic[t],
                      .estimate = b,
                      .std_error = info->std_error[t],
                      .level = 0.95,
                      .kind = kind,
                      .nth = 2,
                      .isa = pfx_cpu_best()};
    if (k->n_fields == WILD_FIELDS) {
        const double *const *x = (const double *const *)k->out + PFX_DRAW_FIELDS;
        in.n0 = x[0] + t, in.n1 = x[1] + t, in.d0 = x[2] + t, in.d1 = x[3] + t, in.d2 = x[4] + t;
    }
    assert_ok(pfx_wild_summarise(&in, &out, &err));
    return out;
}

/* All 256 sign patterns of the eight years, against boottest's published t, interval and count. */
static void test_enumerated_collapsed(void **state)
{
    static const char *const terms[] = {"post_self"};
    static const double null[] = {0.04};
    const ref_spec spec = {.y = "hasinsurance", .x = "selfemployed post post_self", .clusters = "year"};
    (void)state;
    SKIP_WITHOUT("collapsed.csv");
    pfx_err err = {0};
    ref_table *t = ref_read(test_refdata("collapsed.csv"));
    pfx_design *d = ref_design(t, &spec);
    pfx_clusterstat *s = wild_statistics(d, 1, terms, 1, pfx_cpu_best());
    pfx_wild *w = NULL;
    pfx_wild_options o = wild_options(&(wild_setting){.type = 11});
    o.null = null;
    o.reps = 999;
    o.invert = true;
    o.errors[0].weight = 8.0 / 7 * 15 / 12;
    assert_ok(pfx_wild_create(s, &o, &w, &err));
    const pfx_wild_info *info = pfx_wild_describe(w);
    assert_true(info->enumerated);
    assert_int_equal(info->reps, 256);
    assert_rel(info->statistic[0], 2.0194206532, 1e-10);
    wild_kept k = wild_run(w, 1, 0, 256, 1);
    pfx_wild_out r = summary(w, &k, 256, 0, s->b[0], PFX_P_SYMMETRIC);
    assert_int_equal(r.valid, 256);
    assert_int_equal(r.count, 18);
    assert_int_equal(r.ties, 2);
    assert_rel(r.p_value, 18.0 / 256, 1e-15);
    assert_rel(r.p_value_ties, 20.0 / 256, 1e-15);
    assert_int_equal(r.n_sets, 1);
    /* boottest prints [.03874, .07098], where its search ends; p stays at 14 of 256 out to these steps: */
    assert_true(r.low[0] > 0.0382 && r.low[0] < 0.03822 && r.high[0] > 0.0712 && r.high[0] < 0.0716);
    wild_kept_free(&k);
    pfx_wild_free(w);
    pfx_clusterstat_free(s);
    ref_design_free(d);
    ref_free(t);
}

/* The ends of the set: nulls just inside are accepted, just outside rejected, by draws made for that null
 * alone. */
static void check_ends(const pfx_clusterstat *s, const wild_setting *g, pfx_wild_p kind)
{
    pfx_err err = {0};
    pfx_wild *w = NULL;
    pfx_wild_options o = wild_options(g);
    o.reps = 1000;
    o.invert = true;
    assert_ok(pfx_wild_create(s, &o, &w, &err));
    wild_kept k = wild_run(w, 3, 0, 1000, 2);
    pfx_wild_out set = summary(w, &k, 1000, 1, s->b[1], kind);
    double se = pfx_wild_describe(w)->std_error[1];
    wild_kept_free(&k);
    pfx_wild_free(w);
    assert_int_equal(set.n_sets, 1);
    assert_int_equal(set.low[0] == -INFINITY, kind == PFX_P_LEFT);
    assert_int_equal(set.high[0] == INFINITY, kind == PFX_P_RIGHT);
    for (int end = 0; end < 2; end++)
        for (int side = -1; side <= 1; side += 2) {
            double null[2] = {0, (end ? set.high[0] : set.low[0]) + 1e-6 * side * se};
            if (isinf(null[1])) continue;
            o.null = null;
            o.invert = false;
            assert_ok(pfx_wild_create(s, &o, &w, &err));
            k = wild_run(w, 3, 0, 1000, 2);
            pfx_wild_out p = summary(w, &k, 1000, 1, s->b[1], kind);
            if ((end == 0) == (side > 0))
                assert_true(p.p_value >= 0.05 * (1 - 1e-9));
            else
                assert_true(p.p_value < 0.05);
            wild_kept_free(&k);
            pfx_wild_free(w);
        }
}

static void test_inversion(void **state)
{
    static const wild_setting base = {.type = 11}, wcu = {.type = 11, .unrestricted = true},
                              both = {.type = 33, .weights = PFX_WILD_WEBB};
    (void)state;
    made_panel a = made_panel_new(60, 4);
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_ANALYTIC);
    pfx_clusterstat *s = wild_statistics(d, 2, wild_terms, 1, pfx_cpu_best());
    for (int kind = 0; kind < PFX_P_KINDS; kind++) {
        check_ends(s, &base, (pfx_wild_p)kind);
        check_ends(s, &wcu, (pfx_wild_p)kind);
        check_ends(s, &both, (pfx_wild_p)kind);
    }
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

/* Counts of made-up draws, by eye: ties, both tails, draws that are not valid. */
static void test_p_values(void **state)
{
    const double t[10] = {-3, -2, 2, 2 + 1e-12, 1, 0, NAN, 2.5, -1, -2.5};
    const double want[PFX_P_KINDS] = {3.0 / 9, 2.0 / 9, 6.0 / 9,
                                      1.0 / 9}; /* left: not the two ties, not 2.5 */
    pfx_err err = {0};
    pfx_wild_out out;
    (void)state;
    for (int kind = 0; kind < PFX_P_KINDS; kind++) {
        const pfx_wild_in in = {
            .reps = 10, .stride = 1, .t = t, .statistic = 2, .level = 0.95, .kind = (pfx_wild_p)kind};
        assert_ok(pfx_wild_summarise(&in, &out, &err));
        assert_int_equal(out.valid, 9);
        for (int i = 0; i < PFX_P_KINDS; i++) assert_rel(out.p[i], want[i], 1e-15);
        assert_int_equal(out.n_sets, 0);
        assert_true(out.p_low <= out.p_value && out.p_value <= out.p_high);
    }
    /* R: binom.test(3, 9)$conf.int */
    const pfx_wild_in in = {.reps = 10, .stride = 1, .t = t, .statistic = 2, .level = 0.95};
    assert_ok(pfx_wild_summarise(&in, &out, &err));
    assert_int_equal(out.count, 3);
    assert_int_equal(out.ties, 3);
    assert_abs(out.p_low, 0.0748543, 1e-6);
    assert_abs(out.p_high, 0.7007051, 1e-6);
}

static void test_refusals(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_wild *w = NULL;
    made_panel a = made_panel_new(30, 3);
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_NONE);
    pfx_clusterstat *s = wild_statistics(d, 2, wild_terms, 1, pfx_cpu_best());
    pfx_wild_options o = wild_options(&(wild_setting){.type = 12});
    assert_fails(pfx_wild_create(s, &o, &w, &err), PFX_EUSAGE, "want 11, 13, 31 or 33");
    o.type = 31;
    o.n_errors = 3;
    assert_fails(pfx_wild_create(s, &o, &w, &err), PFX_EUSAGE, "takes one cluster variable");
    o.type = 11;
    o.n_errors = 1;
    o.joint = o.invert = true;
    assert_fails(pfx_wild_create(s, &o, &w, &err), PFX_EUSAGE, "no confidence interval");
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

/* Every allocation failing in turn leaves nothing behind. */
static void test_allocations(void **state)
{
    (void)state;
    made_panel a = made_panel_new(20, 3);
    pfx_design *d = made_design(&a, FIRM | YEAR, FIRM, PFX_W_ANALYTIC);
    pfx_clusterstat *s = wild_statistics(d, 2, wild_terms, 1, pfx_cpu_best());
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        pfx_wild *w = NULL;
        pfx_wild_options o = wild_options(&(wild_setting){.type = 33, .joint = true});
        o.nth = 1;
        pfx_status st = pfx_wild_create(s, &o, &w, &err);
        pfx_rep_run r = {.seed = 1, .last = 10, .nth = 1};
        if (st == PFX_OK) st = pfx_rep_run_method(pfx_wild_method(w), &r, &err);
        pfx_wild_free(w);
        test_faults_done(&f, st);
    }
    pfx_clusterstat_free(s);
    ref_design_free(d);
    made_panel_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refits),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_enumerated_collapsed),
        cmocka_unit_test(test_inversion),
        cmocka_unit_test(test_p_values),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
