/* The inference command: p-values and intervals from stored draws, without the panel. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "hdf5_io/draws.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/commands.h"
#include "src/cmd/inference_private.h"
#include "src/cmd/placebo.h"

/* Of --memory, what the draws may take. */
static const double DRAWS_SHARE = 0.4;

/* Methods whose draws are understood. */
static const inference_method *const methods[] = {&inference_pairs, &inference_wild, &inference_placebo};

static const char *const format_choices[] = {"text", "json", NULL};
static const char *const p_choices[] = {"symmetric", "equal-tailed", "left", "right", NULL};
static const char *const stat_choices[] = {"t", "b", NULL};

#define AT(field) offsetof(inference_options, field)
static const pfx_opt inference_table[] = {
    {"coef", 0, PFX_OPT_NAMES, AT(coef), "NAMES",
     "coefficients, joined by commas (default: all that are stored)", NULL, "Inference"},
    {"ci", 0, PFX_OPT_NAMES, AT(ci), "KINDS",
     "pairs: percentile, basic, normal, bca, t; wild: invert or none (default: all that the draws were made "
     "for)",
     NULL, NULL},
    {"null", 0, PFX_OPT_REAL, AT(rep.null), "H0",
     "value that the p-value is for (default: 0; wild: that of the draws)", NULL, NULL},
    {"ptype", 0, PFX_OPT_CHOICE, AT(ptype), "KIND",
     "wild: symmetric, equal-tailed, left or right p-value and interval (default: symmetric)", p_choices,
     NULL},
    {"stat", 0, PFX_OPT_CHOICE, AT(stat), "STAT",
     "placebo: what the p-value compares: t or b (default: t, b where the draws have no standard errors)",
     stat_choices, NULL},
    {"level", 0, PFX_OPT_REAL, AT(rep.level), "P", "level of the intervals (default: 0.95)", NULL, NULL},
    {"format", 0, PFX_OPT_CHOICE, AT(rep.format), "FORMAT", "text or json on standard output (default: text)",
     format_choices, "Output"},
    {0},
};

static void free_run(inference_run *r)
{
    for (int f = 0; f < PFX_KEEP_FIELDS; f++) pfx_mem_free(r->field[f]);
    json_decref(r->fit);
    pfx_str_free(&r->title);
    pfx_draws_close(r->file);
}

/* Who made the draws, and options that are of others. */
static pfx_status choose_method(inference_run *r, const char *path, pfx_err *err)
{
    const pfx_draw_spec *s = r->spec;
    for (size_t i = 0; i < sizeof methods / sizeof *methods && !r->shown; i++) {
        r->how = methods[i];
        r->shown = r->how->find(s);
    }
    if (!r->shown)
        return pfx_fail(err, PFX_EUSAGE, "%s: draws of %s %s, which this version does not infer from", path,
                        s->command, s->method);
    const char *other = r->o->ptype && r->how != &inference_wild ? "--ptype is of boot --method wild"
                        : r->o->stat != PLACEBO_DEFAULT && r->how != &inference_placebo
                            ? "--stat is of placebo"
                        : r->o->ci.n && r->how == &inference_placebo ? "--ci is of boot"
                                                                     : NULL;
    if (other)
        return pfx_fail(err, PFX_EUSAGE, "%s, and %s holds draws of %s %s; leave it out", other, path,
                        s->command, s->method);
    return PFX_OK;
}

/* The place of a field by its name, 0: the draws have none. */
int inference_field(const inference_run *r, const char *name)
{
    for (int i = 0; i < r->spec->n_extra && PFX_DRAW_FIELDS + i < PFX_KEEP_FIELDS; i++)
        if (strcmp(r->spec->extra[i], name) == 0) return PFX_DRAW_FIELDS + i;
    return 0;
}

