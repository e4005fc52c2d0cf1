/* A design whose rows stay in the source: each pass reads them again, block by block, and keeps a window of them. What
 * a design in memory learns from all rows at once (levels, singletons, which effect is nested in which cluster) is
 * learnt in the first pass. Units lie whole in a block, so that the panel's unit needs no table of its levels. */
#include <string.h>
#include "src/base/mem.h"
#include "src/model/dataset_stream_private.h"

/* ---- codes in memory, or not ---- */

/* From now on the codes of all rows lie in memory. Those of windows are wanted for terms alone. */
static void be_resident(pfx_dataset_stream *s)
{
    pfx_dataset *ds = s->ds;
    const pfx_ds_model *m = &ds->models[0];
    s->resident = true;
    s->made = false;
    s->unit_factor = -1;
    ds->want_rows = false;  /* of windows: which row is whose is known */
    s->walk.whole = true;
    s->walk.rewind = pfx_resident_rewind, s->walk.next = pfx_resident_next;
    for (int k = 0; k < ds->n_factors; k++) ds->factors[k].running = true;
    for (int t = 0; t < m->n_terms; t++)
        for (int k = 0; k < m->terms[t].n_factors; k++) ds->factors[m->terms[t].factor[k]].running = false;
}

/* ---- the walk ---- */

static pfx_status stream_rewind(void *ctx, pfx_err *err)
{
    pfx_dataset_stream *s = ctx;
    pfx_dataset *ds = s->ds;
    pfx_stream_window_clear(s);
    if (!s->known) pfx_stream_forget(s);
    ds->n_panel = ds->n_where = 0;
    s->n_units = s->n_rows = s->d->n_singletons = s->d->n_zero_weight = 0;
    if (ds->cap_dropped) ds->dropped[0] = 0;
    for (int k = 0; k < ds->n_values; k++) ds->values[k].n_missing = 0;
    for (int k = 0; k < ds->n_extras; k++) ds->extras[k].n_missing = 0;
    for (int k = 0; k < ds->n_factors; k++) ds->factors[k].n_missing = 0;
    s->n_passes++;
    s->again = false;
    return s->src->rewind(s->src->ctx, err);
}

/* The design's arrays are those of another window, its counts grown. */
static void show(pfx_dataset_stream *s)
{
    const pfx_dataset *ds = s->ds;
    const pfx_ds_window *w = &s->window;
    const int *absorbed = ds->models[0].absorbed;
    pfx_idx row0 = w->front - w->kept;
    pfx_design *d = s->d;
    d->Z = w->table + row0 * ds->n_values;
    d->w = ds->weights >= 0 ? w->extra[ds->weights] + row0 : NULL;
    for (int a = 0; a < d->n_absorbed; a++) d->absorbed[a].factor.code = w->code[absorbed[a]] + row0;
    for (int c = 0; c < d->n_clusters; c++) d->clusters[c].code = w->code[ds->clusters[c]] + row0;
    if (s->known) return;
    for (int a = 0; a < d->n_absorbed; a++) d->absorbed[a].factor.n_levels = w->n_levels[absorbed[a]];
    for (int c = 0; c < d->n_clusters; c++) d->clusters[c].n_levels = w->n_levels[ds->clusters[c]];
}

/* What the levels of clusters will take, beside what is allocated already. */
static pfx_status check_memory(const pfx_dataset_stream *s, pfx_err *err)
{
    double bytes = (double)pfx_mem_now();
    for (int c = 0; c < s->d->n_clusters; c++)
        if (!pfx_stream_is_unit(s, s->ds->clusters[c])) bytes += 8.0 * (s->d->p + 1) * (double)s->d->clusters[c].n_levels;
    if (s->max_bytes == 0 || bytes <= (double)s->max_bytes) return PFX_OK;
    return pfx_fail(err, PFX_ENOMEM,
                    "%s: the levels of effects and clusters need more than %.0f MiB after %lld rows, and --memory allows "
                    "%.0f MiB; give more",
                    s->d->formula, bytes / 1048576.0, (long long)s->window.n_rows, (double)s->max_bytes / 1048576.0);
}

