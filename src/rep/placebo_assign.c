#include "src/rep/placebo_assign.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/rep/placebo_paths.h"

const char *const pfx_placebo_scheme_names[PFX_PLACEBO_SCHEMES + 1] = {
    "permute", "random-date", "in-time", "within-period", "file", NULL};

typedef struct builder {
    const pfx_assign_in *in;
    pfx_assign *a;
    pfx_paths paths;
    pfx_idx *start, *rows; /* rows of each unit, [n_units + 1], [n] */
    int64_t *key;          /* [n_units] stratum of each unit: a code, or first and last period */
    bool *excluded;        /* [n_units] always treated */
    double *values;        /* [n_periods] */
    pfx_idx *sorted;       /* [n_units] */
} builder;

static long long panel_row(const pfx_assign_in *in, pfx_idx i)
{
    return (long long)(in->row ? in->row[i] : i) + 1;
}

static pfx_status group_rows(builder *b, pfx_err *err)
{
    const pfx_assign_in *in = b->in;
    b->start = pfx_mem_calloc(in->n_units + 2, sizeof *b->start, err);
    b->rows = pfx_mem_alloc(in->n, sizeof *b->rows, err);
    if (!b->start || !b->rows) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < in->n; i++) b->start[in->unit[i] + 2]++;
    for (pfx_idx u = 0; u < in->n_units; u++) b->start[u + 2] += b->start[u + 1];
    for (pfx_idx i = 0; i < in->n; i++) b->rows[b->start[in->unit[i] + 1]++] = i;
    return PFX_OK;
}

/* Values of a unit by period, its stratum, and what it says about the kind of treatment. */
static pfx_status read_unit(builder *b, pfx_idx u, int *first, int *last, pfx_err *err)
{
    const pfx_assign_in *in = b->in;
    double *v = b->values;
    for (int t = 0; t < in->n_periods; t++) v[t] = NAN;
    *first = in->n_periods;
    *last = -1;
    for (pfx_idx k = b->start[u]; k < b->start[u + 1]; k++) {
        pfx_idx i = b->rows[k], i0 = b->rows[b->start[u]];
        int t = in->period[i];
        if (!isnan(v[t]) && v[t] != in->treatment[i])
            return pfx_fail(
                err, PFX_EDATA,
                "%s has two values in one period within a level of %s (one at row %lld of the panel): "
                "assignment is by whole levels; name a finer one with --assign-by or --cluster",
                in->treatment_name, in->unit_name, panel_row(in, i));
        v[t] = in->treatment[i];
        if (t < *first) *first = t;
        if (t > *last) *last = t;
        if (in->stratum && in->stratum[i] != in->stratum[i0])
            return pfx_fail(err, PFX_EDATA,
                            "--strata %s is not constant within %s (rows %lld and %lld of the panel)",
                            in->stratum_name, in->unit_name, panel_row(in, i0), panel_row(in, i));
    }
    return PFX_OK;
}

/* What the kinds are told by. */
typedef struct seen {
    bool not_binary, falls, rises;
} seen;

static void look(const builder *b, int first, int last, seen *s, bool *on_first, bool *switches)
{
    double before = b->values[first];
    *on_first = before == 1;
    *switches = false;
    for (int t = first; t <= last; t++) {
        double v = b->values[t];
        if (isnan(v)) continue;
        if (v != 0 && v != 1) s->not_binary = true;
        if (v < before) s->falls = true;
        if (v > before) s->rises = true;
        if (v != before) *switches = true;
        before = v;
    }
}

static pfx_status read_units(builder *b, pfx_err *err)
{
    const pfx_assign_in *in = b->in;
    pfx_assign *a = b->a;
    pfx_status st = PFX_OK;
    seen s = {0};
    for (pfx_idx u = 0; u < in->n_units && st == PFX_OK; u++) {
        int first, last;
        bool on_first, switches;
        if ((st = read_unit(b, u, &first, &last, err)) != PFX_OK) break;
        look(b, first, last, &s, &on_first, &switches);
        b->key[u] = in->stratum ? in->stratum[b->rows[b->start[u]]] : (int64_t)first * in->n_periods + last;
        b->excluded[u] = on_first;
        a->n_switch += switches;
        pfx_paths_carry(in->n_periods, b->values);
        st = pfx_paths_add(&b->paths, b->values, &a->own[u], err);
        a->n_treated += a->own[u] >= 0;
    }
    if (st != PFX_OK) return st;
    a->kind = !s.rises && !s.falls ? PFX_TREAT_GROUP
              : s.not_binary       ? PFX_TREAT_VALUES
              : s.falls            ? PFX_TREAT_ON_OFF
                                   : PFX_TREAT_ADOPTION;
    for (pfx_idx u = 0; u < in->n_units; u++) {
        b->excluded[u] &= a->kind == PFX_TREAT_ADOPTION;
        a->n_always += b->excluded[u];
    }
    return PFX_OK;
}

