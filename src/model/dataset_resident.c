/* A streamed design whose levels lie in memory: all that is learnt from rows (the sample, the levels, which
 * columns the factors of terms become) is learnt in a pass that keeps codes and weights and no values, by the
 * same steps as for a design in memory. The values alone are read again, pass by pass. */
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/model/dataset_stream_private.h"

/* ---- what the rows teach, once ---- */

/* Of a row whose residual, fitted value and effects are kept, with the labels that they are written with. */
#define SAVED_BYTES 48

/* Bytes of a row beside its values: codes, weights, its number in the panel while the sample is chosen. */
static double bytes_per_row(const pfx_dataset_stream *s)
{
    const pfx_dataset *ds = s->ds;
    double copies = ds->by >= 0 ? 2 : 1;
    return copies * (4.0 * ds->n_factors + 8.0 * ds->n_extras + 8.0) + 1.2 + (s->options.want_rows ? SAVED_BYTES : 0);
}

double pfx_resident_bytes(const pfx_dataset_stream *s)
{
    return bytes_per_row(s) * (double)s->src->n_rows;
}

pfx_status pfx_resident_learn(pfx_dataset_stream *s, pfx_err *err)
{
    double bytes = pfx_resident_bytes(s);
    pfx_dataset_options o = s->options;
    if (s->max_bytes > 0 && bytes > (double)s->max_bytes)
        return pfx_fail(err, PFX_ENOMEM,
                        "%s: the levels of effects and clusters need about %.0f MiB in memory beside the "
                        "values, which are "
                        "streamed, and --memory allows %.0f MiB; give more",
                        s->formula.models->text, bytes / 1048576.0, (double)s->max_bytes / 1048576.0);
    o.want_rows = true;
    s->n_passes++;
    return pfx_dataset_load_codes(s->src, &s->formula, &o, &s->codes, err);
}

/* Codes are numbered in the order of first rows: levels lie one after the other where codes never fall. */
static bool ascending(pfx_idx n, const int32_t *code)
{
    bool falls = false;
    for (pfx_idx i = 1; i < n; i++) falls |= code[i] < code[i - 1];
    return !falls;
}

/* Does every level of f lie in one level of g? */
static pfx_status find_nested(pfx_idx n, const pfx_factor *f, const pfx_factor *g, bool *nested, pfx_err *err)
{
    *nested = true;
    if (f->code == g->code) return PFX_OK;
    int32_t *in = pfx_mem_alloc(f->n_levels, sizeof *in, err);
    if (!in) return PFX_ENOMEM;
    memset(in, 0xff, (size_t)f->n_levels * sizeof *in);
    for (pfx_idx i = 0; i < n && *nested; i++) {
        int32_t *at = &in[f->code[i]];
        if (*at < 0) *at = g->code[i];
        *nested = *at == g->code[i];
    }
    pfx_mem_free(in);
    return PFX_OK;
}

/* The effect with the most levels is eliminated level by level: they have to lie one after the other. */
static pfx_status find_eliminated(pfx_dataset_stream *s, pfx_err *err)
{
    const pfx_design *d = s->d;
    int most = d->n_absorbed > 0 ? 0 : -1;
    for (int a = 1; a < d->n_absorbed; a++)
        if (d->absorbed[a].factor.n_levels > d->absorbed[most].factor.n_levels) most = a;
    s->walk.unit = most;
    if (most < 0 || ascending(d->n, d->absorbed[most].factor.code)) return PFX_OK;
    return pfx_fail(err, PFX_ENOMEM,
                    "%s: %s has the most levels, and the panel's rows do not lie in its order: that cannot "
                    "be streamed; give "
                    "more --memory",
                    d->formula, d->absorbed[most].factor.name);
}

static pfx_status compare_factors(pfx_dataset_stream *s, pfx_err *err)
{
    const pfx_design *d = s->d;
    pfx_status st = PFX_OK;
    for (int c = 0; c < d->n_clusters; c++) {
        s->factor[s->ds->clusters[c]].contiguous = ascending(d->n, d->clusters[c].code);
        for (int a = 0; a < d->n_absorbed && st == PFX_OK; a++)
            st = find_nested(d->n, &d->absorbed[a].factor, &d->clusters[c],
                             &s->nest[a * d->n_clusters + c].nested, err);
    }
    return st;
}

/* Which rows of the panel are the design's, one bit each. */
static pfx_status mark_rows(pfx_dataset_stream *s, pfx_err *err)
{
    pfx_design *d = s->d;
    pfx_idx bytes = s->src->n_rows / 8 + 1;
    if (!s->stays && !(s->stays = pfx_mem_alloc(bytes, 1, err))) return PFX_ENOMEM;
    memset(s->stays, 0, (size_t)bytes);
    for (pfx_idx i = 0; i < d->n; i++) s->stays[d->row[i] / 8] |= (unsigned char)(1u << d->row[i] % 8);
    if (s->options.want_rows) return PFX_OK;
    pfx_mem_free(d->row);
    d->row = NULL;
    return PFX_OK;
}

/* The arrays of all rows, which the design shows a window of. */
static pfx_status keep_whole(pfx_dataset_stream *s, pfx_err *err)
{
    const pfx_design *d = s->d;
    if (!(s->whole = pfx_mem_alloc(d->n_absorbed + d->n_clusters, sizeof *s->whole, err))) return PFX_ENOMEM;
    for (int a = 0; a < d->n_absorbed; a++) s->whole[a] = d->absorbed[a].factor.code;
    for (int c = 0; c < d->n_clusters; c++) s->whole[d->n_absorbed + c] = d->clusters[c].code;
    s->whole_w = d->w;
    return PFX_OK;
}

