/* merge: columns of another table, by keys. The other table lies in memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/data/recipe_private.h"
#include "src/model/coder.h"

typedef struct merge {
    recipe_stage *st;
    pfx_row_source other;
    int n_keys, key[RECIPE_MAX_BY], other_key[RECIPE_MAX_BY]; /* columns here and there */
    int32_t *recode[RECIPE_MAX_BY]; /* codes of a category here as codes there, -1: no such label there */
    pfx_coder number[RECIPE_MAX_BY], pair[RECIPE_MAX_BY];
    int n_cols, *col; /* columns of the other table */
    pfx_idx n, cap;   /* its rows */
    double **num;     /* [n_cols][n] numbers, or codes */
    pfx_idx *row_of;  /* [codes] row of the other table, -1 */
    pfx_idx n_codes;
    bool one_to_one, *used; /* [n] */
    pfx_idx cap_rows, n_matched, n_unmatched;
    int32_t *code, *work; /* [cap_rows] */
    double *x;            /* [cap_rows] */
} merge;

static void free_merge(recipe_stage *st)
{
    merge *m = st->own;
    if (!m) return;
    if (m->other.close) m->other.close(m->other.ctx);
    for (int i = 0; i < RECIPE_MAX_BY; i++) {
        pfx_mem_free(m->recode[i]);
        pfx_coder_free(&m->number[i]);
        pfx_coder_free(&m->pair[i]);
    }
    for (int c = 0; m->num && c < m->n_cols; c++) pfx_mem_free(m->num[c]);
    pfx_mem_free(m->num);
    pfx_mem_free(m->col);
    pfx_mem_free(m->row_of);
    pfx_mem_free(m->used);
    pfx_mem_free(m->code);
    pfx_mem_free(m->work);
    pfx_mem_free(m->x);
    pfx_mem_free(m);
}

static pfx_status reserve_rows(merge *m, pfx_idx n, pfx_err *err)
{
    if (n <= m->cap_rows) return PFX_OK;
    pfx_mem_free(m->code);
    pfx_mem_free(m->work);
    pfx_mem_free(m->x);
    m->cap_rows = 0;
    m->code = pfx_mem_alloc(n, sizeof *m->code, err);
    m->work = pfx_mem_alloc(n, sizeof *m->work, err);
    m->x = pfx_mem_alloc(n, sizeof *m->x, err);
    if (!m->code || !m->work || !m->x) return PFX_ENOMEM;
    m->cap_rows = n;
    return PFX_OK;
}

/* Codes of the keys of a frame of either table into m->code. Both go through one coder: equal keys, equal
 * codes. */
static pfx_status code_keys(merge *m, const pfx_frame *f, const int *key, bool here, pfx_err *err)
{
    pfx_status st = reserve_rows(m, f->n_rows, err);
    for (int k = 0; k < m->n_keys && st == PFX_OK; k++) {
        const pfx_column *c = &f->cols[key[k]];
        int32_t *to = k ? m->work : m->code;
        for (pfx_idx r = 0; r < f->n_rows && c->code; r++) {
            int32_t code = c->code[r];
            if (code != PFX_NA_CODE && here) code = m->recode[k][code];
            to[r] = code < 0 ? PFX_NA_CODE : code;
        }
        if (!c->code) st = pfx_coder_numbers(&m->number[k], f->n_rows, c->num, to, err);
        if (k && st == PFX_OK) st = pfx_coder_pairs(&m->pair[k], f->n_rows, m->code, m->work, err);
    }
    return st;
}

static pfx_status grow(merge *m, pfx_idx n, pfx_err *err)
{
    if (n <= m->cap) return PFX_OK;
    pfx_idx cap = 2 * m->cap > n ? 2 * m->cap : n;
    for (int c = 0; c < m->n_cols; c++) {
        double *v = pfx_mem_realloc(m->num[c], cap, sizeof *v, err);
        if (!v) return PFX_ENOMEM;
        m->num[c] = v;
    }
    m->cap = cap;
    return PFX_OK;
}

static pfx_status set_row(merge *m, int32_t code, pfx_idx row, pfx_err *err)
{
    if (code >= m->n_codes) {
        pfx_idx n = 2 * m->n_codes > code + 1 ? 2 * m->n_codes : (pfx_idx)code + 1;
        pfx_idx *of = pfx_mem_realloc(m->row_of, n, sizeof *of, err);
        if (!of) return PFX_ENOMEM;
        m->row_of = of;
        for (; m->n_codes < n; m->n_codes++) of[m->n_codes] = -1;
    }
    if (m->row_of[code] >= 0)
        return pfx_fail(
            err, PFX_EDATA, "%s: %s: rows %lld and %lld have the same key; keys there must be unique",
            m->st->step->where, m->st->step->name, (long long)m->row_of[code] + 1, (long long)row + 1);
    m->row_of[code] = row;
    return PFX_OK;
}

