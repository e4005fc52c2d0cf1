#include "tests/est/hard_designs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"

/* SplitMix64 (Steele, Lea, Flood 2014): the i-th number of a stream, in (-1, 1). */
static double draw(int stream, pfx_idx i)
{
    uint64_t z = ((uint64_t)stream * 0x632BE59BD9B4E019u) + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) * 0x1p-52 - 1;
}

static pfx_factor factor(const char *name, pfx_idx n, pfx_idx levels)
{
    pfx_factor f = {pfx_mem_strdup(name, NULL), levels, pfx_mem_calloc(n, sizeof *f.code, NULL)};
    return f;
}

static pfx_factor copy(const pfx_factor *from, pfx_idx n)
{
    pfx_factor f = factor(from->name, n, from->n_levels);
    memcpy(f.code, from->code, (size_t)n * sizeof *f.code);
    return f;
}

enum { FIRM = 1, YEAR = 2, GROUP = 4 };
enum { YEARS = 5 };

/* A balanced panel clustered by firm, k regressors of noise with firm parts, room for three effects. */
static pfx_design *panel(pfx_idx firms, pfx_idx years, int k, int effects)
{
    pfx_idx n = firms * years;
    pfx_design *d = pfx_mem_calloc(1, sizeof *d, NULL);
    d->n = n;
    d->p = k + 1;
    d->intercept = effects == 0;
    d->Z = pfx_mem_calloc(n * d->p, sizeof *d->Z, NULL);
    d->name = pfx_mem_calloc(d->p, sizeof *d->name, NULL);
    d->role = pfx_mem_calloc(d->p, sizeof *d->role, NULL);
    d->absorbed = pfx_mem_calloc(3, sizeof *d->absorbed, NULL);
    d->clusters = pfx_mem_calloc(1, sizeof *d->clusters, NULL);
    d->clusters[d->n_clusters++] = factor("firm", n, firms);
    for (pfx_idx i = 0; i < n; i++) d->clusters[0].code[i] = (int32_t)(i / years);
    if (effects & FIRM)
        d->absorbed[d->n_absorbed++] = (pfx_absorbed){copy(&d->clusters[0], n), true, 0, NULL, NULL};
    if (effects & YEAR) {
        pfx_factor f = factor("year", n, years < YEARS ? years : YEARS);
        for (pfx_idx i = 0; i < n; i++) f.code[i] = (int32_t)(i % years % YEARS);
        d->absorbed[d->n_absorbed++] = (pfx_absorbed){f, true, 0, NULL, NULL};
    }
    if (effects & GROUP) {
        pfx_factor f = factor("group", n, 7);
        for (pfx_idx i = 0; i < n; i++) f.code[i] = (int32_t)(i < 7 ? (double)i : 3.5 * (1 + draw(90, i)));
        d->absorbed[d->n_absorbed++] = (pfx_absorbed){f, true, 0, NULL, NULL};
    }
    for (int j = 0; j < d->p; j++) {
        char name[16];
        snprintf(name, sizeof name, j < k ? "x%d" : "y", j);
        d->name[j] = pfx_mem_strdup(name, NULL);
        d->role[j] = j < k ? PFX_REGRESSOR : PFX_OUTCOME;
        for (pfx_idx i = 0; i < n; i++) d->Z[i * d->p + j] = draw(j + 1, i) + draw(50 + j, i / years);
    }
    return d;
}

static double *cell(pfx_design *d, pfx_idx i, int j)
{
    return &d->Z[i * d->p + j];
}
static double firm_part(const pfx_design *d, pfx_idx i)
{
    return draw(70, d->clusters[0].code[i]);
}
static double year_part(pfx_idx i)
{
    return draw(71, i % YEARS);
}

/* The outcome: sum b_j x_j + effects + noise. */
static void outcome(pfx_design *d, const double *b, double noise)
{
    int k = d->p - 1;
    for (pfx_idx i = 0; i < d->n; i++) {
        double y = firm_part(d, i) + year_part(i) + noise * (draw(80, i) + draw(81, i / YEARS));
        for (int j = 0; j < k; j++) y += (b ? b[j] : 1 + j) * *cell(d, i, j);
        *cell(d, i, k) = y;
    }
}

