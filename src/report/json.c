/* The JSON object of fit, built with jansson. */
#include "src/report/json.h"

#include "src/base/log.h"
#include "src/base/version.h"
#include "src/est/fit.h"
#include "src/report/json_private.h"

/* What pfx_warn said in this run. */
static json_t *warnings(maker *k)
{
    json_t *a = need(k, json_array());
    for (int i = 0; pfx_warning(i); i++) push(k, a, text(pfx_warning(i)));
    return a;
}

static json_t *texts(maker *k, int n, char *const *v)
{
    json_t *a = need(k, json_array());
    for (int i = 0; i < n; i++) push(k, a, text(v[i]));
    return a;
}

static json_t *effects(maker *k, const pfx_fit *f)
{
    json_t *a = need(k, json_array());
    for (int i = 0; i < f->n_effects; i++) {
        json_t *e = need(k, json_object());
        set(k, e, "name", text(f->effects[i].name));
        set(k, e, "levels", count(f->effects[i].levels));
        set(k, e, "redundant", count(f->effects[i].redundant));
        set(k, e, "nested_in_cluster", json_boolean(f->effects[i].nested_in_cluster));
        push(k, a, e);
    }
    return a;
}

static json_t *clusters(maker *k, const pfx_fit *f)
{
    json_t *a = need(k, json_array());
    for (int i = 0; i < f->n_clusters; i++) {
        json_t *c = need(k, json_object());
        set(k, c, "name", text(f->clusters[i].name));
        set(k, c, "levels", count(f->clusters[i].levels));
        push(k, a, c);
    }
    return a;
}

json_t *pfx_json_coefficients(maker *k, const pfx_fit *f)
{
    json_t *a = need(k, json_array());
    for (int j = 0; j < f->k; j++) {
        const pfx_coef *c = &f->coef[j];
        json_t *o = need(k, json_object());
        set(k, o, "term", text(c->term));
        set(k, o, "estimate", real(c->estimate));
        set(k, o, "std_error", real(c->std_error));
        set(k, o, "statistic", real(c->statistic));
        set(k, o, "p_value", real(c->p_value));
        set(k, o, "conf_low", real(c->conf_low));
        set(k, o, "conf_high", real(c->conf_high));
        if (pfx_vcov_leaves_out(f->vcov)) set(k, o, "df", whole(c->df));
        push(k, a, o);
    }
    return a;
}

static json_t *vcov_matrix(maker *k, const pfx_fit *f)
{
    json_t *a = need(k, json_array());
    for (int i = 0; i < f->k; i++) {
        json_t *row = need(k, json_array());
        for (int j = 0; j < f->k; j++) push(k, row, real(f->V[(pfx_idx)i * f->k + j]));
        push(k, a, row);
    }
    return a;
}

static json_t *vcov(maker *k, const pfx_fit *f)
{
    json_t *o = need(k, json_object());
    set(k, o, "type", text(pfx_vcov_name(f->vcov)));
    set(k, o, "ssc", text(pfx_ssc_name(f->ssc)));
    set(k, o, "k_adjust", whole(f->k_adj));
    set(k, o, "floored", json_boolean(f->v_floored));
    if (pfx_vcov_is_hac(f->vcov)) {
        set(k, o, "lag", count(f->lag));
        set(k, o, "periods", count(f->n_periods));
    }
    if (pfx_vcov_leaves_out(f->vcov)) set(k, o, "singular_clusters", count(f->n_singular));
    return o;
}

static json_t *f_test(maker *k, double statistic, double df1, double df2, double p)
{
    json_t *o = need(k, json_object());
    set(k, o, "statistic", real(statistic));
    set(k, o, "df1", whole(df1));
    set(k, o, "df2", whole(df2));
    set(k, o, "p_value", real(p));
    return o;
}

static json_t *tests(maker *k, const pfx_fit *f)
{
    json_t *a = need(k, json_array());
    for (int i = 0; i < f->n_tests; i++) {
        const pfx_wald *w = &f->tests[i];
        json_t *o = f_test(k, w->statistic, w->df1, w->df2, w->p_value);
        set(k, o, "hypothesis", text(w->hypothesis));
        set(k, o, "estimate", real(w->estimate));
        set(k, o, "std_error", real(w->std_error));
        push(k, a, o);
    }
    return a;
}

