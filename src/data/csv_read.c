/* A text table into the importer's table. The first chunk suggests what each column is; all chunks are read
 * so, several at once; where the whole column says otherwise, the file is read once more. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/data/csv_parse.h"
#include "src/data/import_private.h"

enum {
    MAX_WORKERS = 30,
    CHUNKS_PER_WORKER = 2,
    MIN_CHUNK = 64 << 10,
    MAX_CHUNK = 1 << 20,
    MAX_RECORD = 64 << 20,
    MAX_PASSES = 3
};

typedef struct csv_reader {
    pfx_import_data *d;
    const pfx_import_options *o;
    pfx_csv_input *in;
    pfx_missing missing;
    int n_workers;
    pfx_csv_worker *worker[MAX_WORKERS];
    pfx_csv_batch batch[2]; /* one is parsed while the other is read */
    pfx_csv_result *result; /* [chunks of a batch] */
    int cap_results;
    pfx_err *chunk_err; /* [chunks of a batch + 1] the last is the read's */
    pfx_status *chunk_st;
    int now;       /* the batch being parsed */
    pfx_idx lines; /* of the chunks before this batch */
} csv_reader;

/* ---- faults ---- */

static pfx_status fail_fault(csv_reader *r, const pfx_csv_chunk *chunk, const pfx_csv_result *x, pfx_err *err)
{
    const pfx_import_table *t = &r->d->table;
    char at[1200];
    long long row = (long long)(r->lines + x->line + 1);
    int col = x->field < t->n_cols ? x->field : t->n_cols - 1;
    snprintf(at, sizeof at, "%s: row %lld, column %s", r->o->path, row, r->d->cols[col].name);
    size_t rest = chunk->len - (x->offset < chunk->len ? x->offset : chunk->len);
    switch (x->fault) {
    case PFX_CSV_FEW:
    case PFX_CSV_MANY:
        return pfx_fail(err, PFX_EDATA,
                        "%s: row %lld has %d fields, but the header has %d; look for a missing or an "
                        "unquoted delimiter '%s', or name another with --delimiter",
                        r->o->path, row, x->field, t->n_cols, r->d->delimiter);
    case PFX_CSV_NUL:
        return pfx_fail(
            err, PFX_EDATA,
            "%s: a NUL byte; if the file is UTF-16, say --encoding UTF-16LE, else remove the byte", at);
    case PFX_CSV_NOT_UTF8:
        return pfx_fail(
            err, PFX_EDATA,
            "%s: byte 0x%02x is not valid UTF-8; say which encoding the file has, for example --encoding %s",
            at, (unsigned char)chunk->text[x->offset],
            pfx_csv_guess_encoding(chunk->text + x->offset, rest < 65536 ? rest : 65536));
    case PFX_CSV_NOT_DECODED:
        return pfx_fail(err, PFX_EDATA, "%s: bytes that are not valid %s; name another --encoding", at,
                        pfx_csv_input_encoding(r->in));
    case PFX_CSV_OPEN_QUOTE:
        return pfx_fail(
            err, PFX_EDATA,
            "%s: a quote opens here and is never closed; close it, or double the quotes inside quoted text",
            at);
    case PFX_CSV_LONG:
        return pfx_fail(err, PFX_EDATA,
                        "%s: the row is longer than %zu MiB; a quote may open here that is never closed", at,
                        chunk->len >> 20);
    case PFX_CSV_OK:
        break;
    }
    return PFX_OK;
}

/* ---- a pass ---- */

/* Task 0 reads the next batch, task i parses chunk i - 1 of this one. */
static void run_task(void *ctx, pfx_idx i, int thread)
{
    csv_reader *r = ctx;
    const pfx_csv_batch *b = &r->batch[r->now];
    if (i == 0) {
        r->chunk_st[b->n_chunks] = pfx_csv_input_next(r->in, &r->batch[!r->now], &r->chunk_err[b->n_chunks]);
        return;
    }
    pfx_idx k = i - 1, block = r->d->table.n_blocks + k;
    r->chunk_st[k] = pfx_csv_parse_chunk(r->worker[thread], &b->chunks[k], block, block == 0, &r->result[k],
                                         &r->chunk_err[k]);
}

