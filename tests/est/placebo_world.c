#include "tests/est/placebo_world.h"

static double made_value(making m, pfx_idx u, int t)
{
    if (m == CONSTANT) return u % 3 == 0 ? test_uniform(80, (uint64_t)u) : 0;
    if (u % 3) return 0;
    if (m == STAYS) return t >= (u % 21 == 0 ? 0 : 1 + (int)(u / 3 % 5));
    if (m == ON_OFF) return test_uniform(81, (uint64_t)(u * 7 + t)) < 0.5;
    return 5 + test_uniform(82, (uint64_t)(u * 7 + t));
}

/* Regressors that are made of the treatment, into the rows of Z. */
void placebo_rebuild(const world *w, const double *treatment, double *Z)
{
    for (pfx_idx i = 0; i < w->a.n; i++)
        for (int j = 0; j < w->s.n_drawn; j++) Z[i * w->a.p + j] = treatment[i] * w->factor[j * w->a.n + i];
}

static double ssc(const pfx_fit *f)
{
    double G = (double)f->clusters[0].levels, n = (double)f->n_obs;
    return G / (G - 1) * (n - 1) / (n - f->k_adj);
}

pfx_placebo *placebo_prepare_world(const world *w, int nth, pfx_isa isa)
{
    static const char *const drawn[] = {"x0", "x1"};
    pfx_err err = {0};
    pfx_placebo *p = NULL;
    double k = 20, bytes = w->s.max_bytes;
    if (bytes < 0) bytes *= -8.0 * (double)w->d->clusters[0].n_levels * k * k / 2;
    const pfx_placebo_in in = {.d = w->d,
                               .assign = &w->in,
                               .n_drawn = w->s.n_drawn,
                               .drawn = drawn,
                               .factor = w->factor,
                               .tested = w->s.n_drawn - 1,
                               .tol = 1e-12,
                               .maxiter = 10000,
                               .nth = nth,
                               .isa = isa,
                               .std_error = true,
                               .ssc = ssc(w->fit),
                               .max_bytes = bytes,
                               .cross = w->s.cross};
    assert_ok(pfx_placebo_create(&in, w->assign, &p, &err));
    return p;
}

world placebo_world_new(setting s)
{
    world w = {.a = made_panel_new(s.firms, 5), .s = s};
    pfx_err err = {0};
    made_panel *a = &w.a;
    w.treatment = malloc((size_t)a->n * sizeof *w.treatment);
    w.factor = malloc((size_t)(2 * a->n) * sizeof *w.factor);
    w.unit = s.unit == TOWN ? a->town : a->firm;
    w.n_units = s.unit == TOWN ? a->n_towns : a->n_firms;
    for (pfx_idx i = 0; i < a->n; i++) {
        w.treatment[i] = made_value(s.making, w.unit[i], a->year[i]);
        w.factor[i] = 1;
        w.factor[a->n + i] = 1 + test_uniform(83, (uint64_t)i);
    }
    placebo_rebuild(&w, w.treatment, a->Z);
    for (pfx_idx i = 0; i < a->n; i++) a->Z[i * a->p + a->k] += 0.7 * w.treatment[i];
    w.d = made_design(a, s.effects, s.cluster, s.kind);
    w.fit =
        made_fit(made_design(a, s.effects, s.cluster, s.kind), ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST));
    w.in = (pfx_assign_in){.scheme = s.scheme,
                           .n = a->n,
                           .treatment = w.treatment,
                           .n_units = w.n_units,
                           .unit = w.unit,
                           .n_periods = YEARS,
                           .period = a->year,
                           .unit_name = "unit",
                           .treatment_name = "D"};
    assert_ok(pfx_assign_create(&w.in, &w.assign, &err));
    w.p = placebo_prepare_world(&w, 1, pfx_cpu_best());
    return w;
}

void placebo_world_free(world *w)
{
    pfx_placebo_free(w->p);
    pfx_assign_free(w->assign);
    pfx_fit_free(w->fit);
    ref_design_free(w->d);
    free(w->treatment);
    free(w->factor);
    made_panel_free(&w->a);
}

/* ---- the twin: assignments as the declarations define them ---- */

void placebo_grid(const world *w, grid *g)
{
    bool stays = true;
    for (pfx_idx u = 0; u < w->n_units; u++) {
        g->first[u] = YEARS, g->last[u] = -1;
        for (int t = 0; t < YEARS; t++) g->v[u][t] = NAN;
    }
    for (pfx_idx i = 0; i < w->a.n; i++) {
        int u = w->unit[i], t = w->a.year[i];
        g->v[u][t] = w->treatment[i];
        if (t < g->first[u]) g->first[u] = t;
        if (t > g->last[u]) g->last[u] = t;
    }
    for (pfx_idx u = 0; u < w->n_units; u++) {
        for (int t = 0; t < g->first[u]; t++) g->v[u][t] = g->v[u][g->first[u]];
        for (int t = 1; t < YEARS; t++)
            if (isnan(g->v[u][t])) g->v[u][t] = g->v[u][t - 1];
        for (int t = 1; t < YEARS; t++) stays &= g->v[u][t] >= g->v[u][t - 1];
        for (int t = 0; t < YEARS; t++) stays &= g->v[u][t] == 0 || g->v[u][t] == 1;
    }
    for (pfx_idx u = 0; u < w->n_units; u++) g->excluded[u] = stays && g->v[u][0] == 1;
}

bool placebo_is_zero(const double *v)
{
    for (int t = 0; t < YEARS; t++)
        if (v[t] != 0) return false;
    return true;
}

