#include "src/est/components.h"

#include <stdbool.h>
#include "src/base/parallel.h"

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

/* Rows of a piece. Most rows of a long panel join what is joined already: a piece that has nothing new is told by
 * reading alone, on any thread. */
#define PIECE 16384
#define WAVE 64

typedef struct pair {
    pfx_idx n, na, piece0;
    const int32_t *a, *b;
    const pfx_idx *root;    /* every node's own root */
    bool news[WAVE];
} pair;

static pfx_idx piece_end(const pair *p, pfx_idx piece) { return (piece + 1) * PIECE < p->n ? (piece + 1) * PIECE : p->n; }

static void look(void *ctx, pfx_idx i, int thread)
{
    pair *p = ctx;
    pfx_idx differ = 0;
    (void)thread;
    for (pfx_idx r = (p->piece0 + i) * PIECE; r < piece_end(p, p->piece0 + i); r++)
        differ |= p->root[p->a[r]] ^ p->root[p->na + p->b[r]];
    p->news[i] = differ != 0;
}

pfx_idx pfx_components_of_pair(pfx_idx n, const int32_t *a, pfx_idx na, const int32_t *b, pfx_idx nb, int nth, pfx_idx *root)
{
    pair p = {.n = n, .na = na, .a = a, .b = b, .root = root};
    pfx_idx pieces = (n + PIECE - 1) / PIECE, wave = 1;

    pfx_components_init(na + nb, root);
    for (; p.piece0 < pieces; p.piece0 += wave, wave = 2 * wave < WAVE ? 2 * wave : WAVE) {
        if (wave > pieces - p.piece0) wave = pieces - p.piece0;
        pfx_par_for(wave, nth, look, &p);
        bool any = false;
        for (pfx_idx i = 0; i < wave; i++) {
            if (!p.news[i]) continue;
            any = true;
            for (pfx_idx r = (p.piece0 + i) * PIECE; r < piece_end(&p, p.piece0 + i); r++)
                pfx_components_join(root, a[r], na + b[r]);
        }
        for (pfx_idx i = 0; any && i < na + nb; i++) root[i] = root[root[i]];   /* roots come first */
    }
    return pfx_components_count(na + nb, root);
}
