/* Steps that work row by row: keep, drop, drop-missing, drop-units, gen; and columns chosen, renamed,
 * labelled. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/data/recipe_private.h"

pfx_status recipe_find(const recipe_step *step, const pfx_row_source *src, const char *name, int *at,
                       pfx_err *err)
{
    const char **names = pfx_mem_alloc(src->n_cols, sizeof *names, err);
    if (!names) return PFX_ENOMEM;
    pfx_status st = PFX_OK;
    *at = -1;
    for (int c = 0; c < src->n_cols; c++) {
        names[c] = src->cols[c].name;
        if (strcmp(names[c], name) == 0) *at = c;
    }
    if (*at < 0) {
        const char *near = pfx_text_nearest(name, src->n_cols, names);
        st = pfx_fail(err, PFX_EUSAGE, "%s: no column '%s'%s%s%s", step->where, name,
                      near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    pfx_mem_free(names);
    return st;
}

/* ---- an expression ---- */

typedef struct row_expr {
    pfx_program *program;
    bool units;    /* drop-units */
    double *value; /* of a filter */
    pfx_idx cap, n_missing;
    int category; /* GEN: the result's codes are those of this column of src, -1: numbers */
} row_expr;

static void free_expr(recipe_stage *st)
{
    row_expr *x = st->own;
    if (!x) return;
    pfx_program_free(x->program);
    pfx_mem_free(x->value);
    pfx_mem_free(x);
}

static pfx_status expr_stage(const recipe_step *step, pfx_row_source src, const pfx_expr *e,
                             recipe_stage **out, pfx_err *err)
{
    recipe_stage *st = NULL;
    pfx_status s = recipe_stage_create(step, src, &st, err);
    if (s != PFX_OK) return s;
    row_expr *x = pfx_mem_calloc(1, sizeof *x, err);
    st->own = x;
    st->free_own = free_expr;
    s = x ? pfx_expr_bind(e, step->where, src.n_cols, src.cols, &src.panel, &x->program, err) : PFX_ENOMEM;
    if (s != PFX_OK) {
        recipe_stage_close(st);
        return s;
    }
    *out = st;
    return PFX_OK;
}

static pfx_status eval(recipe_stage *st, const pfx_frame *in, double *to, pfx_err *err)
{
    const row_expr *x = st->own;
    pfx_status s = recipe_stage_reserve(st, in->n_rows, pfx_program_scratch(x->program, in->n_rows), err);
    return s == PFX_OK ? pfx_program_eval(x->program, in, st->scratch, to, err) : s;
}

static pfx_status run_filter(recipe_stage *st, const pfx_frame *in, unsigned char *drop, pfx_err *err)
{
    row_expr *x = st->own;
    if (in->n_rows > x->cap) {
        pfx_mem_free(x->value);
        x->cap = 0;
        if (!(x->value = pfx_mem_alloc(in->n_rows, sizeof *x->value, err))) return PFX_ENOMEM;
        x->cap = in->n_rows;
    }
    pfx_status s = eval(st, in, x->value, err);
    /* What cannot be told is not kept, and not dropped. */
    bool keep = st->step->kind == RECIPE_KEEP;
    for (pfx_idx r = 0; r < in->n_rows && s == PFX_OK; r++) {
        double v = x->value[r];
        drop[r] = keep ? !(v == v && v != 0) : v == v && v != 0;
    }
    for (pfx_idx u = 0; x->units && s == PFX_OK && u < in->n_units; u++) {
        pfx_idx a = in->unit_start[u], b = in->unit_start[u + 1];
        bool ever = false;
        for (pfx_idx r = a; r < b; r++) ever |= drop[r];
        memset(drop + a, ever, (size_t)(b - a));
    }
    return s;
}

pfx_status recipe_filter(const recipe_step *step, pfx_row_source src, const pfx_expr *e, pfx_row_source *out,
                         pfx_err *err)
{
    recipe_stage *st = NULL;
    pfx_status s = expr_stage(step, src, e, &st, err);
    if (s != PFX_OK) return s;
    ((row_expr *)st->own)->units = step->kind == RECIPE_DROP_UNITS;
    st->filters = true;
    st->run = run_filter;
    *out = recipe_stage_source(st);
    return PFX_OK;
}

static pfx_status run_gen(recipe_stage *st, const pfx_frame *in, unsigned char *drop, pfx_err *err)
{
    row_expr *x = st->own;
    (void)drop;
    double *v = recipe_stage_values(st, 0);
    pfx_status s = eval(st, in, v, err);
    if (in->row0 == 0) x->n_missing = 0;
    for (pfx_idx r = 0; r < in->n_rows && s == PFX_OK; r++) {
        if (isinf(v[r])) v[r] = NAN;
        x->n_missing += isnan(v[r]);
        if (x->category >= 0) st->code[r] = isnan(v[r]) ? PFX_NA_CODE : (int32_t)v[r];
    }
    return s;
}

static void finish_gen(recipe_stage *st)
{
    pfx_idx n = ((row_expr *)st->own)->n_missing;
    if (n) snprintf(st->flow.note, sizeof st->flow.note, "%lld missing", (long long)n);
}

