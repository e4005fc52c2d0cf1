#include "tests/est/wild_twin.h"

#include "src/base/mem.h"

static pfx_clusterstat *statistics(const pfx_design *d, int n_terms, const char *const *terms, int nth,
                                   pfx_isa isa, bool absorb)
{
    pfx_err err = {0};
    pfx_clusterstat *s = NULL;
    const pfx_clusterstat_options o = {.n_terms = n_terms,
                                       .terms = terms,
                                       .tol = 1e-12,
                                       .maxiter = 10000,
                                       .nth = nth,
                                       .isa = isa,
                                       .absorb = absorb};
    assert_ok(pfx_clusterstat_create(d, &o, &s, &err));
    return s;
}

pfx_clusterstat *wild_statistics(const pfx_design *d, int n_terms, const char *const *terms, int nth,
                                 pfx_isa isa)
{
    return statistics(d, n_terms, terms, nth, isa, false);
}

pfx_clusterstat *wild_absorbed(const pfx_design *d, int n_terms, const char *const *terms, int nth,
                               pfx_isa isa)
{
    return statistics(d, n_terms, terms, nth, isa, true);
}

static pfx_status keep_put(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, pfx_err *err)
{
    wild_kept *k = ctx;
    (void)err;
    for (int f = 0; f < k->n_fields; f++)
        memcpy(k->out[f] + (first - k->first) * k->n_tests, field[f],
               (size_t)(n * k->n_tests) * sizeof(double));
    return PFX_OK;
}

wild_kept wild_run(const pfx_wild *w, uint64_t seed, pfx_idx first, pfx_idx last, int nth)
{
    pfx_err err = {0};
    const pfx_rep_method *m = pfx_wild_method(w);
    wild_kept k = {.n_tests = m->n_terms, .n_fields = PFX_DRAW_FIELDS + m->n_extra, .first = first};
    for (int f = 0; f < k.n_fields; f++)
        k.out[f] = calloc((size_t)((last - first) * m->n_terms), sizeof(double));
    const pfx_draw_sink sink = {.ctx = &k, .put = keep_put};
    pfx_rep_run r = {.seed = seed, .first = first, .last = last, .nth = nth, .n_sinks = 1, .sinks = &sink};
    assert_ok(pfx_rep_run_method(m, &r, &err));
    assert_int_equal(r.done, last - first);
    return k;
}

void wild_kept_free(wild_kept *k)
{
    for (int f = 0; f < k->n_fields; f++) free(k->out[f]);
}

void wild_assert_slices(const pfx_wild *w, const wild_kept *whole, uint64_t seed, int n,
                        const pfx_idx (*range)[2], int nth)
{
    for (int i = 0; i < n; i++) {
        pfx_idx first = range[i][0], many = range[i][1] - first;
        wild_kept part = wild_run(w, seed, first, range[i][1], nth);
        for (int f = 0; f < part.n_fields; f++)
            assert_same_bits(part.out[f], whole->out[f] + first * part.n_tests, many * part.n_tests);
        wild_kept_free(&part);
    }
}

/* A copy of a design with another outcome, and without column `drop` (-1: with all); rows of cluster `leave`
 * of the first cluster variable are left out (-1: none). */
static pfx_design *rebuilt(const pfx_design *d, const double *y, int drop, int leave)
{
    pfx_idx n = 0;
    int p = d->p - (drop >= 0);
    double *Z = calloc((size_t)(d->n * p), sizeof *Z), *w = calloc((size_t)d->n, sizeof *w);
    pfx_idx *from = calloc((size_t)d->n, sizeof *from);
    int32_t *code = calloc((size_t)d->n, sizeof *code);
    for (pfx_idx i = 0; i < d->n; i++) {
        if (d->clusters[0].code[i] == leave) continue;
        int at = 0;
        for (int j = 0; j < d->p - 1; j++)
            if (j != drop) Z[n * p + at++] = d->Z[i * d->p + j];
        Z[n * p + at] = y[i];
        w[n] = d->w ? d->w[i] : 1;
        from[n++] = i;
    }
    pfx_design *out = ref_design_new(n, p, Z, d->intercept);
    int at = 0;
    for (int j = 0; j < d->p; j++) {
        if (j == drop) continue;
        pfx_mem_free(out->name[at]);
        out->name[at++] = pfx_mem_strdup(d->name[j], NULL);
    }
    for (int f = 0; f < d->n_absorbed + d->n_clusters; f++) {
        const pfx_factor *c = f < d->n_absorbed ? &d->absorbed[f].factor : &d->clusters[f - d->n_absorbed];
        int32_t *seen = malloc((size_t)c->n_levels * sizeof *seen), levels = 0;
        for (pfx_idx l = 0; l < c->n_levels; l++) seen[l] = -1;
        for (pfx_idx i = 0; i < n; i++) {
            if (seen[c->code[from[i]]] < 0) seen[c->code[from[i]]] = levels++;
            code[i] = seen[c->code[from[i]]];
        }
        (f < d->n_absorbed ? ref_add_effect : ref_add_cluster)(out, c->name, levels, code);
        free(seen);
    }
    if (d->w) {
        out->w = pfx_mem_alloc(n, sizeof *out->w, NULL);
        memcpy(out->w, w, (size_t)n * sizeof *w);
        out->weights_kind = d->weights_kind;
    }
    free(Z);
    free(w);
    free(from);
    free(code);
    return out;
}

