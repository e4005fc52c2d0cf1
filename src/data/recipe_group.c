/* Functions of a group of rows: what a first pass gathers, and what each row takes from it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/data/recipe_private.h"
#include "src/model/coder.h"

/* ---- groups ---- */

struct recipe_groups {
    int n;
    int at[RECIPE_MAX_BY];           /* columns */
    pfx_coder number[RECIPE_MAX_BY]; /* codes of a numeric column */
    pfx_coder pair[RECIPE_MAX_BY];   /* codes of all columns up to this one */
    int32_t *work;
    pfx_idx cap;
};

pfx_status recipe_groups_create(const recipe_step *step, const pfx_row_source *src, int n_by, char *const *by,
                                recipe_groups **out, pfx_err *err)
{
    if (n_by > RECIPE_MAX_BY)
        return pfx_fail(err, PFX_EUSAGE, "%s: groups of more than %d columns", step->where, RECIPE_MAX_BY);
    recipe_groups *g = pfx_mem_calloc(1, sizeof *g, err);
    if (!g) return PFX_ENOMEM;
    g->n = n_by;
    for (int i = 0; i < n_by; i++) {
        pfx_status st = recipe_find(step, src, by[i], &g->at[i], err);
        if (st != PFX_OK) {
            recipe_groups_free(g);
            return st;
        }
    }
    *out = g;
    return PFX_OK;
}

void recipe_groups_free(recipe_groups *g)
{
    if (!g) return;
    for (int i = 0; i < g->n; i++) {
        pfx_coder_free(&g->number[i]);
        pfx_coder_free(&g->pair[i]);
    }
    pfx_mem_free(g->work);
    pfx_mem_free(g);
}

pfx_status recipe_groups_code(recipe_groups *g, const pfx_frame *f, int32_t *code, pfx_err *err)
{
    pfx_status st = PFX_OK;
    if (f->n_rows > g->cap) {
        pfx_mem_free(g->work);
        g->cap = 0;
        if (!(g->work = pfx_mem_alloc(f->n_rows, sizeof *g->work, err))) return PFX_ENOMEM;
        g->cap = f->n_rows;
    }
    if (g->n == 0) memset(code, 0, (size_t)f->n_rows * sizeof *code);
    for (int i = 0; i < g->n && st == PFX_OK; i++) {
        const pfx_column *c = &f->cols[g->at[i]];
        int32_t *to = i ? g->work : code;
        if (c->code)
            memcpy(to, c->code, (size_t)f->n_rows * sizeof *to);
        else
            st = pfx_coder_numbers(&g->number[i], f->n_rows, c->num, to, err);
        if (i && st == PFX_OK) st = pfx_coder_pairs(&g->pair[i], f->n_rows, code, g->work, err);
    }
    return st;
}

/* ---- the functions ---- */

/* Of one group: values there, their mean, sum and squares about the mean, in the order of rows. */
typedef struct moments {
    pfx_idx n;
    double mean, sum, square;
} moments;

/* A value of a group, for ranks. */
typedef struct ranked {
    double value;
    int32_t group;
} ranked;

typedef struct group_fn {
    pfx_expr_op op;
    pfx_program *program;
    recipe_groups *groups;
    pfx_coder period; /* GROWTH: codes of (group, period) */
    pfx_coder step;   /* and of periods */
    pfx_idx n_groups, cap_groups;
    moments *of; /* [n_groups] */
    pfx_idx n_ranked, cap_ranked;
    ranked *value;     /* RANK: all values, then sorted */
    double max_ranked; /* as many as memory allows */
    recipe_stage *st;
    double *x;          /* [cap_rows] values of a frame */
    int32_t *code, *at; /* [cap_rows] groups; periods */
    double *shifted;    /* [cap_rows] GROWTH: the period before */
    pfx_idx cap_rows;
} group_fn;

static void free_group(recipe_stage *st)
{
    group_fn *g = st->own;
    if (!g) return;
    pfx_program_free(g->program);
    recipe_groups_free(g->groups);
    pfx_coder_free(&g->period);
    pfx_coder_free(&g->step);
    pfx_mem_free(g->of);
    pfx_mem_free(g->value);
    pfx_mem_free(g->x);
    pfx_mem_free(g->code);
    pfx_mem_free(g->at);
    pfx_mem_free(g->shifted);
    pfx_mem_free(g);
}

static pfx_status reserve(group_fn *g, pfx_idx n, pfx_err *err)
{
    if (n <= g->cap_rows) return PFX_OK;
    pfx_mem_free(g->x);
    pfx_mem_free(g->code);
    pfx_mem_free(g->at);
    pfx_mem_free(g->shifted);
    g->cap_rows = 0;
    g->x = pfx_mem_alloc(n, sizeof *g->x, err);
    g->code = pfx_mem_alloc(n, sizeof *g->code, err);
    g->at = pfx_mem_alloc(n, sizeof *g->at, err);
    g->shifted = pfx_mem_alloc(n, sizeof *g->shifted, err);
    if (!g->x || !g->code || !g->at || !g->shifted) return PFX_ENOMEM;
    g->cap_rows = n;
    return PFX_OK;
}

