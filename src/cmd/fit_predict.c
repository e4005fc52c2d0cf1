/* What a fit will need: from the numbers of rows and columns, before anything is read. */
#include <string.h>

#include "src/cmd/fit_private.h"

/* Measured on two shared cores: a cell read, checked and evaluated; a product of two columns in one row; the
 * program. */
#define READ_S_PER_CELL 20e-9
#define FIT_S_PER_PRODUCT 1.2e-9
#define START_S 0.02
/* The program and its libraries; blocks of a column on their way from the file; what the sum below leaves
 * out. */
#define BASE_BYTES (20.0 * 1048576.0)
#define BYTES_PER_COLUMN (1.5 * 1048576.0)
#define MARGIN 1.1

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
        else if (t->pieces[i].is_factor)
            n *= c && c->kind == PFX_TIME ? (double)pfx_panel_n_periods(panel) : LEVELS_GUESSED;
    }
    return n;
}

/* What the rows of a model hold, in doubles: columns, level codes of half the size, weights, saved values. */
static double cells_of(const pfx_panel *panel, const pfx_model_spec *m, const fit_options *o)
{
    double columns = 1;
    for (int i = 0; i < m->n_terms; i++) columns += term_columns(panel, &m->terms[i]);
    return columns + 0.5 * (m->n_absorbed + FIT_MAX_CLUSTERS) + (o->weights ? 1 : 0) + (o->save.n ? 3 : 0);
}

/* Columns are kept once for all models; the last model takes them over, an earlier one copies its own, and so
 * does one whose factors become columns. */
fit_need fit_predict(const pfx_panel *panel, int n_read, const pfx_formula *f, const fit_options *o)
{
    double rows = (double)pfx_panel_n_rows(panel), copy = 0, products = 0;

    for (int m = 0; m < f->n_models; m++) {
        double cells = cells_of(panel, &f->models[m], o);
        bool copies = f->n_models > 1 || o->by || cells > n_read + 8;
        if (copies && cells > copy) copy = cells;
        products += rows * (cells * cells + 10);
    }
    return (fit_need){
        .bytes = BASE_BYTES + BYTES_PER_COLUMN * n_read +
                 MARGIN * 8 * rows * (n_read + copy + (o->save.n ? 4 : 0)),
        .seconds = START_S + rows * n_read * READ_S_PER_CELL +
                   products * FIT_S_PER_PRODUCT / (double)o->common.threads,
    };
}
