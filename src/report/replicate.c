#include "src/report/replicate.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/version.h"

static pfx_rep_value *add(pfx_rep_values *v, const char *group, const char *key, const char *label,
                          pfx_rep_kind kind)
{
    assert(v->n < PFX_REP_VALUES);
    v->v[v->n] = (pfx_rep_value){.group = group, .key = key, .label = label, .kind = kind};
    return &v->v[v->n++];
}

void pfx_rep_add_real(pfx_rep_values *v, const char *group, const char *key, const char *label, double x)
{
    add(v, group, key, label, PFX_REP_REAL)->real = x;
}

void pfx_rep_add_count(pfx_rep_values *v, const char *group, const char *key, const char *label, pfx_idx n)
{
    add(v, group, key, label, PFX_REP_COUNT)->count = n;
}

void pfx_rep_add_text(pfx_rep_values *v, const char *group, const char *key, const char *label, const char *s)
{
    add(v, group, key, label, PFX_REP_TEXT)->text = s;
}

void pfx_rep_add_flag(pfx_rep_values *v, const char *group, const char *key, const char *label, bool on)
{
    add(v, group, key, label, PFX_REP_FLAG)->count = on;
}

void pfx_rep_add_interval(pfx_rep_term *t, const char *name, double low, double high)
{
    assert(t->n_intervals < PFX_REP_INTERVALS);
    t->interval[t->n_intervals++] = (pfx_rep_interval){name, low, high};
}

pfx_status pfx_rep_report_init(pfx_rep_report *r, int n_terms, pfx_err *err)
{
    *r = (pfx_rep_report){.n_terms = n_terms};
    if (!(r->term = pfx_mem_calloc(n_terms, sizeof *r->term, err))) return PFX_ENOMEM;
    for (int t = 0; t < n_terms; t++)
        r->term[t] = (pfx_rep_term){.estimate = NAN,
                                    .std_error = NAN,
                                    .statistic = NAN,
                                    .count = -1,
                                    .p_value = NAN,
                                    .p_low = NAN,
                                    .p_high = NAN};
    return PFX_OK;
}

void pfx_rep_report_free(pfx_rep_report *r)
{
    pfx_mem_free(r->term);
    pfx_str_free(&r->note);
    *r = (pfx_rep_report){0};
}

/* ---- text ---- */

static void add_real(pfx_str *out, double x)
{
    if (isnan(x))
        pfx_str_addf(out, " %12s", "");
    else
        pfx_str_addf(out, " %12.6g", x);
}

static void add_values(pfx_str *out, const pfx_rep_values *more)
{
    for (int i = 0; i < more->n; i++) {
        const pfx_rep_value *v = &more->v[i];
        if (!v->label) continue;
        pfx_str_addf(out, "  %-30s ", v->label);
        if (v->kind == PFX_REP_REAL) pfx_str_addf(out, "%.6g\n", v->real);
        if (v->kind == PFX_REP_COUNT) pfx_str_addf(out, "%lld\n", (long long)v->count);
        if (v->kind == PFX_REP_TEXT) pfx_str_addf(out, "%s\n", v->text ? v->text : "");
        if (v->kind == PFX_REP_FLAG) pfx_str_addf(out, "%s\n", v->count ? "yes" : "no");
    }
}

static void add_head(const pfx_rep_report *r, pfx_str *out)
{
    if (r->synthetic) pfx_str_add(out, "Synthetic panel: the data were simulated, not observed.\n");
    if (r->matched)
        pfx_str_addf(
            out,
            "Matched panel (%s): the match is treated as fixed, which is not valid for nearest neighbours "
            "(Abadie and Imbens 2008).\n",
            r->matched);
    pfx_str_addf(out, "%s\n%s: ", r->formula, r->title);
    if (r->reps)
        pfx_str_addf(out, "%lld replicates, seed %llu; ", (long long)r->reps, (unsigned long long)r->seed);
    if (r->cluster && r->cluster2)
        pfx_str_addf(out, "%lld clusters (%s) and %lld (%s), ", (long long)r->n_clusters, r->cluster,
                     (long long)r->n_clusters2, r->cluster2);
    else if (r->cluster)
        pfx_str_addf(out, "%lld clusters (%s), ", (long long)r->n_clusters, r->cluster);
    pfx_str_addf(out, "%lld rows\n", (long long)r->n_obs);
    add_values(out, &r->more);
}

