/* Fitted models as a printed table, and as rows of coefficients. */
#include "src/report/regression.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/est/iv.h"
#include "src/report/regression_private.h"

static const char intercept_name[] = "(Intercept)";

/* Names in the order of their first appearance over the models: terms, effects, clusters. Borrowed. */
typedef struct name_list {
    int n, cap;
    const char **v;
    bool failed;
} name_list;

static void names_add(name_list *l, const char *name)
{
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->v[i], name) == 0) return;
    if (l->n == l->cap) {
        int cap = l->cap ? 2 * l->cap : 32;
        const char **v = pfx_mem_realloc(l->v, cap, sizeof *v, NULL);
        if (!v) {
            l->failed = true;
            return;
        }
        l->v = v;
        l->cap = cap;
    }
    l->v[l->n++] = name;
}

static const pfx_coef *find_coef(const pfx_fit *f, const char *term)
{
    for (int j = 0; j < f->k; j++)
        if (strcmp(f->coef[j].term, term) == 0) return &f->coef[j];
    return NULL;
}

/* 1, 5 and 10 %: the stars of economics. */
static int stars_of(double p)
{
    return p < 0.01 ? 3 : p < 0.05 ? 2 : p < 0.10 ? 1 : 0;
}

/* Of the model that a column belongs to, in brackets. Columns of first stages stand before their model's. */
static int model_number(int m, pfx_fit *const *fits)
{
    int number = 1;
    for (int i = 0; i < m; i++) number += !fits[i]->first_stage;
    return number;
}

static void heading_rows(pfx_table *t, int n, pfx_fit *const *fits)
{
    char number[32];

    if (n > 1) {
        pfx_table_heading(t);
        pfx_table_empty(t);
        for (int m = 0; m < n; m++) {
            snprintf(number, sizeof number, "(%d)%s", model_number(m, fits),
                     fits[m]->first_stage ? " first" : "");
            pfx_table_text(t, number);
        }
    }
    if (fits[0]->by_name) {
        pfx_table_heading(t);
        pfx_table_text(t, fits[0]->by_name);
        for (int m = 0; m < n; m++) pfx_table_text(t, fits[m]->by_level);
    }
    pfx_table_heading(t);
    pfx_table_empty(t);
    for (int m = 0; m < n; m++) pfx_table_text(t, fits[m]->outcome);
}

static void term_rows(pfx_table *t, int n, pfx_fit *const *fits, const char *term,
                      const pfx_regression_options *o)
{
    pfx_table_row(t);
    pfx_table_text(t, term);
    for (int m = 0; m < n; m++) {
        const pfx_coef *c = find_coef(fits[m], term);
        if (c)
            pfx_table_starred(t, c->estimate, o->digits, stars_of(c->p_value));
        else
            pfx_table_empty(t);
    }
    pfx_table_row(t);
    pfx_table_empty(t);
    for (int m = 0; m < n; m++) {
        const pfx_coef *c = find_coef(fits[m], term);
        if (c)
            pfx_table_bracket(t, o->brackets == PFX_BRACKETS_T ? c->statistic : c->std_error, o->digits);
        else
            pfx_table_empty(t);
    }
}

static void effect_rows(pfx_table *t, int n, pfx_fit *const *fits, const name_list *effects)
{
    if (effects->n) pfx_table_rule(t);
    for (int e = 0; e < effects->n; e++) {
        char label[256];
        snprintf(label, sizeof label, "%s %s", effects->v[e],
                 strchr(effects->v[e], '[') ? "slopes" : "effects");
        pfx_table_row(t);
        pfx_table_text(t, label);
        for (int m = 0; m < n; m++) {
            bool has = false;
            for (int i = 0; i < fits[m]->n_effects; i++)
                has |= strcmp(fits[m]->effects[i].name, effects->v[e]) == 0;
            pfx_table_text(t, has ? "Yes" : "No");
        }
    }
}

typedef pfx_idx (*count_fn)(const pfx_fit *f);
typedef double (*real_fn)(const pfx_fit *f);

