#include "src/est/schur.h"

#include <string.h>
#include "src/base/mem.h"
#include "src/est/schur_families.h"
#include "src/est/schur_internal.h"

/* Up to this many columns a factor costs less than the pass over a million rows (q^3 / 3, some Gflop), and tells the rank. */
#define SMALL 1024
/* A factor that is predicted to cost no more than this many steps of plain iteration is made at once. */
#define QUICK_STEPS 40.0
/* Else plain iteration goes first for so many steps: random graphs, on which a factor would fill up, are done by then,
 * and it costs about as much as ordering the matrix. */
#define PROBE_STEPS 60
/* With a factor each step gains many digits: go to rounding, not merely to tol. */
#define FACTOR_TOL 1e-15
#define FACTOR_STEPS 10

pfx_status pfx_schur_create(const pfx_schur_spec *spec, pfx_schur **out, pfx_err *err)
{
    pfx_schur *s = pfx_mem_calloc(1, sizeof *s, err);
    pfx_status st;

    *out = NULL;
    if (!s) return PFX_ENOMEM;
    s->spec = *spec;
    s->rank = -1;
    s->route = "schur-pcg";
    if (spec->q <= PFX_SCHUR_DENSE && (st = pfx_schur_dense_create(s, err)) != PFX_OK) {
        pfx_schur_free(s);
        return st;
    }
    *out = s;
    return PFX_OK;
}

pfx_status pfx_schur_add(pfx_schur *s, const pfx_schur_spec *spec, pfx_err *err)
{
    s->spec = *spec;
    return s->dense ? pfx_schur_dense_add(s, err) : pfx_schur_assemble(s, err);
}

pfx_status pfx_schur_finish(pfx_schur *s, pfx_idx q, pfx_err *err)
{
    const pfx_schur_spec *p = &s->spec;
    if (s->dense) return pfx_schur_dense_finish(s, q, err);
    if (p->n_blocks == 1 && !p->block[0].value && p->mean && p->n_basis == 0) s->rank = p->q - s->components[0];
    return PFX_OK;
}

void pfx_schur_free(pfx_schur *s)
{
    if (!s) return;
    pfx_schur_dense_free(s);
    pfx_schur_csr_free(&s->csr);
    pfx_mem_free(s->coupling.row), pfx_mem_free(s->coupling.col), pfx_mem_free(s->coupling.N);
    pfx_mem_free(s->components);
    pfx_families_free(&s->families);
    pfx_schur_factor_free(s->factor);
    pfx_mem_free(s);
}

static pfx_status make_factor(pfx_schur *s, int m, pfx_err *err)
{
    pfx_idx rank;
    pfx_schur_csr whole = s->csr;
    pfx_status st = s->coupling.n > 0 ? pfx_schur_merge(s, &whole, err) : PFX_OK;
    if (st != PFX_OK) return st;
    s->analysed = true;
    st = pfx_schur_factor_try(&whole, m, &s->factor, &rank, err);
    if (s->coupling.n > 0) pfx_schur_csr_free(&whole);
    if (st != PFX_OK) return st;
    if (s->factor) s->route = "schur-cholesky";
    if (s->rank < 0) s->rank = rank;
    return PFX_OK;
}

/* A factor at once where it is sure to be cheap. */
static pfx_status plan(pfx_schur *s, int m, pfx_err *err)
{
    pfx_schur_cost cost;
    s->planned = true;
    if (s->spec.q <= SMALL) return make_factor(s, m, err);
    pfx_status st = pfx_schur_predict(&s->csr, s->coupling.n, &cost, err);
    if (st != PFX_OK || pfx_schur_cost_steps(s->csr.n, pfx_schur_entries(s), cost, m) > QUICK_STEPS) return st;
    return make_factor(s, m, err);
}

/* Iterate: plainly for a while, then decide from the symbolic factor how to go on. */
static pfx_status iterate(pfx_schur *s, int m, pfx_idx ld, const double *C, const double *floor, double *G, double *R,
                          pfx_schur_progress *res, pfx_err *err)
{
    const pfx_schur_spec *p = &s->spec;
    pfx_status st = PFX_OK;
    int used = 0;

    if (!s->planned && (st = plan(s, m, err)) != PFX_OK) return st;
    if (!s->analysed) {
        int probe = p->maxiter < PROBE_STEPS ? p->maxiter : PROBE_STEPS;
        st = pfx_schur_iterate(s, NULL, p->tol, probe, m, ld, C, floor, G, R, res, err);
        if (st != PFX_OK || res->converged || probe == p->maxiter) return st;
        used = res->iterations;
        if ((st = make_factor(s, m, err)) != PFX_OK) return st;
    }
    if (s->factor) {
        st = pfx_schur_iterate(s, s->factor, FACTOR_TOL, FACTOR_STEPS, m, ld, C, floor, G, R, res, err);
        res->converged = res->relative <= p->tol;
    } else st = pfx_schur_iterate(s, NULL, p->tol, p->maxiter - used, m, ld, C, floor, G, R, res, err);
    res->iterations += used;
    return st;
}

pfx_status pfx_schur_solve(pfx_schur *s, int m, pfx_idx ld, const double *C, const double *floor, double *G, double *R,
                           pfx_err *err)
{
    pfx_schur_progress res;

    if (s->dense) return pfx_schur_dense_solve(s, m, ld, C, G, R, err);
    memset(G, 0, (size_t)(s->spec.q * ld) * sizeof *G);
    pfx_status st = iterate(s, m, ld, C, floor, G, R, &res, err);
    if (st != PFX_OK) return st;
    s->iterations = res.iterations;
    if (!res.converged)
        return pfx_fail(err, PFX_ENOCONV, "absorbed effects (%s) did not converge: relative residual %.1e after %d "
                        "iterations, wanted %.1e; raise --maxiter or --tol", s->spec.effects, res.relative,
                        res.iterations, s->spec.tol);
    return PFX_OK;
}

const char *pfx_schur_route(const pfx_schur *s) { return s->route; }
int pfx_schur_iterations(const pfx_schur *s) { return s->iterations; }
pfx_idx pfx_schur_rank(const pfx_schur *s) { return s->rank; }
pfx_idx pfx_schur_components(const pfx_schur *s, int b) { return s->components[b]; }
