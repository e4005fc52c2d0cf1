/* Entries of all cells under all paths, and the products of the nuisance columns within clusters. */
#include <math.h>
#include <string.h>
#include "kernels/gram.h"
#include "kernels/replicate.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/model/design.h"
#include "src/rep/placebo_private.h"

/* A table beyond this, or beyond a share of what memory allows, is not made: entries are then computed as
 * they are drawn. */
static const double TABLE_BYTES = 1073741824.0, TABLE_SHARE = 0.3;
/* A demeaned value below this share of its mean is the rounding of the mean. */
static const double NOTHING = 1e-14;
enum { CELLS_AT_ONCE = 64, ROWS_AT_ONCE = 256, ROUND = 16 };

static double weight(const pfx_placebo *p, pfx_idx i)
{
    return p->w ? p->w[i] : 1;
}

double pfx_placebo_value(const pfx_placebo *p, pfx_idx i, uint32_t path, int a)
{
    const double *v = p->a->path + (pfx_idx)path * p->a->n_periods;
    return v[p->period ? p->period[i] : 0] * (p->factor ? p->factor[(pfx_idx)a * p->rows->n + i] : 1);
}

bool pfx_placebo_switches(const pfx_placebo *p, uint32_t unit, uint32_t path)
{
    const double *v = p->a->path + (pfx_idx)path * p->a->n_periods;
    pfx_idx first = p->cell_start[p->cell0[unit]], end = p->cell_start[p->cell0[unit + 1]];
    if (!p->period) return false;
    for (pfx_idx r = first; r < end; r++)
        if (v[p->period[p->cell_rows[r]]] != v[p->period[p->cell_rows[first]]]) return true;
    return false;
}

/* Means within the levels of a cell's rows, into mean. */
static void level_means(const pfx_placebo *p, uint32_t cell, uint32_t path, double *mean)
{
    const int32_t *level = p->rows->level;
    int m = p->m;
    for (pfx_idx r = p->cell_start[cell]; r < p->cell_start[cell + 1]; r++)
        memset(mean + (pfx_idx)level[p->cell_rows[r]] * m, 0, (size_t)m * sizeof *mean);
    for (pfx_idx r = p->cell_start[cell]; r < p->cell_start[cell + 1]; r++) {
        pfx_idx i = p->cell_rows[r];
        for (int a = 0; a < m; a++)
            mean[(pfx_idx)level[i] * m + a] += weight(p, i) * pfx_placebo_value(p, i, path, a);
    }
}

void pfx_placebo_entry(const pfx_placebo *p, uint32_t cell, uint32_t path, double *mean, double *out)
{
    int k = p->k, m = p->m;
    const int32_t *level = p->coupled ? NULL : p->rows->level;
    double v[PFX_PLACEBO_MAX_DRAWN];
    memset(out, 0, (size_t)p->ld * sizeof *out);
    if (level) level_means(p, cell, path, mean);
    for (pfx_idx r = p->cell_start[cell]; r < p->cell_start[cell + 1]; r++) {
        pfx_idx i = p->cell_rows[r];
        const double *q = p->rows->Q + i * p->rows->stride;
        for (int a = 0; a < m; a++) {
            v[a] = pfx_placebo_value(p, i, path, a);
            if (p->coupled) out[p->at_level + a] += weight(p, i) * v[a];
            if (!level) continue;
            double mu = mean[(pfx_idx)level[i] * m + a] / p->level_weight[level[i]];
            v[a] = fabs(v[a] - mu) <= NOTHING * fabs(mu) ? 0 : v[a] - mu;
        }
        for (int a = 0, at = p->at_s; a < m; a++) {
            double wv = weight(p, i) * v[a], *f = out + (pfx_idx)a * k;
            for (int j = 0; j < k; j++) f[j] += wv * q[j];
            out[p->at_u + a] += wv * q[k];
            out[p->at_v + a] += wv * q[k + 1];
            for (int b = a; b < m; b++) out[at++] += wv * v[b];
        }
    }
    uint32_t unit = p->unit_of[cell]; /* counted at its first cell */
    if (cell == p->cell0[unit]) out[p->at_switch] = pfx_placebo_switches(p, unit, path);
}

