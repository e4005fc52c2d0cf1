/* What a Cholesky factor of S will cost, from the graph of S, for less than its ordering costs.
 *
 * Columns that hang on one other are eliminated without any fill, again and again (in worker-firm graphs that
 * takes off firms that a single move ties to the rest). What stays is laid out in levels of equal distance
 * from a far vertex: ordered that way a factor fills no more than the blocks of neighbouring levels (Cuthill
 * and McKee 1969; George and Liu 1981, ch. 4), and minimum degree fills less. Where people move to neighbours
 * the levels are narrow, where they move anywhere half of the graph is one level. */
#include <math.h>
#include "src/base/mem.h"
#include "src/est/schur_internal.h"

/* Columns that touch this many times sqrt(q) others, such as years beside firms, come last in any ordering
 * and would make all distances short: they are set aside. */
#define HUB 10.0
#define HUB_LEAST 16.0

typedef struct graph {
    const pfx_schur_csr *S;
    int32_t *degree; /* [q] to columns that are still there; -1: gone */
    int32_t *list;   /* [q] queue */
    int32_t *seen;   /* [q] number of the search that met it last */
    int32_t search;
    pfx_idx hubs, peeled;
} graph;

static bool joins(const graph *g, pfx_idx i, pfx_idx c)
{
    return c != i && g->S->inv[c] != 0.0;
}

static void leave(graph *g, pfx_idx i)
{
    const pfx_schur_csr *S = g->S;
    g->degree[i] = -1;
    for (pfx_idx k = S->ptr[i]; k < S->ptr[i + 1]; k++)
        if (joins(g, i, S->col[k]) && g->degree[S->col[k]] > 0) g->degree[S->col[k]]--;
}

static void set_hubs_aside(graph *g)
{
    const pfx_schur_csr *S = g->S;
    double bound = fmax(HUB_LEAST, HUB * sqrt((double)S->n));

    for (pfx_idx i = 0; i < S->n; i++) {
        g->degree[i] = S->inv[i] == 0.0 ? -1 : 0;
        for (pfx_idx k = S->ptr[i]; g->degree[i] >= 0 && k < S->ptr[i + 1]; k++)
            g->degree[i] += joins(g, i, S->col[k]);
    }
    for (pfx_idx i = 0; i < S->n; i++) {
        if (g->degree[i] < bound) continue;
        leave(g, i);
        g->hubs++;
    }
}

static void peel(graph *g)
{
    const pfx_schur_csr *S = g->S;
    pfx_idx n = 0;

    for (pfx_idx i = 0; i < S->n; i++)
        if (g->degree[i] == 0 || g->degree[i] == 1) g->list[n++] = (int32_t)i;
    while (n > 0) {
        pfx_idx i = g->list[--n];
        if (g->degree[i] < 0) continue;
        for (pfx_idx k = S->ptr[i]; k < S->ptr[i + 1]; k++)
            if (joins(g, i, S->col[k]) && g->degree[S->col[k]] == 2) g->list[n++] = S->col[k];
        leave(g, i);
        g->peeled++;
    }
}

/* Breadth first from one column: adds what the levels' blocks hold and cost to *out; returns a column of the
 * last level. */
static pfx_idx search(graph *g, pfx_idx from, pfx_schur_cost *out)
{
    const pfx_schur_csr *S = g->S;
    pfx_idx begin = 0, end = 1, n = 1;
    double before = 0.0;

    g->search++;
    g->list[0] = (int32_t)from;
    g->seen[from] = g->search;
    for (; begin < end; begin = end, end = n) {
        double width = (double)(end - begin), reach = before + width + (double)g->hubs;
        out->entries += width * reach;
        out->flops += width * reach * reach;
        before = width;
        for (pfx_idx at = begin; at < end; at++) {
            pfx_idx i = g->list[at];
            for (pfx_idx k = S->ptr[i]; k < S->ptr[i + 1]; k++) {
                int32_t c = S->col[k];
                if (g->degree[c] < 0 || g->seen[c] == g->search) continue;
                g->seen[c] = g->search;
                g->list[n++] = c;
            }
        }
    }
    return g->list[n - 1];
}

pfx_status pfx_schur_predict(const pfx_schur_csr *S, pfx_idx n_hubs, pfx_schur_cost *out, pfx_err *err)
{
    graph g = {.S = S, .hubs = n_hubs};
    pfx_status st = PFX_ENOMEM;

    *out = (pfx_schur_cost){0.0, 0.0};
    if (!(g.degree = pfx_mem_alloc(S->n, sizeof *g.degree, err)) ||
        !(g.list = pfx_mem_alloc(S->n, sizeof *g.list, err)) ||
        !(g.seen = pfx_mem_calloc(S->n, sizeof *g.seen, err)))
        goto done;
    set_hubs_aside(&g);
    peel(&g);
    for (pfx_idx i = 0; i < S->n; i++) {
        if (g.degree[i] < 0 || g.seen[i] > 0) continue;
        pfx_schur_cost none = {0.0, 0.0};
        search(&g, search(&g, i, &none), out);
    }
    double hubs = (double)g.hubs, peeled = (double)g.peeled;
    out->entries += peeled * (2.0 + hubs) + hubs * hubs;
    out->flops += peeled * (2.0 + hubs) * (2.0 + hubs) + hubs * hubs * hubs;
    st = PFX_OK;
done:
    pfx_mem_free(g.degree), pfx_mem_free(g.list), pfx_mem_free(g.seen);
    return st;
}
