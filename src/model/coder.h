/* Levels from values: distinct keys become codes 0, 1, 2, .. in the order of their first appearance. */
#ifndef PFX_MODEL_CODER_H
#define PFX_MODEL_CODER_H

#include <stdbool.h>
#include "src/base/status.h"

/* Start from {0}. */
typedef struct pfx_coder {
    int32_t n; /* codes given */
    int32_t cap_keys;
    uint64_t *keys; /* [n] key of each code */
    /* The hash table. Keys are put into it when one is looked for that the short ways do not decide. */
    pfx_idx n_slots;  /* a power of two, at least twice n_hashed */
    int32_t *slots;   /* [n_slots] a code, or -1 */
    int32_t n_hashed; /* codes below it are in the table */
    /* Short ways for numbers: small whole ones by a table, and a new one that is larger than all so far. */
    bool not_rising; /* some number was smaller than one before it */
    double base;     /* the table's first number */
    int32_t *small;  /* code of base + i, or -1; NULL before the first number */
} pfx_coder;

void pfx_coder_free(pfx_coder *c);
/* Code of a key; NOMEM; DATA: more than 2^31 - 1 levels. */
pfx_status pfx_coder_code(pfx_coder *c, uint64_t key, int32_t *code, pfx_err *err) PFX_MUST;
/* Codes of n numbers: equal numbers, equal codes; missing and infinite ones PFX_NA_CODE. */
pfx_status pfx_coder_numbers(pfx_coder *c, pfx_idx n, const double *x, int32_t *code, pfx_err *err) PFX_MUST;
/* The codes that pfx_coder_numbers gives to as many of the numbers, from the first on, as it has found in its table of
 * small whole ones. Returns how many. Threads: any. */
pfx_idx pfx_coder_known(const pfx_coder *c, pfx_idx n, const double *x, int32_t *code);
/* Codes of n pairs (a, b) of codes, into a; PFX_NA_CODE where either is. */
pfx_status pfx_coder_pairs(pfx_coder *c, pfx_idx n, int32_t *a, const int32_t *b, pfx_err *err) PFX_MUST;
/* The number that got a code of pfx_coder_numbers. */
double pfx_coder_number(const pfx_coder *c, int32_t code);

#endif
