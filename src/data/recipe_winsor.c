/* winsor: values beyond two percentiles of their column, over the sample or by group, are pulled in to them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/data/recipe_private.h"

typedef struct value {
    double x;
    int32_t group;
} value;

typedef struct winsor {
    recipe_stage *st;
    int n_vars, *at; /* columns of src */
    recipe_groups *groups;
    int32_t *code; /* [cap] */
    pfx_idx cap;
    pfx_idx n, cap_values; /* rows gathered */
    value *v;              /* [cap_values x n_vars], a variable after the other within a row's place */
    double max_values;
    pfx_idx n_groups;
    double *low, *high; /* [n_groups x n_vars] */
    pfx_idx n_moved;
} winsor;

static void free_winsor(recipe_stage *st)
{
    winsor *w = st->own;
    if (!w) return;
    recipe_groups_free(w->groups);
    pfx_mem_free(w->at);
    pfx_mem_free(w->code);
    pfx_mem_free(w->v);
    pfx_mem_free(w->low);
    pfx_mem_free(w->high);
    pfx_mem_free(w);
}

static pfx_status look(winsor *w, const pfx_frame *f, pfx_err *err)
{
    if (f->n_rows > w->cap) {
        pfx_mem_free(w->code);
        w->cap = 0;
        if (!(w->code = pfx_mem_alloc(f->n_rows, sizeof *w->code, err))) return PFX_ENOMEM;
        w->cap = f->n_rows;
    }
    return recipe_groups_code(w->groups, f, w->code, err);
}

static pfx_status gather(void *ctx, const pfx_frame *f, pfx_err *err)
{
    winsor *w = ctx;
    pfx_status st = look(w, f, err);
    if (st != PFX_OK) return st;
    if (w->n + f->n_rows > w->cap_values) {
        pfx_idx cap = 2 * w->cap_values > w->n + f->n_rows ? 2 * w->cap_values : w->n + f->n_rows;
        if ((double)cap * w->n_vars > w->max_values)
            return pfx_fail(
                err, PFX_ENOMEM,
                "%s: percentiles of %d columns do not fit into --memory; give more, or cut the list into "
                "steps",
                w->st->step->where, w->n_vars);
        value *v = pfx_mem_realloc(w->v, cap * w->n_vars, sizeof *v, err);
        if (!v) return PFX_ENOMEM;
        w->v = v;
        w->cap_values = cap;
    }
    for (pfx_idx r = 0; r < f->n_rows; r++) {
        if (w->code[r] >= w->n_groups) w->n_groups = (pfx_idx)w->code[r] + 1;
        for (int j = 0; j < w->n_vars; j++)
            w->v[(w->n + r) * w->n_vars + j] = (value){f->cols[w->at[j]].num[r], w->code[r]};
    }
    w->n += f->n_rows;
    return PFX_OK;
}

static int by_group_and_value(const void *a, const void *b)
{
    const value *x = a, *y = b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    return x->x < y->x ? -1 : x->x > y->x;
}

/* Quantile of n >= 1 sorted values. Types of Hyndman and Fan (1996): 2 as Stata's, 6 as SPSS's, 7 as R's. */
static double quantile(const value *v, pfx_idx n, double p, int type)
{
    double h = type == 6 ? (double)(n + 1) * p : type == 7 ? (double)(n - 1) * p + 1 : (double)n * p;
    double k = floor(h + 4e-16 * h), part = h - k;
    if (fabs(part) < 4e-16 * h) part = 0;
    pfx_idx i = k < 1 ? 0 : k > (double)n ? n - 1 : (pfx_idx)k - 1, next = i + 1 < n ? i + 1 : n - 1;
    if (type == 2) {
        if (k < 1) return v[0].x;
        return part > 0 ? v[next].x : (v[i].x + v[next].x) / 2;
    }
    if (k < 1) return v[0].x;
    return v[i].x + part * (v[next].x - v[i].x);
}

/* Bounds of one variable: its values sorted by group. */
static pfx_status bounds(winsor *w, int j, value *work, pfx_err *err)
{
    const recipe_step *step = w->st->step;
    pfx_idx n = 0;
    (void)err;
    for (pfx_idx r = 0; r < w->n; r++) {
        value v = w->v[r * w->n_vars + j];
        if (isfinite(v.x) && v.group != PFX_NA_CODE) work[n++] = v;
    }
    qsort(work, (size_t)n, sizeof *work, by_group_and_value);
    for (pfx_idx a = 0, b; a < n; a = b) {
        for (b = a + 1; b < n && work[b].group == work[a].group;) b++;
        w->low[work[a].group * w->n_vars + j] = quantile(work + a, b - a, step->nums[0], step->type);
        w->high[work[a].group * w->n_vars + j] = quantile(work + a, b - a, step->nums[1], step->type);
    }
    return PFX_OK;
}

