/* One model's design from the loaded rows: the sample (missing values, zero weights, singletons), then the
 * arrays. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/model/dataset_private.h"

typedef struct builder {
    pfx_dataset *ds;
    const pfx_ds_model *m;
    pfx_idx by;
    pfx_idx n;           /* rows looked at: those stored, or those of one level of --by */
    const pfx_idx *rows; /* [n] stored rows, NULL: 0..n-1 */
    unsigned char *keep; /* [n] */
    bool in_place;       /* the dataset's arrays become the design's */
    int *extra_uses;     /* [n_extras] still to come: the last one may take the array */
    pfx_design *d;
    pfx_err *err;
} builder;

static pfx_idx stored(const builder *b, pfx_idx i)
{
    return b->rows ? b->rows[i] : i;
}

/* ---- the sample ---- */

static void drop_missing_value(builder *b, const pfx_ds_value *v, const double *x, pfx_idx stride)
{
    if (v->all) return; /* rows without it were never stored */
    for (pfx_idx i = 0; i < b->n; i++) b->keep[i] &= fabs(x[stored(b, i) * stride]) <= DBL_MAX;
}

static void drop_missing_level(builder *b, const pfx_ds_factor *f)
{
    if (f->all) return;
    for (pfx_idx i = 0; i < b->n; i++) b->keep[i] &= f->store[stored(b, i)] != PFX_NA_CODE;
}

static void drop_missing(builder *b)
{
    const pfx_dataset *ds = b->ds;
    const pfx_ds_model *m = b->m;
    drop_missing_value(b, &ds->values[m->outcome], ds->table + m->outcome, ds->n_values);
    for (int t = 0; t < m->n_terms; t++) {
        int v = m->terms[t].value;
        if (v >= 0) drop_missing_value(b, &ds->values[v], ds->table + v, ds->n_values);
        for (int k = 0; k < m->terms[t].n_factors; k++)
            drop_missing_level(b, &ds->factors[m->terms[t].factor[k]]);
    }
    for (int a = 0; a < m->spec->n_absorbed; a++) {
        drop_missing_level(b, &ds->factors[m->absorbed[a]]);
        for (int s = 0; s < m->spec->absorbed[a].n_slopes; s++) {
            const pfx_ds_value *v = &ds->extras[m->slopes[a][s]];
            drop_missing_value(b, v, v->store, 1);
        }
    }
}

static pfx_idx count_kept(const builder *b)
{
    pfx_idx n = 0;
    for (pfx_idx i = 0; i < b->n; i++) n += b->keep[i];
    return n;
}

static void drop_zero_weights(builder *b)
{
    if (b->ds->weights < 0) return;
    const double *w = b->ds->extras[b->ds->weights].store;
    for (pfx_idx i = 0; i < b->n; i++) {
        if (!b->keep[i] || w[stored(b, i)] > 0) continue;
        b->keep[i] = 0;
        b->d->n_zero_weight++;
    }
}

static pfx_status drop_singletons(builder *b)
{
    const pfx_model_spec *spec = b->m->spec;
    if (b->ds->keep_singletons || spec->n_absorbed == 0) return PFX_OK;
    pfx_status st = PFX_ENOMEM;
    int n_groups = 0;
    const int32_t **code = pfx_mem_alloc(spec->n_absorbed, sizeof *code, b->err);
    pfx_idx *n_levels = pfx_mem_alloc(spec->n_absorbed, sizeof *n_levels, b->err);
    if (code && n_levels) {
        for (int a = 0; a < spec->n_absorbed; a++) {
            if (!spec->absorbed[a].intercept) continue;
            const pfx_ds_factor *f = &b->ds->factors[b->m->absorbed[a]];
            code[n_groups] = f->store;
            n_levels[n_groups++] = f->n_levels;
        }
        st = pfx_sample_singletons(b->n, b->rows, n_groups, code, n_levels, b->keep, &b->d->n_singletons,
                                   b->err);
    }
    pfx_mem_free(code);
    pfx_mem_free(n_levels);
    return st;
}

/* " (year = 2019)" for messages, "" without --by. */
static const char *at_level(const pfx_dataset *ds, pfx_idx by, char buf[256])
{
    buf[0] = '\0';
    if (ds->by >= 0) {
        const pfx_ds_factor *f = &ds->factors[ds->by];
        snprintf(buf, 256, " (%.80s = %.120s)", f->text, pfx_dataset_label(f, ds->by_code[by]));
    }
    return buf;
}

