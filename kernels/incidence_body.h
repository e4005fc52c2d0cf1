/* Body of pfx_k_incidence_add, compiled once for each ISA: the columns of a level are counted by tiles of
 * eight, a row of S is then changed tile by tile. */
#include "kernels/incidence.h"
#include "kernels/lanes.h"

#define MAX PFX_K_INCIDENCE_MAX
#define AHEAD 12 /* levels of a list lie all over the memory */

/* One in lane i. */
static const double unit[PFX_LANES][PFX_LANES] = {{1},
                                                  {0, 1},
                                                  {0, 0, 1},
                                                  {0, 0, 0, 1},
                                                  {0, 0, 0, 0, 1},
                                                  {0, 0, 0, 0, 0, 1},
                                                  {0, 0, 0, 0, 0, 0, 1},
                                                  {0, 0, 0, 0, 0, 0, 0, 1}};

/* The tiles of a level in the order of its rows, block by block. */
typedef struct tiles {
    int n;
    bool one_each; /* tile b holds block b, whole */
    int32_t tile[MAX], at[MAX];
    uint64_t count[MAX];          /* a byte for each lane */
    uint8_t of[MAX];              /* tile of each place */
    double share[MAX][PFX_LANES]; /* counts over the level's rows */
} tiles;

PFX_INLINE int32_t column_of(pfx_k_incidence_target *t, int32_t tile)
{
    if (t->at[tile] < 0) {
        t->at[tile] = t->next_at;
        t->next_at += PFX_LANES;
        t->met[t->n_met++] = tile;
    }
    return t->at[tile];
}

/* The number of a tile within the level; it is mostly that of the place before. */
PFX_INLINE int find_tile(int32_t tile, int last, pfx_k_incidence_target *t, tiles *s)
{
    if (s->n > 0 && s->tile[last] == tile) return last;
    for (last = s->n - 1; last >= 0 && s->tile[last] != tile;) last--;
    if (last >= 0) return last;
    s->tile[s->n] = tile, s->at[s->n] = column_of(t, tile), s->count[s->n] = 0;
    return s->n++;
}

PFX_INLINE v8 from_bytes(uint64_t x)
{
    uint8_t byte[PFX_LANES];
    for (int i = 0; i < PFX_LANES; i++) byte[i] = (uint8_t)(x >> 8 * i);
    return v8_from_u8(byte);
}

PFX_INLINE void find_tiles(int rows, int blocks, const uint16_t *slot, pfx_k_incidence_target *t, tiles *s)
{
    const v8 share = v8_set1(1.0 / rows);
    int last = 0;

    s->n = 0, s->one_each = true;
    for (int b = 0, i = 0; b < blocks; b++)
        for (int r = 0; r < rows; r++, i++) {
            last = find_tile(slot[i] / PFX_LANES, last, t, s);
            s->one_each &= last == b;
            s->of[i] = (uint8_t)last;
            s->count[last] += 1ull << slot[i] % PFX_LANES * 8;
        }
    for (int i = 0; i < s->n; i++) v8_store(s->share[i], v8_mul(share, from_bytes(s->count[i])));
}

PFX_INLINE void add_to(double *to, v8 x)
{
    v8_store(to, v8_add(v8_load(to), x));
}

/* One row of S, that of row r of the level: its own columns less their shares. */
PFX_INLINE void add_row(double *to, int rows, int blocks, const uint16_t *slot, int r, const tiles *s)
{
    if (s->one_each) { /* both at once */
        for (int b = 0; b < blocks; b++)
            add_to(to + s->at[b],
                   v8_sub(v8_load(unit[slot[b * rows + r] % PFX_LANES]), v8_load(s->share[b])));
        return;
    }
    for (int i = 0; i < s->n; i++) {
        double *x = to + s->at[i];
        v8_store(x, v8_sub(v8_load(x), v8_load(s->share[i])));
    }
    for (int i = r; i < blocks * rows; i += rows)
        add_to(to + s->at[s->of[i]], v8_load(unit[slot[i] % PFX_LANES]));
}