static pfx_design *plain(double size)
{
    pfx_design *d = panel(40, YEARS, 3, FIRM | YEAR);
    outcome(d, NULL, size);
    return d;
}

static pfx_design *means(pfx_design *d, double size)
{
    for (pfx_idx i = 0; i < d->n; i++)
        for (int j = 0; j < d->p; j++) *cell(d, i, j) += size;
    return d;
}
static pfx_design *means_none(double size)
{
    return means(panel(40, YEARS, 3, 0), size);
}
static pfx_design *means_one(double size)
{
    return means(panel(40, YEARS, 3, FIRM), size);
}
static pfx_design *means_two(double size)
{
    return means(panel(40, YEARS, 3, FIRM | YEAR), size);
}

/* Means that rise along the rows, over several groups of blocks. */
static pfx_design *rising_none(double size)
{
    pfx_design *d = panel(1500, YEARS, 3, 0);
    for (pfx_idx i = 0; i < d->n; i++)
        for (int j = 0; j < d->p; j++)
            *cell(d, i, j) += size * (j + 1 + draw(60 + j, i / 100)) * (double)i / (double)d->n;
    return d;
}

static pfx_design *firm_means(double size)
{
    pfx_design *d = panel(40, YEARS, 3, FIRM | YEAR);
    for (pfx_idx i = 0; i < d->n; i++)
        for (int j = 0; j < d->p; j++) *cell(d, i, j) += size * draw(60 + j, i / YEARS);
    return d;
}

/* x1 = x0 + u / kappa; the outcome loads on u, and has noise of its size. */
static pfx_design *near_of(pfx_design *d, double kappa)
{
    for (pfx_idx i = 0; i < d->n; i++) {
        *cell(d, i, 1) = *cell(d, i, 0) + draw(72, i) / kappa;
        *cell(d, i, d->p - 1) = draw(72, i) + *cell(d, i, 2) + draw(80, i) + firm_part(d, i);
    }
    return d;
}
static pfx_design *near_none(double kappa)
{
    return near_of(panel(40, YEARS, 3, 0), kappa);
}
static pfx_design *near_two(double kappa)
{
    return near_of(panel(40, YEARS, 3, FIRM | YEAR), kappa);
}
static pfx_design *near_three(double kappa)
{
    return near_of(panel(40, YEARS, 3, FIRM | YEAR | GROUP), kappa);
}

/* Powers 1 .. degree of a number in (from, from + width), and firm effects. */
static pfx_design *polynomial(int degree, double from, double width, int effects)
{
    pfx_design *d = panel(12, 10, degree, effects);
    for (pfx_idx i = 0; i < d->n; i++) {
        double x = from + width * (1 + draw(73, i)) / 2, y = firm_part(d, i) + 0.1 * draw(80, i), v = 1;
        for (int j = 0; j < degree; j++) {
            *cell(d, i, j) = v *= x;
            y += v / pow(fabs(from) + width, j + 1);
        }
        *cell(d, i, degree) = y;
    }
    return d;
}
static pfx_design *filip(double degree)
{
    return polynomial((int)degree, -8.8, 5.7, FIRM);
}
static pfx_design *wampler(double degree)
{
    return polynomial((int)degree, 0, 20, FIRM);
}
static pfx_design *wampler_two(double degree)
{
    return polynomial((int)degree, 0, 20, FIRM | YEAR);
}

/* Aggregates that grow together, each with its own unit and a large level. */
static pfx_design *longley(double level)
{
    pfx_design *d = panel(20, 8, 5, FIRM);
    for (pfx_idx i = 0; i < d->n; i++) {
        double t = (double)(i % 8), unit = 1;
        for (int j = 0; j < 5; j++, unit *= 30)
            *cell(d, i, j) = unit * (level + t * (1 + 0.1 * j) + 0.02 * draw(j + 1, i));
    }
    static const double b[] = {1, 1.0 / 30, 1.0 / 900, 1.0 / 27000, 1.0 / 810000};
    outcome(d, b, 0.1);
    return d;
}

