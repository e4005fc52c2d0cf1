/* A fit whose rows stay in the panel: each model reads its own columns, pass by pass. */
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/fit_private.h"
#include "src/cmd/watch.h"

/* Rows of a window at least: one block of the source, which ends up to a unit before its chunks do. */
#define WINDOW_ROWS 32768

/* The stream of one model, and what it reads from. */
typedef struct fit_opened {
    int model;
    pfx_formula one;
    char **names;
    int n;
    pfx_row_source source;
    pfx_watch watch;
    pfx_first_rows first;
    pfx_dataset_stream *stream;
} fit_opened;

static void close_stream(fit_opened *s)
{
    pfx_dataset_stream_free(s->stream);
    if (s->source.close) s->source.close(s->source.ctx);
    pfx_dataset_free_names(s->n, s->names);
}

void fit_stream_close(fit_stream *f)
{
    if (f->opened) close_stream(f->opened);
    pfx_mem_free(f->opened);
    f->opened = NULL;
}

/* ENOMEM where the model has to lie in memory, with the bytes that takes. */
static pfx_status open_stream(const fit_stream *f, int m, fit_opened *s, pfx_err *err)
{
    const pfx_panel_source_options so = {.verify = PFX_VERIFY_ONCE, .nth = f->data.nth};
    const char *why = NULL;
    *s = (fit_opened){.model = m, .one = {f->formula->text, 1, &f->formula->models[m]}};
    pfx_status st =
        pfx_dataset_columns(&s->one, &f->data, pfx_panel_structure(f->panel), pfx_panel_n_cols(f->panel),
                            pfx_panel_cols(f->panel), &s->n, &s->names, err);
    if (st == PFX_OK)
        st = pfx_panel_source(f->panel, s->n, (const char *const *)s->names, &so, &s->source, err);
    if (st == PFX_OK) {
        if (f->first_rows) s->source = pfx_first_rows_source(&s->first, f->first_rows, s->source);
        s->source = pfx_watch_source(&s->watch, s->source);
        st = pfx_dataset_stream_open(&s->source, &s->one, 0, &f->data, WINDOW_ROWS, f->memory, &s->stream,
                                     &why, err);
    }
    if (st == PFX_OK && !why && f->leaves_out) why = "CRV3, CV3J and CR2 have to keep rows";
    if (st == PFX_OK && why)
        st = pfx_fail(
            err, PFX_ENOMEM,
            "%s: %s needs about %.0f MiB and --memory allows %.0f MiB; it cannot be streamed: %s; give more "
            "memory, or fit fewer models at once",
            pfx_panel_path(f->panel), s->one.models->text, f->in_memory / 1048576.0,
            (double)f->memory / 1048576.0, why);
    if (st != PFX_OK) close_stream(s);
    return st;
}

/* The stream of model m stays open for all levels of --by. */
static pfx_status hold_stream(fit_stream *f, int m, pfx_err *err)
{
    if (f->opened && f->opened->model == m) return PFX_OK;
    fit_stream_close(f);
    if (!(f->opened = pfx_mem_calloc(1, sizeof *f->opened, err))) return PFX_ENOMEM;
    pfx_status st = open_stream(f, m, f->opened, err);
    if (st == PFX_OK) return st;
    pfx_mem_free(f->opened); /* it is closed */
    f->opened = NULL;
    return st;
}

pfx_status fit_stream_n_by(fit_stream *f, int m, pfx_idx *n, pfx_err *err)
{
    pfx_status st = hold_stream(f, m, err);
    return st == PFX_OK ? pfx_dataset_stream_n_by(f->opened->stream, n, err) : st;
}

pfx_status fit_stream_model(fit_stream *f, int m, pfx_idx by, const pfx_fit_options *o, pfx_fit **fit,
                            int *passes, pfx_err *err)
{
    pfx_status st = hold_stream(f, m, err);
    if (st != PFX_OK) return st;
    pfx_dataset_stream *s = f->opened->stream;
    const int before = pfx_dataset_stream_passes(s);
    do { /* a level with one row, or many levels, make the first pass begin anew */
        pfx_design *d = NULL;
        pfx_err_clear(err);
        st = pfx_dataset_stream_design(s, by, &d, err);
        if (st == PFX_OK) st = pfx_fit_model(d, o, fit, err);
    } while (st != PFX_OK && pfx_dataset_stream_again(s));
    *passes = pfx_dataset_stream_passes(s) - before;
    if (st == PFX_ENOMEM) {
        pfx_err cause = *err;
        pfx_err_clear(err);
        st = pfx_fail(err, st, "%s (with all rows in memory about %.0f MiB)", cause.msg,
                      f->in_memory / 1048576.0);
    }
    return st;
}

