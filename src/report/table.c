/* Building a table, and the choice of its renderer. */
#include "src/report/table.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/report/table_private.h"

const char *const pfx_format_names[] = {"text", "json", "csv", "latex", "markdown", "html", NULL};

pfx_format pfx_format_choose(int asked, const char *path)
{
    static const struct {
        const char *ending;
        pfx_format format;
    } endings[] = {{".json", PFX_FORMAT_JSON},
                   {".csv", PFX_FORMAT_CSV},
                   {".tex", PFX_FORMAT_LATEX},
                   {".md", PFX_FORMAT_MARKDOWN},
                   {".html", PFX_FORMAT_HTML}};
    if (asked >= 0) return (pfx_format)asked;
    const char *dot = path ? strrchr(path, '.') : NULL;
    for (size_t i = 0; dot && i < sizeof endings / sizeof endings[0]; i++)
        if (strcmp(dot, endings[i].ending) == 0) return endings[i].format;
    return PFX_FORMAT_TEXT;
}

pfx_table *pfx_table_create(int n_cols, pfx_err *err)
{
    pfx_table *t = pfx_mem_calloc(1, sizeof *t, err);
    if (!t) return NULL;
    t->n_cols = n_cols;
    t->align = pfx_mem_alloc(n_cols, 1, err);
    if (!t->align) {
        pfx_table_free(t);
        return NULL;
    }
    for (int c = 0; c < n_cols; c++) t->align[c] = c ? 'r' : 'l';
    return t;
}

void pfx_table_free(pfx_table *t)
{
    if (!t) return;
    for (pfx_idx r = 0; r < t->n_rows; r++) {
        for (int c = 0; c < t->n_cols; c++) pfx_mem_free(t->rows[r].cell[c].text);
        pfx_mem_free(t->rows[r].cell);
    }
    for (int i = 0; i < t->n_notes; i++) pfx_mem_free(t->notes[i]);
    pfx_mem_free(t->notes);
    pfx_mem_free(t->rows);
    pfx_mem_free(t->title);
    pfx_mem_free(t->align);
    pfx_mem_free(t);
}

void pfx_table_align(pfx_table *t, const char *letters)
{
    for (int c = 0; c < t->n_cols && letters[c]; c++) t->align[c] = letters[c];
}

void pfx_table_title(pfx_table *t, const char *text)
{
    pfx_mem_free(t->title);
    t->title = pfx_mem_strdup(text, NULL);
    if (!t->title) t->failed = PFX_ENOMEM;
}

static void begin_row(pfx_table *t, bool heading)
{
    if (t->failed) return;
    if (t->n_rows == t->cap_rows) {
        pfx_idx cap = t->cap_rows ? 2 * t->cap_rows : 16;
        table_row *rows = pfx_mem_realloc(t->rows, cap, sizeof *rows, NULL);
        if (!rows) {
            t->failed = PFX_ENOMEM;
            return;
        }
        t->rows = rows;
        t->cap_rows = cap;
    }
    table_cell *cell = pfx_mem_calloc(t->n_cols, sizeof *cell, NULL);
    if (!cell) {
        t->failed = PFX_ENOMEM;
        return;
    }
    for (int c = 0; c < t->n_cols; c++) cell[c].tail = "";
    t->rows[t->n_rows++] = (table_row){.heading = heading, .rule_above = t->rule_next, .cell = cell};
    t->rule_next = false;
}

void pfx_table_heading(pfx_table *t)
{
    begin_row(t, true);
}
void pfx_table_row(pfx_table *t)
{
    begin_row(t, false);
}
void pfx_table_rule(pfx_table *t)
{
    t->rule_next = true;
}

/* The next cell of the current row, or NULL where something has failed already. */
static table_cell *next_cell(pfx_table *t, cell_kind kind, const char *text)
{
    if (t->failed) return NULL;
    table_row *row = t->n_rows ? &t->rows[t->n_rows - 1] : NULL;
    if (!row || row->n == t->n_cols) {
        t->failed = PFX_EUSAGE;
        return NULL;
    }
    table_cell *cell = &row->cell[row->n++];
    cell->kind = kind;
    cell->text = pfx_mem_strdup(text, NULL);
    if (!cell->text) t->failed = PFX_ENOMEM;
    return cell;
}

