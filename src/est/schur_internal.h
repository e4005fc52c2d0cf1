/* What the files of the Schur complement share. */
#ifndef PFX_EST_SCHUR_INTERNAL_H
#define PFX_EST_SCHUR_INTERNAL_H

#include "src/est/schur.h"

/* gcc takes a function that does nothing but ask for memory ahead for one without effect, and drops its calls. */
#define PFX_ALWAYS_INLINE static inline __attribute__((always_inline))

/* A symmetric matrix in compressed rows, both triangles, columns ascending. */
typedef struct pfx_schur_csr {
    pfx_idx n, *ptr;    /* [n + 1] */
    int32_t *col;       /* [ptr[n]] */
    double *val;        /* [ptr[n]] */
    double *inv;        /* [n] 1 / diagonal; 0 where the column lies in the eliminated effect's span */
} pfx_schur_csr;

/* Where some blocks have few columns, what couples the others' columns to theirs is mostly full and a matrix of its own:
 * row row[c] of N holds what is in row c of S and in column col[j], and, S being symmetric, the reverse. The compressed
 * rows hold the rest. */
typedef struct pfx_schur_coupling {
    pfx_idx n;          /* columns of N, a multiple of 8; 0: none, all is in the compressed rows */
    int32_t *row;       /* [q] -1: no row of N, a column of the narrow blocks */
    int32_t *col;       /* [n] -1: free, zero */
    double *N;          /* [rows x n] */
} pfx_schur_coupling;

/* Columns that are strongly bound to each other, and the inverses of their blocks of S (schur_families.h). */
typedef struct pfx_families {
    pfx_idx n, entries;
    pfx_idx *ptr;       /* [n + 1] */
    int32_t *member;    /* [ptr[n]] columns; those without a diagonal are in none */
    pfx_idx *at;        /* [n + 1] where a family's matrix begins in M */
    double *M;          /* [entries] */
} pfx_families;

typedef struct pfx_schur_factor pfx_schur_factor;   /* CHOLMOD behind src/est/schur_cholesky.c */

/* How often each set of columns occurs among the levels: a table with open addressing, key 0 = free. */
typedef struct pfx_mask_count { uint64_t mask; pfx_idx n; } pfx_mask_count;
typedef struct pfx_mask_table { pfx_mask_count *slot; pfx_idx cap, used; bool failed; } pfx_mask_table;
/* Up to this many columns every set has a counter of its own. */
#define PFX_SCHUR_DIRECT 12

struct pfx_schur {
    pfx_schur_spec spec;
    double *dense;              /* [q x q] S, q <= PFX_SCHUR_DENSE, else NULL */
    double *diag;               /* [q] B'WB, with it */
    pfx_idx *direct;            /* [nth][2^q] the same where q <= PFX_SCHUR_DIRECT, or NULL */
    pfx_mask_table *masks;      /* [nth] levels that are counted, not yet in S */
    double *chol;               /* [q x q] lower factor; zero rows and columns where dropped */
    bool *dropped;              /* [q] */
    pfx_schur_csr csr;
    pfx_schur_coupling coupling;
    pfx_families families;      /* none until plain iteration wants them */
    bool grouped;               /* they were looked for */
    pfx_schur_factor *factor;
    bool planned;               /* what a factor costs was predicted */
    bool analysed;              /* the choice between factor and plain iteration has been made */
    const char *route;
    int iterations;
    pfx_idx rank;
    pfx_idx *components;        /* [n_blocks] */
};

/* schur_dense.c */
pfx_status pfx_schur_dense_create(pfx_schur *s, pfx_err *err) PFX_MUST;
pfx_status pfx_schur_dense_add(pfx_schur *s, pfx_err *err) PFX_MUST;
pfx_status pfx_schur_dense_finish(pfx_schur *s, pfx_idx q, pfx_err *err) PFX_MUST;
void pfx_schur_dense_free(pfx_schur *s);
pfx_status pfx_schur_dense_solve(const pfx_schur *s, int m, pfx_idx ld, const double *C, double *G, double *R, pfx_err *err) PFX_MUST;

/* schur_assemble.c: s->csr and s->components from the spec's rows; by panels where that suits. */
pfx_status pfx_schur_assemble(pfx_schur *s, pfx_err *err) PFX_MUST;

/* schur_panel.c: s->csr where S is small, or not very sparse. NOMEM. */
bool pfx_schur_panel_suits(const pfx_schur_spec *p);
pfx_status pfx_schur_panel(pfx_schur *s, pfx_err *err) PFX_MUST;

/* schur_pcg.c: go on from G for at most maxiter steps of conjugate gradients, or of refinement with factor where it is
 * not NULL. R is the true residual that was reached; converged: below tol (or floor) in every column. */
typedef struct pfx_schur_progress { int iterations; bool converged; double relative; } pfx_schur_progress;
pfx_status pfx_schur_iterate(pfx_schur *s, pfx_schur_factor *factor, double tol, int maxiter, int m, pfx_idx ld,
                             const double *C, const double *floor, double *G, double *R, pfx_schur_progress *out,
                             pfx_err *err) PFX_MUST;

/* What a factor costs: entries of its lower triangle, multiply-adds of making it. */
typedef struct pfx_schur_cost { double entries, flops; } pfx_schur_cost;

/* schur_plan.c: a bound on what an ordering by levels costs, beside n_hubs columns that touch all. NOMEM. */
pfx_status pfx_schur_predict(const pfx_schur_csr *S, pfx_idx n_hubs, pfx_schur_cost *out, pfx_err *err) PFX_MUST;
/* The same in steps of plain iteration for m columns; entries: of S. */
double pfx_schur_cost_steps(pfx_idx n, pfx_idx entries, pfx_schur_cost cost, int m);
/* schur_merge.c: entries of S, and all of it in compressed rows, to be freed with pfx_schur_csr_free. NOMEM. */
pfx_idx pfx_schur_entries(const pfx_schur *s);
pfx_status pfx_schur_merge(const pfx_schur *s, pfx_schur_csr *out, pfx_err *err) PFX_MUST;
/* ptr, col, val; inv is the caller's. NOMEM. */
pfx_status pfx_schur_csr_alloc(pfx_schur_csr *m, pfx_idx n, pfx_idx entries, pfx_err *err) PFX_MUST;
void pfx_schur_csr_free(pfx_schur_csr *m);

/* schur_cholesky.c: *out is NULL where the symbolic factor says that plain iteration is cheaper. rank: exact or -1. */
pfx_status pfx_schur_factor_try(const pfx_schur_csr *S, int m, pfx_schur_factor **out, pfx_idx *rank, pfx_err *err) PFX_MUST;
void pfx_schur_factor_free(pfx_schur_factor *f);
/* Z = (L L')^-1 R, block vectors [q x ld], the first m columns. */
pfx_status pfx_schur_factor_solve(pfx_schur_factor *f, int m, pfx_idx ld, const double *R, double *Z, pfx_err *err) PFX_MUST;

#endif