/* Every row lacks something: say whether it is the outcome, else which column lacks most. */
static pfx_status all_missing(const pfx_dataset *ds, const pfx_ds_model *m, pfx_idx by, long long n,
                              pfx_err *err)
{
    const pfx_ds_value *y = &ds->values[m->outcome];
    char buf[256];
    if (y->n_missing == ds->n_where)
        return pfx_fail(err, PFX_EDATA,
                        "outcome '%s' is missing in all %lld rows%s: check the column and --where", y->text,
                        n, at_level(ds, by, buf));
    const char *worst = y->text;
    pfx_idx most = y->n_missing;
    for (int t = 0; t < m->n_terms; t++) {
        const pfx_ds_term *term = &m->terms[t];
        if (term->value >= 0 && ds->values[term->value].n_missing > most)
            most = ds->values[term->value].n_missing, worst = ds->values[term->value].text;
        for (int k = 0; k < term->n_factors; k++)
            if (ds->factors[term->factor[k]].n_missing > most)
                most = ds->factors[term->factor[k]].n_missing, worst = ds->factors[term->factor[k]].text;
    }
    for (int a = 0; a < m->spec->n_absorbed; a++)
        if (ds->factors[m->absorbed[a]].n_missing > most)
            most = ds->factors[m->absorbed[a]].n_missing, worst = ds->factors[m->absorbed[a]].text;
    if (ds->weights >= 0 && ds->extras[ds->weights].n_missing > most)
        most = ds->extras[ds->weights].n_missing, worst = ds->extras[ds->weights].text;
    for (int c = 0; c < ds->n_clusters; c++)
        if (ds->factors[ds->clusters[c]].n_missing > most)
            most = ds->factors[ds->clusters[c]].n_missing, worst = ds->factors[ds->clusters[c]].text;
    return pfx_fail(
        err, PFX_EDATA,
        "%s: no rows left: each of the %lld rows%s lacks some value; '%s' is missing in most, %lld of %lld",
        m->spec->text, n, at_level(ds, by, buf), worst, (long long)most, (long long)ds->n_where);
}

pfx_status pfx_dataset_check_sample(const pfx_dataset *ds, const pfx_ds_model *m, pfx_idx by,
                                    const pfx_design *d, pfx_err *err)
{
    long long n = (long long)(d->n + d->n_zero_weight + d->n_singletons);
    char buf[256];
    if (d->n > 0) return PFX_OK;
    if (n == 0) return all_missing(ds, m, by, (long long)d->n_missing, err);
    if (d->n_singletons == 0)
        return pfx_fail(err, PFX_EDATA, "%s: no rows left: all %lld weights%s are zero", m->spec->text, n,
                        at_level(ds, by, buf));
    return pfx_fail(err, PFX_EDATA,
                    "%s: no rows left: all %lld rows%s are alone in a level of an absorbed effect (see "
                    "--keep-singletons)",
                    m->spec->text, n, at_level(ds, by, buf));
}

static pfx_status choose_sample(builder *b)
{
    pfx_dataset *ds = b->ds;
    pfx_design *d = b->d;
    pfx_idx level = ds->by < 0 ? 0 : ds->by_code[b->by];
    if (!(b->keep = pfx_mem_alloc(b->n, 1, b->err))) return PFX_ENOMEM;
    memset(b->keep, 1, (size_t)b->n);
    drop_missing(b);
    pfx_idx n = count_kept(b);
    d->n_missing = b->n - n + (level < ds->cap_dropped ? ds->dropped[level] : 0);
    drop_zero_weights(b);
    pfx_status st = drop_singletons(b);
    if (st != PFX_OK) return st;
    d->n = n - d->n_zero_weight - d->n_singletons;
    return pfx_dataset_check_sample(ds, b->m, b->by, d, b->err);
}

/* ---- the arrays ---- */

/* Z in the dataset's own table: each row goes to a place that no later row is read from. */
static pfx_status compact_table(builder *b, const pfx_columns *c)
{
    pfx_dataset *ds = b->ds;
    bool as_is = b->d->n == ds->n && c->p == ds->n_values;
    for (int j = 0; j < c->n_groups && as_is; j++) as_is = c->groups[j].value == c->groups[j].first;
    double *row = as_is ? NULL : pfx_mem_alloc(c->p, sizeof *row, b->err);
    if (!as_is && !row) return PFX_ENOMEM;
    pfx_idx to = 0;
    for (pfx_idx i = 0; i < b->n && !as_is; i++) {
        if (!b->keep[i]) continue;
        pfx_columns_fill(ds, c, i, row);
        memcpy(ds->table + to++ * c->p, row, (size_t)c->p * sizeof *row);
    }
    pfx_mem_free(row);
    b->d->Z = ds->table;
    ds->table = NULL;
    return PFX_OK;
}

