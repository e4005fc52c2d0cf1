/* The match command: a propensity score, nearest neighbours on it, and the matched panel. */
#include <math.h>
#include <string.h>

#include "hdf5_io/panel.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/cmd/commands.h"
#include "src/cmd/provenance.h"
#include "src/cmd/watch.h"
#include "src/data/subset.h"
#include "src/est/binary.h"
#include "src/est/neighbours.h"
#include "src/model/dataset.h"
#include "src/report/match.h"

/* Scores that differ by less than this share of their standard deviation are equal. */
static const double TIE = 1e-10;
enum { MAX_NEIGHBOURS = 1000, N_NEW = 4 };

typedef struct match_options {
    pfx_common common;
    int link, score, format;
    pfx_idx neighbours, maxiter;
    bool once, support;
    double caliper;
    const char *exact, *where, *output, *report;
    pfx_opt_list outcomes;
} match_options;

static const char *const score_choices[] = {"index", "probability", NULL};

#define AT(field) offsetof(match_options, field)
static const pfx_opt match_table[] = {
    {"link", 0, PFX_OPT_CHOICE, AT(link), "LINK", "logit or probit (default: logit)", pfx_link_names,
     "Score"},
    {"score", 0, PFX_OPT_CHOICE, AT(score), "SCALE",
     "distances on the index x'b or on the probability (default: index)", score_choices, NULL},
    {"maxiter", 0, PFX_OPT_INT, AT(maxiter), "N", "most Newton steps (default: 100)", NULL, NULL},
    {"neighbours", 'k', PFX_OPT_INT, AT(neighbours), "K", "controls for each treated row (default: 1)", NULL,
     "Match"},
    {"without-replacement", 0, PFX_OPT_FLAG, AT(once), NULL,
     "each control serves one treated row at most (default: as often as it is nearest)", NULL, NULL},
    {"caliper", 0, PFX_OPT_REAL, AT(caliper), "C",
     "greatest distance, in standard deviations of the score, as 0.2 (default: none)", NULL, NULL},
    {"exact", 0, PFX_OPT_TEXT, AT(exact), "VARS", "match within levels, as year or industry^year", NULL,
     NULL},
    {"common-support", 0, PFX_OPT_FLAG, AT(support), NULL,
     "leave out treated rows beyond the controls' range of scores", NULL, NULL},
    {"where", 0, PFX_OPT_TEXT, AT(where), "EXPR", "use the rows for which this holds", NULL, "Sample"},
    {"outcome", 0, PFX_OPT_NAMES, AT(outcomes), "VARS",
     "columns whose means are compared after matching: the effect on the treated", NULL, "Output"},
    {"output", 'o', PFX_OPT_TEXT, AT(output), "PANEL.h5", "the matched panel", NULL, NULL},
    {"report", 0, PFX_OPT_TEXT, AT(report), "FILE", "write the tables here instead of to standard output",
     NULL, NULL},
    {"format", 0, PFX_OPT_CHOICE, AT(format), "FORMAT",
     "text, json, csv, latex, markdown or html (default: by the ending of --report, else text)",
     pfx_format_names, NULL},
    {0},
};

typedef struct match_run {
    match_options o;
    pfx_panel *panel;
    pfx_formula *formula;
    pfx_dataset *data;
    pfx_design *design;
    pfx_binary *fit;
    pfx_match *match;
    uint8_t *treated;         /* [n] rows of the design */
    double *score;            /* [n] distances are on */
    double caliper;           /* in units of the score, INFINITY: none */
    pfx_balance *balance;     /* [p - 1] */
    double *column[N_NEW];    /* [panel rows] */
    unsigned char *group;     /* [panel rows] */
    pfx_row_sink sink;        /* ctx NULL: none */
    pfx_match_effect *effect; /* [outcomes] */
    pfx_idx n_written;
    double read_s, compute_s;
} match_run;

