#include "src/rep/together.h"

#include <assert.h>

#include "src/base/mem.h"

enum { MAX_FIELDS = 32 };

struct pfx_together {
    int n, n_fields;
    const pfx_rep_method **part; /* [n] */
    pfx_idx inner;               /* bytes of the largest scratch of a part, in whole cache lines */
    pfx_idx cells;               /* of a field of the part with most terms, in a batch */
    pfx_rep_method method;
};

static void batch(const void *ctx, uint64_t seed, pfx_idx first, void *scratch, double *const *field)
{
    const pfx_together *t = ctx;
    int width = t->method.width, all = t->method.n_terms, at = 0;
    double *own[MAX_FIELDS], *values = (double *)((char *)scratch + t->inner);
    for (int f = 0; f < t->n_fields; f++) own[f] = values + f * t->cells;
    for (int i = 0; i < t->n; i++) {
        const pfx_rep_method *m = t->part[i];
        for (int r = 0; r < width; r += m->width) { /* its own batches, as many as fill one of all */
            double *part[MAX_FIELDS];
            for (int f = 0; f < t->n_fields; f++) part[f] = own[f] + (pfx_idx)r * m->n_terms;
            m->batch(m->ctx, seed, first + r, scratch, part);
        }
        for (int f = 0; f < t->n_fields; f++)
            for (int r = 0; r < width; r++)
                for (int k = 0; k < m->n_terms; k++)
                    field[f][(pfx_idx)r * all + at + k] = own[f][(pfx_idx)r * m->n_terms + k];
        at += m->n_terms;
    }
}

pfx_status pfx_together_create(int n, const pfx_rep_method *const *methods, pfx_together **out, pfx_err *err)
{
    const pfx_rep_method *m = methods[0];
    int most = 0;
    int width = m->width;
    for (int i = 1; i < n; i++) width = methods[i]->width > width ? methods[i]->width : width;
    for (int i = 0; i < n; i++)
        if (width % methods[i]->width || methods[i]->n_extra != m->n_extra)
            return pfx_fail(err, PFX_EUSAGE,
                            "specification %d draws by another route than the others: run it by itself",
                            i + 1);
    pfx_together *t = pfx_mem_calloc(1, sizeof *t, err);
    if (!t || !(t->part = pfx_mem_alloc(n, sizeof *t->part, err))) {
        pfx_together_free(t);
        return PFX_ENOMEM;
    }
    t->n = n;
    t->method = *m;
    t->method.width = width;
    t->method.n_terms = 0;
    t->method.ctx = t;
    t->method.batch = batch;
    t->n_fields = PFX_DRAW_FIELDS + m->n_extra;
    assert(t->n_fields <= MAX_FIELDS);
    for (int i = 0; i < n; i++) {
        t->part[i] = methods[i];
        t->method.n_terms += methods[i]->n_terms;
        if (methods[i]->n_terms > most) most = methods[i]->n_terms;
        if (methods[i]->scratch > t->inner) t->inner = methods[i]->scratch;
    }
    t->inner = (t->inner + 63) / 64 * 64;
    t->cells = (pfx_idx)width * most;
    t->method.scratch = t->inner + t->n_fields * t->cells * (pfx_idx)sizeof(double);
    *out = t;
    return PFX_OK;
}

void pfx_together_free(pfx_together *t)
{
    if (!t) return;
    pfx_mem_free(t->part);
    pfx_mem_free(t);
}

const pfx_rep_method *pfx_together_method(const pfx_together *t)
{
    return &t->method;
}
