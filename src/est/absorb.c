#include "src/est/absorb.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/est/absorb_internal.h"
#include "src/model/design.h"

/* Where a column keeps less than this share of its variance, products lose too many digits by subtraction: another
 * pass takes them from the projected data, and improves Gamma with what is left. */
#define REFINE_BELOW 1e-4
#define MAX_REFINE 2
/* A residual of this share of a column's centred size is rounding noise. */
#define NOISE 1e-14

static pfx_status join_names(pfx_absorber *a, pfx_err *err)
{
    pfx_str s = {0};
    for (int e = 0; e < a->d->n_absorbed; e++) {
        pfx_str_add(&s, e ? ", " : "");
        pfx_str_add(&s, a->d->absorbed[e].factor.name);
    }
    if (s.failed) (void)!pfx_fail(err, PFX_ENOMEM, "out of memory for the names of effects");
    a->effects = s.failed ? NULL : pfx_mem_strdup(s.s ? s.s : "", err);
    pfx_str_free(&s);
    return a->effects ? PFX_OK : PFX_ENOMEM;
}

/* Gram of Z~ - B G from that of Z~: less C'G + G'R, R = C - S G (zero to rounding after a direct solve). */
static void reduce_gram(int p, pfx_idx q, pfx_idx ld, const double *C, const double *G, const double *R, double *gram)
{
    for (pfx_idx t = 0; t < q; t++)
        for (int i = 0; i < p; i++)
            for (int j = i; j < p; j++)
                gram[i * p + j] -= C[t * ld + i] * G[t * ld + j] + G[t * ld + i] * R[t * ld + j];
    for (int i = 0; i < p; i++)
        for (int j = 0; j < i; j++) gram[i * p + j] = gram[j * p + i];
}

/* The work of create: pass, solve, and again where a column lost too much. */
typedef struct solve_work { double *C, *G, *R, *floor, *before; } solve_work;

static pfx_status alloc_work(const pfx_absorber *a, solve_work *s, pfx_err *err)
{
    pfx_idx n = a->q * a->ldp;
    if (!(s->C = pfx_mem_calloc(n, sizeof *s->C, err)) || !(s->G = pfx_mem_calloc(n, sizeof *s->G, err)) ||
        !(s->R = pfx_mem_calloc(n, sizeof *s->R, err)) ||
        !(s->floor = pfx_mem_calloc(a->ldp, sizeof *s->floor, err)) ||
        !(s->before = pfx_mem_calloc(a->p, sizeof *s->before, err)))
        return PFX_ENOMEM;
    return PFX_OK;
}

static bool lost_digits(const pfx_absorber *a, const double *before)
{
    for (int k = 0; k < a->p; k++)
        if (a->gram[k * a->p + k] < REFINE_BELOW * before[k]) return true;
    return false;
}

/* One solve: Gamma += S^-1 C, the Gram matrix follows. */
static pfx_status improve(pfx_absorber *a, solve_work *s, pfx_err *err)
{
    for (int k = 0; k < a->p; k++) s->before[k] = a->gram[k * a->p + k];
    pfx_status st = pfx_schur_solve(a->schur, a->p, a->ldp, s->C, s->floor, s->G, s->R, err);
    if (st != PFX_OK) return st;
    reduce_gram(a->p, a->q, a->ldp, s->C, s->G, s->R, a->gram);
    for (pfx_idx i = 0; i < a->q * a->ldp; i++) a->gamma[i] += s->G[i];
    if (pfx_schur_iterations(a->schur) > a->info.iterations) a->info.iterations = pfx_schur_iterations(a->schur);
    return PFX_OK;
}

/* After the first pass a stream knows its levels: room was made for as many as can be. */
static void settle(pfx_absorber *a)
{
    const pfx_design *d = a->d;
    if (!d->stream) return;
    for (int e = 0; e < a->n_rest && !d->stream->whole; e++) a->q = a->rest[e].n_levels = d->absorbed[a->rest_entry[e]].factor.n_levels;
    if (a->first >= 0) a->rank_first = d->absorbed[a->first].factor.n_levels;
    if (a->constant) a->rank_first = 1;
}

static pfx_status project(pfx_absorber *a, pfx_err *err)
{
    solve_work s = {0};
    pfx_absorb_view v = {NULL, a->origin, a->p, a->ldp, NULL, a->long_mean};
    pfx_absorb_sums sums = {.gram = a->gram, .mean = a->col_mean, .centred = a->centred};
    pfx_status st;

    if ((st = alloc_work(a, &s, err)) != PFX_OK) goto done;
    if (a->q > 0) {
        const pfx_schur_spec spec = pfx_absorb_schur_spec(a);
        if ((st = pfx_schur_create(&spec, &a->schur, err)) != PFX_OK) goto done;
        sums.C = s.C, sums.schur = a->schur;
    }
    if (!pfx_absorb_joins(a) && (st = pfx_absorb_long_means(a, &v, err)) != PFX_OK) goto done;
    if ((st = pfx_absorb_pass(a, &v, &sums, err)) != PFX_OK) goto done;
    a->weight = sums.weight;
    settle(a);
    for (int k = 0; k < a->p; k++) {
        a->raw[k] = a->centred[k] + sums.weight * a->col_mean[k] * a->col_mean[k];
        s.floor[k] = NOISE * NOISE * a->centred[k];
    }
    if (a->q == 0) goto done;
    sums.schur = NULL;
    if ((st = pfx_schur_finish(a->schur, a->q, err)) != PFX_OK || (st = improve(a, &s, err)) != PFX_OK) goto done;
    a->gamma_set = true;
    v.gamma = a->gamma;
    if ((st = pfx_absorb_long_means(a, &v, err)) != PFX_OK) goto done;
    sums.mean = sums.centred = NULL;
    for (int i = 0; i < MAX_REFINE && lost_digits(a, s.before); i++) {
        if ((st = pfx_absorb_pass(a, &v, &sums, err)) != PFX_OK || (st = improve(a, &s, err)) != PFX_OK ||
            (st = pfx_absorb_long_means(a, &v, err)) != PFX_OK)
            goto done;
    }
done:
    pfx_mem_free(s.C), pfx_mem_free(s.G), pfx_mem_free(s.R), pfx_mem_free(s.floor), pfx_mem_free(s.before);
    return st;
}

