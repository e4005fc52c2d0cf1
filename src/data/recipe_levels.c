/* factor: numbers become levels of a category; encode: levels become numbers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/data/recipe_private.h"

/* More levels than these are no factor but a number. */
enum { MAX_LEVELS = 100000 };

typedef struct levels {
    recipe_stage *st;
    int at;
    pfx_idx n, cap;
    double *value; /* [n] sorted, distinct */
    char **label;  /* [n] owned, or the step's */
    bool owned;
    double *number; /* ENCODE: [levels of the column] */
} levels;

static void free_levels(recipe_stage *st)
{
    levels *l = st->own;
    if (!l) return;
    for (pfx_idx i = 0; l->owned && i < l->n; i++) pfx_mem_free(l->label[i]);
    if (l->owned) pfx_mem_free(l->label);
    pfx_mem_free(l->value);
    pfx_mem_free(l->number);
    pfx_mem_free(l);
}

/* First of the sorted values that is not below x. */
static pfx_idx find(const levels *l, double x)
{
    pfx_idx lo = 0, hi = l->n;
    while (lo < hi) {
        pfx_idx mid = lo + (hi - lo) / 2;
        if (l->value[mid] < x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static pfx_status gather(void *ctx, const pfx_frame *f, pfx_err *err)
{
    levels *l = ctx;
    const double *x = f->cols[l->at].num;
    for (pfx_idx r = 0; r < f->n_rows; r++) {
        if (isnan(x[r])) continue;
        pfx_idx i = find(l, x[r]);
        if (i < l->n && l->value[i] == x[r]) continue;
        if (l->n == MAX_LEVELS)
            return pfx_fail(err, PFX_EDATA, "%s: %s has more than %d distinct values: give cuts",
                            l->st->step->where, l->st->step->text, MAX_LEVELS);
        if (l->n == l->cap) {
            pfx_idx cap = l->cap ? 2 * l->cap : 64;
            double *v = pfx_mem_realloc(l->value, cap, sizeof *v, err);
            if (!v) return PFX_ENOMEM;
            l->value = v;
            l->cap = cap;
        }
        memmove(l->value + i + 1, l->value + i, (size_t)(l->n - i) * sizeof *l->value);
        l->value[i] = x[r];
        l->n++;
    }
    return PFX_OK;
}

static pfx_status label_values(levels *l, pfx_err *err)
{
    if (!(l->label = pfx_mem_calloc(l->n, sizeof *l->label, err))) return PFX_ENOMEM;
    l->owned = true;
    for (pfx_idx i = 0; i < l->n; i++) {
        char text[32];
        pfx_expr_print_number(l->value[i], text);
        if (!(l->label[i] = pfx_mem_strdup(text, err))) return PFX_ENOMEM;
    }
    return PFX_OK;
}

/* With cuts c1 < c2: below c1 is the first level, from c1 to below c2 the second, the rest the third. */
static pfx_status label_cuts(levels *l, pfx_err *err)
{
    const recipe_step *step = l->st->step;
    l->n = step->n_nums + 1;
    if (step->n_list == l->n) {
        l->label = step->list;
        return PFX_OK;
    }
    if (!(l->label = pfx_mem_calloc(l->n, sizeof *l->label, err))) return PFX_ENOMEM;
    l->owned = true;
    for (pfx_idx i = 0; i < l->n; i++) {
        char low[32], high[32], text[80];
        if (i) pfx_expr_print_number(step->nums[i - 1], low);
        if (i < step->n_nums) pfx_expr_print_number(step->nums[i], high);
        if (i == 0)
            snprintf(text, sizeof text, "below %s", high);
        else if (i == step->n_nums)
            snprintf(text, sizeof text, "%s and above", low);
        else
            snprintf(text, sizeof text, "%s to below %s", low, high);
        if (!(l->label[i] = pfx_mem_strdup(text, err))) return PFX_ENOMEM;
    }
    return PFX_OK;
}

static pfx_status run_factor(recipe_stage *st, const pfx_frame *in, unsigned char *drop, pfx_err *err)
{
    const levels *l = st->own;
    const recipe_step *step = st->step;
    const double *x = in->cols[l->at].num;
    (void)drop;
    pfx_status s = recipe_stage_reserve(st, in->n_rows, 0, err);
    for (pfx_idx r = 0; r < in->n_rows && s == PFX_OK; r++) {
        int cut = 0;
        while (cut < step->n_nums && x[r] >= step->nums[cut]) cut++;
        st->code[r] = isnan(x[r]) ? PFX_NA_CODE : step->n_nums ? cut : (int32_t)find(l, x[r]);
    }
    return s;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(**(const char *const *const *)a, **(const char *const *const *)b);
}

/* 1, 2, .. to the labels in the order of their bytes. */
static pfx_status number_labels(levels *l, const pfx_col_spec *c, pfx_err *err)
{
    const char *const **order = pfx_mem_alloc(c->n_levels, sizeof *order, err);
    l->number = pfx_mem_alloc(c->n_levels, sizeof *l->number, err);
    pfx_status st = order && l->number ? PFX_OK : PFX_ENOMEM;
    for (pfx_idx i = 0; i < c->n_levels && st == PFX_OK; i++) order[i] = &c->levels[i];
    if (st == PFX_OK) qsort(order, (size_t)c->n_levels, sizeof *order, by_text);
    for (pfx_idx i = 0; i < c->n_levels && st == PFX_OK; i++)
        l->number[order[i] - c->levels] = (double)(i + 1);
    pfx_mem_free(order);
    return st;
}

static pfx_status run_encode(recipe_stage *st, const pfx_frame *in, unsigned char *drop, pfx_err *err)
{
    const levels *l = st->own;
    const int32_t *code = in->cols[l->at].code;
    (void)drop;
    pfx_status s = recipe_stage_reserve(st, in->n_rows, 0, err);
    for (pfx_idx r = 0; r < in->n_rows && s == PFX_OK; r++)
        recipe_stage_values(st, 0)[r] = code[r] == PFX_NA_CODE ? NAN : l->number[code[r]];
    return s;
}

static pfx_status begin(const recipe_step *step, pfx_row_source src, bool text, levels **out, pfx_err *err)
{
    recipe_stage *st = NULL;
    pfx_status s = recipe_stage_create(step, src, &st, err);
    if (s != PFX_OK) return s;
    levels *l = pfx_mem_calloc(1, sizeof *l, err);
    st->own = l;
    st->free_own = free_levels;
    if (!l) s = PFX_ENOMEM;
    if (s == PFX_OK) {
        l->st = st;
        s = recipe_find(step, &src, step->text, &l->at, err);
    }
    if (s == PFX_OK && (src.cols[l->at].kind == PFX_CATEGORY) != text)
        s = pfx_fail(err, PFX_EUSAGE,
                     text ? "%s: %s is a number already; factor makes levels of it"
                          : "%s: %s is a category already; encode makes numbers of it",
                     step->where, step->text);
    if (s != PFX_OK)
        recipe_stage_close(st);
    else
        *out = l;
    return s;
}

static pfx_status end(levels *l, pfx_status s, pfx_col_spec spec, pfx_row_source *out, pfx_err *err)
{
    recipe_stage *st = l->st;
    int at;
    if (s == PFX_OK) s = recipe_stage_add(st, spec, &at, err);
    if (s != PFX_OK)
        recipe_stage_close(st);
    else
        *out = recipe_stage_source(st);
    return s;
}

pfx_status recipe_factor(const recipe_step *step, pfx_row_source src, pfx_row_source *out, pfx_err *err)
{
    levels *l = NULL;
    pfx_status s = begin(step, src, false, &l, err);
    if (s != PFX_OK) return s;
    l->st->run = run_factor;
    if (step->n_nums)
        s = label_cuts(l, err);
    else if ((s = recipe_each_block(&l->st->src, gather, l, err)) == PFX_OK)
        s = label_values(l, err);
    const pfx_col_spec spec = {step->name, step->text, PFX_CATEGORY,
                               PFX_I32,    l->n,       (const char *const *)l->label};
    return end(l, s, spec, out, err);
}

pfx_status recipe_encode(const recipe_step *step, pfx_row_source src, pfx_row_source *out, pfx_err *err)
{
    levels *l = NULL;
    pfx_status s = begin(step, src, true, &l, err);
    if (s != PFX_OK) return s;
    l->st->run = run_encode;
    s = number_labels(l, &src.cols[l->at], err);
    return end(l, s,
               (pfx_col_spec){.name = step->name, .label = step->text, .kind = PFX_NUMERIC, .dtype = PFX_I32},
               out, err);
}
