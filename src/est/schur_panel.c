/* The sparse Schur complement where it is not very sparse (industry^year and region^year beside firms): some
 * rows of S at a time are a dense panel that stays in the second-level cache; every eliminated level that
 * touches a row of the panel adds to it; then what is not zero goes to the compressed rows. Columns that
 * occur together go to one panel, so that a level is met by few. Each element of S is one chain of additions
 * in the order of the levels, so threads share nothing and their number changes nothing. */
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/schur_panel.h"

#define PANEL_BYTES (768 << 10)
#define MAX_Q 6144 /* reading the panels for what is not zero takes q^2 looks: 10 ms */
#define FAMILY 16  /* columns that are kept together */
/* Blocks of few columns beside a large one are met by every level: their products with each other are summed
 * piece by piece of the levels, and those with the large ones are copied from these. */
#define NARROW 192
/* Levels with more places than this are merged first: repeated columns cost their square. */
#define MERGE_PLACES 24
#define MIN_PANELS 32

#define AHEAD_START 16
#define AHEAD_ROWS 8

static pfx_idx first_row(const pfx_panels *a, pfx_idx g)
{
    return a->s->spec.n_levels > 0 ? a->s->spec.start[g] : g;
}

static int32_t column(const pfx_schur_block *b, pfx_idx r)
{
    return (int32_t)(b->col0 + b->code[r]);
}

/* A level's mean takes a column off altogether that all of its rows lie in. */
static bool vanishes(const pfx_schur_spec *p, const pfx_schur_block *b, pfx_idx r0, pfx_idx r1)
{
    if (!p->mean || p->n_levels == 0 || b->value) return false;
    for (pfx_idx r = r0 + 1; r < r1; r++)
        if (b->code[r] != b->code[r0]) return false;
    return true;
}

/* Columns that meet in a level, family by family in the order of the levels. */
static pfx_status order_columns(pfx_panels *a, pfx_err *err)
{
    const pfx_schur_spec *p = &a->s->spec;
    pfx_idx q = p->q, n_families = 0, left = a->n_wide;
    int32_t *family = pfx_mem_alloc(q, sizeof *family, err), *size = pfx_mem_calloc(q + 1, sizeof *size, err);

    if (!family || !size) {
        pfx_mem_free(family), pfx_mem_free(size);
        return PFX_ENOMEM;
    }
    memset(family, 0xff, (size_t)q * sizeof *family);
    for (pfx_idx g = 0; g < a->n_units && left > 0; g++)
        for (int e = 0; e < p->n_blocks; e++) {
            int32_t mine = -1;
            if (a->is_narrow[e]) continue;
            for (pfx_idx r = first_row(a, g); r < first_row(a, g + 1); r++) {
                int32_t c = column(&p->block[e], r);
                if (family[c] >= 0) {
                    if (mine < 0) mine = family[c];
                    continue;
                }
                if (mine < 0 || size[mine] == FAMILY) mine = (int32_t)n_families++;
                family[c] = mine;
                size[mine]++;
                left--;
            }
        }
    for (pfx_idx c = 0; c < q && left > 0; c++) /* no row lies in it */
        if (a->narrow[c] < 0 && family[c] < 0) family[c] = (int32_t)n_families, size[n_families]++;
    for (pfx_idx f = 0, sum = 0; f <= n_families && f <= q; f++) {
        int32_t n = size[f];
        size[f] = (int32_t)sum;
        sum += n;
    }
    for (pfx_idx c = 0; c < q; c++) {
        a->slot[c] = a->narrow[c] < 0 ? size[family[c]]++ : -1;
        if (a->narrow[c] < 0) a->order[a->slot[c]] = (int32_t)c;
    }
    pfx_mem_free(family), pfx_mem_free(size);
    return PFX_OK;
}

