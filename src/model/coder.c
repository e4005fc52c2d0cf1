#include "src/model/coder.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"

enum { SMALL = 4096 }; /* whole numbers in the table: 16 KiB, which stay in the first-level cache */

void pfx_coder_free(pfx_coder *c)
{
    pfx_mem_free(c->keys);
    pfx_mem_free(c->slots);
    pfx_mem_free(c->small);
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

/* Put the keys that are not yet there into the table, with room for one more. */
static pfx_status hash_keys(pfx_coder *c, pfx_err *err)
{
    if (2 * ((pfx_idx)c->n + 1) > c->n_slots) {
        pfx_idx n_slots = c->n_slots ? c->n_slots : 128;
        while (2 * ((pfx_idx)c->n + 1) > n_slots) n_slots *= 2;
        int32_t *slots = pfx_mem_alloc(n_slots, sizeof *slots, err);
        if (!slots) return PFX_ENOMEM;
        memset(slots, 0xff, (size_t)n_slots * sizeof *slots);
        pfx_mem_free(c->slots);
        c->slots = slots;
        c->n_slots = n_slots;
        c->n_hashed = 0;
    }
    for (; c->n_hashed < c->n; c->n_hashed++) c->slots[find_slot(c, c->keys[c->n_hashed])] = c->n_hashed;
    return PFX_OK;
}

/* A key that has no code yet gets the next one. */
static pfx_status append(pfx_coder *c, uint64_t key, int32_t *code, pfx_err *err)
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
    c->keys[c->n] = key;
    *code = c->n++;
    return PFX_OK;
}

pfx_status pfx_coder_code(pfx_coder *c, uint64_t key, int32_t *code, pfx_err *err)
{
    pfx_status st = c->n_hashed == c->n && c->n_slots ? PFX_OK : hash_keys(c, err);
    if (st != PFX_OK) return st;
    pfx_idx s = find_slot(c, key);
    if (c->slots[s] >= 0) {
        *code = c->slots[s];
        return PFX_OK;
    }
    return append(c, key, code, err); /* and into the table when the next one is looked for */
}

double pfx_coder_number(const pfx_coder *c, int32_t code)
{
    double v;
    memcpy(&v, &c->keys[code], sizeof v);
    return v;
}

/* Place of a number in the table of small ones, or -1. */
static int small_place(const pfx_coder *c, double v)
{
    double d = v - c->base;
    if (!(d >= 0 && d < SMALL)) return -1;
    int i = (int)d;
    return c->base + i == v ? i : -1;
}

static pfx_status make_small(pfx_coder *c, double first, pfx_err *err)
{
    if (!(c->small = pfx_mem_alloc(SMALL, sizeof *c->small, err))) return PFX_ENOMEM;
    memset(c->small, 0xff, SMALL * sizeof *c->small);
    c->base = floor(first) - SMALL / 2;
    return PFX_OK;
}

/* Code of a finite number that is not the one before. */
static pfx_status code_number(pfx_coder *c, double v, int32_t *code, pfx_err *err)
{
    pfx_status st;
    uint64_t key;
    if (!c->small && (st = make_small(c, v, err)) != PFX_OK) return st;
    int i = small_place(c, v);
    if (i >= 0 && c->small[i] >= 0) {
        *code = c->small[i];
        return PFX_OK;
    }
    memcpy(&key, &v, sizeof key);
    if (!c->not_rising && c->n > 0) {
        double largest = pfx_coder_number(c, c->n - 1);
        c->not_rising = v < largest;
        if (v == largest) {
            *code = c->n - 1;
            return PFX_OK;
        }
    }
    st = c->not_rising ? pfx_coder_code(c, key, code, err) : append(c, key, code, err);
    if (st == PFX_OK && i >= 0) c->small[i] = *code;
    return st;
}

pfx_idx pfx_coder_known(const pfx_coder *c, pfx_idx n, const double *x, int32_t *code)
{
    const int32_t *small = c->small;
    const double base = c->base;
    pfx_idx i = 0;
    for (; i < n && small; i++) {
        double v = x[i], d = v - base;
        if (!(d >= 0 && d < SMALL)) break;
        int k = (int)d;
        if (base + k != v || small[k] < 0) break;
        code[i] = small[k];
    }
    return i;
}

pfx_status pfx_coder_numbers(pfx_coder *c, pfx_idx n, const double *x, int32_t *code, pfx_err *err)
{
    double last = NAN;
    int32_t last_code = PFX_NA_CODE;
    for (pfx_idx i = 0;; i++) {
        i += pfx_coder_known(c, n - i, x + i, code + i);
        if (i == n) return PFX_OK;
        double v = x[i] + 0.0; /* -0 is 0 */
        if (v != last) {
            if (!isfinite(v)) {
                code[i] = PFX_NA_CODE;
                continue;
            }
            pfx_status st = code_number(c, v, &last_code, err);
            if (st != PFX_OK) return st;
            last = v;
        }
        code[i] = last_code;
    }
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
