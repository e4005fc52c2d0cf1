/* The plan of a dataset: every expression that the models need, bound to the source's columns, each once. */
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/dataset_private.h"
#include "src/model/formula_private.h"

enum { MAX_FACTORS_OF_TERM = 8 };

typedef struct planner {
    const pfx_row_source *src;
    pfx_dataset *ds;
    int model; /* whose needs are being added; -1: everybody's */
    pfx_err *err;
} planner;

static pfx_status bind(planner *pl, const pfx_expr *e, const char *what, pfx_program **out)
{
    if (pfx_expr_needs_time(e)) pl->ds->needs_time = true;
    return pfx_expr_bind(e, what, pl->src->n_cols, pl->src->cols, &pl->src->panel, out, pl->err);
}

/* Something is needed by the current model. */
static void count_use(const planner *pl, int *n_models, int *last)
{
    if (pl->model < 0)
        *n_models = pl->ds->n_models;
    else if (*n_models == 0 || (*last != pl->model && *n_models < pl->ds->n_models))
        ++*n_models;
    *last = pl->model;
}

static pfx_status not_a_number(const planner *pl, const pfx_expr *e, const char *text, const char *what)
{
    return pfx_fail(pl->err, PFX_EUSAGE,
                    "%s: '%s' at column %d is a category (text) and a number is needed here", what, text,
                    e->column);
}

/* The value of a numeric expression, found by its text or added to the list v. */
static pfx_status need_value(planner *pl, const pfx_expr *e, const char *text, const char *what, bool extra,
                             int *at)
{
    int *n = extra ? &pl->ds->n_extras : &pl->ds->n_values,
        *cap = extra ? &pl->ds->cap_extras : &pl->ds->cap_values;
    void *list = extra ? pl->ds->extras : pl->ds->values;
    int k = 0;
    while (k < *n && strcmp(((pfx_ds_value *)list)[k].text, text) != 0) k++;
    if (k == *n) {
        pfx_ds_value v = {0};
        bool room = pfx_list_grow(&list, *n, cap, sizeof v, pl->err);
        *(extra ? &pl->ds->extras : &pl->ds->values) = list;
        if (!room) return PFX_ENOMEM;
        if (!(v.text = pfx_mem_strdup(text, pl->err))) return PFX_ENOMEM;
        pfx_status st = bind(pl, e, what, &v.prog);
        if (st == PFX_OK && pfx_program_levels_of(v.prog) >= 0) st = not_a_number(pl, e, text, what);
        if (st != PFX_OK) {
            pfx_mem_free(v.text);
            pfx_program_free(v.prog);
            return st;
        }
        ((pfx_ds_value *)list)[(*n)++] = v;
    }
    pfx_ds_value *v = &((pfx_ds_value *)list)[k];
    count_use(pl, &v->n_models, &v->last_model);
    *at = k;
    return PFX_OK;
}

static pfx_status add_factor(planner *pl, const pfx_factor_spec *spec, const char *what)
{
    pfx_dataset *ds = pl->ds;
    void *list = ds->factors;
    bool room = pfx_list_grow(&list, ds->n_factors, &ds->cap_factors, sizeof *ds->factors, pl->err);
    ds->factors = list;
    if (!room) return PFX_ENOMEM;
    pfx_ds_factor *f = &ds->factors[ds->n_factors++];
    *f = (pfx_ds_factor){0};
    if (!(f->text = pfx_mem_strdup(spec->text, pl->err))) return PFX_ENOMEM;
    if (!(f->vars = pfx_mem_calloc(spec->n_vars, sizeof *f->vars, pl->err))) return PFX_ENOMEM;
    if (!(f->pairs = pfx_mem_calloc(spec->n_vars, sizeof *f->pairs, pl->err))) return PFX_ENOMEM;
    for (int k = 0; k < spec->n_vars; k++) {
        f->n_vars = k + 1;
        pfx_status st = bind(pl, spec->vars[k], what, &f->vars[k].prog);
        if (st != PFX_OK) return st;
        f->vars[k].category = pfx_program_levels_of(f->vars[k].prog) >= 0;
    }
    return PFX_OK;
}

