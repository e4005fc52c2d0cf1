/* The plot command: figures of stored draws, and of the JSON of fit, event and match. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hdf5_io/draws.h"
#include "hdf5_io/panel.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/cmd/commands.h"
#include "src/cmd/provenance.h"
#include "src/est/dist.h"
#include "src/report/plot.h"

enum { MAX_JSON = 256 << 20, MOST_POINTS = 5000 };

typedef struct plot_options {
    pfx_common common;
    int kind;
    const char *coef, *title, *output;
} plot_options;

enum { AUTO, DENSITY, SCATTER, COEF, EVENT, LOVE };
static const char *const kind_choices[] = {"auto", "density", "scatter", "coef", "event", "love", NULL};

#define AT(field) offsetof(plot_options, field)
static const pfx_opt plot_table[] = {
    {"kind", 0, PFX_OPT_CHOICE, AT(kind), "KIND",
     "density, scatter (p-values) of draws; coef, event of JSON, love of JSON or a matched panel (default: "
     "auto, the first that fits)",
     kind_choices, "Figure"},
    {"coef", 0, PFX_OPT_TEXT, AT(coef), "NAME", "coefficient whose draws are shown (default: the first)",
     NULL, NULL},
    {"title", 0, PFX_OPT_TEXT, AT(title), "TEXT", "title (default: the coefficient or the outcome)", NULL,
     NULL},
    {"output", 'o', PFX_OPT_TEXT, AT(output), "FILE", "figure: .svg, .png or .pdf; required", NULL, "Output"},
    {0},
};

typedef struct plot_run {
    const plot_options *o;
    const char *path;
    pfx_draws *file;
    pfx_panel *panel;
    json_t *json;
    double *value[4]; /* x, y, low, high */
    const char **label;
    char caption[256], mark[64], x_label[128];
    pfx_plot plot;
} plot_run;

static double number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static pfx_status allocate(plot_run *r, pfx_idx n, pfx_err *err)
{
    for (int i = 0; i < 4; i++)
        if (!(r->value[i] = pfx_mem_alloc(n, sizeof *r->value[i], err))) return PFX_ENOMEM;
    r->plot.n = n;
    r->plot.x = r->value[0], r->plot.y = r->value[1], r->plot.low = r->value[2], r->plot.high = r->value[3];
    return (r->label = pfx_mem_calloc(n, sizeof *r->label, err)) ? PFX_OK : PFX_ENOMEM;
}

static const char *synthetic_note(const json_t *fit)
{
    return json_is_true(json_object_get(fit, "synthetic")) ? "Synthetic panel: simulated, not observed. "
                                                           : "";
}

/* The full sample's estimate of a term: as the draws' method has it, else as the fit. */
static double estimate_of(const json_t *fit, const char *term)
{
    double b = number(json_object_get(json_object_get(fit, "replication"), term), "estimate");
    const json_t *list = json_object_get(json_array_get(json_object_get(fit, "models"), 0), "coefficients"),
                 *c;
    size_t i;
    json_array_foreach((json_t *)list, i, c)
    {
        const char *name = json_string_value(json_object_get(c, "term"));
        if (!isfinite(b) && name && strcmp(name, term) == 0) b = number(c, "estimate");
    }
    return b;
}

static pfx_status find_term(const plot_run *r, int *term, pfx_err *err)
{
    const pfx_draw_spec *s = pfx_draws_spec(r->file);
    *term = 0;
    if (!r->o->coef) return PFX_OK;
    for (*term = 0; *term < s->n_terms; ++*term)
        if (strcmp(s->terms[*term], r->o->coef) == 0) return PFX_OK;
    return pfx_fail(err, PFX_EUSAGE, "--coef %s: no draws of it in %s", r->o->coef, r->path);
}

