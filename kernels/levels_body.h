/* Body of pfx_k_level_scores, compiled once for each ISA. Levels are short: rows are taken eight (or four) at
 * a time, in lanes, whether the level has as many or not, so that few branches are guessed wrong and sums of
 * lanes are found for eight rows at once. */
#include "kernels/lanes.h"
#include "kernels/levels.h"

#define MAX_GROUPS 4 /* columns held in registers at once: 32 */
#define MAX_ROWS 32  /* rows of a level whose differences are kept between the two steps */

/* The portable route has one loop for any number of groups: unrolled for each, it would be a hundred times as
 * long. */
#if defined(__AVX2__)
#define EACH_GROUP PFX_UNROLL
#else
#define EACH_GROUP
#endif

/* How the columns lie: ng groups of eight, k live lanes in the last, at most four of them where half is set.
 */
typedef struct shape {
    int ng, k;
    bool half;
} shape;

PFX_INLINE v8 load_group(const double *row, const int v, const shape s)
{
    return v < s.ng - 1 ? v8_load(row + 8 * v)
           : s.half     ? v8_loadk_half(row + 8 * v, s.k)
                        : v8_loadk(row + 8 * v, s.k);
}

PFX_INLINE void load_row(const double *row, const shape s, v8 *x)
{
    EACH_GROUP
    for (int v = 0; v < s.ng; v++) x[v] = load_group(row, v, s);
}

/* d = row x less ref and row r of the tables, in the columns from col0 on. */
PFX_INLINE void row_less(const double *x, const v8 *ref, const shape s, int col0, const int n_tables,
                         const pfx_k_table *table, pfx_idx r, v8 *d)
{
    EACH_GROUP
    for (int v = 0; v < s.ng; v++) d[v] = v8_sub(load_group(x, v, s), ref[v]);
    for (int t = 0; t < n_tables; t++) {
        const double *g = table[t].G + table[t].code[r] * table[t].ld + col0;
        if (table[t].value) {
            v8 a = v8_set1(table[t].value[r]);
            EACH_GROUP
            for (int v = 0; v < s.ng; v++) d[v] = v8_fnma(a, v8_load(g + 8 * v), d[v]);
        } else {
            EACH_GROUP
            for (int v = 0; v < s.ng; v++) d[v] = v8_sub(d[v], v8_load(g + 8 * v));
        }
    }
}

PFX_INLINE v8 dot_lanes(const v8 *d, const v8 *c, const int ng)
{
    v8 sum = v8_mul(d[0], c[0]);
    EACH_GROUP
    for (int v = 1; v < ng; v++) sum = v8_fma(d[v], c[v], sum);
    return sum;
}

/* The next row, or the same again where it is the last; sure: it is not. */
PFX_INLINE void advance(const double **x, pfx_idx *r, pfx_idx last, pfx_idx ld, const bool sure)
{
    const pfx_idx go = sure ? -1 : -(pfx_idx)(*r < last);
    *x += ld & go, *r -= go;
}

/* Live lanes from row r on. */
PFX_INLINE int rows_left(pfx_idx r, pfx_idx end)
{
    return end - r < PFX_LANES ? (int)(end - r) : PFX_LANES;
}

/* u less the mean of its first n lanes, with weights, and zeros beyond. */
PFX_INLINE v8 centre_lanes(v8 u, int n, const double *w)
{
    v8 sum = v8_keep(u, n);
    double weight = n;

    if (w) {
        const v8 wx = v8_loadk(w, n);
        sum = v8_mul(wx, sum), weight = v8_sum(wx);
    }
    return v8_keep(v8_sub(u, v8_set1(v8_sum(sum) * (1.0 / weight))), n);
}

/* Two sums, of even and odd rows, into one. */
PFX_INLINE void store_sums(v8 sum[2][MAX_GROUPS], const int ng, double *S)
{
    EACH_GROUP
    for (int v = 0; v < ng; v++) v8_store(S + 8 * v, v8_add(sum[0][v], sum[1][v]));
}

/* A level of at most `slots` rows, four or eight, all in registers; rows beyond its last are that one again.
 */