/* The columns of a level and their sums; returns how many. Rows' own products go to the target at once. */
static int32_t gather(const pfx_panels *a, pfx_idx r0, pfx_idx r1, const pfx_panel_target *t,
                      pfx_panel_work *k)
{
    const pfx_schur_spec *p = &a->s->spec;
    int n_active = 0, active[p->n_blocks], width = 1 + p->n_basis;
    int32_t n = 0;

    for (int e = 0; e < p->n_blocks; e++)
        if ((!t->narrow || a->is_narrow[e]) && !vanishes(p, &p->block[e], r0, r1)) active[n_active++] = e;
    bool merge = (r1 - r0) * n_active > MERGE_PLACES;
    for (pfx_idx r = r0; r < r1; r++) {
        double w = p->w ? p->w[r] : 1.0;
        for (int i = 0; i < n_active; i++) {
            const pfx_schur_block *b = &p->block[active[i]];
            int32_t c = column(b, r), at = merge ? k->mark[c] : -1;
            double f = w * (b->value ? b->value[r] : 1.0);
            pfx_idx slot = t->slot[c];
            if (at < 0) {
                at = n++;
                k->col[at] = c;
                if (merge) k->mark[c] = at;
                for (int q = 0; q < width; q++) k->u[(pfx_idx)at * width + q] = 0.0;
            }
            k->u[(pfx_idx)at * width] += f;
            for (int q = 0; q < p->n_basis; q++) k->u[(pfx_idx)at * width + 1 + q] += f * p->basis[q][r];
            if (slot < t->slot0 || slot >= t->slot1) continue;
            double *row = t->rows + (slot - t->slot0) * t->ld;
            t->diag[slot - t->slot0] += f * (b->value ? b->value[r] : 1.0);
            for (int h = 0; h < n_active; h++) {
                const pfx_schur_block *x = &p->block[active[h]];
                int32_t to = column(x, r);
                row[t->place ? t->place[to] : to] += f * (x->value ? x->value[r] : 1.0);
            }
        }
    }
    for (int32_t i = 0; merge && i < n; i++) k->mark[k->col[i]] = -1;
    return n;
}

/* The same and what is projected, of a level without weights, values and slopes, whose columns are few: all
 * sums are counts of one. */
static void add_plain(const pfx_panels *a, pfx_idx r0, pfx_idx r1, const pfx_panel_target *t,
                      pfx_panel_work *k)
{
    const pfx_schur_spec *p = &a->s->spec;
    pfx_idx rows = r1 - r0, n = 0;
    double f = 1.0 / (double)rows;

    for (int e = 0; e < p->n_blocks; e++) {
        const pfx_schur_block *b = &p->block[e];
        if ((t->narrow && !a->is_narrow[e]) || vanishes(p, b, r0, r1)) continue;
        for (pfx_idx r = r0; r < r1; r++) k->col[n++] = column(b, r);
    }
    const int32_t *to = k->col;
    if (t->place) {
        for (pfx_idx j = 0; j < n; j++) k->to[j] = t->place[k->col[j]];
        to = k->to;
    }
    for (pfx_idx i = 0; i < n; i++) {
        pfx_idx slot = t->slot[k->col[i]];
        if (slot < t->slot0 || slot >= t->slot1) continue;
        double *row = t->rows + (slot - t->slot0) * t->ld;
        t->diag[slot - t->slot0] += 1.0;
        for (pfx_idx j = i % rows; j < n; j += rows) row[to[j]] += 1.0;
        for (pfx_idx j = 0; j < n; j++) row[to[j]] -= f;
    }
}