/* Units of one stratum that may exchange. Returns how many, 0 without variation. */
static int stratum_units(const world *w, const grid *g, int first, int last, int *out)
{
    int n = 0;
    bool varies = false;
    for (int u = 0; u < w->n_units; u++)
        if (g->first[u] == first && g->last[u] == last && !g->excluded[u]) out[n++] = u;
    for (int i = 1; i < n; i++) varies |= memcmp(g->v[out[0]], g->v[out[i]], sizeof g->v[0]) != 0;
    return varies ? n : 0;
}

void placebo_draw_units(const world *w, pfx_rng *rng, double *out)
{
    grid *g = malloc(sizeof *g), *new = malloc(sizeof *new);
    placebo_grid(w, g);
    *new = *g;
    for (int first = 0; first < YEARS; first++)
        for (int last = first; last < YEARS; last++) {
            int o[MAX_UNITS], treated[MAX_UNITS], n = stratum_units(w, g, first, last, o), m = 0;
            for (int i = 0; i < n; i++)
                if (!placebo_is_zero(g->v[o[i]])) treated[m++] = o[i];
            for (int i = 0; i < n; i++) memset(new->v[o[i]], 0, sizeof new->v[0]);
            for (int j = 0; j < m; j++) {
                int k = j + (int)pfx_rng_below(rng, n - j), u = o[k], donor = treated[j];
                o[k] = o[j], o[j] = u;
                if (w->s.scheme == PFX_PLACEBO_RANDOM_DATE) donor = treated[pfx_rng_below(rng, m)];
                memcpy(new->v[u], g->v[donor], sizeof g->v[0]);
            }
        }
    for (pfx_idx i = 0; i < w->a.n; i++) out[i] = new->v[w->unit[i]][w->a.year[i]];
    free(g);
    free(new);
}

void placebo_draw_rows(const world *w, pfx_rng *rng, double *out)
{
    pfx_idx *o = malloc((size_t)w->a.n * sizeof *o), *treated = malloc((size_t)w->a.n * sizeof *o);
    memset(out, 0, (size_t)w->a.n * sizeof *out);
    for (int t = 0; t < YEARS; t++) {
        pfx_idx n = 0, m = 0;
        for (pfx_idx i = 0; i < w->a.n; i++) {
            if (w->a.year[i] != t) continue;
            o[n++] = i;
            if (w->treatment[i] != 0) treated[m++] = i;
        }
        for (pfx_idx j = 0; j < m && m < n; j++) {
            pfx_idx k = j + pfx_rng_below(rng, n - j), u = o[k];
            o[k] = o[j], o[j] = u;
            out[u] = w->treatment[treated[j]];
        }
        for (pfx_idx j = 0; j < m && m == n; j++) out[treated[j]] = w->treatment[treated[j]];
    }
    free(o);
    free(treated);
}

/* A literal refit under a treatment; outcome NULL: as it is. */
pfx_fit *placebo_refit(const world *w, const double *treatment, const double *outcome)
{
    made_panel a = w->a;
    a.Z = malloc((size_t)(a.n * a.p) * sizeof *a.Z);
    memcpy(a.Z, w->a.Z, (size_t)(a.n * a.p) * sizeof *a.Z);
    placebo_rebuild(w, treatment, a.Z);
    for (pfx_idx i = 0; outcome && i < a.n; i++) a.Z[i * a.p + a.k] = outcome[i];
    pfx_fit *f = made_fit(made_design(&a, w->s.effects, w->s.cluster, w->s.kind),
                          ref_options(PFX_VCOV_CLUSTER, PFX_SSC_FIXEST));
    free(a.Z);
    return f;
}

/* ---- the program's draws ---- */

static pfx_status keep_put(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, pfx_err *err)
{
    kept *k = ctx;
    (void)err;
    for (int f = 0; f < PFX_PLACEBO_FIELDS; f++)
        memcpy(k->out[f] + first - k->first, field[f], (size_t)n * sizeof(double));
    return PFX_OK;
}

kept placebo_run(const pfx_placebo *p, uint64_t seed, pfx_idx first, pfx_idx last, int nth)
{
    pfx_err err = {0};
    kept k = {.first = first};
    for (int f = 0; f < PFX_PLACEBO_FIELDS; f++) k.out[f] = calloc((size_t)(last - first), sizeof(double));
    const pfx_draw_sink sink = {.ctx = &k, .put = keep_put};
    pfx_rep_run r = {.seed = seed, .first = first, .last = last, .nth = nth, .n_sinks = 1, .sinks = &sink};
    assert_ok(pfx_rep_run_method(pfx_placebo_method(p), &r, &err));
    return k;
}

void placebo_free_kept(kept *k)
{
    for (int f = 0; f < PFX_PLACEBO_FIELDS; f++) free(k->out[f]);
}

void placebo_check_draw(const world *w, const double *treatment, double b, double se, double slope)
{
    const char *term = w->s.n_drawn == 2 ? "x1" : "x0";
    double *truth = malloc((size_t)w->a.n * sizeof *truth);
    for (pfx_idx i = 0; i < w->a.n; i++)
        truth[i] = w->treatment[i] * w->factor[(w->s.n_drawn - 1) * w->a.n + i];
    bool own = treatment == w->treatment; /* the truth on itself would be a perfect fit */
    pfx_fit *f = placebo_refit(w, treatment, NULL), *s = own ? NULL : placebo_refit(w, treatment, truth);
    const pfx_coef *c = ref_coef(f, term);
    assert_rel(b, c->estimate, 1e-10);
    assert_rel(se, c->std_error, 1e-10);
    assert_abs(slope, own ? 1 : ref_coef(s, term)->estimate, 1e-11);
    pfx_fit_free(f);
    pfx_fit_free(s);
    free(truth);
}