PFX_INLINE void short_level(pfx_idx r0, pfx_idx n, const int slots, const shape s, pfx_idx ld,
                            const double *X, const double *w, const double *c, const int n_tables,
                            const pfx_k_table *table, double *e, double *S)
{
    v8 ref[MAX_GROUPS], cv[MAX_GROUPS], d[PFX_LANES][MAX_GROUPS], part[PFX_LANES], sum[2][MAX_GROUPS];
    const double *x = X + r0 * ld;
    double f[PFX_LANES];
    pfx_idx r = r0;

    load_row(x, s, ref), load_row(c, s, cv);
    PFX_UNROLL
    for (int i = 0; i < PFX_LANES; i++) {
        part[i] = v8_zero();
        if (i >= slots) continue;
        v8_prefetch_row(x, ld, 8 * s.ng);
        row_less(x, ref, s, 0, n_tables, table, r, d[i]);
        part[i] = dot_lanes(d[i], cv, s.ng);
        advance(&x, &r, r0 + n - 1, ld, i + 1 < (slots == 8 ? 5 : 1));
    }
    const v8 dots = v8_sum8(part);
    const v8 u = centre_lanes(dots, (int)n, w ? w + r0 : NULL);
    v8_storek(e + r0, u, (int)n);
    v8_store(f, w ? v8_mul(v8_loadk(w + r0, (int)n), u) : u);
    EACH_GROUP
    for (int v = 0; v < s.ng; v++) sum[0][v] = sum[1][v] = v8_zero();
    PFX_UNROLL
    for (int i = 0; i < slots; i++) {
        EACH_GROUP
        for (int v = 0; v < s.ng; v++) sum[i & 1][v] = v8_fma(v8_set1(f[i]), d[i][v], sum[i & 1][v]);
    }
    store_sums(sum, s.ng, S);
}

/* Weighted mean of e over a level, rows added in lanes, by their place in it. eights: e has room for whole
 * ones. */
PFX_INLINE v8 mean_of(pfx_idx n, const double *w, const double *e, const bool eights)
{
    v8 sum = v8_zero(), wsum = v8_zero();

    for (pfx_idx r = 0; r < n; r += PFX_LANES) {
        const int live = rows_left(r, n);
        const v8 x = eights ? v8_keep(v8_load(e + r), live) : v8_loadk(e + r, live);
        if (w) {
            const v8 wx = v8_loadk(w + r, live);
            sum = v8_add(sum, v8_mul(wx, x)), wsum = v8_add(wsum, wx);
        } else
            sum = v8_add(sum, x);
    }
    return v8_set1(v8_sum(sum) * (1.0 / (w ? v8_sum(wsum) : (double)n)));
}

/* f less its mean, zeros beyond n, and a copy of the n in e. Whole eights are stored: what is read from f at
 * once need not wait for the cache, as it would after a store of some lanes. */
PFX_INLINE void centre_eights(int n, const double *w, double *f, double *e)
{
    const v8 m = mean_of(n, w, f, true);
    for (int r = 0; r < n; r += PFX_LANES) {
        const int live = rows_left(r, n);
        const v8 x = v8_keep(v8_sub(v8_load(f + r), m), live);
        v8_storek(e + r, x, live);
        v8_store(f + r, w ? v8_mul(v8_loadk(w + r, live), x) : x);
    }
}

PFX_INLINE void centre_long(pfx_idx n, const double *w, double *e)
{
    const v8 m = mean_of(n, w, e, false);
    for (pfx_idx r = 0; r < n; r += PFX_LANES) {
        const int live = rows_left(r, n);
        v8_storek(e + r, v8_sub(v8_loadk(e + r, live), m), live);
    }
}

/* d'c of the next four rows, in the first lanes, and d in kept; all: there are four. */
PFX_INLINE v8 dot_four(const double **x, pfx_idx *r, pfx_idx last, const bool all, const shape s, pfx_idx ld,
                       const v8 *ref, const v8 *c, const int n_tables, const pfx_k_table *table,
                       double (*kept)[8 * MAX_GROUPS])
{
    v8 part[PFX_LANES];

    PFX_UNROLL
    for (int i = 0; i < PFX_LANES; i++) {
        v8 d[MAX_GROUPS];
        part[i] = v8_zero();
        if (i >= 4) continue;
        v8_prefetch_row(*x, ld, 8 * s.ng);
        row_less(*x, ref, s, 0, n_tables, table, *r, d);
        part[i] = dot_lanes(d, c, s.ng);
        EACH_GROUP
        for (int v = 0; v < s.ng; v++) v8_store(kept[i] + 8 * v, d[v]);
        advance(x, r, last, ld, all && i < 3);
    }
    return v8_sum8(part);
}

