/* Cluster statistics to a bag and back. */
#include "src/rep/clusterstat_store.h"

#include <stdio.h>
#include "src/base/bag.h"
#include "src/base/mem.h"
#include "src/rep/clusterstat.h"

bool pfx_clusterstat_needs_rows(const pfx_clusterstat *s)
{
    return s->absorber || s->design || s->Q;
}

/* Two-stage least squares: sizes first, those of the equation's own columns too. */
static pfx_status walk_iv(pfx_clusterstat *s, pfx_bag *b, pfx_err *err)
{
    pfx_clusterstat_iv *iv = s->iv;
    pfx_clusterstat *o = &iv->structural;
    pfx_status st = pfx_bag_int(b, "iv_L", &iv->L, err);
    if (st == PFX_OK) st = pfx_bag_int(b, "iv_n_exog", &iv->n_exog, err);
    if (st == PFX_OK) st = pfx_bag_int(b, "iv_n", &iv->n, err);
    if (st == PFX_OK) st = pfx_bag_int(b, "iv_k", &o->k, err);
    if (st == PFX_OK) st = pfx_bag_int(b, "iv_n_terms", &o->n_terms, err);
    if (st == PFX_OK && (iv->n_exog < 0 || iv->n < 1 || iv->L < iv->n_exog || o->k < 1 || o->n_terms < 1))
        st = pfx_fail(err, PFX_EFORMAT, "statistics of two-stage least squares with impossible sizes");
    if (st == PFX_OK) st = pfx_bag_f64(b, "iv_R", (pfx_idx)o->k * o->k, &o->R, err);
    if (st == PFX_OK) st = pfx_bag_f64(b, "iv_b", o->n_terms, &o->b, err);
    if (st == PFX_OK) st = pfx_bag_f64(b, "iv_norm", o->n_terms, &o->norm, err);
    if (st == PFX_OK) st = pfx_bag_i32(b, "iv_place", s->n_terms, &iv->place, err);
    if (st == PFX_OK)
        st = pfx_bag_f64(b, "iv_functional", (pfx_idx)s->n_terms * o->n_terms, &iv->functional, err);
    return st;
}

static pfx_status walk_sizes(pfx_clusterstat *s, bool *iv, pfx_bag *b, pfx_err *err)
{
    pfx_status st = pfx_bag_idx(b, "G", &s->G, err);
    if (st == PFX_OK) st = pfx_bag_idx(b, "n_rows", &s->n_rows, err);
    if (st == PFX_OK) st = pfx_bag_int(b, "k", &s->k, err);
    if (st == PFX_OK) st = pfx_bag_int(b, "n_effect", &s->n_effect, err);
    if (st == PFX_OK) st = pfx_bag_int(b, "n_terms", &s->n_terms, err);
    if (st == PFX_OK) st = pfx_bag_idx(b, "ld", &s->ld, err);
    if (st == PFX_OK) st = pfx_bag_idx(b, "rows", &s->rows, err);
    if (st == PFX_OK) st = pfx_bag_flag(b, "iv", iv, err);
    if (st != PFX_OK) return st;
    if (s->G < 2 || s->G > INT32_MAX || s->k < 1 || s->k > INT16_MAX || s->n_terms < 1 || s->n_terms > s->k ||
        s->n_effect < 0 || s->n_effect > s->k || s->rows != (s->G + 7) / 8 * 8 ||
        s->ld != ((pfx_idx)(s->k + 1) * (s->k + 2) / 2 + 7) / 8 * 8)
        return pfx_fail(err, PFX_EFORMAT, "cluster statistics with impossible sizes");
    return PFX_OK;
}

static pfx_status walk_terms(pfx_clusterstat *s, pfx_bag *b, pfx_err *err)
{
    pfx_status st = PFX_OK;
    if (pfx_bag_gives(b) && !(s->term = pfx_mem_calloc(s->n_terms, sizeof *s->term, err))) return PFX_ENOMEM;
    for (int t = 0; t < s->n_terms && st == PFX_OK; t++) {
        char name[32];
        snprintf(name, sizeof name, "term_%d", t + 1);
        st = pfx_bag_text(b, name, &s->term[t], err);
    }
    return st;
}

pfx_status pfx_clusterstat_store(pfx_clusterstat **stat, pfx_bag *b, pfx_err *err)
{
    bool gives = pfx_bag_gives(b), iv = !gives && (*stat)->iv;
    pfx_clusterstat *s = gives ? pfx_mem_calloc(1, sizeof *s, err) : *stat;
    if (!s) return PFX_ENOMEM;
    pfx_status st = walk_sizes(s, &iv, b, err);
    if (st == PFX_OK) st = walk_terms(s, b, err);
    if (st == PFX_OK) st = pfx_bag_f64(b, "M", s->rows * s->ld, &s->M, err);
    if (st == PFX_OK) st = pfx_bag_f64(b, "A", s->ld, &s->A, err);
    if (st == PFX_OK) st = pfx_bag_f64(b, "R", (pfx_idx)s->k * s->k, &s->R, err);
    if (st == PFX_OK) st = pfx_bag_f64(b, "norm", s->n_terms, &s->norm, err);
    if (st == PFX_OK) st = pfx_bag_f64(b, "b", s->n_terms, &s->b, err);
    if (st == PFX_OK) st = pfx_bag_i64(b, "first_row", s->G, &s->first_row, err);
    if (st == PFX_OK && iv && gives && !(s->iv = pfx_mem_calloc(1, sizeof *s->iv, err))) st = PFX_ENOMEM;
    if (st == PFX_OK && iv) st = walk_iv(s, b, err);
    if (!gives) return st;
    if (st == PFX_OK)
        *stat = s;
    else
        pfx_clusterstat_free(s);
    return st;
}
