#include "tests/est/resample.h"

#include "src/base/mem.h"
#include "src/est/vcov.h"

/* Codes 0, 1, .. in the order of their first row. Returns their number. */
static pfx_idx relabel(pfx_idx n, const pfx_idx *key, pfx_idx n_keys, int32_t *code)
{
    int32_t *seen = malloc((size_t)n_keys * sizeof *seen);
    int32_t levels = 0;
    for (pfx_idx i = 0; i < n_keys; i++) seen[i] = -1;
    for (pfx_idx i = 0; i < n; i++) {
        if (seen[key[i]] < 0) seen[key[i]] = levels++;
        code[i] = seen[key[i]];
    }
    free(seen);
    return levels;
}

pfx_design *resample_design(const pfx_design *d, const uint8_t *count)
{
    const pfx_factor *c = &d->clusters[0];
    pfx_idx n = 0, copies = 0, at = 0, copy0 = 0;
    for (pfx_idx i = 0; i < d->n; i++) n += count[c->code[i]];
    for (pfx_idx g = 0; g < c->n_levels; g++) copies += count[g];
    pfx_idx *from = malloc((size_t)n * sizeof *from), *copy = malloc((size_t)n * sizeof *copy);
    pfx_idx *key = malloc((size_t)n * sizeof *key);
    int32_t *code = malloc((size_t)n * sizeof *code);
    double *Z = malloc((size_t)(n * d->p) * sizeof *Z);
    for (pfx_idx g = 0; g < c->n_levels; copy0 += count[g++])
        for (int k = 0; k < count[g]; k++)
            for (pfx_idx i = 0; i < d->n; i++)
                if (c->code[i] == g) {
                    from[at] = i;
                    copy[at++] = copy0 + k;
                }
    for (pfx_idx i = 0; i < n; i++) memcpy(Z + i * d->p, d->Z + from[i] * d->p, (size_t)d->p * sizeof *Z);
    pfx_design *out = ref_design_new(n, d->p, Z, d->intercept);
    memcpy(out->role, d->role, (size_t)d->p * sizeof *out->role);
    for (int a = 0; a < d->n_absorbed; a++) {
        const pfx_factor *f = &d->absorbed[a].factor;
        pfx_err err = {0};
        bool nested = false;
        assert_ok(pfx_factor_nested(d->n, f, c, 1, &nested, &err));
        for (pfx_idx i = 0; i < n; i++) key[i] = f->code[from[i]] + (nested ? copy[i] * f->n_levels : 0);
        pfx_idx levels = relabel(n, key, f->n_levels * (nested ? copies : 1), code);
        ref_add_effect(out, f->name, levels, code);
    }
    ref_add_cluster(out, c->name, relabel(n, copy, copies, code), code);
    if (d->w) {
        out->w = pfx_mem_alloc(n, sizeof *out->w, NULL);
        out->weights_kind = d->weights_kind;
        for (pfx_idx i = 0; i < n; i++) out->w[i] = d->w[from[i]];
    }
    free(from);
    free(copy);
    free(key);
    free(code);
    free(Z);
    return out;
}
