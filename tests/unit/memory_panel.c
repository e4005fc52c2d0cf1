#include "tests/test.h"
#include "tests/unit/memory_panel.h"

static pfx_status begin(void *ctx, const pfx_panel_spec *panel, int n_cols, const pfx_col_spec *cols,
                        pfx_err *err)
{
    memory_panel *m = ctx;
    (void)panel, (void)err;
    assert_true(n_cols <= MEMORY_MAX_COLS);
    m->n_cols = n_cols;
    for (int c = 0; c < n_cols; c++) {
        snprintf(m->name[c], sizeof m->name[c], "%s", cols[c].name);
        m->kind[c] = cols[c].kind;
        m->dtype[c] = cols[c].dtype;
    }
    return PFX_OK;
}

static pfx_status put(void *ctx, const pfx_frame *f, pfx_err *err)
{
    memory_panel *m = ctx;
    (void)err;
    m->n_puts++;
    if (m->keep_rows >= 0 && m->n_rows + f->n_rows > m->keep_rows) {
        m->n_rows += f->n_rows;
        return PFX_OK;
    }
    if (m->n_rows + f->n_rows > m->cap) {
        m->cap = 2 * (m->n_rows + f->n_rows);
        for (int c = 0; c < m->n_cols; c++) {
            if (f->cols[c].code)
                m->code[c] = realloc(m->code[c], (size_t)m->cap * sizeof *m->code[c]);
            else
                m->num[c] = realloc(m->num[c], (size_t)m->cap * sizeof *m->num[c]);
        }
    }
    for (int c = 0; c < m->n_cols; c++) {
        if (f->cols[c].code)
            memcpy(m->code[c] + m->n_rows, f->cols[c].code, (size_t)f->n_rows * sizeof(int32_t));
        else
            memcpy(m->num[c] + m->n_rows, f->cols[c].num, (size_t)f->n_rows * sizeof(double));
    }
    m->n_rows += f->n_rows;
    return PFX_OK;
}

static pfx_status levels(void *ctx, int col, pfx_idx n, const char *const *labels, pfx_err *err)
{
    memory_panel *m = ctx;
    (void)err;
    m->n_levels[col] = n;
    m->levels[col] = calloc((size_t)n, sizeof(char *));
    for (pfx_idx i = 0; i < n; i++) m->levels[col][i] = strdup(labels[i]);
    return PFX_OK;
}

static pfx_status provenance(void *ctx, const char *key, const char *value, pfx_err *err)
{
    memory_panel *m = ctx;
    (void)err;
    assert_true(m->n_lines < MEMORY_MAX_LINES);
    snprintf(m->key[m->n_lines], sizeof m->key[0], "%s", key);
    snprintf(m->value[m->n_lines++], sizeof m->value[0], "%s", value);
    return PFX_OK;
}

static pfx_status commit(void *ctx, pfx_err *err)
{
    (void)ctx, (void)err;
    return PFX_OK;
}

static void forget(void *ctx)
{
    (void)ctx;
}

pfx_row_sink memory_sink(memory_panel *m)
{
    memset(m, 0, sizeof *m);
    m->keep_rows = -1;
    return (pfx_row_sink){m, begin, put, levels, provenance, commit, forget};
}

int memory_find(const memory_panel *m, const char *name)
{
    for (int c = 0; c < m->n_cols; c++)
        if (strcmp(m->name[c], name) == 0) return c;
    return -1;
}

double *memory_num(const memory_panel *m, const char *name)
{
    int c = memory_find(m, name);
    if (c < 0 || !m->num[c]) fail_msg("no numeric column %s", name);
    return m->num[c];
}

int32_t *memory_code(const memory_panel *m, const char *name)
{
    int c = memory_find(m, name);
    if (c < 0 || !m->code[c]) fail_msg("no category column %s", name);
    return m->code[c];
}

void memory_free(memory_panel *m)
{
    for (int c = 0; c < m->n_cols; c++) {
        free(m->num[c]);
        free(m->code[c]);
        for (pfx_idx i = 0; m->levels[c] && i < m->n_levels[c]; i++) free(m->levels[c][i]);
        free(m->levels[c]);
    }
    memset(m, 0, sizeof *m);
}

typedef struct source {
    const memory_panel *m;
    int n_cols, unit;
    int col[MEMORY_MAX_COLS];
    pfx_col_spec spec[MEMORY_MAX_COLS];
    pfx_column column[MEMORY_MAX_COLS];
    pfx_idx block_rows, row, units_done;
    pfx_idx *start;
    pfx_frame frame;
} source;

static pfx_status source_rewind(void *ctx, pfx_err *err)
{
    source *s = ctx;
    (void)err;
    s->row = s->units_done = 0;
    return PFX_OK;
}

static pfx_status source_next(void *ctx, const pfx_frame **block, pfx_err *err)
{
    source *s = ctx;
    const memory_panel *m = s->m;
    const double *unit = m->num[s->unit];
    pfx_idx end = s->row, n_units = 0;
    (void)err;
    *block = NULL;
    if (s->row == m->n_rows) return PFX_OK;
    while (end < m->n_rows && end - s->row < s->block_rows) {
        s->start[n_units++] = end - s->row;
        pfx_idx first = end;
        while (end < m->n_rows && unit[end] == unit[first]) end++;
    }
    s->start[n_units] = end - s->row;
    for (int j = 0; j < s->n_cols; j++) {
        int c = s->col[j];
        s->column[j] = (pfx_column){s->spec[j], m->num[c] ? m->num[c] + s->row : NULL,
                                    m->code[c] ? m->code[c] + s->row : NULL};
    }
    s->frame = (pfx_frame){.row0 = s->row,
                           .n_rows = end - s->row,
                           .n_cols = s->n_cols,
                           .cols = s->column,
                           .unit0 = s->units_done,
                           .n_units = n_units,
                           .unit_start = s->start};
    s->row = end;
    s->units_done += n_units;
    *block = &s->frame;
    return PFX_OK;
}

static void source_close(void *ctx)
{
    source *s = ctx;
    free(s->start);
    free(s);
}

pfx_row_source memory_source(const memory_panel *m, int n, const char *const *names, const char *unit,
                             pfx_idx block_rows)
{
    source *s = calloc(1, sizeof *s);
    pfx_idx n_units = 0;
    s->m = m;
    s->n_cols = n;
    s->unit = memory_find(m, unit);
    s->block_rows = block_rows;
    s->start = malloc((size_t)(m->n_rows + 1) * sizeof *s->start);
    for (int j = 0; j < n; j++) {
        int c = s->col[j] = memory_find(m, names[j]);
        assert_true(c >= 0);
        s->spec[j] = (pfx_col_spec){
            m->name[c], "", m->kind[c], m->dtype[c], m->n_levels[c], (const char *const *)m->levels[c]};
    }
    for (pfx_idx r = 0; r < m->n_rows; r++) n_units += r == 0 || m->num[s->unit][r] != m->num[s->unit][r - 1];
    return (pfx_row_source){.ctx = s,
                            .n_rows = m->n_rows,
                            .n_units = n_units,
                            .n_cols = n,
                            .cols = s->spec,
                            .panel = {unit, "year", PFX_TIME_YEAR},
                            .rewind = source_rewind,
                            .next = source_next,
                            .close = source_close};
}