static pfx_status need_factor(planner *pl, const pfx_factor_spec *spec, const char *what, bool labelled,
                              int *at)
{
    pfx_dataset *ds = pl->ds;
    int k = 0;
    /* i(a^b) is a power, the effect a^b is a combination: the number of variables tells them apart */
    while (k < ds->n_factors &&
           (ds->factors[k].n_vars != spec->n_vars || strcmp(ds->factors[k].text, spec->text) != 0))
        k++;
    if (k == ds->n_factors) {
        pfx_status st = add_factor(pl, spec, what);
        if (st != PFX_OK) return st;
    }
    ds->factors[k].labelled |= labelled;
    count_use(pl, &ds->factors[k].n_models, &ds->factors[k].last_model);
    *at = k;
    return PFX_OK;
}

/* Is the piece levels: i(..), or an expression that is a category? */
static pfx_status is_levels(planner *pl, const pfx_piece *p, bool *levels)
{
    pfx_program *prog = NULL;
    *levels = true;
    if (p->is_factor) return PFX_OK;
    pfx_status st = bind(pl, p->expr, "formula", &prog);
    if (st == PFX_OK) *levels = pfx_program_levels_of(prog) >= 0;
    pfx_program_free(prog);
    return st;
}

static pfx_status add_factor_piece(planner *pl, pfx_ds_term *t, const pfx_piece *p)
{
    if (t->n_factors == MAX_FACTORS_OF_TERM)
        return pfx_fail(pl->err, PFX_EUSAGE,
                        "formula: the term %s has more than %d factors: absorb it instead", t->term->text,
                        MAX_FACTORS_OF_TERM);
    pfx_expr *var = p->expr;
    pfx_factor_spec spec = {p->text, 1, &var};
    pfx_status st = need_factor(pl, &spec, "formula", true, &t->factor[t->n_factors]);
    if (st == PFX_OK) t->piece[t->n_factors++] = p;
    return st;
}

/* Multiply *product by the piece. */
static pfx_status multiply(planner *pl, const pfx_piece *p, pfx_expr **product, pfx_str *text)
{
    pfx_expr *e = pfx_expr_clone(p->expr, pl->err);
    if (e && *product) {
        pfx_expr *args[2] = {*product, e};
        e = pfx_expr_node(PFX_X_MUL, p->expr->column, 2, args, pl->err);
        *product = NULL;
    }
    if (!e) return PFX_ENOMEM;
    *product = e;
    pfx_str_addf(text, "%s%s", text->len ? ":" : "", p->text);
    return text->failed ? pfx_fail(pl->err, PFX_ENOMEM, "out of memory for a formula") : PFX_OK;
}

static pfx_status plan_term(planner *pl, const pfx_term *term, pfx_role role, pfx_ds_term *t)
{
    pfx_expr *product = NULL;
    pfx_str text = {0};
    pfx_status st = PFX_OK;
    *t = (pfx_ds_term){.term = term, .role = role, .value = -1};
    if (!(t->factor = pfx_mem_calloc(term->n_pieces, sizeof *t->factor, pl->err))) return PFX_ENOMEM;
    if (!(t->piece = pfx_mem_calloc(term->n_pieces, sizeof *t->piece, pl->err))) return PFX_ENOMEM;
    for (int k = 0; k < term->n_pieces && st == PFX_OK; k++) {
        const pfx_piece *p = &term->pieces[k];
        bool levels;
        if ((st = is_levels(pl, p, &levels)) != PFX_OK) break;
        st = levels ? add_factor_piece(pl, t, p) : multiply(pl, p, &product, &text);
    }
    if (st == PFX_OK && product) st = need_value(pl, product, text.s, "formula", false, &t->value);
    pfx_expr_free(product);
    pfx_str_free(&text);
    return st;
}

static pfx_status plan_terms(planner *pl, int n, const pfx_term *terms, pfx_role role, pfx_ds_model *m)
{
    pfx_status st = PFX_OK;
    for (int i = 0; i < n && st == PFX_OK; i++) st = plan_term(pl, &terms[i], role, &m->terms[m->n_terms++]);
    return st;
}

