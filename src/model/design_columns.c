/* The columns of Z: a numeric term is one, a term with factors one for each combination of levels. */
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/model/dataset_private.h"

/* Dense columns that one term may become. The estimator's work grows with their square: at 2,000 columns a
 * panel of a million rows already takes 4e12 operations, where absorbing the factor takes a pass over the
 * data. */
#define MAX_COLUMNS 2000

typedef struct sample {
    const pfx_dataset *ds;
    pfx_idx n;
    const pfx_idx *rows;
    const unsigned char *keep;
    pfx_err *err;
} sample;

/* ---- levels of one factor of a term ---- */

typedef struct level {
    const pfx_ds_factor *f;
    int32_t code;
} level;

static int level_order(const void *pa, const void *pb)
{
    const level *a = pa, *b = pb;
    if (!a->f->numbers) return strcmp(a->f->labels[a->code], b->f->labels[b->code]);
    double x = a->f->numbers[a->code], y = b->f->numbers[b->code];
    return (x > y) - (x < y);
}

static bool is_level(const pfx_ds_factor *f, pfx_idx code, const char *ref)
{
    double v;
    if (f->numbers && pfx_text_double(ref, strlen(ref), &v)) return v == f->numbers[code];
    return strcmp(f->labels[code], ref) == 0;
}

