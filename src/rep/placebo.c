#include "src/rep/placebo.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/model/design.h"
#include "src/rep/placebo_private.h"
#include "src/rep/refit.h"

const char *const pfx_placebo_extra[2] = {"slope", "switchers"};

/* Bytes of a block of cells: its entries and products come from memory once for all replicates of a batch;
 * smaller blocks, of a second-level cache, cost more in their number. Without standard errors, a table of up
 * to so many is one block: sorting costs more. */
static const double BLOCK_BYTES = 2097152.0, ONE_BLOCK_BYTES = 8.0 * 1048576.0;

static void place_entry(pfx_placebo *p)
{
    int m = p->m, at = m * p->k;
    p->at_u = at;
    p->at_v = at += m;
    p->at_s = at += m;
    p->at_switch = at += m * (m + 1) / 2;
    p->at_level = ++at;
    p->ld = (at + (p->coupled ? m : 0) + 7) / 8 * 8;
    p->nt = (pfx_idx)p->k + (pfx_idx)p->k * (p->k + 1) / 2;
    p->ldt = (p->nt + 7) / 8 * 8;
    double cells = BLOCK_BYTES / (sizeof(double) * (double)((p->std_error ? p->ldt : 0) + 2 * p->ld));
    double table = (double)p->n_cells * (double)p->a->n_paths * (double)p->ld * sizeof(double);
    if (!p->std_error && table <= ONE_BLOCK_BYTES) cells = (double)p->n_cells;
    for (p->block_bits = 4; 1 << p->block_bits < cells;) p->block_bits++;
    if (cells < (double)p->n_cells) p->block_bits--;
    p->width = pfx_placebo_width(p);
}

/* Entries are ready: what they were made of goes. */
static void drop_rows(pfx_placebo *p)
{
    pfx_placebo_rows_free(p->rows);
    pfx_mem_free(p->cell_rows);
    pfx_mem_free(p->cell_start);
    p->rows = NULL;
    p->cell_rows = p->cell_start = NULL;
}

/* Where rows are projected: what the threads need of them. */
static pfx_status check_bytes(const pfx_placebo *p, const pfx_placebo_in *in, pfx_err *err)
{
    double bytes = (double)pfx_placebo_lay_out(p, NULL).bytes * in->nth;
    if (in->max_bytes <= 0 || bytes <= in->max_bytes) return PFX_OK;
    return pfx_fail(err, PFX_ENOMEM,
                    "effects cross the clusters: the drawn regressors of %lld rows on %d threads need %.0f "
                    "MiB, more than "
                    "--memory leaves (%.0f); give more, or fewer --threads",
                    (long long)p->rows->n, in->nth, bytes / 0x1p20, in->max_bytes / 0x1p20);
}

static pfx_status build(pfx_placebo *p, const pfx_placebo_in *in, pfx_err *err)
{
    const pfx_placebo_rows_options ro = {.n_drawn = in->n_drawn,
                                         .drawn = in->drawn,
                                         .tested = in->tested,
                                         .n_collinear = in->n_collinear,
                                         .collinear = in->collinear,
                                         .tol = in->tol,
                                         .maxiter = in->maxiter,
                                         .nth = in->nth,
                                         .isa = in->isa,
                                         .cross = in->cross};
    pfx_status st = pfx_placebo_rows_create(in->d, &ro, &p->rows, err);
    if (st != PFX_OK) return st;
    p->k = p->rows->k;
    p->level_weight = p->rows->weight;
    p->rows->weight = NULL;
    if ((st = pfx_placebo_cells(p, in, err)) != PFX_OK) return st;
    if (p->rows->all) {
        if ((st = pfx_placebo_cross_create(p, in, err)) != PFX_OK) return st;
        place_entry(p);
        return check_bytes(p, in, err);
    }
    place_entry(p);
    p->work = (double)p->most * (double)p->ld * (p->std_error ? 2 : 1);
    if ((st = pfx_placebo_tables(p, in, err)) == PFX_OK && p->std_error)
        st = pfx_placebo_products(p, in, err);
    if (st == PFX_OK && p->table) drop_rows(p);
    return st;
}

