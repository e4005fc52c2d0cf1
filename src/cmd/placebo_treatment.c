/* The treatment of a placebo: its values, its periods, and the regressors that are made of it. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/ascending.h"
#include "src/base/mem.h"
#include "src/cmd/placebo.h"
#include "src/model/design.h"

/* A product of the treatment and something else, computed either way, differs by rounding alone. */
static const double PRODUCT = 1e-12;

typedef struct column_reader {
    double *out;
    char *label;
    size_t n;
    pfx_idx row; /* wanted for label */
} column_reader;

/* Every row of one column: numbers into out, or the text of one row into label. */
static pfx_status read_column(pfx_panel *panel, const char *name, column_reader *c, pfx_err *err)
{
    pfx_row_source s = {0};
    const pfx_frame *block = NULL;
    pfx_status st = pfx_panel_source(panel, 1, &name, NULL, &s, err);
    if (st != PFX_OK) return st;
    st = s.rewind(s.ctx, err);
    while (st == PFX_OK && (st = s.next(s.ctx, &block, err)) == PFX_OK && block) {
        const pfx_column *v = &block->cols[0];
        if (c->out && !v->num) {
            st = pfx_fail(err, PFX_EUSAGE, "%s is text; a number is needed", name);
            break;
        }
        if (c->out) memcpy(c->out + block->row0, v->num, (size_t)block->n_rows * sizeof *c->out);
        pfx_idx i = c->row - block->row0;
        if (!c->label || i < 0 || i >= block->n_rows) continue;
        if (v->num)
            snprintf(c->label, c->n, "%.10g", v->num[i]);
        else if (v->code[i] >= 0 && v->spec.levels)
            snprintf(c->label, c->n, "%s", v->spec.levels[v->code[i]]);
        break;
    }
    s.close(s.ctx);
    return st;
}

pfx_status placebo_column(pfx_panel *panel, const char *name, double **out, pfx_err *err)
{
    column_reader c = {.out = pfx_mem_alloc(pfx_panel_n_rows(panel), sizeof(double), err)};
    pfx_status st = c.out ? read_column(panel, name, &c, err) : PFX_ENOMEM;
    if (st == PFX_OK)
        *out = c.out;
    else
        pfx_mem_free(c.out);
    return st;
}

void placebo_label(pfx_panel *panel, const char *name, pfx_idx row, size_t n, char *buf)
{
    column_reader c = {.label = buf, .n = n, .row = row};
    pfx_err err = {0};
    snprintf(buf, n, "?");
    pfx_status st = read_column(panel, name, &c, &err); /* a combined factor has no column: "?" stays */
    (void)st;
}

static pfx_status number_periods(placebo_state *s, const pfx_design *d, pfx_err *err)
{
    s->period = pfx_mem_calloc(d->n, sizeof *s->period, err);
    s->time = pfx_mem_alloc(d->n, sizeof *s->time, err);
    if (!s->period || !s->time) return PFX_ENOMEM;
    s->n_periods = 1;
    s->time[0] = 0;
    if (!d->time) return PFX_OK;
    memcpy(s->time, d->time, (size_t)d->n * sizeof *s->time);
    qsort(s->time, (size_t)d->n, sizeof *s->time, pfx_ascending);
    for (pfx_idx i = 1; i < d->n; i++)
        if (s->time[i] != s->time[s->n_periods - 1]) s->time[s->n_periods++] = s->time[i];
    for (pfx_idx i = 0; i < d->n; i++) {
        const double *at =
            bsearch(&d->time[i], s->time, (size_t)s->n_periods, sizeof *s->time, pfx_ascending);
        s->period[i] = (int32_t)(at - s->time);
    }
    return PFX_OK;
}

