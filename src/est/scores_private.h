/* What the files of the pass over the scores share: scores.c walks windows and waves of chunks and joins what
 * these give, scores_chunk.c fills a chunk, block by block. */
#ifndef PFX_EST_SCORES_PRIVATE_H
#define PFX_EST_SCORES_PRIVATE_H

#include <stddef.h>
#include "kernels/gram.h"
#include "src/est/vcov.h"

typedef enum pfx_scores_route {
    PFX_SCORES_ROWS,
    PFX_SCORES_RUNS,
    PFX_SCORES_SUMS,
    PFX_SCORES_LEVELS /* each a cluster */
} pfx_scores_route;

/* A run of rows of one cluster that touches a chunk's end, and so may go on in the next. */
typedef struct pfx_scores_edge {
    int32_t code; /* -1: none */
    double *s;    /* [q] */
} pfx_scores_edge;

typedef struct pfx_scores_part {
    double *M;                   /* [q x q] upper triangle: of rows, or of complete runs; [p x p] of levels */
    pfx_scores_edge first, last; /* of PFX_SCORES_RUNS; last is the open run */
    pfx_idx n_runs;              /* of PFX_SCORES_SUMS: runs of rows of one cluster */
    double *runs;                /* [n_runs x q] their scores */
    int32_t *code;               /* [n_runs] */
} pfx_scores_part;

/* One meat over all chunks so far. */
typedef struct pfx_scores_total {
    pfx_scores_edge open; /* the run that the last chunk left open */
    double *sums;         /* [G x q] of PFX_SCORES_SUMS */
} pfx_scores_total;

typedef struct pfx_scores_chunk {
    double *gradient; /* [q] */
    double ssr;
    pfx_scores_part meat[PFX_MAX_MEATS];
} pfx_scores_chunk;

typedef struct pfx_scores_pass {
    const pfx_scores *s;
    int p, q;
    bool intercept; /* is a coefficient: its scores are wanted */
    bool levels; /* every cluster holds whole levels of the eliminated effect: no demeaned rows are needed */
    pfx_scores_route route[PFX_MAX_MEATS];
    pfx_scores_total total[PFX_MAX_MEATS];
    int n_sums;       /* meats of PFX_SCORES_SUMS */
    double *open;     /* [PFX_MAX_MEATS][q] */
    pfx_idx chunk0;   /* first of the wave */
    pfx_idx n_chunks; /* of the wave */
    pfx_idx max_wave;
    pfx_scores_chunk *chunks; /* [max_wave] */
    double *memory;           /* all of the chunks' arrays, */
    pfx_idx per_chunk;        /* so many doubles each */
    int32_t *codes;           /* [max_wave][n_sums][chunk_rows] */
    double *buf;              /* [nth][stride] */
    pfx_idx *starts;          /* [nth][max_rows + 1] */
    pfx_idx ldp;              /* p in whole lanes */
    pfx_idx max_rows, stride, chunk_rows;
    pfx_idx n_spare; /* of the stride, for the map */
} pfx_scores_pass;

/* Add s [q] to `to`. */
static inline void pfx_scores_add(pfx_idx q, const double *restrict s, double *restrict to)
{
    for (pfx_idx j = 0; j < q; j++) to[j] += s[j];
}

/* Add the outer product of s [q] to M, upper triangle. */
static inline void pfx_scores_add_outer(const pfx_scores_pass *ps, const double *s, double *M)
{
    pfx_k_gram(ps->s->isa, 1, ps->q, ps->q, s, NULL, M);
}

/* Fill chunk k of the wave from its rows. ctx: the pass. Threads: any, with a number each. */
void pfx_scores_fill_chunk(void *ctx, pfx_idx k, int thread);

#endif
