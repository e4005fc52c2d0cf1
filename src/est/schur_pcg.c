/* Conjugate gradients, preconditioned by the diagonal or by blocks of families, for all right-hand sides at once, each with its own step
 * lengths; or refinement with a factor of almost S. */
#include <math.h>
#include <string.h>
#include "kernels/blockcg.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/schur_families.h"

/* Rows of S to a partial sum: a function of S alone, so that sums do not depend on threads. */
#define MAX_ROWS 512
#define MIN_ROWS 32
#define PARTS 64
#define COUPLED_PARTS 16    /* each has sums of its own for the coupling's columns */
#define LIGHT (1 << 17)     /* vectors of fewer numbers are gone over by one thread before another has woken up */
#define ROW_WORK 5      /* what a row's vectors cost, in entries of S */
#define RESTARTS 4      /* the recurrence drifts from the true residual; start again from the latter */

/* A thread takes neighbouring blocks, the same in every loop, so that its rows stay in its cache. */

typedef struct pcg {
    const pfx_schur *s;
    const pfx_families *f;      /* NULL: the diagonal */
    int m;
    pfx_idx ld, rows, n_parts, n_pieces;
    pfx_par_fn fn;              /* what run does to one block */
    const double *C;
    double *X, *R, *P, *Y;      /* [q x ld] solution, residual, direction, S P; then what the families make of R */
    double *part;               /* [n_parts x ld] */
    double *Q, *T;              /* [n x ld], [n_parts x n x ld] of the coupling: P's rows for its columns, sums for them */
    double *alpha, *beta, *rz, *rr, *rm, *pq, *target, *size;   /* [ld] rr: r'D^-1 r; rm: r'M^-1 r, which may be rr */
} pcg;

static void rows_of(const pcg *c, pfx_idx b, pfx_idx *i0, pfx_idx *i1)
{
    *i0 = b * c->rows;
    *i1 = *i0 + c->rows < c->s->spec.q ? *i0 + c->rows : c->s->spec.q;
}

static void do_spmm(void *ctx, pfx_idx b, int thread)
{
    pcg *c = ctx;
    const pfx_schur_csr *m = &c->s->csr;
    pfx_idx i0, i1;
    (void)thread;
    rows_of(c, b, &i0, &i1);
    pfx_k_spmm(c->s->spec.isa, i0, i1, m->ptr, m->col, m->val, c->ld, c->P, c->Y, c->part + b * c->ld);
    const pfx_schur_coupling *x = &c->s->coupling;
    if (x->n == 0) return;
    double *T = c->T + b * x->n * c->ld;
    memset(T, 0, (size_t)(x->n * c->ld) * sizeof *T);
    pfx_k_coupling(c->s->spec.isa, i0, i1, x->row, x->n, x->N, c->ld, c->P, c->Q, c->Y, T, c->part + b * c->ld);
}

static void do_step(void *ctx, pfx_idx b, int thread)
{
    pcg *c = ctx;
    pfx_idx i0, i1;
    (void)thread;
    rows_of(c, b, &i0, &i1);
    pfx_k_cg_step(c->s->spec.isa, i0, i1, c->ld, c->alpha, c->P, c->Y, c->s->csr.inv, c->X, c->R, c->part + b * c->ld);
}

static void do_turn(void *ctx, pfx_idx b, int thread)
{
    pcg *c = ctx;
    pfx_idx i0, i1;
    (void)thread;
    rows_of(c, b, &i0, &i1);
    pfx_k_cg_turn(c->s->spec.isa, i0, i1, c->ld, c->beta, c->f ? c->Y : c->R, c->f ? NULL : c->s->csr.inv, c->P);
}

/* M^-1 R of some families. Y is free: the step has used it. */
static void do_families(void *ctx, pfx_idx b, int thread)
{
    pcg *c = ctx;
    const pfx_families *f = c->f;
    (void)thread;
    pfx_k_cg_families(c->s->spec.isa, b * f->n / c->n_parts, (b + 1) * f->n / c->n_parts, f->ptr, f->member, f->at, f->M,
                      c->ld, c->R, c->Y, c->part + b * c->ld);
}

/* First block of a piece: pieces have the same number of entries of S, and of rows, to walk. Every row counts as one of
 * the coupling, whose elements serve twice. */
