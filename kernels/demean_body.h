/* Bodies of pfx_k_demean and pfx_k_shift, compiled once for each ISA. */
#include "kernels/demean.h"
#include "kernels/lanes.h"

#define MAX_GROUPS 4    /* columns held in registers at once: 32 */

/* Group v of ng of a row, k live lanes in the last. */
PFX_INLINE v8 load_group(const double *row, const int v, const int ng, int k)
{
    return v == ng - 1 ? v8_loadk(row + 8 * v, k) : v8_load(row + 8 * v);
}

PFX_INLINE void store_group(double *row, v8 x, const int v, const int ng, int k)
{
    v8_storek(row + 8 * v, x, v == ng - 1 ? k : PFX_LANES);
}

/* d -= tables' rows for row r; col0 is the first column of these groups. */
PFX_INLINE void subtract_tables(v8 *d, const int ng, int col0, const int n_tables, const pfx_k_table *table, pfx_idx r)
{
    for (int t = 0; t < n_tables; t++) {
        const double *g = table[t].G + table[t].code[r] * table[t].ld + col0;
        if (table[t].value) {
            v8 f = v8_set1(table[t].value[r]);
            PFX_UNROLL
            for (int v = 0; v < ng; v++) d[v] = v8_fnma(f, v8_load(g + 8 * v), d[v]);
        } else {
            PFX_UNROLL
            for (int v = 0; v < ng; v++) d[v] = v8_sub(d[v], v8_load(g + 8 * v));
        }
    }
}

/* ko: live lanes of the last group in out and mean. A whole one is stored at once and read back at once, where a part
 * could not be passed on from store to load. */
PFX_INLINE void demean_groups(pfx_idx n_levels, const pfx_idx *start, const int ng, int k, const int ko, int col0,
                              pfx_idx ld, const double *X, const double *w, const int n_tables,
                              const pfx_k_table *table, pfx_idx ldo, double *out, const pfx_k_sums *sums,
                              const double *origin, double *mean)
{
    const pfx_idx row0 = start[0];

    for (pfx_idx g = 0; g < n_levels; g++) {
        pfx_idx r0 = start[g] - row0, r1 = start[g + 1] - row0;
        v8 ref[MAX_GROUPS], sum[MAX_GROUPS], d[MAX_GROUPS];
        double wsum = 0.0;

        PFX_UNROLL
        for (int v = 0; v < ng; v++) ref[v] = load_group(X + r0 * ld, v, ng, k), sum[v] = v8_zero();
        for (pfx_idx r = r0; r < r1; r++) {
            v8_prefetch_row(X + r * ld, ld, 8 * ng);
            if (sums && sums->wide) v8_prefetch_lines(sums->C + sums->code[r] * sums->ld + col0, 8 * ng);
            PFX_UNROLL
            for (int v = 0; v < ng; v++) d[v] = v8_sub(load_group(X + r * ld, v, ng, k), ref[v]);
            subtract_tables(d, ng, col0, n_tables, table, r);
            if (w) wsum += w[r];
            PFX_UNROLL
            for (int v = 0; v < ng; v++) {
                sum[v] = w ? v8_fma(v8_set1(w[r]), d[v], sum[v]) : v8_add(sum[v], d[v]);
                store_group(out + r * ldo, d[v], v, ng, ko);
            }
        }
        v8 inv = v8_set1(1.0 / (w ? wsum : (double)(r1 - r0)));
        PFX_UNROLL
        for (int v = 0; v < ng; v++) sum[v] = v8_mul(sum[v], inv);
        for (pfx_idx r = r0; r < r1; r++) {
            double *c = sums ? sums->C + sums->code[r] * sums->ld + col0 : NULL;
            PFX_UNROLL
            for (int v = 0; v < ng; v++) {
                v8 x = v8_sub(load_group(out + r * ldo, v, ng, ko), sum[v]);
                store_group(out + r * ldo, x, v, ng, ko);
                if (c) v8_store(c + 8 * v, w ? v8_fma(v8_set1(w[r]), x, v8_load(c + 8 * v)) : v8_add(v8_load(c + 8 * v), x));
            }
        }
        if (mean) {
            PFX_UNROLL
            for (int v = 0; v < ng; v++) store_group(mean + g * ldo, v8_add(v8_sub(ref[v], load_group(origin, v, ng, k)), sum[v]), v, ng, ko);
        }
    }
}

