/* A table for programs: CSV and JSON. */
#include <math.h>
#include <string.h>

#include "src/report/table_private.h"

static void csv_text(const char *s, pfx_str *out)
{
    if (!strpbrk(s, ",\"\r\n")) {
        pfx_str_add(out, s);
        return;
    }
    pfx_str_add(out, "\"");
    for (; *s; s++) pfx_str_addn(out, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
    pfx_str_add(out, "\"");
}

void table_render_csv(const pfx_table *t, pfx_str *out)
{
    for (pfx_idx r = 0; r < t->n_rows; r++) {
        for (int c = 0; c < t->n_cols; c++) {
            const table_cell *cell = &t->rows[r].cell[c];
            if (c) pfx_str_add(out, ",");
            if (cell->kind == CELL_TEXT) csv_text(cell->text, out);
            if (cell->kind == CELL_INT) pfx_str_addf(out, "%lld", (long long)cell->count);
            if (cell->kind == CELL_NUM && !isnan(cell->num)) pfx_str_addf(out, "%.17g", cell->num);
        }
        pfx_str_add(out, "\n");
    }
}

static void json_text(const char *s, pfx_str *out)
{
    pfx_str_add(out, "\"");
    for (; s && *s; s++) {
        if (*s == '"' || *s == '\\')
            pfx_str_addf(out, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            pfx_str_addf(out, "\\u%04x", (unsigned char)*s);
        else
            pfx_str_addn(out, s, 1);
    }
    pfx_str_add(out, "\"");
}

static void json_cell(const table_cell *cell, pfx_str *out)
{
    if (cell->kind == CELL_TEXT)
        json_text(cell->text, out);
    else if (cell->kind == CELL_INT)
        pfx_str_addf(out, "%lld", (long long)cell->count);
    else if (cell->kind == CELL_NUM && isfinite(cell->num))
        pfx_str_addf(out, "%.17g", cell->num);
    else
        pfx_str_add(out, "null");
}

void table_render_json(const pfx_table *t, pfx_str *out)
{
    pfx_idx n_headings = table_n_headings(t);

    pfx_str_add(out, "{\"title\": ");
    json_text(t->title, out);
    pfx_str_add(out, ",\n \"rows\": [");
    for (pfx_idx r = n_headings; r < t->n_rows; r++) {
        pfx_str_add(out, r > n_headings ? ",\n  {" : "\n  {");
        for (int c = 0; c < t->n_cols; c++) {
            pfx_str_add(out, c ? ", " : "");
            json_text(n_headings ? t->rows[n_headings - 1].cell[c].text : "", out);
            pfx_str_add(out, ": ");
            json_cell(&t->rows[r].cell[c], out);
        }
        pfx_str_add(out, "}");
    }
    pfx_str_add(out, "],\n \"notes\": [");
    for (int i = 0; i < t->n_notes; i++) {
        pfx_str_add(out, i ? ", " : "");
        json_text(t->notes[i], out);
    }
    pfx_str_add(out, "]}\n");
}
