#include "src/data/subset.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"

typedef struct work {
    const pfx_subset *s;
    pfx_row_source *src;
    pfx_row_sink *sink;
    int n_cols;
    pfx_col_spec *spec; /* [n_cols] of the new panel */
    pfx_column *col;    /* [n_cols] buffers of cap rows */
    pfx_idx cap;
    int *watch; /* [n_watch] column of the source */
} work;

static pfx_status find_watched(work *w, pfx_err *err)
{
    const char *names[256];
    int n = w->src->n_cols < 256 ? w->src->n_cols : 256;
    for (int c = 0; c < n; c++) names[c] = w->src->cols[c].name;
    for (int i = 0; i < w->s->n_watch; i++) {
        const char *name = w->s->watch[i];
        int at = 0;
        while (at < w->src->n_cols && strcmp(w->src->cols[at].name, name)) at++;
        if (at == w->src->n_cols) {
            const char *near = pfx_text_nearest(name, n, names);
            return pfx_fail(err, PFX_EUSAGE, "no column '%s'%s%s%s", name, near ? ": did you mean '" : "",
                            near ? near : "", near ? "'?" : "");
        }
        if (w->src->cols[at].kind == PFX_CATEGORY)
            return pfx_fail(err, PFX_EUSAGE, "column '%s' is text; a number is needed", name);
        w->watch[i] = at;
    }
    return PFX_OK;
}

static pfx_status begin(work *w, pfx_err *err)
{
    int n_old = w->src->n_cols;
    w->n_cols = n_old + w->s->n_new;
    w->spec = pfx_mem_calloc(w->n_cols, sizeof *w->spec, err);
    w->col = pfx_mem_calloc(w->n_cols, sizeof *w->col, err);
    w->watch = pfx_mem_calloc(w->s->n_watch, sizeof *w->watch, err);
    if (!w->spec || !w->col || !w->watch) return PFX_ENOMEM;
    for (int c = 0; c < w->n_cols; c++) {
        w->spec[c] = c < n_old ? w->src->cols[c] : w->s->spec[c - n_old];
        for (int i = 0; i < c && c >= n_old; i++)
            if (strcmp(w->spec[i].name, w->spec[c].name) == 0)
                return pfx_fail(err, PFX_EUSAGE,
                                "the panel has a column '%s' already; drop or rename it first",
                                w->spec[c].name);
    }
    pfx_status st = find_watched(w, err);
    return st == PFX_OK ? w->sink->begin(w->sink->ctx, &w->src->panel, w->n_cols, w->spec, err) : st;
}

static pfx_status grow(work *w, pfx_idx n, pfx_err *err)
{
    if (n <= w->cap) return PFX_OK;
    for (int c = 0; c < w->n_cols; c++) {
        pfx_column *to = &w->col[c];
        bool code = w->spec[c].kind == PFX_CATEGORY;
        void *p = code ? pfx_mem_realloc(to->code, n, sizeof *to->code, err)
                       : pfx_mem_realloc(to->num, n, sizeof *to->num, err);
        if (!p) return PFX_ENOMEM;
        to->spec = w->spec[c];
        *(code ? (void **)&to->code : (void **)&to->num) = p;
    }
    w->cap = n;
    return PFX_OK;
}

static void add_sums(const work *w, const pfx_frame *f, const unsigned char *group, pfx_subset_sums *sums)
{
    for (int i = 0; i < w->s->n_watch; i++)
        for (pfx_idx r = 0; r < f->n_rows; r++) {
            pfx_idx row = f->row0 + r;
            double keep = w->s->keep[row], v = f->cols[w->watch[i]].num[r];
            if (keep == 0) continue;
            if (isnan(v)) {
                sums[i].n_missing++;
                continue;
            }
            sums[i].weight[group[row]] += keep;
            sums[i].value[group[row]] += keep * v;
        }
}

static pfx_status put_block(work *w, const pfx_frame *f, pfx_idx *n_rows, pfx_err *err)
{
    pfx_idx n = 0;
    pfx_status st = grow(w, f->n_rows, err);
    if (st != PFX_OK) return st;
    for (pfx_idx r = 0; r < f->n_rows; r++) {
        pfx_idx row = f->row0 + r;
        if (w->s->keep[row] == 0) continue;
        for (int c = 0; c < f->n_cols; c++)
            if (w->col[c].code)
                w->col[c].code[n] = f->cols[c].code[r];
            else
                w->col[c].num[n] = f->cols[c].num[r];
        for (int c = 0; c < w->s->n_new; c++) w->col[f->n_cols + c].num[n] = w->s->value[c][row];
        n++;
    }
    const pfx_frame out = {.row0 = *n_rows, .n_rows = n, .n_cols = w->n_cols, .cols = w->col};
    *n_rows += n;
    return n ? w->sink->put(w->sink->ctx, &out, err) : PFX_OK;
}

pfx_status pfx_subset_write(const pfx_subset *s, pfx_row_source *src, const unsigned char *group,
                            pfx_row_sink *sink, pfx_subset_sums *sums, pfx_idx *n_rows, pfx_err *err)
{
    work w = {.s = s, .src = src, .sink = sink};
    const pfx_frame *block = NULL;
    pfx_status st = begin(&w, err);
    *n_rows = 0;
    for (int i = 0; i < s->n_watch; i++) sums[i] = (pfx_subset_sums){0};
    while (st == PFX_OK && (st = src->next(src->ctx, &block, err)) == PFX_OK && block) {
        add_sums(&w, block, group, sums);
        st = put_block(&w, block, n_rows, err);
    }
    for (int c = 0; c < src->n_cols && st == PFX_OK; c++)
        if (src->cols[c].kind == PFX_CATEGORY)
            st = sink->levels(sink->ctx, c, src->cols[c].n_levels, src->cols[c].levels, err);
    for (int c = 0; w.col && c < w.n_cols; c++) {
        pfx_mem_free(w.col[c].num);
        pfx_mem_free(w.col[c].code);
    }
    pfx_mem_free(w.col);
    pfx_mem_free(w.spec);
    pfx_mem_free(w.watch);
    return st;
}