pfx_status recipe_gen(const recipe_step *step, pfx_row_source src, const pfx_expr *e, pfx_row_source *out,
                      pfx_err *err)
{
    recipe_stage *st = NULL;
    pfx_status s = expr_stage(step, src, e, &st, err);
    if (s != PFX_OK) return s;
    row_expr *x = st->own;
    int at;
    pfx_col_spec spec = {.name = step->name, .label = step->text, .kind = PFX_NUMERIC, .dtype = PFX_F64};
    x->category = pfx_program_levels_of(x->program);
    if (x->category >= 0) {
        const pfx_col_spec *like = &src.cols[x->category];
        spec = (pfx_col_spec){step->name, step->text, PFX_CATEGORY, PFX_I32, like->n_levels, like->levels};
    }
    st->run = run_gen;
    st->finish = finish_gen;
    if ((s = recipe_stage_add(st, spec, &at, err)) != PFX_OK) {
        recipe_stage_close(st);
        return s;
    }
    *out = recipe_stage_source(st);
    return PFX_OK;
}

/* ---- missing values ---- */

static void free_list(recipe_stage *st)
{
    pfx_mem_free(st->own);
}

static pfx_status run_missing(recipe_stage *st, const pfx_frame *in, unsigned char *drop, pfx_err *err)
{
    const int *at = st->own;
    (void)err;
    for (int i = 0; i < st->step->n_list; i++) {
        const pfx_column *c = &in->cols[at[i]];
        for (pfx_idx r = 0; r < in->n_rows; r++)
            drop[r] |= c->code ? c->code[r] == PFX_NA_CODE : !isfinite(c->num[r]);
    }
    return PFX_OK;
}

pfx_status recipe_drop_missing(const recipe_step *step, pfx_row_source src, pfx_row_source *out, pfx_err *err)
{
    recipe_stage *st = NULL;
    pfx_status s = recipe_stage_create(step, src, &st, err);
    if (s != PFX_OK) return s;
    int *at = pfx_mem_alloc(step->n_list, sizeof *at, err);
    st->own = at;
    st->free_own = free_list;
    st->filters = true;
    st->run = run_missing;
    s = at ? PFX_OK : PFX_ENOMEM;
    for (int i = 0; i < step->n_list && s == PFX_OK; i++)
        s = recipe_find(step, &src, step->list[i], &at[i], err);
    if (s != PFX_OK)
        recipe_stage_close(st);
    else
        *out = recipe_stage_source(st);
    return s;
}

/* ---- which columns, and their names ---- */

static bool listed(const recipe_step *step, const char *name)
{
    for (int i = 0; i < step->n_list; i++)
        if (strcmp(step->list[i], name) == 0) return true;
    return false;
}

static pfx_status change_columns(recipe_stage *st, pfx_err *err)
{
    const recipe_step *step = st->step;
    const pfx_panel_spec *panel = &st->src.panel;
    int kept = 0, at;
    pfx_status s;
    for (int i = 0; i < step->n_list; i++)
        if ((s = recipe_find(step, &st->src, step->list[i], &at, err)) != PFX_OK) return s;
    for (int c = 0; c < st->n_cols; c++) {
        bool fixed = strcmp(st->cols[c].name, panel->unit) == 0 || strcmp(st->cols[c].name, panel->time) == 0;
        bool in = listed(step, st->cols[c].name);
        if (in && fixed && step->kind == RECIPE_REMOVE)
            return pfx_fail(err, PFX_EUSAGE, "%s: %s is the panel's unit or time and stays", step->where,
                            st->cols[c].name);
        if (!fixed && in != (step->kind == RECIPE_SELECT)) continue;
        st->cols[kept] = st->cols[c];
        st->from[kept++] = st->from[c];
    }
    st->n_cols = kept;
    return PFX_OK;
}

static pfx_status change_name(recipe_stage *st, pfx_err *err)
{
    const recipe_step *step = st->step;
    const char *old = step->kind == RECIPE_RENAME ? step->text : step->name;
    int at;
    pfx_status s = recipe_find(step, &st->src, old, &at, err);
    if (s != PFX_OK) return s;
    if (step->kind == RECIPE_LABEL) {
        st->cols[at].label = step->text;
        return PFX_OK;
    }
    for (int c = 0; c < st->n_cols; c++)
        if (strcmp(st->cols[c].name, step->name) == 0)
            return pfx_fail(err, PFX_EUSAGE, "%s: there is a column '%s' already", step->where, step->name);
    st->cols[at].name = step->name;
    if (strcmp(old, st->src.panel.unit) == 0) st->src.panel.unit = step->name;
    if (strcmp(old, st->src.panel.time) == 0) st->src.panel.time = step->name;
    return PFX_OK;
}

pfx_status recipe_columns(const recipe_step *step, pfx_row_source src, pfx_row_source *out, pfx_err *err)
{
    recipe_stage *st = NULL;
    pfx_status s = recipe_stage_create(step, src, &st, err);
    if (s != PFX_OK) return s;
    bool list = step->kind == RECIPE_SELECT || step->kind == RECIPE_REMOVE;
    if ((s = list ? change_columns(st, err) : change_name(st, err)) != PFX_OK)
        recipe_stage_close(st);
    else
        *out = recipe_stage_source(st);
    return s;
}