/* A level of more than eight and at most MAX_ROWS rows, in fours. */
PFX_INLINE void medium_level(pfx_idx r0, int n, const shape s, pfx_idx ld, const double *X, const double *w,
                             const double *c, const int n_tables, const pfx_k_table *table, double *e,
                             double *S)
{
    v8 ref[MAX_GROUPS], cv[MAX_GROUPS], sum[2][MAX_GROUPS];
    double kept[MAX_ROWS][8 * MAX_GROUPS], f[MAX_ROWS + 4];
    const double *x = X + r0 * ld;
    pfx_idx r = r0, last = r0 + n - 1;
    int b = 0;

    load_row(x, s, ref), load_row(c, s, cv);
    for (; b + 4 <= n; b += 4)
        v8_store(f + b, dot_four(&x, &r, last, true, s, ld, ref, cv, n_tables, table, kept + b));
    if (b < n) v8_store(f + b, dot_four(&x, &r, last, false, s, ld, ref, cv, n_tables, table, kept + b));
    centre_eights(n, w ? w + r0 : NULL, f, e + r0);
    EACH_GROUP
    for (int v = 0; v < s.ng; v++) sum[0][v] = sum[1][v] = v8_zero();
    for (b = 0; b < n; b += 4) {
        PFX_UNROLL
        for (int i = 0; i < 4; i++) {
            EACH_GROUP
            for (int v = 0; v < s.ng; v++)
                sum[i & 1][v] = v8_fma(v8_set1(f[b + i]), v8_load(kept[b + i] + 8 * v), sum[i & 1][v]);
        }
    }
    store_sums(sum, s.ng, S);
}

/* Any level and any tables, the columns of one piece from col0 on: e = d'c, onto e or in its place. */
PFX_INLINE void dot_long(pfx_idx r0, pfx_idx n, const shape s, int col0, pfx_idx ld, const double *X,
                         const double *c, const int n_tables, const pfx_k_table *table, double *e)
{
    v8 ref[MAX_GROUPS], cv[MAX_GROUPS];

    load_row(X + r0 * ld, s, ref), load_row(c, s, cv);
    for (pfx_idx r = r0; r < r0 + n; r++) {
        v8 d[MAX_GROUPS];
        v8_prefetch_row(X + r * ld, ld, 8 * s.ng);
        row_less(X + r * ld, ref, s, col0, n_tables, table, r, d);
        const double sum = v8_sum(dot_lanes(d, cv, s.ng));
        e[r] = col0 == 0 ? sum : e[r] + sum;
    }
}

PFX_INLINE void score_long(pfx_idx r0, pfx_idx n, const shape s, int col0, pfx_idx ld, const double *X,
                           const double *w, const int n_tables, const pfx_k_table *table, const double *e,
                           double *S)
{
    v8 ref[MAX_GROUPS], sum[MAX_GROUPS];

    load_row(X + r0 * ld, s, ref);
    EACH_GROUP
    for (int v = 0; v < s.ng; v++) sum[v] = v8_zero();
    for (pfx_idx r = r0; r < r0 + n; r++) {
        const v8 f = v8_set1(w ? w[r] * e[r] : e[r]);
        v8 d[MAX_GROUPS];
        row_less(X + r * ld, ref, s, col0, n_tables, table, r, d);
        EACH_GROUP
        for (int v = 0; v < s.ng; v++) sum[v] = v8_fma(f, d[v], sum[v]);
    }
    EACH_GROUP
    for (int v = 0; v < s.ng; v++) v8_store(S + 8 * v, sum[v]);
}

/* All levels; up to 32 columns are one piece of groups, more are taken piece by piece within a level. */
PFX_INLINE void all_levels(pfx_idx n_levels, const pfx_idx *start, const int ng, const bool half, int p,
                           pfx_idx ld, const double *X, const double *w, const double *c, const int n_tables,
                           const pfx_k_table *table, double *e, pfx_idx lds, double *S)
{
    const int groups = v8_groups(p);
    const shape last = {ng, v8_live(p, groups - 1), half}, whole = {ng, PFX_LANES, false};

    for (pfx_idx g = 0; g < n_levels; g++, S += lds) {
        const pfx_idx r0 = start[g] - start[0], n = start[g + 1] - start[g];
        for (int t = 0; t < n_tables; t++)
            for (pfx_idx r = r0; table[t].wide && r < r0 + n; r++)
                v8_prefetch_lines(table[t].G + table[t].code[r] * table[t].ld, p);
        if (groups == ng && n <= 4)
            short_level(r0, n, 4, last, ld, X, w, c, n_tables, table, e, S);
        else if (groups == ng && n <= 8)
            short_level(r0, n, 8, last, ld, X, w, c, n_tables, table, e, S);
        else if (groups == ng && n <= MAX_ROWS)
            medium_level(r0, (int)n, last, ld, X, w, c, n_tables, table, e, S);
        else {
            for (int i = 0; i < groups; i += ng)
                dot_long(r0, n, i + ng < groups ? whole : last, 8 * i, ld, X + 8 * i, c + 8 * i, n_tables,
                         table, e);
            centre_long(n, w ? w + r0 : NULL, e + r0);
            for (int i = 0; i < groups; i += ng)
                score_long(r0, n, i + ng < groups ? whole : last, 8 * i, ld, X + 8 * i, w, n_tables, table, e,
                           S + 8 * i);
        }
    }
}