/* Bytes beside the program itself. A block of the source, most of it in doubles, the rest in the file's type
 * too, and a second one where HDF5 reads ahead; the window, a block and what the one before left, in doubles;
 * buffers of the threads. */
#define PROGRAM_BYTES (24.0 * 1048576.0)
#define BLOCK_ROWS 65536.0
#define BYTES_PER_READ_CELL 9.5
#define BYTES_PER_CELL (1.15 * 8)
#define BYTES_PER_THREAD (4.0 * 1048576.0)
/* Where factors become columns: those of one window, and matrices of their products. */
#define BYTES_PER_COLUMN_ROW (1.15 * 8)
#define BYTES_PER_PRODUCT (9 * 8.0)
/* Measured on two shared cores, for two passes: a row, by the one thread that cuts windows and blocks; a cell
 * read, once checked, and turned, and a product of two columns in one row, by any thread; the program. */
#define WINDOW_S_PER_ROW 14.5e-9
#define LOAD_S_PER_CELL 3.0e-9
#define FIT_S_PER_PRODUCT 0.035e-9
#define WIDE_S_PER_PRODUCT 0.05e-9
#define SOLVE_S_PER_CUBE 0.5e-9
#define START_S 0.02

/* Blocks of the source: two where some column is compressed, which HDF5 alone can read, ahead of the others.
 */
static pfx_status count_blocks(const fit_stream *f, const fit_opened *s, int *n, pfx_err *err)
{
    const pfx_col_spec *cols = pfx_panel_cols(f->panel);
    pfx_status st = PFX_OK;
    *n = 1;
    for (int c = 0; c < pfx_panel_n_cols(f->panel) && st == PFX_OK; c++)
        for (int k = 0; k < s->n && st == PFX_OK; k++) {
            pfx_panel_storage storage = {0};
            if (strcmp(cols[c].name, s->names[k]) != 0) continue;
            st = pfx_panel_column_storage(f->panel, c, &storage, err);
            if (storage.deflate) *n = 2;
        }
    return st;
}

pfx_status fit_predict_stream(const fit_stream *f, fit_need *need, pfx_err *err)
{
    double rows = (double)pfx_panel_n_rows(f->panel), block = rows < BLOCK_ROWS ? rows : BLOCK_ROWS;
    *need = (fit_need){0, START_S};
    for (int m = 0; m < f->formula->n_models; m++) {
        fit_opened s;
        pfx_status st = open_stream(f, m, &s, err);
        if (st != PFX_OK) return st;
        int blocks = 1;
        if ((st = count_blocks(f, &s, &blocks, err)) != PFX_OK) {
            close_stream(&s);
            return st;
        }
        double columns = fit_columns(f->panel, &f->formula->models[m]);
        double bytes = PROGRAM_BYTES + block * s.n * (blocks * BYTES_PER_READ_CELL + BYTES_PER_CELL) +
                       f->data.nth * BYTES_PER_THREAD + pfx_dataset_stream_bytes(s.stream);
        if (columns > s.n) bytes += columns * (BYTES_PER_COLUMN_ROW * block + columns * BYTES_PER_PRODUCT);
        if (bytes > need->bytes) need->bytes = bytes;
        if (columns > s.n)
            need->seconds += rows * columns * columns * WIDE_S_PER_PRODUCT / f->data.nth +
                             columns * columns * columns * SOLVE_S_PER_CUBE;
        need->seconds +=
            rows * (WINDOW_S_PER_ROW + s.n * (LOAD_S_PER_CELL + s.n * FIT_S_PER_PRODUCT) / f->data.nth);
        close_stream(&s);
    }
    return PFX_OK;
}
