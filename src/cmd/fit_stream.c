/* A fit whose rows stay in the panel: each model reads its own columns, pass by pass. */
#include "src/base/log.h"
#include "src/cmd/fit_private.h"
#include "src/cmd/watch.h"

/* Rows of a window at least: a block of the panel's chunks. */
#define WINDOW_ROWS 65536

/* The stream of one model, and what it reads from. */
typedef struct opened {
    pfx_formula one;
    char **names;
    int n;
    pfx_row_source source;
    pfx_watch watch;
    pfx_dataset_stream *stream;
} opened;

static void close_stream(opened *s)
{
    pfx_dataset_stream_free(s->stream);
    if (s->source.close) s->source.close(s->source.ctx);
    pfx_dataset_free_names(s->n, s->names);
}

/* ENOMEM where the model has to lie in memory, with the bytes that takes. */
static pfx_status open_stream(const fit_stream *f, int m, opened *s, pfx_err *err)
{
    const pfx_panel_source_options so = {.verify = PFX_VERIFY_ONCE, .nth = f->data.nth};
    const char *why = NULL;
    *s = (opened){.one = {f->formula->text, 1, &f->formula->models[m]}};
    pfx_status st = pfx_dataset_columns(&s->one, &f->data, pfx_panel_structure(f->panel), pfx_panel_n_cols(f->panel),
                                        pfx_panel_cols(f->panel), &s->n, &s->names, err);
    if (st == PFX_OK) st = pfx_panel_source(f->panel, s->n, (const char *const *)s->names, &so, &s->source, err);
    if (st == PFX_OK) {
        s->source = pfx_watch_source(&s->watch, s->source);
        st = pfx_dataset_stream_open(&s->source, &s->one, 0, &f->data, WINDOW_ROWS, f->memory, &s->stream, &why, err);
    }
    if (st == PFX_OK && why)
        st = pfx_fail(err, PFX_ENOMEM,
                      "%s: %s needs about %.0f MiB and --memory allows %.0f MiB; it cannot be streamed: %s; give more "
                      "memory, or fit fewer models at once",
                      pfx_panel_path(f->panel), s->one.models->text, f->in_memory / 1048576.0,
                      (double)f->memory / 1048576.0, why);
    if (st != PFX_OK) close_stream(s);
    return st;
}

pfx_status fit_stream_check(const fit_stream *f, pfx_err *err)
{
    opened s;
    pfx_status st = PFX_OK;
    for (int m = 0; m < f->formula->n_models && st == PFX_OK; m++)
        if ((st = open_stream(f, m, &s, err)) == PFX_OK) close_stream(&s);
    return st;
}

pfx_status fit_stream_model(const fit_stream *f, int m, const pfx_fit_options *o, pfx_fit **fit, int *passes, pfx_err *err)
{
    opened s;
    pfx_status st = open_stream(f, m, &s, err);
    if (st != PFX_OK) return st;
    do { /* a level with one row makes the first pass begin anew without it */
        pfx_err_clear(err);
        st = pfx_fit_ols(pfx_dataset_stream_design(s.stream), o, fit, err);
    } while (st != PFX_OK && pfx_dataset_stream_again(s.stream));
    *passes = pfx_dataset_stream_passes(s.stream);
    close_stream(&s);
    return st;
}

/* Bytes beside the program itself. Two blocks of the source, in the file's type and as doubles; the window, which holds
 * a block and what the block before left, in doubles; a block's columns evaluated; buffers of the threads. */
#define PROGRAM_BYTES (24.0 * 1048576.0)
#define BYTES_PER_CELL (2 * 12.0 + 1.4 * 8 + 2)
#define BYTES_PER_THREAD (4.0 * 1048576.0)
/* Measured on two shared cores: a cell read and checked, and read again; a product of two columns in one row. */
#define FIRST_S_PER_CELL 2.2e-9
#define LATER_S_PER_CELL 1.6e-9
#define S_PER_PRODUCT 0.15e-9
#define START_S 0.02

fit_need fit_predict_stream(const pfx_panel *panel, int n_read, const pfx_formula *f, int nth)
{
    double rows = (double)pfx_panel_n_rows(panel), block = rows < WINDOW_ROWS ? rows : WINDOW_ROWS;
    fit_need need = {PROGRAM_BYTES + block * n_read * BYTES_PER_CELL + nth * BYTES_PER_THREAD, START_S};
    for (int m = 0; m < f->n_models; m++) {
        double p = f->models[m].n_terms + 1;
        need.seconds += rows * ((p + 2) * (FIRST_S_PER_CELL + LATER_S_PER_CELL) + 2 * p * p * S_PER_PRODUCT) * 2 / (nth < 2 ? 1 : 2);
    }
    return need;
}
