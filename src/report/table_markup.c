/* A table as LaTeX, Markdown and HTML. */
#include <string.h>

#include "src/report/table_private.h"

typedef struct escape {
    char c;
    const char *as;
} escape;

static const escape latex_escapes[] = {{'\\', "\\textbackslash{}"},
                                       {'^', "\\textasciicircum{}"},
                                       {'~', "\\textasciitilde{}"},
                                       {'&', "\\&"},
                                       {'%', "\\%"},
                                       {'$', "\\$"},
                                       {'#', "\\#"},
                                       {'_', "\\_"},
                                       {'{', "\\{"},
                                       {'}', "\\}"},
                                       {'<', "$<$"},
                                       {'>', "$>$"},
                                       {0, NULL}};
static const escape markdown_escapes[] = {{'\\', "\\\\"}, {'|', "\\|"}, {'*', "\\*"},
                                          {'_', "\\_"},   {'`', "\\`"}, {'<', "&lt;"},
                                          {'[', "\\["},   {'~', "\\~"}, {0, NULL}};
static const escape html_escapes[] = {
    {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {0, NULL}};

static void put_escaped(const char *s, const escape *table, pfx_str *out)
{
    for (; s && *s; s++) {
        const escape *e = table;
        while (e->as && e->c != *s) e++;
        /* No tag begins with a blank, so p < 0.10 stays readable in Markdown. */
        bool plain = table == markdown_escapes && s[0] == '<' && s[1] == ' ';
        if (e->as && !plain)
            pfx_str_add(out, e->as);
        else
            pfx_str_addn(out, s, 1);
    }
}

static void latex_cell(const table_cell *cell, pfx_str *out)
{
    const char *s = cell->text ? cell->text : "";
    bool number = cell->kind == CELL_NUM || cell->kind == CELL_INT;
    if (number && *s == '(') {
        pfx_str_add(out, "(");
        s++;
    }
    if (number && *s == '-') {
        pfx_str_add(out, "$-$");
        s++;
    }
    put_escaped(s, latex_escapes, out);
    if (cell->raised && cell->tail[0])
        pfx_str_addf(out, "$^{%s}$", cell->tail);
    else
        pfx_str_add(out, cell->tail);
}

void table_render_latex(const pfx_table *t, pfx_str *out)
{
    pfx_idx n_headings = table_n_headings(t);

    pfx_str_add(out, "% \\usepackage{booktabs}\n\\begin{table}[htbp]\n\\centering\n");
    if (t->title) {
        pfx_str_add(out, "\\caption{");
        put_escaped(t->title, latex_escapes, out);
        pfx_str_add(out, "}\n");
    }
    pfx_str_add(out, "\\begin{tabular}{");
    pfx_str_addn(out, t->align, (size_t)t->n_cols);
    pfx_str_add(out, "}\n\\toprule\n");
    for (pfx_idx r = 0; r < t->n_rows; r++) {
        if (t->rows[r].rule_above || (r == n_headings && r > 0)) pfx_str_add(out, "\\midrule\n");
        for (int c = 0; c < t->n_cols; c++) {
            if (c) pfx_str_add(out, " & ");
            latex_cell(&t->rows[r].cell[c], out);
        }
        pfx_str_add(out, " \\\\\n");
    }
    pfx_str_add(out, "\\bottomrule\n");
    for (int i = 0; i < t->n_notes; i++) {
        pfx_str_addf(out, "\\multicolumn{%d}{p{0.9\\linewidth}}{\\footnotesize ", t->n_cols);
        put_escaped(t->notes[i], latex_escapes, out);
        pfx_str_add(out, "} \\\\\n");
    }
    pfx_str_add(out, "\\end{tabular}\n\\end{table}\n");
}

static void markdown_row(const pfx_table *t, const table_row *row, pfx_str *out)
{
    pfx_str_add(out, "|");
    for (int c = 0; c < t->n_cols; c++) {
        pfx_str_add(out, " ");
        put_escaped(row->cell[c].text, markdown_escapes, out);
        put_escaped(row->cell[c].tail, markdown_escapes, out);
        pfx_str_add(out, " |");
    }
    pfx_str_add(out, "\n");
}

/* Markdown has one heading row: further ones become rows of the body. */
void table_render_markdown(const pfx_table *t, pfx_str *out)
{
    bool headed = table_n_headings(t) > 0;

    if (t->title) {
        pfx_str_add(out, "**");
        put_escaped(t->title, markdown_escapes, out);
        pfx_str_add(out, "**\n\n");
    }
    if (headed) {
        markdown_row(t, &t->rows[0], out);
    } else {
        for (int c = 0; c < t->n_cols; c++) pfx_str_add(out, "| ");
        pfx_str_add(out, "|\n");
    }
    pfx_str_add(out, "|");
    for (int c = 0; c < t->n_cols; c++) pfx_str_add(out, t->align[c] == 'l' ? " :--- |" : " ---: |");
    pfx_str_add(out, "\n");
    for (pfx_idx r = headed ? 1 : 0; r < t->n_rows; r++) markdown_row(t, &t->rows[r], out);
    for (int i = 0; i < t->n_notes; i++) {
        pfx_str_add(out, "\n");
        put_escaped(t->notes[i], markdown_escapes, out);
        pfx_str_add(out, "\n");
    }
}

static const char html_style[] =
    "table{border-collapse:collapse;border-top:2px solid;border-bottom:2px "
    "solid;font-variant-numeric:tabular-nums}"
    "caption{text-align:left;font-weight:bold;padding:.3em 0}"
    "th,td{padding:.1em .6em;text-align:right;font-weight:normal}.l{text-align:left}"
    "thead{border-bottom:1px solid}.rule{border-top:1px solid}sup{line-height:0}"
    "body{font-family:serif;margin:2em}";

static void html_row(const pfx_table *t, const table_row *row, pfx_str *out)
{
    const char *tag = row->heading ? "th" : "td";
    pfx_str_add(out, row->rule_above ? "<tr class=\"rule\">" : "<tr>");
    for (int c = 0; c < t->n_cols; c++) {
        const table_cell *cell = &row->cell[c];
        pfx_str_addf(out, "<%s%s>", tag, t->align[c] == 'l' ? " class=\"l\"" : "");
        put_escaped(cell->text, html_escapes, out);
        if (cell->raised && cell->tail[0])
            pfx_str_addf(out, "<sup>%s</sup>", cell->tail);
        else
            pfx_str_add(out, cell->tail);
        pfx_str_addf(out, "</%s>", tag);
    }
    pfx_str_add(out, "</tr>\n");
}

void table_render_html(const pfx_table *t, pfx_str *out)
{
    pfx_idx n_headings = table_n_headings(t);

    pfx_str_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>");
    put_escaped(t->title ? t->title : "panelfx", html_escapes, out);
    pfx_str_addf(out, "</title>\n<style>%s</style>\n</head>\n<body>\n<table>\n", html_style);
    if (t->title) {
        pfx_str_add(out, "<caption>");
        put_escaped(t->title, html_escapes, out);
        pfx_str_add(out, "</caption>\n");
    }
    if (n_headings) {
        pfx_str_add(out, "<thead>\n");
        for (pfx_idx r = 0; r < n_headings; r++) html_row(t, &t->rows[r], out);
        pfx_str_add(out, "</thead>\n");
    }
    pfx_str_add(out, "<tbody>\n");
    for (pfx_idx r = n_headings; r < t->n_rows; r++) html_row(t, &t->rows[r], out);
    pfx_str_add(out, "</tbody>\n</table>\n");
    for (int i = 0; i < t->n_notes; i++) {
        pfx_str_add(out, "<p>");
        put_escaped(t->notes[i], html_escapes, out);
        pfx_str_add(out, "</p>\n");
    }
    pfx_str_add(out, "</body>\n</html>\n");
}
