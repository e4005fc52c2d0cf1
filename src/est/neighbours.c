#include "src/est/neighbours.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"

/* A row and its score: what is sorted. */
typedef struct item {
    double score;
    pfx_idx row;
    pfx_idx slot; /* of a treated row in match.row */
} item;

/* Controls of one stratum and one score, their rows ascending: ties are one thing. */
typedef struct group {
    double score;        /* the lowest of them */
    pfx_idx first, end;  /* in control[]; first moves up as controls are used up */
    pfx_idx left, right; /* towards the nearest group that has controls left, itself while it has some */
} group;

typedef struct work {
    const pfx_match_in *in;
    pfx_match *m;
    pfx_idx n_strata;
    pfx_idx *treated_start, *control_start; /* [n_strata + 1] */
    item *treated, *control;                /* by stratum, then sorted */
    group *groups;                          /* [n_control], a stratum's from its control_start on */
    pfx_idx *off_support;                   /* [n_strata] */
} work;

static int ascending(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int descending(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int by_row(const void *a, const void *b)
{
    const item *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int32_t stratum_of(const work *w, pfx_idx i)
{
    return w->in->stratum ? w->in->stratum[i] : 0;
}

/* Rows by stratum, in their order. */
static void distribute(work *w)
{
    const pfx_match_in *in = w->in;
    pfx_match *m = w->m;
    for (pfx_idx i = 0; i < in->n; i++)
        (in->treated[i] ? w->treated_start : w->control_start)[stratum_of(w, i) + 1]++;
    for (pfx_idx s = 0; s < w->n_strata; s++) {
        w->treated_start[s + 1] += w->treated_start[s];
        w->control_start[s + 1] += w->control_start[s];
    }
    pfx_idx slot = 0;
    for (pfx_idx i = 0; i < in->n; i++) {
        bool t = in->treated[i];
        pfx_idx *at = t ? w->treated_start : w->control_start;
        (t ? w->treated : w->control)[at[stratum_of(w, i)]++] = (item){in->score[i], i, t ? slot : -1};
        if (t) m->row[slot++] = i;
    }
    /* The starts have moved to the ends: shift them back. */
    memmove(w->treated_start + 1, w->treated_start, (size_t)w->n_strata * sizeof(pfx_idx));
    memmove(w->control_start + 1, w->control_start, (size_t)w->n_strata * sizeof(pfx_idx));
    w->treated_start[0] = w->control_start[0] = 0;
}

static pfx_idx make_groups(item *c, pfx_idx n, double tie, group *g)
{
    pfx_idx k = 0;
    for (pfx_idx i = 0, end; i < n; i = end, k++) {
        bool equal = true;
        for (end = i + 1; end < n && c[end].score - c[end - 1].score <= tie; end++)
            equal &= c[end].score == c[i].score;
        g[k] = (group){c[i].score, i, end, k, k};
        if (!equal) qsort(c + i, (size_t)(end - i), sizeof *c, by_row);
    }
    return k;
}

/* First group with a score >= s. */
static pfx_idx lower_bound(const group *g, pfx_idx n, double s)
{
    pfx_idx lo = 0, hi = n;
    while (lo < hi) {
        pfx_idx mid = lo + (hi - lo) / 2;
        if (g[mid].score < s)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Nearest group at or below (above) i with controls left; -1 (n): none. Paths are halved on the way. */
static pfx_idx find_left(group *g, pfx_idx i)
{
    while (i >= 0 && g[i].left != i) {
        pfx_idx next = g[i].left;
        if (next >= 0) g[i].left = g[next].left;
        i = next;
    }
    return i;
}

static pfx_idx find_right(group *g, pfx_idx n, pfx_idx i)
{
    while (i < n && g[i].right != i) {
        pfx_idx next = g[i].right;
        if (next < n) g[i].right = g[next].right;
        i = next;
    }
    return i;
}

/* Up to k controls nearest to a treated row, without using them up. */
static void nearest(const work *w, const item *t, const item *c, const group *g, pfx_idx n)
{
    const pfx_match_in *in = w->in;
    pfx_idx r = lower_bound(g, n, t->score), l = r - 1, *pair = w->m->pair + t->slot * in->k;
    int found = 0;
    while (found < in->k) {
        double dl = l >= 0 ? t->score - g[l].score : INFINITY, dr = r < n ? g[r].score - t->score : INFINITY;
        if (fmin(dl, dr) > in->caliper || (l < 0 && r >= n)) break;
        bool left = dl - dr <= in->tie, right = dr - dl <= in->tie;
        pfx_idx a = left ? g[l].first : 0, a_end = left ? g[l].end : 0;
        pfx_idx b = right ? g[r].first : 0, b_end = right ? g[r].end : 0;
        while (found < in->k && (a < a_end || b < b_end))
            pair[found++] = b >= b_end || (a < a_end && c[a].row < c[b].row) ? c[a++].row : c[b++].row;
        l -= left;
        r += right;
    }
}

/* The nearest control left, which is then used up; -1: none within the caliper. */
static pfx_idx take(const work *w, const item *t, const item *c, group *g, pfx_idx n)
{
    pfx_idx at = lower_bound(g, n, t->score), r = find_right(g, n, at), l = find_left(g, at - 1), from;
    double dl = l >= 0 ? t->score - g[l].score : INFINITY, dr = r < n ? g[r].score - t->score : INFINITY;
    if (l < 0 && r >= n) return -1;
    if (fmin(dl, dr) > w->in->caliper) return -1;
    if (fabs(dl - dr) <= w->in->tie)
        from = c[g[l].first].row < c[g[r].first].row ? l : r;
    else
        from = dl < dr ? l : r;
    pfx_idx row = c[g[from].first++].row;
    if (g[from].first == g[from].end) {
        g[from].left = from - 1;
        g[from].right = from + 1;
    }
    return row;
}

static void match_stratum(void *ctx, pfx_idx s, int thread)
{
    work *w = ctx;
    const pfx_match_in *in = w->in;
    item *t = w->treated + w->treated_start[s], *c = w->control + w->control_start[s];
    pfx_idx nt = w->treated_start[s + 1] - w->treated_start[s],
            nc = w->control_start[s + 1] - w->control_start[s];
    group *g = w->groups + w->control_start[s];
    (void)thread;
    if (nt == 0) return;
    qsort(c, (size_t)nc, sizeof *c, ascending);
    if (!in->replace) qsort(t, (size_t)nt, sizeof *t, descending);
    pfx_idx n = make_groups(c, nc, in->tie, g);
    if (in->support) {
        pfx_idx kept = 0;
        for (pfx_idx i = 0; i < nt; i++)
            if (n && t[i].score >= g[0].score - in->tie && t[i].score <= g[n - 1].score + in->tie)
                t[kept++] = t[i];
        w->off_support[s] = nt - kept;
        nt = kept;
    }
    if (in->replace)
        for (pfx_idx i = 0; i < nt; i++) nearest(w, &t[i], c, g, n);
    else
        for (int round = 0; round < in->k; round++)
            for (pfx_idx i = 0; i < nt; i++) {
                pfx_idx *pair = w->m->pair + t[i].slot * in->k;
                if (round == 0 || pair[round - 1] >= 0) pair[round] = take(w, &t[i], c, g, n);
            }
}

/* Weights and counts, in the order of treated rows. */
static void weigh(work *w)
{
    pfx_match *m = w->m;
    int k = w->in->k;
    for (pfx_idx i = 0; i < m->n_treated; i++) {
        const pfx_idx *pair = m->pair + i * k;
        int found = 0;
        while (found < k && pair[found] >= 0) found++;
        m->uses[m->row[i]] = found;
        if (!found) continue;
        m->n_matched++;
        m->n_short += found < k;
        m->weight[m->row[i]] = 1;
        for (int j = 0; j < found; j++) {
            m->n_used += m->uses[pair[j]]++ == 0;
            m->weight[pair[j]] += 1.0 / found;
        }
    }
    for (pfx_idx s = 0; s < w->n_strata; s++) m->n_off_support += w->off_support[s];
}

static pfx_status allocate(work *w, pfx_err *err)
{
    const pfx_match_in *in = w->in;
    pfx_match *m = w->m;
    for (pfx_idx i = 0; i < in->n; i++) m->n_treated += in->treated[i];
    m->n_control = in->n - m->n_treated;
    w->treated_start = pfx_mem_calloc(w->n_strata + 1, sizeof *w->treated_start, err);
    w->control_start = pfx_mem_calloc(w->n_strata + 1, sizeof *w->control_start, err);
    w->treated = pfx_mem_alloc(m->n_treated, sizeof *w->treated, err);
    w->control = pfx_mem_alloc(m->n_control, sizeof *w->control, err);
    w->groups = pfx_mem_alloc(m->n_control, sizeof *w->groups, err);
    w->off_support = pfx_mem_calloc(w->n_strata, sizeof *w->off_support, err);
    m->row = pfx_mem_alloc(m->n_treated, sizeof *m->row, err);
    m->pair = pfx_mem_alloc(m->n_treated * in->k, sizeof *m->pair, err);
    m->weight = pfx_mem_calloc(in->n, sizeof *m->weight, err);
    m->uses = pfx_mem_calloc(in->n, sizeof *m->uses, err);
    if (!w->treated_start || !w->control_start || !w->treated || !w->control || !w->groups ||
        !w->off_support || !m->row || !m->pair || !m->weight || !m->uses)
        return PFX_ENOMEM;
    for (pfx_idx i = 0; i < m->n_treated * in->k; i++) m->pair[i] = -1;
    return PFX_OK;
}

pfx_status pfx_match_run(const pfx_match_in *in, pfx_match **out, pfx_err *err)
{
    work w = {.in = in, .n_strata = in->stratum ? in->n_strata : 1};
    if (!(w.m = pfx_mem_calloc(1, sizeof *w.m, err))) return PFX_ENOMEM;
    pfx_status st = allocate(&w, err);
    if (st == PFX_OK) {
        distribute(&w);
        pfx_par_for(w.n_strata, in->nth, match_stratum, &w);
        weigh(&w);
        *out = w.m;
    } else
        pfx_match_free(w.m);
    pfx_mem_free(w.treated_start);
    pfx_mem_free(w.control_start);
    pfx_mem_free(w.treated);
    pfx_mem_free(w.control);
    pfx_mem_free(w.groups);
    pfx_mem_free(w.off_support);
    return st;
}

void pfx_match_free(pfx_match *m)
{
    if (!m) return;
    pfx_mem_free(m->row);
    pfx_mem_free(m->pair);
    pfx_mem_free(m->weight);
    pfx_mem_free(m->uses);
    pfx_mem_free(m);
}
