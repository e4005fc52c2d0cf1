#include "src/report/match.h"

#include <math.h>
#include <string.h>
#include "src/base/log.h"
#include "src/base/version.h"
#include "src/est/binary.h"
#include "src/est/dist.h"
#include "src/est/neighbours.h"
#include "src/report/json_values.h"

static const char FIXED[] =
    "A bootstrap on the matched panel treats the match as fixed, which is not valid for "
    "nearest neighbours (Abadie and Imbens 2008).";

/* Means and variances about them, in row order; variances of matched controls with the weights as
 * frequencies. */
void pfx_balance_of(pfx_idx n, const double *X, int ld, int j, const unsigned char *treated,
                    const double *weight, pfx_balance *out)
{
    double size[2][2] = {{0}}, sum[2][2] = {{0}}, square[2][2] = {{0}}, var[2][2];
    for (pfx_idx i = 0; i < n; i++)
        for (int after = 0; after < 2; after++) {
            double w = after ? weight[i] : 1;
            size[after][treated[i]] += w;
            sum[after][treated[i]] += w * X[i * ld + j];
        }
    for (int c = 0; c < 4; c++) out->mean[c / 2][c % 2] = sum[c / 2][c % 2] / size[c / 2][c % 2];
    for (pfx_idx i = 0; i < n; i++)
        for (int after = 0; after < 2; after++) {
            double d = X[i * ld + j] - out->mean[after][treated[i]];
            square[after][treated[i]] += (after ? weight[i] : 1) * d * d;
        }
    for (int c = 0; c < 4; c++) var[c / 2][c % 2] = square[c / 2][c % 2] / (size[c / 2][c % 2] - 1);
    out->sd = sqrt(var[0][1]);
    for (int after = 0; after < 2; after++) {
        out->diff[after] = (out->mean[after][1] - out->mean[after][0]) / out->sd;
        out->ratio[after] = var[after][1] / var[after][0];
    }
}

/* ---- JSON ---- */

static json_t *coefficients(const pfx_binary *f, bool *failed)
{
    json_t *a = json_array();
    for (int j = 0; j < f->k; j++) {
        json_t *o = json_object();
        double z = f->b[j] / f->se[j];
        pfx_json_set(o, "term", json_string(f->term[j]), failed);
        pfx_json_set(o, "estimate", pfx_json_real(f->b[j]), failed);
        pfx_json_set(o, "std_error", pfx_json_real(f->se[j]), failed);
        pfx_json_set(o, "statistic", pfx_json_real(z), failed);
        pfx_json_set(o, "p_value", pfx_json_real(erfc(fabs(z) * M_SQRT1_2)), failed);
        pfx_json_append(a, o, failed);
    }
    return a;
}

static json_t *balances(const pfx_match_report *r, bool *failed)
{
    json_t *a = json_array();
    for (int j = 0; j < r->n_balance; j++) {
        const pfx_balance *b = &r->balance[j];
        json_t *o = json_object();
        pfx_json_set(o, "variable", json_string(b->name), failed);
        pfx_json_set(o, "mean_treated", pfx_json_real(b->mean[0][1]), failed);
        pfx_json_set(o, "mean_control", pfx_json_real(b->mean[0][0]), failed);
        pfx_json_set(o, "std_diff", pfx_json_real(b->diff[0]), failed);
        pfx_json_set(o, "variance_ratio", pfx_json_real(b->ratio[0]), failed);
        pfx_json_set(o, "mean_treated_matched", pfx_json_real(b->mean[1][1]), failed);
        pfx_json_set(o, "mean_control_matched", pfx_json_real(b->mean[1][0]), failed);
        pfx_json_set(o, "std_diff_matched", pfx_json_real(b->diff[1]), failed);
        pfx_json_set(o, "variance_ratio_matched", pfx_json_real(b->ratio[1]), failed);
        pfx_json_append(a, o, failed);
    }
    return a;
}