PFX_INLINE void add_level(const pfx_k_incidence *l, pfx_k_incidence_target *t, tiles *s)
{
    const int rows = l->rows, blocks = t->outer ? l->outer : l->inner + l->outer,
              row_blocks = t->outer ? l->outer : l->inner;
    const uint16_t *slot = l->slot + (t->outer ? l->inner * rows : 0);

    find_tiles(rows, blocks, slot, t, s);
    for (int b = 0; b < row_blocks; b++)
        for (int r = 0; r < rows; r++) {
            const pfx_idx row = slot[b * rows + r];
            if (row < t->slot0 || row >= t->slot1) continue;
            t->diag[row - t->slot0] += 1.0;
            add_row(t->S + (row - t->slot0) * t->ld, rows, blocks, slot, r, s);
        }
}

PFX_INLINE uint64_t cell_of(const pfx_k_incidence *l, int b)
{
    return ((const uint64_t *)(const void *)(l + 1))[b];
}

/* A byte of 0 or 1 for each of eight bits. */
PFX_INLINE uint64_t spread(uint64_t bits)
{
    const uint64_t own = bits * 0x0101010101010101ull & 0x8040201008040201ull;
    return (own + 0x7F7F7F7F7F7F7F7Full) >> 7 & 0x0101010101010101ull;
}

/* Rows of S that lie in block `from`, blocks 0 .. blocks - 1 of the cells its columns. */
PFX_INLINE void add_packed_rows(int rows, const int blocks, int from, const uint64_t *cell, const int32_t *at,
                                const v8 *share, pfx_k_incidence_target *t)
{
    const pfx_idx row0 = (pfx_idx)(cell[from] & 0xFFFF) * PFX_LANES - t->slot0;
    double *S = t->S + row0 * t->ld, *diag = t->diag + row0;

    if (row0 < 0 || row0 >= t->slot1 - t->slot0) return;
    for (int r = 0; r < rows; r++) {
        const int i = cell[from] >> (16 + 4 * r) & 7;
        double *to = S + i * t->ld;
        diag[i] += 1.0;
        for (int b = 0; b < blocks; b++)
            add_to(to + at[b], v8_sub(v8_load(unit[cell[b] >> (16 + 4 * r) & 7]), share[b]));
    }
}

PFX_INLINE void add_packed(const pfx_k_incidence *l, const int blocks, int skip, int row_blocks,
                           pfx_k_incidence_target *t)
{
    const v8 one = v8_set1(1.0 / l->rows);
    uint64_t cell[PFX_K_INCIDENCE_PACKED];
    int32_t at[PFX_K_INCIDENCE_PACKED];
    v8 share[PFX_K_INCIDENCE_PACKED];

    for (int b = 0; b < blocks; b++) {
        cell[b] = cell_of(l, skip + b);
        at[b] = column_of(t, (int32_t)(cell[b] & 0xFFFF));
        share[b] = v8_mul(one, from_bytes(spread(cell[b] >> 48)));
    }
    for (int b = 0; b < row_blocks; b++) add_packed_rows(l->rows, blocks, b, cell, at, share, t);
}

/* The common cases get loops of their own. */
PFX_INLINE void add_any(const pfx_k_incidence *l, pfx_k_incidence_target *t, tiles *s)
{
    const int blocks = t->outer ? l->outer : l->inner + l->outer, row_blocks = t->outer ? l->outer : l->inner;
    const int skip = t->outer ? l->inner : 0;

    if (!l->packed)
        add_level(l, t, s);
    else if (blocks == 2 && row_blocks == 1)
        add_packed(l, 2, skip, 1, t);
    else if (blocks == 1)
        add_packed(l, 1, skip, 1, t);
    else
        add_packed(l, blocks, skip, row_blocks, t);
}

void PFX_K(pfx_k_incidence_add)(pfx_idx n, const uint32_t *list, const uint64_t *cells,
                                pfx_k_incidence_target *t)
{
    tiles s;
    for (pfx_idx i = 0; i < n; i++) {
        __builtin_prefetch(cells + list[i + AHEAD < n ? i + AHEAD : n - 1]);
        add_any((const pfx_k_incidence *)(const void *)(cells + list[i]), t, &s);
    }
}