static pfx_idx get_n_obs(const pfx_fit *f)
{
    return f->n_obs;
}
static pfx_idx get_missing(const pfx_fit *f)
{
    return f->n_missing;
}
static pfx_idx get_singletons(const pfx_fit *f)
{
    return f->n_singletons;
}
static pfx_idx get_zero_weight(const pfx_fit *f)
{
    return f->n_zero_weight;
}
static double get_r2(const pfx_fit *f)
{
    return f->r2;
}
static double get_adj_r2(const pfx_fit *f)
{
    return f->adj_r2;
}
static double get_within_r2(const pfx_fit *f)
{
    return f->n_effects ? f->within_r2 : NAN;
}
static double get_rmse(const pfx_fit *f)
{
    return f->rmse;
}
static double get_f(const pfx_fit *f)
{
    return f->f;
}

/* Rows that tell nothing (no model has such rows) are left out, except where always is set. */
static void count_row(pfx_table *t, int n, pfx_fit *const *fits, const char *label, count_fn get, bool always)
{
    bool any = always;
    for (int m = 0; m < n; m++) any |= get(fits[m]) != 0;
    if (!any) return;
    pfx_table_row(t);
    pfx_table_text(t, label);
    for (int m = 0; m < n; m++) pfx_table_int(t, get(fits[m]));
}

/* A share below half of the last digit is 0.0000: rounding noise around zero is no news. */
static double round_share(double x, int digits)
{
    return fabs(x) < 0.5 * pow(10, -digits) ? 0 : x;
}

static void real_row(pfx_table *t, int n, pfx_fit *const *fits, const char *label, real_fn get, bool share,
                     int digits)
{
    bool any = false;
    for (int m = 0; m < n; m++) any |= !isnan(get(fits[m]));
    if (!any) return;
    pfx_table_row(t);
    pfx_table_text(t, label);
    for (int m = 0; m < n; m++) {
        double x = get(fits[m]);
        if (isnan(x))
            pfx_table_empty(t);
        else
            pfx_table_num(t, share ? round_share(x, digits) : x, digits);
    }
}

static void cluster_rows(pfx_table *t, int n, pfx_fit *const *fits, const name_list *clusters)
{
    for (int c = 0; c < clusters->n; c++) {
        char label[256];
        snprintf(label, sizeof label, "Clusters (%s)", clusters->v[c]);
        pfx_table_row(t);
        pfx_table_text(t, label);
        for (int m = 0; m < n; m++) {
            const pfx_fit_cluster *found = NULL;
            for (int i = 0; i < fits[m]->n_clusters; i++)
                if (strcmp(fits[m]->clusters[i].name, clusters->v[c]) == 0) found = &fits[m]->clusters[i];
            if (found)
                pfx_table_int(t, found->levels);
            else
                pfx_table_empty(t);
        }
    }
}

static void size_rows(pfx_table *t, int n, pfx_fit *const *fits, const name_list *clusters, int digits)
{
    pfx_table_rule(t);
    count_row(t, n, fits, "N", get_n_obs, true);
    real_row(t, n, fits, "R2", get_r2, true, digits);
    real_row(t, n, fits, "Adjusted R2", get_adj_r2, true, digits);
    real_row(t, n, fits, "Within R2", get_within_r2, true, digits);
    real_row(t, n, fits, "RMSE", get_rmse, false, digits);
    real_row(t, n, fits, "F", get_f, false, digits);
    cluster_rows(t, n, fits, clusters);
    count_row(t, n, fits, "Left out: missing", get_missing, false);
    count_row(t, n, fits, "Left out: singletons", get_singletons, false);
    count_row(t, n, fits, "Left out: zero weight", get_zero_weight, false);
}