static pfx_status open_draws(inference_run *r, const char *path, pfx_err *err)
{
    char *text = NULL;
    pfx_status st = pfx_draws_open(path, &r->file, err);
    if (st != PFX_OK) return st;
    const pfx_draw_spec *s = r->spec = pfx_draws_spec(r->file);
    if (s->n_shards == 1 && s->first == 0 && s->last < s->reps)
        return pfx_fail(
            err, PFX_EUSAGE,
            "%s: stopped after %lld of %lld replicates, when one p-value was decided, which says little "
            "of others; run %s without --stop-when-decided",
            path, (long long)s->last, (long long)s->reps, s->command);
    if (s->last - s->first != s->reps)
        return pfx_fail(err, PFX_EDATA, "%s holds replicates %lld to %lld of %lld: merge the shards first",
                        path, (long long)s->first + 1, (long long)s->last, (long long)s->reps);
    if ((st = choose_method(r, path, err)) != PFX_OK) return st;
    if ((st = pfx_draws_fit(r->file, &text, err)) != PFX_OK) return st;
    r->fit = json_loads(text, 0, NULL);
    pfx_mem_free(text);
    if (!json_is_object(json_object_get(r->fit, "replication")) ||
        !json_array_get(json_object_get(r->fit, "models"), 0))
        return pfx_fail(err, PFX_EFORMAT, "%s:/fit: no full-sample results to compare the draws with", path);
    return PFX_OK;
}

static pfx_status read_draws(inference_run *r, pfx_err *err)
{
    const pfx_draw_spec *s = r->spec;
    pfx_idx cells = s->reps * s->n_terms;
    int fields =
        PFX_DRAW_FIELDS + s->n_extra < PFX_KEEP_FIELDS ? PFX_DRAW_FIELDS + s->n_extra : PFX_KEEP_FIELDS;
    double bytes =
               (double)fields * (double)cells * sizeof(double), /* one is not read; one more for sorting */
        allowed = DRAWS_SHARE * (double)r->o->rep.common.memory;
    if (bytes > allowed)
        return pfx_fail(err, PFX_ENOMEM,
                        "%lld draws of %d coefficients need %.3g MiB, --memory leaves %.3g; give more",
                        (long long)s->reps, s->n_terms, bytes / 1048576, allowed / 1048576);
    for (int f = 0; f < fields; f++) {
        if (f == PFX_DRAW_STD_ERROR) continue;
        if (!(r->field[f] = pfx_mem_alloc(cells, sizeof **r->field, err))) return PFX_ENOMEM;
        pfx_status st = pfx_draws_read(r->file, f, 0, s->reps, r->field[f], err);
        if (st != PFX_OK) return st;
    }
    for (pfx_idx c = 0; c < cells && !r->studentised; c++)
        r->studentised = isfinite(r->field[PFX_DRAW_STATISTIC][c]);
    return PFX_OK;
}

double inference_number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

pfx_idx inference_count(const json_t *o, const char *key)
{
    return (pfx_idx)json_integer_value(json_object_get(o, key));
}

const char *inference_text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

const json_t *inference_full(const inference_run *r, int t)
{
    return json_object_get(json_object_get(r->fit, "replication"), r->spec->terms[t]);
}

/* Numbers of the terms asked for. */
static pfx_status choose_terms(const inference_run *r, int *n, int *term, pfx_err *err)
{
    const pfx_opt_list *c = &r->o->coef;
    if (r->spec->n_terms > (int)(sizeof c->v / sizeof *c->v))
        return pfx_fail(err, PFX_EFORMAT, "%s: draws of %d coefficients, more than any run has",
                        pfx_draws_path(r->file), r->spec->n_terms);
    *n = c->n ? c->n : r->spec->n_terms;
    for (int i = 0; i < *n; i++) {
        term[i] = i;
        if (!c->n) continue;
        for (term[i] = 0; term[i] < r->spec->n_terms; term[i]++)
            if (strcmp(c->v[i], r->spec->terms[term[i]]) == 0) break;
        if (term[i] < r->spec->n_terms) continue;
        const char *near = pfx_text_nearest(c->v[i], r->spec->n_terms, r->spec->terms);
        return pfx_fail(err, PFX_EUSAGE, "--coef %s: no draws of it%s%s", c->v[i],
                        near ? "; did you mean " : "", near ? near : "");
    }
    return PFX_OK;
}

static void fill_head(const inference_run *r, pfx_rep_report *p)
{
    const json_t *model = json_array_get(json_object_get(r->fit, "models"), 0);
    const json_t *cluster = json_array_get(json_object_get(model, "clusters"), 0);
    p->command = r->spec->command;
    p->method = r->spec->method;
    p->method_key = r->shown->name_key;
    p->title = r->title.s;
    p->formula = inference_text(model, "formula");
    p->outcome = inference_text(model, "outcome");
    p->cluster = inference_text(cluster, "name");
    p->n_clusters = inference_count(cluster, "levels");
    const json_t *second = json_array_get(json_object_get(model, "clusters"), 1);
    if (second) {
        p->cluster2 = inference_text(second, "name");
        p->n_clusters2 = inference_count(second, "levels");
    }
    p->n_obs = inference_count(model, "n_obs");
    p->reps = r->spec->reps;
    p->seed = r->spec->seed;
    p->level = r->o->rep.level;
    p->null = r->null;
    p->synthetic = json_is_true(json_object_get(r->fit, "synthetic"));
    p->threads = (int)r->o->rep.common.threads;
}