static pfx_status gather(void *ctx, const pfx_frame *f, pfx_err *err)
{
    merge *m = ctx;
    pfx_status st = code_keys(m, f, m->other_key, false, err);
    if (st == PFX_OK) st = grow(m, m->n + f->n_rows, err);
    for (int c = 0; c < m->n_cols && st == PFX_OK; c++) {
        const pfx_column *from = &f->cols[m->col[c]];
        for (pfx_idx r = 0; r < f->n_rows; r++)
            m->num[c][m->n + r] =
                from->code ? (from->code[r] == PFX_NA_CODE ? NAN : from->code[r]) : from->num[r];
    }
    for (pfx_idx r = 0; r < f->n_rows && st == PFX_OK; r++)
        if (m->code[r] != PFX_NA_CODE) st = set_row(m, m->code[r], m->n + r, err);
    m->n += f->n_rows;
    return st;
}

typedef struct labelled {
    const char *label;
    int32_t code;
} labelled;

static int by_label(const void *a, const void *b)
{
    return strcmp(((const labelled *)a)->label, ((const labelled *)b)->label);
}

static pfx_status match_labels(const pfx_col_spec *here, const pfx_col_spec *there, int32_t **out,
                               pfx_err *err)
{
    labelled *l = pfx_mem_alloc(there->n_levels, sizeof *l, err);
    int32_t *code = pfx_mem_alloc(here->n_levels, sizeof *code, err);
    *out = code;
    if (!l || !code) {
        pfx_mem_free(l);
        return PFX_ENOMEM;
    }
    for (pfx_idx i = 0; i < there->n_levels; i++) l[i] = (labelled){there->levels[i], (int32_t)i};
    qsort(l, (size_t)there->n_levels, sizeof *l, by_label);
    for (pfx_idx i = 0; i < here->n_levels; i++) {
        labelled key = {here->levels[i], 0};
        const labelled *hit =
            there->n_levels ? bsearch(&key, l, (size_t)there->n_levels, sizeof *l, by_label) : NULL;
        code[i] = hit ? hit->code : -1;
    }
    pfx_mem_free(l);
    return PFX_OK;
}

static pfx_status find_keys(merge *m, const pfx_row_source *src, pfx_err *err)
{
    const recipe_step *step = m->st->step;
    pfx_status st = PFX_OK;
    m->n_keys = step->n_keys;
    for (int k = 0; k < step->n_keys && st == PFX_OK; k++) {
        st = recipe_find(step, src, step->keys[k], &m->key[k], err);
        if (st == PFX_OK) st = recipe_find(step, &m->other, step->keys[k], &m->other_key[k], err);
        if (st != PFX_OK) return st;
        const pfx_col_spec *here = &src->cols[m->key[k]], *there = &m->other.cols[m->other_key[k]];
        if ((here->kind == PFX_CATEGORY) != (there->kind == PFX_CATEGORY))
            return pfx_fail(err, PFX_EUSAGE, "%s: %s is text in one of the tables and a number in the other",
                            step->where, step->keys[k]);
        if (here->kind == PFX_CATEGORY) st = match_labels(here, there, &m->recode[k], err);
    }
    return st;
}

/* Columns to take: those listed, or all but keys; their own columns here. */
static pfx_status find_columns(merge *m, const pfx_row_source *src, pfx_err *err)
{
    const recipe_step *step = m->st->step;
    pfx_status st = PFX_OK;
    m->col = pfx_mem_alloc(m->other.n_cols, sizeof *m->col, err);
    m->num = pfx_mem_calloc(m->other.n_cols, sizeof *m->num, err);
    if (!m->col || !m->num) return PFX_ENOMEM;
    for (int i = 0; i < step->n_list && st == PFX_OK; i++)
        st = recipe_find(step, &m->other, step->list[i], &m->col[m->n_cols++], err);
    for (int c = 0; c < m->other.n_cols && step->n_list == 0; c++) {
        bool key = false;
        for (int k = 0; k < m->n_keys; k++) key |= m->other_key[k] == c;
        if (!key) m->col[m->n_cols++] = c;
    }
    for (int c = 0; c < m->n_cols && st == PFX_OK; c++) {
        pfx_col_spec spec = m->other.cols[m->col[c]];
        int at;
        for (int h = 0; h < src->n_cols; h++)
            if (strcmp(src->cols[h].name, spec.name) == 0)
                return pfx_fail(err, PFX_EUSAGE,
                                "%s: both tables have a column %s: list the columns wanted, or rename one",
                                step->where, spec.name);
        if (spec.kind == PFX_TIME) spec.kind = PFX_NUMERIC;
        st = recipe_stage_add(m->st, spec, &at, err);
    }
    return st;
}

