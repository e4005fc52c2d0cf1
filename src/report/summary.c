/* The pass over a panel that gives moments and counts, and the result in the order of reports. */
#include "src/report/summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/calendar.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/report/summary_moments.h"
#include "src/report/summary_pass.h"

/* First pass: accumulators of the numbers, counts of the levels; groups by code. */
typedef struct variable {
    summary_acc acc;
    pfx_idx n_levels, cap_groups;
    pfx_idx *count; /* [cap_groups x (n_levels + 1)], the last for missing; categories */
} variable;

typedef struct first_pass {
    summary_pass *p;
    variable *var;
    const pfx_frame *block;
    int *col; /* [n_vars] column of the pass's source */
} first_pass;

static void add_block(void *ctx, pfx_idx v, int thread)
{
    const first_pass *a = ctx;
    variable *x = &a->var[v];
    const pfx_column *c = &a->block->cols[a->col[v]];
    const int32_t *g = a->p->group;
    (void)thread;
    if (c->num) {
        summary_acc_rows(&x->acc, a->block->n_rows, c->num, g);
        if (a->p->o->panel) summary_acc_units(&x->acc, c->num, g, a->block->n_units, a->block->unit_start);
        return;
    }
    for (pfx_idx r = 0; r < a->block->n_rows; r++)
        if (g[r] >= 0) x->count[g[r] * (x->n_levels + 1) + (c->code[r] < 0 ? x->n_levels : c->code[r])]++;
}

static pfx_status reserve_groups(variable *x, bool category, pfx_idx n, pfx_err *err)
{
    if (!category) return summary_acc_reserve(&x->acc, n, err);
    if (n <= x->cap_groups) return PFX_OK;
    const pfx_idx cap = 2 * x->cap_groups > n ? 2 * x->cap_groups : n, w = x->n_levels + 1;
    pfx_idx *count = pfx_mem_realloc(x->count, cap * w, sizeof *count, err);
    if (!count) return PFX_ENOMEM;
    memset(count + x->cap_groups * w, 0, (size_t)((cap - x->cap_groups) * w) * sizeof *count);
    x->count = count;
    x->cap_groups = cap;
    return PFX_OK;
}

static pfx_status run_first(first_pass *a, pfx_err *err)
{
    summary_pass *p = a->p;
    pfx_status st;
    for (int v = 0; v < p->o->n_vars; v++) {
        a->col[v] = 0;
        while (strcmp(p->names[a->col[v]], p->o->vars[v]) != 0) a->col[v]++;
        a->var[v].n_levels = p->src.cols[a->col[v]].n_levels;
    }
    for (;;) {
        if ((st = summary_pass_next(p, &a->block, err)) || !a->block) return st;
        if (p->o->panel && !a->block->unit_start)
            return pfx_fail(err, PFX_EDATA, "--panel: this panel has no units; import it with --unit");
        for (int v = 0; v < p->o->n_vars; v++)
            if ((st = reserve_groups(&a->var[v], !a->block->cols[a->col[v]].num, p->n_groups, err)))
                return st;
        pfx_par_for(p->o->n_vars, p->o->nth, add_block, a);
    }
}