static void match_run_free(match_run *r)
{
    if (r->sink.ctx) r->sink.abort(r->sink.ctx);
    for (int c = 0; c < N_NEW; c++) pfx_mem_free(r->column[c]);
    pfx_mem_free(r->group);
    pfx_mem_free(r->effect);
    pfx_mem_free(r->balance);
    pfx_mem_free(r->score);
    pfx_mem_free(r->treated);
    pfx_match_free(r->match);
    pfx_binary_free(r->fit);
    pfx_design_free(r->design);
    pfx_dataset_free(r->data);
    pfx_formula_free(r->formula);
    pfx_panel_close(r->panel);
}

static pfx_status check_options(const match_options *o, pfx_err *err)
{
    if (!o->output) return pfx_fail(err, PFX_EUSAGE, "no output named: give -o MATCHED.h5");
    if (o->neighbours < 1 || o->neighbours > MAX_NEIGHBOURS)
        return pfx_fail(err, PFX_EUSAGE, "--neighbours %lld: want 1 to %d", (long long)o->neighbours,
                        MAX_NEIGHBOURS);
    if (o->maxiter < 1 || o->maxiter > 100000)
        return pfx_fail(err, PFX_EUSAGE, "--maxiter %lld: want 1 to 100000", (long long)o->maxiter);
    if (!(o->caliper >= 0) || isinf(o->caliper))
        return pfx_fail(err, PFX_EUSAGE,
                        "--caliper %g: want a number above 0, in standard deviations, as 0.2", o->caliper);
    return PFX_OK;
}

/* The strata of --exact go through the formula, as effects do: their codes come with the design. */
static pfx_status parse_formula(match_run *r, const char *text, pfx_err *err)
{
    pfx_str whole = {0};
    pfx_status st = pfx_formula_parse(text, &r->formula, err);
    if (st != PFX_OK) return st;
    const pfx_model_spec *m = r->formula->models;
    if (r->formula->n_models != 1)
        return pfx_fail(err, PFX_EUSAGE, "%s: match takes one model, this formula has %d", text,
                        r->formula->n_models);
    if (m->n_absorbed || m->n_endogenous)
        return pfx_fail(err, PFX_EUSAGE,
                        "%s: a propensity score has no effects or instruments; to match within levels "
                        "use --exact",
                        text);
    if (!r->o.exact) return PFX_OK;
    pfx_factor_spec factor = {0};
    if ((st = pfx_factor_parse("--exact", r->o.exact, &factor, err)) != PFX_OK) return st;
    pfx_str_addf(&whole, "%s | %s", text, factor.text);
    pfx_factor_spec_free(&factor);
    if (whole.failed) st = pfx_fail(err, PFX_ENOMEM, "out of memory for the formula");
    bool intercept = m->intercept;
    pfx_formula_free(r->formula);
    r->formula = NULL;
    if (st == PFX_OK) st = pfx_formula_parse(whole.s, &r->formula, err);
    if (st == PFX_OK) r->formula->models[0].intercept = intercept;
    pfx_str_free(&whole);
    return st;
}

/* Design, score and neighbours in memory at once, and what the new panel takes. */
static pfx_status check_memory(const match_run *r, pfx_err *err)
{
    double rows = (double)pfx_panel_n_rows(r->panel), cols = r->formula->models[0].n_terms + 1;
    double bytes = rows * (8 * (2 * cols + 8 + N_NEW) + 8 * (double)r->o.neighbours * 0.1);
    if (bytes <= (double)r->o.common.memory) return PFX_OK;
    return pfx_fail(
        err, PFX_ENOMEM,
        "%s: matching %.0f rows needs about %.0f MiB and --memory allows %.0f MiB; give more, or match "
        "parts with --where",
        pfx_panel_path(r->panel), rows, bytes / 1048576.0, (double)r->o.common.memory / 1048576.0);
}