/* Draws of several specifications: all of their tests are one family. With --coef there is none. */
static pfx_status infer_family(const inference_run *r, pfx_rep_report *p, pfx_err *err)
{
    const json_t *models = json_object_get(r->fit, "models");
    const pfx_draw_spec *s = r->spec;
    if (json_array_size(models) < 2 || s->n_terms > REP_FAMILY_TESTS || r->o->coef.n || !r->studentised)
        return PFX_OK;
    pfx_draw_keep d = {.n_terms = s->n_terms, .n = s->reps};
    d.field[PFX_DRAW_STATISTIC] = r->field[PFX_DRAW_STATISTIC];
    int per = s->n_terms / (int)json_array_size(models);
    for (int t = 0; t < s->n_terms; t++)
        pfx_rep_add_text(&p->term[t].more, NULL, "formula", "formula",
                         inference_text(json_array_get(models, (size_t)(t / per)), "formula"));
    return rep_family_adjust(&d, r->how->rule ? r->how->rule(r) : r->shown->rule, p, err);
}

static pfx_status print(pfx_rep_report *p, bool json, pfx_err *err)
{
    pfx_str out = {0};
    p->total_s = pfx_run_s();
    p->peak_memory_bytes = pfx_peak_rss();
    pfx_status st = json ? pfx_rep_json(p, &out, err) : pfx_rep_text(p, &out, err);
    if (st == PFX_OK) st = pfx_file_write_text(NULL, out.s, out.len, false, err);
    pfx_str_free(&out);
    return st;
}

static pfx_status infer(inference_run *r, const char *path, pfx_err *err)
{
    pfx_rep_report p = {0};
    int n = 0, term[sizeof r->o->coef.v / sizeof *r->o->coef.v] = {0};
    double t0 = pfx_wall_s();
    r->null = isnan(r->o->rep.null) ? 0 : r->o->rep.null;
    pfx_status st = open_draws(r, path, err);
    if (st == PFX_OK) st = choose_terms(r, &n, term, err);
    if (st == PFX_OK) st = read_draws(r, err);
    if (st == PFX_OK) st = r->how->choose(r, err);
    pfx_str_addf(&r->title, "%s, stored draws", r->shown ? r->shown->title : "");
    if (st == PFX_OK && r->title.failed) st = pfx_fail(err, PFX_ENOMEM, "out of memory for a title");
    double t1 = pfx_wall_s();
    if (st == PFX_OK) st = pfx_rep_report_init(&p, n, err);
    if (st == PFX_OK) fill_head(r, &p);
    for (int i = 0; i < n && st == PFX_OK; i++) {
        p.term[i].term = r->spec->terms[term[i]];
        p.term[i].reps = r->spec->reps;
        st = r->how->term(r, term[i], &p, &p.term[i], err);
    }
    if (st == PFX_OK && r->how->head) r->how->head(r, &p);
    if (st == PFX_OK) st = infer_family(r, &p, err);
    p.read_s = t1 - t0;
    p.compute_s = pfx_wall_s() - t1;
    if (st == PFX_OK) st = print(&p, r->o->rep.format == 1, err);
    pfx_rep_report_free(&p);
    return st;
}

static pfx_status inference_command(int argc, char **argv, pfx_err *err)
{
    inference_options o = {.rep = rep_defaults(), .stat = PLACEBO_DEFAULT};
    inference_run r = {.o = &o};
    o.rep.null = NAN; /* not asked for */
    const char *pos[1];
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_inference, argc, argv, &o, 1, 1, pos, &n_pos, err);
    if (st || o.rep.common.help) return st;
    if ((st = rep_check_options(&o.rep, err)) == PFX_OK) st = infer(&r, pos[0], err);
    free_run(&r);
    return st;
}

const pfx_command pfx_cmd_inference = {
    "inference",     "DRAWS.h5",        "p-values and intervals from stored draws",
    inference_table, inference_command, NULL};