/* Groups that have rows, in the order of reports: codes for category levels, ascending numbers otherwise. */
static int by_key(const void *a, const void *b)
{
    const summary_order *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

static bool group_has_rows(const variable *var, const summary_pass *p, pfx_idx g)
{
    for (int v = 0; v < p->o->n_vars; v++) {
        if (var[v].acc.group && (var[v].acc.group[g].all.n || var[v].acc.group[g].missing)) return true;
        for (pfx_idx l = 0; var[v].count && l <= var[v].n_levels; l++)
            if (var[v].count[g * (var[v].n_levels + 1) + l]) return true;
    }
    return false;
}

static pfx_status order_groups(const first_pass *a, pfx_summary *s, summary_order **order, pfx_err *err)
{
    const summary_pass *p = a->p;
    const bool number = p->by_col >= 0 && p->src.cols[p->by_col].kind != PFX_CATEGORY;
    char text[64];
    if (!(*order = pfx_mem_alloc(p->n_groups, sizeof **order, err))) return PFX_ENOMEM;
    for (pfx_idx g = 0; g < p->n_groups; g++)
        if (group_has_rows(a->var, p, g))
            (*order)[s->n_groups++] =
                (summary_order){number ? pfx_coder_number(&p->coder, (int32_t)g) : (double)g, (int32_t)g};
    qsort(*order, (size_t)s->n_groups, sizeof **order, by_key);
    if (!(s->groups = pfx_mem_calloc(s->n_groups, sizeof *s->groups, err))) return PFX_ENOMEM;
    for (pfx_idx j = 0; j < s->n_groups; j++) {
        const char *label = "all";
        snprintf(text, sizeof text, "%.10g", (*order)[j].key);
        if (p->by_col >= 0 && p->src.cols[p->by_col].kind == PFX_TIME)
            pfx_time_write(p->src.panel.time_unit, (*order)[j].key, sizeof text, text);
        if (p->by_col >= 0) label = number ? text : p->src.cols[p->by_col].levels[(*order)[j].code];
        if (!(s->groups[j] = pfx_mem_strdup(label, err))) return PFX_ENOMEM;
    }
    return PFX_OK;
}

/* From accumulators to the result, groups in their order. */
static pfx_status finish_variable(const variable *x, const pfx_col_spec *spec, const summary_order *order,
                                  pfx_summary *s, pfx_summary_var *v, pfx_err *err)
{
    v->category = spec->kind == PFX_CATEGORY;
    v->integer = spec->dtype == PFX_I32 || spec->dtype == PFX_I64;
    if (!(v->name = pfx_mem_strdup(spec->name, err))) return PFX_ENOMEM;
    if (!(v->cell = pfx_mem_calloc(s->n_groups, sizeof *v->cell, err))) return PFX_ENOMEM;
    if (!v->category) {
        for (pfx_idx j = 0; j < s->n_groups; j++)
            summary_acc_finish(&x->acc.group[order[j].code], s->panel, &v->cell[j]);
        return PFX_OK;
    }
    v->n_levels = x->n_levels;
    if (!(v->count = pfx_mem_alloc(s->n_groups * v->n_levels, sizeof *v->count, err))) return PFX_ENOMEM;
    if (!(v->levels = pfx_mem_calloc(v->n_levels, sizeof *v->levels, err))) return PFX_ENOMEM;
    for (pfx_idx l = 0; l < v->n_levels; l++)
        if (!(v->levels[l] = pfx_mem_strdup(spec->levels[l], err))) return PFX_ENOMEM;
    for (pfx_idx j = 0; j < s->n_groups; j++) {
        const pfx_idx *count = x->count + order[j].code * (x->n_levels + 1);
        memcpy(v->count + j * v->n_levels, count, (size_t)v->n_levels * sizeof *count);
        summary_acc_finish(&(summary_group){.missing = count[x->n_levels]}, false, &v->cell[j]);
        for (pfx_idx l = 0; l < v->n_levels; l++) v->cell[j].n += count[l];
    }
    return PFX_OK;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static pfx_status start_summary(const pfx_summary_options *o, pfx_summary *s, pfx_err *err)
{
    s->panel = o->panel;
    s->n_probs = o->n_probs;
    if (!(s->probs = pfx_mem_alloc(o->n_probs, sizeof *s->probs, err))) return PFX_ENOMEM;
    if (!(s->vars = pfx_mem_calloc(o->n_vars, sizeof *s->vars, err))) return PFX_ENOMEM;
    s->n_vars = o->n_vars;
    if (o->by && !(s->by = pfx_mem_strdup(o->by, err))) return PFX_ENOMEM;
    for (int j = 0; j < o->n_probs; j++) {
        s->probs[j] = o->probs[j];
        if (!(o->probs[j] >= 0 && o->probs[j] <= 1))
            return pfx_fail(err, PFX_EUSAGE, "--quantiles %g: want probabilities from 0 to 1", o->probs[j]);
    }
    qsort(s->probs, (size_t)s->n_probs, sizeof *s->probs, ascending);
    return PFX_OK;
}

pfx_status pfx_summarize(const pfx_summary_options *o, const pfx_summary_input *in, pfx_summary **out,
                         pfx_err *err)
{
    summary_pass p = {.o = o};
    first_pass first = {.p = &p};
    summary_order *order = NULL;
    pfx_status st;
    pfx_summary *s = pfx_mem_calloc(1, sizeof *s, err);
    if (!s) return PFX_ENOMEM;

    if ((st = start_summary(o, s, err)) ||
        (o->where && (st = pfx_expr_parse("--where", o->where, &p.where, err))) ||
        (st = summary_pass_open(&p, in, 0, o->n_vars, err)))
        goto done;
    first.var = pfx_mem_calloc(o->n_vars, sizeof *first.var, err);
    first.col = pfx_mem_alloc(o->n_vars, sizeof *first.col, err);
    if (!first.var || !first.col) {
        st = PFX_ENOMEM;
        goto done;
    }
    if ((st = run_first(&first, err))) goto done;
    s->n_rows = p.n_rows;
    s->n_kept = p.n_kept;
    s->n_no_group = p.n_no_group;
    if (p.n_kept == p.n_no_group) {
        st = pfx_fail(err, PFX_EDATA,
                      p.n_rows == 0   ? "the panel has no rows"
                      : p.n_kept == 0 ? "no rows are left by --where"
                                      : "--by: all its values are missing");
        goto done;
    }
    if ((st = order_groups(&first, s, &order, err))) goto done;
    for (int v = 0; v < o->n_vars; v++)
        if ((st = finish_variable(&first.var[v], &p.src.cols[first.col[v]], order, s, &s->vars[v], err)))
            goto done;
    summary_pass_close(&p);
    if (o->n_probs) st = summary_run_quantiles(&p, in, order, s, err);
done:
    for (int v = 0; first.var && v < o->n_vars; v++) {
        summary_acc_free(&first.var[v].acc);
        pfx_mem_free(first.var[v].count);
    }
    pfx_mem_free(first.var);
    pfx_mem_free(first.col);
    pfx_mem_free(order);
    summary_pass_free(&p);
    if (st)
        pfx_summary_free(s);
    else
        *out = s;
    return st;
}

void pfx_summary_free(pfx_summary *s)
{
    if (!s) return;
    for (int v = 0; s->vars && v < s->n_vars; v++) {
        pfx_summary_var *x = &s->vars[v];
        for (pfx_idx l = 0; x->levels && l < x->n_levels; l++) pfx_mem_free(x->levels[l]);
        pfx_mem_free(x->levels);
        pfx_mem_free(x->name);
        pfx_mem_free(x->count);
        pfx_mem_free(x->cell);
        pfx_mem_free(x->quantile);
    }
    for (pfx_idx g = 0; s->groups && g < s->n_groups; g++) pfx_mem_free(s->groups[g]);
    pfx_mem_free(s->groups);
    pfx_mem_free(s->vars);
    pfx_mem_free(s->probs);
    pfx_mem_free(s->by);
    pfx_mem_free(s);
}
