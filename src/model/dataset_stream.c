/* A design whose rows stay in the source: each pass reads them again, block by block, and keeps a window of them. What
 * a design in memory learns from all rows at once (levels, singletons, which effect is nested in which cluster) is
 * learnt in the first pass. Units lie whole in a block, so that the panel's unit needs no table of its levels. */
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/model/dataset_private.h"

/* What is known of a factor other than the panel's unit, by code as it was coded. */
typedef struct factor_state {
    pfx_idx cap;
    int32_t *level;          /* [cap] in the order of first rows, -1: none yet */
    pfx_idx *count;          /* [cap] rows */
    unsigned char *excluded; /* [cap] it had one row, which was left out */
    pfx_idx n_excluded;
    pfx_idx n_levels;
    int32_t last;     /* level of the row before */
    bool contiguous;  /* levels lie one after the other */
} factor_state;

/* The cluster that each level of an effect was first seen in. */
typedef struct nesting {
    bool nested;
    pfx_idx cap;
    int32_t *cluster; /* [cap] by level of the effect, -1: none yet */
} nesting;

struct pfx_dataset_stream {
    pfx_formula formula; /* the one model */
    pfx_row_source *src;
    pfx_dataset *ds;
    pfx_ds_loader ld;
    pfx_design *d;
    pfx_design_stream walk;
    pfx_idx window_rows;
    size_t max_bytes;
    factor_state *factor; /* [ds->n_factors] */
    nesting *nest;        /* [n_absorbed x n_clusters] */
    int unit_factor;      /* in ds->factors, -1: none */
    unsigned char *keep;  /* [cap_keep] of the rows of a block */
    pfx_idx cap_keep;
    pfx_idx n_left;       /* rows of the block that keep leaves out */
    pfx_idx n_units, n_rows; /* in this pass */
    bool known;              /* a pass was whole */
    bool again;
    int n_passes;
};

/* ---- tables that grow ---- */

static pfx_status grow_factor(factor_state *f, pfx_idx n, pfx_err *err)
{
    if (n <= f->cap) return PFX_OK;
    pfx_idx cap = n + n / 2 + 16;
    int32_t *level = pfx_mem_realloc(f->level, cap, sizeof *level, err);
    if (level) f->level = level;
    pfx_idx *count = pfx_mem_realloc(f->count, cap, sizeof *count, err);
    if (count) f->count = count;
    unsigned char *excluded = pfx_mem_realloc(f->excluded, cap, 1, err);
    if (excluded) f->excluded = excluded;
    if (!level || !count || !excluded) return PFX_ENOMEM;
    memset(level + f->cap, 0xff, (size_t)(cap - f->cap) * sizeof *level);
    memset(count + f->cap, 0, (size_t)(cap - f->cap) * sizeof *count);
    memset(excluded + f->cap, 0, (size_t)(cap - f->cap));
    f->cap = cap;
    return PFX_OK;
}

static pfx_status grow_nesting(nesting *t, pfx_idx n, pfx_err *err)
{
    if (n <= t->cap) return PFX_OK;
    pfx_idx cap = n + n / 2 + 16;
    int32_t *cluster = pfx_mem_realloc(t->cluster, cap, sizeof *cluster, err);
    if (!cluster) return PFX_ENOMEM;
    memset(cluster + t->cap, 0xff, (size_t)(cap - t->cap) * sizeof *cluster);
    t->cluster = cluster;
    t->cap = cap;
    return PFX_OK;
}

/* ---- rows that leave the sample ---- */

static bool is_unit(const pfx_dataset_stream *s, int factor) { return factor == s->unit_factor; }

static void drop_zero_weights(pfx_dataset_stream *s, pfx_idx from, pfx_idx n)
{
    if (s->ds->weights < 0) return;
    const double *w = s->ds->extras[s->ds->weights].store + from;
    for (pfx_idx i = 0; i < n; i++)
        if (!(w[i] > 0)) s->keep[i] = 0, s->n_left++, s->d->n_zero_weight++;
}