static pfx_status load(match_run *r, pfx_err *err)
{
    const pfx_dataset_options d = {
        .where = r->o.where, .keep_singletons = true, .want_rows = true, .nth = (int)r->o.common.threads};
    const pfx_panel_source_options so = {.nth = (int)r->o.common.threads};
    pfx_row_source source = {0};
    pfx_watch watch;
    char **names = NULL;
    int n = 0;
    pfx_status st =
        pfx_dataset_columns(r->formula, &d, pfx_panel_structure(r->panel), pfx_panel_n_cols(r->panel),
                            pfx_panel_cols(r->panel), &n, &names, err);
    if (st != PFX_OK) return st;
    if ((st = pfx_panel_source(r->panel, n, (const char *const *)names, &so, &source, err)) == PFX_OK) {
        source = pfx_watch_source(&watch, source);
        st = pfx_dataset_load(&source, r->formula, &d, &r->data, err);
        source.close(source.ctx);
    }
    pfx_dataset_free_names(n, names);
    if (st == PFX_OK) st = pfx_dataset_design(r->data, 0, 0, true, &r->design, err);
    if (st == PFX_OK) r->design->intercept = r->formula->models[0].intercept;
    return st;
}

/* The score and its standard deviation, over all rows in their order. */
static double spread(pfx_idx n, const double *x)
{
    double mean = 0, sum = 0;
    for (pfx_idx i = 0; i < n; i++) mean += x[i];
    mean /= (double)n;
    for (pfx_idx i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return sqrt(sum / (double)(n - 1));
}

static pfx_status find_neighbours(match_run *r, pfx_err *err)
{
    const pfx_design *d = r->design;
    const pfx_factor *strata = d->n_absorbed ? &d->absorbed[0].factor : NULL;
    pfx_idx n_control = d->n - r->fit->n1;
    if (n_control < r->o.neighbours)
        return pfx_fail(err, PFX_EDATA,
                        "%lld control%s in the sample, fewer than the %lld neighbours asked for; lower "
                        "--neighbours",
                        (long long)n_control, n_control == 1 ? "" : "s", (long long)r->o.neighbours);
    r->treated = pfx_mem_alloc(d->n, sizeof *r->treated, err);
    r->score = pfx_mem_alloc(d->n, sizeof *r->score, err);
    if (!r->treated || !r->score) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < d->n; i++) {
        r->treated[i] = d->Z[i * d->p + d->p - 1] == 1;
        r->score[i] =
            r->o.score ? pfx_link_probability((pfx_link)r->o.link, r->fit->index[i]) : r->fit->index[i];
    }
    double sd = spread(d->n, r->score);
    r->caliper = r->o.caliper > 0 ? r->o.caliper * sd : INFINITY;
    const pfx_match_in in = {.n = d->n,
                             .score = r->score,
                             .treated = r->treated,
                             .stratum = strata ? strata->code : NULL,
                             .n_strata = strata ? strata->n_levels : 1,
                             .k = (int)r->o.neighbours,
                             .replace = !r->o.once,
                             .support = r->o.support,
                             .caliper = r->caliper,
                             .tie = TIE * sd,
                             .nth = (int)r->o.common.threads};
    pfx_status st = pfx_match_run(&in, &r->match, err);
    if (st == PFX_OK && r->match->n_matched == 0)
        return pfx_fail(err, PFX_EDATA,
                        "no treated row has a control within reach: widen --caliper, or match within "
                        "fewer levels of --exact");
    if (st == PFX_OK && r->match->n_short)
        pfx_warn("%lld treated rows have fewer than %lld neighbours%s", (long long)r->match->n_short,
                 (long long)r->o.neighbours,
                 r->o.caliper > 0 || strata || !r->o.once ? " within reach"
                                                          : ": without replacement the controls do not "
                                                            "suffice");
    return st;
}

static pfx_status compute(match_run *r, pfx_err *err)
{
    const pfx_design *d = r->design;
    const pfx_binary_options o = {.link = (pfx_link)r->o.link,
                                  .maxiter = (int)r->o.maxiter,
                                  .nth = (int)r->o.common.threads,
                                  .isa = (pfx_isa)r->o.common.isa};
    pfx_status st = pfx_binary_fit(d, &o, &r->fit, err);
    if (st != PFX_OK || (st = find_neighbours(r, err)) != PFX_OK) return st;
    if (!(r->balance = pfx_mem_alloc(d->p, sizeof *r->balance, err))) return PFX_ENOMEM;
    for (int j = 0; j < d->p - 1; j++) {
        r->balance[j].name = d->name[j];
        pfx_balance_of(d->n, d->Z, d->p, j, r->treated, r->match->weight, &r->balance[j]);
    }
    return PFX_OK;
}