static int column(const pfx_design *d, const char *name)
{
    for (int j = 0; j < d->p; j++)
        if (!strcmp(d->name[j], name)) return j;
    return -1;
}

static double estimate(const pfx_fit *f, const char *name)
{
    for (int j = 0; j < f->k; j++)
        if (!strcmp(f->coef[j].term, name)) return f->coef[j].estimate;
    return 0; /* left out */
}

/* y less the tested terms at their nulls, or y where they are free; and fit without or with them. */
static pfx_fit *generator(const pfx_design *d, bool unrestricted, const char *const *terms, int n_terms,
                          const double *null, int leave, double *y)
{
    pfx_design *now = NULL;
    pfx_fit_options o = ref_options(PFX_VCOV_IID, PFX_SSC_NONE);
    o.save = true;
    for (pfx_idx i = 0; i < d->n; i++) {
        y[i] = d->Z[i * d->p + d->p - 1];
        for (int t = 0; t < n_terms && !unrestricted; t++)
            y[i] -= null[t] * d->Z[i * d->p + column(d, terms[t])];
    }
    if (unrestricted) return made_fit(rebuilt(d, y, -1, leave), o);
    now = rebuilt(d, y, column(d, terms[0]), leave);
    for (int t = 1; t < n_terms; t++) { /* rows are fewer now where one was left out: y of those wild_kept */
        double *kept_y = malloc((size_t)now->n * sizeof *kept_y);
        for (pfx_idx i = 0; i < now->n; i++) kept_y[i] = now->Z[i * now->p + now->p - 1];
        pfx_design *less = rebuilt(now, kept_y, column(now, terms[t]), -1);
        ref_design_free(now);
        free(kept_y);
        now = less;
    }
    return made_fit(now, o);
}

/* Residuals of every cluster from the coefficients without it: effects must be columns or demeaned away. */
static void leave_out_residuals(wild_twin *t, double *y)
{
    const pfx_design *d = t->d;
    for (int g = 0; g < d->clusters[0].n_levels; g++) {
        pfx_fit *f = generator(d, t->unrestricted, t->terms, t->n_terms, t->null, g, y);
        for (pfx_idx i = 0; i < d->n; i++) {
            if (d->clusters[0].code[i] != g) continue;
            t->u[i] = y[i];
            for (int j = 0; j < d->p - 1; j++) t->u[i] -= d->Z[i * d->p + j] * estimate(f, d->name[j]);
        }
        pfx_fit_free(f);
    }
}

wild_twin wild_twin_new(const pfx_design *d, int type, bool unrestricted, int n_terms,
                        const char *const *terms, const double *null, pfx_vcov_type vcov)
{
    wild_twin t = {.d = d,
                   .type = type,
                   .n_terms = n_terms,
                   .unrestricted = unrestricted,
                   .terms = terms,
                   .null = null,
                   .vcov = vcov};
    double *y = malloc((size_t)d->n * sizeof *y);
    t.u = malloc((size_t)d->n * sizeof *t.u);
    t.fitted = malloc((size_t)d->n * sizeof *t.fitted);
    t.center = malloc((size_t)n_terms * sizeof *t.center);
    pfx_fit *f = generator(d, unrestricted, terms, n_terms, null, -1, y);
    for (pfx_idx i = 0; i < d->n; i++) {
        t.u[i] = f->resid[i];
        t.fitted[i] = d->Z[i * d->p + d->p - 1] - f->resid[i];
    }
    for (int i = 0; i < n_terms; i++) t.center[i] = unrestricted ? estimate(f, terms[i]) : null[i];
    pfx_fit_free(f);
    if (type / 10 == 3) leave_out_residuals(&t, y);
    free(y);
    return t;
}

void wild_twin_free(wild_twin *t)
{
    free(t->u);
    free(t->fitted);
    free(t->center);
}

