/* A batch of placebo replicates, swept over blocks of cells: a block's entries and products are read once for
 * all of them. */
#include <math.h>
#include <string.h>
#include "kernels/placebo.h"
#include "kernels/replicate.h"
#include "src/rep/placebo_private.h"
#include "src/rep/refit.h"

enum { LANES = PFX_REP_LANES };
/* Lists of a batch's draws beyond this leave the cache for good: fewer replicates then. */
static const double LIST_BYTES = 20.0 * 1048576.0;

int pfx_placebo_width(const pfx_placebo *p)
{
    int width = 8 * LANES;
    if (p->cross) return PFX_PLACEBO_CROSS_REPS;
    while (width > LANES && (double)width * (double)p->most * 2 * sizeof(uint32_t) > LIST_BYTES) width /= 2;
    return width;
}

bool pfx_placebo_by_blocks(const pfx_placebo *p)
{
    return p->one_to_one && p->table && !p->wide;
}

static pfx_idx n_blocks(const pfx_placebo *p)
{
    return (p->n_cells + (1 << p->block_bits) - 1) >> p->block_bits;
}

static pfx_idx n_units_drawn(const pfx_placebo *p)
{
    return (p->a->most > p->a->n_treated ? p->a->most : p->a->n_treated) + p->a->n_fixed;
}

/* scratch NULL: the bytes alone. */
pfx_placebo_work_area pfx_placebo_lay_out(const pfx_placebo *p, void *scratch)
{
    pfx_placebo_work_area w = {0};
    bool blocks = pfx_placebo_by_blocks(p), se = p->std_error, products = se && !p->wide && !p->cross;
    pfx_idx at = 0, W = p->width, units = n_units_drawn(p), levels = p->n_levels * p->m;
#define TAKE(field, n) w.field = scratch ? (void *)((char *)scratch + at) : NULL, at += ((n) + 63) / 64 * 64
#define DOUBLES(field, n) TAKE(field, (pfx_idx)sizeof(double) * (n))
#define WORDS(field, n) TAKE(field, (pfx_idx)sizeof(uint32_t) * (n))
    TAKE(draw, pfx_assign_scratch(p->a));
    DOUBLES(sum, W * p->ld);
    DOUBLES(coef, se ? W * p->ld : 0);
    DOUBLES(phi, se || p->cross ? W * 2 * p->k : 0);
    DOUBLES(theta, products ? W * p->ldt : 0);
    DOUBLES(square, W);
    DOUBLES(meat, W);
    DOUBLES(slope, W);
    DOUBLES(change, p->most);
    DOUBLES(base, p->most);
    DOUBLES(lanes, products ? LANES * p->ldt : 0);
    DOUBLES(product, products ? LANES * p->ldt : 0);
    WORDS(unit, units);
    WORDS(path, units);
    WORDS(at, (blocks ? W : 1) * p->most);
    WORDS(row, (blocks ? W : 1) * p->most);
    WORDS(start, blocks ? W * (n_blocks(p) + 1) : 0);
    WORDS(cell, p->most);
    WORDS(cell_at, blocks ? p->most : 0);
    WORDS(touched, blocks ? 0 : p->most);
    WORDS(touched_level, blocks ? 0 : p->most);
    DOUBLES(entry, p->table || p->cross ? 0 : p->most * p->ld);
    DOUBLES(mean, p->table || p->cross ? 0 : levels);
    DOUBLES(level_sum, p->coupled ? levels : 0);
    DOUBLES(cluster_change, blocks ? 0 : p->G * (p->cross ? W : p->wide ? LANES : 1));
    DOUBLES(wide_phi, p->wide ? 2 * p->k * LANES : 0);
    DOUBLES(wide_fit, p->wide ? 2 * PFX_PLACEBO_WIDE_ROWS * LANES : 0);
    DOUBLES(wide_score, p->wide ? LANES : 0);
    DOUBLES(X, p->cross ? p->rows->n * W * p->m : 0);
    DOUBLES(before, p->cross ? W * p->m : 0);
    DOUBLES(acc, p->cross ? (p->ld + 2 * (p->m + p->k)) * W : 0);
    TAKE(refit, p->cross ? pfx_refit_scratch(p->cross) : 0);
#undef WORDS
#undef DOUBLES
#undef TAKE
    w.bytes = at;
    return w;
}

