/* The summary command: descriptive statistics of a panel's columns. */
#include <string.h>

#include "hdf5_io/panel.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/text.h"
#include "src/cmd/commands.h"
#include "src/cmd/provenance.h"
#include "src/report/summary.h"

enum { MAX_VARS = 1024, MAX_PROBS = 64 };

typedef struct summary_options {
    pfx_common common;
    const char *by, *where, *output;
    pfx_opt_list quantiles;
    pfx_idx top;
    int format;
    bool panel;
} summary_options;

#define AT(field) offsetof(summary_options, field)
static const pfx_opt summary_table[] = {
    {"by", 0, PFX_OPT_TEXT, AT(by), "COLUMN", "one set of rows for each level of a column", NULL, "What"},
    {"where", 0, PFX_OPT_TEXT, AT(where), "EXPR", "use the rows for which this holds", NULL, NULL},
    {"quantiles", 0, PFX_OPT_NAMES, AT(quantiles), "P,...",
     "exact quantiles at these probabilities, as 0.25,0.5,0.75", NULL, NULL},
    {"panel", 0, PFX_OPT_FLAG, AT(panel), NULL, "the parts between and within units, as Stata's xtsum", NULL,
     NULL},
    {"top", 0, PFX_OPT_INT, AT(top), "N", "levels of a category to list (default: 5)", NULL, NULL},
    {"format", 0, PFX_OPT_CHOICE, AT(format), "FORMAT",
     "text, json, csv, latex, markdown or html (default: by the ending of -o, else text)", pfx_format_names,
     "Output"},
    {"output", 'o', PFX_OPT_TEXT, AT(output), "FILE", "write here instead of standard output", NULL, NULL},
    {0},
};

typedef struct source_context {
    pfx_panel *panel;
} source_context;

static pfx_status open_columns(void *ctx, int n, const char *const *names, pfx_row_source *out, pfx_err *err)
{
    return pfx_panel_source(((source_context *)ctx)->panel, n, names, NULL, out, err);
}

/* Without names: every column but the unit and the time. */
static pfx_status choose_vars(const pfx_panel *p, int *n, const char **vars, pfx_err *err)
{
    const pfx_panel_spec *spec = pfx_panel_structure(p);
    const pfx_col_spec *cols = pfx_panel_cols(p);
    if (*n) return PFX_OK;
    for (int c = 0; c < pfx_panel_n_cols(p); c++) {
        if (strcmp(cols[c].name, spec->unit) == 0 || strcmp(cols[c].name, spec->time) == 0) continue;
        if (*n == MAX_VARS)
            return pfx_fail(err, PFX_EUSAGE, "%s: more than %d columns; name those to describe",
                            pfx_panel_path(p), MAX_VARS);
        vars[(*n)++] = cols[c].name;
    }
    if (!*n)
        return pfx_fail(err, PFX_EDATA, "%s: no columns beside the unit and the time", pfx_panel_path(p));
    return PFX_OK;
}

static pfx_status parse_probs(const pfx_opt_list *list, double *probs, pfx_err *err)
{
    for (int j = 0; j < list->n; j++)
        if (!pfx_text_double(list->v[j], strlen(list->v[j]), &probs[j]) || !(probs[j] >= 0 && probs[j] <= 1))
            return pfx_fail(err, PFX_EUSAGE,
                            "--quantiles %s: want probabilities from 0 to 1, as 0.25,0.5,0.75", list->v[j]);
    return PFX_OK;
}

static pfx_status describe(const summary_options *o, pfx_panel *p, int n_vars, const char *const *vars,
                           pfx_err *err)
{
    static const char *const synthetic[] = {
        "Synthetic panel: the data were simulated, not observed; nothing here is a finding about firms."};
    double probs[MAX_PROBS];
    source_context ctx = {p};
    const pfx_summary_input in = {&ctx, open_columns};
    pfx_summary *s = NULL;
    pfx_str text = {0};
    pfx_status st = parse_probs(&o->quantiles, probs, err);
    if (st) return st;

    /* Half of the memory for values: the rest is blocks, groups and the program itself. */
    const pfx_summary_options so = {.n_vars = n_vars,
                                    .vars = vars,
                                    .by = o->by,
                                    .where = o->where,
                                    .n_probs = o->quantiles.n,
                                    .probs = probs,
                                    .panel = o->panel,
                                    .memory = o->common.memory / 2,
                                    .nth = (int)o->common.threads};
    const pfx_summary_layout layout = {.format = pfx_format_choose(o->format, o->output),
                                       .width = o->output ? 0 : pfx_table_terminal_width(),
                                       .n_top = (int)o->top,
                                       .n_notes = pfx_is_synthetic(p),
                                       .notes = synthetic};
    if ((st = pfx_summarize(&so, &in, &s, err)) == PFX_OK &&
        (st = pfx_summary_render(s, &layout, &text, err)) == PFX_OK)
        st = pfx_file_write_text(o->output, text.s, text.len, o->common.force, err);
    pfx_str_free(&text);
    pfx_summary_free(s);
    return st;
}

static pfx_status summary_run(int argc, char **argv, pfx_err *err)
{
    summary_options o = {.top = 5, .format = -1};
    const char *pos[1 + MAX_VARS];
    int n_pos = 0, n_vars;
    pfx_panel *p = NULL;
    pfx_out out;
    pfx_status st = pfx_opt_parse(&pfx_cmd_summary, argc, argv, &o, 1, 1 + MAX_VARS, pos, &n_pos, err);

    if (st || o.common.help) return st;
    if (o.top < 0 || o.top > 1000000)
        return pfx_fail(err, PFX_EUSAGE, "--top %lld: want 0 or more", (long long)o.top);
    if ((st = pfx_out_spare(o.output, pos[0], err))) return st;
    /* Refuse an output that cannot be written before the work, not after it. */
    if (o.output && strcmp(o.output, "-") != 0) {
        if ((st = pfx_out_begin(&out, o.output, o.common.force, err))) return st;
        pfx_out_abort(&out);
    }
    n_vars = n_pos - 1;
    if ((st = pfx_panel_open(pos[0], &p, err)) == PFX_OK &&
        (st = choose_vars(p, &n_vars, pos + 1, err)) == PFX_OK)
        st = describe(&o, p, n_vars, pos + 1, err);
    pfx_panel_close(p);
    return st;
}

const pfx_command pfx_cmd_summary = {
    "summary",     "PANEL.h5 [VARS...]", "number, minimum, maximum, mean, sd and quantiles of columns",
    summary_table, summary_run,          NULL};
