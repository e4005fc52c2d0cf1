/* Windows of rows, cut into blocks, and blocks into groups. */
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/est/absorb_internal.h"
#include "src/model/design.h"

/* A block's demeaned rows are written and read again by several kernels: three quarters of a 32 KiB first-level
 * cache, between 32 and 512 rows; of many columns more rows, as each block reads and writes their products. */
#define BLOCK_BYTES 24576
#define MANY_COLUMNS 128
#define MANY_ROWS 192
/* Blocks of a group: what a group sums must be more work than adding up its sums. */
#define GROUP_BLOCKS 16
#define GROUP_ROWS 32768

static pfx_idx target_rows(const pfx_absorber *a)
{
    pfx_idx target = BLOCK_BYTES / (8 * a->ldp);
    pfx_idx least = a->ldp > MANY_COLUMNS ? MANY_ROWS : 32;
    return target < least ? least : target > 512 ? 512 : target;
}

/* A group has eight rows for each column of the other effects, where they are not few, as long as that is no more than
 * GROUP_ROWS, then four, and two for each of Z. It must not depend on how many rows or levels a stream will bring. */
static pfx_idx group_blocks(const pfx_absorber *a)
{
    pfx_idx target = target_rows(a), n = GROUP_BLOCKS;
    if (2 * a->p / target > n) n = 2 * a->p / target;
    pfx_idx rows = 8 * a->q < GROUP_ROWS ? 8 * a->q : 4 * a->q > GROUP_ROWS ? 4 * a->q : GROUP_ROWS;
    if (a->q > PFX_SCHUR_DENSE && rows / target > n) n = rows / target;
    return n;
}

/* The level after the last one of a block that begins with level g, at `row`: as many as fit the target, at least one.
 * Levels are short: a step over several of them is seldom guessed wrong. */
static pfx_idx end_of_block(const pfx_absorber *a, pfx_idx g, pfx_idx row, pfx_idx target)
{
    enum { STEP = 8 };
    const pfx_idx limit = row + target;
    pfx_idx next = g + 1;
    while (next + STEP <= a->n_levels && a->start[next + STEP] <= limit) next += STEP;
    while (next < a->n_levels && a->start[next + 1] <= limit) next++;
    return next;
}

/* Room for one block more, and for the bound after it. Most blocks come near the target. */
static pfx_status reserve_block(pfx_absorber *a, pfx_idx target, pfx_err *err)
{
    if (a->n_blocks + 1 < a->cap_blocks) return PFX_OK;
    pfx_idx cap = a->cap_blocks > 0 ? a->cap_blocks + a->cap_blocks / 2 : a->n / target + a->n / target / 4 + 16;
    pfx_idx *row = pfx_mem_realloc(a->block_row, cap, sizeof *row, err);
    if (row) a->block_row = row;
    pfx_idx *level = row ? pfx_mem_realloc(a->block_level, cap, sizeof *level, err) : NULL;
    if (level) a->block_level = level;
    int32_t *slot = level ? pfx_mem_realloc(a->block_long, cap, sizeof *slot, err) : NULL;
    if (!slot) return PFX_ENOMEM;
    a->block_long = slot;
    a->cap_blocks = cap;
    return PFX_OK;
}

/* Cut the window's rows into blocks. */
static pfx_status cut(pfx_absorber *a, pfx_idx target, pfx_err *err)
{
    pfx_status st = PFX_OK;
    pfx_idx row = 0, g = 0;

    a->n_blocks = a->n_long = a->max_rows = 0;
    while (row < a->n) {
        pfx_idx row1 = row, level = g;
        int32_t slot = -1;
        pfx_idx len = a->n_levels > 0 ? a->start[g + 1] - a->start[g] : 0;
        if (a->n_levels == 0) row1 = a->n - row < target ? a->n : row + target;
        else if (a->constant || (len > PFX_ABSORB_LONG_ROWS && a->n_basis == 0)) {
            a->n_long += row == a->start[g];
            slot = (int32_t)(a->n_long - 1);
            row1 = a->start[g + 1] - row < target ? a->start[g + 1] : row + target;
            if (row1 == a->start[g + 1]) g++;
        } else {
            g = end_of_block(a, g, row, target);
            row1 = a->start[g];
        }
        if ((st = reserve_block(a, target, err)) != PFX_OK) return st;
        a->block_row[a->n_blocks] = row, a->block_level[a->n_blocks] = level, a->block_long[a->n_blocks] = slot;
        a->max_rows = row1 - row > a->max_rows ? row1 - row : a->max_rows;
        a->n_blocks++;
        row = row1;
    }
    if ((st = reserve_block(a, target, err)) != PFX_OK) return st;
    a->block_row[a->n_blocks] = a->n, a->block_level[a->n_blocks] = a->n_levels;
    return st;
}

