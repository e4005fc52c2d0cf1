/* The inference command: p-values and intervals from stored draws, without the panel. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "hdf5_io/draws.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/boot.h"
#include "src/cmd/commands.h"

/* Of --memory, what the draws may take. */
static const double DRAWS_SHARE = 0.4;

typedef struct inference_options {
    rep_options rep;
    pfx_opt_list coef, ci;
} inference_options;

static const char *const format_choices[] = {"text", "json", NULL};

#define AT(field) offsetof(inference_options, field)
static const pfx_opt inference_table[] = {
    {"coef", 0, PFX_OPT_NAMES, AT(coef), "NAMES",
     "coefficients, joined by commas (default: all that are stored)", NULL, "Inference"},
    {"ci", 0, PFX_OPT_NAMES, AT(ci), "KINDS",
     "percentile, basic, normal, bca, t (default: all that the draws were made for)", NULL, NULL},
    {"null", 0, PFX_OPT_REAL, AT(rep.null), "H0", "value that the p-value is for (default: 0)", NULL, NULL},
    {"level", 0, PFX_OPT_REAL, AT(rep.level), "P", "level of the intervals (default: 0.95)", NULL, NULL},
    {"format", 0, PFX_OPT_CHOICE, AT(rep.format), "FORMAT", "text or json on standard output (default: text)",
     format_choices, "Output"},
    {0},
};

typedef struct inference_run {
    const inference_options *o;
    pfx_draws *file;
    const pfx_draw_spec *spec;
    json_t *fit;
    double *field[PFX_DRAW_FIELDS]; /* [reps x terms] ESTIMATE and STATISTIC */
    bool studentised;               /* some draw has a t */
    bool ci[PFX_CI_KINDS];
} inference_run;

static void free_run(inference_run *r)
{
    for (int f = 0; f < PFX_DRAW_FIELDS; f++) pfx_mem_free(r->field[f]);
    json_decref(r->fit);
    pfx_draws_close(r->file);
}

static pfx_status open_draws(inference_run *r, const char *path, pfx_err *err)
{
    char *text = NULL;
    pfx_status st = pfx_draws_open(path, &r->file, err);
    if (st != PFX_OK) return st;
    const pfx_draw_spec *s = r->spec = pfx_draws_spec(r->file);
    if (s->last - s->first != s->reps)
        return pfx_fail(err, PFX_EDATA, "%s holds replicates %lld to %lld of %lld: merge the shards first",
                        path, (long long)s->first + 1, (long long)s->last, (long long)s->reps);
    if (strcmp(s->command, "boot") != 0 || strcmp(s->method, "pairs") != 0)
        return pfx_fail(err, PFX_EUSAGE,
                        "%s: draws of %s %s; this version infers from those of boot --method pairs", path,
                        s->command, s->method);
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
    double bytes = 3.0 * (double)cells * sizeof(double),
           allowed = DRAWS_SHARE * (double)r->o->rep.common.memory;
    if (bytes > allowed)
        return pfx_fail(err, PFX_ENOMEM,
                        "%lld draws of %d coefficients need %.3g MiB, --memory leaves %.3g; give more",
                        (long long)s->reps, s->n_terms, bytes / 1048576, allowed / 1048576);
    const int fields[] = {PFX_DRAW_ESTIMATE, PFX_DRAW_STATISTIC};
    for (int i = 0; i < 2; i++) {
        int f = fields[i];
        if (!(r->field[f] = pfx_mem_alloc(cells, sizeof **r->field, err))) return PFX_ENOMEM;
        pfx_status st = pfx_draws_read(r->file, f, 0, s->reps, r->field[f], err);
        if (st != PFX_OK) return st;
    }
    for (pfx_idx c = 0; c < cells && !r->studentised; c++)
        r->studentised = isfinite(r->field[PFX_DRAW_STATISTIC][c]);
    return PFX_OK;
}

static double number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static const json_t *full_of(const inference_run *r, int t)
{
    return json_object_get(json_object_get(r->fit, "replication"), r->spec->terms[t]);
}