static pfx_status reserve_results(csv_reader *r, int n, pfx_err *err)
{
    if (n <= r->cap_results) return PFX_OK;
    r->cap_results = 0;
    pfx_mem_free(r->result);
    pfx_mem_free(r->chunk_err);
    pfx_mem_free(r->chunk_st);
    r->result = pfx_mem_alloc(n, sizeof *r->result, err);
    r->chunk_err = pfx_mem_alloc(n + 1, sizeof *r->chunk_err, err);
    r->chunk_st = pfx_mem_alloc(n + 1, sizeof *r->chunk_st, err);
    if (!r->result || !r->chunk_err || !r->chunk_st) return PFX_ENOMEM;
    r->cap_results = n;
    return PFX_OK;
}

/* Results in file order: the first fault is reported, whichever thread met one first. */
static pfx_status take_results(csv_reader *r, pfx_err *err)
{
    const pfx_csv_batch *b = &r->batch[r->now];
    pfx_status st = PFX_OK;
    for (int k = 0; k < b->n_chunks; k++) {
        pfx_csv_result *x = &r->result[k];
        if (st == PFX_OK && r->chunk_st[k] != PFX_OK)
            st = pfx_fail(err, r->chunk_st[k], "%s", r->chunk_err[k].msg);
        if (st == PFX_OK) st = fail_fault(r, &b->chunks[k], x, err);
        x->block.first_row += r->lines + 1;
        r->lines += x->n_lines;
        if (st == PFX_OK) st = pfx_import_table_add(&r->d->table, &x->block, err);
        pfx_mem_free(x->block.slab);
    }
    if (st == PFX_OK && r->chunk_st[b->n_chunks] != PFX_OK)
        st = pfx_fail(err, r->chunk_st[b->n_chunks], "%s", r->chunk_err[b->n_chunks].msg);
    return st;
}

static void merge_stats(csv_reader *r)
{
    for (int c = 0; c < r->d->table.n_cols; c++) {
        pfx_cell_stats *s = &r->d->cols[c].stats;
        pfx_cell_stats_init(s);
        for (int w = 0; w < r->n_workers; w++)
            pfx_cell_stats_merge(s, &pfx_csv_worker_stats(r->worker[w])[c]);
    }
}

/* What more cells cannot change: a column read as numbers that is text. Sets its form. */
static bool find_settled(csv_reader *r)
{
    pfx_import_table *t = &r->d->table;
    bool any = false, look = false;
    for (int w = 0; w < r->n_workers; w++) {
        const pfx_cell_stats *s = pfx_csv_worker_stats(r->worker[w]);
        for (int c = 0; c < t->n_cols; c++) look |= s[c].n_text || s[c].n_class[PFX_CELL_ZERO_LED];
    }
    if (!look) return false;
    merge_stats(r);
    for (int c = 0; c < t->n_cols; c++) {
        const pfx_cell_stats *s = &r->d->cols[c].stats;
        if (t->form[c] != PFX_FORM_NUMBER || r->d->cols[c].wish != PFX_WISH_NONE) continue;
        if (!s->n_class[PFX_CELL_ZERO_LED] &&
            (s->first_value < 0 || s->first[PFX_CELL_TEXT] != s->first_value))
            continue;
        t->form[c] = PFX_FORM_TEXT;
        any = true;
    }
    return any;
}

/* Read all chunks with the forms as they are; *again: a column turned out to be text. */
static pfx_status pass(csv_reader *r, bool *again, pfx_err *err)
{
    pfx_import_table *t = &r->d->table;
    *again = false;
    pfx_import_table_clear(t);
    for (int w = 0; w < r->n_workers; w++) pfx_csv_worker_reset(r->worker[w]);
    r->lines = 0;
    r->now = 0;
    pfx_status st = pfx_csv_input_rewind(r->in, err);
    if (st == PFX_OK) st = pfx_csv_input_next(r->in, &r->batch[0], err);
    pfx_progress_begin("read", "MB", (double)pfx_csv_input_size(r->in) / 1e6);
    while (st == PFX_OK && r->batch[r->now].n_chunks && !*again) {
        int n = r->batch[r->now].n_chunks;
        if ((st = reserve_results(r, n, err)) != PFX_OK) break;
        memset(r->chunk_err, 0, (size_t)(n + 1) * sizeof *r->chunk_err);
        pfx_par_for(n + 1, r->n_workers, run_task, r);
        if ((st = take_results(r, err)) != PFX_OK) break;
        pfx_progress_set((double)pfx_csv_input_done(r->in) / 1e6);
        *again = find_settled(r);
        r->now = !r->now;
    }
    pfx_progress_end();
    return st;
}

