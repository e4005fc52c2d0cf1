/* What a fit will need: from the numbers of rows and columns, before anything is read. */
#include "src/cmd/fit_private.h"

/* Measured on two cores of 2.x GHz: a cell read and evaluated, a row of a fit with p columns, the program
 * itself. */
#define READ_S_PER_CELL 6e-9
#define FIT_S_PER_CELL2 0.6e-9
#define START_S 0.02
#define BASE_BYTES (32.0 * 1048576.0)

static int model_columns(const pfx_model_spec *m)
{
    return m->n_terms + m->n_endogenous + m->n_instruments + 1;
}

fit_need fit_predict(const pfx_panel *panel, int n_read, const pfx_formula *f, const fit_options *o)
{
    double rows = (double)pfx_panel_n_rows(panel), widest = 0, work = 0;

    for (int m = 0; m < f->n_models; m++) {
        double p = model_columns(&f->models[m]), codes = f->models[m].n_absorbed + FIT_MAX_CLUSTERS;
        double cells = p + codes / 2 + (o->weights ? 1 : 0) + (o->save.n ? 3 : 0);
        if (cells > widest) widest = cells;
        work += rows * (p * p + 4 * codes + 10);
    }
    return (fit_need){
        .bytes = BASE_BYTES + 8 * rows * (n_read + widest),
        .seconds =
            START_S + rows * n_read * READ_S_PER_CELL + work * FIT_S_PER_CELL2 / (double)o->common.threads,
    };
}