pfx_status pfx_rep_text(const pfx_rep_report *r, pfx_str *out, pfx_err *err)
{
    add_head(r, out);
    if (r->n_terms > 0)
        pfx_str_addf(out, "\n%-20s %12s %12s %12s %12s%s\n", "", "estimate", "std. error", "t", "p-value",
                     r->reps ? "      valid" : "");
    for (int t = 0; t < r->n_terms; t++) {
        const pfx_rep_term *b = &r->term[t];
        pfx_str_addf(out, "%-20s", b->term);
        add_real(out, b->estimate);
        add_real(out, b->std_error);
        add_real(out, b->statistic);
        add_real(out, b->p_value);
        if (b->reps) pfx_str_addf(out, " %10lld", (long long)b->valid);
        pfx_str_add(out, "\n");
        for (int k = 0; k < b->n_intervals; k++) {
            pfx_str_addf(out, "  %-18s", b->interval[k].name);
            add_real(out, b->interval[k].low);
            add_real(out, b->interval[k].high);
            pfx_str_add(out, "\n");
        }
        if (!isnan(b->p_low)) {
            pfx_str_addf(out, "  %-18s", "p-value within");
            add_real(out, b->p_low);
            add_real(out, b->p_high);
            pfx_str_add(out, "\n");
        }
        add_values(out, &b->more);
    }
    if (r->note.len) pfx_str_addf(out, "\n%s", r->note.s);
    return out->failed || r->note.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the report") : PFX_OK;
}

/* ---- JSON ---- */

/* jansson reports a failed allocation of a value as a NULL, which setting it then reports. */
static void set(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(object, key, value)) *failed = true;
}

static json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *pair(double low, double high, bool *failed)
{
    json_t *p = json_array();
    if (json_array_append_new(p, real(low)) || json_array_append_new(p, real(high))) *failed = true;
    return p;
}

static json_t *value(const pfx_rep_value *v)
{
    if (v->kind == PFX_REP_REAL) return real(v->real);
    if (v->kind == PFX_REP_COUNT) return json_integer(v->count);
    if (v->kind == PFX_REP_FLAG) return json_boolean(v->count);
    return v->text ? json_string(v->text) : json_null();
}

static void set_values(json_t *o, const pfx_rep_values *more, bool *failed)
{
    for (int i = 0; i < more->n; i++) {
        const pfx_rep_value *v = &more->v[i];
        json_t *at = o;
        if (v->group) {
            if (!json_object_get(o, v->group)) set(o, v->group, json_object(), failed);
            at = json_object_get(o, v->group);
        }
        set(at, v->key, value(v), failed);
    }
}

/* A name that comes once is a pair; one that comes again, a list of pairs. */
static json_t *intervals(const pfx_rep_term *b, bool *failed)
{
    json_t *ci = json_object();
    for (int k = 0; k < b->n_intervals; k++) {
        const char *name = b->interval[k].name;
        json_t *list = json_array();
        int n = 0;
        for (int j = 0; j < b->n_intervals; j++) {
            if (strcmp(b->interval[j].name, name) != 0) continue;
            if (json_array_append_new(list, pair(b->interval[j].low, b->interval[j].high, failed)))
                *failed = true;
            n++;
        }
        if (n > 1)
            set(ci, name, list, failed);
        else {
            json_decref(list);
            set(ci, name, pair(b->interval[k].low, b->interval[k].high, failed), failed);
        }
    }
    return ci;
}