/* The new columns by row of the panel; rows that are not matched keep a weight of zero, and are not written.
 */
static pfx_status spread_columns(match_run *r, pfx_err *err)
{
    const pfx_design *d = r->design;
    pfx_idx n = pfx_panel_n_rows(r->panel);
    for (int c = 0; c < N_NEW; c++)
        if (!(r->column[c] = pfx_mem_calloc(n, sizeof **r->column, err))) return PFX_ENOMEM;
    if (!(r->group = pfx_mem_calloc(n, 1, err))) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < d->n; i++) {
        pfx_idx row = d->row[i];
        r->column[0][row] = r->match->weight[i];
        r->column[1][row] = pfx_link_probability((pfx_link)r->o.link, r->fit->index[i]);
        r->column[2][row] = r->treated[i];
        r->column[3][row] = r->match->uses[i];
        r->group[row] = r->treated[i];
    }
    return PFX_OK;
}

static pfx_status write_rows(match_run *r, pfx_subset_sums *sums, pfx_err *err)
{
    static const pfx_col_spec spec[N_NEW] = {
        {.name = "_weight", .label = "weight of the match", .dtype = PFX_F64},
        {.name = "_pscore", .label = "propensity score", .dtype = PFX_F64},
        {.name = "_treated", .label = "treated in the match", .dtype = PFX_I32},
        {.name = "_nn", .label = "neighbours, or treated rows served", .dtype = PFX_I32}};
    const pfx_panel_source_options so = {.nth = (int)r->o.common.threads};
    const pfx_subset s = {.keep = r->column[0],
                          .n_new = N_NEW,
                          .spec = spec,
                          .value = (const double *const *)r->column,
                          .n_watch = r->o.outcomes.n,
                          .watch = r->o.outcomes.v};
    pfx_row_source source = {0};
    const char **names = pfx_mem_alloc(pfx_panel_n_cols(r->panel), sizeof *names, err);
    if (!names) return PFX_ENOMEM;
    for (int c = 0; c < pfx_panel_n_cols(r->panel); c++) names[c] = pfx_panel_cols(r->panel)[c].name;
    pfx_status st = pfx_panel_source(r->panel, pfx_panel_n_cols(r->panel), names, &so, &source, err);
    if (st == PFX_OK) {
        st = pfx_subset_write(&s, &source, r->group, &r->sink, sums, &r->n_written, err);
        source.close(source.ctx);
    }
    pfx_mem_free(names);
    return st;
}

static pfx_match_report describe(const match_run *r)
{
    return (pfx_match_report){.formula = r->formula->models[0].text,
                              .link = pfx_link_names[r->o.link],
                              .score = score_choices[r->o.score],
                              .exact = r->o.exact,
                              .k = (int)r->o.neighbours,
                              .replace = !r->o.once,
                              .support = r->o.support,
                              .caliper = r->o.caliper,
                              .caliper_score = r->caliper,
                              .n_missing = r->design->n_missing,
                              .n_strata = r->design->n_absorbed ? r->design->absorbed[0].factor.n_levels : 1,
                              .fit = r->fit,
                              .match = r->match,
                              .n_balance = r->design->p - 1,
                              .balance = r->balance,
                              .n_effects = r->o.outcomes.n,
                              .effect = r->effect,
                              .output = r->o.output,
                              .n_written = r->n_written,
                              .synthetic = pfx_is_synthetic(r->panel),
                              .read_s = r->read_s,
                              .compute_s = r->compute_s,
                              .total_s = pfx_run_s(),
                              .threads = (int)r->o.common.threads,
                              .peak_memory_bytes = pfx_peak_rss()};
}