/* The values stay in the source: what Z is made of is kept instead. */
static pfx_status keep_columns(builder *b, pfx_columns *c)
{
    pfx_dataset *ds = b->ds;
    pfx_design *d = b->d;
    pfx_dataset_free_columns(ds);
    if (!(ds->columns = pfx_mem_alloc(1, sizeof *ds->columns, b->err))) {
        pfx_columns_free(c);
        return PFX_ENOMEM;
    }
    *ds->columns = *c;
    d->p = c->p;
    d->name = c->name;
    d->role = c->role;
    ds->columns->name = NULL, ds->columns->role = NULL, ds->columns->p = 0;
    return PFX_OK;
}

static pfx_status make_z(builder *b)
{
    pfx_dataset *ds = b->ds;
    pfx_design *d = b->d;
    pfx_columns c;
    pfx_status st = pfx_columns_make(ds, b->m, b->n, b->rows, b->keep, &c, b->err);
    if (st != PFX_OK) return st;
    if (ds->no_values) return keep_columns(b, &c);
    if (b->in_place && c.p <= ds->n_values) {
        st = compact_table(b, &c);
    } else if (!(d->Z = pfx_mem_alloc(d->n * c.p, sizeof *d->Z, b->err))) {
        st = PFX_ENOMEM;
    } else {
        pfx_idx to = 0;
        for (pfx_idx i = 0; i < b->n; i++)
            if (b->keep[i]) pfx_columns_fill(ds, &c, stored(b, i), d->Z + to++ * c.p);
    }
    d->p = c.p;
    d->name = c.name;
    d->role = c.role;
    c.name = NULL;
    c.role = NULL;
    c.p = 0;
    pfx_columns_free(&c);
    return st;
}

/* The kept entries of a stored array of 8 bytes an entry; taken from the dataset if `take`. */
static void *take_array(builder *b, void *store, bool take)
{
    char *from = store, *to = take ? store : pfx_mem_alloc(b->d->n, 8, b->err);
    pfx_idx o = 0;
    for (pfx_idx i = 0; to && i < b->n; i++)
        if (b->keep[i]) memmove(to + 8 * o++, from + 8 * stored(b, i), 8);
    return to;
}

static double *take_extra(builder *b, int at)
{
    pfx_ds_value *v = &b->ds->extras[at];
    bool take = --b->extra_uses[at] == 0 && b->in_place;
    double *x = take_array(b, v->store, take);
    if (take) v->store = NULL;
    return x;
}

/* Codes of numbers, and of pairs, were given in the order of stored rows: where all rows stay they are as
 * wanted. */
static bool numbered_by_rows(const builder *b, const pfx_ds_factor *f)
{
    return b->ds->by < 0 && b->d->n == b->ds->n && (f->n_vars > 1 || !f->vars[0].category);
}

/* Codes of the kept rows, renumbered in the order of first rows. */
static pfx_status take_factor(builder *b, int at, pfx_factor *out)
{
    pfx_ds_factor *f = &b->ds->factors[at];
    int32_t *map = NULL;
    if (!(out->name = pfx_mem_strdup(f->text, b->err))) return PFX_ENOMEM;
    bool renumber = !numbered_by_rows(b, f);
    if (renumber && !(map = pfx_mem_alloc(f->n_levels, sizeof *map, b->err))) return PFX_ENOMEM;
    const int32_t *from = f->store;
    out->code = b->in_place ? f->store : pfx_mem_alloc(b->d->n, sizeof *out->code, b->err);
    if (b->in_place) f->store = NULL;
    if (!out->code) {
        pfx_mem_free(map);
        return PFX_ENOMEM;
    }
    if (!renumber) {
        if (out->code != from) memcpy(out->code, from, (size_t)b->d->n * sizeof *from);
        out->n_levels = f->n_levels;
        return PFX_OK;
    }
    memset(map, 0xff, (size_t)f->n_levels * sizeof *map);
    pfx_idx to = 0;
    for (pfx_idx i = 0; i < b->n; i++) {
        if (!b->keep[i]) continue;
        int32_t c = from[stored(b, i)];
        if (map[c] < 0) map[c] = (int32_t)out->n_levels++;
        out->code[to++] = map[c];
    }
    pfx_mem_free(map);
    return PFX_OK;
}