static void set_term(const pfx_rep_report *r, int t, json_t *o, bool *failed)
{
    const pfx_rep_term *b = &r->term[t];
    const pfx_rep_interval *first = b->n_intervals ? &b->interval[0] : NULL;
    set(o, "term", json_string(b->term), failed);
    set(o, "estimate", real(b->estimate), failed);
    set(o, "std_error", real(b->std_error), failed);
    set(o, "statistic", real(b->statistic), failed);
    set(o, "null", real(r->null), failed);
    if (b->reps) {
        set(o, "reps", json_integer(b->reps), failed);
        set(o, "reps_valid", json_integer(b->valid), failed);
    }
    if (b->count >= 0) set(o, "count", json_integer(b->count), failed);
    set(o, "p_value", real(b->p_value), failed);
    if (!isnan(b->p_low)) set(o, "p_value_ci", pair(b->p_low, b->p_high, failed), failed);
    set(o, "conf_low", first ? real(first->low) : json_null(), failed);
    set(o, "conf_high", first ? real(first->high) : json_null(), failed);
    set(o, "ci", intervals(b, failed), failed);
    set_values(o, &b->more, failed);
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

static void set_head(const pfx_rep_report *r, json_t *root, bool *failed)
{
    set(root, "panelfx", json_string(PFX_VERSION), failed);
    set(root, "command", json_string(r->command), failed);
    if (r->method) set(root, r->method_key, json_string(r->method), failed);
    set(root, "formula", json_string(r->formula), failed);
    set(root, "outcome", json_string(r->outcome), failed);
    set(root, "synthetic", json_boolean(r->synthetic), failed);
    if (r->matched) set(root, "matched_as_fixed", json_string(r->matched), failed);
    set(root, "n_obs", json_integer(r->n_obs), failed);
    if (r->cluster) {
        set(root, "cluster", json_string(r->cluster), failed);
        set(root, "n_clusters", json_integer(r->n_clusters), failed);
    }
    if (r->cluster2) {
        set(root, "cluster2", json_string(r->cluster2), failed);
        set(root, "n_clusters2", json_integer(r->n_clusters2), failed);
    }
    if (r->reps) set(root, "seed", json_integer((json_int_t)r->seed), failed);
    set(root, "level", real(r->level), failed);
    set_values(root, &r->more, failed);
}

static void set_tail(const pfx_rep_report *r, json_t *root, bool *failed)
{
    json_t *time = json_object();
    set(time, "read_s", real(r->read_s), failed);
    set(time, "compute_s", real(r->compute_s), failed);
    set(time, "total_s", real(r->total_s), failed);
    set(root, "time", time, failed);
    set(root, "threads", json_integer(r->threads), failed);
    set(root, "peak_memory_bytes", json_integer(r->peak_memory_bytes), failed);
    set(root, "warnings", warnings(failed), failed);
}

pfx_status pfx_rep_json(const pfx_rep_report *r, pfx_str *out, pfx_err *err)
{
    bool failed = false;
    pfx_status st = PFX_OK;
    json_t *root = json_object();
    set_head(r, root, &failed);
    if (r->n_terms == 1) set_term(r, 0, root, &failed);
    if (r->n_terms > 1) {
        json_t *terms = json_array();
        for (int t = 0; t < r->n_terms; t++) {
            json_t *o = json_object();
            set_term(r, t, o, &failed);
            if (json_array_append_new(terms, o)) failed = true;
        }
        set(root, "terms", terms, &failed);
    }
    set_tail(r, root, &failed);
    if (failed || json_dump_callback(root, append, out, JSON_INDENT(1) | JSON_REAL_PRECISION(17)))
        st = pfx_fail(err, PFX_ENOMEM, "the JSON of %s: out of memory, or a text is not UTF-8", r->command);
    pfx_str_add(out, "\n");
    json_decref(root);
    return st;
}

pfx_status pfx_rep_json_full(int n_terms, const char *const *terms, const pfx_rep_values *v, pfx_str *json,
                             pfx_err *err)
{
    bool failed = false;
    pfx_str out = {0};
    json_t *root = json_loadb(json->s, json->len, 0, NULL), *all = json_object();
    for (int t = 0; t < n_terms; t++) {
        json_t *o = json_object();
        set_values(o, &v[t], &failed);
        set(all, terms[t], o, &failed);
    }
    set(root, "replication", all, &failed);
    if (failed || json_dump_callback(root, append, &out, JSON_INDENT(1) | JSON_REAL_PRECISION(17))) {
        json_decref(root);
        pfx_str_free(&out);
        return pfx_fail(err, PFX_ENOMEM, "out of memory for the JSON of the fit");
    }
    json_decref(root);
    pfx_str_add(&out, "\n");
    pfx_str_free(json);
    *json = out;
    return PFX_OK;
}