pfx_status pfx_absorber_create(struct pfx_design *d, const pfx_absorb_options *o, pfx_absorber **out, pfx_err *err)
{
    pfx_status st;
    pfx_absorber *a = pfx_mem_calloc(1, sizeof *a, err);

    *out = NULL;
    if (!a) return PFX_ENOMEM;
    a->d = d;
    a->opt = *o;
    if ((st = join_names(a, err)) != PFX_OK || (st = pfx_absorb_layout(a, err)) != PFX_OK ||
        (st = pfx_absorb_basis(a, err)) != PFX_OK)
        goto fail;
    st = PFX_ENOMEM;
    if (!(a->gamma = pfx_mem_calloc(a->q * a->ldp, sizeof *a->gamma, err)) ||
        !(a->long_mean = pfx_mem_calloc(a->n_long * a->ldp, sizeof *a->long_mean, err)) ||
        !(a->origin = pfx_mem_calloc(a->p, sizeof *a->origin, err)) ||
        !(a->gram = pfx_mem_calloc((pfx_idx)a->p * a->p, sizeof *a->gram, err)) ||
        !(a->centred = pfx_mem_calloc(a->p, sizeof *a->centred, err)) ||
        !(a->raw = pfx_mem_calloc(a->p, sizeof *a->raw, err)) ||
        !(a->col_mean = pfx_mem_calloc(a->p, sizeof *a->col_mean, err)))
        goto fail;
    if (!d->stream && d->n > 0) memcpy(a->origin, d->Z, (size_t)a->p * sizeof *a->origin);
    if ((st = project(a, err)) != PFX_OK || (st = pfx_absorb_fill_info(a, err)) != PFX_OK) goto fail;
    *out = a;
    return PFX_OK;
fail:
    pfx_absorber_free(a);
    return st;
}

void pfx_absorber_free(pfx_absorber *a)
{
    if (!a) return;
    for (int k = 0; a->basis && k < a->n_basis; k++) pfx_mem_free(a->basis[k]);
    pfx_mem_free(a->basis), pfx_mem_free(a->basis_lost), pfx_mem_free(a->in_first), pfx_mem_free(a->start);
    pfx_mem_free(a->block_row), pfx_mem_free(a->block_level), pfx_mem_free(a->block_long);
    pfx_mem_free(a->zeros), pfx_mem_free(a->cluster_order);
    pfx_schur_free(a->schur);
    pfx_mem_free(a->origin), pfx_mem_free(a->gamma), pfx_mem_free(a->long_mean), pfx_mem_free(a->gram), pfx_mem_free(a->centred);
    pfx_mem_free(a->raw), pfx_mem_free(a->col_mean), pfx_mem_free(a->effects);
    for (int e = 0; a->info_name && e < a->info.n_effects; e++) pfx_mem_free(a->info_name[e]);
    pfx_mem_free(a->info_name), pfx_mem_free(a->info_levels), pfx_mem_free(a->info_redundant);
    pfx_mem_free(a);
}

const pfx_absorb_info *pfx_absorber_info(const pfx_absorber *a) { return &a->info; }
const double *pfx_absorber_gram(const pfx_absorber *a) { return a->gram; }
const double *pfx_absorber_centred(const pfx_absorber *a) { return a->centred; }
const double *pfx_absorber_raw(const pfx_absorber *a) { return a->raw; }
const double *pfx_absorber_mean(const pfx_absorber *a) { return a->col_mean; }
double pfx_absorber_weight(const pfx_absorber *a) { return a->weight; }
pfx_idx pfx_absorber_n_blocks(const pfx_absorber *a) { return a->n_blocks; }
pfx_idx pfx_absorber_max_block_rows(const pfx_absorber *a) { return a->max_rows; }

void pfx_absorber_block_rows(const pfx_absorber *a, pfx_idx block, pfx_idx *row0, pfx_idx *n)
{
    *row0 = a->block_row[block];
    *n = a->block_row[block + 1] - *row0;
}

void pfx_absorber_block(const pfx_absorber *a, pfx_idx block, double *buf)
{
    const pfx_absorb_view v = {NULL, a->origin, a->p, a->ldp, a->gamma_set ? a->gamma : NULL, a->long_mean};
    pfx_absorb_fill(a, &v, block, a->p, buf, NULL);
}