/* A factor that the design has already: its codes are shared. */
static pfx_status share_factor(builder *b, const pfx_factor *has, pfx_factor *out)
{
    if (!(out->name = pfx_mem_strdup(has->name, b->err))) return PFX_ENOMEM;
    out->n_levels = has->n_levels;
    out->code = has->code;
    return PFX_OK;
}

static pfx_status make_absorbed(builder *b, int a)
{
    const int *factor = b->m->absorbed;
    pfx_design *d = b->d;
    for (int e = 0; e < a; e++)
        if (factor[e] == factor[a]) return share_factor(b, &d->absorbed[e].factor, &d->absorbed[a].factor);
    return take_factor(b, factor[a], &d->absorbed[a].factor);
}

static pfx_status make_cluster(builder *b, int c)
{
    const int *factor = b->ds->clusters;
    pfx_design *d = b->d;
    for (int e = 0; e < d->n_absorbed; e++)
        if (b->m->absorbed[e] == factor[c]) return share_factor(b, &d->absorbed[e].factor, &d->clusters[c]);
    for (int e = 0; e < c; e++)
        if (factor[e] == factor[c]) return share_factor(b, &d->clusters[e], &d->clusters[c]);
    return take_factor(b, factor[c], &d->clusters[c]);
}

static pfx_status make_slopes(builder *b, const pfx_absorb_spec *s, const int *extras, pfx_absorbed *e)
{
    e->intercept = s->intercept;
    if (s->n_slopes == 0) return PFX_OK;
    if (!(e->slope = pfx_mem_calloc(s->n_slopes, sizeof *e->slope, b->err))) return PFX_ENOMEM;
    if (!(e->slope_name = pfx_mem_calloc(s->n_slopes, sizeof *e->slope_name, b->err))) return PFX_ENOMEM;
    e->n_slopes = s->n_slopes;
    for (int k = 0; k < s->n_slopes; k++) {
        if (!(e->slope_name[k] = pfx_mem_strdup(s->slope_text[k], b->err))) return PFX_ENOMEM;
        if (!(e->slope[k] = take_extra(b, extras[k]))) return PFX_ENOMEM;
    }
    return PFX_OK;
}

pfx_status pfx_dataset_check_cluster(const pfx_dataset *ds, pfx_idx by, const pfx_design *d, int c,
                                     pfx_err *err)
{
    char buf[256];
    if (c >= ds->n_variance || d->clusters[c].n_levels >= 2) return PFX_OK;
    return pfx_fail(
        err, PFX_EDATA,
        "--cluster %s: fewer than two clusters in the %lld rows of the sample%s: cluster by something else, "
        "or use --vcov HC1",
        d->clusters[c].name, (long long)d->n, at_level(ds, by, buf));
}

/* The dataset's own number of each level of its factor `at`, f in the design. Codes are never taken from it where there
 * is --by. */
static pfx_status make_origin(builder *b, int at, const pfx_factor *f, int32_t **origin)
{
    const int32_t *from = b->ds->factors[at].store;
    pfx_idx to = 0;
    if (!(*origin = pfx_mem_alloc(f->n_levels, sizeof **origin, b->err))) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < b->n; i++)
        if (b->keep[i]) (*origin)[f->code[to++]] = from[stored(b, i)];
    return PFX_OK;
}

static pfx_status make_groups(builder *b)
{
    const pfx_model_spec *spec = b->m->spec;
    const pfx_dataset *ds = b->ds;
    pfx_design *d = b->d;
    if (!(d->absorbed = pfx_mem_calloc(spec->n_absorbed, sizeof *d->absorbed, b->err))) return PFX_ENOMEM;
    d->n_absorbed = spec->n_absorbed;
    if (ds->want_origin && !(d->effect_origin = pfx_mem_calloc(spec->n_absorbed, sizeof *d->effect_origin, b->err)))
        return PFX_ENOMEM;
    for (int a = 0; a < spec->n_absorbed; a++) {
        pfx_status st = make_absorbed(b, a);
        if (st == PFX_OK && ds->want_origin)
            st = make_origin(b, b->m->absorbed[a], &d->absorbed[a].factor, &d->effect_origin[a]);
        if (st == PFX_OK) st = make_slopes(b, &spec->absorbed[a], b->m->slopes[a], &d->absorbed[a]);
        if (st != PFX_OK) return st;
    }
    if (!(d->clusters = pfx_mem_calloc(ds->n_clusters, sizeof *d->clusters, b->err))) return PFX_ENOMEM;
    d->n_clusters = ds->n_clusters;
    if (ds->want_origin &&
        !(d->cluster_origin = pfx_mem_calloc(ds->n_clusters, sizeof *d->cluster_origin, b->err)))
        return PFX_ENOMEM;
    for (int c = 0; c < ds->n_clusters; c++) {
        pfx_status st = make_cluster(b, c);
        if (st != PFX_OK) return st;
        if ((st = pfx_dataset_check_cluster(ds, b->by, d, c, b->err)) != PFX_OK) return st;
        if (ds->want_origin)
            st = make_origin(b, ds->clusters[c], &d->clusters[c], &d->cluster_origin[c]);
        if (st != PFX_OK) return st;
    }
    return PFX_OK;
}

