/* What a streamed design learns from its rows: which leave the sample, the levels of its factors in the order of their
 * first rows, which effect is nested in which cluster. */
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/model/dataset_stream_private.h"

/* ---- tables that grow ---- */

static pfx_status grow_factor(pfx_factor_state *f, pfx_idx n, pfx_err *err)
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

static pfx_status grow_nesting(pfx_nesting *t, pfx_idx n, pfx_err *err)
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
        if (pfx_stream_is_unit(s, m->absorbed[a])) continue;
        const pfx_factor_state *f = &s->factor[m->absorbed[a]];
        if (f->n_excluded == 0) continue;
        const int32_t *code = s->ds->factors[m->absorbed[a]].store + from;
        for (pfx_idx i = 0; i < n; i++)
            if (s->keep[i] && code[i] < f->cap && f->excluded[code[i]])
                s->keep[i] = 0, s->n_left++, s->d->n_singletons++;
    }
}

/* code[i0 .. i1 - 1] = number. Units are short: eight rows at once, where the array has them before row n, and what is
 * written too far belongs to rows that get their number next. */
static void number_rows(int32_t *code, pfx_idx i0, pfx_idx i1, pfx_idx n, int32_t number)
{
    enum { WIDE = 8 };
    pfx_idx r = i0;
    for (; r < i1 && r + WIDE <= n; r += WIDE)
        for (int l = 0; l < WIDE; l++) code[r + l] = number;
    for (; r < i1; r++) code[r] = number;
}

/* Units of a block of which no row was left out, in parts. */
enum { PARTS = 16 };
typedef struct numbering {
    pfx_dataset_stream *s;
    int32_t *code;           /* of the block's first row */
    bool drop;               /* units of a single row are left out */
    pfx_idx first[PARTS + 1]; /* number of each part's first unit that stays */
} numbering;

static void number_part(void *ctx, pfx_idx part, int thread)
{
    const numbering *c = ctx;
    const pfx_frame *f = c->s->ld.f;
    pfx_idx end = f->n_units * (part + 1) / PARTS, number = c->first[part], row1 = f->unit_start[end];
    (void)thread;
    for (pfx_idx u = f->n_units * part / PARTS; u < end; u++) {
        pfx_idx i0 = f->unit_start[u], i1 = f->unit_start[u + 1];
        if (c->drop && i1 - i0 == 1) c->s->keep[i0] = 0;
        else number_rows(c->code, i0, i1, row1, (int32_t)number++);
    }
}

static void number_whole_units(numbering *c)
{
    pfx_dataset_stream *s = c->s;
    const pfx_frame *f = s->ld.f;
    c->first[0] = s->n_units;
    for (int part = 0; part < PARTS; part++) {
        pfx_idx u0 = f->n_units * part / PARTS, u1 = f->n_units * (part + 1) / PARTS, single = 0;
        for (pfx_idx u = u0; u < u1; u++) single += f->unit_start[u + 1] - f->unit_start[u] == 1;
        if (!c->drop) single = 0;
        s->d->n_singletons += single;
        s->n_left += single;
        c->first[part + 1] = c->first[part] + u1 - u0 - single;
    }
    pfx_par_for(PARTS, s->ld.nth, number_part, c);
    s->n_units = c->first[PARTS];
}

