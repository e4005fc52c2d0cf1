#include "tests/est/iv_panel.h"

made_panel iv_panel_new(pfx_idx firms, int n, int l)
{
    made_panel a = made_panel_new(firms, EXOG + n + l);
    for (pfx_idx i = 0; i < a.n; i++) {
        double *z = a.Z + i * a.p;
        for (int e = 0; e < n; e++)
            for (int j = 0; j < l; j++) z[EXOG + e] += (0.9 - 0.5 * ((e + j) % 3)) * z[EXOG + n + j];
    }
    return a;
}

static void set_roles(pfx_design *d, int n, int l)
{
    for (int j = 0; j < n; j++) d->role[EXOG + j] = PFX_ENDOGENOUS;
    for (int j = 0; j < l; j++) d->role[EXOG + n + j] = PFX_INSTRUMENT;
}

pfx_design *iv_design(const made_panel *a, int effects, int cluster, pfx_weights_kind kind, int n, int l)
{
    pfx_design *d = made_design(a, effects, cluster, kind);
    set_roles(d, n, l);
    return d;
}

pfx_clusterstat *iv_statistics(const pfx_design *d, int n_terms, const char *const *terms, int nth,
                               pfx_isa isa)
{
    pfx_err err = {0};
    pfx_clusterstat *s = NULL;
    const pfx_clusterstat_options o = {
        .n_terms = n_terms, .terms = terms, .tol = 1e-12, .maxiter = 10000, .nth = nth, .isa = isa};
    assert_ok(pfx_clusterstat_create(d, &o, &s, &err));
    return s;
}

static pfx_status keep_put(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, pfx_err *err)
{
    iv_kept *k = ctx;
    (void)err;
    for (int f = 0; f < PFX_DRAW_FIELDS; f++)
        memcpy(k->out[f] + (first - k->first) * k->n_terms, field[f],
               (size_t)(n * k->n_terms) * sizeof(double));
    return PFX_OK;
}

void iv_draw(const pfx_rep_method *m, pfx_idx first, pfx_idx last, int nth, iv_kept *k)
{
    pfx_err err = {0};
    k->n_terms = m->n_terms;
    k->first = first;
    assert_true((last - first) * m->n_terms <= MOST_DRAWS);
    const pfx_draw_sink sink = {.ctx = k, .put = keep_put};
    pfx_rep_run r = {.seed = 5, .first = first, .last = last, .nth = nth, .n_sinks = 1, .sinks = &sink};
    assert_ok(pfx_rep_run_method(m, &r, &err));
}