static pfx_status take_treatment(rep_run *r, const pfx_design *d, pfx_err *err)
{
    placebo_state *s = r->state;
    double *column = NULL;
    pfx_status st = placebo_column(r->panel, s->o->treatment, &column, err);
    if (st != PFX_OK) return st;
    if (!(s->treatment = pfx_mem_alloc(d->n, sizeof *s->treatment, err))) st = PFX_ENOMEM;
    for (pfx_idx i = 0; i < d->n && st == PFX_OK; i++) {
        s->treatment[i] = column[d->row[i]];
        if (!isfinite(s->treatment[i]))
            st = pfx_fail(err, PFX_EDATA,
                          "--treatment %s is missing at row %lld of the panel, which the fit uses",
                          s->o->treatment, (long long)d->row[i] + 1);
    }
    pfx_mem_free(column);
    return st;
}

/* Times that a name stands in a text as a whole word. */
static int count_word(const char *text, const char *word)
{
    int n = 0;
    size_t len = strlen(word);
    for (const char *p = text; (p = strstr(p, word)); p += len) {
        bool head = p > text && (isalnum((unsigned char)p[-1]) || p[-1] == '_' || p[-1] == '.');
        bool tail = isalnum((unsigned char)p[len]) || p[len] == '_' || p[len] == '.';
        n += !head && !tail;
    }
    return n;
}

/* ---- the same formula with the treatment at one value throughout ---- */

typedef struct replaced {
    pfx_row_source inner;
    const char *name;
    double value;
    double *num; /* of the block */
    pfx_idx cap;
    pfx_frame frame;
    pfx_column *cols;
} replaced;

static pfx_status replaced_rewind(void *ctx, pfx_err *err)
{
    replaced *w = ctx;
    return w->inner.rewind(w->inner.ctx, err);
}

static pfx_status replaced_next(void *ctx, const pfx_frame **block, pfx_err *err)
{
    replaced *w = ctx;
    const pfx_frame *in = NULL;
    pfx_status st = w->inner.next(w->inner.ctx, &in, err);
    *block = NULL;
    if (st != PFX_OK || !in) return st;
    if (in->n_rows > w->cap) {
        pfx_mem_free(w->num);
        w->cap = in->n_rows;
        if (!(w->num = pfx_mem_alloc(w->cap, sizeof *w->num, err))) return PFX_ENOMEM;
        for (pfx_idx i = 0; i < w->cap; i++) w->num[i] = w->value;
    }
    w->frame = *in;
    memcpy(w->cols, in->cols, (size_t)in->n_cols * sizeof *w->cols);
    for (int c = 0; c < in->n_cols; c++)
        if (strcmp(in->cols[c].spec.name, w->name) == 0) w->cols[c].num = w->num;
    w->frame.cols = w->cols;
    *block = &w->frame;
    return PFX_OK;
}

static pfx_status load_replaced(const rep_run *r, double value, pfx_design **out, pfx_err *err)
{
    const placebo_state *s = r->state;
    const pfx_dataset_options o = {
        .keep_singletons = true, .want_rows = true, .nth = (int)r->o->common.threads};
    const pfx_panel_source_options so = {.nth = o.nth};
    replaced w = {.name = s->o->treatment, .value = value};
    pfx_row_source outer = {0};
    pfx_dataset *data = NULL;
    char **names = NULL;
    int n = 0;
    pfx_status st =
        pfx_dataset_columns(r->formula, &o, pfx_panel_structure(r->panel), pfx_panel_n_cols(r->panel),
                            pfx_panel_cols(r->panel), &n, &names, err);
    if (st != PFX_OK) return st;
    if ((st = pfx_panel_source(r->panel, n, (const char *const *)names, &so, &w.inner, err)) == PFX_OK) {
        outer = w.inner;
        outer.ctx = &w;
        outer.rewind = replaced_rewind;
        outer.next = replaced_next;
        if (!(w.cols = pfx_mem_alloc(n, sizeof *w.cols, err))) st = PFX_ENOMEM;
        if (st == PFX_OK) st = pfx_dataset_load(&outer, r->formula, &o, &data, err);
        w.inner.close(w.inner.ctx);
    }
    if (st == PFX_OK) st = pfx_dataset_design(data, 0, 0, true, out, err);
    pfx_dataset_free(data);
    pfx_dataset_free_names(n, names);
    pfx_mem_free(w.num);
    pfx_mem_free(w.cols);
    return st;
}