/* Rows are the units: they exchange values within a period (and stratum). */
static pfx_status read_rows(builder *b, pfx_err *err)
{
    const pfx_assign_in *in = b->in;
    pfx_assign *a = b->a;
    pfx_status st = PFX_OK;
    for (pfx_idx i = 0; i < in->n && st == PFX_OK; i++) {
        b->key[i] = in->period[i] + (in->stratum ? (int64_t)in->stratum[i] * in->n_periods : 0);
        st = pfx_paths_add(&b->paths, &in->treatment[i], &a->own[i], err);
        a->n_treated += a->own[i] >= 0;
    }
    a->kind = PFX_TREAT_VALUES;
    return st;
}

static int by_key(const void *x, const void *y, void *key)
{
    const int64_t *sort_key = key;
    pfx_idx a = *(const pfx_idx *)x, b = *(const pfx_idx *)y;
    if (sort_key[a] != sort_key[b]) return sort_key[a] < sort_key[b] ? -1 : 1;
    return (a > b) - (a < b);
}

/* Units sorted[0..n) are one stratum's. */
static void add_stratum(builder *b, pfx_idx n, const pfx_idx *sorted)
{
    pfx_assign *a = b->a;
    pfx_idx eligible = 0, treated = 0;
    int32_t one = 0;
    bool varies = false;
    for (pfx_idx i = 0; i < n; i++) {
        pfx_idx u = sorted[i];
        if (b->excluded[u]) continue;
        if (eligible++ == 0) one = a->own[u];
        varies |= a->own[u] != one;
        treated += a->own[u] >= 0;
    }
    for (pfx_idx i = 0; i < n; i++) {
        pfx_idx u = sorted[i];
        if (varies && !b->excluded[u]) {
            a->order[a->n_places++] = (uint32_t)u;
            if (a->own[u] >= 0) a->pool[a->n_drawn++] = (uint32_t)a->own[u];
        } else if (a->own[u] >= 0) {
            a->fixed[a->n_fixed++] = (uint32_t)u;
        }
    }
    if (varies) {
        a->stratum[a->n_strata++] =
            (pfx_k_stratum){(uint32_t)(a->n_places - eligible), (uint32_t)eligible, (uint32_t)treated};
    } else if (eligible > 0) {
        a->n_idle++;
        a->n_idle_units += eligible;
        if (a->idle_row < 0)
            a->idle_row = b->in->scheme == PFX_PLACEBO_WITHIN ? sorted[0] : b->rows[b->start[sorted[0]]];
    }
}

static void make_strata(builder *b)
{
    pfx_idx n = b->a->n_units;
    for (pfx_idx u = 0; u < n; u++) b->sorted[u] = u;
    qsort_r(b->sorted, (size_t)n, sizeof *b->sorted, by_key, b->key);
    for (pfx_idx i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && b->key[b->sorted[end]] == b->key[b->sorted[i]];) end++;
        add_stratum(b, end - i, b->sorted + i);
    }
}

static pfx_status allocate(builder *b, pfx_err *err)
{
    pfx_assign *a = b->a;
    pfx_idx n = a->n_units;
    a->own = pfx_mem_alloc(n, sizeof *a->own, err);
    a->order = pfx_mem_alloc(n, sizeof *a->order, err);
    a->pool = pfx_mem_alloc(n, sizeof *a->pool, err);
    a->fixed = pfx_mem_alloc(n, sizeof *a->fixed, err);
    a->stratum = pfx_mem_alloc(n, sizeof *a->stratum, err);
    b->key = pfx_mem_alloc(n, sizeof *b->key, err);
    b->excluded = pfx_mem_calloc(n, sizeof *b->excluded, err);
    b->values = pfx_mem_alloc(b->in->n_periods, sizeof *b->values, err);
    b->sorted = pfx_mem_alloc(n, sizeof *b->sorted, err);
    if (!a->own || !a->order || !a->pool || !a->fixed || !a->stratum || !b->key || !b->excluded ||
        !b->values || !b->sorted)
        return PFX_ENOMEM;
    return pfx_paths_init(&b->paths, a->n_periods, err);
}

/* A times the binomial n over c, infinite above 1e15. Each step is a whole number. */
static double times_choose(double A, uint32_t n, uint32_t c)
{
    for (uint32_t j = 1; j <= c && A <= 1e15; j++) {
        __extension__ unsigned __int128 x = (uint64_t)A;
        A = (double)(uint64_t)(x * (n - j + 1) / j);
    }
    return A <= 1e15 ? A : INFINITY;
}

/* Arrangements of m paths among n units: the paths one kind after the other; the commonest kind, or none,
 * takes what is left, so that no step is above the result. count [n_paths] zero before and after. */
static double arrange(pfx_k_stratum s, const uint32_t *pool, uint32_t *count)
{
    double A = 1;
    uint32_t most = s.n - s.m, left = s.n, none = s.n - s.m;
    for (uint32_t j = 0; j < s.m; j++)
        if (++count[pool[j]] > most) most = count[pool[j]];
    bool rest = most == none;
    if (!rest) A = times_choose(A, left, none), left -= none;
    for (uint32_t j = 0; j < s.m; j++) {
        uint32_t c = count[pool[j]];
        if (c == 0) continue;
        count[pool[j]] = 0;
        if (c == most && !rest) {
            rest = true;
            continue;
        }
        A = times_choose(A, left, c);
        left -= c;
    }
    return A;
}