/* Levels of one row are left out, and all is read again: that may leave other rows alone. */
static bool exclude_singletons(pfx_dataset_stream *s)
{
    bool any = false;
    if (s->ds->keep_singletons) return false;
    for (int a = 0; a < s->d->n_absorbed; a++) {
        int k = s->ds->models[0].absorbed[a];
        pfx_factor_state *f = &s->factor[k];
        for (pfx_idx i = 0; !pfx_stream_is_unit(s, k) && i < f->cap; i++)
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

/* Another effect of many levels: its codes have to lie in memory, as the fit begun anew will have them. */
static pfx_status check_levels(pfx_dataset_stream *s, pfx_err *err)
{
    const pfx_design *d = s->d;
    for (int a = 0; a < d->n_absorbed && !s->known; a++)
        if (a != s->walk.unit && d->absorbed[a].factor.n_levels > PFX_DESIGN_STREAM_FEW) {
            pfx_stream_window_clear(s);
            be_resident(s);
            s->again = true;
            return pfx_fail(err, PFX_ENOMEM, "%s: %s has more than %d levels", d->formula, d->absorbed[a].factor.name,
                            PFX_DESIGN_STREAM_FEW);
        }
    return PFX_OK;
}

static pfx_status stream_next(void *ctx, pfx_idx keep, pfx_idx *here, bool *last, pfx_err *err)
{
    pfx_dataset_stream *s = ctx;
    pfx_status st = pfx_stream_window_next(s, keep, err);
    if (st != PFX_OK) return st;
    const pfx_ds_window *w = &s->window;
    *here = w->kept + w->n;
    *last = w->last;
    show(s);
    if ((st = check_memory(s, err)) != PFX_OK || (st = check_levels(s, err)) != PFX_OK) return st;
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
    return pfx_stream_is_unit(s, s->ds->clusters[c]) || s->factor[s->ds->clusters[c]].contiguous;
}

/* ---- which models, and set-up ---- */

/* Whether a factor is the panel's unit, alone. */
static bool is_panel_unit(const pfx_row_source *src, const pfx_ds_factor *f)
{
    int col = f->n_vars == 1 ? pfx_program_plain(f->vars[0].prog) : -1;
    return col >= 0 && src->panel.unit[0] && strcmp(src->cols[col].name, src->panel.unit) == 0;
}

/* Why the model has to lie in memory, or NULL. */
static const char *why_not(const pfx_dataset_stream *s, const pfx_dataset_options *o)
{
    const pfx_ds_model *m = &s->ds->models[0];
    if (o->want_time) return "--vcov nw and dk have to keep rows";
    if (s->ds->n_clusters > 1) return "two-way clusters need their intersection";
    for (int a = 0; a < m->spec->n_absorbed; a++)
        if (!m->spec->absorbed[a].intercept || m->spec->absorbed[a].n_slopes) return "slopes of units need all rows at once";
    return NULL;
}

/* The table of values is Z, and one effect stands beside the panel's unit at most: nothing need lie in memory. */
static bool needs_no_codes(const pfx_dataset_stream *s)
{
    const pfx_dataset *ds = s->ds;
    const pfx_ds_model *m = &ds->models[0];
    for (int t = 0; t < m->n_terms; t++)
        if (m->terms[t].n_factors || m->terms[t].value != t) return false;
    return ds->by < 0 && !ds->want_rows && m->outcome == m->n_terms && ds->n_values == m->n_terms + 1 && m->spec->n_absorbed <= 2 &&
           (m->spec->n_absorbed == 0 || s->walk.unit >= 0);
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

static pfx_status make_factors(pfx_dataset_stream *s, pfx_err *err)
{
    s->factor = pfx_mem_calloc(s->ds->n_factors, sizeof *s->factor, err);
    return s->factor ? PFX_OK : PFX_ENOMEM;
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
    s->nest = pfx_mem_calloc(d->n_absorbed * d->n_clusters, sizeof *s->nest, err);
    return s->nest ? make_factors(s, err) : PFX_ENOMEM;
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
    s->options = *o;
    s->max_bytes = max_bytes;
    s->walk = (pfx_design_stream){.ctx = s, .rewind = stream_rewind, .next = stream_next, .nested = stream_nested,
                                  .contiguous = stream_contiguous};
    s->ds = pfx_mem_calloc(1, sizeof *s->ds, err);
    pfx_status st = s->ds ? pfx_dataset_plan(src, &s->formula, o, s->ds, err) : PFX_ENOMEM;
    s->ld = (pfx_ds_loader){.ds = s->ds, .nth = o->nth, .err = err};
    if (st == PFX_OK) {
        find_unit(s);
        *why = why_not(s, o);
        if (!needs_no_codes(s)) be_resident(s);
        st = s->resident ? make_factors(s, err) : make_design(s, err);
        if (st == PFX_OK) st = pfx_stream_window_create(s, err);
    }
    if (st != PFX_OK || *why) {
        pfx_dataset_stream_free(s);
        return st;
    }
    *out = s;
    return PFX_OK;
}

/* The arrays of a window are no longer the design's. */
static void let_go(pfx_dataset_stream *s)
{
    if (!s->d) return;
    s->d->Z = s->d->w = NULL;
    for (int a = 0; a < s->d->n_absorbed; a++) s->d->absorbed[a].factor.code = NULL;
    for (int c = 0; c < s->d->n_clusters; c++) s->d->clusters[c].code = NULL;
}

static void forget_nesting(pfx_dataset_stream *s)
{
    for (int i = 0; s->d && s->nest && i < s->d->n_absorbed * s->d->n_clusters; i++) pfx_mem_free(s->nest[i].cluster), s->nest[i].cluster = NULL;
}

pfx_status pfx_dataset_stream_n_by(pfx_dataset_stream *s, pfx_idx *out, pfx_err *err)
{
    *out = 1;
    if (s->ds->by < 0) return PFX_OK;
    pfx_status st = s->codes ? PFX_OK : pfx_resident_learn(s, err);
    if (st == PFX_OK) *out = s->codes->n_by;
    return st;
}

pfx_status pfx_dataset_stream_design(pfx_dataset_stream *s, pfx_idx by, pfx_design **out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    s->again = false;
    if (s->resident && (!s->made || s->by != by)) {
        if (!s->whole) { /* the design before was that of windows alone */
            forget_nesting(s);
            let_go(s);
        }
        st = pfx_resident_make(s, by, err);
        s->made = st == PFX_OK;
        s->by = by;
    }
    *out = s->d;
    return st;
}

double pfx_dataset_stream_bytes(const pfx_dataset_stream *s) { return s->resident ? pfx_resident_bytes(s) : 0; }

bool pfx_dataset_stream_again(const pfx_dataset_stream *s) { return s->again; }

int pfx_dataset_stream_passes(const pfx_dataset_stream *s) { return s->n_passes; }

void pfx_dataset_stream_free(pfx_dataset_stream *s)
{
    if (!s) return;
    if (s->ds) pfx_stream_window_free(s);
    for (int k = 0; s->factor && k < s->ds->n_factors; k++) {
        pfx_mem_free(s->factor[k].level), pfx_mem_free(s->factor[k].count), pfx_mem_free(s->factor[k].excluded);
    }
    forget_nesting(s);
    pfx_mem_free(s->factor), pfx_mem_free(s->nest), pfx_mem_free(s->keep);
    if (!s->whole) let_go(s);
    pfx_resident_release(s);
    pfx_mem_free(s->stays), pfx_mem_free(s->z);
    pfx_dataset_free(s->codes);
    if (s->ds) pfx_dataset_loader_free(&s->ld);
    pfx_dataset_free(s->ds);
    pfx_mem_free(s);
}
