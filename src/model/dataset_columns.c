/* Which columns of the panel a formula and its options need. */
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/dataset_private.h"
#include "src/model/expr.h"
#include "src/model/formula_private.h"

typedef struct collector {
    int n_available;
    const pfx_col_spec *available;
    const char *what;
    int n, cap;
    char **names;
    bool needs_time;
} collector;

static pfx_status add_name(collector *c, const char *name, pfx_err *err)
{
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->names[i], name) == 0) return PFX_OK;
    void *v = c->names;
    bool room = pfx_list_grow(&v, c->n, &c->cap, sizeof *c->names, err);
    c->names = v;
    if (!room || !(c->names[c->n] = pfx_mem_strdup(name, err))) return PFX_ENOMEM;
    c->n++;
    return PFX_OK;
}

static pfx_status unknown(const collector *c, const char *name, int column, pfx_err *err)
{
    const char **all = pfx_mem_alloc(c->n_available, sizeof *all, err);
    if (!all) return PFX_ENOMEM;
    for (int k = 0; k < c->n_available; k++) all[k] = c->available[k].name;
    const char *near = pfx_text_nearest(name, c->n_available, all);
    pfx_mem_free(all);
    return pfx_fail(err, PFX_EUSAGE, "%s: no column '%s' (at column %d)%s%s%s", c->what, name, column,
                    near ? ": did you mean '" : "; panelfx info lists the columns", near ? near : "",
                    near ? "'?" : "");
}

static pfx_status see_name(void *ctx, const char *name, int column, pfx_err *err)
{
    collector *c = ctx;
    for (int k = 0; k < c->n_available; k++)
        if (strcmp(c->available[k].name, name) == 0) return add_name(c, name, err);
    return unknown(c, name, column, err);
}

static pfx_status see(collector *c, const pfx_expr *e, pfx_err *err)
{
    if (pfx_expr_needs_time(e)) c->needs_time = true;
    return pfx_expr_each_name(e, see_name, c, err);
}

static pfx_status see_terms(collector *c, int n, const pfx_term *t, pfx_err *err)
{
    pfx_status st = PFX_OK;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < t[i].n_pieces && st == PFX_OK; k++) st = see(c, t[i].pieces[k].expr, err);
    return st;
}

static pfx_status see_factor(collector *c, const pfx_factor_spec *f, pfx_err *err)
{
    pfx_status st = PFX_OK;
    for (int k = 0; k < f->n_vars && st == PFX_OK; k++) st = see(c, f->vars[k], err);
    return st;
}

static pfx_status see_model(collector *c, const pfx_model_spec *m, pfx_err *err)
{
    pfx_status st = see(c, m->outcome, err);
    if (st == PFX_OK) st = see_terms(c, m->n_terms, m->terms, err);
    for (int a = 0; a < m->n_absorbed && st == PFX_OK; a++) {
        st = see_factor(c, &m->absorbed[a].factor, err);
        for (int k = 0; k < m->absorbed[a].n_slopes && st == PFX_OK; k++)
            st = see(c, m->absorbed[a].slopes[k], err);
    }
    if (st == PFX_OK) st = see_terms(c, m->n_endogenous, m->endogenous, err);
    return st == PFX_OK ? see_terms(c, m->n_instruments, m->instruments, err) : st;
}

static pfx_status see_expression(collector *c, const char *what, const char *text, pfx_err *err)
{
    pfx_expr *e = NULL;
    if (!text || !text[0]) return PFX_OK;
    c->what = what;
    pfx_status st = pfx_expr_parse(what, text, &e, err);
    if (st == PFX_OK) st = see(c, e, err);
    pfx_expr_free(e);
    return st;
}

static pfx_status see_group(collector *c, const char *what, const char *text, pfx_err *err)
{
    pfx_factor_spec f;
    if (!text) return PFX_OK;
    c->what = what;
    pfx_status st = pfx_factor_parse(what, text, &f, err);
    if (st != PFX_OK) return st;
    st = see_factor(c, &f, err);
    pfx_factor_spec_free(&f);
    return st;
}

/* The time column goes to the front. */
static pfx_status put_time_first(collector *c, const char *time, pfx_err *err)
{
    pfx_status st = add_name(c, time, err);
    if (st != PFX_OK) return st;
    int k = 0;
    while (strcmp(c->names[k], time) != 0) k++;
    char *name = c->names[k];
    memmove(c->names + 1, c->names, (size_t)k * sizeof *c->names);
    c->names[0] = name;
    return PFX_OK;
}

pfx_status pfx_dataset_columns(const pfx_formula *f, const pfx_dataset_options *o,
                               const pfx_panel_spec *panel, int n_available, const pfx_col_spec *available,
                               int *n, char ***names, pfx_err *err)
{
    collector c = {.n_available = n_available, .available = available, .what = "formula"};
    pfx_status st = PFX_OK;
    for (int m = 0; m < f->n_models && st == PFX_OK; m++) st = see_model(&c, &f->models[m], err);
    if (st == PFX_OK) st = see_expression(&c, "--where", o->where, err);
    if (st == PFX_OK) st = see_expression(&c, "--weights", o->weights, err);
    if (st == PFX_OK) st = see_group(&c, "--by", o->by, err);
    for (int k = 0; k < o->n_clusters && st == PFX_OK; k++)
        st = see_group(&c, pfx_dataset_cluster_option(o, k), o->clusters[k], err);
    if (st == PFX_OK && (c.needs_time || o->want_time)) {
        if (panel->time && panel->time[0])
            st = put_time_first(&c, panel->time, err);
        else
            st = pfx_fail(err, PFX_EUSAGE, "%s need a panel with time: import the data with --time",
                          c.needs_time ? "lags" : "periods");
    }
    if (st != PFX_OK) {
        pfx_dataset_free_names(c.n, c.names);
        c.names = NULL;
        c.n = 0;
    }
    *n = c.n;
    *names = c.names;
    return st;
}

void pfx_dataset_free_names(int n, char **names)
{
    for (int i = 0; names && i < n; i++) pfx_mem_free(names[i]);
    pfx_mem_free(names);
}
