/* Summaries as tables: Table 2's layout for readers, one row for each variable and group for programs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "src/base/mem.h"
#include "src/report/summary.h"

enum { DECIMALS = 4 };

static void head(pfx_table *t, const pfx_summary *s, int n, const char *const *names, bool program)
{
    char text[32];
    pfx_table_heading(t);
    if (s->by) pfx_table_text(t, s->by);
    for (int i = 0; i < n; i++) pfx_table_text(t, names[i]);
    for (int j = 0; j < s->n_probs; j++) {
        if (program)
            snprintf(text, sizeof text, "q%.10g", s->probs[j]);
        else
            snprintf(text, sizeof text, "%.10g %%", 100 * s->probs[j]);
        pfx_table_text(t, text);
    }
}

static void quantile_cells(pfx_table *t, const pfx_summary *s, const pfx_summary_var *v, pfx_idx g,
                           int decimals)
{
    for (int j = 0; j < s->n_probs; j++) {
        if (v->quantile)
            pfx_table_num(t, v->quantile[g * s->n_probs + j], decimals);
        else
            pfx_table_empty(t);
    }
}

static void begin_row(pfx_table *t, const pfx_summary *s, pfx_idx g, const char *name)
{
    pfx_table_row(t);
    if (s->by) pfx_table_text(t, s->groups[g]);
    pfx_table_text(t, name);
}

/* A minimum or maximum: as an integer where the column holds integers. */
static void bound(pfx_table *t, const pfx_summary_var *v, double x)
{
    if (v->integer && isfinite(x) && fabs(x) < 0x1p53)
        pfx_table_int(t, (pfx_idx)x);
    else
        pfx_table_num(t, x, DECIMALS);
}

typedef struct frequency {
    pfx_idx n, level;
} frequency;

static int most_first(const void *a, const void *b)
{
    const frequency *x = a, *y = b;
    if (x->n != y->n) return x->n < y->n ? 1 : -1;
    return x->level < y->level ? -1 : 1;
}

/* Levels of a category with rows in group g, most frequent first. NULL: out of memory. */
static frequency *frequencies(const pfx_summary_var *v, pfx_idx g, pfx_idx *n, pfx_err *err)
{
    frequency *f = pfx_mem_alloc(v->n_levels, sizeof *f, err);
    *n = 0;
    if (!f) return NULL;
    for (pfx_idx l = 0; l < v->n_levels; l++)
        if (v->count[g * v->n_levels + l]) f[(*n)++] = (frequency){v->count[g * v->n_levels + l], l};
    qsort(f, (size_t)*n, sizeof *f, most_first);
    return f;
}

/* A category in a report: its number of levels, then the most frequent ones with their shares as means.
 * `before` and `after` are the empty cells around the mean. */
static pfx_status category_rows(pfx_table *t, const pfx_summary *s, const pfx_summary_var *v, pfx_idx g,
                                int n_top, int before, pfx_err *err)
{
    char text[512];
    pfx_idx n;
    frequency *f = frequencies(v, g, &n, err);
    if (!f) return PFX_ENOMEM;
    snprintf(text, sizeof text, "%s (%lld levels%s)", v->name, (long long)n,
             n > n_top ? ", the largest" : "");
    begin_row(t, s, g, text);
    pfx_table_int(t, v->cell[g].n);
    for (pfx_idx k = 0; k < n && k < n_top; k++) {
        snprintf(text, sizeof text, "  %s", v->levels[f[k].level]);
        begin_row(t, s, g, text);
        pfx_table_int(t, f[k].n);
        for (int i = 0; i < before; i++) pfx_table_empty(t);
        pfx_table_num(t, (double)f[k].n / (double)v->cell[g].n, DECIMALS);
    }
    pfx_mem_free(f);
    return PFX_OK;
}

/* Variable, N, Min, Max, Mean, SD. */
static pfx_status plain_rows(pfx_table *t, const pfx_summary *s, int n_top, pfx_err *err)
{
    static const char *const names[] = {"Variable", "N", "Min", "Max", "Mean", "SD"};
    head(t, s, 6, names, false);
    for (pfx_idx g = 0; g < s->n_groups; g++) {
        if (g) pfx_table_rule(t);
        for (int i = 0; i < s->n_vars; i++) {
            const pfx_summary_var *v = &s->vars[i];
            const pfx_summary_cell *c = &v->cell[g];
            if (v->category) {
                pfx_status st = category_rows(t, s, v, g, n_top, 2, err);
                if (st) return st;
                continue;
            }
            begin_row(t, s, g, v->name);
            pfx_table_int(t, c->n);
            bound(t, v, c->min);
            bound(t, v, c->max);
            pfx_table_num(t, c->mean, DECIMALS);
            pfx_table_num(t, c->sd, DECIMALS);
            quantile_cells(t, s, v, g, DECIMALS);
        }
    }
    return PFX_OK;
}