static pfx_status count_assignments(pfx_assign *a, pfx_err *err)
{
    uint32_t *count = pfx_mem_calloc(a->n_paths, sizeof *count, err);
    a->arrangements = pfx_mem_alloc(a->n_strata, sizeof *a->arrangements, err);
    a->assignments = 1;
    const uint32_t *pool = a->pool;
    for (pfx_idx s = 0; count && a->arrangements && s < a->n_strata; pool += a->stratum[s++].m) {
        a->arrangements[s] = arrange(a->stratum[s], pool, count);
        a->assignments *= a->arrangements[s];
    }
    if (!(a->assignments <= 1e15) || a->scheme == PFX_PLACEBO_RANDOM_DATE) a->assignments = INFINITY;
    pfx_mem_free(count);
    return count && a->arrangements ? PFX_OK : PFX_ENOMEM;
}

static pfx_status check(const builder *b, pfx_err *err)
{
    const pfx_assign *a = b->a;
    const pfx_assign_in *in = b->in;
    if (a->n_treated == 0)
        return pfx_fail(err, PFX_EDATA, "%s is zero in all %lld rows used: 0 levels of %s are treated",
                        in->treatment_name, (long long)in->n, in->unit_name);
    if ((in->scheme == PFX_PLACEBO_RANDOM_DATE || in->scheme == PFX_PLACEBO_IN_TIME) &&
        a->kind != PFX_TREAT_ADOPTION)
        return pfx_fail(err, PFX_EUSAGE,
                        "--scheme %s needs a treatment of 0 and 1 that stays on once it is on; %s %s; use "
                        "--scheme permute",
                        pfx_placebo_scheme_names[in->scheme], in->treatment_name,
                        a->kind == PFX_TREAT_GROUP    ? "never changes within a unit"
                        : a->kind == PFX_TREAT_ON_OFF ? "switches off"
                                                      : "has other values");
    if (in->scheme == PFX_PLACEBO_FILE || in->scheme == PFX_PLACEBO_IN_TIME || a->n_strata > 0) return PFX_OK;
    if (a->n_always == a->n_treated)
        return pfx_fail(
            err, PFX_EDATA,
            "all %lld treated levels of %s are treated from their first period on: their dates are "
            "unknown, nothing is left to permute",
            (long long)a->n_treated, in->unit_name);
    return pfx_fail(
        err, PFX_EDATA,
        "no stratum of %s has two levels that differ in %s: a permutation cannot change anything; "
        "give coarser --strata",
        in->stratum ? in->stratum_name : "first and last period", in->treatment_name);
}

pfx_status pfx_assign_create(const pfx_assign_in *in, pfx_assign **out, pfx_err *err)
{
    pfx_status st = PFX_ENOMEM;
    bool within = in->scheme == PFX_PLACEBO_WITHIN;
    builder b = {.in = in, .a = pfx_mem_calloc(1, sizeof *b.a, err)};
    if (!b.a) return PFX_ENOMEM;
    b.a->scheme = in->scheme;
    b.a->n_units = within ? in->n : in->n_units;
    b.a->n_periods = within ? 1 : in->n_periods;
    b.a->idle_row = -1;
    if (b.a->n_units > UINT32_MAX)
        st = pfx_fail(err, PFX_EDATA, "more than %lld units to assign", (long long)UINT32_MAX);
    else if ((st = allocate(&b, err)) == PFX_OK && (within || (st = group_rows(&b, err)) == PFX_OK))
        st = within ? read_rows(&b, err) : read_units(&b, err);
    if (st == PFX_OK) {
        make_strata(&b);
        b.a->path = b.paths.path;
        b.a->n_paths = b.paths.n;
        b.paths.path = NULL;
        b.a->most = b.a->n_drawn;
        st = check(&b, err);
        if (st == PFX_OK) st = count_assignments(b.a, err);
    }
    pfx_paths_free(&b.paths);
    pfx_mem_free(b.start);
    pfx_mem_free(b.rows);
    pfx_mem_free(b.key);
    pfx_mem_free(b.excluded);
    pfx_mem_free(b.values);
    pfx_mem_free(b.sorted);
    if (st == PFX_OK)
        *out = b.a;
    else
        pfx_assign_free(b.a);
    return st;
}

void pfx_assign_free(pfx_assign *a)
{
    if (!a) return;
    pfx_mem_free(a->path);
    pfx_mem_free(a->own);
    pfx_mem_free(a->stratum);
    pfx_mem_free(a->arrangements);
    pfx_mem_free(a->order);
    pfx_mem_free(a->pool);
    pfx_mem_free(a->fixed);
    pfx_mem_free(a->file_start);
    pfx_mem_free(a->file_unit);
    pfx_mem_free(a->file_path);
    pfx_mem_free(a);
}