static pfx_idx piece_start(const pcg *c, pfx_idx piece)
{
    const pfx_schur_csr *m = &c->s->csr;
    const pfx_idx row_work = ROW_WORK + 2 * c->s->coupling.n;
    pfx_idx lo = 0, hi = c->n_parts, want = piece * (m->ptr[m->n] + row_work * m->n) / c->n_pieces;
    while (lo < hi) {
        pfx_idx mid = lo + (hi - lo) / 2, row = mid * c->rows;
        if (m->ptr[row] + row_work * row < want) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

static void run_piece(void *ctx, pfx_idx piece, int thread)
{
    pcg *c = ctx;
    for (pfx_idx b = piece_start(c, piece); b < piece_start(c, piece + 1); b++) c->fn(ctx, b, thread);
}

/* Run fn over the row blocks and add their sums in order. */
static void run(pcg *c, pfx_par_fn fn, double *sum)
{
    c->fn = fn;
    const bool light = fn != do_spmm && c->s->spec.q * c->ld < LIGHT;
    pfx_par_for(c->n_pieces, light ? 1 : c->s->spec.nth, run_piece, c);
    if (!sum) return;
    memset(sum, 0, (size_t)c->ld * sizeof *sum);
    for (pfx_idx b = 0; b < c->n_parts; b++)
        for (pfx_idx k = 0; k < c->ld; k++) sum[k] += c->part[b * c->ld + k];
}

/* Y = S P, and pq. */
static void multiply(pcg *c)
{
    const pfx_schur_coupling *x = &c->s->coupling;
    pfx_idx ld = c->ld, size = x->n * ld;

    for (pfx_idx j = 0; j < x->n; j++)
        if (x->col[j] >= 0) memcpy(c->Q + j * ld, c->P + x->col[j] * ld, (size_t)ld * sizeof *c->Q);
    run(c, do_spmm, c->pq);
    for (pfx_idx b = 0; b < c->n_parts; b++)
        for (pfx_idx j = 0; j < x->n; j++) {
            if (x->col[j] < 0) continue;
            double *to = c->Y + x->col[j] * ld;
            const double *from = c->T + b * size + j * ld;
            for (pfx_idx k = 0; k < ld; k++) to[k] += from[k];
        }
}

/* sum_i inv_i A_i^2 by column. */
static void norm(const pcg *c, const double *A, double *out)
{
    memset(out, 0, (size_t)c->ld * sizeof *out);
    for (pfx_idx i = 0; i < c->s->spec.q; i++)
        for (pfx_idx k = 0; k < c->ld; k++) out[k] += A[i * c->ld + k] * A[i * c->ld + k] * c->s->csr.inv[i];
}

/* The true residual of X, and its norms. */
static void residual(pcg *c)
{
    memcpy(c->P, c->X, (size_t)(c->s->spec.q * c->ld) * sizeof *c->P);
    multiply(c);
    for (pfx_idx i = 0; i < c->s->spec.q * c->ld; i++) c->R[i] = c->C[i] - c->Y[i];
    norm(c, c->R, c->rr);
}

static bool done(const pcg *c)
{
    for (pfx_idx k = 0; k < c->ld; k++)
        if (!(c->rr[k] <= c->target[k])) return false;
    return true;
}

/* What directions and step lengths are made of, at the residual. */
static void precondition(pcg *c)
{
    if (!c->f) return;
    for (pfx_idx i = 0; i < c->s->spec.q; i++)
        if (c->s->csr.inv[i] == 0.0) memset(c->Y + i * c->ld, 0, (size_t)c->ld * sizeof *c->Y);
    run(c, do_families, c->rm);
}

/* From the true residual until the recurrence says that every column is below target. */
static void iterate(pcg *c, int maxiter, int *used)
{
    memset(c->beta, 0, (size_t)c->ld * sizeof *c->beta);
    memset(c->P, 0, (size_t)(c->s->spec.q * c->ld) * sizeof *c->P);
    precondition(c);
    run(c, do_turn, NULL);
    for (int it = 0; it < maxiter; it++) {
        multiply(c);
        memcpy(c->rz, c->rm, (size_t)c->ld * sizeof *c->rz);
        /* A column that is done stands still. */
        for (pfx_idx k = 0; k < c->ld; k++)
            c->alpha[k] = c->rr[k] > c->target[k] && c->pq[k] > 0.0 ? c->rm[k] / c->pq[k] : 0.0;
        run(c, do_step, c->rr);
        ++*used;
        if (done(c)) return;
        precondition(c);
        for (pfx_idx k = 0; k < c->ld; k++) c->beta[k] = c->rz[k] > 0.0 ? c->rm[k] / c->rz[k] : 0.0;
        run(c, do_turn, NULL);
    }
}

/* The factor solves a system a hair off S: each step takes the error down by that hair, from the true residual. What
 * it adds along null directions of S changes nothing. (Conjugate directions would take those for progress.) */
static pfx_status refine(pcg *c, pfx_schur_factor *f, int maxiter, int *used, pfx_err *err)
{
    double worst = INFINITY;
    for (; *used < maxiter && !done(c); ++*used) {
        double now = 0.0;
        for (pfx_idx k = 0; k < c->ld; k++) now = fmax(now, c->target[k] > 0.0 ? c->rr[k] / c->target[k] : 0.0);
        if (now > 0.25 * worst) break;      /* rounding is reached */
        worst = now;
        pfx_status st = pfx_schur_factor_solve(f, c->m, c->ld, c->R, c->P, err);
        if (st != PFX_OK) return st;
        for (pfx_idx i = 0; i < c->s->spec.q * c->ld; i++) c->X[i] += c->P[i];
        residual(c);
    }
    return PFX_OK;
}

static pfx_status allocate(pcg *c, pfx_err *err)
{
    pfx_idx n = c->s->spec.q * c->ld;
    if (!(c->P = pfx_mem_calloc(n, sizeof *c->P, err)) || !(c->Y = pfx_mem_alloc(n, sizeof *c->Y, err)) ||
        !(c->part = pfx_mem_alloc(c->n_parts * c->ld, sizeof *c->part, err)) ||
        !(c->Q = pfx_mem_calloc(c->s->coupling.n * c->ld, sizeof *c->Q, err)) ||
        !(c->T = pfx_mem_alloc(c->n_parts * c->s->coupling.n * c->ld, sizeof *c->T, err)) ||
        !(c->alpha = pfx_mem_calloc(8 * c->ld, sizeof *c->alpha, err)))
        return PFX_ENOMEM;
    c->beta = c->alpha + c->ld, c->rz = c->beta + c->ld, c->rr = c->rz + c->ld;
    c->pq = c->rr + c->ld, c->target = c->pq + c->ld, c->size = c->target + c->ld;
    c->rm = c->f ? c->size + c->ld : c->rr;
    return PFX_OK;
}

pfx_status pfx_schur_iterate(pfx_schur *s, pfx_schur_factor *factor, double tol, int maxiter, int m, pfx_idx ld,
                             const double *C, const double *floor, double *G, double *R, pfx_schur_progress *out,
                             pfx_err *err)
{
    pcg c = {.s = s, .m = m, .ld = ld, .rows = s->spec.q / (s->coupling.n > 0 ? COUPLED_PARTS : PARTS), .n_pieces = s->spec.nth, .C = C, .X = G, .R = R};
    c.rows = c.rows > MAX_ROWS ? MAX_ROWS : c.rows < MIN_ROWS ? MIN_ROWS : c.rows;
    c.n_parts = (s->spec.q + c.rows - 1) / c.rows;
    pfx_status st = PFX_OK;

    if (!factor && !s->grouped) st = pfx_families_make(&s->csr, pfx_schur_entries(s), &s->families, err), s->grouped = st == PFX_OK;
    if (!factor && s->families.n > 0) c.f = &s->families;
    if (st == PFX_OK) st = allocate(&c, err);
    *out = (pfx_schur_progress){0, false, 0.0};
    if (st != PFX_OK) goto done;
    norm(&c, C, c.size);
    for (pfx_idx k = 0; k < ld; k++) c.target[k] = fmax(tol * tol * c.size[k], floor[k]);
    residual(&c);
    if (factor && (st = refine(&c, factor, maxiter, &out->iterations, err)) != PFX_OK) goto done;
    for (int start = 0; !factor && start < RESTARTS && !done(&c) && out->iterations < maxiter; start++) {
        iterate(&c, maxiter - out->iterations, &out->iterations);
        residual(&c);
    }
    out->converged = done(&c);
    for (pfx_idx k = 0; k < ld; k++)
        if (c.rr[k] > floor[k] && c.size[k] > 0.0) out->relative = fmax(out->relative, sqrt(c.rr[k] / c.size[k]));
done:
    pfx_mem_free(c.P), pfx_mem_free(c.Y), pfx_mem_free(c.part), pfx_mem_free(c.alpha);
    pfx_mem_free(c.Q), pfx_mem_free(c.T);
    return st;
}