/* Three rows a variable: overall, between, within. */
static void panel_rows(pfx_table *t, const pfx_summary *s)
{
    static const char *const names[] = {"Variable", "Part", "Mean", "SD", "Min", "Max", "Observations"};
    head(t, s, 7, names, false);
    for (pfx_idx g = 0; g < s->n_groups; g++)
        for (int i = 0; i < s->n_vars; i++) {
            const pfx_summary_var *v = &s->vars[i];
            const pfx_summary_cell *c = &v->cell[g];
            char text[48];
            if (v->category) continue;
            pfx_table_rule(t);
            begin_row(t, s, g, v->name);
            pfx_table_text(t, "overall");
            pfx_table_num(t, c->mean, DECIMALS);
            pfx_table_num(t, c->sd, DECIMALS);
            bound(t, v, c->min);
            bound(t, v, c->max);
            snprintf(text, sizeof text, "N = %lld", (long long)c->n);
            pfx_table_text(t, text);
            quantile_cells(t, s, v, g, DECIMALS);
            begin_row(t, s, g, "");
            pfx_table_text(t, "between");
            pfx_table_empty(t);
            pfx_table_num(t, c->sd_between, DECIMALS);
            pfx_table_num(t, c->min_between, DECIMALS);
            pfx_table_num(t, c->max_between, DECIMALS);
            snprintf(text, sizeof text, "n = %lld", (long long)c->units);
            pfx_table_text(t, text);
            begin_row(t, s, g, "");
            pfx_table_text(t, "within");
            pfx_table_empty(t);
            pfx_table_num(t, c->sd_within, DECIMALS);
            pfx_table_num(t, c->min_within, DECIMALS);
            pfx_table_num(t, c->max_within, DECIMALS);
            snprintf(text, sizeof text, "T-bar = %.4f", c->t_bar);
            pfx_table_text(t, text);
        }
}

/* Everything, for programs: a row for each variable, for each level of a category. */
static void program_rows(pfx_table *t, const pfx_summary *s)
{
    static const char *const names[] = {"variable", "level", "n", "missing", "min", "max", "mean", "sd"};
    static const char *const parts[] = {"n_units",     "t_bar",     "sd_between", "min_between",
                                        "max_between", "sd_within", "min_within", "max_within"};
    head(t, s, 8, names, true);
    for (int k = 0; s->panel && k < 8; k++) pfx_table_text(t, parts[k]);
    for (pfx_idx g = 0; g < s->n_groups; g++)
        for (int i = 0; i < s->n_vars; i++) {
            const pfx_summary_var *v = &s->vars[i];
            const pfx_summary_cell *c = &v->cell[g];
            for (pfx_idx l = 0; l < v->n_levels; l++) {
                begin_row(t, s, g, v->name);
                pfx_table_text(t, v->levels[l]);
                pfx_table_int(t, v->count[g * v->n_levels + l]);
                pfx_table_int(t, c->missing);
                pfx_table_empty(t);
                pfx_table_empty(t);
                pfx_table_num(t, c->n ? (double)v->count[g * v->n_levels + l] / (double)c->n : NAN, DECIMALS);
            }
            if (v->category) continue;
            const double stats[] = {c->min, c->max, c->mean, c->sd};
            const double more[] = {c->t_bar,     c->sd_between, c->min_between, c->max_between,
                                   c->sd_within, c->min_within, c->max_within};
            begin_row(t, s, g, v->name);
            pfx_table_empty(t);
            pfx_table_int(t, c->n);
            pfx_table_int(t, c->missing);
            for (int k = 0; k < 4; k++) pfx_table_num(t, stats[k], DECIMALS);
            quantile_cells(t, s, v, g, DECIMALS);
            if (!s->panel) continue;
            pfx_table_int(t, c->units);
            for (int k = 0; k < 7; k++) pfx_table_num(t, more[k], DECIMALS);
        }
}

/* Which variables have missing cells, in one line. */
static void note_missing(pfx_table *t, const pfx_summary *s)
{
    pfx_str line = {0};
    for (int i = 0; i < s->n_vars; i++) {
        pfx_idx n = 0;
        for (pfx_idx g = 0; g < s->n_groups; g++) n += s->vars[i].cell[g].missing;
        if (n) pfx_str_addf(&line, "%s %s %lld", line.len ? "," : "", s->vars[i].name, (long long)n);
    }
    if (line.len) pfx_table_note(t, "Missing:%s.", line.s);
    pfx_str_free(&line);
}

static void notes(pfx_table *t, const pfx_summary *s, const pfx_summary_layout *l)
{
    note_missing(t, s);
    if (s->n_kept < s->n_rows)
        pfx_table_note(t, "%lld of %lld rows are kept by --where.", (long long)s->n_kept,
                       (long long)s->n_rows);
    if (s->n_no_group)
        pfx_table_note(t, "%lld rows are in no group: %s is missing.", (long long)s->n_no_group, s->by);
    if (s->n_probs) pfx_table_note(t, "Quantiles are exact, interpolated linearly (type 7 of R).");
    if (s->panel)
        pfx_table_note(
            t,
            "Between: means of the units. Within: deviations from the unit's mean, plus the overall mean.");
    for (int i = 0; i < l->n_notes; i++) pfx_table_note(t, "%s", l->notes[i]);
}

pfx_status pfx_summary_render(const pfx_summary *s, const pfx_summary_layout *l, pfx_str *out, pfx_err *err)
{
    const bool program = l->format == PFX_FORMAT_CSV || l->format == PFX_FORMAT_JSON;
    const int by = s->by != NULL, n_cols = by + s->n_probs + (program ? 8 + 8 * s->panel : s->panel ? 7 : 6);
    char letters[64] = "";
    pfx_status st = PFX_OK;
    pfx_table *t = pfx_table_create(n_cols, err);
    if (!t) return PFX_ENOMEM;

    for (int c = 0; c < n_cols && c < 63; c++)
        letters[c] = c <= by || (c == by + 1 && s->panel && !program) ? 'l' : 'r', letters[c + 1] = 0;
    if (n_cols < 63) pfx_table_align(t, letters);
    if (program) {
        pfx_table_title(t, "summary");
        program_rows(t, s);
    } else if (s->panel) {
        panel_rows(t, s);
    } else {
        st = plain_rows(t, s, l->n_top, err);
    }
    notes(t, s, l);
    if (st == PFX_OK) st = pfx_table_render(t, l->format, l->width, out, err);
    pfx_table_free(t);
    return st;
}