typedef struct job {
    pfx_placebo *p;
    double *mean;                  /* [n_levels x m]: threads share it, their cells' levels differ */
    pfx_idx *row_start, *row_rows; /* rows of each cluster */
    pfx_idx round0;
    double *gram; /* [ROUND][nt x nt] */
} job;

static void fill_cells(void *ctx, pfx_idx block, int thread)
{
    const job *j = ctx;
    pfx_placebo *p = j->p;
    pfx_idx first = block * CELLS_AT_ONCE, last = first + CELLS_AT_ONCE;
    (void)thread;
    for (pfx_idx c = first; c < last && c < p->n_cells; c++)
        for (pfx_idx q = 0; q < p->a->n_paths; q++)
            pfx_placebo_entry(p, (uint32_t)c, (uint32_t)q, j->mean,
                              p->table + (c * p->a->n_paths + q) * p->ld);
}

pfx_status pfx_placebo_tables(pfx_placebo *p, const pfx_placebo_in *in, pfx_err *err)
{
    double entries = (double)p->n_cells * (double)p->a->n_paths,
           bytes = entries * (double)p->ld * sizeof(double);
    job j = {.p = p};
    if (bytes > TABLE_BYTES || entries > 4e9 || (in->max_bytes > 0 && bytes > TABLE_SHARE * in->max_bytes))
        return PFX_OK;
    p->table = pfx_mem_alloc(p->n_cells * p->a->n_paths * p->ld, sizeof *p->table, err);
    j.mean = pfx_mem_alloc(p->n_levels * p->m, sizeof *j.mean, err);
    if (p->table && j.mean)
        pfx_par_for((p->n_cells + CELLS_AT_ONCE - 1) / CELLS_AT_ONCE, in->nth, fill_cells, &j);
    pfx_mem_free(j.mean);
    return p->table && j.mean ? PFX_OK : PFX_ENOMEM;
}

/* ---- products within clusters ---- */

static pfx_status group_by_cluster(job *j, const pfx_placebo_in *in, pfx_err *err)
{
    pfx_placebo *p = j->p;
    pfx_idx n = p->rows->n;
    if (p->one_to_one) {
        j->row_start = p->cell_start;
        j->row_rows = p->cell_rows;
        return PFX_OK;
    }
    const int32_t *code = in->d->clusters[0].code;
    j->row_start = pfx_mem_calloc(p->G + 2, sizeof *j->row_start, err);
    j->row_rows = pfx_mem_alloc(n, sizeof *j->row_rows, err);
    if (!j->row_start || !j->row_rows) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < n; i++) j->row_start[code[i] + 2]++;
    for (pfx_idx g = 0; g < p->G; g++) j->row_start[g + 2] += j->row_start[g + 1];
    for (pfx_idx i = 0; i < n; i++) j->row_rows[j->row_start[code[i] + 1]++] = i;
    return PFX_OK;
}

static void sum_rows(void *ctx, pfx_idx block, int thread)
{
    const job *j = ctx;
    pfx_placebo *p = j->p;
    int k = p->k;
    (void)thread;
    for (pfx_idx g = block * ROWS_AT_ONCE; g < (block + 1) * ROWS_AT_ONCE && g < p->G; g++) {
        double *to = p->row + g * p->ldt;
        for (pfx_idx r = j->row_start[g]; r < j->row_start[g + 1]; r++) {
            pfx_idx i = j->row_rows[r];
            const double *q = p->rows->Q + i * p->rows->stride;
            double w = weight(p, i), *M = to + k;
            for (int a = 0; a < k; a++) to[a] += w * q[k] * q[a];
            for (int a = 0; a < k; M += ++a)
                for (int b = 0; b <= a; b++) M[b] += w * q[a] * q[b];
        }
    }
}

static void gram_block(void *ctx, pfx_idx slot, int thread)
{
    const job *j = ctx;
    const pfx_placebo *p = j->p;
    pfx_idx g = (j->round0 + slot) * ROWS_AT_ONCE, n = p->G - g < ROWS_AT_ONCE ? p->G - g : ROWS_AT_ONCE;
    double *to = j->gram + slot * p->nt * p->nt;
    (void)thread;
    memset(to, 0, (size_t)(p->nt * p->nt) * sizeof *to);
    pfx_k_gram(p->isa, n, (int)p->nt, p->ldt, p->row + g * p->ldt, NULL, to);
}