void pfx_table_text(pfx_table *t, const char *s)
{
    next_cell(t, CELL_TEXT, s ? s : "");
}
void pfx_table_empty(pfx_table *t)
{
    next_cell(t, CELL_EMPTY, "");
}

void pfx_table_int(pfx_table *t, pfx_idx n)
{
    char plain[32], grouped[48];
    int len = snprintf(plain, sizeof plain, "%lld", (long long)n), g = 0;
    for (int i = 0; i < len; i++) {
        grouped[g++] = plain[i];
        int left = len - 1 - i;
        if (left && left % 3 == 0 && plain[i] != '-') grouped[g++] = ',';
    }
    grouped[g] = '\0';
    table_cell *cell = next_cell(t, CELL_INT, grouped);
    if (cell) cell->count = n;
}

/* Fixed digits; a number that they would show as zero, or as a long row of digits, takes an exponent. */
static void show(double x, int decimals, char *buf, size_t n)
{
    if (isnan(x)) {
        snprintf(buf, n, ".");
        return;
    }
    double a = fabs(x);
    if (isfinite(x) && a > 0 && (a < 0.5 * pow(10, -decimals) || a >= 1e15))
        snprintf(buf, n, "%.*e", decimals > 1 ? decimals - 1 : 1, x);
    else
        snprintf(buf, n, "%.*f", decimals, x);
}

void pfx_table_num(pfx_table *t, double x, int decimals)
{
    char buf[64];
    show(x, decimals, buf, sizeof buf);
    table_cell *cell = next_cell(t, CELL_NUM, buf);
    if (cell) cell->num = x;
}

void pfx_table_starred(pfx_table *t, double x, int decimals, int stars)
{
    static const char *const tails[] = {"", "*", "**", "***"};
    pfx_table_num(t, x, decimals);
    if (t->failed) return;
    table_row *row = &t->rows[t->n_rows - 1];
    row->cell[row->n - 1].tail = tails[stars < 0 ? 0 : stars > 3 ? 3 : stars];
    row->cell[row->n - 1].raised = true;
}

void pfx_table_bracket(pfx_table *t, double x, int decimals)
{
    char buf[64] = "(";
    show(x, decimals, buf + 1, sizeof buf - 1);
    table_cell *cell = next_cell(t, CELL_NUM, buf);
    if (!cell) return;
    cell->num = x;
    cell->tail = ")";
}

void pfx_table_note(pfx_table *t, const char *fmt, ...)
{
    char buf[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof buf, fmt, ap);
    va_end(ap);
    if (t->n_notes == t->cap_notes) {
        int cap = t->cap_notes ? 2 * t->cap_notes : 8;
        char **notes = pfx_mem_realloc(t->notes, cap, sizeof *notes, NULL);
        if (!notes) {
            t->failed = PFX_ENOMEM;
            return;
        }
        t->notes = notes;
        t->cap_notes = cap;
    }
    char *copy = pfx_mem_strdup(buf, NULL);
    if (copy)
        t->notes[t->n_notes++] = copy;
    else
        t->failed = PFX_ENOMEM;
}

pfx_idx table_n_headings(const pfx_table *t)
{
    pfx_idx n = 0;
    while (n < t->n_rows && t->rows[n].heading) n++;
    return n;
}

pfx_status pfx_table_render(const pfx_table *t, pfx_format format, int width, pfx_str *out, pfx_err *err)
{
    if (t->failed == PFX_EUSAGE) return pfx_fail(err, PFX_EUSAGE, "table: more cells in a row than columns");
    if (t->failed) return pfx_fail(err, t->failed, "out of memory for a table");
    switch (format) {
    case PFX_FORMAT_TEXT:
        table_render_text(t, width, out);
        break;
    case PFX_FORMAT_JSON:
        table_render_json(t, out);
        break;
    case PFX_FORMAT_CSV:
        table_render_csv(t, out);
        break;
    case PFX_FORMAT_LATEX:
        table_render_latex(t, out);
        break;
    case PFX_FORMAT_MARKDOWN:
        table_render_markdown(t, out);
        break;
    case PFX_FORMAT_HTML:
        table_render_html(t, out);
        break;
    }
    return out->failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for a table") : PFX_OK;
}

int pfx_table_terminal_width(void)
{
    struct winsize w;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0) return 0;
    return w.ws_col;
}