/* What the draws were not made for is left out, and refused where it was asked for by name. */
static pfx_status choose(inference_run *r, pfx_err *err)
{
    const struct {
        pfx_ci kind;
        bool there;
        const char *why;
    } needs[] = {{PFX_CI_T, r->studentised, "the draws have no standard errors"},
                 {PFX_CI_BCA, isfinite(number(full_of(r, 0), "acceleration")),
                  "no jackknife was stored with the draws"}};
    pfx_status st = boot_choose_intervals(&r->o->ci, r->ci, err);
    for (size_t i = 0; i < sizeof needs / sizeof *needs && st == PFX_OK; i++) {
        if (needs[i].there || !r->ci[needs[i].kind]) continue;
        if (r->o->ci.n)
            st = pfx_fail(err, PFX_EUSAGE, "--ci %s: %s; run boot with it", pfx_ci_names[needs[i].kind],
                          needs[i].why);
        r->ci[needs[i].kind] = false;
    }
    return st;
}

/* Clusters in a replicate, 0: as many as there are. */
static pfx_idx drawn_of(const inference_run *r)
{
    return (pfx_idx)json_integer_value(json_object_get(full_of(r, 0), "subsample"));
}

static pfx_idx clusters_of(const inference_run *r)
{
    const json_t *model = json_array_get(json_object_get(r->fit, "models"), 0);
    return (pfx_idx)number(json_array_get(json_object_get(model, "clusters"), 0), "levels");
}

static pfx_status infer_term(const inference_run *r, int t, pfx_rep_term *out, pfx_err *err)
{
    const pfx_draw_spec *s = r->spec;
    const json_t *full = full_of(r, t);
    double acceleration = number(full, "acceleration");
    const pfx_boot_in in = {.reps = s->reps,
                            .stride = s->n_terms,
                            .b = r->field[PFX_DRAW_ESTIMATE] + t,
                            .t = r->studentised ? r->field[PFX_DRAW_STATISTIC] + t : NULL,
                            .estimate = number(full, "estimate"),
                            .std_error = number(full, "std_error"),
                            .null = r->o->rep.null,
                            .level = r->o->rep.level,
                            .scale = boot_pairs_scale(drawn_of(r), clusters_of(r)),
                            .acceleration = isfinite(acceleration) ? acceleration : 0};
    if (!isfinite(in.estimate))
        return pfx_fail(err, PFX_EFORMAT, "%s:/fit: no estimate of %s", pfx_draws_path(r->file), s->terms[t]);
    out->term = s->terms[t];
    out->reps = s->reps;
    return boot_pairs_term(s->terms[t], &in, r->ci, out, err);
}

/* Numbers of the terms asked for. */
static pfx_status choose_terms(const inference_run *r, int *n, int *term, pfx_err *err)
{
    const pfx_opt_list *c = &r->o->coef;
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
    p->method_key = "method";
    p->title = "Pairs cluster bootstrap, stored draws";
    p->formula = text_of(model, "formula");
    p->outcome = text_of(model, "outcome");
    p->cluster = text_of(cluster, "name");
    p->n_clusters = clusters_of(r);
    p->n_obs = (pfx_idx)number(model, "n_obs");
    p->reps = r->spec->reps;
    p->seed = r->spec->seed;
    p->level = r->o->rep.level;
    p->null = r->o->rep.null;
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
                         text_of(json_array_get(models, (size_t)(t / per)), "formula"));
    return rep_family_adjust(&d, boot_pairs.rule, p, err);
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
    int n = 0, term[sizeof r->o->coef.v / sizeof *r->o->coef.v];
    double t0 = pfx_wall_s();
    pfx_status st = open_draws(r, path, err);
    if (st == PFX_OK) st = choose_terms(r, &n, term, err);
    if (st == PFX_OK) st = read_draws(r, err);
    if (st == PFX_OK) st = choose(r, err);
    double t1 = pfx_wall_s();
    if (st == PFX_OK) st = pfx_rep_report_init(&p, n, err);
    if (st == PFX_OK) fill_head(r, &p);
    for (int i = 0; i < n && st == PFX_OK; i++) st = infer_term(r, term[i], &p.term[i], err);
    boot_pairs_note(&r->o->rep, r->studentised, &p.note);
    if (st == PFX_OK)
        boot_pairs_say_draw(strcmp(text_of(full_of(r, 0), "draw"), "bayes") == 0, drawn_of(r), clusters_of(r),
                            &p);
    if (st == PFX_OK) st = infer_family(r, &p, err);
    p.read_s = t1 - t0;
    p.compute_s = pfx_wall_s() - t1;
    if (st == PFX_OK) st = print(&p, r->o->rep.format == 1, err);
    pfx_rep_report_free(&p);
    return st;
}

static pfx_status inference_command(int argc, char **argv, pfx_err *err)
{
    inference_options o = {.rep = rep_defaults()};
    inference_run r = {.o = &o};
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