static void drop_excluded(pfx_dataset_stream *s, pfx_idx from, pfx_idx n)
{
    const pfx_ds_model *m = &s->ds->models[0];
    for (int a = 0; a < s->d->n_absorbed; a++) {
        if (is_unit(s, m->absorbed[a])) continue;
        const factor_state *f = &s->factor[m->absorbed[a]];
        if (f->n_excluded == 0) continue;
        const int32_t *code = s->ds->factors[m->absorbed[a]].store + from;
        for (pfx_idx i = 0; i < n; i++)
            if (s->keep[i] && code[i] < f->cap && f->excluded[code[i]])
                s->keep[i] = 0, s->n_left++, s->d->n_singletons++;
    }
}

/* Number the units of the block's rows; where the unit is absorbed, one that has a single row is left out. */
static void number_units(pfx_dataset_stream *s, pfx_idx from, pfx_idx n)
{
    const pfx_frame *f = s->ld.f;
    int32_t *code = s->unit_factor >= 0 ? s->ds->factors[s->unit_factor].store + from : NULL;
    bool drop = s->walk.unit >= 0 && !s->ds->keep_singletons, all = s->n_left == 0, every = n == f->n_rows;
    pfx_idx i = 0;

    if (!code) return;
    for (pfx_idx u = 0; u < f->n_units; u++) {
        pfx_idx i0 = i, kept = 0;
        if (every) i = f->unit_start[u + 1];
        while (!every && i < n && s->ld.pick[i] < f->unit_start[u + 1]) i++;
        if (all) kept = i - i0;
        for (pfx_idx r = i0; r < i && !all; r++) kept += s->keep[r];
        if (kept == 1 && drop) {
            memset(s->keep + i0, 0, (size_t)(i - i0));
            s->d->n_singletons++;
            s->n_left++;
        } else if (kept > 0) {
            for (pfx_idx r = i0; r < i; r++) code[r] = (int32_t)s->n_units;
            s->n_units++;
        }
    }
}

/* The rows kept close ranks. Returns their number. */
static pfx_idx compact(pfx_dataset_stream *s, pfx_idx from, pfx_idx n)
{
    pfx_dataset *ds = s->ds;
    pfx_idx p = ds->n_values, to = from;
    if (s->n_left == 0) return n;
    for (pfx_idx i = 0; i < n; i++) {
        if (!s->keep[i]) continue;
        if (to < from + i) {
            memcpy(ds->table + to * p, ds->table + (from + i) * p, (size_t)p * sizeof *ds->table);
            for (int k = 0; k < ds->n_extras; k++) ds->extras[k].store[to] = ds->extras[k].store[from + i];
            for (int k = 0; k < ds->n_factors; k++) ds->factors[k].store[to] = ds->factors[k].store[from + i];
        }
        to++;
    }
    ds->n = to;
    return to - from;
}

/* ---- what the rows that stay teach ---- */

/* Codes become levels in the order of first rows. */
static pfx_status number_levels(pfx_dataset_stream *s, int k, pfx_idx from, pfx_idx n, pfx_err *err)
{
    factor_state *f = &s->factor[k];
    int32_t *code = s->ds->factors[k].store + from, most = -1;
    for (pfx_idx i = 0; i < n; i++) most = code[i] > most ? code[i] : most;
    pfx_status st = grow_factor(f, (pfx_idx)most + 1, err);
    if (st != PFX_OK) return st;
    for (pfx_idx i = 0; i < n && !s->known; i++) {
        int32_t c = code[i];
        if (f->level[c] < 0) f->level[c] = (int32_t)f->n_levels++;
        else if (f->level[c] != f->last) f->contiguous = false;
        f->count[c]++;
        f->last = f->level[c];
    }
    for (pfx_idx i = 0; i < n; i++) code[i] = f->level[code[i]];
    return PFX_OK;
}

static pfx_status learn_nesting(pfx_dataset_stream *s, int a, int c, pfx_idx from, pfx_idx n, pfx_err *err)
{
    int fa = s->ds->models[0].absorbed[a], fc = s->ds->clusters[c];
    const int32_t *x = s->ds->factors[fa].store + from, *g = s->ds->factors[fc].store + from;
    nesting *t = &s->nest[a * s->d->n_clusters + c];
    if (fa == fc) return PFX_OK;
    if (is_unit(s, fa)) { /* a unit's rows lie together in the block */
        for (pfx_idx i = 1; i < n && t->nested; i++) t->nested = x[i] != x[i - 1] || g[i] == g[i - 1];
        return PFX_OK;
    }
    pfx_status st = grow_nesting(t, s->factor[fa].n_levels, err);
    for (pfx_idx i = 0; i < n && t->nested && st == PFX_OK; i++) {
        if (t->cluster[x[i]] < 0) t->cluster[x[i]] = g[i];
        t->nested = t->cluster[x[i]] == g[i];
    }
    return st;
}