pfx_idx pfx_placebo_assign(const pfx_placebo *p, uint64_t seed, pfx_idx replicate, bool own,
                           pfx_placebo_work_area *w)
{
    const pfx_assign *a = p->a;
    pfx_idx n = own ? pfx_assign_own(a, w->unit, w->path)
                    : pfx_assign_draw(a, p->isa, seed, replicate, w->draw, w->unit, w->path);
    for (pfx_idx i = 0; i < a->n_fixed; i++, n++) {
        w->unit[n] = a->fixed[i];
        w->path[n] = (uint32_t)a->own[a->fixed[i]];
    }
    return n;
}

/* Cells of a draw and their entries; start[b]: how many lie in block b. Returns how many in all. */
static pfx_idx list_cells(const pfx_placebo *p, pfx_idx n, uint32_t *start, pfx_placebo_work_area *w)
{
    uint32_t paths = (uint32_t)p->a->n_paths;
    int bits = p->block_bits;
    pfx_idx cells = 0;
    if (p->unit_is_cell) {
        for (pfx_idx i = 0; i < n; i++) {
            uint32_t c = w->unit[i];
            w->cell[i] = c;
            w->cell_at[i] = c * paths + w->path[i];
            start[c >> bits]++;
        }
        return n;
    }
    for (pfx_idx i = 0; i < n; i++)
        for (uint32_t c = p->cell0[w->unit[i]], end = p->cell0[w->unit[i] + 1]; c < end; c++) {
            w->cell[cells] = c;
            w->cell_at[cells++] = c * paths + w->path[i];
            start[c >> bits]++;
        }
    return cells;
}

/* Entries of one replicate in order of blocks, within a block as drawn. */
static void list_entries(const pfx_placebo *p, pfx_idx n, int r, pfx_placebo_work_area *w)
{
    pfx_idx blocks = n_blocks(p), sum = 0;
    uint32_t *start = w->start + r * (blocks + 1), *at = w->at + r * p->most, *row = w->row + r * p->most;
    int bits = p->block_bits;
    memset(start, 0, (size_t)(blocks + 1) * sizeof *start);
    pfx_idx cells = list_cells(p, n, start, w);
    for (pfx_idx b = 0; b <= blocks; b++) {
        pfx_idx here = start[b];
        start[b] = (uint32_t)(sum += here); /* the end: placing from the last entry down makes it the start */
    }
    if (blocks == 1) {
        memcpy(at, w->cell_at, (size_t)cells * sizeof *at);
        memcpy(row, w->cell, (size_t)cells * sizeof *row);
        start[0] = 0;
        return;
    }
    for (pfx_idx i = cells - 1; i >= 0; i--) {
        uint32_t to = --start[w->cell[i] >> bits];
        at[to] = w->cell_at[i];
        row[to] = w->cell[i];
    }
}

void pfx_placebo_coefficients(const pfx_placebo *p, int r0, int r1, pfx_placebo_work_area *w,
                              double *const *field)
{
    for (int r = r0; r < r1; r++) {
        pfx_placebo_solved s;
        const double *sum = w->sum + r * p->ld;
        pfx_placebo_solve(p, sum, &s, p->std_error ? w->coef + r * p->ld : NULL,
                          p->std_error ? w->phi + (pfx_idx)r * 2 * p->k : NULL);
        if (p->std_error && !p->wide)
            pfx_placebo_theta(p, w->phi + (pfx_idx)r * 2 * p->k, w->theta + r * p->ldt);
        field[PFX_DRAW_ESTIMATE][r] = s.b[p->tested];
        field[PFX_PLACEBO_SLOPE][r] = s.slope;
        field[PFX_PLACEBO_SWITCHERS][r] = sum[p->at_switch];
    }
}

static void sum_blocks(const pfx_placebo *p, pfx_placebo_work_area *w)
{
    pfx_idx blocks = n_blocks(p);
    memset(w->sum, 0, (size_t)(p->width * p->ld) * sizeof *w->sum);
    for (pfx_idx b = 0; b < blocks; b++)
        for (int r = 0; r < p->width; r++) {
            const uint32_t *start = w->start + r * (blocks + 1) + b;
            pfx_k_placebo_sum(p->isa, start[1] - start[0], w->at + r * p->most + start[0], p->ld, p->table,
                              w->sum + r * p->ld);
        }
}