static pfx_status plan_absorbed(planner *pl, const pfx_model_spec *spec, pfx_ds_model *m)
{
    pfx_status st = PFX_OK;
    if (!(m->absorbed = pfx_mem_calloc(spec->n_absorbed, sizeof *m->absorbed, pl->err))) return PFX_ENOMEM;
    if (!(m->slopes = pfx_mem_calloc(spec->n_absorbed, sizeof *m->slopes, pl->err))) return PFX_ENOMEM;
    for (int a = 0; a < spec->n_absorbed && st == PFX_OK; a++) {
        const pfx_absorb_spec *s = &spec->absorbed[a];
        if ((st = need_factor(pl, &s->factor, "formula", false, &m->absorbed[a])) != PFX_OK) break;
        if (!(m->slopes[a] = pfx_mem_calloc(s->n_slopes, sizeof **m->slopes, pl->err))) return PFX_ENOMEM;
        for (int k = 0; k < s->n_slopes && st == PFX_OK; k++)
            st = need_value(pl, s->slopes[k], s->slope_text[k], "formula", true, &m->slopes[a][k]);
    }
    return st;
}

/* Values are numbered in the order of Z, so that the table of a single model is its Z. */
static pfx_status plan_model(planner *pl, const pfx_model_spec *spec, pfx_ds_model *m)
{
    m->spec = spec;
    m->terms =
        pfx_mem_calloc(spec->n_terms + spec->n_endogenous + spec->n_instruments, sizeof *m->terms, pl->err);
    if (!m->terms) return PFX_ENOMEM;
    pfx_status st = plan_terms(pl, spec->n_terms, spec->terms, PFX_REGRESSOR, m);
    if (st == PFX_OK) st = plan_terms(pl, spec->n_endogenous, spec->endogenous, PFX_ENDOGENOUS, m);
    if (st == PFX_OK) st = plan_terms(pl, spec->n_instruments, spec->instruments, PFX_INSTRUMENT, m);
    if (st == PFX_OK) st = need_value(pl, spec->outcome, spec->outcome_text, "formula", false, &m->outcome);
    return st == PFX_OK ? plan_absorbed(pl, spec, m) : st;
}

static pfx_status plan_where(planner *pl, const char *text)
{
    pfx_expr *e = NULL;
    if (!(pl->ds->where_text = pfx_mem_strdup(text, pl->err))) return PFX_ENOMEM;
    pfx_status st = pfx_expr_parse("--where", text, &e, pl->err);
    if (st == PFX_OK) st = bind(pl, e, "--where", &pl->ds->where);
    if (st == PFX_OK && pfx_program_levels_of(pl->ds->where) >= 0) st = not_a_number(pl, e, text, "--where");
    pfx_expr_free(e);
    return st;
}

static pfx_status plan_weights(planner *pl, const char *text)
{
    pfx_expr *e = NULL;
    pfx_status st = pfx_expr_parse("--weights", text, &e, pl->err);
    char *canonical = st == PFX_OK ? pfx_expr_text(e, pl->err) : NULL;
    if (st == PFX_OK && !canonical) st = PFX_ENOMEM;
    if (st == PFX_OK) st = need_value(pl, e, canonical, "--weights", true, &pl->ds->weights);
    pfx_mem_free(canonical);
    pfx_expr_free(e);
    return st;
}

static pfx_status plan_group(planner *pl, const char *what, const char *text, bool single, int *at)
{
    pfx_factor_spec spec;
    pfx_status st = pfx_factor_parse(what, text, &spec, pl->err);
    if (st != PFX_OK) return st;
    if (single && spec.n_vars != 1)
        st = pfx_fail(pl->err, PFX_EUSAGE, "%s: '%s': a single column is needed", what, text);
    if (st == PFX_OK) st = need_factor(pl, &spec, what, single, at);
    pfx_factor_spec_free(&spec);
    return st;
}

static pfx_status plan_options(planner *pl, const pfx_dataset_options *o)
{
    pfx_dataset *ds = pl->ds;
    pfx_status st = PFX_OK;
    pl->model = -1;
    ds->weights = ds->by = -1;
    ds->keep_singletons = o->keep_singletons;
    ds->n_variance = o->n_variance ? o->n_variance : o->n_clusters;
    ds->want_rows = o->want_rows;
    ds->want_time = o->want_time;
    ds->want_origin = o->want_origin && o->by;
    if (o->where && o->where[0]) st = plan_where(pl, o->where);
    if (st == PFX_OK && o->weights) st = plan_weights(pl, o->weights);
    if (st == PFX_OK && o->weights)
        ds->weights_kind = o->weights_kind == PFX_W_NONE ? PFX_W_ANALYTIC : o->weights_kind;
    if (st == PFX_OK && o->by) st = plan_group(pl, "--by", o->by, true, &ds->by);
    if (st == PFX_OK && !(ds->clusters = pfx_mem_calloc(o->n_clusters, sizeof *ds->clusters, pl->err)))
        st = PFX_ENOMEM;
    for (int c = 0; c < o->n_clusters && st == PFX_OK; c++) {
        st = plan_group(pl, pfx_dataset_cluster_option(o, c), o->clusters[c], false, &ds->clusters[c]);
        ds->n_clusters = c + 1;
    }
    if (st == PFX_OK && o->want_time && (!pl->src->panel.time || !pl->src->panel.time[0]))
        st = pfx_fail(pl->err, PFX_EUSAGE, "this needs a panel with time: import the data with --time");
    return st;
}

