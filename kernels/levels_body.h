/* Body of pfx_k_level_scores, compiled once for each ISA. */
#include "kernels/lanes.h"
#include "kernels/levels.h"

#define MAX_GROUPS 4    /* columns held in registers at once: 32 */

PFX_INLINE v8 load_group(const double *row, const int v, const int ng, int k)
{
    return v == ng - 1 ? v8_loadk(row + 8 * v, k) : v8_load(row + 8 * v);
}

/* A table's part of d'c for row r. */
PFX_INLINE double table_part(const pfx_k_table *t, const double *shift, pfx_idx r)
{
    double s = shift[t->code[r]];
    return t->value ? t->value[r] * s : s;
}

/* One level's (X[r] - ref)'c in these columns, onto e or in its place. The first columns also take the first table's
 * part off, in lane 0, where it costs no addition of its own. */
PFX_INLINE void dot_level(pfx_idx r0, pfx_idx n, const int ng, int k, pfx_idx ld, const double *X, const double *c,
                          const bool first, const int n_tables, const pfx_k_table *table, const double *const *shift, double *e)
{
    v8 ref[MAX_GROUPS], cv[MAX_GROUPS];

    X += r0 * ld;
    PFX_UNROLL
    for (int v = 0; v < ng; v++) ref[v] = load_group(X, v, ng, k), cv[v] = load_group(c, v, ng, k);
    for (pfx_idx r = r0; r < r0 + n; r++, X += ld) {
        v8_prefetch_row(X, ld, 8 * ng);
        v8 d = v8_sub(load_group(X, 0, ng, k), ref[0]);
        v8 s = first && n_tables > 0 ? v8_fma(d, cv[0], v8_first(-table_part(table, shift[0], r))) : v8_mul(d, cv[0]);
        PFX_UNROLL
        for (int v = 1; v < ng; v++) s = v8_fma(v8_sub(load_group(X, v, ng, k), ref[v]), cv[v], s);
        e[r] = first ? v8_sum(s) : e[r] + v8_sum(s);
    }
}

/* e less the other tables' parts and the mean that is then left. */
PFX_INLINE void centre_level(pfx_idx r0, pfx_idx n, const double *w, const int n_tables, const pfx_k_table *table,
                             const double *const *shift, double *e)
{
    double sum = 0.0, wsum = 0.0;
    pfx_idx r = 0;

    for (r = r0; r < r0 + n; r++) {
        for (int t = 1; t < n_tables; t++) e[r] -= table_part(table + t, shift[t], r);
        sum += w ? w[r] * e[r] : e[r];
        if (w) wsum += w[r];
    }
    const double mean = sum / (w ? wsum : (double)n);
    const v8 m = v8_set1(mean);
    for (r = r0; r + PFX_LANES <= r0 + n; r += PFX_LANES) v8_store(e + r, v8_sub(v8_load(e + r), m));
    if (r < r0 + n) {
        const int k = (int)(r0 + n - r);
        v8_storek(e + r, v8_sub(v8_loadk(e + r, k), m), k);
    }
}

PFX_INLINE void score_level(pfx_idx r0, pfx_idx n, const int ng, int k, int col0, pfx_idx ld, const double *X,
                            const double *w, const int n_tables, const pfx_k_table *table, const double *e, double *S)
{
    v8 ref[MAX_GROUPS], sum[MAX_GROUPS];

    PFX_UNROLL
    for (int v = 0; v < ng; v++) ref[v] = load_group(X + r0 * ld, v, ng, k), sum[v] = v8_zero();
    for (pfx_idx r = r0; r < r0 + n; r++) {
        v8 f = v8_set1(w ? w[r] * e[r] : e[r]), d[MAX_GROUPS];
        PFX_UNROLL
        for (int v = 0; v < ng; v++) d[v] = v8_sub(load_group(X + r * ld, v, ng, k), ref[v]);
        for (int t = 0; t < n_tables; t++) {
            const double *g = table[t].G + table[t].code[r] * table[t].ld + col0;
            if (table[t].value) {
                v8 a = v8_set1(table[t].value[r]);
                PFX_UNROLL
                for (int v = 0; v < ng; v++) d[v] = v8_fnma(a, v8_load(g + 8 * v), d[v]);
            } else {
                PFX_UNROLL
                for (int v = 0; v < ng; v++) d[v] = v8_sub(d[v], v8_load(g + 8 * v));
            }
        }
        PFX_UNROLL
        for (int v = 0; v < ng; v++) sum[v] = v8_fma(f, d[v], sum[v]);
    }
    PFX_UNROLL
    for (int v = 0; v < ng; v++) v8_store(S + 8 * v, sum[v]);
}