/* One field of one term into to. */
static pfx_status read_term(plot_run *r, int field, int term, pfx_idx n, double *to, pfx_err *err)
{
    enum { PIECE = 65536 };
    int k = pfx_draws_spec(r->file)->n_terms;
    double *buf = pfx_mem_alloc((pfx_idx)PIECE * k, sizeof *buf, err);
    pfx_status st = buf ? PFX_OK : PFX_ENOMEM;
    for (pfx_idx at = 0; at < n && st == PFX_OK; at += PIECE) {
        pfx_idx m = n - at < PIECE ? n - at : PIECE;
        st = pfx_draws_read(r->file, field, at, m, buf, err);
        for (pfx_idx i = 0; i < m && st == PFX_OK; i++) to[at + i] = buf[i * k + term];
    }
    pfx_mem_free(buf);
    return st;
}

/* p-value of each draw's own t, with the clusters less one as degrees of freedom. */
static pfx_status scatter_values(plot_run *r, int term, const json_t *fit, pfx_err *err)
{
    const json_t *model = json_array_get(json_object_get(fit, "models"), 0);
    double levels = number(json_array_get(json_object_get(model, "clusters"), 0), "levels");
    bool any = false;
    pfx_status st = read_term(r, PFX_DRAW_STATISTIC, term, r->plot.n, r->value[1], err);
    if (st != PFX_OK) return st;
    for (pfx_idx i = 0; i < r->plot.n; i++) {
        any |= isfinite(r->value[1][i]);
        r->value[1][i] = pfx_dist_t_p(r->value[1][i], isfinite(levels) ? levels - 1 : 1e9);
    }
    return any ? PFX_OK
               : pfx_fail(err, PFX_EDATA, "%s: its draws have no t, so no p-values; plot --kind density",
                          r->path);
}

static pfx_status draws_plot(plot_run *r, pfx_err *err)
{
    char *text = NULL;
    int term = 0;
    bool scatter = r->o->kind == SCATTER;
    pfx_status st = pfx_draws_open(r->path, &r->file, err);
    if (st != PFX_OK) return st;
    const pfx_draw_spec *s = pfx_draws_spec(r->file);
    if (r->o->kind >= COEF)
        return pfx_fail(err, PFX_EUSAGE, "--kind %s draws the JSON of fit, event or match; %s holds draws",
                        kind_choices[r->o->kind], r->path);
    if ((st = find_term(r, &term, err)) || (st = pfx_draws_fit(r->file, &text, err))) return st;
    json_t *fit = r->json = json_loads(text, 0, NULL);
    pfx_mem_free(text);
    pfx_idx n = s->last - s->first, shown = scatter && n > MOST_POINTS ? MOST_POINTS : n;
    if ((st = allocate(r, shown, err)) ||
        (st = read_term(r, PFX_DRAW_ESTIMATE, term, shown, r->value[0], err)))
        return st;
    if (scatter && (st = scatter_values(r, term, fit, err))) return st;
    r->plot.kind = scatter ? PFX_PLOT_SCATTER : PFX_PLOT_DENSITY;
    r->plot.mark = estimate_of(fit, s->terms[term]);
    snprintf(r->mark, sizeof r->mark, "estimate %.4g", r->plot.mark);
    snprintf(r->x_label, sizeof r->x_label, "%s in the draws", s->terms[term]);
    snprintf(r->caption, sizeof r->caption, "%s%s %s, %lld draws%s, seed %llu; line: full sample.",
             synthetic_note(fit), s->command, s->method, (long long)n,
             shown < n ? " (the first 5000 shown)" : "", (unsigned long long)s->seed);
    r->plot.mark_label = r->mark;
    r->plot.x_label = r->x_label;
    r->plot.y_label = scatter ? "p-value" : "density";
    r->plot.title = r->o->title ? r->o->title : s->terms[term];
    return PFX_OK;
}