/* One level's share of the target's rows. */
static void add_unit(const pfx_panels *a, pfx_idx g, const pfx_panel_target *t, pfx_panel_work *k)
{
    const pfx_schur_spec *p = &a->s->spec;
    pfx_idx r0 = first_row(a, g), r1 = first_row(a, g + 1);
    int width = 1 + p->n_basis;
    if (a->plain && (r1 - r0) * p->n_blocks <= MERGE_PLACES) {
        add_plain(a, r0, r1, t, k);
        return;
    }
    int32_t n = gather(a, r0, r1, t, k);
    double total = (double)(r1 - r0);

    if (p->n_levels == 0) return;
    if (p->w) {
        total = 0.0;
        for (pfx_idx r = r0; r < r1; r++) total += p->w[r];
    }
    for (int32_t j = 0; j < n; j++) k->to[j] = t->place ? t->place[k->col[j]] : k->col[j];
    for (int32_t i = 0; i < n; i++) {
        pfx_idx slot = t->slot[k->col[i]];
        if (slot < t->slot0 || slot >= t->slot1) continue;
        double *row = t->rows + (slot - t->slot0) * t->ld;
        const double *u = k->u + (pfx_idx)i * width;
        if (p->mean) {
            double f = u[0] / total;
            for (int32_t j = 0; j < n; j++) row[k->to[j]] -= f * k->u[(pfx_idx)j * width];
        }
        for (int b = 1; b < width; b++)
            for (int32_t j = 0; j < n; j++) row[k->to[j]] -= u[b] * k->u[(pfx_idx)j * width + b];
    }
}

/* Count, or list, the panels that each level touches; with the list, the narrow blocks' products. */
static void list_piece(void *ctx, pfx_idx piece, int thread)
{
    pfx_panels *a = ctx;
    const pfx_schur_spec *p = &a->s->spec;
    pfx_idx *stamp = a->work[thread].stamp;
    int64_t *at = a->at + piece * a->n_panels;

    double *few = a->few + piece * a->n_narrow * (a->n_narrow + 1);
    const pfx_panel_target narrow = {
        a->narrow, 0, a->n_narrow, a->narrow, few, a->n_narrow, few + a->n_narrow * a->n_narrow, true};

    memset(stamp, 0xff, (size_t)a->n_panels * sizeof *stamp);
    for (pfx_idx g = piece * a->n_units / PFX_PANEL_PIECES; g < (piece + 1) * a->n_units / PFX_PANEL_PIECES;
         g++) {
        pfx_idx r0 = first_row(a, g), r1 = first_row(a, g + 1);
        if (a->fill && a->n_narrow > 0) add_unit(a, g, &narrow, &a->work[thread]);
        for (int e = 0; e < p->n_blocks; e++) {
            if (a->is_narrow[e] || vanishes(p, &p->block[e], r0, r1)) continue;
            for (pfx_idx r = r0; r < r1; r++) {
                pfx_idx t = a->slot[column(&p->block[e], r)] / a->rows;
                if (stamp[t] == g) continue;
                stamp[t] = g;
                if (a->fill) a->unit[at[t]] = (int32_t)g;
                at[t]++;
            }
        }
    }
}

static pfx_status make_lists(pfx_panels *a, pfx_err *err)
{
    int64_t sum = 0;

    pfx_par_for(PFX_PANEL_PIECES, a->s->spec.nth, list_piece, a);
    for (pfx_idx t = 0; t < a->n_panels; t++) {
        a->begin[t] = sum;
        for (pfx_idx piece = 0; piece < PFX_PANEL_PIECES; piece++) {
            int64_t n = a->at[piece * a->n_panels + t];
            a->at[piece * a->n_panels + t] = sum;
            sum += n;
        }
    }
    a->begin[a->n_panels] = sum;
    if (!(a->unit = pfx_mem_alloc(sum, sizeof *a->unit, err))) return PFX_ENOMEM;
    a->fill = true;
    pfx_par_for(PFX_PANEL_PIECES, a->s->spec.nth, list_piece, a);
    return PFX_OK;
}

/* The levels of a panel lie all over the data: where their rows begin is asked for first, then the rows'
 * codes. */