static int find_column(const pfx_design *d, const char *name)
{
    for (int j = 0; j < d->p; j++)
        if (strcmp(d->name[j], name) == 0) return j;
    return -1;
}

/* Is the column f times the treatment, with f its value where the treatment is one? one, two [panel rows ->
 * rows]. */
typedef enum relation { UNRELATED, TIMES, OTHERWISE } relation;

static relation relate(const placebo_state *s, const pfx_design *d, int j, const pfx_design *one, int j1,
                       const pfx_design *two, int j2, const int32_t *at1, const int32_t *at2)
{
    bool moves = false, product = true;
    for (pfx_idx i = 0; i < d->n; i++) {
        double x = d->Z[i * d->p + j], f = one->Z[(pfx_idx)at1[d->row[i]] * one->p + j1];
        double g = two->Z[(pfx_idx)at2[d->row[i]] * two->p + j2];
        moves |= f != g;
        product &= fabs(g - 2 * f) <= PRODUCT * fabs(g) && fabs(x - s->treatment[i] * f) <= PRODUCT * fabs(x);
    }
    return !moves ? UNRELATED : product ? TIMES : OTHERWISE;
}

static pfx_status row_map(const rep_run *r, const pfx_design *from, int32_t **out, pfx_err *err)
{
    pfx_idx n = pfx_panel_n_rows(r->panel);
    int32_t *at = *out = pfx_mem_alloc(n, sizeof *at, err);
    if (!at) return PFX_ENOMEM;
    memset(at, 0xff, (size_t)n * sizeof *at);
    for (pfx_idx i = 0; i < from->n; i++) at[from->row[i]] = (int32_t)i;
    return PFX_OK;
}

static pfx_status add_drawn(placebo_state *s, const char *name, pfx_err *err)
{
    if (s->n_drawn == PFX_PLACEBO_MAX_DRAWN)
        return pfx_fail(err, PFX_EUSAGE, "more than %d regressors are made of %s", PFX_PLACEBO_MAX_DRAWN,
                        s->o->treatment);
    s->drawn[s->n_drawn] = pfx_mem_strdup(name, err);
    return s->drawn[s->n_drawn++] ? PFX_OK : PFX_ENOMEM;
}

static pfx_status compare_columns(rep_run *r, const pfx_design *d, const pfx_design *one,
                                  const pfx_design *two, const int32_t *at1, const int32_t *at2, pfx_err *err)
{
    placebo_state *s = r->state;
    for (pfx_idx i = 0; i < d->n; i++)
        if (at1[d->row[i]] < 0 || at2[d->row[i]] < 0)
            return pfx_fail(err, PFX_EUSAGE,
                            "the formula has no value with %s at 1 or 2: it cannot be assigned anew",
                            s->o->treatment);
    if (!(s->factor = pfx_mem_alloc((pfx_idx)PFX_PLACEBO_MAX_DRAWN * d->n, sizeof *s->factor, err)))
        return PFX_ENOMEM;
    for (int j = 0; j < d->p; j++) {
        int j1 = find_column(one, d->name[j]), j2 = find_column(two, d->name[j]);
        bool outcome = j == d->p - 1;
        relation rel = j1 < 0 || j2 < 0 ? OTHERWISE : relate(s, d, j, one, j1, two, j2, at1, at2);
        if (rel == UNRELATED) continue;
        if (rel == OTHERWISE || outcome)
            return pfx_fail(
                err, PFX_EUSAGE,
                "%s %s is made of %s, and not as a product with it: only products can be rebuilt (write "
                "%s, %s:x, I(%s*x))",
                outcome ? "outcome" : "regressor", d->name[j], s->o->treatment, s->o->treatment,
                s->o->treatment, s->o->treatment);
        double *f = s->factor + (pfx_idx)s->n_drawn * d->n;
        pfx_status st = add_drawn(s, d->name[j], err);
        if (st != PFX_OK) return st;
        for (pfx_idx i = 0; i < d->n; i++) f[i] = one->Z[(pfx_idx)at1[d->row[i]] * one->p + j1];
    }
    return PFX_OK;
}