static pfx_status check_frequencies(const pfx_dataset_stream *s, pfx_idx from, pfx_idx n, pfx_err *err)
{
    if (s->ds->weights < 0 || s->ds->weights_kind != PFX_W_FREQUENCY) return PFX_OK;
    const double *w = s->ds->extras[s->ds->weights].store + from;
    for (pfx_idx i = 0; i < n; i++)
        if (w[i] != floor(w[i]))
            return pfx_fail(err, PFX_EDATA,
                            "frequency weights must be whole numbers: %g in one of the %lld rows of the panel up to "
                            "%lld; use analytic weights",
                            w[i], (long long)s->ld.f->n_rows, (long long)(s->ld.f->row0 + s->ld.f->n_rows));
    return PFX_OK;
}

static pfx_status take_block(pfx_dataset_stream *s, pfx_idx from, pfx_err *err)
{
    pfx_dataset *ds = s->ds;
    pfx_idx n = ds->n - from;
    if (n > s->cap_keep) {
        pfx_mem_free(s->keep);
        s->cap_keep = 0;
        if (!(s->keep = pfx_mem_alloc(n + n / 8, 1, err))) return PFX_ENOMEM;
        s->cap_keep = n + n / 8;
    }
    if (n == 0) return PFX_OK;
    memset(s->keep, 1, (size_t)n);
    s->n_left = 0;
    drop_zero_weights(s, from, n);
    drop_excluded(s, from, n);
    number_units(s, from, n);
    n = compact(s, from, n);
    pfx_status st = s->known ? PFX_OK : check_frequencies(s, from, n, err);
    for (int k = 0; k < ds->n_factors && st == PFX_OK; k++)
        if (!is_unit(s, k)) st = number_levels(s, k, from, n, err);
    for (int a = 0; a < s->d->n_absorbed && !s->known; a++)
        for (int c = 0; c < s->d->n_clusters && st == PFX_OK; c++) st = learn_nesting(s, a, c, from, n, err);
    s->n_rows += n;
    return st;
}

/* ---- the walk ---- */

static void forget(pfx_dataset_stream *s)
{
    pfx_dataset *ds = s->ds;
    for (int k = 0; k < ds->n_factors; k++) {
        factor_state *f = &s->factor[k];
        if (f->cap) memset(f->level, 0xff, (size_t)f->cap * sizeof *f->level);
        if (f->cap) memset(f->count, 0, (size_t)f->cap * sizeof *f->count);
        f->n_levels = 0;
        f->last = -1;
        f->contiguous = true;
    }
    for (int i = 0; i < s->d->n_absorbed * s->d->n_clusters; i++) {
        s->nest[i].nested = true;
        if (s->nest[i].cap) memset(s->nest[i].cluster, 0xff, (size_t)s->nest[i].cap * sizeof(int32_t));
    }
}

static pfx_status stream_rewind(void *ctx, pfx_err *err)
{
    pfx_dataset_stream *s = ctx;
    pfx_dataset *ds = s->ds;
    if (!s->known) forget(s);
    ds->n = ds->n_panel = ds->n_where = 0;
    s->n_units = s->n_rows = s->d->n_singletons = s->d->n_zero_weight = 0;
    if (ds->cap_dropped) ds->dropped[0] = 0;
    for (int k = 0; k < ds->n_values; k++) ds->values[k].n_missing = 0;
    for (int k = 0; k < ds->n_extras; k++) ds->extras[k].n_missing = 0;
    for (int k = 0; k < ds->n_factors; k++) ds->factors[k].n_missing = 0;
    s->n_passes++;
    s->again = false;
    return s->src->rewind(s->src->ctx, err);
}

/* The last rows of the window to its front. */
static void keep_last(pfx_dataset *ds, pfx_idx keep)
{
    pfx_idx from = ds->n - keep, p = ds->n_values;
    if (from == 0) return;
    memmove(ds->table, ds->table + from * p, (size_t)(keep * p) * sizeof *ds->table);
    for (int k = 0; k < ds->n_extras; k++)
        memmove(ds->extras[k].store, ds->extras[k].store + from, (size_t)keep * sizeof(double));
    for (int k = 0; k < ds->n_factors; k++)
        memmove(ds->factors[k].store, ds->factors[k].store + from, (size_t)keep * sizeof(int32_t));
    ds->n = keep;
}

