/* A stage of a recipe as a row source: columns passed on, columns of its own, rows left out. */
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/data/recipe_private.h"

bool recipe_hidden(const char *name)
{
    return name[0] == '\x01';
}

double *recipe_stage_values(recipe_stage *st, int own)
{
    return st->num + own * st->cap;
}

int32_t *recipe_stage_codes(recipe_stage *st, int own)
{
    return st->code + own * st->cap;
}

static int count_own(const recipe_stage *st)
{
    int n = 0;
    for (int c = 0; c < st->n_cols; c++) n += st->from[c] < 0;
    return n;
}

pfx_status recipe_stage_reserve(recipe_stage *st, pfx_idx n, pfx_idx scratch, pfx_err *err)
{
    if (scratch > st->cap_scratch) {
        pfx_mem_free(st->scratch);
        st->cap_scratch = 0;
        if (!(st->scratch = pfx_mem_alloc(scratch, sizeof *st->scratch, err))) return PFX_ENOMEM;
        st->cap_scratch = scratch;
    }
    if (n <= st->cap) return PFX_OK;
    pfx_mem_free(st->num);
    pfx_mem_free(st->code);
    pfx_mem_free(st->drop);
    pfx_mem_free(st->time);
    pfx_mem_free(st->unit_start);
    st->cap = 0;
    st->num = pfx_mem_alloc(n * count_own(st), sizeof *st->num, err);
    st->code = pfx_mem_alloc(n * count_own(st), sizeof *st->code, err);
    st->drop = pfx_mem_alloc(n, 1, err);
    st->time = pfx_mem_alloc(n, sizeof *st->time, err);
    if (!st->col && !(st->col = pfx_mem_calloc(st->n_cols, sizeof *st->col, err))) return PFX_ENOMEM;
    st->unit_start = pfx_mem_alloc(n + 1, sizeof *st->unit_start, err);
    if (!st->num || !st->code || !st->drop || !st->time || !st->unit_start) return PFX_ENOMEM;
    if (st->filters && !st->copy_num) {
        st->copy_num = pfx_mem_calloc(st->n_cols, sizeof *st->copy_num, err);
        st->copy_code = pfx_mem_calloc(st->n_cols, sizeof *st->copy_code, err);
    }
    if (st->filters && (!st->copy_num || !st->copy_code)) return PFX_ENOMEM;
    for (int c = 0; st->filters && c < st->n_cols; c++) {
        bool text = st->cols[c].kind == PFX_CATEGORY;
        pfx_mem_free(st->copy_num[c]);
        pfx_mem_free(st->copy_code[c]);
        st->copy_num[c] = NULL;
        st->copy_code[c] = NULL;
        if (text ? !(st->copy_code[c] = pfx_mem_alloc(n, sizeof **st->copy_code, err))
                 : !(st->copy_num[c] = pfx_mem_alloc(n, sizeof **st->copy_num, err)))
            return PFX_ENOMEM;
    }
    st->cap = n;
    return PFX_OK;
}

/* Columns of the frame handed on, all rows. */
static void point(recipe_stage *st, const pfx_frame *in)
{
    int own = 0;
    for (int c = 0; c < st->n_cols; c++) {
        pfx_column *to = &st->col[c];
        to->spec = st->cols[c];
        bool text = st->cols[c].kind == PFX_CATEGORY;
        if (st->from[c] >= 0) {
            to->num = in->cols[st->from[c]].num;
            to->code = in->cols[st->from[c]].code;
        } else {
            to->num = text ? NULL : recipe_stage_values(st, own);
            to->code = text ? recipe_stage_codes(st, own) : NULL;
            own++;
        }
    }
    st->frame = *in;
    st->frame.n_cols = st->n_cols;
    st->frame.cols = st->col;
}

/* The rows that stay, in buffers of the stage; their units anew. */
static void squeeze(recipe_stage *st, const pfx_frame *in)
{
    pfx_frame *f = &st->frame;
    pfx_idx n = 0, units = 0;
    for (pfx_idx u = 0; u < in->n_units; u++) {
        pfx_idx first = n;
        pfx_idx a = in->unit_start ? in->unit_start[u] : u,
                b = in->unit_start ? in->unit_start[u + 1] : u + 1;
        for (pfx_idx r = a; r < b; r++) {
            if (st->drop[r]) continue;
            for (int c = 0; c < st->n_cols; c++)
                if (st->col[c].code)
                    st->copy_code[c][n] = st->col[c].code[r];
                else
                    st->copy_num[c][n] =
                        st->col[c].num[r]; /* NOLINT(*NullDereference): no codes, so numbers */
            if (in->time) st->time[n] = in->time[r];
            n++;
        }
        if (n > first) st->unit_start[units++] = first;
    }
    st->unit_start[units] = n;
    for (int c = 0; c < st->n_cols; c++) {
        st->col[c].num = st->copy_num[c];
        st->col[c].code = st->copy_code[c];
    }
    f->n_rows = n;
    f->n_units = units;
    f->unit_start = st->unit_start;
    f->time = in->time ? st->time : NULL;
}

