/* A table of cells, built row by row and rendered as text, CSV, LaTeX, Markdown, HTML or JSON. Every table
 * that a command prints goes through here. */
#ifndef PFX_REPORT_TABLE_H
#define PFX_REPORT_TABLE_H

#include <stdbool.h>
#include "src/base/status.h"
#include "src/base/text.h"

typedef enum pfx_format {
    PFX_FORMAT_TEXT,
    PFX_FORMAT_JSON,
    PFX_FORMAT_CSV,
    PFX_FORMAT_LATEX,
    PFX_FORMAT_MARKDOWN,
    PFX_FORMAT_HTML
} pfx_format;
/* Their names, NULL-terminated, in the order of the enum: choices of --format. */
extern const char *const pfx_format_names[];
/* The one asked for (an index of the names), or, below 0, by the ending of an output's path: .json, .csv,
 * .tex, .md, .html; text otherwise and where path is NULL. */
pfx_format pfx_format_choose(int asked, const char *path);

typedef struct pfx_table pfx_table;

/* An empty table of n_cols columns, the first aligned left and the others right. NULL: out of memory.
 * The builders below cannot fail by themselves: a failed allocation or too many cells in a row is kept and
 * reported by pfx_table_render. Texts are copied. */
pfx_table *pfx_table_create(int n_cols, pfx_err *err) PFX_MUST;
void pfx_table_free(pfx_table *t);

/* One letter a column: l or r. */
void pfx_table_align(pfx_table *t, const char *letters);
void pfx_table_title(pfx_table *t, const char *text);

/* Begin a heading row, or a body row; cells then fill it from the left, and missing ones stay empty. */
void pfx_table_heading(pfx_table *t);
void pfx_table_row(pfx_table *t);
/* A rule above the next row. Rules at the top, below the headings and at the bottom are drawn anyway. */
void pfx_table_rule(pfx_table *t);

/* Cells. Reports show x with `decimals` digits behind the point (more where it would round to zero, none
 * where it is an integer count); CSV and JSON carry 17 significant digits. NaN is "." in reports, empty in
 * CSV, null in JSON. */
void pfx_table_text(pfx_table *t, const char *s);
void pfx_table_empty(pfx_table *t);
void pfx_table_int(pfx_table *t, pfx_idx n); /* 18,599 in reports */
void pfx_table_num(pfx_table *t, double x, int decimals);
void pfx_table_starred(pfx_table *t, double x, int decimals, int stars); /* 0.306*** */
void pfx_table_bracket(pfx_table *t, double x, int decimals);            /* (3.363) */

/* A line below the table (not in CSV). */
void pfx_table_note(pfx_table *t, const char *fmt, ...) PFX_PRINTF(2, 3);

/* Append the table to out. width: columns of the terminal, for text; a wider table continues in further
 * blocks that repeat the first column; 0: no limit. JSON: {"title", "rows": [{heading: value}], "notes": []}
 * with the texts of the last heading row as keys. HTML is a whole page, LaTeX a tabular with booktabs rules.
 * NOMEM. */
pfx_status pfx_table_render(const pfx_table *t, pfx_format format, int width, pfx_str *out,
                            pfx_err *err) PFX_MUST;

/* Columns of the terminal that standard output is, else 0. */
int pfx_table_terminal_width(void);

#endif