#if defined(__AVX2__)
/* Up to 16 columns, n_tables tables without values, no weights. */
PFX_INLINE void plain_case(pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                           const double *c, const int n_tables, const pfx_k_table *t, double *e, pfx_idx lds,
                           double *S)
{
    if (p <= 4)
        all_levels(n_levels, start, 1, true, p, ld, X, NULL, c, n_tables, t, e, lds, S);
    else if (p <= 8)
        all_levels(n_levels, start, 1, false, p, ld, X, NULL, c, n_tables, t, e, lds, S);
    else if (p <= 12)
        all_levels(n_levels, start, 2, true, p, ld, X, NULL, c, n_tables, t, e, lds, S);
    else
        all_levels(n_levels, start, 2, false, p, ld, X, NULL, c, n_tables, t, e, lds, S);
}

/* The common cases, one such table or two, get loops of their own. */
PFX_INLINE bool common_case(pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                            const double *w, const double *c, int n_tables, const pfx_k_table *table,
                            double *e, pfx_idx lds, double *S)
{
    if (w || n_tables < 1 || n_tables > 2 || p > 16 || table[0].value || table[n_tables - 1].value) return false;
    const pfx_k_table first = {table->code, NULL, table->ld, table->G, table->wide};
    if (n_tables == 1) {
        plain_case(n_levels, start, p, ld, X, c, 1, &first, e, lds, S);
        return true;
    }
    const pfx_k_table two[2] = {first, {table[1].code, NULL, table[1].ld, table[1].G, table[1].wide}};
    plain_case(n_levels, start, p, ld, X, c, 2, two, e, lds, S);
    return true;
}
#endif

static void any_case(pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                     const double *w, const double *c, int n_tables, const pfx_k_table *table, double *e,
                     pfx_idx lds, double *S)
{
    const int groups = v8_groups(p);
#if defined(__AVX2__)
    if (common_case(n_levels, start, p, ld, X, w, c, n_tables, table, e, lds, S)) return;
    if (groups == 2)
        all_levels(n_levels, start, 2, false, p, ld, X, w, c, n_tables, table, e, lds, S);
    else if (groups == 3)
        all_levels(n_levels, start, 3, false, p, ld, X, w, c, n_tables, table, e, lds, S);
    else if (groups == 4)
        all_levels(n_levels, start, 4, false, p, ld, X, w, c, n_tables, table, e, lds, S);
    else
        all_levels(n_levels, start, 1, false, p, ld, X, w, c, n_tables, table, e, lds, S);
#else
    all_levels(n_levels, start, groups <= MAX_GROUPS ? groups : 1, false, p, ld, X, w, c, n_tables, table, e,
               lds, S);
#endif
}

double PFX_K(pfx_k_level_scores)(pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                                 const double *w, const double *c, int n_tables, const pfx_k_table *table,
                                 double *e, pfx_idx lds, double *S)
{
    if (n_levels == 0) return 0.0;
    any_case(n_levels, start, p, ld, X, w, c, n_tables, table, e, lds, S);
    pfx_idx n = start[n_levels] - start[0], r = 0;
    v8 ssr = v8_zero();
    for (; r + 8 <= n; r += 8) {
        v8 x = v8_load(e + r);
        ssr = v8_fma(w ? v8_mul(v8_load(w + r), x) : x, x, ssr);
    }
    if (r < n) {
        v8 x = v8_loadk(e + r, (int)(n - r));
        ssr = v8_fma(w ? v8_mul(v8_loadk(w + r, (int)(n - r)), x) : x, x, ssr);
    }
    return v8_sum(ssr);
}
