/* Quantiles: the values of as many columns as fit the memory, gathered group by group, then selected from. */
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/report/summary_moments.h"
#include "src/report/summary_pass.h"

/* The finite values of some variables, group by group. */
typedef struct values {
    pfx_summary *s;
    const pfx_frame *block;
    const summary_pass *p;
    const int32_t *rank; /* [codes] place of a group's code in the order */
    int from, to;        /* variables */
    double **x;          /* [n_vars] finite values, groups behind one another */
    pfx_idx **next;      /* [n_vars][n_groups] where the next value of a group goes */
} values;

static void gather(void *ctx, pfx_idx i, int thread)
{
    const values *a = ctx;
    const pfx_idx v = a->from + i;
    const double *x = NULL;
    (void)thread;
    if (!a->x[v]) return;
    for (int c = 0; c < a->block->n_cols && !x; c++)
        if (strcmp(a->block->cols[c].spec.name, a->s->vars[v].name) == 0) x = a->block->cols[c].num;
    if (!x) return;
    for (pfx_idx r = 0; r < a->block->n_rows; r++)
        if (a->p->group[r] >= 0 && isfinite(x[r])) a->x[v][a->next[v][a->rank[a->p->group[r]]]++] = x[r];
}

static void quantiles_of(void *ctx, pfx_idx i, int thread)
{
    const values *a = ctx;
    const pfx_idx v = a->from + i;
    pfx_summary_var *var = &a->s->vars[v];
    double *x = a->x[v];
    (void)thread;
    if (!x) return;
    for (pfx_idx g = 0; g < a->s->n_groups; g++) {
        summary_quantiles(var->cell[g].n, x, a->s->n_probs, a->s->probs, var->quantile + g * a->s->n_probs);
        x += var->cell[g].n;
    }
}

static pfx_idx finite_values(const pfx_summary *s, int v)
{
    pfx_idx n = 0;
    for (pfx_idx g = 0; g < s->n_groups; g++) n += s->vars[v].cell[g].n;
    return n;
}

static pfx_status prepare(values *a, int v, pfx_err *err)
{
    pfx_summary *s = a->s;
    pfx_idx start = 0;
    if (!(a->x[v] = pfx_mem_alloc(finite_values(s, v), sizeof(double), err)) ||
        !(a->next[v] = pfx_mem_alloc(s->n_groups, sizeof(pfx_idx), err)) ||
        !(s->vars[v].quantile = pfx_mem_alloc(s->n_groups * s->n_probs, sizeof(double), err)))
        return PFX_ENOMEM;
    for (pfx_idx g = 0; g < s->n_groups; g++) {
        a->next[v][g] = start;
        start += s->vars[v].cell[g].n;
    }
    return PFX_OK;
}

/* As many variables from a->from on as fit the memory. */
static pfx_status choose_batch(values *a, size_t memory, pfx_err *err)
{
    size_t used = 0;
    for (a->to = a->from; a->to < a->s->n_vars; a->to++) {
        if (a->s->vars[a->to].category) continue;
        const size_t bytes = (size_t)finite_values(a->s, a->to) * sizeof(double);
        if (bytes > memory)
            return pfx_fail(err, PFX_ENOMEM,
                            "quantiles of %s need %.0f MiB and --memory leaves %.0f MiB; give more, or leave "
                            "--quantiles out",
                            a->s->vars[a->to].name, (double)bytes / 1048576, (double)memory / 1048576);
        if (used + bytes > memory) break;
        used += bytes;
    }
    for (int v = a->from; v < a->to; v++) {
        pfx_status st = a->s->vars[v].category ? PFX_OK : prepare(a, v, err);
        if (st) return st;
    }
    return PFX_OK;
}

pfx_status summary_run_quantiles(summary_pass *p, const pfx_summary_input *in, const summary_order *order,
                                 pfx_summary *s, pfx_err *err)
{
    values a = {.s = s, .p = p};
    pfx_status st = PFX_OK;
    int32_t *rank = pfx_mem_calloc(p->n_groups, sizeof *rank, err);

    a.rank = rank;
    a.x = pfx_mem_calloc(s->n_vars, sizeof *a.x, err);
    a.next = pfx_mem_calloc(s->n_vars, sizeof *a.next, err);
    if (!rank || !a.x || !a.next) st = PFX_ENOMEM;
    for (pfx_idx g = 0; g < s->n_groups && st == PFX_OK; g++) rank[order[g].code] = (int32_t)g;
    while (st == PFX_OK && a.from < s->n_vars) {
        if ((st = choose_batch(&a, p->o->memory, err)) || (st = summary_pass_open(p, in, a.from, a.to, err)))
            break;
        while ((st = summary_pass_next(p, &a.block, err)) == PFX_OK && a.block)
            pfx_par_for(a.to - a.from, p->o->nth, gather, &a);
        summary_pass_close(p);
        if (st) break;
        pfx_par_for(a.to - a.from, p->o->nth, quantiles_of, &a);
        for (; a.from < a.to; a.from++) {
            pfx_mem_free(a.x[a.from]);
            pfx_mem_free(a.next[a.from]);
            a.x[a.from] = NULL;
            a.next[a.from] = NULL;
        }
    }
    for (int v = 0; a.x && a.next && v < s->n_vars; v++) {
        pfx_mem_free(a.x[v]);
        pfx_mem_free(a.next[v]);
    }
    pfx_mem_free(a.x);
    pfx_mem_free(a.next);
    pfx_mem_free(rank);
    return st;
}
