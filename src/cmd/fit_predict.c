/* What a fit will need: from the numbers of rows and columns, before anything is read. */
#include <string.h>

#include "src/cmd/fit_private.h"

/* Measured on two shared cores: a cell read, checked and evaluated on two threads; a product of two columns
 * in one row on one; the program; a row of saved values written. */
#define READ_S_PER_CELL 3e-9
#define FIT_S_PER_PRODUCT 0.035e-9
#define FIT_S_PER_ROW 20e-9
/* Many columns: their products are factored and multiplied, p^3, and there are several p x p matrices of
 * them. */
#define SOLVE_S_PER_CUBE 0.5e-9
#define MATRICES 9
#define START_S 0.02
#define SAVE_S_PER_ROW 1e-6
/* Seconds that trials may take. */
#define TRIAL_S 2.0
#define TRIAL_ROWS (120.0 * 65536.0)
/* The program and its libraries; blocks of a column on their way from the file; what the sum below leaves
 * out. */
#define BASE_BYTES (20.0 * 1048576.0)
#define BYTES_PER_COLUMN (1.5 * 1048576.0)
#define MARGIN 1.1
/* Doubles a row that the sparse system of three or more effects takes while it is put together. */
#define CELLS_OF_SPARSE 8

/* Levels of a factor of numbers that is not the time: not known before reading. */
#define LEVELS_GUESSED 16

static const pfx_col_spec *find_column(const pfx_panel *panel, const char *name)
{
    const pfx_col_spec *cols = pfx_panel_cols(panel);
    for (int c = 0; c < pfx_panel_n_cols(panel); c++)
        if (strcmp(cols[c].name, name) == 0) return &cols[c];
    return NULL;
}

/* Columns that a term becomes: the product of its factors' levels. */
static double term_columns(const pfx_panel *panel, const pfx_term *t)
{
    double n = 1;
    for (int i = 0; i < t->n_pieces; i++) {
        const pfx_col_spec *c = find_column(panel, t->pieces[i].text);
        if (c && c->kind == PFX_CATEGORY)
            n *= (double)c->n_levels;
        else if (c && t->pieces[i].is_factor && strcmp(c->name, pfx_panel_structure(panel)->unit) == 0)
            n *= (double)pfx_panel_n_units(panel);
        else if (t->pieces[i].is_factor)
            n *= c && c->kind == PFX_TIME ? (double)pfx_panel_n_periods(panel) : LEVELS_GUESSED;
    }
    return n;
}

double fit_columns(const pfx_panel *panel, const pfx_model_spec *m)
{
    double columns = 1;
    for (int i = 0; i < m->n_terms; i++) columns += term_columns(panel, &m->terms[i]);
    return columns;
}

/* What the rows of a model hold, in doubles: columns, level codes of half the size, weights, saved values. */
static double cells_of(const pfx_panel *panel, const pfx_model_spec *m, const fit_options *o)
{
    return fit_columns(panel, m) + 0.5 * (m->n_absorbed + FIT_MAX_CLUSTERS) + (o->weights ? 1 : 0) +
           (o->save.n ? 3 : 0) + (m->n_absorbed > 2 ? CELLS_OF_SPARSE : 0);
}

static bool has_factors(const pfx_model_spec *m)
{
    for (int i = 0; i < m->n_terms; i++)
        for (int k = 0; k < m->terms[i].n_pieces; k++)
            if (m->terms[i].pieces[k].is_factor) return true;
    return false;
}

/* Share of the rows in the largest level of --by. */
static double share_of_level(const pfx_panel *panel, const char *by)
{
    const pfx_col_spec *c = by ? find_column(panel, by) : NULL;
    double levels = !c                        ? 1
                    : c->kind == PFX_CATEGORY ? (double)c->n_levels
                    : c->kind == PFX_TIME     ? (double)pfx_panel_n_periods(panel)
                                              : 1;
    return levels > 2 ? 2 / levels : 1;
}

/* Columns are kept once for all models; the last model takes them over, an earlier one copies its own, and so
 * does one whose factors become columns. */
fit_need fit_predict(const pfx_panel *panel, int n_read, const pfx_formula *f, const fit_options *o)
{
    double rows = (double)pfx_panel_n_rows(panel), copy = 0, products = 0, squares = 0, solve = 0;

    for (int m = 0; m < f->n_models; m++) {
        double cells = cells_of(panel, &f->models[m], o);
        bool copies = f->n_models > 1 || o->by || has_factors(&f->models[m]);
        cells *= share_of_level(panel, o->by);
        if ((copies || cells > n_read + 8) && cells > copy) copy = copies ? cells : cells - n_read;
        double square = cells * cells * 8 * MATRICES;
        if (square > squares) squares = square;
        solve += cells * cells * cells * SOLVE_S_PER_CUBE;
        products += rows * (cells * cells * FIT_S_PER_PRODUCT + FIT_S_PER_ROW);
    }
    return (fit_need){
        .bytes = BASE_BYTES + BYTES_PER_COLUMN * n_read +
                 MARGIN * 8 * rows * (n_read + copy + (o->save.n ? 4 : 0)) + squares,
        .seconds = START_S + solve + rows * n_read * READ_S_PER_CELL + products / (double)o->common.threads,
    };
}

bool fit_can_try(const pfx_panel *panel, double seconds)
{
    double rows = (double)pfx_panel_n_rows(panel);
    return seconds * (rows < TRIAL_ROWS ? 4 : TRIAL_ROWS / rows) < TRIAL_S;
}

double fit_save_seconds(const pfx_panel *panel, const pfx_formula *f, const fit_save *s)
{
    return (s->resid + s->fitted) * SAVE_S_PER_ROW * f->n_models * (double)pfx_panel_n_rows(panel);
}