PFX_INLINE void shift_groups(pfx_idx n, const int ng, int k, int col0, pfx_idx ld, const double *X, const double *ref,
                             const double *m, int n_tables, const pfx_k_table *table, pfx_idx ldo, double *out)
{
    v8 rv[MAX_GROUPS], mv[MAX_GROUPS], d[MAX_GROUPS];

    PFX_UNROLL
    for (int v = 0; v < ng; v++) {
        rv[v] = ref ? load_group(ref, v, ng, k) : v8_zero();
        mv[v] = m ? load_group(m, v, ng, k) : v8_zero();
    }
    for (pfx_idx r = 0; r < n; r++) {
        v8_prefetch_row(X + r * ld, ld, 8 * ng);
        PFX_UNROLL
        for (int v = 0; v < ng; v++) d[v] = v8_sub(load_group(X + r * ld, v, ng, k), rv[v]);
        subtract_tables(d, ng, col0, n_tables, table, r);
        PFX_UNROLL
        for (int v = 0; v < ng; v++) store_group(out + r * ldo, v8_sub(d[v], mv[v]), v, ng, k);
    }
}

/* The common cases, none or one table and no weights, whole groups, sums or none, get loops of their own. */
PFX_INLINE void demean_cases(pfx_idx n_levels, const pfx_idx *start, const int ng, int k, int ko, int col0, pfx_idx ld,
                             const double *X, const double *w, int n_tables, const pfx_k_table *table, pfx_idx ldo,
                             double *out, const pfx_k_sums *sums, const double *origin, double *mean)
{
    if (!w && ko == PFX_LANES && n_tables == 0 && sums) {
        const pfx_k_sums s = *sums;
        demean_groups(n_levels, start, ng, k, PFX_LANES, col0, ld, X, NULL, 0, NULL, ldo, out, &s, origin, mean);
    } else if (!w && ko == PFX_LANES && n_tables == 0)
        demean_groups(n_levels, start, ng, k, PFX_LANES, col0, ld, X, NULL, 0, NULL, ldo, out, NULL, origin, mean);
    else if (!w && ko == PFX_LANES && n_tables == 1 && !table->value && !sums) {
        const pfx_k_table t = {table->code, NULL, table->ld, table->G, false};
        demean_groups(n_levels, start, ng, k, PFX_LANES, col0, ld, X, NULL, 1, &t, ldo, out, NULL, origin, mean);
    } else demean_groups(n_levels, start, ng, k, ko, col0, ld, X, w, n_tables, table, ldo, out, sums, origin, mean);
}

void PFX_K(pfx_k_demean)(pfx_idx n_levels, const pfx_idx *start, int p, pfx_idx ld, const double *X, const double *w,
                         int n_tables, const pfx_k_table *table, pfx_idx ldo, double *out, const pfx_k_sums *sums,
                         const double *origin, double *mean)
{
    int groups = v8_groups(p);
    bool whole = ldo >= PFX_LANES * groups;

    for (int g = 0; g < groups; g += MAX_GROUPS) {
        int ng = groups - g < MAX_GROUPS ? groups - g : MAX_GROUPS, k = v8_live(p, g + ng - 1), c = PFX_LANES * g;
        double *mg = mean ? mean + c : NULL;
        const double *og = origin ? origin + c : NULL;
        int ko = whole ? PFX_LANES : k;
        switch (ng) {
        case 1: demean_cases(n_levels, start, 1, k, ko, c, ld, X + c, w, n_tables, table, ldo, out + c, sums, og, mg); break;
        case 2: demean_cases(n_levels, start, 2, k, ko, c, ld, X + c, w, n_tables, table, ldo, out + c, sums, og, mg); break;
        case 3: demean_cases(n_levels, start, 3, k, ko, c, ld, X + c, w, n_tables, table, ldo, out + c, sums, og, mg); break;
        default: demean_cases(n_levels, start, 4, k, ko, c, ld, X + c, w, n_tables, table, ldo, out + c, sums, og, mg); break;
        }
    }
}

void PFX_K(pfx_k_shift)(pfx_idx n, int p, pfx_idx ld, const double *X, const double *ref, const double *m,
                        int n_tables, const pfx_k_table *table, pfx_idx ldo, double *out)
{
    int groups = v8_groups(p);

    for (int g = 0; g < groups; g += MAX_GROUPS) {
        int ng = groups - g < MAX_GROUPS ? groups - g : MAX_GROUPS, k = v8_live(p, g + ng - 1), c = PFX_LANES * g;
        const double *rg = ref ? ref + c : NULL, *mg = m ? m + c : NULL;
        switch (ng) {
        case 1: shift_groups(n, 1, k, c, ld, X + c, rg, mg, n_tables, table, ldo, out + c); break;
        case 2: shift_groups(n, 2, k, c, ld, X + c, rg, mg, n_tables, table, ldo, out + c); break;
        case 3: shift_groups(n, 3, k, c, ld, X + c, rg, mg, n_tables, table, ldo, out + c); break;
        default: shift_groups(n, 4, k, c, ld, X + c, rg, mg, n_tables, table, ldo, out + c); break;
        }
    }
}
