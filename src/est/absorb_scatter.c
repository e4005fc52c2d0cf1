/* Right-hand sides of the other effects where these have many columns: a group of blocks keeps a table of its own, and
 * tables are added to the total group by group. Where a group meets few of the columns, its table holds those that it
 * met, in the order in which it met them; the bits are those of one table of all columns for each group. */
#include "src/est/absorb_scatter.h"

#include <string.h>
#include "kernels/score.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"

/* A table of all columns of so many numbers stays in a second-level cache. */
#define WHOLE (1 << 17)

typedef struct table {
    int32_t n;
    int32_t *col; /* [q] the table's columns; whole tables have none */
    double *row;  /* [q x ld] */
} table;

struct pfx_absorb_scatter {
    pfx_isa isa;
    int nth;
    bool whole;      /* tables of all columns */
    pfx_idx q, ld, cap_groups, max_rows;
    table *group;    /* [cap_groups] */
    double *rows;    /* of all whole tables: large memory comes in huge pages */
    int32_t **map;   /* [nth][q] place in the table of the group in hand; right where that table agrees */
    int32_t **place; /* [nth][max_rows] of a block's rows */
    bool *failed;    /* [nth] out of memory */
    pfx_idx n_groups, n_pieces;
    double *C; /* of flush */
};

static pfx_status allocate(pfx_absorb_scatter *s, pfx_err *err)
{
    if (!(s->group = pfx_mem_calloc(s->cap_groups, sizeof *s->group, err)) ||
        !(s->failed = pfx_mem_calloc(s->nth, sizeof *s->failed, err)))
        return PFX_ENOMEM;
    if (s->whole) {
        s->rows = pfx_mem_alloc(s->cap_groups * s->q * s->ld, sizeof *s->rows, err);
        for (pfx_idx g = 0; s->rows && g < s->cap_groups; g++) s->group[g].row = s->rows + g * s->q * s->ld;
        return s->rows ? PFX_OK : PFX_ENOMEM;
    }
    if (!(s->map = pfx_mem_calloc(s->nth, sizeof *s->map, err)) ||
        !(s->place = pfx_mem_calloc(s->nth, sizeof *s->place, err)))
        return PFX_ENOMEM;
    for (int t = 0; t < s->nth; t++)
        if (!(s->map[t] = pfx_mem_calloc(s->q, sizeof **s->map, err)) ||
            !(s->place[t] = pfx_mem_alloc(s->max_rows, sizeof **s->place, err)))
            return PFX_ENOMEM;
    return PFX_OK;
}

pfx_status pfx_absorb_scatter_create(pfx_idx q, pfx_idx ld, pfx_idx n_groups, pfx_idx max_rows, int nth,
                                     pfx_isa isa, pfx_absorb_scatter **out, pfx_err *err)
{
    pfx_absorb_scatter *s = pfx_mem_calloc(1, sizeof *s, err);

    *out = NULL;
    if (!s) return PFX_ENOMEM;
    s->isa = isa, s->nth = nth, s->q = q, s->ld = ld, s->cap_groups = n_groups, s->max_rows = max_rows;
    s->whole = q * ld <= WHOLE;
    pfx_status st = allocate(s, err);
    if (st == PFX_OK)
        *out = s;
    else
        pfx_absorb_scatter_free(s);
    return st;
}

void pfx_absorb_scatter_free(pfx_absorb_scatter *s)
{
    if (!s) return;
    for (pfx_idx g = 0; s->group && !s->whole && g < s->cap_groups; g++)
        pfx_mem_free(s->group[g].col), pfx_mem_free(s->group[g].row);
    for (int t = 0; t < s->nth; t++) {
        if (s->map) pfx_mem_free(s->map[t]);
        if (s->place) pfx_mem_free(s->place[t]);
    }
    pfx_mem_free(s->rows), pfx_mem_free(s->group), pfx_mem_free(s->map), pfx_mem_free(s->place), pfx_mem_free(s->failed);
    pfx_mem_free(s);
}

/* Room for all columns at once: pages that are not needed are not touched, and nothing is copied. */
static bool reserve(const pfx_absorb_scatter *s, table *t)
{
    if (t->row) return true;
    if (!t->col) t->col = pfx_mem_alloc(s->q, sizeof *t->col, NULL);
    t->row = pfx_mem_alloc(s->q * s->ld, sizeof *t->row, NULL);
    return t->col && t->row;
}

void pfx_absorb_scatter_begin(pfx_absorb_scatter *s, pfx_idx group)
{
    if (s->whole) memset(s->group[group].row, 0, (size_t)(s->q * s->ld) * sizeof *s->rows);
}

void pfx_absorb_scatter_add(pfx_absorb_scatter *s, pfx_idx group, int thread, pfx_idx n, const int32_t *code,
                            pfx_idx col0, const double *value, const double *w, const double *X)
{
    table *t = &s->group[group];
    const int ld = (int)s->ld;

    if (s->whole) {
        pfx_k_scatter(s->isa, n, ld, ld, X, value, w, code, ld, t->row + col0 * ld);
        return;
    }
    int32_t *map = s->map[thread], *place = s->place[thread];
    if (s->failed[thread] || !reserve(s, t)) {
        s->failed[thread] = true;
        return;
    }
    for (pfx_idx r = 0; r < n; r++) {
        int32_t c = (int32_t)(col0 + code[r]), at = map[c];
        if (at >= t->n || t->col[at] != c) {
            at = map[c] = t->n++;
            t->col[at] = c;
            memset(t->row + at * s->ld, 0, (size_t)s->ld * sizeof *t->row);
        }
        place[r] = at;
    }
    pfx_k_scatter(s->isa, n, ld, ld, X, value, w, place, ld, t->row);
}

/* Columns of one piece, group by group. */
static void flush_piece(void *ctx, pfx_idx piece, int thread)
{
    const pfx_absorb_scatter *s = ctx;
    pfx_idx c0 = piece * s->q / s->n_pieces, c1 = (piece + 1) * s->q / s->n_pieces;
    (void)thread;

    for (pfx_idx g = 0; g < s->n_groups; g++) {
        const table *t = &s->group[g];
        for (pfx_idx i = c0 * s->ld; s->whole && i < c1 * s->ld; i++) s->C[i] += t->row[i];
        for (int32_t i = 0; i < t->n; i++) {
            if (t->col[i] < c0 || t->col[i] >= c1) continue;
            double *to = s->C + t->col[i] * s->ld;
            const double *from = t->row + i * s->ld;
            for (pfx_idx k = 0; k < s->ld; k++) to[k] += from[k];
        }
    }
}

pfx_status pfx_absorb_scatter_flush(pfx_absorb_scatter *s, pfx_idx n_groups, double *C, pfx_err *err)
{
    for (int t = 0; t < s->nth; t++)
        if (s->failed[t])
            return pfx_fail(err, PFX_ENOMEM, "out of memory for the sums over the absorbed effects");
    s->n_groups = n_groups, s->C = C, s->n_pieces = s->nth;
    pfx_par_for(s->n_pieces, s->nth, flush_piece, s);
    for (pfx_idx g = 0; g < n_groups; g++) s->group[g].n = 0;
    return PFX_OK;
}
