/* Singletons: rows that are alone in a level of an absorbed effect. Dropping one may leave another alone. */
#include "src/base/mem.h"
#include "src/model/dataset_private.h"

/* For each level the number of rows left and the exclusive or of their positions: where one is left, that is
 * it. */
typedef struct group {
    const int32_t *code;
    int32_t *count;
    pfx_idx *sum;
} group;

typedef struct stack {
    pfx_idx n, cap;
    pfx_idx *v;
} stack;

static pfx_status push(stack *s, pfx_idx i, pfx_err *err)
{
    if (s->n == s->cap) {
        pfx_idx cap = s->cap ? 2 * s->cap : 1024;
        pfx_idx *v = pfx_mem_realloc(s->v, cap, sizeof *v, err);
        if (!v) return PFX_ENOMEM;
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = i;
    return PFX_OK;
}

static pfx_status drop_all(pfx_idx n, const pfx_idx *rows, int n_groups, const pfx_idx *n_levels, group *g,
                           unsigned char *keep, stack *todo, pfx_idx *dropped, pfx_err *err)
{
    pfx_status st = PFX_OK;
    for (pfx_idx i = 0; i < n; i++) {
        if (!keep[i]) continue;
        for (int k = 0; k < n_groups; k++) {
            int32_t c = g[k].code[rows ? rows[i] : i];
            g[k].count[c]++;
            g[k].sum[c] ^= i;
        }
    }
    for (int k = 0; k < n_groups; k++)
        for (pfx_idx c = 0; c < n_levels[k] && st == PFX_OK; c++)
            if (g[k].count[c] == 1) st = push(todo, g[k].sum[c], err);
    while (todo->n > 0 && st == PFX_OK) {
        pfx_idx i = todo->v[--todo->n];
        if (!keep[i]) continue;
        keep[i] = 0;
        ++*dropped;
        for (int k = 0; k < n_groups && st == PFX_OK; k++) {
            int32_t c = g[k].code[rows ? rows[i] : i];
            g[k].sum[c] ^= i;
            if (--g[k].count[c] == 1) st = push(todo, g[k].sum[c], err);
        }
    }
    return st;
}

pfx_status pfx_sample_singletons(pfx_idx n, const pfx_idx *rows, int n_groups, const int32_t *const *code,
                                 const pfx_idx *n_levels, unsigned char *keep, pfx_idx *dropped, pfx_err *err)
{
    pfx_status st = PFX_OK;
    stack todo = {0};
    *dropped = 0;
    group *g = pfx_mem_calloc(n_groups, sizeof *g, err);
    if (!g) return PFX_ENOMEM;
    for (int k = 0; k < n_groups && st == PFX_OK; k++) {
        g[k].code = code[k];
        g[k].count = pfx_mem_calloc(n_levels[k], sizeof *g[k].count, err);
        g[k].sum = pfx_mem_calloc(n_levels[k], sizeof *g[k].sum, err);
        if (!g[k].count || !g[k].sum) st = PFX_ENOMEM;
    }
    if (st == PFX_OK) st = drop_all(n, rows, n_groups, n_levels, g, keep, &todo, dropped, err);
    for (int k = 0; k < n_groups; k++) {
        pfx_mem_free(g[k].count);
        pfx_mem_free(g[k].sum);
    }
    pfx_mem_free(g);
    pfx_mem_free(todo.v);
    return st;
}