/* V of the tested terms for a fitted outcome. Returns false where it was floored. */
static bool variance(const wild_twin *t, const double *y, pfx_fit *f, double *V)
{
    int n = t->n_terms;
    if (t->type % 10 == 1) {
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                V[i * n + j] =
                    f->V[(ref_coef(f, t->terms[i]) - f->coef) * f->k + (ref_coef(f, t->terms[j]) - f->coef)];
        return !f->v_floored;
    }
    int G = (int)t->d->clusters[0].n_levels;
    memset(V, 0, (size_t)(n * n) * sizeof *V);
    for (int g = 0; g < G; g++) {
        pfx_fit *l = made_fit(rebuilt(t->d, y, -1, g), ref_options(PFX_VCOV_IID, PFX_SSC_NONE));
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                V[i * n + j] += (G - 1.0) / G * (estimate(l, t->terms[i]) - estimate(f, t->terms[i])) *
                                (estimate(l, t->terms[j]) - estimate(f, t->terms[j]));
        pfx_fit_free(l);
    }
    return true;
}

/* v'V^-1 v for up to two. */
double wild_twin_quadratic(int n, const double *V, const double *v)
{
    if (n == 1) return v[0] * v[0] / V[0];
    double det = V[0] * V[3] - V[1] * V[2];
    return (v[0] * v[0] * V[3] - 2 * v[0] * v[1] * V[1] + v[1] * v[1] * V[0]) / det;
}

/* The outcome with the residuals of bootstrap cluster boot[i] times v, fitted. Returns false where the
 * wild_twin floors. */
bool wild_twin_refit(const wild_twin *t, const int32_t *boot, const double *v, double *b, double *V)
{
    double *y = malloc((size_t)t->d->n * sizeof *y);
    for (pfx_idx i = 0; i < t->d->n; i++) y[i] = t->fitted[i] + v[boot[i]] * t->u[i];
    pfx_fit *f = made_fit(rebuilt(t->d, y, -1, -1), ref_options(t->vcov, PFX_SSC_NONE));
    for (int i = 0; i < t->n_terms; i++) b[i] = ref_coef(f, t->terms[i])->estimate;
    bool ok = variance(t, y, f, V);
    pfx_fit_free(f);
    free(y);
    return ok;
}

const char *const wild_terms[2] = {"x2", "x0"};
const double wild_nulls[2] = {0.25, 0.13};

pfx_wild_options wild_options(const wild_setting *g)
{
    return (pfx_wild_options){.type = g->type,
                              .unrestricted = g->unrestricted,
                              .joint = g->joint,
                              .null = wild_nulls,
                              .weights = g->weights,
                              .reps = 50,
                              .n_errors = 1,
                              .errors = {{.weight = 1}},
                              .nth = 2,
                              .isa = pfx_cpu_best()};
}

/* Some replicates of a method against refits. d as the wild_twin needs it; cells by d->clusters[0]. */
void wild_compare(const pfx_design *d, const pfx_clusterstat *s, const pfx_wild_options *o,
                  pfx_vcov_type vcov, const int32_t *boot, int n_terms, const char *const *terms,
                  pfx_idx reps, double tol)
{
    pfx_err err = {0};
    pfx_wild *w = NULL;
    assert_ok(pfx_wild_create(s, o, &w, &err));
    const pfx_wild_info *info = pfx_wild_describe(w);
    wild_kept k = wild_run(w, 5, 0, reps, 2);
    double *v = malloc((size_t)info->n_boot * sizeof *v);
    int n = o->joint ? n_terms : 1, checked = 0;
    for (int i = 0; i < info->n_tests; i++) {
        wild_twin t = wild_twin_new(d, o->type, o->unrestricted, n, terms + i, o->null + i, vcov);
        for (pfx_idx r = 0; r < reps; r += 1 + reps / 7) {
            double b[2], V[4], dist[2] = {0};
            pfx_wild_draw(w, 5, r, v);
            if (!wild_twin_refit(&t, boot, v, b, V)) continue;
            for (int j = 0; j < n; j++) dist[j] = b[j] - t.center[j];
            pfx_idx at = r * info->n_tests + i;
            if (o->joint) {
                assert_rel(k.out[PFX_DRAW_STATISTIC][at], wild_twin_quadratic(n, V, dist) / n, tol);
            } else if (V[0] > 0) {
                assert_abs(k.out[PFX_DRAW_ESTIMATE][at], b[0], tol * fabs(dist[0]) + 1e-13 * fabs(b[0]));
                assert_rel(k.out[PFX_DRAW_STD_ERROR][at], sqrt(V[0]), tol);
                assert_rel(k.out[PFX_DRAW_STATISTIC][at], dist[0] / sqrt(V[0]), tol);
            }
            checked++;
        }
        wild_twin_free(&t);
    }
    assert_in_range(checked, 3, 1000);
    free(v);
    wild_kept_free(&k);
    pfx_wild_free(w);
}