/* Upper triangle of the sum, into bands: each holds its rows from its own first column on. */
static void add_bands(const pfx_placebo *p, const double *gram)
{
    double *to = p->omega;
    for (pfx_idx r0 = 0; r0 < p->nt; r0 += PFX_REP_LANES) {
        pfx_idx width = p->ldt - r0;
        for (pfx_idx r = r0; r < r0 + PFX_REP_LANES && r < p->nt; r++, to += width)
            for (pfx_idx c = r0; c < p->nt; c++) {
                double x = c >= r ? gram[r * p->nt + c] : gram[c * p->nt + r];
                to[c - r0] += c >= r0 + PFX_REP_LANES ? 2 * x : x;
            }
    }
}

static pfx_status omega(job *j, int nth, pfx_err *err)
{
    pfx_placebo *p = j->p;
    pfx_idx size = 0, n = (p->G + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
    for (pfx_idx r = 0; r < p->nt; r++) size += p->ldt - r / PFX_REP_LANES * PFX_REP_LANES;
    p->omega = pfx_mem_calloc(size, sizeof *p->omega, err);
    j->gram = pfx_mem_alloc(ROUND * p->nt * p->nt, sizeof *j->gram, err);
    if (!p->omega || !j->gram) return PFX_ENOMEM;
    for (j->round0 = 0; j->round0 < n && p->nt > 0; j->round0 += ROUND) {
        pfx_idx slots = n - j->round0 < ROUND ? n - j->round0 : ROUND;
        pfx_par_for(slots, nth, gram_block, j);
        for (pfx_idx s = 0; s < slots; s++) add_bands(p, j->gram + s * p->nt * p->nt);
    }
    return PFX_OK;
}

/* Rows in order of clusters, columns of a block side by side. */
static pfx_status wide_rows(job *j, pfx_err *err)
{
    pfx_placebo *p = j->p;
    enum { B = PFX_PLACEBO_WIDE_ROWS };
    pfx_idx n = p->rows->n, blocks = (n + B - 1) / B;
    p->cluster_start = pfx_mem_alloc(p->G + 1, sizeof *p->cluster_start, err);
    p->wide_Q = pfx_mem_calloc(blocks * p->k * B, sizeof *p->wide_Q, err);
    p->wide_w = pfx_mem_calloc(blocks * B, sizeof *p->wide_w, err);
    p->wide_y = pfx_mem_calloc(blocks * B, sizeof *p->wide_y, err);
    if (!p->cluster_start || !p->wide_Q || !p->wide_w || !p->wide_y) return PFX_ENOMEM;
    memcpy(p->cluster_start, j->row_start, (size_t)(p->G + 1) * sizeof *p->cluster_start);
    for (pfx_idx r = 0; r < n; r++) {
        pfx_idx i = j->row_rows[r];
        const double *q = p->rows->Q + i * p->rows->stride;
        for (int c = 0; c < p->k; c++) p->wide_Q[(r / B * p->k + c) * B + r % B] = q[c];
        p->wide_w[r] = weight(p, i);
        p->wide_y[r] = q[p->k];
    }
    return PFX_OK;
}

pfx_status pfx_placebo_products(pfx_placebo *p, const pfx_placebo_in *in, pfx_err *err)
{
    job j = {.p = p};
    double rows = 2.0 * (double)p->rows->n * p->k, square = 0.5 * (double)p->nt * (double)p->nt;
    double bytes = (double)p->G * (double)p->ldt * sizeof(double);
    p->wide = square > rows || (in->max_bytes > 0 && bytes > 0.4 * in->max_bytes);
    p->work += p->wide ? rows : square + (double)p->most * (double)p->ldt;
    pfx_status st = group_by_cluster(&j, in, err);
    if (st == PFX_OK && p->wide) st = wide_rows(&j, err);
    if (st == PFX_OK && !p->wide) {
        if (!(p->row = pfx_mem_calloc(p->G * p->ldt, sizeof *p->row, err))) st = PFX_ENOMEM;
        if (st == PFX_OK) pfx_par_for((p->G + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE, in->nth, sum_rows, &j);
        if (st == PFX_OK) st = omega(&j, in->nth, err);
    }
    if (!p->one_to_one) {
        pfx_mem_free(j.row_start);
        pfx_mem_free(j.row_rows);
    }
    pfx_mem_free(j.gram);
    return st;
}