pfx_status pfx_absorb_cut(pfx_absorber *a, pfx_err *err)
{
    a->group_blocks = group_blocks(a);
    pfx_status st = cut(a, target_rows(a), err);
    a->n_groups = (a->n_blocks + a->group_blocks - 1) / a->group_blocks;
    return st;
}

/* --- windows of a stream --- */

static pfx_status reserve_levels(pfx_absorber *a, pfx_idx n, pfx_err *err)
{
    if (n + 1 <= a->cap_levels) return PFX_OK;
    pfx_idx cap = n + n / 8 + 2;
    pfx_mem_free(a->start);
    a->cap_levels = 0;
    if (!(a->start = pfx_mem_alloc(cap, sizeof *a->start, err))) return PFX_ENOMEM;
    a->cap_levels = cap;
    return PFX_OK;
}

/* Rows of a window whose levels are found together. */
#define LEVEL_ROWS 4096

typedef struct level_pass {
    pfx_idx n;
    const int32_t *code;
    pfx_idx *start;
} level_pass;

/* Levels follow one another by ones: each begins in the place that its number says. */
static void find_part(void *ctx, pfx_idx part, int thread)
{
    const level_pass *c = ctx;
    const int32_t *code = c->code;
    pfx_idx r = part * LEVEL_ROWS, end = r + LEVEL_ROWS < c->n ? r + LEVEL_ROWS : c->n;
    (void)thread;

    r += r == 0;
    while (end > r && code[end - 1] == code[end - 2]) end--; /* what is written too far must not reach the next part's */
    pfx_idx n = (pfx_idx)code[r - 1] - code[0] + 1;
    for (; r < end; r++) { /* levels are short: a branch would be guessed wrong */
        c->start[n] = r;
        n += code[r] != code[r - 1];
    }
}

/* A level of more rows than blocks may have. */
static pfx_status check_lengths(const pfx_absorber *a, pfx_err *err)
{
    uint64_t long_one = 0;
    for (pfx_idx g = 0; g < a->n_levels; g++) /* the sign of what is left, without a branch */
        long_one |= (uint64_t)(PFX_ABSORB_LONG_ROWS - (a->start[g + 1] - a->start[g])) >> 63;
    for (pfx_idx g = 0; g < a->n_levels && long_one; g++)
        if (a->start[g + 1] - a->start[g] > PFX_ABSORB_LONG_ROWS)
            return pfx_fail(err, PFX_ENOMEM, "%s: a level of %lld rows cannot be streamed, at most %d can; give more --memory",
                            a->d->absorbed[a->first].factor.name, (long long)(a->start[g + 1] - a->start[g]),
                            PFX_ABSORB_LONG_ROWS);
    return PFX_OK;
}

static pfx_status find_units(pfx_absorber *a, const int32_t *code, pfx_err *err)
{
    pfx_idx n = a->n > 0 ? (pfx_idx)code[a->n - 1] - code[0] + 1 : 0;
    pfx_status st = reserve_levels(a, n, err);
    if (st != PFX_OK) return st;
    level_pass c = {.n = a->n, .code = code, .start = a->start};
    a->start[0] = 0;
    pfx_par_for((a->n + LEVEL_ROWS - 1) / LEVEL_ROWS, a->opt.nth, find_part, &c);
    a->n_levels = n;
    a->start[n] = a->n;
    return check_lengths(a, err);
}

/* Where each level of the window begins. */
static pfx_status find_levels(pfx_absorber *a, pfx_err *err)
{
    a->n_levels = 0;
    if (a->constant) {
        pfx_status st = reserve_levels(a, 1, err);
        if (st != PFX_OK) return st;
        a->start[0] = 0, a->start[1] = a->n;
        a->n_levels = 1;
    } else if (a->first >= 0) {
        a->level = a->d->absorbed[a->first].factor.code;
        return find_units(a, a->level, err);
    }
    return PFX_OK;
}