static void set_counts(const pfx_match_report *r, json_t *root, bool *failed)
{
    const struct {
        const char *key;
        pfx_idx n;
    } counts[] = {{"n_obs", r->fit->n},
                  {"n_missing", r->n_missing},
                  {"n_treated", r->match->n_treated},
                  {"n_control", r->match->n_control},
                  {"n_strata", r->n_strata},
                  {"n_off_support", r->match->n_off_support},
                  {"n_matched", r->match->n_matched},
                  {"n_unmatched", r->match->n_treated - r->match->n_matched},
                  {"n_short", r->match->n_short},
                  {"n_controls_used", r->match->n_used},
                  {"n_written", r->n_written}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        pfx_json_set(root, counts[i].key, json_integer(counts[i].n), failed);
}

static pfx_status render_json(const pfx_match_report *r, pfx_str *out, pfx_err *err)
{
    bool failed = false;
    json_t *root = json_object(), *time = json_object(), *effects = json_array(), *dropped = json_array();
    pfx_json_set(root, "panelfx", json_string(PFX_VERSION), &failed);
    pfx_json_set(root, "command", json_string("match"), &failed);
    pfx_json_set(root, "formula", json_string(r->formula), &failed);
    pfx_json_set(root, "method", json_string(r->link), &failed);
    pfx_json_set(root, "synthetic", json_boolean(r->synthetic), &failed);
    set_counts(r, root, &failed);
    pfx_json_set(root, "neighbours", json_integer(r->k), &failed);
    pfx_json_set(root, "replacement", json_boolean(r->replace), &failed);
    pfx_json_set(root, "score", json_string(r->score), &failed);
    pfx_json_set(root, "caliper", r->caliper > 0 ? pfx_json_real(r->caliper) : json_null(), &failed);
    pfx_json_set(root, "caliper_score", r->caliper > 0 ? pfx_json_real(r->caliper_score) : json_null(),
                 &failed);
    pfx_json_set(root, "exact", r->exact ? json_string(r->exact) : json_null(), &failed);
    pfx_json_set(root, "common_support", json_boolean(r->support), &failed);
    for (int j = 0; j < r->fit->n_collinear; j++)
        pfx_json_append(dropped, json_string(r->fit->collinear[j]), &failed);
    pfx_json_set(root, "collinear", dropped, &failed);
    pfx_json_set(root, "coefficients", coefficients(r->fit, &failed), &failed);
    pfx_json_set(root, "log_likelihood", pfx_json_real(r->fit->loglik), &failed);
    pfx_json_set(root, "pseudo_r2", pfx_json_real(1 - r->fit->loglik / r->fit->loglik0), &failed);
    pfx_json_set(root, "iterations", json_integer(r->fit->iterations), &failed);
    pfx_json_set(root, "balance", balances(r, &failed), &failed);
    for (int i = 0; i < r->n_effects; i++) {
        json_t *o = json_object();
        pfx_json_set(o, "outcome", json_string(r->effect[i].outcome), &failed);
        pfx_json_set(o, "estimate", pfx_json_real(r->effect[i].estimate), &failed);
        pfx_json_set(o, "n_missing", json_integer(r->effect[i].n_missing), &failed);
        pfx_json_append(effects, o, &failed);
    }
    pfx_json_set(root, "att", effects, &failed);
    pfx_json_set(root, "output", json_string(r->output), &failed);
    pfx_json_set(time, "read_s", pfx_json_real(r->read_s), &failed);
    pfx_json_set(time, "compute_s", pfx_json_real(r->compute_s), &failed);
    pfx_json_set(time, "total_s", pfx_json_real(r->total_s), &failed);
    pfx_json_set(root, "time", time, &failed);
    pfx_json_set(root, "threads", json_integer(r->threads), &failed);
    pfx_json_set(root, "peak_memory_bytes", json_integer(r->peak_memory_bytes), &failed);
    pfx_json_set(root, "warnings", pfx_json_warnings(&failed), &failed);
    return pfx_json_dump(root, failed, "match", out, err);
}

pfx_status pfx_match_balance_line(const pfx_match_report *r, pfx_str *out, pfx_err *err)
{
    bool failed = false;
    json_t *root = json_object(), *list = json_array();
    pfx_json_set(root, "formula", json_string(r->formula), &failed);
    pfx_json_set(root, "synthetic", json_boolean(r->synthetic), &failed);
    pfx_json_set(root, "n_treated", json_integer(r->match->n_treated), &failed);
    pfx_json_set(root, "n_matched", json_integer(r->match->n_matched), &failed);
    for (int j = 0; j < r->n_balance; j++) {
        json_t *o = json_object();
        pfx_json_set(o, "variable", json_string(r->balance[j].name), &failed);
        pfx_json_set(o, "std_diff", pfx_json_real(r->balance[j].diff[0]), &failed);
        pfx_json_set(o, "std_diff_matched", pfx_json_real(r->balance[j].diff[1]), &failed);
        pfx_json_append(list, o, &failed);
    }
    pfx_json_set(root, "balance", list, &failed);
    return pfx_json_line(root, failed, "match", out, err);
}

/* ---- tables ---- */

static void heading(pfx_table *t, int n, const char *const *names)
{
    pfx_table_heading(t);
    for (int i = 0; i < n; i++) pfx_table_text(t, names[i]);
}

static pfx_table *score_table(const pfx_match_report *r, pfx_err *err)
{
    static const char *const names[] = {"Propensity score", "Coefficient", "SE", "z", "p"};
    pfx_table *t = pfx_table_create(5, err);
    if (!t) return NULL;
    heading(t, 5, names);
    for (int j = 0; j < r->fit->k; j++) {
        double z = r->fit->b[j] / r->fit->se[j];
        pfx_table_row(t);
        pfx_table_text(t, r->fit->term[j]);
        pfx_table_num(t, r->fit->b[j], 4);
        pfx_table_num(t, r->fit->se[j], 4);
        pfx_table_num(t, z, 2);
        pfx_table_num(t, erfc(fabs(z) * M_SQRT1_2), 4);
    }
    pfx_table_note(t, "%s on %lld rows, %lld treated; log likelihood %.4f, pseudo R2 %.4f.",
                   strcmp(r->link, "probit") ? "Logit" : "Probit", (long long)r->fit->n,
                   (long long)r->fit->n1, r->fit->loglik, 1 - r->fit->loglik / r->fit->loglik0);
    for (int j = 0; j < r->fit->n_collinear; j++)
        pfx_table_note(t, "%s is left out: other regressors imply it.", r->fit->collinear[j]);
    return t;
}

static void match_notes(const pfx_match_report *r, pfx_table *t)
{
    const pfx_match *m = r->match;
    pfx_table_note(
        t,
        "%d nearest neighbour%s %s replacement on the %s of the propensity score%s%s; at one distance the "
        "lowest row first.",
        r->k, r->k == 1 ? "" : "s", r->replace ? "with" : "without", r->score, r->exact ? ", within " : "",
        r->exact ? r->exact : "");
    if (r->caliper > 0)
        pfx_table_note(t, "Caliper: %g standard deviations of the score, %.6g.", r->caliper,
                       r->caliper_score);
    pfx_table_note(
        t, "Treated: %lld of %lld matched, %lld off the common support; %lld with fewer than %d neighbours.",
        (long long)m->n_matched, (long long)m->n_treated, (long long)m->n_off_support, (long long)m->n_short,
        r->k);
    pfx_table_note(t, "Controls: %lld of %lld used. Rows left out as missing: %lld.", (long long)m->n_used,
                   (long long)m->n_control, (long long)r->n_missing);
    pfx_table_note(t, "Differences are in standard deviations of the treated before matching.");
    for (int i = 0; i < r->n_effects; i++)
        pfx_table_note(t, "%s: the matched treated less their controls %.6g%s.", r->effect[i].outcome,
                       r->effect[i].estimate,
                       r->effect[i].n_missing ? ", without rows where it is missing" : "");
    pfx_table_note(t, "%s: %lld rows, weights in _weight; fit it with --weights _weight. %s", r->output,
                   (long long)r->n_written, FIXED);
    if (r->synthetic) pfx_table_note(t, "Synthetic panel: the data were simulated, not observed.");
}

static pfx_table *balance_table(const pfx_match_report *r, pfx_err *err)
{
    static const char *const names[] = {"Balance",
                                        "Treated",
                                        "Controls",
                                        "Difference",
                                        "Treated, matched",
                                        "Controls, matched",
                                        "Difference, matched",
                                        "Variance ratio, matched"};
    pfx_table *t = pfx_table_create(8, err);
    if (!t) return NULL;
    heading(t, 8, names);
    for (int j = 0; j < r->n_balance; j++) {
        const pfx_balance *b = &r->balance[j];
        pfx_table_row(t);
        pfx_table_text(t, b->name);
        for (int after = 0; after < 2; after++) {
            pfx_table_num(t, b->mean[after][1], 4);
            pfx_table_num(t, b->mean[after][0], 4);
            pfx_table_num(t, b->diff[after], 3);
        }
        pfx_table_num(t, b->ratio[1], 2);
    }
    match_notes(r, t);
    return t;
}

pfx_status pfx_match_render(const pfx_match_report *r, pfx_format format, int width, pfx_str *out,
                            pfx_err *err)
{
    if (format == PFX_FORMAT_JSON) return render_json(r, out, err);
    pfx_table *score = score_table(r, err), *balance = balance_table(r, err);
    pfx_status st = score && balance ? PFX_OK : PFX_ENOMEM;
    /* A program reads the balance; a reader both. */
    if (st == PFX_OK && format != PFX_FORMAT_CSV && format != PFX_FORMAT_HTML) {
        st = pfx_table_render(score, format, width, out, err);
        pfx_str_add(out, "\n");
    }
    if (st == PFX_OK) st = pfx_table_render(balance, format, width, out, err);
    pfx_table_free(score);
    pfx_table_free(balance);
    return st;
}