void pfx_placebo_set_method(pfx_placebo *p)
{
    p->method = (pfx_rep_method){.name = pfx_placebo_scheme_names[p->a->scheme],
                                 .width = p->width,
                                 .n_terms = 1,
                                 .n_extra = PFX_PLACEBO_FIELDS - PFX_DRAW_FIELDS,
                                 .extra = pfx_placebo_extra,
                                 .scratch = pfx_placebo_lay_out(p, NULL).bytes,
                                 .ctx = p,
                                 .batch = pfx_placebo_batch};
}

pfx_status pfx_placebo_create(const pfx_placebo_in *in, const pfx_assign *a, pfx_placebo **out, pfx_err *err)
{
    pfx_placebo *p = NULL;
    if (in->n_drawn > PFX_PLACEBO_MAX_DRAWN)
        return pfx_fail(err, PFX_EUSAGE,
                        "%d regressors are made of the treatment; at most %d can be drawn anew", in->n_drawn,
                        PFX_PLACEBO_MAX_DRAWN);
    if (in->d->n_clusters < 1 || in->d->clusters[0].n_levels < 2)
        return pfx_fail(err, PFX_EDATA, "placebo replicates need at least 2 clusters");
    if (!(p = pfx_mem_calloc(1, sizeof *p, err))) return PFX_ENOMEM;
    p->a = a;
    p->isa = in->isa;
    p->std_error = in->std_error;
    p->ssc = in->ssc;
    p->m = in->n_drawn;
    p->tested = in->tested;
    p->factor = in->factor;
    p->w = in->d->w;
    p->period = in->assign->scheme == PFX_PLACEBO_WITHIN ? NULL : in->assign->period;
    pfx_status st = build(p, in, err);
    if (st != PFX_OK) {
        pfx_placebo_free(p);
        return st;
    }
    pfx_placebo_set_method(p);
    *out = p;
    return PFX_OK;
}

void pfx_placebo_free(pfx_placebo *p)
{
    if (!p) return;
    drop_rows(p);
    pfx_mem_free(p->cell0);
    pfx_mem_free(p->unit_of);
    pfx_mem_free(p->cluster);
    pfx_mem_free(p->level);
    pfx_mem_free(p->level_cluster);
    pfx_mem_free(p->level_weight);
    pfx_mem_free(p->table);
    pfx_mem_free(p->row);
    pfx_mem_free(p->omega);
    pfx_mem_free(p->cluster_start);
    pfx_mem_free(p->wide_Q);
    pfx_mem_free(p->wide_w);
    pfx_mem_free(p->wide_y);
    pfx_refit_free(p->cross);
    pfx_mem_free(p->place);
    pfx_mem_free(p->code);
    pfx_mem_free(p);
}

const pfx_rep_method *pfx_placebo_method(const pfx_placebo *p)
{
    return &p->method;
}

pfx_status pfx_placebo_own(const pfx_placebo *p, double *value, pfx_err *err)
{
    int width = p->method.width;
    char *scratch = pfx_mem_alloc(p->method.scratch, 1, err);
    double *v = pfx_mem_alloc((pfx_idx)PFX_PLACEBO_FIELDS * width, sizeof *v, err);
    double *field[PFX_PLACEBO_FIELDS];
    if (scratch && v) {
        for (int f = 0; f < PFX_PLACEBO_FIELDS; f++) field[f] = v + (pfx_idx)f * width;
        pfx_placebo_batch_own(p, scratch, field);
        for (int f = 0; f < PFX_PLACEBO_FIELDS; f++) value[f] = field[f][0];
    }
    pfx_mem_free(scratch);
    pfx_mem_free(v);
    return scratch && v ? PFX_OK : PFX_ENOMEM;
}

const pfx_refit *pfx_placebo_cross(const pfx_placebo *p)
{
    return p->cross;
}

pfx_idx pfx_placebo_clusters(const pfx_placebo *p)
{
    return p->G;
}

double pfx_placebo_work(const pfx_placebo *p)
{
    return p->work;
}
