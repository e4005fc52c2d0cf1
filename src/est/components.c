#include "src/est/components.h"

void pfx_components_init(pfx_idx n, pfx_idx *root)
{
    for (pfx_idx i = 0; i < n; i++) root[i] = i;
}

pfx_idx pfx_components_find(pfx_idx *root, pfx_idx i)
{
    while (root[i] != i) i = root[i] = root[root[i]];
    return i;
}

void pfx_components_join(pfx_idx *root, pfx_idx i, pfx_idx j)
{
    i = pfx_components_find(root, i);
    j = pfx_components_find(root, j);
    if (i < j) root[j] = i;
    else root[i] = j;
}

pfx_idx pfx_components_count(pfx_idx n, const pfx_idx *root)
{
    pfx_idx count = 0;
    for (pfx_idx i = 0; i < n; i++) count += root[i] == i;
    return count;
}

pfx_idx pfx_components_of_pair(pfx_idx n, const int32_t *a, pfx_idx na, const int32_t *b, pfx_idx nb, pfx_idx *root)
{
    pfx_components_init(na + nb, root);
    for (pfx_idx r = 0; r < n; r++) pfx_components_join(root, a[r], na + b[r]);
    return pfx_components_count(na + nb, root);
}