/* Number the units of the block's rows; where the unit is absorbed, one that has a single row is left out. */
static void number_units(pfx_dataset_stream *s, pfx_idx from, pfx_idx n)
{
    const pfx_frame *f = s->ld.f;
    int32_t *code = s->unit_factor >= 0 ? s->ds->factors[s->unit_factor].store + from : NULL;
    bool drop = s->walk.unit >= 0 && !s->ds->keep_singletons, every = n == f->n_rows;
    pfx_idx i = 0;

    if (!code) return;
    if (s->n_left == 0 && every) {
        numbering c = {.s = s, .code = code, .drop = drop};
        number_whole_units(&c);
        return;
    }
    for (pfx_idx u = 0; u < f->n_units; u++) {
        pfx_idx i0 = i, kept = 0;
        while (i < n && (every ? i : s->ld.pick[i]) < f->unit_start[u + 1]) i++;
        for (pfx_idx r = i0; r < i; r++) kept += s->keep[r];
        if (kept == 1 && drop) {
            memset(s->keep + i0, 0, (size_t)(i - i0));
            s->d->n_singletons++;
            s->n_left++;
        } else if (kept > 0) {
            number_rows(code, i0, i, n, (int32_t)s->n_units++);
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

/* Nothing is left to be learnt from codes up to `most`: their levels are known, none has a single row, and they do not
 * lie one after the other. */
static bool has_learnt(const pfx_factor_state *f, int32_t most)
{
    enum { FEW = 1024 }; /* that are looked through for every block */
    bool single = false;
    if (!f->as_coded || f->contiguous || most >= f->n_levels || f->n_levels > FEW) return false;
    for (pfx_idx i = 0; i < f->n_levels; i++) single |= f->count[i] < 2;
    return !single;
}

/* Codes become levels in the order of first rows. */
static pfx_status number_levels(pfx_dataset_stream *s, int k, pfx_idx from, pfx_idx n, pfx_err *err)
{
    pfx_factor_state *f = &s->factor[k];
    int32_t *code = s->ds->factors[k].store + from, most = -1;
    for (pfx_idx i = 0; i < n; i++) most = code[i] > most ? code[i] : most;
    pfx_status st = grow_factor(f, (pfx_idx)most + 1, err);
    if (st != PFX_OK) return st;
    const bool learns = !s->known && !has_learnt(f, most);
    for (pfx_idx i = 0; i < n && learns; i++) {
        int32_t c = code[i];
        if (f->level[c] < 0) {
            f->as_coded &= c == f->n_levels;
            f->level[c] = (int32_t)f->n_levels++;
        } else if (f->level[c] != f->last) f->contiguous = false;
        f->count[c]++;
        f->last = f->level[c];
    }
    for (pfx_idx i = 0; i < n && !f->as_coded; i++) code[i] = f->level[code[i]];
    return PFX_OK;
}

static pfx_status learn_nesting(pfx_dataset_stream *s, int a, int c, pfx_idx from, pfx_idx n, pfx_err *err)
{
    int fa = s->ds->models[0].absorbed[a], fc = s->ds->clusters[c];
    const int32_t *x = s->ds->factors[fa].store + from, *g = s->ds->factors[fc].store + from;
    pfx_nesting *t = &s->nest[a * s->d->n_clusters + c];
    if (fa == fc) return PFX_OK;
    if (pfx_stream_is_unit(s, fa)) { /* a unit's rows lie together in the block */
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

/* Rows that are not the design's close ranks. */
static void take_resident(pfx_dataset_stream *s, pfx_idx from, pfx_idx n)
{
    const bool every = n == s->ld.f->n_rows;
    s->n_left = 0;
    for (pfx_idx i = 0; i < n; i++) {
        pfx_idx row = s->ld.f->row0 + (every ? i : s->ld.pick[i]);
        s->keep[i] = s->stays[row / 8] >> row % 8 & 1;
        s->n_left += !s->keep[i];
    }
    s->n_rows += compact(s, from, n);
}

pfx_status pfx_stream_take_block(pfx_dataset_stream *s, pfx_idx from, pfx_err *err)
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
    if (s->resident) {
        take_resident(s, from, n);
        return PFX_OK;
    }
    memset(s->keep, 1, (size_t)n);
    s->n_left = 0;
    drop_zero_weights(s, from, n);
    drop_excluded(s, from, n);
    number_units(s, from, n);
    n = compact(s, from, n);
    pfx_status st = s->known ? PFX_OK : check_frequencies(s, from, n, err);
    for (int k = 0; k < ds->n_factors && st == PFX_OK; k++)
        if (!pfx_stream_is_unit(s, k)) st = number_levels(s, k, from, n, err);
    for (int a = 0; a < s->d->n_absorbed && !s->known; a++)
        for (int c = 0; c < s->d->n_clusters && st == PFX_OK; c++) st = learn_nesting(s, a, c, from, n, err);
    s->n_rows += n;
    return st;
}

void pfx_stream_forget(pfx_dataset_stream *s)
{
    pfx_dataset *ds = s->ds;
    for (int k = 0; k < ds->n_factors; k++) {
        pfx_factor_state *f = &s->factor[k];
        if (f->cap) memset(f->level, 0xff, (size_t)f->cap * sizeof *f->level);
        if (f->cap) memset(f->count, 0, (size_t)f->cap * sizeof *f->count);
        f->n_levels = 0;
        f->last = -1;
        f->contiguous = f->as_coded = true;
    }
    for (int i = 0; i < s->d->n_absorbed * s->d->n_clusters; i++) {
        s->nest[i].nested = true;
        if (s->nest[i].cap) memset(s->nest[i].cluster, 0xff, (size_t)s->nest[i].cap * sizeof(int32_t));
    }
}

