#include "tests/frame_source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void frame_source_init(frame_source *s, pfx_idx n_rows, pfx_idx block_rows)
{
    *s = (frame_source){
        .n_rows = n_rows, .block_rows = block_rows, .panel = {"", "", PFX_TIME_INDEX}, .time_col = -1};
    s->n_units = n_rows;
    s->unit_start = malloc(((size_t)n_rows + 1) * sizeof *s->unit_start);
    s->block_start = malloc(((size_t)n_rows + 1) * sizeof *s->block_start);
    for (pfx_idx i = 0; i <= n_rows; i++) s->unit_start[i] = i;
}

void frame_source_num(frame_source *s, const char *name, const double *x)
{
    int c = s->n_cols++;
    s->cols[c] = (pfx_col_spec){.name = strdup(name), .label = "", .kind = PFX_NUMERIC, .dtype = PFX_F64};
    s->num[c] = malloc((size_t)s->n_rows * sizeof(double) + 8);
    memcpy(s->num[c], x, (size_t)s->n_rows * sizeof(double));
}

void frame_source_cat(frame_source *s, const char *name, const char *const *labels)
{
    int c = s->n_cols++;
    char **levels = NULL;
    pfx_idx n = 0;
    s->code[c] = malloc((size_t)s->n_rows * sizeof(int32_t) + 8);
    for (pfx_idx i = 0; i < s->n_rows; i++) {
        pfx_idx k = 0;
        s->code[c][i] = PFX_NA_CODE;
        if (!labels[i]) continue;
        while (k < n && strcmp(levels[k], labels[i]) != 0) k++;
        if (k == n) {
            levels = realloc(levels, (size_t)(n + 1) * sizeof *levels);
            levels[n++] = strdup(labels[i]);
        }
        s->code[c][i] = (int32_t)k;
    }
    s->cols[c] = (pfx_col_spec){.name = strdup(name),
                                .label = "",
                                .kind = PFX_CATEGORY,
                                .dtype = PFX_I32,
                                .n_levels = n,
                                .levels = (const char *const *)levels};
}

static int find(const frame_source *s, const char *name)
{
    for (int c = 0; c < s->n_cols; c++)
        if (strcmp(s->cols[c].name, name) == 0) return c;
    abort();
}

static bool same_cell(const frame_source *s, int c, pfx_idx i, pfx_idx j)
{
    return s->num[c] ? s->num[c][i] == s->num[c][j] : s->code[c][i] == s->code[c][j];
}

void frame_source_panel(frame_source *s, const char *unit, const char *time)
{
    int u = find(s, unit);
    s->panel.unit = s->cols[u].name;
    s->time_col = time[0] ? find(s, time) : -1;
    s->panel.time = time[0] ? s->cols[s->time_col].name : "";
    if (time[0]) s->cols[s->time_col].kind = PFX_TIME;
    s->n_units = 0;
    for (pfx_idx i = 0; i < s->n_rows; i++)
        if (i == 0 || !same_cell(s, u, i - 1, i)) s->unit_start[s->n_units++] = i;
    s->unit_start[s->n_units] = s->n_rows;
}

static pfx_status do_rewind(void *ctx, pfx_err *err)
{
    (void)err;
    ((frame_source *)ctx)->next_unit = 0;
    return PFX_OK;
}

static pfx_status do_next(void *ctx, const pfx_frame **block, pfx_err *err)
{
    (void)err;
    frame_source *s = ctx;
    *block = NULL;
    if (s->next_unit == s->n_units) return PFX_OK;
    pfx_idx u0 = s->next_unit, u1 = u0, row0 = s->unit_start[u0];
    do u1++;
    while (u1 < s->n_units && (s->block_rows == 0 || s->unit_start[u1] - row0 < s->block_rows));
    s->next_unit = u1;
    for (pfx_idx u = u0; u <= u1; u++) s->block_start[u - u0] = s->unit_start[u] - row0;
    for (int k = 0; k < s->n_open; k++) {
        int c = s->open[k];
        s->block_cols[k] = (pfx_column){s->cols[c], s->num[c] ? s->num[c] + row0 : NULL,
                                        s->code[c] ? s->code[c] + row0 : NULL};
    }
    s->frame = (pfx_frame){.row0 = row0,
                           .n_rows = s->unit_start[u1] - row0,
                           .n_cols = s->n_open,
                           .cols = s->block_cols,
                           .unit0 = u0,
                           .n_units = u1 - u0,
                           .unit_start = s->block_start,
                           .time = s->time_col < 0 ? NULL : s->num[s->time_col] + row0};
    *block = &s->frame;
    return PFX_OK;
}

static void do_close(void *ctx)
{
    (void)ctx;
}

pfx_row_source frame_source_open(frame_source *s, int n, const char *const *names)
{
    s->n_open = names ? n : s->n_cols;
    for (int k = 0; k < s->n_open; k++) {
        s->open[k] = names ? find(s, names[k]) : k;
        s->open_cols[k] = s->cols[s->open[k]];
    }
    return (pfx_row_source){.ctx = s,
                            .n_rows = s->n_rows,
                            .n_units = s->n_units,
                            .n_cols = s->n_open,
                            .cols = s->open_cols,
                            .panel = s->panel,
                            .rewind = do_rewind,
                            .next = do_next,
                            .close = do_close};
}

void frame_source_free(frame_source *s)
{
    for (int c = 0; c < s->n_cols; c++) {
        for (pfx_idx k = 0; k < s->cols[c].n_levels; k++) free((char *)s->cols[c].levels[k]);
        free((void *)s->cols[c].levels);
        free((char *)s->cols[c].name);
        free(s->num[c]);
        free(s->code[c]);
    }
    free(s->unit_start);
    free(s->block_start);
}