static pfx_design *scales(double size)
{
    pfx_design *d = panel(40, YEARS, 5, FIRM | YEAR);
    double unit[5] = {1 / size, 1 / sqrt(size), 1, sqrt(size), size}, b[5];
    for (int j = 0; j < 5; j++) {
        b[j] = 1 / unit[j];
        for (pfx_idx i = 0; i < d->n; i++) *cell(d, i, j) *= unit[j];
    }
    outcome(d, b, 1);
    return d;
}

/* x0 is absorbed but for a share. */
static pfx_design *absorbed_of(pfx_design *d, double share, bool year)
{
    static const double b[] = {1, 1, 1};
    for (pfx_idx i = 0; i < d->n; i++)
        *cell(d, i, 0) = firm_part(d, i) + year * year_part(i) + share * draw(1, i);
    outcome(d, b, share);
    for (pfx_idx i = 0; i < d->n; i++) *cell(d, i, d->p - 1) += draw(80, i);
    return d;
}
static pfx_design *absorbed_one(double share)
{
    return absorbed_of(panel(40, YEARS, 3, FIRM), share, false);
}
static pfx_design *absorbed_two(double share)
{
    return absorbed_of(panel(40, YEARS, 3, FIRM | YEAR), share, true);
}

/* Two blocks of years, each seen by half of the firms; one firm, once, ties them. */
static pfx_design *one_mover(double size)
{
    pfx_design *d = panel(40, 4, 3, FIRM | YEAR);
    pfx_factor *f = &d->absorbed[1].factor;
    pfx_mem_free(f->name);
    pfx_mem_free(f->code);
    *f = factor("plant", d->n, 8);
    for (pfx_idx i = 0; i < d->n; i++) f->code[i] = (int32_t)(4 * (i / 80) + i % 4);
    f->code[79] = 4;
    outcome(d, NULL, size);
    return d;
}

static pfx_design *means_three(double size)
{
    return means(panel(40, YEARS, 3, FIRM | YEAR | GROUP), size);
}

/* Codes that occur, numbered anew in the order of their first row. */
static void renumber(pfx_idx n, pfx_factor *f)
{
    int32_t *to = pfx_mem_calloc(f->n_levels, sizeof *to, NULL), used = 0;
    for (pfx_idx i = 0; i < n; i++) {
        if (!to[f->code[i]]) to[f->code[i]] = ++used;
        f->code[i] = to[f->code[i]] - 1;
    }
    f->n_levels = used;
    pfx_mem_free(to);
}

/* Rows stay where `stays` says so; levels without rows are gone. */
static pfx_design *thin(pfx_design *d, bool (*stays)(pfx_idx i))
{
    pfx_idx to = 0;
    for (pfx_idx i = 0; i < d->n; i++) {
        if (!stays(i)) continue;
        memmove(d->Z + to * d->p, d->Z + i * d->p, (size_t)d->p * sizeof *d->Z);
        for (int a = 0; a < d->n_absorbed; a++)
            d->absorbed[a].factor.code[to] = d->absorbed[a].factor.code[i];
        d->clusters[0].code[to++] = d->clusters[0].code[i];
    }
    d->n = to;
    for (int a = 0; a < d->n_absorbed; a++) renumber(to, &d->absorbed[a].factor);
    renumber(to, &d->clusters[0]);
    return d;
}

/* Firms of two to five years, the first of them in all. */
static bool in_some_years(pfx_idx i)
{
    return i < YEARS || i % YEARS < 2 + (pfx_idx)(2 * (1 + draw(91, i / YEARS))) || draw(92, i) > 0.8;
}

static void add_effect(pfx_design *d, const char *name, pfx_idx levels, pfx_idx (*level)(pfx_idx i))
{
    pfx_factor f = factor(name, d->n, levels);
    for (pfx_idx i = 0; i < d->n; i++) f.code[i] = (int32_t)level(i);
    renumber(d->n, &f);
    d->absorbed[d->n_absorbed++] = (pfx_absorbed){f, true, 0, NULL, NULL};
}