static pfx_status take_row(merge *m, const pfx_frame *in, pfx_idx r, pfx_idx row, unsigned char *drop,
                           pfx_err *err)
{
    const recipe_step *step = m->st->step;
    if (row < 0) {
        m->n_unmatched++;
        if (step->type == 2)
            return pfx_fail(err, PFX_EDATA,
                            "%s: row %lld has no match in %s; unmatched: keep or drop lets it pass",
                            step->where, (long long)(in->row0 + r) + 1, step->name);
        drop[r] = step->type == 1;
        return PFX_OK;
    }
    m->n_matched++;
    if (m->one_to_one && m->used[row])
        return pfx_fail(err, PFX_EDATA,
                        "%s: row %lld is the second to match row %lld of %s; 1:1 allows one, m:1 several",
                        step->where, (long long)(in->row0 + r) + 1, (long long)row + 1, step->name);
    m->used[row] = true;
    return PFX_OK;
}

static pfx_status run_merge(recipe_stage *st, const pfx_frame *in, unsigned char *drop, pfx_err *err)
{
    merge *m = st->own;
    pfx_status s = recipe_stage_reserve(st, in->n_rows, 0, err);
    if (s == PFX_OK) s = code_keys(m, in, m->key, true, err);
    if (in->row0 == 0) {
        m->n_matched = m->n_unmatched = 0;
        memset(m->used, 0, (size_t)m->n * sizeof *m->used);
    }
    for (pfx_idx r = 0; r < in->n_rows && s == PFX_OK; r++) {
        int32_t code = m->code[r];
        pfx_idx row = code == PFX_NA_CODE || code >= m->n_codes ? -1 : m->row_of[code];
        s = take_row(m, in, r, row, st->drop, err);
        for (int c = 0, own = 0; c < st->n_cols; c++) {
            if (st->from[c] >= 0) continue;
            double v = row < 0 ? NAN : m->num[own][row];
            recipe_stage_values(st, own)[r] = v;
            recipe_stage_codes(st, own++)[r] =
                isnan(v) || st->cols[c].kind != PFX_CATEGORY ? PFX_NA_CODE : (int32_t)v;
        }
    }
    (void)drop;
    return s;
}

static void finish_merge(recipe_stage *st)
{
    const merge *m = st->own;
    pfx_idx unused = 0;
    for (pfx_idx r = 0; r < m->n; r++) unused += !m->used[r];
    snprintf(st->flow.note, sizeof st->flow.note, "%lld matched, %lld not; %lld rows of %.60s unused",
             (long long)m->n_matched, (long long)m->n_unmatched, (long long)unused, st->step->name);
}

static pfx_status prepare(merge *m, const pfx_recipe_options *o, pfx_err *err)
{
    recipe_stage *st = m->st;
    pfx_status s = o->open(o->open_ctx, st->step->name, &m->other, err);
    if (s == PFX_OK) s = find_keys(m, &st->src, err);
    if (s == PFX_OK) s = find_columns(m, &st->src, err);
    if (s == PFX_OK && (double)m->other.n_rows * m->n_cols * 8 > o->memory)
        s = pfx_fail(err, PFX_ENOMEM, "%s: %s does not fit into --memory; list fewer columns, or give more",
                     st->step->where, st->step->name);
    if (s == PFX_OK) s = recipe_each_block(&m->other, gather, m, err);
    if (s == PFX_OK && !(m->used = pfx_mem_calloc(m->n, sizeof *m->used, err))) s = PFX_ENOMEM;
    return s;
}

pfx_status recipe_merge(const recipe_step *step, pfx_row_source src, const pfx_recipe_options *o,
                        pfx_row_source *out, pfx_err *err)
{
    recipe_stage *st = NULL;
    pfx_status s = recipe_stage_create(step, src, &st, err);
    if (s != PFX_OK) return s;
    merge *m = pfx_mem_calloc(1, sizeof *m, err);
    st->own = m;
    st->free_own = free_merge;
    st->run = run_merge;
    st->finish = finish_merge;
    st->filters = step->type == 1;
    if (m) {
        m->st = st;
        m->one_to_one = strcmp(step->text, "1:1") == 0;
    }
    if ((s = m ? prepare(m, o, err) : PFX_ENOMEM) != PFX_OK)
        recipe_stage_close(st);
    else
        *out = recipe_stage_source(st);
    return s;
}