/* All levels; up to 32 columns are one chunk of groups, more are taken chunk by chunk within a level. Scores follow the
 * residuals one level later: their operands are then there, and the processor works on both at once. */
PFX_INLINE void all_levels(pfx_idx n_levels, const pfx_idx *start, const int ng, int p, pfx_idx ld, const double *X,
                           const double *w, const double *c, const int n_tables, const pfx_k_table *table,
                           const double *const *shift, double *e, pfx_idx lds, double *S)
{
    const pfx_idx row0 = start[0];
    const int groups = v8_groups(p);

    for (pfx_idx g = 0; g <= n_levels; g++) {
        if (g < n_levels) {
            pfx_idx r0 = start[g] - row0, n = start[g + 1] - start[g];
            for (int t = 0; t < n_tables; t++)
                for (pfx_idx r = r0; table[t].wide && r < r0 + n; r++)
                    v8_prefetch_lines(table[t].G + table[t].code[r] * table[t].ld, p);
            for (int i = 0; i + ng <= groups; i += ng)
                dot_level(r0, n, ng, v8_live(p, i + ng - 1), ld, X + 8 * i, c + 8 * i, i == 0, n_tables, table, shift, e);
            centre_level(r0, n, w, n_tables, table, shift, e);
        }
        if (g == 0) continue;
        pfx_idx r0 = start[g - 1] - row0, n = start[g] - start[g - 1];
        for (int i = 0; i + ng <= groups; i += ng)
            score_level(r0, n, ng, v8_live(p, i + ng - 1), 8 * i, ld, X + 8 * i, w, n_tables, table, e, S + (g - 1) * lds + 8 * i);
    }
}

/* The common case, one table and no weights, gets a loop of its own. */
PFX_INLINE void cases(pfx_idx n_levels, const pfx_idx *start, const int ng, int p, pfx_idx ld, const double *X,
                      const double *w, const double *c, int n_tables, const pfx_k_table *table,
                      const double *const *shift, double *e, pfx_idx lds, double *S)
{
    if (!w && n_tables == 1 && !table->value) {
        const pfx_k_table t = {table->code, NULL, table->ld, table->G, table->wide};
        all_levels(n_levels, start, ng, p, ld, X, NULL, c, 1, &t, shift, e, lds, S);
    } else all_levels(n_levels, start, ng, p, ld, X, w, c, n_tables, table, shift, e, lds, S);
}
double PFX_K(pfx_k_level_scores)(pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X,
                                 const double *w, const double *c, int n_tables, const pfx_k_table *table,
                                 const double *const *shift, double *e, pfx_idx lds, double *S)
{
    if (n_levels == 0) return 0.0;
    switch (v8_groups(p)) {
    case 1: cases(n_levels, start, 1, p, ld, X, w, c, n_tables, table, shift, e, lds, S); break;
    case 2: cases(n_levels, start, 2, p, ld, X, w, c, n_tables, table, shift, e, lds, S); break;
    case 3: cases(n_levels, start, 3, p, ld, X, w, c, n_tables, table, shift, e, lds, S); break;
    case 4: cases(n_levels, start, 4, p, ld, X, w, c, n_tables, table, shift, e, lds, S); break;
    default: all_levels(n_levels, start, 1, p, ld, X, w, c, n_tables, table, shift, e, lds, S); break;
    }
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