_Static_assert(PFX_DESIGN_STREAM_FEW == PFX_SCHUR_DENSE, "what a stream may show before it knows it");

/* The codes of the other effects; before their levels are known there is room for the dense Schur complement's. */
static pfx_status find_rest(pfx_absorber *a, pfx_err *err)
{
    for (int e = 0; e < a->n_rest; e++) {
        const pfx_factor *f = &a->d->absorbed[a->rest_entry[e]].factor;
        if (f->n_levels > PFX_SCHUR_DENSE && !a->d->stream->whole)
            return pfx_fail(err, PFX_ENOMEM,
                            "%s: %s has more than %d levels, which cannot be streamed beside %s; give more --memory",
                            a->d->formula ? a->d->formula : "design", f->name, PFX_SCHUR_DENSE,
                            a->d->absorbed[a->first].factor.name);
        a->rest[e].code = f->code;
    }
    return PFX_OK;
}

/* The rows after the last whole group wait for what follows them. */
static pfx_status next_window(pfx_absorber *a, pfx_err *err)
{
    const pfx_design_stream *s = a->d->stream;
    pfx_idx keep = a->n - (a->n_blocks > 0 ? a->block_row[a->n_blocks] : 0);

    a->n_groups = 0;
    a->row0 += a->n - keep;
    while (a->n_groups == 0 && !a->last) {
        pfx_status st = s->next(s->ctx, keep, &a->n, &a->last, err);
        if (st == PFX_OK) st = find_levels(a, err);
        if (st == PFX_OK) st = find_rest(a, err);
        if (st == PFX_OK) st = pfx_absorb_cut(a, err);
        if (st != PFX_OK) return st;
        if (!a->last) { /* what comes next may still belong to the last block */
            a->n_groups = a->n_blocks > 0 ? (a->n_blocks - 1) / a->group_blocks : 0;
            a->n_blocks = a->n_groups * a->group_blocks;
        }
        keep = a->n;
    }
    a->max_rows = PFX_ABSORB_LONG_ROWS;
    return PFX_OK;
}

pfx_status pfx_absorber_rewind(pfx_absorber *a, pfx_err *err)
{
    a->opened = a->last = false;
    if (!a->d->stream) return PFX_OK;
    a->n = a->n_blocks = a->n_groups = a->row0 = 0;
    a->max_rows = PFX_ABSORB_LONG_ROWS;
    return a->d->stream->rewind(a->d->stream->ctx, err);
}

pfx_status pfx_absorber_next(pfx_absorber *a, bool *more, pfx_err *err)
{
    if (!a->d->stream) {
        *more = !a->opened;
        a->opened = true;
        return PFX_OK;
    }
    pfx_status st = next_window(a, err);
    *more = st == PFX_OK && a->n_groups > 0;
    if (*more && !a->opened) memcpy(a->origin, a->d->Z, (size_t)a->p * sizeof *a->origin);
    a->opened = true;
    return st;
}

pfx_status pfx_absorb_all_codes(pfx_absorber *a, pfx_err *err)
{
    if (!a->d->stream) return PFX_OK;
    pfx_status st = pfx_absorber_rewind(a, err);
    a->n = a->d->n;
    if (st == PFX_OK) st = find_levels(a, err);
    return st == PFX_OK ? find_rest(a, err) : st;
}

pfx_idx pfx_absorber_row0(const pfx_absorber *a) { return a->row0; }

pfx_idx pfx_absorber_n_rows(const pfx_absorber *a) { return a->n_blocks > 0 ? a->block_row[a->n_blocks] : 0; }

pfx_idx pfx_absorber_n_groups(const pfx_absorber *a) { return a->n_groups; }

void pfx_absorber_group(const pfx_absorber *a, pfx_idx group, pfx_idx *block0, pfx_idx *block1)
{
    *block0 = group * a->group_blocks;
    *block1 = *block0 + a->group_blocks < a->n_blocks ? *block0 + a->group_blocks : a->n_blocks;
}
