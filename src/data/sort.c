#include "src/data/sort.h"

#include <string.h>

enum { DIGITS = 256 };

void pfx_sort_pairs(pfx_idx n, pfx_sort_pair *p, pfx_sort_pair *tmp)
{
    pfx_idx count[8][DIGITS] = {{0}};
    pfx_sort_pair *from = p, *to = tmp;
    for (pfx_idx i = 0; i < n; i++)
        for (int b = 0; b < 8; b++) count[b][p[i].key >> 8 * b & 0xff]++;
    for (int b = 0; b < 8; b++) {
        if (n == 0 || count[b][p[0].key >> 8 * b & 0xff] == n) continue;
        pfx_idx at[DIGITS], sum = 0;
        for (int d = 0; d < DIGITS; d++) at[d] = sum, sum += count[b][d];
        for (pfx_idx i = 0; i < n; i++) to[at[from[i].key >> 8 * b & 0xff]++] = from[i];
        pfx_sort_pair *swap = from;
        from = to;
        to = swap;
    }
    if (from != p) memcpy(p, from, (size_t)n * sizeof *p);
}