static pfx_status find_products(rep_run *r, const pfx_design *d, pfx_err *err)
{
    pfx_design *one = NULL, *two = NULL;
    int32_t *at1 = NULL, *at2 = NULL;
    pfx_status st = load_replaced(r, 1, &one, err);
    if (st == PFX_OK) st = load_replaced(r, 2, &two, err);
    if (st == PFX_OK) st = row_map(r, one, &at1, err);
    if (st == PFX_OK) st = row_map(r, two, &at2, err);
    if (st == PFX_OK) st = compare_columns(r, d, one, two, at1, at2, err);
    pfx_design_free(one);
    pfx_design_free(two);
    pfx_mem_free(at1);
    pfx_mem_free(at2);
    return st;
}

static pfx_status refuse_effects(const rep_run *r, const pfx_design *d, pfx_err *err)
{
    const char *v = ((const placebo_state *)r->state)->o->treatment;
    for (int a = 0; a < d->n_absorbed; a++) {
        int n = count_word(d->absorbed[a].factor.name, v);
        for (int k = 0; k < d->absorbed[a].n_slopes; k++) n += count_word(d->absorbed[a].slope_name[k], v);
        if (n)
            return pfx_fail(err, PFX_EUSAGE, "effect %s is made of --treatment %s",
                            d->absorbed[a].factor.name, v);
    }
    return PFX_OK;
}

/* The tested one among those that are drawn. */
static pfx_status choose(rep_run *r, pfx_err *err)
{
    placebo_state *s = r->state;
    const char *coef = s->o->coef;
    pfx_str list = {0};
    s->tested = -1;
    for (int a = 0; a < s->n_drawn; a++) {
        pfx_str_addf(&list, "%s%s", a ? ", " : "", s->drawn[a]);
        if (coef && strcmp(coef, s->drawn[a]) == 0) s->tested = a;
    }
    pfx_status st = PFX_OK;
    if (s->n_drawn == 0)
        st = pfx_fail(err, PFX_EUSAGE, "--treatment %s: no regressor of the formula is made of it",
                      s->o->treatment);
    else if (coef && s->tested < 0)
        st = pfx_fail(err, PFX_EUSAGE, "--coef %s: %s is made of %s", coef, list.s, s->o->treatment);
    else if (!coef && s->n_drawn > 1)
        st = pfx_fail(err, PFX_EUSAGE, "%s are made of %s: choose one with --coef", list.s, s->o->treatment);
    else if (!coef)
        s->tested = 0;
    pfx_str_free(&list);
    return st;
}

pfx_status placebo_treatment(rep_run *r, const pfx_design *d, pfx_err *err)
{
    placebo_state *s = r->state;
    const char *v = s->o->treatment;
    int j = find_column(d, v);
    pfx_status st = take_treatment(r, d, err);
    if (st == PFX_OK) st = number_periods(s, d, err);
    if (st == PFX_OK) st = refuse_effects(r, d, err);
    if (st != PFX_OK) return st;
    /* Alone in the formula: nothing to rebuild but itself. */
    if (j >= 0 && j < d->p - 1 && count_word(r->formula->models[0].text, v) == 1)
        st = add_drawn(s, v, err);
    else
        st = find_products(r, d, err);
    return st == PFX_OK ? choose(r, err) : st;
}