/* ---- types ---- */

static pfx_status merge_column(pfx_import_data *d, int c, pfx_err *err)
{
    const pfx_dict *dicts[MAX_WORKERS];
    for (int s = 0; s < d->table.n_dicts; s++) dicts[s] = pfx_import_table_dict(&d->table, s, c);
    pfx_levels_free(&d->cols[c].levels);
    return pfx_levels_merge(d->table.n_dicts, dicts, &d->cols[c].levels, err);
}

/* Statistics of the columns read as text, from their levels. */
static pfx_status finish_texts(csv_reader *r, pfx_err *err)
{
    pfx_import_data *d = r->d;
    for (int c = 0; c < d->table.n_cols; c++) {
        if (d->table.form[c] != PFX_FORM_TEXT) continue;
        pfx_status st = merge_column(d, c, err);
        if (st != PFX_OK) return st;
        pfx_cell_stats_init(&d->cols[c].stats);
        pfx_cell_stats_of_levels(&d->cols[c].stats, &d->cols[c].levels);
    }
    return PFX_OK;
}

/* The first chunk, all as text, suggests the forms. */
static pfx_status sample(csv_reader *r, pfx_err *err)
{
    pfx_import_data *d = r->d;
    pfx_csv_result x = {0};
    for (int c = 0; c < d->table.n_cols; c++)
        if (d->table.form[c] == PFX_FORM_NUMBER) d->table.form[c] = PFX_FORM_TEXT;
    pfx_status st = pfx_csv_parse_chunk(r->worker[0], &r->batch[0].chunks[0], 0, true, &x, err);
    if (st == PFX_OK) st = fail_fault(r, &r->batch[0].chunks[0], &x, err);
    pfx_mem_free(x.block.slab);
    if (st == PFX_OK) st = finish_texts(r, err);
    for (int c = 0; c < d->table.n_cols && st == PFX_OK; c++)
        if (d->table.form[c] == PFX_FORM_TEXT)
            d->table.form[c] = pfx_type_decide(&d->cols[c].stats, d->cols[c].wish).form;
    return st;
}

/* Forms from whole columns; *again if one differs from how it was read. The first fault in the file is the
 * error. */
static pfx_status decide(csv_reader *r, bool *again, pfx_err *err)
{
    pfx_import_data *d = r->d;
    int bad = -1;
    *again = false;
    merge_stats(r);
    pfx_status st = finish_texts(r, err);
    pfx_type_choice worst = {0};
    for (int c = 0; c < d->table.n_cols && st == PFX_OK; c++) {
        if (d->table.form[c] == PFX_FORM_SKIP) continue;
        const pfx_cell_stats *s = &d->cols[c].stats;
        pfx_type_choice k = pfx_type_decide(s, d->cols[c].wish);
        if (k.fault) {
            if (bad < 0 || s->first[k.at] < d->cols[bad].stats.first[worst.at]) bad = c, worst = k;
            continue;
        }
        *again |= d->table.form[c] != k.form;
        d->table.form[c] = k.form;
    }
    if (bad < 0 || st != PFX_OK) return st;
    char where[1200];
    return pfx_type_fail(&d->cols[bad].stats, worst.at,
                         pfx_import_where(d, d->cols[bad].stats.first[worst.at], bad, sizeof where, where),
                         d->cols[bad].name, err);
}

static void note_types(csv_reader *r)
{
    pfx_import_data *d = r->d;
    char where[1200];
    for (int c = 0; c < d->table.n_cols; c++) {
        pfx_import_col *k = &d->cols[c];
        if (d->table.form[c] == PFX_FORM_SKIP || c == d->time) continue;
        pfx_type_choice choice = pfx_type_decide(&k->stats, k->wish);
        if (choice.why)
            pfx_import_note(d, "%s: %s (\"%s\"); --types %s=numeric reads numbers",
                            pfx_import_where(d, k->stats.first[choice.at], c, sizeof where, where),
                            choice.why, k->stats.sample[choice.at], k->name);
        if (k->stats.n_value == 0)
            pfx_import_note(d, "%s: column %s is missing in every row", d->path, k->name);
    }
}

/* ---- the whole ---- */

