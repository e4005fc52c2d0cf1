/* The made-up panels. */
#include <math.h>
#include <string.h>
#include "bench/coverage/coverage.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/model/design.h"

enum { D, X, Y, COLUMNS };
static const char *const column_names[COLUMNS] = {"D", "x", "y"};
/* First and last year of the kinds of spells, how often each kind comes, and a year's chance to be missing
 * within. Few kinds, so that every firm has others with the same spell to exchange treatments with. */
static const int spell[][2] = {{0, 6}, {2, 6}, {0, 4}, {1, 5}};
static const double spell_ends[] = {0.5, 0.7, 0.85, 1};
static const double HOLE = 0.1;

typedef struct firm {
    int first, last, adopts; /* adopts: COVER_YEARS where never */
    bool seen[COVER_YEARS];
} firm;

static pfx_idx draw_spells(pfx_idx G, pfx_rng *rng, firm *f)
{
    pfx_idx n = 0;
    for (pfx_idx g = 0; g < G; g++) {
        double u = pfx_rng_uniform(rng);
        int k = 0;
        while (u > spell_ends[k]) k++;
        f[g] = (firm){.first = spell[k][0], .last = spell[k][1], .adopts = COVER_YEARS};
        for (int t = f[g].first; t <= f[g].last; t++) {
            f[g].seen[t] = pfx_rng_uniform(rng) > HOLE || t == f[g].first || t == f[g].last;
            n += f[g].seen[t];
        }
    }
    return n;
}

/* Firms at random, each with a date that lies within its spell: it is seen before and after. */
static void draw_adoption(pfx_idx G, pfx_idx treated, pfx_rng *rng, pfx_idx *order, firm *f)
{
    for (pfx_idx g = 0; g < G; g++) order[g] = g;
    pfx_rng_shuffle(rng, G, order);
    for (pfx_idx i = 0; i < treated; i++) {
        firm *a = &f[order[i]];
        a->adopts = a->first + 1 + (int)pfx_rng_below(rng, a->last - a->first);
    }
}

static void fill_firm(const firm *f, pfx_idx g, const double *year_effect, const int32_t *year_code,
                      pfx_rng *rng, cover_panel *p, pfx_idx *at)
{
    pfx_design *d = p->d;
    double effect = pfx_rng_normal(rng), own_x = pfx_rng_normal(rng), e = pfx_rng_normal(rng);
    for (int t = 0; t < COVER_YEARS; t++) {
        double x = 0.5 * own_x + pfx_rng_normal(rng);
        if (t) e = COVER_RHO * e + sqrt(1 - COVER_RHO * COVER_RHO) * pfx_rng_normal(rng);
        if (!f->seen[t]) continue;
        pfx_idx i = (*at)++;
        double *z = d->Z + i * COLUMNS;
        p->period[i] = t;
        p->treatment[i] = z[D] = t >= f->adopts;
        z[X] = x;
        z[Y] = COVER_EFFECT * z[D] + 0.5 * x + effect + year_effect[t] + e;
        d->absorbed[0].factor.code[i] = d->clusters[0].code[i] = (int32_t)g;
        d->absorbed[1].factor.code[i] = year_code[t];
    }
}

/* Years numbered in the order of their first row, as a design has them. */
static pfx_idx number_years(const firm *f, pfx_idx G, int32_t *code)
{
    pfx_idx n = 0;
    for (int t = 0; t < COVER_YEARS; t++) code[t] = -1;
    for (pfx_idx g = 0; g < G; g++)
        for (int t = 0; t < COVER_YEARS; t++)
            if (f[g].seen[t] && code[t] < 0) code[t] = (int32_t)n++;
    return n;
}

static pfx_status factor_make(pfx_factor *f, const char *name, pfx_idx n, pfx_idx levels, pfx_err *err)
{
    f->n_levels = levels;
    f->name = pfx_mem_strdup(name, err);
    f->code = pfx_mem_alloc(n, sizeof *f->code, err);
    return f->name && f->code ? PFX_OK : PFX_ENOMEM;
}

static pfx_status design_make(pfx_idx n, pfx_idx G, pfx_idx years, cover_panel *p, pfx_err *err)
{
    static const pfx_role role[COLUMNS] = {PFX_REGRESSOR, PFX_REGRESSOR, PFX_OUTCOME};
    pfx_design *d = p->d = pfx_mem_calloc(1, sizeof *d, err);
    if (!d) return PFX_ENOMEM;
    d->n = n;
    d->Z = pfx_mem_alloc(n * COLUMNS, sizeof *d->Z, err);
    d->name = pfx_mem_calloc(COLUMNS, sizeof *d->name, err);
    d->role = pfx_mem_alloc(COLUMNS, sizeof *d->role, err);
    d->absorbed = pfx_mem_calloc(2, sizeof *d->absorbed, err);
    d->clusters = pfx_mem_calloc(1, sizeof *d->clusters, err);
    p->period = pfx_mem_alloc(n, sizeof *p->period, err);
    p->treatment = pfx_mem_alloc(n, sizeof *p->treatment, err);
    if (!d->Z || !d->name || !d->role || !d->absorbed || !d->clusters || !p->period || !p->treatment)
        return PFX_ENOMEM;
    d->p = COLUMNS;
    memcpy(d->role, role, sizeof role);
    for (int j = 0; j < COLUMNS; j++)
        if (!(d->name[j] = pfx_mem_strdup(column_names[j], err))) return PFX_ENOMEM;
    d->n_absorbed = 2;
    d->n_clusters = 1;
    d->absorbed[0].intercept = d->absorbed[1].intercept = true;
    pfx_status st = factor_make(&d->absorbed[0].factor, "firm", n, G, err);
    if (st == PFX_OK) st = factor_make(&d->absorbed[1].factor, "year", n, years, err);
    return st == PFX_OK ? factor_make(&d->clusters[0], "firm", n, G, err) : st;
}

pfx_status cover_panel_make(const cover_cell *c, pfx_idx i, cover_panel *out, pfx_err *err)
{
    pfx_rng rng;
    double year_effect[COVER_YEARS];
    int32_t year_code[COVER_YEARS];
    pfx_idx at = 0;
    firm *f = pfx_mem_alloc(c->G, sizeof *f, err);
    pfx_idx *order = pfx_mem_alloc(c->G, sizeof *order, err);
    pfx_status st = f && order ? PFX_OK : PFX_ENOMEM;
    *out = (cover_panel){0};
    if (st != PFX_OK) goto done;
    pfx_rng_start(&rng, c->seed, PFX_RNG_TEST, (uint64_t)(c->G << 40 | c->treated << 24 | i));
    out->seed = pfx_rng_u64(&rng);
    pfx_idx n = draw_spells(c->G, &rng, f);
    draw_adoption(c->G, c->treated, &rng, order, f);
    for (int t = 0; t < COVER_YEARS; t++) year_effect[t] = 0.2 * t + pfx_rng_normal(&rng);
    pfx_idx years = number_years(f, c->G, year_code);
    if ((st = design_make(n, c->G, years, out, err)) != PFX_OK) goto done;
    for (pfx_idx g = 0; g < c->G; g++) fill_firm(&f[g], g, year_effect, year_code, &rng, out, &at);
done:
    if (st != PFX_OK) cover_panel_free(out);
    pfx_mem_free(f);
    pfx_mem_free(order);
    return st;
}

void cover_panel_free(cover_panel *p)
{
    pfx_design_free(p->d);
    pfx_mem_free(p->period);
    pfx_mem_free(p->treatment);
    *p = (cover_panel){0};
}