static pfx_status make_rest(builder *b)
{
    pfx_dataset *ds = b->ds;
    pfx_design *d = b->d;
    const pfx_model_spec *spec = b->m->spec;
    if (!(d->formula = pfx_mem_strdup(spec->text, b->err))) return PFX_ENOMEM;
    d->intercept = spec->intercept && spec->n_absorbed == 0;
    if (ds->by >= 0) {
        const pfx_ds_factor *f = &ds->factors[ds->by];
        if (!(d->by_name = pfx_mem_strdup(f->text, b->err))) return PFX_ENOMEM;
        if (!(d->by_level = pfx_mem_strdup(pfx_dataset_label(f, ds->by_code[b->by]), b->err)))
            return PFX_ENOMEM;
    }
    if (ds->weights >= 0) {
        d->weights_kind = ds->weights_kind;
        if (!(d->w = take_extra(b, ds->weights))) return PFX_ENOMEM;
    }
    if (ds->want_rows && !(d->row = take_array(b, ds->row, b->in_place))) return PFX_ENOMEM;
    if (ds->want_rows && b->in_place) ds->row = NULL;
    if (ds->want_time && !(d->time = take_array(b, ds->time, b->in_place))) return PFX_ENOMEM;
    if (ds->want_time && b->in_place) ds->time = NULL;
    return PFX_OK;
}

static pfx_status count_uses(builder *b)
{
    const pfx_dataset *ds = b->ds;
    const pfx_ds_model *m = b->m;
    if (!(b->extra_uses = pfx_mem_calloc(ds->n_extras, sizeof *b->extra_uses, b->err))) return PFX_ENOMEM;
    for (int a = 0; a < m->spec->n_absorbed; a++) {
        for (int s = 0; s < m->spec->absorbed[a].n_slopes; s++) b->extra_uses[m->slopes[a][s]]++;
    }
    if (ds->weights >= 0) b->extra_uses[ds->weights]++;
    return PFX_OK;
}

pfx_status pfx_dataset_design(pfx_dataset *ds, int m, pfx_idx by, bool last, pfx_design **out, pfx_err *err)
{
    *out = NULL;
    if (ds->taken) return pfx_fail(err, PFX_EUSAGE, "the dataset's rows already belong to a design");
    builder b = {
        .ds = ds, .m = &ds->models[m], .by = by, .n = ds->n, .err = err, .in_place = last && ds->by < 0};
    if (ds->by >= 0) {
        b.n = ds->by_start[by + 1] - ds->by_start[by];
        b.rows = ds->by_rows + ds->by_start[by];
    }
    ds->taken = last;
    if (!(b.d = pfx_mem_calloc(1, sizeof *b.d, err))) return PFX_ENOMEM;
    pfx_status st = count_uses(&b);
    if (st == PFX_OK) st = choose_sample(&b);
    if (st == PFX_OK) st = make_z(&b);
    if (st == PFX_OK) st = make_groups(&b);
    if (st == PFX_OK) st = make_rest(&b);
    pfx_mem_free(b.keep);
    pfx_mem_free(b.extra_uses);
    if (st != PFX_OK) {
        pfx_design_free(b.d);
        return st;
    }
    *out = b.d;
    return PFX_OK;
}

pfx_idx pfx_dataset_n_cluster_levels(const pfx_dataset *ds, int c)
{
    return ds->factors[ds->clusters[c]].n_levels;
}

void pfx_dataset_cluster_levels(const pfx_dataset *ds, int c, const pfx_design *d, int32_t *level)
{
    const int32_t *code = ds->factors[ds->clusters[c]].store;
    for (pfx_idx i = 0, j = 0; i < d->n; i++, j++) {
        while (ds->row[j] != d->row[i]) j++;
        level[d->clusters[c].code[i]] = code[j];
    }
}