pfx_status pfx_dataset_plan(const pfx_row_source *src, const pfx_formula *f, const pfx_dataset_options *o,
                            pfx_dataset *ds, pfx_err *err)
{
    planner pl = {.src = src, .ds = ds, .err = err};
    ds->formula = f;
    ds->weights = ds->by = -1;
    if (!(ds->models = pfx_mem_calloc(f->n_models, sizeof *ds->models, err))) return PFX_ENOMEM;
    ds->n_models = f->n_models;
    pfx_status st = PFX_OK;
    for (pl.model = 0; pl.model < f->n_models && st == PFX_OK; pl.model++)
        st = plan_model(&pl, &f->models[pl.model], &ds->models[pl.model]);
    if (st == PFX_OK) st = plan_options(&pl, o);
    for (int k = 0; k < ds->n_values; k++) ds->values[k].all = ds->values[k].n_models == ds->n_models;
    for (int k = 0; k < ds->n_extras; k++) ds->extras[k].all = ds->extras[k].n_models == ds->n_models;
    for (int k = 0; k < ds->n_factors; k++) ds->factors[k].all = ds->factors[k].n_models == ds->n_models;
    return st;
}

static void free_value(pfx_ds_value *v)
{
    pfx_mem_free(v->text);
    pfx_program_free(v->prog);
    pfx_mem_free(v->buf);
    pfx_mem_free(v->store);
}

static void free_factor(pfx_ds_factor *f)
{
    for (int k = 0; k < f->n_vars; k++) {
        pfx_program_free(f->vars[k].prog);
        pfx_coder_free(&f->vars[k].coder);
        pfx_mem_free(f->vars[k].buf);
        if (f->pairs) pfx_coder_free(&f->pairs[k]);
    }
    pfx_mem_free(f->vars);
    pfx_mem_free(f->pairs);
    pfx_mem_free(f->text);
    pfx_mem_free(f->store);
    for (pfx_idx k = 0; f->labels && k < f->n_levels; k++) pfx_mem_free(f->labels[k]);
    pfx_mem_free(f->labels);
    pfx_mem_free(f->numbers);
}

static void free_model(pfx_ds_model *m)
{
    for (int i = 0; i < m->n_terms; i++) {
        pfx_mem_free(m->terms[i].factor);
        pfx_mem_free(m->terms[i].piece);
    }
    pfx_mem_free(m->terms);
    pfx_mem_free(m->absorbed);
    for (int a = 0; m->slopes && a < m->spec->n_absorbed; a++) pfx_mem_free(m->slopes[a]);
    pfx_mem_free(m->slopes);
}

void pfx_dataset_free(pfx_dataset *ds)
{
    if (!ds) return;
    for (int m = 0; m < ds->n_models; m++) free_model(&ds->models[m]);
    pfx_mem_free(ds->models);
    for (int k = 0; k < ds->n_values; k++) free_value(&ds->values[k]);
    for (int k = 0; k < ds->n_extras; k++) free_value(&ds->extras[k]);
    for (int k = 0; k < ds->n_factors; k++) free_factor(&ds->factors[k]);
    pfx_mem_free(ds->values);
    pfx_mem_free(ds->extras);
    pfx_mem_free(ds->factors);
    pfx_program_free(ds->where);
    pfx_mem_free(ds->where_text);
    pfx_mem_free(ds->clusters);
    pfx_mem_free(ds->table);
    pfx_mem_free(ds->row);
    pfx_mem_free(ds->time);
    pfx_mem_free(ds->by_code);
    pfx_mem_free(ds->dropped);
    pfx_mem_free(ds->by_start);
    pfx_mem_free(ds->by_rows);
    pfx_dataset_free_columns(ds);
    pfx_mem_free(ds);
}