static pfx_status check_refs(const pfx_ds_factor *f, const pfx_piece *p, pfx_err *err)
{
    for (int i = 0; i < p->n_refs; i++) {
        pfx_idx k = 0;
        while (k < f->n_levels && !is_level(f, k, p->refs[i])) k++;
        if (k < f->n_levels) continue;
        const char *near = pfx_text_nearest(p->refs[i], f->n_levels, (const char *const *)f->labels);
        return pfx_fail(err, PFX_EUSAGE, "formula: i(%s): no level '%s' to be the reference%s%s%s", p->text,
                        p->refs[i], near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return PFX_OK;
}

static bool is_ref(const pfx_ds_factor *f, const pfx_piece *p, int32_t code)
{
    for (int i = 0; i < p->n_refs; i++)
        if (is_level(f, code, p->refs[i])) return true;
    return false;
}

/* Levels of factor k of a group that occur in the sample, sorted, without those that are left out. */
static pfx_status choose_levels(const sample *s, const pfx_ds_factor *f, const pfx_piece *p, bool drop_first,
                                pfx_column_group *g, int k, level **kept)
{
    pfx_idx n = 0;
    pfx_status st = check_refs(f, p, s->err);
    if (st != PFX_OK) return st;
    int32_t *slot = g->slot[k] = pfx_mem_alloc(f->n_levels, sizeof *slot, s->err);
    level *v = *kept = pfx_mem_alloc(f->n_levels, sizeof *v, s->err);
    if (!slot || !v) return PFX_ENOMEM;
    memset(slot, 0xff, (size_t)f->n_levels * sizeof *slot);
    for (pfx_idx i = 0; i < s->n; i++)
        if (s->keep[i]) slot[f->store[s->rows ? s->rows[i] : i]] = 0;
    for (pfx_idx c = 0; c < f->n_levels; c++)
        if (slot[c] == 0) v[n++] = (level){f, (int32_t)c};
    memset(slot, 0xff, (size_t)f->n_levels * sizeof *slot);
    if (n) qsort(v, (size_t)n, sizeof *v, level_order);
    g->width[k] = 0;
    for (pfx_idx i = 0; i < n; i++) {
        if (p->n_refs ? is_ref(f, p, v[i].code) : drop_first && i == 0) continue;
        v[g->width[k]] = v[i];
        slot[v[i].code] = (int32_t)g->width[k]++;
    }
    return PFX_OK;
}

/* ---- which factors leave a level out ---- */

/* t without piece number k is among the terms. */
static bool has_without(const pfx_ds_model *m, const pfx_ds_term *t, const pfx_piece *left_out)
{
    for (int i = 0; i < m->n_terms; i++) {
        const pfx_ds_term *o = &m->terms[i];
        if (o->term->n_pieces != t->term->n_pieces - 1 || (o->role != PFX_REGRESSOR && o->role != t->role))
            continue;
        bool same = true;
        for (int a = 0; a < t->term->n_pieces && same; a++) {
            const pfx_piece *p = &t->term->pieces[a];
            bool found = p == left_out;
            for (int b = 0; b < o->term->n_pieces && !found; b++)
                found = strcmp(p->text, o->term->pieces[b].text) == 0;
            same = found;
        }
        if (same) return true;
    }
    return false;
}

/* R's rule: a level is left out where the term without the factor is in the model. *constant says whether a
 * constant is; without one, the first factor keeps all levels and they add up to one. */
static bool leaves_out(const pfx_ds_model *m, const pfx_ds_term *t, const pfx_piece *p, bool *constant)
{
    if (p->all_levels) return false;
    if (t->term->n_pieces > 1) return has_without(m, t, p);
    bool had = *constant;
    *constant = true;
    return had;
}

static bool spans_constant(const pfx_ds_model *m)
{
    bool constant = m->spec->intercept;
    for (int a = 0; a < m->spec->n_absorbed; a++) constant |= m->spec->absorbed[a].intercept;
    return constant;
}

/* ---- groups ---- */

static pfx_idx combination(const pfx_column_group *g, pfx_idx r)
{
    pfx_idx c = 0;
    for (int k = 0; k < g->n_factors; k++) {
        int32_t slot = g->slot[k][g->code[k][r]];
        if (slot < 0) return -1;
        c = c * g->width[k] + slot;
    }
    return c;
}

static pfx_status too_wide(const sample *s, const pfx_ds_term *t, double columns)
{
    return pfx_fail(s->err, PFX_EUSAGE,
                    "formula: %s would be %.0f dense columns of %lld rows, %.2f GiB: absorb the factor "
                    "instead, as in y ~ x | %s",
                    t->term->text, columns, (long long)s->n, columns * (double)s->n * 8 / 1073741824.0,
                    s->ds->factors[t->factor[0]].text);
}

/* Combinations that occur get columns, in order. */
static pfx_status number_columns(const sample *s, const pfx_ds_term *t, pfx_column_group *g)
{
    double width = 1;
    for (int k = 0; k < g->n_factors; k++) width *= (double)g->width[k];
    if (width > 1e8) return too_wide(s, t, width);
    if (!(g->column = pfx_mem_calloc((pfx_idx)width, sizeof *g->column, s->err))) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < s->n; i++) {
        pfx_idx c = s->keep[i] ? combination(g, s->rows ? s->rows[i] : i) : -1;
        if (c >= 0) g->column[c] = 1;
    }
    for (pfx_idx c = 0; c < (pfx_idx)width; c++) g->column[c] = g->column[c] ? g->n_columns++ : -1;
    double bytes = (double)g->n_columns * (double)s->n * 8;
    return g->n_columns > MAX_COLUMNS || bytes > (double)pfx_par_memory(0) ? too_wide(s, t, g->n_columns)
                                                                           : PFX_OK;
}

static pfx_status add_column(pfx_columns *c, const char *name, pfx_role role, pfx_err *err)
{
    char **names = pfx_mem_realloc(c->name, c->p + 1, sizeof *names, err);
    if (!names) return PFX_ENOMEM;
    c->name = names;
    pfx_role *roles = pfx_mem_realloc(c->role, c->p + 1, sizeof *roles, err);
    if (!roles) return PFX_ENOMEM;
    c->role = roles;
    if (!(names[c->p] = pfx_mem_strdup(name, err))) return PFX_ENOMEM;
    roles[c->p++] = role;
    return PFX_OK;
}

/* "year::2019:x": the pieces in the order written, factors with their level. */
static pfx_status add_combination(const sample *s, const pfx_ds_term *t, const pfx_column_group *g,
                                  level *const *kept, pfx_idx comb, pfx_columns *c)
{
    pfx_str name = {0};
    pfx_idx place[8];
    for (int k = g->n_factors - 1; k >= 0; k--) {
        place[k] = comb % g->width[k];
        comb /= g->width[k];
    }
    for (int a = 0, k = 0; a < t->term->n_pieces; a++) {
        const pfx_piece *p = &t->term->pieces[a];
        pfx_str_addf(&name, "%s%s", a ? ":" : "", p->text);
        if (k < t->n_factors && t->piece[k] == p) {
            const level *v = &kept[k][place[k]];
            pfx_str_addf(&name, "::%s", pfx_dataset_label(v->f, v->code));
            k++;
        }
    }
    pfx_status st = name.failed ? pfx_fail(s->err, PFX_ENOMEM, "out of memory for the names of columns")
                                : add_column(c, name.s, t->role, s->err);
    pfx_str_free(&name);
    return st;
}

static pfx_status make_group(const sample *s, const pfx_ds_model *m, const pfx_ds_term *t, bool *constant,
                             pfx_column_group *g, pfx_columns *c)
{
    *g = (pfx_column_group){.value = t->value, .first = c->p, .n_columns = t->n_factors ? 0 : 1};
    if (t->n_factors == 0) return add_column(c, t->term->text, t->role, s->err);
    level *kept[8] = {0};
    pfx_status st = PFX_OK;
    c->plain = false;
    for (int k = 0; k < t->n_factors && st == PFX_OK; k++) {
        const pfx_ds_factor *f = &s->ds->factors[t->factor[k]];
        g->code[k] = f->store;
        g->n_factors = k + 1;
        st = choose_levels(s, f, t->piece[k], leaves_out(m, t, t->piece[k], constant), g, k, &kept[k]);
    }
    if (st == PFX_OK) st = number_columns(s, t, g);
    pfx_idx width = 1;
    for (int k = 0; k < g->n_factors; k++) width *= g->width[k];
    for (pfx_idx i = 0; i < width && st == PFX_OK; i++)
        if (g->column[i] >= 0) st = add_combination(s, t, g, kept, i, c);
    for (int k = 0; k < t->n_factors; k++) pfx_mem_free(kept[k]);
    return st;
}

pfx_status pfx_columns_make(const pfx_dataset *ds, const pfx_ds_model *m, pfx_idx n, const pfx_idx *rows,
                            const unsigned char *keep, pfx_columns *out, pfx_err *err)
{
    sample s = {ds, n, rows, keep, err};
    bool constant = spans_constant(m);
    *out = (pfx_columns){.plain = true};
    pfx_column_group *g = out->groups = pfx_mem_calloc(m->n_terms + 1, sizeof *out->groups, err);
    if (!g) return PFX_ENOMEM;
    pfx_status st = PFX_OK;
    for (int i = 0; i < m->n_terms && st == PFX_OK; i++)
        st = make_group(&s, m, &m->terms[i], &constant, &g[out->n_groups++], out);
    if (st == PFX_OK) {
        g[out->n_groups++] = (pfx_column_group){.value = m->outcome, .first = out->p, .n_columns = 1};
        st = add_column(out, m->spec->outcome_text, PFX_OUTCOME, err);
    }
    if (st != PFX_OK) pfx_columns_free(out);
    return st;
}

void pfx_columns_free(pfx_columns *c)
{
    for (int i = 0; i < c->n_groups; i++) {
        for (int k = 0; k < c->groups[i].n_factors; k++) pfx_mem_free(c->groups[i].slot[k]);
        pfx_mem_free(c->groups[i].column);
    }
    pfx_mem_free(c->groups);
    for (int j = 0; j < c->p; j++) pfx_mem_free(c->name[j]);
    pfx_mem_free(c->name);
    pfx_mem_free(c->role);
    *c = (pfx_columns){0};
}

void pfx_dataset_free_columns(pfx_dataset *ds)
{
    if (ds->columns) pfx_columns_free(ds->columns);
    pfx_mem_free(ds->columns);
    ds->columns = NULL;
}

void pfx_columns_fill(const pfx_dataset *ds, const pfx_columns *c, pfx_idx r, double *z)
{
    const double *from = ds->table + r * ds->n_values;
    for (int i = 0; i < c->n_groups; i++) {
        const pfx_column_group *g = &c->groups[i];
        double v = g->value >= 0 ? from[g->value] : 1;
        if (g->n_factors == 0) {
            z[g->first] = v;
            continue;
        }
        pfx_idx comb = combination(g, r);
        memset(z + g->first, 0, (size_t)g->n_columns * sizeof *z);
        if (comb >= 0) z[g->first + g->column[comb]] = v;
    }
}