/* industry^year, which one row in eight leaves for another, and region^year. */
static pfx_idx industry_year(pfx_idx i)
{
    pfx_idx home = (pfx_idx)(7 * (1 + draw(93, i / YEARS))), away = (pfx_idx)(7 * (1 + draw(94, i)));
    return (draw(95, i) > 0.75 ? away : home) * YEARS + i % YEARS;
}
static pfx_idx region_year(pfx_idx i)
{
    return i / YEARS % 3 * YEARS + i % YEARS;
}

static pfx_design *industries(double mean)
{
    pfx_design *d = panel(40, YEARS, 3, FIRM);
    add_effect(d, "industry^year", 14 * YEARS, industry_year);
    add_effect(d, "region^year", 3 * YEARS, region_year);
    outcome(d, NULL, 1);
    return means(thin(d, in_some_years), mean);
}
static pfx_design *near_industries(double kappa)
{
    return near_of(industries(0), kappa);
}

/* Two halves of the firms, each with plants and regions of its own; one row of one firm ties them by its
 * plant, and one of another by its region. */
static pfx_idx half_plant(pfx_idx i)
{
    return i == 99 ? 5 : i / 100 * 5 + (pfx_idx)(2.5 * (1 + draw(96, i)));
}
static pfx_idx half_region(pfx_idx i)
{
    return i == 150 ? 0 : i / 100 * 3 + (pfx_idx)(1.5 * (1 + draw(97, i)));
}

static pfx_design *halves(double mean)
{
    pfx_design *d = panel(40, YEARS, 3, FIRM);
    add_effect(d, "plant", 10, half_plant);
    add_effect(d, "region", 6, half_region);
    outcome(d, NULL, 1);
    return means(thin(d, in_some_years), mean);
}
static pfx_design *near_halves(double kappa)
{
    return near_of(halves(0), kappa);
}

static pfx_design *weights(double range)
{
    pfx_design *d = panel(40, YEARS, 3, FIRM | YEAR);
    d->w = pfx_mem_alloc(d->n, sizeof *d->w, NULL);
    d->weights_kind = PFX_W_ANALYTIC;
    for (pfx_idx i = 0; i < d->n; i++) d->w[i] = pow(range, draw(74, i) / 2);
    outcome(d, NULL, 1);
    return d;
}

static pfx_design *singletons(double share)
{
    pfx_design *d = panel(200, 1, 3, FIRM | YEAR);
    pfx_factor *own[] = {&d->clusters[0], &d->absorbed[0].factor};
    pfx_idx firms = 0, left = 0;
    for (pfx_idx i = 0; i < d->n; i++) {
        if (left-- == 0) {
            firms++;
            left = draw(75, firms) < 2 * share - 1 ? 0 : 3;
        }
        own[0]->code[i] = own[1]->code[i] = (int32_t)firms - 1;
    }
    own[0]->n_levels = own[1]->n_levels = firms;
    d->absorbed[1].factor.n_levels = YEARS;
    for (pfx_idx i = 0; i < d->n; i++) d->absorbed[1].factor.code[i] = (int32_t)(i % YEARS);
    outcome(d, NULL, 1);
    return d;
}

/* Cells of the smallest numbers there are among ordinary ones. */
static pfx_design *denormals(double size)
{
    pfx_design *d = panel(40, YEARS, 3, FIRM | YEAR);
    for (pfx_idx i = 0; i < d->n; i++)
        if (i % 3) *cell(d, i, 0) = size * (double)(i % 7);
    outcome(d, NULL, 1);
    return d;
}

static pfx_design *long_units(double mean)
{
    return means(panel(2, 6000, 2, FIRM | YEAR), mean);
}

static pfx_design *few_treated(double firms)
{
    pfx_design *d = panel(60, YEARS, 3, FIRM | YEAR);
    for (pfx_idx i = 0; i < d->n; i++) *cell(d, i, 0) = (double)i / YEARS < firms && i % YEARS >= 3;
    outcome(d, NULL, 1);
    return d;
}