static void vcov_note(pfx_table *t, const pfx_fit *f)
{
    char kind[600] = "";
    switch (f->vcov) {
    case PFX_VCOV_IID:
        snprintf(kind, sizeof kind, "iid");
        break;
    case PFX_VCOV_HC1:
        snprintf(kind, sizeof kind, "heteroskedasticity-robust (HC1)");
        break;
    case PFX_VCOV_CLUSTER:
        snprintf(kind, sizeof kind, "clustered by %s (CRV1)", f->n_clusters ? f->clusters[0].name : "?");
        break;
    case PFX_VCOV_TWOWAY:
        snprintf(kind, sizeof kind, "two-way clustered by %s and %s",
                 f->n_clusters > 0 ? f->clusters[0].name : "?",
                 f->n_clusters > 1 ? f->clusters[1].name : "?");
        break;
    case PFX_VCOV_CRV3:
    case PFX_VCOV_CV3J:
        snprintf(kind, sizeof kind, "cluster jackknife by %s (%s)", f->n_clusters ? f->clusters[0].name : "?",
                 f->vcov == PFX_VCOV_CRV3 ? "CV3" : "CV3J");
        break;
    case PFX_VCOV_CR2:
        snprintf(kind, sizeof kind,
                 "clustered by %s (CR2), Satterthwaite degrees of freedom for each coefficient; F tests take "
                 "the least",
                 f->n_clusters ? f->clusters[0].name : "?");
        break;
    case PFX_VCOV_NW:
        snprintf(kind, sizeof kind, "Newey-West within %s, lag %lld",
                 f->n_clusters ? f->clusters[0].name : "?", (long long)f->lag);
        break;
    case PFX_VCOV_DK:
        snprintf(kind, sizeof kind, "Driscoll-Kraay over %s, lag %lld",
                 f->n_clusters ? f->clusters[0].name : "?", (long long)f->lag);
        break;
    }
    if (pfx_vcov_leaves_out(f->vcov))
        pfx_table_note(t, "Standard errors: %s.", kind);
    else if (f->ssc == PFX_SSC_NONE)
        pfx_table_note(t, "Standard errors: %s, no small-sample factor.", kind);
    else
        pfx_table_note(t, "Standard errors: %s, small-sample factor of %s.", kind, pfx_ssc_name(f->ssc));
}

static void model_notes(pfx_table *t, int n, pfx_fit *const *fits)
{
    for (int m = 0; m < n; m++) {
        const pfx_fit *f = fits[m];
        char who[24] = "";
        if (f->first_stage) continue;
        if (n > 1) snprintf(who, sizeof who, "(%d) ", model_number(m, fits));
        if (f->n_collinear) {
            pfx_str names = {0};
            for (int i = 0; i < f->n_collinear; i++)
                pfx_str_addf(&names, "%s%s", i ? ", " : "", f->collinear[i]);
            pfx_table_note(t, "%sDropped as collinear: %s.", who, names.s ? names.s : "");
            pfx_str_free(&names);
        }
        if (f->n_effects > 2 && f->rank_absorbed >= 0)
            pfx_table_note(t, "%sAbsorbed parameters: %lld counted, exact rank %lld.", who,
                           (long long)f->df_absorbed, (long long)f->rank_absorbed);
        else if (f->n_effects > 2)
            pfx_table_note(t, "%sAbsorbed parameters: %lld counted, exact rank not computed.", who,
                           (long long)f->df_absorbed);
        if (f->n_singular)
            pfx_table_note(t, "%s%s: %lld of %lld clusters alone identify some coefficient.", who,
                           pfx_vcov_name(f->vcov), (long long)f->n_singular,
                           (long long)f->clusters[0].levels);
        if (f->v_floored)
            pfx_table_note(
                t, "%sThe two-way variance was not positive semi-definite: negative eigenvalues set to 0.",
                who);
        for (int i = 0; i < f->n_tests; i++) {
            const pfx_wald *w = &f->tests[i];
            pfx_table_note(t, "%sWald test of %s: F(%g, %g) = %.4f, p = %.4f.", who, w->hypothesis, w->df1,
                           w->df2, w->statistic, w->p_value);
        }
        if (f->iv) pfx_regression_iv_notes(t, f, who);
    }
}

static void report_table(pfx_table *t, int n, pfx_fit *const *fits, const pfx_regression_options *o,
                         const name_list *terms, const name_list *effects, const name_list *clusters)
{
    bool constant = false;

    if (o->title) pfx_table_title(t, o->title);
    heading_rows(t, n, fits);
    for (int i = 0; i < terms->n; i++) {
        if (strcmp(terms->v[i], intercept_name) == 0)
            constant = true;
        else
            term_rows(t, n, fits, terms->v[i], o);
    }
    if (constant) term_rows(t, n, fits, intercept_name, o);
    effect_rows(t, n, fits, effects);
    size_rows(t, n, fits, clusters, o->digits);
    pfx_regression_iv_rows(t, n, fits, o->digits);
    pfx_table_note(t, "%s in brackets; * p < 0.10, ** p < 0.05, *** p < 0.01.",
                   o->brackets == PFX_BRACKETS_T ? "t statistics" : "Standard errors");
    int shown = 0; /* first stages stand before the fit that they are of */
    while (shown < n - 1 && fits[shown]->first_stage) shown++;
    vcov_note(t, fits[shown]);
    model_notes(t, n, fits);
    for (int i = 0; i < o->n_notes; i++) pfx_table_note(t, "%s", o->notes[i]);
}

