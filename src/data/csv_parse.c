#include "src/data/csv_parse.h"

#include <csv.h>
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"

struct pfx_csv_worker {
    struct csv_parser parser;
    const pfx_import_table *table;
    const pfx_missing *missing;
    int set, n_cols;
    pfx_cell_stats *stats; /* [n_cols] */
    void **cells;          /* [n_cols] into room, by form */
    int32_t *line_no;      /* [cap] */
    char *room;
    size_t room_bytes;
    /* of the chunk being parsed */
    pfx_idx block, cap, n_rows, n_lines;
    int field;     /* fields so far in this record */
    bool header;   /* the record being read is the header */
    bool after_cr; /* the byte before was a CR that ended a line */
    bool line_end; /* on_row was called since this was cleared */
    bool stop;
    pfx_csv_fault fault;
    pfx_status st;
    pfx_err *err;
};

pfx_status pfx_csv_worker_new(const pfx_import_table *table, const pfx_missing *missing, char delimiter,
                              int set, pfx_csv_worker **out, pfx_err *err)
{
    *out = NULL;
    pfx_csv_worker *w = pfx_mem_calloc(1, sizeof *w, err);
    if (!w) return PFX_ENOMEM;
    w->table = table;
    w->missing = missing;
    w->set = set;
    w->n_cols = table->n_cols;
    csv_init(&w->parser, CSV_REPALL_NL);
    csv_set_delim(&w->parser, (unsigned char)delimiter);
    csv_set_blk_size(&w->parser, 4096);
    w->stats = pfx_mem_alloc(w->n_cols, sizeof *w->stats, err);
    w->cells = pfx_mem_calloc(w->n_cols, sizeof *w->cells, err);
    if (!w->stats || !w->cells) {
        pfx_csv_worker_free(w);
        return PFX_ENOMEM;
    }
    pfx_csv_worker_reset(w);
    *out = w;
    return PFX_OK;
}

void pfx_csv_worker_free(pfx_csv_worker *w)
{
    if (!w) return;
    csv_free(&w->parser);
    pfx_mem_free(w->stats);
    pfx_mem_free(w->cells);
    pfx_mem_free(w->room);
    pfx_mem_free(w);
}

const pfx_cell_stats *pfx_csv_worker_stats(const pfx_csv_worker *w)
{
    return w->stats;
}

void pfx_csv_worker_reset(pfx_csv_worker *w)
{
    for (int c = 0; c < w->n_cols; c++) pfx_cell_stats_init(&w->stats[c]);
}

/* ---- libcsv's callbacks ---- */

static void put_number(pfx_csv_worker *w, int col, const char *s, size_t n)
{
    double v = NAN, *x = w->cells[col];
    pfx_cell_class cls = pfx_csv_number(s, n, &v);
    if (pfx_cell_is_number(cls)) {
        if (w->missing->n_number && pfx_missing_number(w->missing, v)) v = NAN, cls = PFX_CELL_NUMBER;
    } else if (pfx_missing_text(w->missing, s, n)) {
        cls = PFX_CELL_NUMBER;
    } else {
        cls = pfx_csv_formatted(s, n);
    }
    x[w->n_rows] = v;
    if (v == v || cls != PFX_CELL_NUMBER) pfx_cell_stats_length(&w->stats[col], n);
    if (cls != PFX_CELL_NUMBER)
        pfx_cell_stats_note(&w->stats[col], cls, s, n, 1, pfx_cell_ref_make(w->block, w->n_rows));
}

static void put_text(pfx_csv_worker *w, int col, const char *s, size_t n)
{
    int32_t code = PFX_NA_CODE;
    if (!pfx_missing_text(w->missing, s, n)) {
        code = pfx_dict_code(pfx_import_table_dict(w->table, w->set, col), s, n,
                             pfx_cell_ref_make(w->block, w->n_rows), w->err);
        if (code < 0) w->st = PFX_ENOMEM, w->stop = true;
    }
    ((int32_t *)w->cells[col])[w->n_rows] = code;
}

static void on_field(void *s, size_t n, void *ctx)
{
    pfx_csv_worker *w = ctx;
    if (w->stop) return;
    w->after_cr = false;
    int col = w->field++;
    if (w->header || col >= w->n_cols) return;
    switch (w->table->form[col]) {
    case PFX_FORM_NUMBER:
        put_number(w, col, s, n);
        break;
    case PFX_FORM_TEXT:
        put_text(w, col, s, n);
        break;
    case PFX_FORM_SKIP:
        break;
    }
}