static pfx_status find_bounds(winsor *w, pfx_err *err)
{
    pfx_idx cells = w->n_groups * w->n_vars;
    value *work = pfx_mem_alloc(w->n, sizeof *work, err);
    w->low = pfx_mem_alloc(cells, sizeof *w->low, err);
    w->high = pfx_mem_alloc(cells, sizeof *w->high, err);
    pfx_status st = work && w->low && w->high ? PFX_OK : PFX_ENOMEM;
    for (pfx_idx i = 0; i < cells && st == PFX_OK; i++) w->low[i] = -INFINITY, w->high[i] = INFINITY;
    for (int j = 0; j < w->n_vars && st == PFX_OK; j++) st = bounds(w, j, work, err);
    pfx_mem_free(work);
    pfx_mem_free(w->v);
    w->v = NULL;
    return st;
}

static pfx_status run_winsor(recipe_stage *st, const pfx_frame *in, unsigned char *drop, pfx_err *err)
{
    winsor *w = st->own;
    (void)drop;
    pfx_status s = recipe_stage_reserve(st, in->n_rows, 0, err);
    if (s == PFX_OK) s = look(w, in, err);
    if (s != PFX_OK) return s;
    if (in->row0 == 0) w->n_moved = 0;
    for (int c = 0, own = 0; c < st->n_cols; c++) {
        if (st->from[c] >= 0) continue;
        int j = 0;
        while (strcmp(in->cols[w->at[j]].spec.name, st->cols[c].name) != 0) j++;
        const double *x = in->cols[w->at[j]].num;
        double *out = recipe_stage_values(st, own++);
        for (pfx_idx r = 0; r < in->n_rows; r++) {
            out[r] = x[r];
            if (isnan(x[r]) || w->code[r] == PFX_NA_CODE) continue;
            double low = w->low[w->code[r] * w->n_vars + j], high = w->high[w->code[r] * w->n_vars + j];
            out[r] = x[r] < low ? low : x[r] > high ? high : x[r];
            w->n_moved += out[r] != x[r];
        }
    }
    return PFX_OK;
}

static void finish_winsor(recipe_stage *st)
{
    const winsor *w = st->own;
    snprintf(st->flow.note, sizeof st->flow.note, "%lld values pulled in (quantile type %d)",
             (long long)w->n_moved, st->step->type);
}

static pfx_status prepare(winsor *w, pfx_row_source *src, pfx_err *err)
{
    const recipe_step *step = w->st->step;
    pfx_status st = recipe_groups_create(step, src, step->n_keys, step->keys, &w->groups, err);
    w->n_vars = step->n_list;
    if (st == PFX_OK && !(w->at = pfx_mem_alloc(w->n_vars, sizeof *w->at, err))) st = PFX_ENOMEM;
    for (int j = 0; j < w->n_vars && st == PFX_OK; j++) {
        int at;
        if ((st = recipe_find(step, src, step->list[j], &w->at[j], err)) != PFX_OK) break;
        pfx_col_spec spec = src->cols[w->at[j]];
        if (spec.kind == PFX_CATEGORY)
            return pfx_fail(err, PFX_EUSAGE, "%s: %s is text; percentiles are of numbers", step->where,
                            spec.name);
        spec.dtype = PFX_F64;
        st = recipe_stage_add(w->st, spec, &at, err);
    }
    if (st == PFX_OK) st = recipe_each_block(src, gather, w, err);
    return st == PFX_OK ? find_bounds(w, err) : st;
}

pfx_status recipe_winsor(const recipe_step *step, pfx_row_source src, double memory, pfx_row_source *out,
                         pfx_err *err)
{
    recipe_stage *st = NULL;
    pfx_status s = recipe_stage_create(step, src, &st, err);
    if (s != PFX_OK) return s;
    winsor *w = pfx_mem_calloc(1, sizeof *w, err);
    st->own = w;
    st->free_own = free_winsor;
    st->run = run_winsor;
    st->finish = finish_winsor;
    if (w) {
        w->st = st;
        w->max_values = memory / sizeof *w->v;
    }
    if ((s = w ? prepare(w, &st->src, err) : PFX_ENOMEM) != PFX_OK)
        recipe_stage_close(st);
    else
        *out = recipe_stage_source(st);
    return s;
}