static pfx_status render_report(int n, pfx_fit *const *fits, const pfx_regression_options *o,
                                pfx_format format, pfx_str *out, pfx_err *err)
{
    name_list terms = {0}, effects = {0}, clusters = {0};
    pfx_status st = PFX_OK;
    pfx_table *t = pfx_table_create(n + 1, err);

    for (int first = 0; first < 2; first++) /* the models' terms, then those of first stages alone */
        for (int m = 0; m < n; m++)
            for (int j = 0; j < fits[m]->k && !fits[m]->first_stage == !first; j++)
                names_add(&terms, fits[m]->coef[j].term);
    for (int m = 0; m < n; m++) {
        for (int j = 0; j < fits[m]->n_effects; j++) names_add(&effects, fits[m]->effects[j].name);
        for (int j = 0; j < fits[m]->n_clusters; j++) names_add(&clusters, fits[m]->clusters[j].name);
    }
    if (!t || terms.failed || effects.failed || clusters.failed) {
        st = pfx_fail(err, PFX_ENOMEM, "out of memory for the regression table");
    } else {
        report_table(t, n, fits, o, &terms, &effects, &clusters);
        st = pfx_table_render(t, format, o->width, out, err);
    }
    pfx_mem_free(terms.v);
    pfx_mem_free(effects.v);
    pfx_mem_free(clusters.v);
    pfx_table_free(t);
    return st;
}

static const char *const csv_heads[] = {"model",    "formula",   "outcome",   "by",        "level",
                                        "term",     "estimate",  "std_error", "statistic", "p_value",
                                        "conf_low", "conf_high", "n_obs"};
enum { N_CSV = sizeof csv_heads / sizeof csv_heads[0] };

static pfx_status render_csv(int n, pfx_fit *const *fits, pfx_str *out, pfx_err *err)
{
    pfx_table *t = pfx_table_create(N_CSV, err);
    if (!t) return PFX_ENOMEM;
    pfx_table_heading(t);
    for (int c = 0; c < N_CSV; c++) pfx_table_text(t, csv_heads[c]);
    for (int m = 0; m < n; m++) {
        const pfx_fit *f = fits[m];
        for (int j = 0; j < f->k; j++) {
            const pfx_coef *c = &f->coef[j];
            pfx_table_row(t);
            pfx_table_int(t, m + 1);
            pfx_table_text(t, f->formula);
            pfx_table_text(t, f->outcome);
            pfx_table_text(t, f->by_name);
            pfx_table_text(t, f->by_level);
            pfx_table_text(t, c->term);
            pfx_table_num(t, c->estimate, 6);
            pfx_table_num(t, c->std_error, 6);
            pfx_table_num(t, c->statistic, 6);
            pfx_table_num(t, c->p_value, 6);
            pfx_table_num(t, c->conf_low, 6);
            pfx_table_num(t, c->conf_high, 6);
            pfx_table_int(t, f->n_obs);
        }
    }
    pfx_status st = pfx_table_render(t, PFX_FORMAT_CSV, 0, out, err);
    pfx_table_free(t);
    return st;
}

/* The models with their first stages before them; *n_columns of them, in the order of the columns. NULL: no
 * memory. */
static pfx_fit **with_first_stages(int n, pfx_fit *const *fits, int *n_columns, pfx_err *err)
{
    int columns = n;
    for (int m = 0; m < n; m++) columns += fits[m]->iv ? fits[m]->iv->n_endogenous : 0;
    pfx_fit **all = pfx_mem_alloc(columns, sizeof *all, err);
    *n_columns = 0;
    for (int m = 0; all && m < n; m++) {
        for (int j = 0; fits[m]->iv && j < fits[m]->iv->n_endogenous; j++)
            all[(*n_columns)++] = fits[m]->iv->stage[j].fit;
        all[(*n_columns)++] = fits[m];
    }
    return all;
}

pfx_status pfx_regression_render(int n, pfx_fit *const *fits, const pfx_regression_options *o,
                                 pfx_format format, pfx_str *out, pfx_err *err)
{
    if (format == PFX_FORMAT_CSV) return render_csv(n, fits, out, err);
    int columns = 0;
    pfx_fit **all = with_first_stages(n, fits, &columns, err);
    pfx_status st = all ? render_report(columns, all, o, format, out, err) : PFX_ENOMEM;
    pfx_mem_free(all);
    return st;
}