static void on_row(int c, void *ctx)
{
    pfx_csv_worker *w = ctx;
    if (w->stop) return;
    w->line_end = true;
    bool pair = w->after_cr && c == CSV_LF; /* CR LF is one line end */
    w->after_cr = c == CSV_CR;
    if (w->field == 0) { /* a blank line */
        w->n_lines += !pair;
        return;
    }
    if (w->header) {
        w->header = false;
    } else if (w->field != w->n_cols) {
        w->fault = w->field < w->n_cols ? PFX_CSV_FEW : PFX_CSV_MANY;
        w->stop = true;
        return;
    } else {
        w->line_no[w->n_rows++] = (int32_t)w->n_lines;
    }
    w->n_lines++;
    w->field = 0;
}

/* ---- a chunk ---- */

static bool is_ascii(const char *s, size_t n)
{
    unsigned char any = 0;
    for (size_t i = 0; i < n; i++) any |= (unsigned char)s[i];
    return any < 0x80;
}

size_t pfx_csv_sound_prefix(const char *text, size_t n)
{
    enum { STEP = 4096 };
    const char *nul = memchr(text, 0, n);
    size_t end = nul ? (size_t)(nul - text) : n, at = 0;
    while (at < end) {
        size_t k = end - at < STEP ? end - at : STEP;
        if (is_ascii(text + at, k)) {
            at += k;
            continue;
        }
        size_t stop = at + k;
        while (at < stop) {
            unsigned char c = (unsigned char)text[at];
            size_t len = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
            if (len > end - at || (len > 1 && !pfx_text_is_utf8(text + at, len))) return at;
            at += len;
        }
    }
    return end;
}

static pfx_idx count_lines(const char *s, size_t n)
{
    pfx_idx k = 1;
    for (size_t i = 0; i < n; i++) k += s[i] == '\n' || s[i] == '\r';
    return k;
}

/* Scratch for the rows that a chunk of n bytes can have: each takes a line end, and a byte a field. */
static pfx_status reserve(pfx_csv_worker *w, const char *text, size_t n, pfx_err *err)
{
    pfx_idx lines = count_lines(text, n), most = (pfx_idx)n / w->n_cols + 2;
    w->cap = lines < most ? lines : most;
    size_t stride = ((size_t)w->cap + 7) / 8 * 64, bytes = stride * (size_t)(w->n_cols + 1);
    if (bytes > w->room_bytes) {
        pfx_mem_free(w->room);
        w->room_bytes = 0;
        if (!(w->room = pfx_mem_alloc((pfx_idx)bytes, 1, err))) return PFX_ENOMEM;
        w->room_bytes = bytes;
    }
    for (int c = 0; c < w->n_cols; c++)
        w->cells[c] = w->table->form[c] == PFX_FORM_SKIP ? NULL : w->room + stride * (size_t)c;
    w->line_no = (int32_t *)(w->room + stride * (size_t)w->n_cols);
    return PFX_OK;
}

/* Feed text that ends at a record's end, and see by one more line end whether a quote was left open. */
static void feed(pfx_csv_worker *w, const char *text, size_t n)
{
    csv_parse(&w->parser, text, n, on_field, on_row, w);
    if (w->stop) return;
    pfx_idx rows = w->n_rows, lines = w->n_lines;
    bool header = w->header;
    w->line_end = false;
    csv_parse(&w->parser, "\n", 1, on_field, on_row, w);
    if (w->stop) return;
    if (!w->line_end)
        w->fault = PFX_CSV_OPEN_QUOTE;
    else if (w->n_rows == rows && w->header == header)
        w->n_lines = lines;
}

static pfx_csv_fault fault_of(const pfx_csv_chunk *chunk, size_t sound)
{
    if (sound < chunk->len) return chunk->text[sound] ? PFX_CSV_NOT_UTF8 : PFX_CSV_NUL;
    return chunk->flaw == PFX_CSV_UNDECODABLE ? PFX_CSV_NOT_DECODED
           : chunk->flaw == PFX_CSV_TOO_LONG  ? PFX_CSV_LONG
                                              : PFX_CSV_OK;
}