static pfx_idx levels_of(const pfx_dataset_stream *s, int factor)
{
    return is_unit(s, factor) ? s->n_units : s->factor[factor].n_levels;
}

/* The design's arrays may have moved, its counts grown. */
static void show(pfx_dataset_stream *s)
{
    pfx_dataset *ds = s->ds;
    pfx_design *d = s->d;
    d->Z = ds->table;
    d->w = ds->weights >= 0 ? ds->extras[ds->weights].store : NULL;
    for (int a = 0; a < d->n_absorbed; a++) d->absorbed[a].factor.code = ds->factors[ds->models[0].absorbed[a]].store;
    for (int c = 0; c < d->n_clusters; c++) d->clusters[c].code = ds->factors[ds->clusters[c]].store;
    if (s->known) return;
    for (int a = 0; a < d->n_absorbed; a++) d->absorbed[a].factor.n_levels = levels_of(s, ds->models[0].absorbed[a]);
    for (int c = 0; c < d->n_clusters; c++) d->clusters[c].n_levels = levels_of(s, ds->clusters[c]);
}

/* What the levels of clusters will take, beside what is allocated already. */
static pfx_status check_memory(const pfx_dataset_stream *s, pfx_err *err)
{
    double bytes = (double)pfx_mem_now();
    for (int c = 0; c < s->d->n_clusters; c++)
        if (!is_unit(s, s->ds->clusters[c])) bytes += 8.0 * (s->d->p + 1) * (double)s->factor[s->ds->clusters[c]].n_levels;
    if (s->max_bytes == 0 || bytes <= (double)s->max_bytes) return PFX_OK;
    return pfx_fail(err, PFX_ENOMEM,
                    "%s: the levels of effects and clusters need more than %.0f MiB after %lld rows, and --memory allows "
                    "%.0f MiB; give more",
                    s->d->formula, bytes / 1048576.0, (long long)s->n_rows, (double)s->max_bytes / 1048576.0);
}

/* Levels of one row are left out, and all is read again: that may leave other rows alone. */
static bool exclude_singletons(pfx_dataset_stream *s)
{
    bool any = false;
    if (s->ds->keep_singletons) return false;
    for (int a = 0; a < s->d->n_absorbed; a++) {
        int k = s->ds->models[0].absorbed[a];
        factor_state *f = &s->factor[k];
        for (pfx_idx i = 0; !is_unit(s, k) && i < f->cap; i++)
            if (f->count[i] == 1) f->excluded[i] = 1, f->n_excluded++, any = true;
    }
    return any;
}

/* After the last row of the first pass. */
static pfx_status finish_first(pfx_dataset_stream *s, pfx_err *err)
{
    const pfx_dataset *ds = s->ds;
    pfx_design *d = s->d;
    pfx_status st = pfx_dataset_check_rows(ds, err);
    if (st != PFX_OK) return st;
    if ((s->again = exclude_singletons(s)))
        return pfx_fail(err, PFX_EDATA, "%s: a level of an effect has one row: the rows must be read again", d->formula);
    d->n = s->n_rows;
    d->n_missing = ds->cap_dropped ? ds->dropped[0] : 0;
    st = pfx_dataset_check_sample(ds, &ds->models[0], 0, d, err);
    for (int c = 0; c < d->n_clusters && st == PFX_OK; c++) st = pfx_dataset_check_cluster(ds, 0, d, c, err);
    for (int a = 0; a < d->n_absorbed && st == PFX_OK; a++)
        if (a != s->walk.unit && d->absorbed[a].factor.n_levels >= s->n_units)
            st = pfx_fail(err, PFX_ENOMEM, "%s: %s has as many levels as %s, which cannot be streamed; give more --memory",
                          d->formula, d->absorbed[a].factor.name, d->absorbed[s->walk.unit].factor.name);
    s->known = st == PFX_OK;
    return st;
}

