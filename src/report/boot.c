#include "src/report/boot.h"

#include <jansson.h>
#include <math.h>

#include "src/base/log.h"
#include "src/base/version.h"

static void add_real(pfx_str *out, double x)
{
    if (isnan(x))
        pfx_str_addf(out, " %12s", "");
    else
        pfx_str_addf(out, " %12.6g", x);
}

pfx_status pfx_boot_text(const pfx_boot_report *r, pfx_str *out, pfx_err *err)
{
    if (r->synthetic) pfx_str_add(out, "Synthetic panel: the data were simulated, not observed.\n");
    pfx_str_addf(out,
                 "%s\nPairs cluster bootstrap: %lld replicates, seed %llu; %lld clusters (%s), %lld rows\n\n",
                 r->formula, (long long)r->reps, (unsigned long long)r->seed, (long long)r->n_clusters,
                 r->cluster, (long long)r->n_obs);
    pfx_str_addf(out, "%-20s %12s %12s %12s %12s %10s\n", "", "estimate", "std. error", "t", "p-value",
                 "valid");
    for (int t = 0; t < r->n_terms; t++) {
        const pfx_boot_out *b = &r->result[t];
        pfx_str_addf(out, "%-20s", r->term[t]);
        add_real(out, r->estimate[t]);
        add_real(out, b->std_error);
        add_real(out, b->statistic);
        add_real(out, b->p_value);
        pfx_str_addf(out, " %10lld\n", (long long)b->valid);
        for (int k = 0; k < PFX_CI_KINDS; k++) {
            if (!r->ci[k]) continue;
            pfx_str_addf(out, "  %-18s", pfx_ci_names[k]);
            add_real(out, b->low[k]);
            add_real(out, b->high[k]);
            pfx_str_add(out, "\n");
        }
    }
    pfx_str_addf(out,
                 "\nIntervals at %g %%. Std. error: standard deviation of the valid draws. p-value: of the "
                 "coefficient "
                 "against %g,\nby the bootstrap distribution of t.\n",
                 100 * r->level, r->null);
    return out->failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the text of boot") : PFX_OK;
}

/* jansson reports a failed allocation of a value as a NULL, which setting it then reports. */
static void set(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(object, key, value)) *failed = true;
}

static json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static void set_term(const pfx_boot_report *r, int t, json_t *o, bool *failed)
{
    const pfx_boot_out *b = &r->result[t];
    json_t *ci = json_object();
    int first = -1;
    set(o, "term", json_string(r->term[t]), failed);
    set(o, "estimate", real(r->estimate[t]), failed);
    set(o, "std_error", real(b->std_error), failed);
    set(o, "statistic", real(b->statistic), failed);
    set(o, "null", real(r->null), failed);
    set(o, "reps", json_integer(r->reps), failed);
    set(o, "reps_valid", json_integer(b->valid), failed);
    set(o, "count", json_integer(b->count), failed);
    set(o, "p_value", real(b->p_value), failed);
    for (int k = 0; k < PFX_CI_KINDS; k++) {
        if (!r->ci[k]) continue;
        json_t *pair = json_array();
        if (json_array_append_new(pair, real(b->low[k])) || json_array_append_new(pair, real(b->high[k])))
            *failed = true;
        set(ci, pfx_ci_names[k], pair, failed);
        if (first < 0) first = k;
    }
    set(o, "conf_low", first < 0 ? json_null() : real(b->low[first]), failed);
    set(o, "conf_high", first < 0 ? json_null() : real(b->high[first]), failed);
    set(o, "ci", ci, failed);
}

static int append(const char *piece, size_t n, void *out)
{
    pfx_str_addn(out, piece, n);
    return ((pfx_str *)out)->failed ? -1 : 0;
}

static json_t *warnings(bool *failed)
{
    json_t *a = json_array();
    for (int i = 0; pfx_warning(i); i++)
        if (json_array_append_new(a, json_string(pfx_warning(i)))) *failed = true;
    return a;
}

pfx_status pfx_boot_json(const pfx_boot_report *r, pfx_str *out, pfx_err *err)
{
    bool failed = false;
    pfx_status st = PFX_OK;
    json_t *root = json_object(), *time = json_object(), *terms = json_array();
    set(root, "panelfx", json_string(PFX_VERSION), &failed);
    set(root, "command", json_string("boot"), &failed);
    set(root, "method", json_string(r->method), &failed);
    set(root, "formula", json_string(r->formula), &failed);
    set(root, "outcome", json_string(r->outcome), &failed);
    set(root, "synthetic", json_boolean(r->synthetic), &failed);
    set(root, "n_obs", json_integer(r->n_obs), &failed);
    set(root, "cluster", json_string(r->cluster), &failed);
    set(root, "n_clusters", json_integer(r->n_clusters), &failed);
    set(root, "seed", json_integer((json_int_t)r->seed), &failed);
    set(root, "level", real(r->level), &failed);
    if (r->n_terms == 1) set_term(r, 0, root, &failed);
    for (int t = 0; t < r->n_terms && r->n_terms > 1; t++) {
        json_t *o = json_object();
        set_term(r, t, o, &failed);
        if (json_array_append_new(terms, o)) failed = true;
    }
    if (r->n_terms > 1)
        set(root, "terms", terms, &failed);
    else
        json_decref(terms);
    set(time, "read_s", real(r->read_s), &failed);
    set(time, "compute_s", real(r->compute_s), &failed);
    set(time, "total_s", real(r->total_s), &failed);
    set(root, "time", time, &failed);
    set(root, "threads", json_integer(r->threads), &failed);
    set(root, "peak_memory_bytes", json_integer(r->peak_memory_bytes), &failed);
    set(root, "warnings", warnings(&failed), &failed);
    if (failed || json_dump_callback(root, append, out, JSON_INDENT(1) | JSON_REAL_PRECISION(17)))
        st = pfx_fail(err, PFX_ENOMEM, "the JSON of boot: out of memory, or a text is not UTF-8");
    pfx_str_add(out, "\n");
    json_decref(root);
    return st;
}