static json_t *model(maker *k, const pfx_fit *f)
{
    json_t *o = need(k, json_object());
    set(k, o, "formula", text(f->formula));
    set(k, o, "outcome", text(f->outcome));
    set(k, o, "method", text(f->method));
    if (f->by_name) {
        json_t *by = need(k, json_object());
        set(k, by, "name", text(f->by_name));
        set(k, by, "level", text(f->by_level));
        set(k, o, "by", by);
    }
    set(k, o, "n_obs", count(f->n_obs));
    set(k, o, "n_missing", count(f->n_missing));
    set(k, o, "n_singletons", count(f->n_singletons));
    set(k, o, "n_zero_weight", count(f->n_zero_weight));
    set(k, o, "collinear", texts(k, f->n_collinear, f->collinear));
    set(k, o, "fixed_effects", effects(k, f));
    set(k, o, "clusters", clusters(k, f));
    set(k, o, "vcov", vcov(k, f));
    set(k, o, "vcov_matrix", vcov_matrix(k, f));
    set(k, o, "df_residual", whole(f->df_residual));
    set(k, o, "df_absorbed", count(f->df_absorbed));
    set(k, o, "rank_absorbed", f->rank_absorbed < 0 ? json_null() : count(f->rank_absorbed));
    set(k, o, "df_t", whole(f->df_t));
    set(k, o, "f", f_test(k, f->f, f->f_df1, f->f_df2, f->f_p));
    set(k, o, "coefficients", pfx_json_coefficients(k, f));
    set(k, o, "r2", real(f->r2));
    set(k, o, "adj_r2", real(f->adj_r2));
    set(k, o, "within_r2", real(f->within_r2));
    set(k, o, "adj_within_r2", real(f->adj_within_r2));
    set(k, o, "rmse", real(f->rmse));
    set(k, o, "rmse_df", real(f->rmse_df));
    set(k, o, "ssr", real(f->ssr));
    set(k, o, "tss", real(f->tss));
    set(k, o, "log_likelihood", real(f->log_likelihood));
    set(k, o, "condition", real(f->condition));
    set(k, o, "solver", text(f->solver));
    set(k, o, "route", text(f->route));
    set(k, o, "converged", json_boolean(f->converged));
    set(k, o, "iterations", count(f->iterations));
    set(k, o, "tests", tests(k, f));
    if (f->iv) set(k, o, "iv", pfx_json_iv(k, f));
    return o;
}

/* jansson hands the dump over piece by piece. */
static int append(const char *piece, size_t n, void *out)
{
    pfx_str_addn(out, piece, n);
    return ((pfx_str *)out)->failed ? -1 : 0;
}

pfx_status pfx_json_fits(int n, pfx_fit *const *fits, const pfx_json_run *run, pfx_str *out, pfx_err *err)
{
    maker keep = {false}, *k = &keep;
    json_t *root = need(k, json_object()), *models = need(k, json_array()), *time = need(k, json_object());
    bool dumped = false;

    set(k, root, "panelfx", text(PFX_VERSION));
    set(k, root, "command", text(run->command));
    set(k, root, "panel", text(run->panel));
    set(k, root, "synthetic", json_boolean(run->synthetic));
    for (int m = 0; m < n; m++) push(k, models, model(k, fits[m]));
    set(k, root, "models", models);
    if (run->n_comparisons)
        set(k, root, "comparisons", pfx_json_comparisons(k, run->n_comparisons, run->comparisons));
    set(k, root, "warnings", warnings(k));
    set(k, time, "read_s", real(run->read_s));
    set(k, time, "compute_s", real(run->compute_s));
    set(k, time, "total_s", real(run->total_s));
    set(k, root, "time", time);
    set(k, root, "streamed", json_boolean(run->streamed));
    set(k, root, "passes", count(run->passes));
    set(k, root, "threads", count(run->threads));
    set(k, root, "peak_memory_bytes", count(run->peak_memory_bytes));
    if (!k->failed)
        dumped = json_dump_callback(root, append, out, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) == 0;
    pfx_str_add(out, "\n");
    json_decref(root);
    if (!dumped || out->failed)
        return pfx_fail(err, PFX_ENOMEM, "the JSON of the models: out of memory, or a name is not UTF-8");
    return PFX_OK;
}
