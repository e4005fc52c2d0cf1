#include "src/model/coder.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"

void pfx_coder_free(pfx_coder *c)
{
    pfx_mem_free(c->keys);
    pfx_mem_free(c->slots);
    *c = (pfx_coder){0};
}

/* Finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit of the key moves every bit of the slot. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static pfx_idx find_slot(const pfx_coder *c, uint64_t key)
{
    pfx_idx mask = c->n_slots - 1, s = (pfx_idx)(mix(key) & (uint64_t)mask);
    while (c->slots[s] >= 0 && c->keys[c->slots[s]] != key) s = (s + 1) & mask;
    return s;
}

static pfx_status grow(pfx_coder *c, pfx_err *err)
{
    if (c->n == INT32_MAX) return pfx_fail(err, PFX_EDATA, "a factor has more than %d levels", INT32_MAX);
    if (c->n == c->cap_keys) {
        pfx_idx cap = c->cap_keys ? 2 * (pfx_idx)c->cap_keys : 64;
        if (cap > INT32_MAX) cap = INT32_MAX;
        uint64_t *keys = pfx_mem_realloc(c->keys, cap, sizeof *keys, err);
        if (!keys) return PFX_ENOMEM;
        c->keys = keys;
        c->cap_keys = (int32_t)cap;
    }
    if (2 * ((pfx_idx)c->n + 1) <= c->n_slots) return PFX_OK;
    pfx_idx n_slots = c->n_slots ? 2 * c->n_slots : 128;
    int32_t *slots = pfx_mem_alloc(n_slots, sizeof *slots, err);
    if (!slots) return PFX_ENOMEM;
    memset(slots, 0xff, (size_t)n_slots * sizeof *slots);
    pfx_mem_free(c->slots);
    c->slots = slots;
    c->n_slots = n_slots;
    for (int32_t k = 0; k < c->n; k++) slots[find_slot(c, c->keys[k])] = k;
    return PFX_OK;
}

pfx_status pfx_coder_code(pfx_coder *c, uint64_t key, int32_t *code, pfx_err *err)
{
    pfx_idx s = c->n_slots ? find_slot(c, key) : -1;
    if (s >= 0 && c->slots[s] >= 0) {
        *code = c->slots[s];
        return PFX_OK;
    }
    pfx_status st = grow(c, err);
    if (st != PFX_OK) return st;
    c->keys[c->n] = key;
    c->slots[find_slot(c, key)] = c->n;
    *code = c->n++;
    return PFX_OK;
}

pfx_status pfx_coder_numbers(pfx_coder *c, pfx_idx n, const double *x, int32_t *code, pfx_err *err)
{
    uint64_t last = 0;
    int32_t last_code = -1;
    for (pfx_idx i = 0; i < n; i++) {
        double v = x[i] + 0.0; /* -0 is 0 */
        uint64_t key;
        memcpy(&key, &v, sizeof key);
        if (!isfinite(v)) {
            code[i] = PFX_NA_CODE;
            continue;
        }
        if (key != last || last_code < 0) {
            pfx_status st = pfx_coder_code(c, key, &last_code, err);
            if (st != PFX_OK) return st;
            last = key;
        }
        code[i] = last_code;
    }
    return PFX_OK;
}

pfx_status pfx_coder_pairs(pfx_coder *c, pfx_idx n, int32_t *a, const int32_t *b, pfx_err *err)
{
    uint64_t last = 0;
    int32_t last_code = -1;
    for (pfx_idx i = 0; i < n; i++) {
        if (a[i] == PFX_NA_CODE || b[i] == PFX_NA_CODE) {
            a[i] = PFX_NA_CODE;
            continue;
        }
        uint64_t key = (uint64_t)(uint32_t)a[i] << 32 | (uint32_t)b[i];
        if (key != last || last_code < 0) {
            pfx_status st = pfx_coder_code(c, key, &last_code, err);
            if (st != PFX_OK) return st;
            last = key;
        }
        a[i] = last_code;
    }
    return PFX_OK;
}

double pfx_coder_number(const pfx_coder *c, int32_t code)
{
    double v;
    memcpy(&v, &c->keys[code], sizeof v);
    return v;
}