PFX_ALWAYS_INLINE void ask_ahead(const pfx_panels *a, pfx_idx i, pfx_idx end)
{
    const pfx_schur_spec *p = &a->s->spec;

    if (i + AHEAD_START < end && p->n_levels > 0) __builtin_prefetch(p->start + a->unit[i + AHEAD_START]);
    if (i + AHEAD_ROWS >= end) return;
    pfx_idx r = first_row(a, a->unit[i + AHEAD_ROWS]);
    for (int e = 0; e < p->n_blocks; e++) __builtin_prefetch(p->block[e].code + r);
    if (p->w) __builtin_prefetch(p->w + r);
}

static void sum_panel(void *ctx, pfx_idx i, int thread)
{
    pfx_panels *a = ctx;
    pfx_panel_work *k = &a->work[thread];
    pfx_idx slot0 = i * a->rows, slot1 = slot0 + a->rows < a->n_wide ? slot0 + a->rows : a->n_wide;
    const pfx_panel_target t = {a->slot, slot0, slot1, NULL, k->panel, a->s->spec.q, k->diag, false};

    memset(k->diag, 0, (size_t)a->rows * sizeof *k->diag);
    for (pfx_idx j = a->begin[i]; j < a->begin[i + 1]; j++) {
        ask_ahead(a, j, a->begin[i + 1]);
        add_unit(a, a->unit[j], &t, k);
    }
    pfx_panel_emit(a, &t, k, &a->out[i]);
}

/* Blocks from the smallest up while they stay few columns together, but not all of them. */
static void choose_narrow(pfx_panels *a)
{
    const pfx_schur_spec *p = &a->s->spec;

    memset(a->narrow, 0xff, (size_t)p->q * sizeof *a->narrow);
    a->n_wide = p->q;
    for (int left = p->n_blocks; left > 1; left--) {
        int least = -1;
        for (int e = 0; e < p->n_blocks; e++)
            if (!a->is_narrow[e] && (least < 0 || p->block[e].n_levels < p->block[least].n_levels)) least = e;
        pfx_idx n = p->block[least].n_levels;
        if (a->n_narrow + n > NARROW || a->n_narrow + n > a->n_wide - n) break;
        a->is_narrow[least] = true;
        for (pfx_idx i = 0; i < n; i++) a->narrow[p->block[least].col0 + i] = (int32_t)(a->n_narrow + i);
        a->n_narrow += n, a->n_wide -= n;
    }
}

static pfx_status allocate_work(pfx_panels *a, pfx_err *err)
{
    const pfx_schur_spec *p = &a->s->spec;
    pfx_idx q = p->q, longest = 1;

    for (pfx_idx g = 0; g < p->n_levels; g++)
        if (p->start[g + 1] - p->start[g] > longest) longest = p->start[g + 1] - p->start[g];
    pfx_idx places = longest * p->n_blocks < MERGE_PLACES + q ? longest * p->n_blocks : MERGE_PLACES + q;
    for (int t = 0; t < p->nth; t++) {
        pfx_panel_work *k = &a->work[t];
        if (!(k->col = pfx_mem_alloc(places, sizeof *k->col, err)) ||
            !(k->to = pfx_mem_alloc(places, sizeof *k->to, err)) ||
            !(k->u = pfx_mem_alloc(places * (1 + p->n_basis), sizeof *k->u, err)) ||
            !(k->mark = pfx_mem_alloc(q, sizeof *k->mark, err)) ||
            !(k->panel = pfx_mem_calloc(a->rows * q, sizeof *k->panel, err)) ||
            !(k->out_col = pfx_mem_alloc(a->rows * q, sizeof *k->out_col, err)) ||
            !(k->out_val = pfx_mem_alloc(a->rows * q, sizeof *k->out_val, err)) ||
            !(k->diag = pfx_mem_alloc(a->rows, sizeof *k->diag, err)) ||
            !(k->stamp = pfx_mem_alloc(a->n_panels, sizeof *k->stamp, err)))
            return PFX_ENOMEM;
        memset(k->mark, 0xff, (size_t)q * sizeof *k->mark);
    }
    return PFX_OK;
}