const hard_design hard_designs[] = {
    {"plain", plain, 1, 14.5, 13.8},
    {"R2 of 1 - 1e-14", plain, 1e-7, 14.5, 7.5},
    {"large mean, no effects", means_none, 1e6, 14.5, 14},
    {"large mean, no effects", means_none, 1e10, 14.5, 14},
    {"rising mean, no effects", rising_none, 10, 13.9, 14},
    {"rising mean, no effects", rising_none, 1e6, 14.2, 14},
    {"large mean, firm", means_one, 1e10, 14.5, 14},
    {"large mean, firm + year", means_two, 1e6, 14.5, 14},
    {"large mean, firm + year", means_two, 1e10, 14.5, 14},
    {"large firm means", firm_means, 1e6, 14.5, 14},
    {"large firm means", firm_means, 1e8, 14.2, 14},
    {"near collinear, no effects", near_none, 1e3, 11.2, 12.4},
    {"near collinear, no effects", near_none, 1e6, 8.4, 8.8},
    {"near collinear, firm + year", near_two, 1e1, 14.5, 12.3},
    {"near collinear, firm + year", near_two, 1e2, 13.8, 13.2},
    {"near collinear, firm + year", near_two, 1e3, 13, 12.2},
    {"near collinear, firm + year", near_two, 5e3, 11.7, 11.4},
    {"near collinear, firm + year", near_two, 1e5, 10.8, 10.4},
    {"near collinear, firm + year", near_two, 1e6, 9.6, 9.6},
    {"near collinear, firm + year", near_two, 1e7, 8.4, 8},
    {"near collinear, firm + year", near_two, 1e8, 8, 6.6},
    {"near collinear, three effects", near_three, 1e1, 14.3, 12},
    {"near collinear, three effects", near_three, 1e3, 13, 12.8},
    {"near collinear, three effects", near_three, 1e6, 9.3, 9.2},
    {"Filip with firms, degree", filip, 5, 10.7, 11.4},
    {"Filip with firms, degree", filip, 10, 6.0,
     6.3}, /* 6.4 on one CPU, over 6.5 on another: its QR is of LAPACK */
    {"Wampler with firms, degree", wampler, 5, 11.8, 12.4},
    {"Wampler, firm + year, degree", wampler_two, 5, 11.8, 12.8},
    {"Longley with firms, level", longley, 1e4, 12.5, 12.8},
    {"scales", scales, 1e12, 14.5, 13.8},
    {"share left by firm", absorbed_one, 1e-6, 14.3, 14},
    {"share left by firm", absorbed_one, 2e-9, 14.5, 13.8},
    {"share left by firm + year", absorbed_two, 1e-2, 13.1, 14.2},
    {"share left by firm + year", absorbed_two, 1e-4, 11.3, 11.8},
    {"share left by firm + year", absorbed_two, 1e-6, 10.1, 9.7},
    {"share left by firm + year", absorbed_two, 4e-9, 6.9, 7},
    {"one mover", one_mover, 1, 14.5, 14.2},
    {"large mean, three effects", means_three, 1e10, 14.5, 14.4},
    {"unbalanced industries^year, mean", industries, 0, 14.5, 13.4},
    {"unbalanced industries^year, mean", industries, 1e10, 14.5, 13.3},
    {"near collinear, industries^year", near_industries, 1e3, 12.2, 11.6},
    {"near collinear, industries^year", near_industries, 1e6, 9.1, 8.2},
    {"two halves, three effects, mean", halves, 0, 14.5, 14},
    {"two halves, three effects, mean", halves, 1e8, 14.5, 14},
    {"near collinear, two halves", near_halves, 1e3, 12.7, 12.5},
    {"near collinear, two halves", near_halves, 1e6, 9.5, 8.9},
    {"weights over", weights, 1e12, 14.3, 12.7},
    {"singletons, share", singletons, 0.6, 14.5, 14.2},
    {"denormal cells", denormals, 5e-324, 14.5, 14},
    {"long units, mean", long_units, 1e8, 13.7, 11.3},
    {"treated firms", few_treated, 2, 14.5, 13.9},
};
const int n_hard_designs = sizeof hard_designs / sizeof *hard_designs;