/* Points with intervals from a list of objects; key is what x or the label is. */
static pfx_status points(plot_run *r, const json_t *list, const char *key, bool event, pfx_err *err)
{
    pfx_idx n = (pfx_idx)json_array_size(list);
    pfx_status st =
        n ? allocate(r, n, err) : pfx_fail(err, PFX_EDATA, "%s: no coefficients to draw", r->path);
    for (pfx_idx i = 0; i < n && st == PFX_OK; i++) {
        const json_t *o = json_array_get(list, (size_t)i);
        const char *name = json_string_value(json_object_get(o, key));
        r->value[0][i] = number(o, event ? key : "estimate");
        r->value[1][i] = number(o, "estimate");
        r->value[2][i] = number(o, "conf_low");
        r->value[3][i] = number(o, "conf_high");
        r->label[i] = name ? name : "";
    }
    r->plot.label = r->label;
    return st;
}

/* Standardised differences of the covariates, before and after. */
static pfx_status love_plot(plot_run *r, const json_t *balance, pfx_err *err)
{
    pfx_idx n = (pfx_idx)json_array_size(balance), large = 0;
    const char *formula = json_string_value(json_object_get(r->json, "formula"));
    pfx_status st = n ? allocate(r, n, err) : pfx_fail(err, PFX_EDATA, "%s: no covariates to draw", r->path);
    for (pfx_idx i = 0; i < n && st == PFX_OK; i++) {
        const json_t *o = json_array_get(balance, (size_t)i);
        const char *name = json_string_value(json_object_get(o, "variable"));
        r->value[0][i] = fabs(number(o, "std_diff"));
        r->value[1][i] = fabs(number(o, "std_diff_matched"));
        r->label[i] = name ? name : "";
        large += r->value[1][i] > 0.1;
    }
    r->plot.kind = PFX_PLOT_LOVE;
    r->plot.label = r->label;
    r->plot.mark = NAN;
    r->plot.title = r->o->title ? r->o->title : formula;
    r->plot.x_label = "absolute standardised difference";
    snprintf(r->caption, sizeof r->caption,
             "%s%.0f of %.0f treated rows matched; %lld of %lld above 0.1 after.", synthetic_note(r->json),
             number(r->json, "n_matched"), number(r->json, "n_treated"), (long long)large, (long long)n);
    return st;
}

static pfx_status json_plot(plot_run *r, pfx_err *err)
{
    char *text = NULL;
    size_t len = 0;
    json_error_t where;
    pfx_status st = pfx_file_read_text(r->path, MAX_JSON, &text, &len, err);
    if (st != PFX_OK) return st;
    r->json = json_loadb(text, len, 0, &where);
    pfx_mem_free(text);
    if (!r->json)
        return pfx_fail(err, PFX_EFORMAT, "%s: neither a draws file nor JSON: line %d: %s", r->path,
                        where.line, where.text);
    const json_t *model = json_array_get(json_object_get(r->json, "models"), 0),
                 *balance = json_object_get(r->json, "balance");
    if (r->o->kind == LOVE && !json_is_array(balance))
        return pfx_fail(err, PFX_EFORMAT,
                        "%s: no list \"balance\" of covariates, as match --format json writes", r->path);
    if (r->o->kind == LOVE || (r->o->kind == AUTO && json_is_array(balance)))
        return love_plot(r, balance, err);
    const json_t *event = json_object_get(model ? model : r->json, "event_study");
    bool by_time = r->o->kind == EVENT || (r->o->kind == AUTO && json_is_array(event));
    if (r->o->kind == DENSITY || r->o->kind == SCATTER)
        return pfx_fail(err, PFX_EUSAGE, "--kind %s draws a file of draws; %s is JSON",
                        kind_choices[r->o->kind], r->path);
    if (by_time && !json_is_array(event))
        return pfx_fail(err, PFX_EFORMAT, "%s: no list \"event_study\" of event times", r->path);
    if (!by_time && !json_is_array(json_object_get(model, "coefficients")))
        return pfx_fail(err, PFX_EFORMAT,
                        "%s: no \"models\" with \"coefficients\", as fit --format json writes", r->path);
    const char *outcome = json_string_value(json_object_get(model ? model : r->json, "outcome"));
    r->plot.kind = by_time ? PFX_PLOT_EVENT : PFX_PLOT_COEF;
    r->plot.mark = NAN;
    r->plot.title = r->o->title ? r->o->title : outcome;
    r->plot.x_label = by_time ? "event time" : "estimate and confidence interval";
    r->plot.y_label = by_time ? "estimate and confidence interval" : NULL;
    snprintf(r->caption, sizeof r->caption, "%s%.0f observations.", synthetic_note(r->json),
             number(model ? model : r->json, "n_obs"));
    return points(r, by_time ? event : json_object_get(model, "coefficients"),
                  by_time ? "event_time" : "term", by_time, err);
}

