#include "src/rep/keep.h"

#include <string.h>
#include "src/base/mem.h"

pfx_status pfx_draw_keep_init(pfx_draw_keep *k, int n_terms, unsigned fields, pfx_idx first, pfx_idx room,
                              pfx_err *err)
{
    *k = (pfx_draw_keep){.n_terms = n_terms, .first = first, .room = room};
    for (int f = 0; f < PFX_KEEP_FIELDS; f++)
        if (fields >> f & 1 && !(k->field[f] = pfx_mem_alloc(room * n_terms, sizeof *k->field[f], err)))
            return PFX_ENOMEM;
    return PFX_OK;
}

void pfx_draw_keep_free(pfx_draw_keep *k)
{
    for (int f = 0; f < PFX_KEEP_FIELDS; f++) pfx_mem_free(k->field[f]);
    *k = (pfx_draw_keep){0};
}

static pfx_status keep_put(void *ctx, pfx_idx first, pfx_idx n, const double *const *field, pfx_err *err)
{
    pfx_draw_keep *k = ctx;
    (void)err;
    for (int f = 0; f < PFX_KEEP_FIELDS; f++)
        if (k->field[f])
            memcpy(k->field[f] + (first - k->first) * k->n_terms, field[f],
                   (size_t)(n * k->n_terms) * sizeof **field);
    k->n = first - k->first + n;
    return PFX_OK;
}

pfx_draw_sink pfx_draw_keep_sink(pfx_draw_keep *k)
{
    return (pfx_draw_sink){.ctx = k, .put = keep_put};
}