static pfx_status pack(pfx_csv_worker *w, pfx_csv_result *out, pfx_err *err)
{
    bool in_step = true;
    pfx_idx first = w->n_rows ? w->line_no[0] : 0;
    for (pfx_idx i = 0; i < w->n_rows; i++) {
        w->line_no[i] -= (int32_t)first;
        in_step &= w->line_no[i] == i;
    }
    for (int c = 0; c < w->n_cols; c++)
        if (w->table->form[c] == PFX_FORM_NUMBER)
            pfx_cell_stats_numbers(&w->stats[c], w->n_rows, w->cells[c], pfx_cell_ref_make(w->block, 0));
    out->block.first_row = first;
    out->block.dict = w->set;
    return pfx_block_pack(w->table, w->n_rows, (const void *const *)w->cells, in_step ? NULL : w->line_no,
                          &out->block, err);
}

pfx_status pfx_csv_parse_chunk(pfx_csv_worker *w, const pfx_csv_chunk *chunk, pfx_idx block, bool header,
                               pfx_csv_result *out, pfx_err *err)
{
    *out = (pfx_csv_result){0};
    pfx_status st = reserve(w, chunk->text, chunk->len, err);
    if (st != PFX_OK) return st;
    w->block = block;
    w->n_rows = w->n_lines = 0;
    w->field = 0;
    w->header = header;
    w->after_cr = w->stop = false;
    w->fault = PFX_CSV_OK;
    w->st = PFX_OK;
    w->err = err;
    size_t sound = pfx_csv_sound_prefix(chunk->text, chunk->len);
    pfx_csv_fault flaw = fault_of(chunk, sound);
    if (flaw == PFX_CSV_OK)
        feed(w, chunk->text, chunk->len);
    else
        csv_parse(&w->parser, chunk->text, sound, on_field, on_row, w);
    out->fault = w->fault != PFX_CSV_OK ? w->fault : flaw;
    out->n_lines = w->n_lines;
    out->line = w->n_lines;
    out->field = w->field;
    out->offset = sound;
    if (w->st != PFX_OK) return w->st;
    return out->fault == PFX_CSV_OK ? pack(w, out, err) : PFX_OK;
}

/* ---- the header ---- */

typedef struct header {
    char **field;
    int n, cap;
    bool done, failed;
    pfx_err *err;
} header;

static void header_field(void *s, size_t n, void *ctx)
{
    header *h = ctx;
    if (h->done || h->failed) return;
    if (h->n == h->cap) {
        char **f = pfx_mem_realloc(h->field, h->cap ? h->cap * 2 : 32, sizeof *f, h->err);
        if (!f) {
            h->failed = true;
            return;
        }
        h->field = f;
        h->cap = h->cap ? h->cap * 2 : 32;
    }
    h->failed = !(h->field[h->n] = pfx_mem_strndup(n ? s : "", n, h->err));
    h->n += !h->failed;
}

static void header_row(int c, void *ctx)
{
    header *h = ctx;
    (void)c;
    h->done |= h->n > 0;
}

pfx_status pfx_csv_parse_header(const char *text, size_t n, char delimiter, const char *path, int *n_fields,
                                char ***fields, pfx_err *err)
{
    struct csv_parser p;
    header h = {.err = err};
    csv_init(&p, 0);
    csv_set_delim(&p, (unsigned char)delimiter);
    size_t sound = pfx_csv_sound_prefix(text, n), at = 0;
    while (at < sound && !h.done && !h.failed) { /* in pieces: the record is short, the text may be long */
        size_t k = sound - at < 4096 ? sound - at : 4096;
        csv_parse(&p, text + at, k, header_field, header_row, &h);
        at += k;
    }
    if (!h.done && !h.failed && sound == n) csv_parse(&p, "\n", 1, header_field, header_row, &h);
    csv_free(&p);
    *n_fields = h.n;
    *fields = h.field;
    if (h.failed) return PFX_ENOMEM;
    if (h.done) return PFX_OK;
    if (sound < n && text[sound] == '\0')
        return pfx_fail(
            err, PFX_EDATA,
            "%s: row 1, field %d holds a NUL byte; if the file is UTF-16, say --encoding UTF-16LE", path,
            h.n + 1);
    if (sound < n)
        return pfx_fail(err, PFX_EDATA,
                        "%s: row 1, field %d is not valid UTF-8; say which it is, for example --encoding %s",
                        path, h.n + 1, pfx_csv_guess_encoding(text, n < 65536 ? n : 65536));
    return pfx_fail(err, PFX_EDATA,
                    h.n ? "%s: row 1: a quote in the header is never closed; close it"
                        : "%s: no header row; the first line must hold the column names",
                    path);
}
