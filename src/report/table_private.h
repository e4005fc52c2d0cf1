/* How a table lies in memory: for the renderers in this folder only. */
#ifndef PFX_REPORT_TABLE_PRIVATE_H
#define PFX_REPORT_TABLE_PRIVATE_H

#include "src/report/table.h"

typedef enum cell_kind { CELL_EMPTY, CELL_TEXT, CELL_INT, CELL_NUM } cell_kind;

typedef struct table_cell {
    cell_kind kind;
    char *text;       /* as reports show it, without the tail */
    const char *tail; /* what hangs over on the right: "***", ")", or "" */
    bool raised;      /* the tail is a superscript */
    double num;
    pfx_idx count;
} table_cell;

typedef struct table_row {
    bool heading, rule_above;
    int n;            /* cells filled */
    table_cell *cell; /* [n_cols] */
} table_row;

struct pfx_table {
    int n_cols;
    char *align; /* [n_cols] l or r */
    char *title;
    pfx_idx n_rows, cap_rows;
    table_row *rows;
    int n_notes, cap_notes;
    char **notes;
    bool rule_next; /* pfx_table_rule was called */
    pfx_status failed;
};

/* Rows with heading set come first in every table. */
pfx_idx table_n_headings(const pfx_table *t);

void table_render_text(const pfx_table *t, int width, pfx_str *out);
void table_render_csv(const pfx_table *t, pfx_str *out);
void table_render_latex(const pfx_table *t, pfx_str *out);
void table_render_markdown(const pfx_table *t, pfx_str *out);
void table_render_html(const pfx_table *t, pfx_str *out);
void table_render_json(const pfx_table *t, pfx_str *out);

#endif