static pfx_status stream_next(void *ctx, pfx_idx keep, pfx_idx *here, bool *last, pfx_err *err)
{
    pfx_dataset_stream *s = ctx;
    pfx_dataset *ds = s->ds;
    pfx_status st = PFX_OK;

    keep_last(ds, keep);
    *last = false;
    while (st == PFX_OK && !*last && ds->n - keep < s->window_rows) {
        pfx_idx from = ds->n;
        s->ld.err = err;
        if ((st = s->src->next(s->src->ctx, &s->ld.f, err)) != PFX_OK) break;
        if (!(*last = !s->ld.f) && (st = pfx_dataset_append(&s->ld, from + s->ld.f->n_rows + s->ld.f->n_rows / 4)) == PFX_OK)
            st = take_block(s, from, err);
    }
    if (st != PFX_OK) return st;
    *here = ds->n;
    show(s);
    if ((st = check_memory(s, err)) != PFX_OK) return st;
    return *last && !s->known ? finish_first(s, err) : PFX_OK;
}

static bool stream_nested(void *ctx, int e, int c)
{
    const pfx_dataset_stream *s = ctx;
    return s->nest[e * s->d->n_clusters + c].nested;
}

static bool stream_contiguous(void *ctx, int c)
{
    const pfx_dataset_stream *s = ctx;
    return is_unit(s, s->ds->clusters[c]) || s->factor[s->ds->clusters[c]].contiguous;
}

/* ---- which models, and set-up ---- */

/* Whether a factor is the panel's unit, alone. */
static bool is_panel_unit(const pfx_row_source *src, const pfx_ds_factor *f)
{
    int col = f->n_vars == 1 ? pfx_program_plain(f->vars[0].prog) : -1;
    return col >= 0 && src->panel.unit[0] && strcmp(src->cols[col].name, src->panel.unit) == 0;
}

/* Why the model has to lie in memory, or NULL. Its table of values must be its Z. */
static const char *why_not(const pfx_dataset_stream *s, const pfx_dataset_options *o)
{
    const pfx_dataset *ds = s->ds;
    const pfx_ds_model *m = &ds->models[0];
    if (o->by) return "--by has to choose rows";
    if (o->want_rows || o->want_time) return "--save has to keep rows";
    if (ds->n_clusters > 1) return "two-way clusters need their intersection";
    for (int t = 0; t < m->n_terms; t++)
        if (m->terms[t].n_factors || m->terms[t].value != t) return "terms of factors need all levels first";
    if (m->outcome != m->n_terms || ds->n_values != m->n_terms + 1) return "the outcome is among the regressors";
    if (m->spec->n_absorbed > 2) return "three effects need all rows at once";
    for (int a = 0; a < m->spec->n_absorbed; a++)
        if (!m->spec->absorbed[a].intercept || m->spec->absorbed[a].n_slopes) return "slopes of units need all rows at once";
    if (m->spec->n_absorbed > 0 && s->walk.unit < 0) return "no effect is the panel's unit";
    return NULL;
}

static void find_unit(pfx_dataset_stream *s)
{
    pfx_dataset *ds = s->ds;
    s->unit_factor = s->walk.unit = -1;
    for (int k = 0; k < ds->n_factors; k++)
        if (is_panel_unit(s->src, &ds->factors[k])) s->unit_factor = k, ds->factors[k].running = true;
    for (int a = 0; a < ds->models[0].spec->n_absorbed; a++)
        if (s->unit_factor >= 0 && ds->models[0].absorbed[a] == s->unit_factor) s->walk.unit = a;
}