double pfx_placebo_squares(const pfx_placebo *p, pfx_idx n, const uint32_t *cluster, const double *theta,
                           pfx_placebo_work_area *w)
{
    double sum = 0;
    pfx_k_placebo_dot(p->isa, n, cluster, p->ldt, p->row, theta, w->base);
    for (pfx_idx i = 0; i < n; i++) sum += w->change[i] * (w->change[i] - 2 * w->base[i]);
    return sum;
}

static void score_blocks(const pfx_placebo *p, pfx_placebo_work_area *w)
{
    pfx_idx blocks = n_blocks(p);
    memset(w->square, 0, (size_t)p->width * sizeof *w->square);
    for (pfx_idx b = 0; b < blocks; b++)
        for (int r = 0; r < p->width; r++) {
            const uint32_t *start = w->start + r * (blocks + 1) + b;
            pfx_idx n = start[1] - start[0], at = r * p->most + start[0];
            pfx_k_placebo_dot(p->isa, n, w->at + at, p->ld, p->table, w->coef + r * p->ld, w->change);
            w->square[r] += pfx_placebo_squares(p, n, w->row + at, w->theta + r * p->ldt, w);
        }
}

/* Meat = theta'Omega theta, of all clusters as if none was touched, and what touching some changes. */
void pfx_placebo_meats(const pfx_placebo *p, int r0, pfx_placebo_work_area *w)
{
    pfx_idx ldt = p->ldt;
    const double *band = p->omega;
    for (int l = 0; l < LANES; l++)
        for (pfx_idx i = 0; i < ldt; i++) w->lanes[i * LANES + l] = w->theta[(r0 + l) * ldt + i];
    memset(w->product, 0, (size_t)(ldt * LANES) * sizeof *w->product);
    for (pfx_idx i = 0; i < p->nt; i += LANES) {
        pfx_idx n = p->nt - i < LANES ? p->nt - i : LANES;
        pfx_k_rep_sums(p->isa, n, w->lanes + i * LANES, ldt - i, ldt - i, band, (pfx_k_ahead){0},
                       w->product + i * LANES);
        band += n * (ldt - i);
    }
    double *meat = w->meat + r0;
    for (int l = 0; l < LANES; l++) meat[l] = w->square[r0 + l];
    for (pfx_idx i = 0; i < p->nt; i++)
        for (int l = 0; l < LANES; l++) meat[l] += w->lanes[i * LANES + l] * w->product[i * LANES + l];
}

static void finish(const pfx_placebo *p, const pfx_placebo_work_area *w, double *const *field)
{
    for (int r = 0; r < p->width; r++) {
        double b = field[PFX_DRAW_ESTIMATE][r];
        double se = p->std_error && !isnan(b) && w->meat[r] > 0 ? sqrt(p->ssc * w->meat[r]) : NAN;
        field[PFX_DRAW_STD_ERROR][r] = se;
        field[PFX_DRAW_STATISTIC][r] = b / se;
    }
}

static void run_batch(const pfx_placebo *p, uint64_t seed, pfx_idx first, bool own, void *scratch,
                      double *const *field)
{
    pfx_placebo_work_area w = pfx_placebo_lay_out(p, scratch);
    pfx_assign_begin(p->a, w.draw);
    if (p->cross) {
        pfx_placebo_cross_batch(p, seed, first, own, &w, field);
    } else if (!pfx_placebo_by_blocks(p)) {
        pfx_placebo_general(p, seed, first, own, &w, field);
    } else {
        for (int r = 0; r < p->width; r++)
            list_entries(p, pfx_placebo_assign(p, seed, first + r, own, &w), r, &w);
        sum_blocks(p, &w);
        pfx_placebo_coefficients(p, 0, p->width, &w, field);
        if (p->std_error) {
            score_blocks(p, &w);
            for (int r = 0; r < p->width; r += LANES) pfx_placebo_meats(p, r, &w);
        }
    }
    finish(p, &w, field);
}

void pfx_placebo_batch(const void *ctx, uint64_t seed, pfx_idx first, void *scratch, double *const *field)
{
    run_batch(ctx, seed, first, false, scratch, field);
}

void pfx_placebo_batch_own(const pfx_placebo *p, void *scratch, double *const *field)
{
    run_batch(p, 0, 0, true, scratch, field);
}