static void show_from(pfx_dataset_stream *s, pfx_idx row0)
{
    pfx_design *d = s->d;
    for (int a = 0; a < d->n_absorbed; a++) d->absorbed[a].factor.code = s->whole[a] + row0;
    for (int c = 0; c < d->n_clusters; c++) d->clusters[c].code = s->whole[d->n_absorbed + c] + row0;
    d->w = s->whole_w ? s->whole_w + row0 : NULL;
}

void pfx_resident_release(pfx_dataset_stream *s)
{
    if (s->d && s->whole) show_from(s, 0);
    if (s->d) s->d->Z = NULL;
    pfx_design_free(s->d);
    pfx_mem_free(s->whole);
    s->d = NULL;
    s->whole = NULL;
}

pfx_status pfx_resident_make(pfx_dataset_stream *s, pfx_idx by, pfx_err *err)
{
    pfx_dataset *ds = s->ds;
    pfx_status st = s->codes ? PFX_OK : pfx_resident_learn(s, err);

    pfx_stream_window_clear(s);
    pfx_resident_release(s);
    if (st != PFX_OK) return st;
    if (by >= s->codes->n_by)
        return pfx_fail(err, PFX_EUSAGE, "there is no level %lld of --by", (long long)by);
    if ((st = pfx_dataset_design(s->codes, 0, by, ds->by < 0, &s->d, err)) != PFX_OK) return st;
    pfx_design *d = s->d;
    pfx_mem_free(s->nest);
    st = (s->nest = pfx_mem_calloc(d->n_absorbed * d->n_clusters, sizeof *s->nest, err)) ? PFX_OK : PFX_ENOMEM;
    if (st == PFX_OK) st = mark_rows(s, err);
    if (st == PFX_OK) st = keep_whole(s, err);
    if (st == PFX_OK) st = find_eliminated(s, err);
    if (st == PFX_OK) st = compare_factors(s, err);
    if (st == PFX_OK)
        d->stream = &s->walk;
    else
        pfx_resident_release(s);
    return st;
}

/* ---- the walk ---- */

pfx_status pfx_resident_rewind(void *ctx, pfx_err *err)
{
    pfx_dataset_stream *s = ctx;
    pfx_stream_window_clear(s);
    s->n_rows = 0;
    s->begun = false;
    if (s->ds->cap_dropped) memset(s->ds->dropped, 0, (size_t)s->ds->cap_dropped * sizeof *s->ds->dropped);
    show_from(s, 0);
    s->d->Z = NULL;
    return s->src->rewind(s->src->ctx, err);
}

/* Z is the table as it lies where every column is one value. */
static bool is_table(const pfx_columns *c, int n_values)
{
    bool same = c->plain && c->n_groups == n_values;
    for (int i = 0; i < c->n_groups && same; i++) same = c->groups[i].value == i && c->groups[i].first == i;
    return same;
}

/* Rows of a window whose columns one thread fills at a time. */
enum { FILL_ROWS = 512 };
typedef struct filling {
    const pfx_dataset *ds;
    pfx_idx n, row0, p; /* rows, the first one's place in the table, columns */
    double *z;
} filling;

static void fill_part(void *ctx, pfx_idx part, int thread)
{
    const filling *f = ctx;
    pfx_idx end = (part + 1) * FILL_ROWS < f->n ? (part + 1) * FILL_ROWS : f->n;
    (void)thread;
    for (pfx_idx i = part * FILL_ROWS; i < end; i++) pfx_columns_fill(f->ds, f->ds->columns, f->row0 + i, f->z + i * f->p);
}

/* Columns of the rows of a window. */
static pfx_status fill_columns(pfx_dataset_stream *s, const pfx_ds_window *w, pfx_err *err)
{
    pfx_dataset *ds = s->codes;
    pfx_columns *c = ds->columns;
    const pfx_ds_model *m = &ds->models[0];
    pfx_idx n = w->kept + w->n, row0 = w->front - w->kept, p = s->d->p;

    if (n * p > s->cap_z) {
        pfx_mem_free(s->z);
        s->cap_z = 0;
        if (!(s->z = pfx_mem_alloc(n * p, sizeof *s->z, err))) return PFX_ENOMEM;
        s->cap_z = n * p;
    }
    for (int t = 0; t < m->n_terms; t++)
        for (int k = 0; k < c->groups[t].n_factors; k++)
            c->groups[t].code[k] = w->code[m->terms[t].factor[k]];
    ds->table = w->table;
    filling f = {.ds = ds, .n = n, .row0 = row0, .p = p, .z = s->z};
    pfx_par_for((n + FILL_ROWS - 1) / FILL_ROWS, s->ld.nth, fill_part, &f);
    ds->table = NULL;
    s->d->Z = s->z;
    return PFX_OK;
}

pfx_status pfx_resident_next(void *ctx, pfx_idx keep, pfx_idx *here, bool *last, pfx_err *err)
{
    pfx_dataset_stream *s = ctx;
    s->n_passes += !s->begun;
    s->begun = true;
    pfx_status st = pfx_stream_window_next(s, keep, err);
    if (st != PFX_OK) return st;
    const pfx_ds_window *w = &s->window;
    *here = w->kept + w->n;
    *last = w->last;
    show_from(s, w->n_rows - *here);
    if (s->max_bytes > 0 && pfx_mem_now() > s->max_bytes)
        return pfx_fail(err, PFX_ENOMEM, "%s: levels and windows need more than %.0f MiB, and --memory allows %.0f MiB; give more",
                        s->d->formula, (double)pfx_mem_now() / 1048576.0, (double)s->max_bytes / 1048576.0);
    if (!is_table(s->codes->columns, s->ds->n_values)) return fill_columns(s, w, err);
    s->d->Z = w->table + (w->front - w->kept) * s->ds->n_values;
    return PFX_OK;
}
