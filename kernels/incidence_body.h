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

void PFX_K(pfx_k_incidence_add)(pfx_idx n, const uint32_t *list, const uint64_t *cells,
                                pfx_k_incidence_target *t)
{
    tiles s;
    for (pfx_idx i = 0; i < n; i++) {
        __builtin_prefetch(cells + list[i + AHEAD < n ? i + AHEAD : n - 1]);
        add_level((const pfx_k_incidence *)(const void *)(cells + list[i]), t, &s);
    }
}