/* The formula and the balance go with the panel. */
static pfx_status put_match(match_run *r, pfx_err *err)
{
    const pfx_match_report m = describe(r);
    pfx_str line = {0};
    pfx_status st = r->sink.provenance(r->sink.ctx, "matched", m.formula, err);
    if (st == PFX_OK) st = pfx_match_balance_line(&m, &line, err);
    if (st == PFX_OK) st = r->sink.provenance(r->sink.ctx, "balance", line.s, err);
    pfx_str_free(&line);
    return st;
}

static pfx_status write_panel(match_run *r, int argc, char **argv, pfx_err *err)
{
    pfx_subset_sums *sums = pfx_mem_calloc(r->o.outcomes.n, sizeof *sums, err);
    r->effect = pfx_mem_calloc(r->o.outcomes.n, sizeof *r->effect, err);
    pfx_status st = sums && r->effect ? spread_columns(r, err) : PFX_ENOMEM;
    if (st == PFX_OK) st = write_rows(r, sums, err);
    if (st == PFX_OK) st = pfx_provenance_derived(r->panel, argc, argv, &r->sink, err);
    if (st == PFX_OK) st = put_match(r, err);
    for (int i = 0; i < r->o.outcomes.n && st == PFX_OK; i++)
        r->effect[i] = (pfx_match_effect){.outcome = r->o.outcomes.v[i],
                                          .estimate = sums[i].value[1] / sums[i].weight[1] -
                                                      sums[i].value[0] / sums[i].weight[0],
                                          .n_missing = sums[i].n_missing};
    pfx_mem_free(sums);
    return st;
}

static pfx_status report(const match_run *r, pfx_str *out, pfx_err *err)
{
    const pfx_match_report m = describe(r);
    return pfx_match_render(&m, pfx_format_choose(r->o.format, r->o.report),
                            r->o.report ? 0 : pfx_table_terminal_width(), out, err);
}

static pfx_status run(match_run *r, const char *const *pos, int argc, char **argv, pfx_err *err)
{
    const pfx_panel_write_options w = {.force = r->o.common.force};
    pfx_str text = {0};
    pfx_out out = {0};
    double t0 = pfx_wall_s();
    pfx_status st = check_options(&r->o, err);
    if (st || (st = parse_formula(r, pos[1], err)) || (st = pfx_out_spare(r->o.output, pos[0], err)))
        return st;
    if (r->o.report && strcmp(r->o.report, "-") != 0) {
        if ((st = pfx_out_begin(&out, r->o.report, r->o.common.force, err))) return st;
        pfx_out_abort(&out);
    }
    if ((st = pfx_panel_sink(r->o.output, &w, &r->sink, err)) ||
        (st = pfx_panel_open(pos[0], &r->panel, err)) || (st = check_memory(r, err)) || (st = load(r, err)))
        return st;
    r->read_s = pfx_wall_s() - t0;
    t0 = pfx_wall_s();
    if ((st = compute(r, err))) return st;
    r->compute_s = pfx_wall_s() - t0;
    if ((st = write_panel(r, argc, argv, err)) == PFX_OK && (st = report(r, &text, err)) == PFX_OK &&
        (st = r->sink.commit(r->sink.ctx, err)) == PFX_OK)
        st = pfx_file_write_text(r->o.report, text.s, text.len, r->o.common.force, err);
    pfx_str_free(&text);
    return st;
}

static pfx_status match_command(int argc, char **argv, pfx_err *err)
{
    match_run r = {.o = {.neighbours = 1, .maxiter = 100, .format = -1}};
    const char *pos[2];
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_match, argc, argv, &r.o, 2, 2, pos, &n_pos, err);
    if (st || r.o.common.help) return st;
    st = run(&r, pos, argc, argv, err);
    match_run_free(&r);
    return st;
}

const pfx_command pfx_cmd_match = {"match",
                                   "PANEL.h5 'D ~ x1 + x2' -o MATCHED.h5",
                                   "propensity score and nearest neighbours; writes the matched panel",
                                   match_table,
                                   match_command,
                                   NULL};