/* A matched panel has its balance in its provenance. */
static pfx_status panel_plot(plot_run *r, pfx_err *err)
{
    json_error_t where;
    pfx_status st = pfx_panel_open(r->path, &r->panel, err);
    if (st != PFX_OK) return st;
    const char *line = pfx_provenance_get(r->panel, "balance");
    if (line) r->json = json_loads(line, 0, &where);
    const json_t *balance = json_object_get(r->json, "balance");
    if (!json_is_array(balance))
        return pfx_fail(err, PFX_EFORMAT, "%s: a panel that match has not written: nothing to plot", r->path);
    if (r->o->kind != AUTO && r->o->kind != LOVE)
        return pfx_fail(err, PFX_EUSAGE, "--kind %s: of a matched panel only love", kind_choices[r->o->kind]);
    return love_plot(r, balance, err);
}

/* HDF5: draws, or a panel. */
static pfx_status hdf5_plot(plot_run *r, pfx_err *err)
{
    char *format = NULL;
    pfx_status st = pfx_h5_format(r->path, &format, err);
    bool panel = st == PFX_OK && strcmp(format, "panelfx-panel") == 0;
    pfx_mem_free(format);
    if (st != PFX_OK) return st;
    return panel ? panel_plot(r, err) : draws_plot(r, err);
}

static bool is_hdf5(const char *path)
{
    static const char magic[] = "\x89HDF\r\n\x1a\n";
    char head[8] = {0};
    FILE *f = fopen(path, "rb");
    bool hdf5 = f && fread(head, 1, sizeof head, f) == sizeof head && memcmp(head, magic, sizeof head) == 0;
    if (f) fclose(f);
    return hdf5;
}

static pfx_status plot_command(int argc, char **argv, pfx_err *err)
{
    plot_options o = {0};
    plot_run r = {.o = &o};
    pfx_plot_format format;
    const char *pos[1];
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_plot, argc, argv, &o, 1, 1, pos, &n_pos, err);
    if (st || o.common.help) return st;
    if (!o.output) return pfx_fail(err, PFX_EUSAGE, "plot needs -o FILE.svg, FILE.png or FILE.pdf");
    if ((st = pfx_plot_format_of(o.output, &format, err)) || (st = pfx_out_spare(o.output, pos[0], err)))
        return st;
    r.path = pos[0];
    st = is_hdf5(r.path) ? hdf5_plot(&r, err) : json_plot(&r, err);
    r.plot.caption = r.caption;
    if (st == PFX_OK) st = pfx_plot_write(&r.plot, o.output, o.common.force, err);
    for (int i = 0; i < 4; i++) pfx_mem_free(r.value[i]);
    pfx_mem_free(r.label);
    json_decref(r.json);
    pfx_draws_close(r.file);
    pfx_panel_close(r.panel);
    return st;
}

const pfx_command pfx_cmd_plot = {"plot",
                                  "DRAWS.h5|FIT.json|MATCHED.h5",
                                  "density, p-value scatter, coefficient, event-study and balance figures",
                                  plot_table,
                                  plot_command,
                                  NULL};