static pfx_status check_header(const pfx_import_data *d, pfx_err *err)
{
    double v;
    for (int c = 0; c < d->table.n_cols; c++)
        if (!pfx_cell_is_number(pfx_csv_number(d->cols[c].name, strlen(d->cols[c].name), &v))) return PFX_OK;
    return pfx_fail(err, PFX_EDATA,
                    "%s: row 1 holds numbers alone, but it must name the columns; put a header row first",
                    d->path);
}

static pfx_status read_header(csv_reader *r, pfx_err *err)
{
    pfx_import_data *d = r->d;
    int n = 0;
    char **names = NULL;
    pfx_status st = pfx_csv_input_next(r->in, &r->batch[0], err);
    if (st != PFX_OK) return st;
    if (r->batch[0].n_chunks == 0)
        return pfx_fail(err, PFX_EFORMAT, "%s: the file is empty; want a header row and data rows", d->path);
    const pfx_csv_chunk *chunk = &r->batch[0].chunks[0];
    st = pfx_csv_parse_header(chunk->text, chunk->len, pfx_csv_input_delimiter(r->in), d->path, &n, &names,
                              err);
    if (st == PFX_OK) {
        st = pfx_import_columns(d, r->o, n, names, r->n_workers, err);
    } else {
        for (int i = 0; i < n; i++) pfx_mem_free(names[i]);
    }
    pfx_mem_free(names);
    return st == PFX_OK ? check_header(d, err) : st;
}

static pfx_status open_reader(csv_reader *r, pfx_err *err)
{
    const pfx_import_options *o = r->o;
    r->n_workers = o->threads < MAX_WORKERS ? o->threads : MAX_WORKERS;
    size_t chunk = o->memory / 64 / (size_t)r->n_workers;
    pfx_csv_input_options io = {.encoding = o->encoding,
                                .delimiter = o->delimiter,
                                .tmpdir = o->tmpdir,
                                .chunk_bytes = chunk < MIN_CHUNK   ? MIN_CHUNK
                                               : chunk > MAX_CHUNK ? MAX_CHUNK
                                                                   : chunk,
                                .batch_chunks = r->n_workers * CHUNKS_PER_WORKER,
                                .max_record = o->memory / 8 < MAX_RECORD ? o->memory / 8 : MAX_RECORD};
    pfx_status st = pfx_missing_init(&r->missing, o->n_missing, o->missing, err);
    if (st == PFX_OK) st = pfx_csv_input_open(o->path, &io, &r->in, err);
    if (st != PFX_OK) return st;
    char c = pfx_csv_input_delimiter(r->in);
    r->d->bytes = pfx_csv_input_size(r->in);
    snprintf(r->d->delimiter, sizeof r->d->delimiter, c == '\t' ? "tab" : "%c", c);
    snprintf(r->d->encoding, sizeof r->d->encoding, "%s", pfx_csv_input_encoding(r->in));
    snprintf(r->d->format, sizeof r->d->format, "csv");
    st = read_header(r, err);
    for (int w = 0; w < r->n_workers && st == PFX_OK; w++)
        st = pfx_csv_worker_new(&r->d->table, &r->missing, c, w, &r->worker[w], err);
    return st;
}

static void close_reader(csv_reader *r)
{
    for (int w = 0; w < r->n_workers; w++) pfx_csv_worker_free(r->worker[w]);
    for (int b = 0; b < 2; b++) pfx_csv_batch_free(&r->batch[b]);
    pfx_csv_input_close(r->in);
    pfx_mem_free(r->result);
    pfx_mem_free(r->chunk_err);
    pfx_mem_free(r->chunk_st);
}

pfx_status pfx_csv_read(pfx_import_data *d, const pfx_import_options *o, pfx_err *err)
{
    csv_reader r = {.d = d, .o = o};
    bool again = true;
    d->row_word = "row";
    pfx_status st = open_reader(&r, err);
    if (st == PFX_OK) st = sample(&r, err);
    for (int i = 0; again && st == PFX_OK; i++) {
        st = pass(&r, &again, err);
        if (st == PFX_OK && !again && d->table.n_rows == 0)
            st = pfx_fail(err, PFX_EDATA, "%s: a header row, but no data rows", d->path);
        if (st == PFX_OK && !again) st = decide(&r, &again, err);
        if (i >= MAX_PASSES + d->table.n_cols)
            break; /* forms settle earlier: each turn makes one more column text */
    }
    if (st == PFX_OK) {
        memcpy(d->sha256, pfx_csv_input_sha256(r.in), sizeof d->sha256);
        note_types(&r);
    }
    close_reader(&r);
    return st;
}