/* Codes of (group, period `back` periods before each row's) into g->at. */
static pfx_status code_periods(group_fn *g, const pfx_frame *f, double back, pfx_err *err)
{
    if (!f->time)
        return pfx_fail(err, PFX_EUSAGE, "%s: growth(..) needs a panel with time", g->st->step->where);
    for (pfx_idx r = 0; r < f->n_rows; r++) g->shifted[r] = f->time[r] - back;
    pfx_status st = pfx_coder_numbers(&g->step, f->n_rows, g->shifted, g->at, err);
    return st == PFX_OK ? pfx_coder_pairs(&g->period, f->n_rows, g->at, g->code, err) : st;
}

/* Values and groups of a frame of src. */
static pfx_status look(group_fn *g, const pfx_frame *f, pfx_err *err)
{
    pfx_status st = reserve(g, f->n_rows, err);
    if (st == PFX_OK)
        st = recipe_stage_reserve(g->st, f->n_rows, pfx_program_scratch(g->program, f->n_rows), err);
    if (st == PFX_OK) st = pfx_program_eval(g->program, f, g->st->scratch, g->x, err);
    if (st == PFX_OK) st = recipe_groups_code(g->groups, f, g->code, err);
    if (st == PFX_OK && g->op == PFX_X_GROUP_GROWTH) st = code_periods(g, f, 0, err);
    return st;
}

static pfx_status grow_groups(group_fn *g, pfx_idx n, pfx_err *err)
{
    if (n > g->cap_groups) {
        pfx_idx cap = 2 * g->cap_groups > n ? 2 * g->cap_groups : n;
        moments *of = pfx_mem_realloc(g->of, cap, sizeof *of, err);
        if (!of) return PFX_ENOMEM;
        g->of = of;
        g->cap_groups = cap;
    }
    for (; g->n_groups < n; g->n_groups++) g->of[g->n_groups] = (moments){0};
    return PFX_OK;
}

static pfx_status keep_value(group_fn *g, double x, int32_t group, pfx_err *err)
{
    if (g->n_ranked == g->cap_ranked) {
        pfx_idx cap = g->cap_ranked ? 2 * g->cap_ranked : 4096;
        if ((double)cap > g->max_ranked)
            return pfx_fail(err, PFX_ENOMEM,
                            "%s: rank(..) of %lld values and more does not fit into --memory; give more",
                            g->st->step->where, (long long)g->n_ranked);
        ranked *v = pfx_mem_realloc(g->value, cap, sizeof *v, err);
        if (!v) return PFX_ENOMEM;
        g->value = v;
        g->cap_ranked = cap;
    }
    g->value[g->n_ranked++] = (ranked){x, group};
    return PFX_OK;
}

static pfx_status gather(void *ctx, const pfx_frame *f, pfx_err *err)
{
    group_fn *g = ctx;
    pfx_status st = look(g, f, err);
    const int32_t *code = g->op == PFX_X_GROUP_GROWTH ? g->at : g->code;
    for (pfx_idx r = 0; r < f->n_rows && st == PFX_OK; r++) {
        double x = g->x[r];
        if (!isfinite(x) || code[r] == PFX_NA_CODE) continue;
        if ((st = grow_groups(g, (pfx_idx)code[r] + 1, err)) != PFX_OK) break;
        moments *m = &g->of[code[r]];
        double d = x - m->mean;
        m->sum += x;
        m->mean += d / (double)++m->n;
        m->square += d * (x - m->mean);
        if (g->op == PFX_X_GROUP_RANK) st = keep_value(g, x, code[r], err);
    }
    return st;
}

