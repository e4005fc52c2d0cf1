/* A table for the terminal. Columns line up by the width that UTF-8 takes there; in a right-aligned column
 * stars and closing brackets hang over, so that digits stand below digits. */
#include <string.h>

#include "src/base/mem.h"
#include "src/report/table_private.h"

enum { GAP = 2 };

typedef struct text_col {
    int body, tail; /* terminal columns */
} text_col;

static void repeat(pfx_str *out, const char *s, int n)
{
    while (n-- > 0) pfx_str_add(out, s);
}

static text_col measure(const pfx_table *t, int c)
{
    text_col w = {0, 0};
    int whole = 0;
    for (pfx_idx r = 0; r < t->n_rows; r++) {
        const table_cell *cell = &t->rows[r].cell[c];
        if (!cell->text) continue;
        int body = pfx_text_width(cell->text), tail = (int)strlen(cell->tail);
        /* Words may reach into the space of the tails; numbers may not. */
        if (cell->kind == CELL_TEXT) {
            if (body > whole) whole = body;
            continue;
        }
        if (body > w.body) w.body = body;
        if (tail > w.tail) w.tail = tail;
    }
    if (whole > w.body + w.tail) w.body = whole - w.tail;
    return w;
}

static void put_cell(const pfx_table *t, const table_row *row, int c, text_col w, pfx_str *out)
{
    const table_cell *cell = &row->cell[c];
    const char *text = cell->text ? cell->text : "";
    int body = pfx_text_width(text), tail = (int)strlen(cell->tail), whole = w.body + w.tail;
    int before = t->align[c] == 'l' ? 0 : body <= w.body ? w.body - body : whole - body;

    repeat(out, " ", before);
    pfx_str_add(out, text);
    pfx_str_add(out, cell->tail);
    repeat(out, " ", whole - before - body - tail);
}

static void trim_line_end(pfx_str *out)
{
    while (out->len && out->s[out->len - 1] == ' ') out->s[--out->len] = '\0';
    pfx_str_add(out, "\n");
}

/* The first column and columns c0..c1-1. */
static void put_block(const pfx_table *t, const text_col *w, int c0, int c1, pfx_str *out)
{
    pfx_idx n_headings = table_n_headings(t);
    int line = w[0].body + w[0].tail;
    for (int c = c0; c < c1; c++) line += GAP + w[c].body + w[c].tail;

    repeat(out, "=", line);
    pfx_str_add(out, "\n");
    for (pfx_idx r = 0; r < t->n_rows; r++) {
        if (t->rows[r].rule_above || (r == n_headings && r > 0)) {
            repeat(out, "-", line);
            pfx_str_add(out, "\n");
        }
        put_cell(t, &t->rows[r], 0, w[0], out);
        for (int c = c0; c < c1; c++) {
            repeat(out, " ", GAP);
            put_cell(t, &t->rows[r], c, w[c], out);
        }
        trim_line_end(out);
    }
    repeat(out, "=", line);
    pfx_str_add(out, "\n");
}

void table_render_text(const pfx_table *t, int width, pfx_str *out)
{
    text_col small[64] = {{0}}, *w = small;
    if (t->n_cols > 64 && !(w = pfx_mem_alloc(t->n_cols, sizeof *w, NULL))) {
        out->failed = true;
        return;
    }
    for (int c = 0; c < t->n_cols; c++) w[c] = measure(t, c);

    if (t->title) pfx_str_addf(out, "%s\n", t->title);
    int c0 = 1;
    do {
        int line = w[0].body + w[0].tail, c1 = c0;
        while (c1 < t->n_cols) {
            line += GAP + w[c1].body + w[c1].tail;
            if (width > 0 && line > width && c1 > c0) break;
            c1++;
        }
        if (c0 > 1) pfx_str_add(out, "\n");
        put_block(t, w, c0, c1, out);
        c0 = c1;
    } while (c0 < t->n_cols);
    for (int i = 0; i < t->n_notes; i++) pfx_str_addf(out, "%s\n", t->notes[i]);
    if (w != small) pfx_mem_free(w);
}