static pfx_status stage_next(void *ctx, const pfx_frame **block, pfx_err *err)
{
    recipe_stage *st = ctx;
    const pfx_frame *in = NULL;
    for (;;) {
        pfx_status s = st->src.next(st->src.ctx, &in, err);
        *block = NULL;
        if (s != PFX_OK) return s;
        if (!in) {
            if (st->finish) st->finish(st);
            return PFX_OK;
        }
        if ((s = recipe_stage_reserve(st, in->n_rows, 0, err)) != PFX_OK) return s;
        memset(st->drop, 0, (size_t)in->n_rows);
        if (st->run && (s = st->run(st, in, st->drop, err)) != PFX_OK) return s;
        point(st, in);
        pfx_idx before = st->flow.rows_out;
        if (st->filters) squeeze(st, in);
        st->frame.row0 = before;
        st->flow.rows_in += in->n_rows;
        st->flow.rows_out += st->frame.n_rows;
        if (st->frame.n_rows == 0) continue;
        *block = &st->frame;
        return PFX_OK;
    }
}

static pfx_status stage_rewind(void *ctx, pfx_err *err)
{
    recipe_stage *st = ctx;
    st->flow.rows_in = st->flow.rows_out = 0;
    return st->src.rewind(st->src.ctx, err);
}

void recipe_stage_close(void *ctx)
{
    recipe_stage *st = ctx;
    if (!st) return;
    if (st->free_own) st->free_own(st);
    if (st->src.close) st->src.close(st->src.ctx);
    for (int c = 0; st->copy_num && c < st->n_cols; c++) pfx_mem_free(st->copy_num[c]);
    for (int c = 0; st->copy_code && c < st->n_cols; c++) pfx_mem_free(st->copy_code[c]);
    pfx_mem_free(st->copy_num);
    pfx_mem_free(st->copy_code);
    pfx_mem_free(st->cols);
    pfx_mem_free(st->from);
    pfx_mem_free(st->col);
    pfx_mem_free(st->num);
    pfx_mem_free(st->code);
    pfx_mem_free(st->scratch);
    pfx_mem_free(st->drop);
    pfx_mem_free(st->time);
    pfx_mem_free(st->unit_start);
    pfx_mem_free(st->flow.what);
    pfx_mem_free(st->chain);
    pfx_mem_free(st);
}

pfx_status recipe_stage_create(const recipe_step *step, pfx_row_source src, recipe_stage **out, pfx_err *err)
{
    recipe_stage *st = pfx_mem_calloc(1, sizeof *st, err);
    if (!st) {
        src.close(src.ctx);
        return PFX_ENOMEM;
    }
    st->src = src;
    st->step = step;
    st->below = src.next == stage_next ? src.ctx : NULL;
    /* Room for every column of a merge or of a replacement is made as they come. */
    st->cols = pfx_mem_alloc(src.n_cols + 1, sizeof *st->cols, err);
    st->from = pfx_mem_alloc(src.n_cols + 1, sizeof *st->from, err);
    if (!st->cols || !st->from) {
        recipe_stage_close(st);
        return PFX_ENOMEM;
    }
    for (int c = 0; c < src.n_cols; c++) {
        if (recipe_hidden(src.cols[c].name)) continue;
        st->from[st->n_cols] = c;
        st->cols[st->n_cols++] = src.cols[c];
    }
    *out = st;
    return PFX_OK;
}

pfx_status recipe_stage_add(recipe_stage *st, pfx_col_spec spec, int *at, pfx_err *err)
{
    const pfx_panel_spec *p = &st->src.panel;
    if (strcmp(spec.name, p->unit) == 0 || strcmp(spec.name, p->time) == 0)
        return pfx_fail(err, PFX_EUSAGE,
                        "%s: %s is the panel's unit or time and stays as it is; take another name",
                        st->step->where, spec.name);
    if (*spec.name == '\0' || strchr(spec.name, '/'))
        return pfx_fail(err, PFX_EUSAGE, "%s: '%s' is no name for a column", st->step->where, spec.name);
    int c = 0;
    while (c < st->n_cols && strcmp(st->cols[c].name, spec.name) != 0) c++;
    if (c == st->n_cols) {
        pfx_col_spec *cols = pfx_mem_realloc(st->cols, st->n_cols + 1, sizeof *cols, err);
        if (cols) st->cols = cols;
        int *from = cols ? pfx_mem_realloc(st->from, st->n_cols + 1, sizeof *from, err) : NULL;
        if (!from) return PFX_ENOMEM;
        st->from = from;
        st->n_cols++;
    }
    st->cols[c] = spec;
    st->from[c] = -1;
    *at = c;
    return PFX_OK;
}

pfx_row_source recipe_stage_source(recipe_stage *st)
{
    pfx_row_source s = st->src;
    s.ctx = st;
    s.n_cols = st->n_cols;
    s.cols = st->cols;
    s.rewind = stage_rewind;
    s.next = stage_next;
    s.close = recipe_stage_close;
    return s;
}

pfx_status recipe_each_block(pfx_row_source *src, pfx_status (*fn)(void *, const pfx_frame *, pfx_err *),
                             void *ctx, pfx_err *err)
{
    const pfx_frame *f = NULL;
    pfx_status st = src->rewind(src->ctx, err);
    while (st == PFX_OK && (st = src->next(src->ctx, &f, err)) == PFX_OK && f) st = fn(ctx, f, err);
    return st == PFX_OK ? src->rewind(src->ctx, err) : st;
}

int pfx_recipe_flow_of(const pfx_row_source *chain, const pfx_recipe_flow *const **flow)
{
    recipe_stage *top = chain->next == stage_next ? chain->ctx : NULL;
    *flow = top ? top->chain : NULL;
    return top ? top->n_chain : 0;
}