static int by_group_and_value(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

/* First place in g->value that is not below (group, value), or not below or equal. */
static pfx_idx place(const group_fn *g, int32_t group, double value, bool after)
{
    pfx_idx lo = 0, hi = g->n_ranked;
    while (lo < hi) {
        pfx_idx mid = lo + (hi - lo) / 2;
        int c = by_group_and_value(&g->value[mid], &(ranked){value, group});
        if (c < 0 || (after && c == 0))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static double rank_of(const group_fn *g, int32_t group, double value)
{
    pfx_idx first = place(g, group, -INFINITY, false), below = place(g, group, value, false),
            end = place(g, group, value, true);
    return (double)(below - first) + ((double)(end - below) + 1) / 2;
}

/* What a row takes from its group; m NULL: the group has no values. */
static double take(const group_fn *g, const moments *m, int32_t group, double x)
{
    bool there = isfinite(x);
    if (g->op == PFX_X_GROUP_COUNT) return m ? (double)m->n : 0;
    if (!m || m->n == 0) return NAN;
    switch (g->op) {
    case PFX_X_GROUP_MEAN:
        return m->mean;
    case PFX_X_GROUP_SUM:
        return m->sum;
    case PFX_X_GROUP_SD:
        return m->n > 1 ? sqrt(m->square / (double)(m->n - 1)) : NAN;
    case PFX_X_GROUP_LOO: /* of the others, also where the row itself has no value */
        return m->n > there ? (m->sum - (there ? x : 0)) / (double)(m->n - there) : NAN;
    case PFX_X_GROUP_SHARE:
        return there && m->sum != 0 ? x / m->sum : NAN;
    default:
        return there ? rank_of(g, group, x) : NAN;
    }
}

static const moments *group_of(const group_fn *g, int32_t code)
{
    return code == PFX_NA_CODE || code >= g->n_groups ? NULL : &g->of[code];
}

static pfx_status run_growth(group_fn *g, const pfx_frame *f, double *out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    for (pfx_idx r = 0; r < f->n_rows; r++) {
        const moments *m = group_of(g, g->at[r]);
        out[r] = m && m->n ? m->mean : NAN;
    }
    if ((st = code_periods(g, f, 1, err)) != PFX_OK) return st;
    for (pfx_idx r = 0; r < f->n_rows; r++) {
        const moments *m = group_of(g, g->at[r]);
        out[r] = m && m->n && m->mean != 0 ? out[r] / m->mean - 1 : NAN;
    }
    return st;
}

static pfx_status run_group(recipe_stage *st, const pfx_frame *in, unsigned char *drop, pfx_err *err)
{
    group_fn *g = st->own;
    (void)drop;
    pfx_status s = look(g, in, err);
    double *out = recipe_stage_values(st, 0);
    if (s != PFX_OK) return s;
    if (g->op == PFX_X_GROUP_GROWTH) return run_growth(g, in, out, err);
    for (pfx_idx r = 0; r < in->n_rows; r++)
        out[r] = g->code[r] == PFX_NA_CODE ? NAN : take(g, group_of(g, g->code[r]), g->code[r], g->x[r]);
    return PFX_OK;
}

static pfx_status bind(group_fn *g, const pfx_row_source *src, const pfx_expr *e, pfx_err *err)
{
    char *by[RECIPE_MAX_BY];
    const recipe_step *step = g->st->step;
    if (e->n_args - 1 > RECIPE_MAX_BY)
        return pfx_fail(err, PFX_EUSAGE, "%s: groups of more than %d columns", step->where, RECIPE_MAX_BY);
    for (int i = 1; i < e->n_args; i++) {
        if (e->args[i]->op != PFX_X_NAME)
            return pfx_fail(err, PFX_EUSAGE,
                            "%s: at column %d: a group is made of columns; make the expression a column "
                            "first",
                            step->where, e->args[i]->column);
        by[i - 1] = e->args[i]->text;
    }
    pfx_status st = recipe_groups_create(step, src, e->n_args - 1, by, &g->groups, err);
    if (st != PFX_OK) return st;
    return pfx_expr_bind(e->args[0], step->where, src->n_cols, src->cols, &src->panel, &g->program, err);
}

pfx_status recipe_group(const recipe_step *step, pfx_row_source src, const pfx_expr *e, const char *name,
                        double memory, pfx_row_source *out, pfx_err *err)
{
    recipe_stage *st = NULL;
    int at;
    pfx_status s = recipe_stage_create(step, src, &st, err);
    if (s != PFX_OK) return s;
    st->silent = true;
    /* The hidden columns before this one are still wanted. */
    st->n_cols = src.n_cols;
    for (int c = 0; c < src.n_cols; c++) st->from[c] = c, st->cols[c] = src.cols[c];
    group_fn *g = pfx_mem_calloc(1, sizeof *g, err);
    st->own = g;
    st->free_own = free_group;
    st->run = run_group;
    s = g ? recipe_stage_add(st,
                             (pfx_col_spec){.name = name, .label = "", .kind = PFX_NUMERIC, .dtype = PFX_F64},
                             &at, err)
          : PFX_ENOMEM;
    if (s == PFX_OK) {
        g->st = st;
        g->op = e->op;
        g->max_ranked = memory / sizeof *g->value;
        s = bind(g, &src, e, err);
    }
    if (s == PFX_OK) s = recipe_each_block(&st->src, gather, g, err);
    if (s != PFX_OK) {
        recipe_stage_close(st);
        return s;
    }
    if (g->n_ranked > 0) qsort(g->value, (size_t)g->n_ranked, sizeof *g->value, by_group_and_value);
    *out = recipe_stage_source(st);
    return PFX_OK;
}