static pfx_status allocate(pfx_panels *a, pfx_err *err)
{
    const pfx_schur_spec *p = &a->s->spec;
    pfx_idx q = p->q;

    if (!(a->is_narrow = pfx_mem_calloc(p->n_blocks, sizeof *a->is_narrow, err)) ||
        !(a->narrow = pfx_mem_alloc(q, sizeof *a->narrow, err)))
        return PFX_ENOMEM;
    choose_narrow(a);
    a->rows = PANEL_BYTES / (8 * q);
    if (a->rows > a->n_wide / MIN_PANELS) a->rows = a->n_wide / MIN_PANELS;
    if (a->rows < FAMILY) a->rows = FAMILY;
    a->n_panels = (a->n_wide + a->rows - 1) / a->rows;
    if (!(a->slot = pfx_mem_alloc(q, sizeof *a->slot, err)) ||
        !(a->order = pfx_mem_alloc(q, sizeof *a->order, err)) ||
        !(a->few = pfx_mem_calloc(PFX_PANEL_PIECES * a->n_narrow * (a->n_narrow + 1), sizeof *a->few, err)) ||
        !(a->at = pfx_mem_calloc(PFX_PANEL_PIECES * a->n_panels, sizeof *a->at, err)) ||
        !(a->begin = pfx_mem_alloc(a->n_panels + 1, sizeof *a->begin, err)) ||
        !(a->out = pfx_mem_calloc(a->n_panels, sizeof *a->out, err)) ||
        !(a->length = pfx_mem_alloc(q, sizeof *a->length, err)) ||
        !(a->work = pfx_mem_calloc(p->nth, sizeof *a->work, err)) ||
        !(a->s->csr.inv = pfx_mem_alloc(q, sizeof *a->s->csr.inv, err)))
        return PFX_ENOMEM;
    return allocate_work(a, err);
}

static void release(pfx_panels *a)
{
    for (int t = 0; a->work && t < a->s->spec.nth; t++) {
        pfx_panel_work *k = &a->work[t];
        pfx_mem_free(k->col), pfx_mem_free(k->to), pfx_mem_free(k->u), pfx_mem_free(k->mark);
        pfx_mem_free(k->out_col), pfx_mem_free(k->out_val);
        pfx_panel_store_free(k->store);
        pfx_mem_free(k->panel), pfx_mem_free(k->diag), pfx_mem_free(k->stamp);
    }
    pfx_mem_free(a->is_narrow), pfx_mem_free(a->narrow), pfx_mem_free(a->few);
    pfx_mem_free(a->slot), pfx_mem_free(a->order), pfx_mem_free(a->at), pfx_mem_free(a->begin),
        pfx_mem_free(a->unit);
    pfx_mem_free(a->out), pfx_mem_free(a->length), pfx_mem_free(a->work);
}

bool pfx_schur_panel_suits(const pfx_schur_spec *p)
{
    double places = (double)p->n * p->n_blocks, q = (double)p->q;
    return p->q <= MAX_Q && p->n < INT32_MAX && 8.0 * places >= q * q;
}

pfx_status pfx_schur_panel(pfx_schur *s, pfx_err *err)
{
    const pfx_schur_spec *p = &s->spec;
    pfx_panels a = {.s = s, .n_units = p->n_levels > 0 ? p->n_levels : p->n};
    pfx_status st = allocate(&a, err);

    a.plain = p->n_levels > 0 && p->mean && p->n_basis == 0 && !p->w;
    for (int e = 0; e < p->n_blocks; e++) a.plain &= !p->block[e].value;
    if (st == PFX_OK) st = order_columns(&a, err);
    if (st == PFX_OK) st = make_lists(&a, err);
    if (st == PFX_OK) {
        pfx_par_for(a.n_panels, p->nth, sum_panel, &a);
        st = pfx_panel_join(&a, err);
    }
    release(&a);
    return st;
}