static pfx_status make_design(pfx_dataset_stream *s, pfx_err *err)
{
    const pfx_dataset *ds = s->ds;
    const pfx_ds_model *m = &ds->models[0];
    pfx_design *d = s->d = pfx_mem_calloc(1, sizeof *d, err);
    if (!d) return PFX_ENOMEM;
    d->stream = &s->walk;
    d->intercept = m->spec->intercept && m->spec->n_absorbed == 0;
    if (ds->weights >= 0) d->weights_kind = ds->weights_kind;
    if (!(d->formula = pfx_mem_strdup(m->spec->text, err)) ||
        !(d->name = pfx_mem_calloc(m->n_terms + 1, sizeof *d->name, err)) ||
        !(d->role = pfx_mem_calloc(m->n_terms + 1, sizeof *d->role, err)) ||
        !(d->absorbed = pfx_mem_calloc(m->spec->n_absorbed, sizeof *d->absorbed, err)) ||
        !(d->clusters = pfx_mem_calloc(ds->n_clusters, sizeof *d->clusters, err)))
        return PFX_ENOMEM;
    for (; d->p <= m->n_terms; d->p++) {
        const char *name = d->p < m->n_terms ? m->terms[d->p].term->text : m->spec->outcome_text;
        d->role[d->p] = d->p < m->n_terms ? m->terms[d->p].role : PFX_OUTCOME;
        if (!(d->name[d->p] = pfx_mem_strdup(name, err))) return PFX_ENOMEM;
    }
    for (; d->n_absorbed < m->spec->n_absorbed; d->n_absorbed++) {
        d->absorbed[d->n_absorbed].intercept = true;
        if (!(d->absorbed[d->n_absorbed].factor.name = pfx_mem_strdup(ds->factors[m->absorbed[d->n_absorbed]].text, err)))
            return PFX_ENOMEM;
    }
    for (; d->n_clusters < ds->n_clusters; d->n_clusters++)
        if (!(d->clusters[d->n_clusters].name = pfx_mem_strdup(ds->factors[ds->clusters[d->n_clusters]].text, err)))
            return PFX_ENOMEM;
    s->factor = pfx_mem_calloc(ds->n_factors, sizeof *s->factor, err);
    s->nest = pfx_mem_calloc(d->n_absorbed * d->n_clusters, sizeof *s->nest, err);
    return s->factor && s->nest ? PFX_OK : PFX_ENOMEM;
}

pfx_status pfx_dataset_stream_open(pfx_row_source *src, const pfx_formula *f, int m, const pfx_dataset_options *o,
                                   pfx_idx window_rows, size_t max_bytes, pfx_dataset_stream **out, const char **why,
                                   pfx_err *err)
{
    *out = NULL;
    *why = NULL;
    pfx_dataset_stream *s = pfx_mem_calloc(1, sizeof *s, err);
    if (!s) return PFX_ENOMEM;
    s->formula = (pfx_formula){.text = f->text, .n_models = 1, .models = &f->models[m]};
    s->src = src;
    s->window_rows = window_rows > 0 ? window_rows : 1;
    s->max_bytes = max_bytes;
    s->walk = (pfx_design_stream){.ctx = s, .rewind = stream_rewind, .next = stream_next, .nested = stream_nested,
                                  .contiguous = stream_contiguous};
    s->ds = pfx_mem_calloc(1, sizeof *s->ds, err);
    pfx_status st = s->ds ? pfx_dataset_plan(src, &s->formula, o, s->ds, err) : PFX_ENOMEM;
    s->ld = (pfx_ds_loader){.ds = s->ds, .nth = o->nth, .err = err};
    if (st == PFX_OK) {
        find_unit(s);
        *why = why_not(s, o);
        st = make_design(s, err);
    }
    if (st != PFX_OK || *why) {
        pfx_dataset_stream_free(s);
        return st;
    }
    *out = s;
    return PFX_OK;
}

pfx_design *pfx_dataset_stream_design(pfx_dataset_stream *s) { return s->d; }

bool pfx_dataset_stream_again(const pfx_dataset_stream *s) { return s->again; }

int pfx_dataset_stream_passes(const pfx_dataset_stream *s) { return s->n_passes; }

void pfx_dataset_stream_free(pfx_dataset_stream *s)
{
    if (!s) return;
    for (int k = 0; s->factor && k < s->ds->n_factors; k++) {
        pfx_mem_free(s->factor[k].level), pfx_mem_free(s->factor[k].count), pfx_mem_free(s->factor[k].excluded);
    }
    for (int i = 0; s->nest && i < s->d->n_absorbed * s->d->n_clusters; i++) pfx_mem_free(s->nest[i].cluster);
    pfx_mem_free(s->factor), pfx_mem_free(s->nest), pfx_mem_free(s->keep);
    if (s->d) { /* its arrays are the dataset's */
        s->d->Z = s->d->w = NULL;
        for (int a = 0; a < s->d->n_absorbed; a++) s->d->absorbed[a].factor.code = NULL;
        for (int c = 0; c < s->d->n_clusters; c++) s->d->clusters[c].code = NULL;
    }
    pfx_design_free(s->d);
    if (s->ds) pfx_dataset_loader_free(&s->ld);
    pfx_dataset_free(s->ds);
    pfx_mem_free(s);
}
