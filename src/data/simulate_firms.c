/* Drawing firms: each by itself from its own stream, then, for the paper's panel, mended to its exact sizes.
 */
#include "src/data/simulate_firms.h"

#include <math.h>
#include <stdlib.h>
#include "src/base/mem.h"
#include "src/data/simulate_vars.h"

const char *const sim_industry_labels[SIM_N_INDUSTRY] = {
    "C13", "C14", "C15", "C16", "C17", "C18", "C19", "C20", "C21", "C22", "C23", "C24", "C25", "C26", "C27",
    "C28", "C29", "C30", "C31", "C32", "C33", "C34", "C35", "C36", "C37", "C38", "C39", "C40", "C41", "C42"};

const char *const sim_province_labels[SIM_N_PROVINCE] = {
    "Anhui",  "Beijing",  "Chongqing",      "Fujian",  "Gansu",    "Guangdong", "Guangxi",  "Guizhou",
    "Hainan", "Hebei",    "Heilongjiang",   "Henan",   "Hubei",    "Hunan",     "Jiangsu",  "Jiangxi",
    "Jilin",  "Liaoning", "Inner Mongolia", "Ningxia", "Qinghai",  "Shaanxi",   "Shandong", "Shanghai",
    "Shanxi", "Sichuan",  "Tianjin",        "Tibet",   "Xinjiang", "Yunnan",    "Zhejiang"};

const char *const sim_ownership_labels[SIM_N_OWNERSHIP] = {"joint venture", "private", "state", "other"};

/* Weights: about the make-up of listed manufacturers. Regulated: tobacco, petroleum, ferrous and non-ferrous
 * metals (C16, C25, C31, C32). */
static const int industry_weight[SIM_N_INDUSTRY] = {55, 60,  45,  2,   40,  40,  10,  10,  30, 30,
                                                    15, 20,  40,  300, 280, 30,  110, 110, 90, 160,
                                                    90, 180, 320, 170, 80,  320, 560, 90,  20, 10};
static const bool industry_regulated[SIM_N_INDUSTRY] = {[3] = true, [12] = true, [18] = true, [19] = true};
/* How much likelier than others a firm of the industry is to be treated: electronics, machinery, instruments.
 */
static const double industry_treat[SIM_N_INDUSTRY] = {.5, .5, .5,  .5, .5, .5,  .5, .5,  .5, .5,
                                                      .5, .5, .5,  .5, .5, .5,  .5, .5,  .5, .5,
                                                      .5, .8, 1.3, 1,  1,  1.5, 3,  1.5, .5, .5};
static const int province_weight[SIM_N_PROVINCE] = {40, 60, 20, 45,  8,  200, 9,  8, 4,  18, 9,
                                                    25, 32, 36, 180, 18, 10,  22, 7, 4,  3,  18,
                                                    75, 90, 10, 40,  18, 3,   12, 9, 170};

/* Rows of Tables 7 and 8, of 18,599; what is left is "other" and "unknown". */
static const pfx_idx ownership_rows[SIM_N_OWNERSHIP - 1] = {2456, 12446, 3477};
enum { REGULATED_ROWS = 2178, OPEN_YES_ROWS = 14674, OPEN_NO_ROWS = 1580 };

#define P_FIRST 0.60  /* firms that are there from the first year; the others enter later, evenly */
#define HAZARD 0.043  /* of leaving, a year, after the second: 18,599 rows for 3,500 firms */
#define P_ALWAYS 0.30 /* of the treated: treated in every observed year */

struct sim_plan {
    uint64_t seed;
    pfx_idx firms;
    int n_years;
    double p_treat;     /* chance of treatment of a firm of average weight */
    double weight_mean; /* of industry_treat */
    sim_firm *firm;     /* [firms] where exact, else NULL */
};

static int pick(const int *weight, const bool *in, bool want, int n, double u)
{
    double total = 0, sum = 0;
    int last = 0;
    for (int i = 0; i < n; i++)
        if (!in || in[i] == want) total += weight[i];
    for (int i = 0; i < n; i++) {
        if (in && in[i] != want) continue;
        last = i;
        if ((sum += weight[i]) > u * total) break;
    }
    return last;
}

/* Industry within regulated or not, city by open data: five open cities in each province, two unknown, two
 * not. */
static void place(sim_firm *f)
{
    static const int first_slot[] = {[SIM_OPEN_NO] = 7, [SIM_OPEN_YES] = 0, [SIM_OPEN_UNKNOWN] = 5};
    static const int slots[] = {[SIM_OPEN_NO] = 2, [SIM_OPEN_YES] = 5, [SIM_OPEN_UNKNOWN] = 2};
    f->industry =
        (int8_t)pick(industry_weight, industry_regulated, f->regulated, SIM_N_INDUSTRY, f->u_industry);
    int province = pick(province_weight, NULL, false, SIM_N_PROVINCE, f->u_province);
    int slot = first_slot[f->open_data] + (int)(f->u_slot * slots[f->open_data]);
    f->city = province * SIM_CITIES_PER_PROVINCE + slot;
}

/* Treatment is likelier in some industries and in large firms: the mean of exp(a/2 - 1/8) is 1. The firm's
 * size is the first normal of Employee's stream. */
static double treat_weight(const sim_plan *p, pfx_idx i, const sim_firm *f)
{
    double a;
    pfx_rng_fill_normal(p->seed, SIM_RNG_LATENT + SIM_EMPLOYEE, (uint64_t)i, 1, &a);
    return industry_treat[f->industry] / p->weight_mean * exp(0.5 * a - 0.125);
}

/* First treated period of a treated firm. */
static int32_t adoption(const sim_firm *f)
{
    return f->always ? f->first : f->first + 1 + (int32_t)(f->u_adopt * (f->n - 1));
}

/* Draws firm i by itself; its stream is read in a fixed order. */
static void draw(const sim_plan *p, pfx_idx i, sim_firm *f)
{
    pfx_rng r;
    pfx_rng_start(&r, p->seed, SIM_RNG_FIRM, (uint64_t)i);
    double entry = pfx_rng_uniform(&r), survival = pfx_rng_uniform(&r), owner = pfx_rng_uniform(&r);
    double regulated = pfx_rng_uniform(&r), open = pfx_rng_uniform(&r);

    *f = (sim_firm){0};
    if (entry > P_FIRST && p->n_years > 2) {
        int32_t later = (int32_t)((entry - P_FIRST) / (1 - P_FIRST) * (p->n_years - 2));
        f->first = 1 + (later < p->n_years - 2 ? later : p->n_years - 3);
    }
    double stay = floor(log(survival) / log1p(-HAZARD));
    int32_t most = p->n_years - f->first;
    f->n = stay < most - 2 ? 2 + (int32_t)stay : most;

    double rows = SIM_ROWS;
    f->ownership = SIM_N_OWNERSHIP - 1;
    for (int o = SIM_N_OWNERSHIP - 2; o >= 0; o--) {
        double upto = 0;
        for (int j = 0; j <= o; j++) upto += (double)ownership_rows[j];
        if (owner * rows < upto) f->ownership = (int8_t)o;
    }
    f->regulated = regulated * rows < REGULATED_ROWS;
    f->open_data = open * rows < OPEN_YES_ROWS                  ? SIM_OPEN_YES
                   : open * rows < OPEN_YES_ROWS + OPEN_NO_ROWS ? SIM_OPEN_NO
                                                                : SIM_OPEN_UNKNOWN;
    f->u_industry = pfx_rng_uniform(&r);
    f->u_province = pfx_rng_uniform(&r);
    f->u_slot = pfx_rng_uniform(&r);
    f->priority = pfx_rng_uniform(&r);
    f->always = pfx_rng_uniform(&r) < P_ALWAYS;
    f->u_adopt = pfx_rng_uniform(&r);
}

void sim_plan_firm(const sim_plan *p, pfx_idx i, sim_firm *f)
{
    if (p->firm) {
        *f = p->firm[i];
        return;
    }
    draw(p, i, f);
    place(f);
    f->adopt = f->priority < p->p_treat * treat_weight(p, i, f) ? adoption(f) : p->n_years;
}

/* A random order of all firms, one for each purpose. */
static void order_firms(const sim_plan *p, uint64_t which, pfx_idx *order)
{
    pfx_rng r;
    for (pfx_idx i = 0; i < p->firms; i++) order[i] = i;
    pfx_rng_start(&r, p->seed, SIM_RNG_ORDER, which);
    pfx_rng_shuffle(&r, p->firms, order);
}

/* Lengthen or shorten spells by a year, in random order, until the rows add up. */
static void mend_rows(sim_plan *p, const pfx_idx *order, pfx_idx want)
{
    pfx_idx rows = 0;
    for (pfx_idx i = 0; i < p->firms; i++) rows += p->firm[i].n;
    while (rows != want) {
        for (pfx_idx k = 0; k < p->firms && rows != want; k++) {
            sim_firm *f = &p->firm[order[k]];
            if (rows < want && f->first + f->n < p->n_years) {
                f->n++;
                rows++;
            } else if (rows < want && f->first > 0 && f->first + f->n == p->n_years) {
                f->first--;
                f->n++;
                rows++;
            } else if (rows > want && f->n > 2) {
                f->n--;
                rows--;
            }
        }
    }
}

/* Put firms, in the given order, into groups of exactly rows[g] rows; the rest is group n_groups. A firm goes
 * to the first open group that it fits without leaving one row, which no firm could fill. */
static void fill_groups(const sim_plan *p, const pfx_idx *order, int n_groups, const pfx_idx *rows,
                        int8_t *group)
{
    pfx_idx left[SIM_N_OWNERSHIP];
    for (int g = 0; g < n_groups; g++) left[g] = rows[g];
    for (pfx_idx k = 0; k < p->firms; k++) {
        int32_t n = p->firm[order[k]].n;
        int g = 0;
        while (g < n_groups && (n > left[g] || left[g] - n == 1)) g++;
        if (g < n_groups) left[g] -= n;
        group[order[k]] = (int8_t)g;
    }
}

typedef struct ranked {
    double key;
    pfx_idx i;
} ranked;

static int by_key(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->i < y->i ? -1 : x->i > y->i;
}

/* Treat firms in a weighted random order (Efraimidis and Spirakis 2006: by -log(u)/w) until exactly `want`
 * rows are treated; the last firm adopts late enough to fit. */
static void treat_exactly(sim_plan *p, ranked *order, pfx_idx want)
{
    for (pfx_idx i = 0; i < p->firms; i++) {
        p->firm[i].adopt = p->n_years;
        order[i] = (ranked){-log(p->firm[i].priority) / treat_weight(p, i, &p->firm[i]), i};
    }
    qsort(order, (size_t)p->firms, sizeof *order, by_key);
    for (pfx_idx k = 0; k < p->firms && want > 0; k++) {
        sim_firm *f = &p->firm[order[k].i];
        int32_t end = f->first + f->n;
        f->adopt = adoption(f);
        if (end - f->adopt > want) f->adopt = end - (int32_t)want;
        want -= end - f->adopt;
    }
}

/* The paper's sizes to the row. */
static pfx_status make_exact(sim_plan *p, double treated_share, pfx_err *err)
{
    static const pfx_idx regulated_rows[] = {REGULATED_ROWS}, open_rows[] = {OPEN_NO_ROWS, OPEN_YES_ROWS};
    pfx_status st = PFX_OK;
    pfx_idx *order = pfx_mem_alloc(p->firms, sizeof *order, err);
    int8_t *group = pfx_mem_alloc(p->firms, sizeof *group, err);
    ranked *keys = pfx_mem_alloc(p->firms, sizeof *keys, err);

    p->firm = pfx_mem_alloc(p->firms, sizeof *p->firm, err);
    if (!order || !group || !keys || !p->firm) {
        st = PFX_ENOMEM;
        goto done;
    }
    for (pfx_idx i = 0; i < p->firms; i++) draw(p, i, &p->firm[i]);
    order_firms(p, 0, order);
    mend_rows(p, order, SIM_ROWS);
    order_firms(p, 1, order);
    fill_groups(p, order, SIM_N_OWNERSHIP - 1, ownership_rows, group);
    for (pfx_idx i = 0; i < p->firms; i++) p->firm[i].ownership = group[i];
    order_firms(p, 2, order);
    fill_groups(p, order, 1, regulated_rows, group);
    for (pfx_idx i = 0; i < p->firms; i++) p->firm[i].regulated = group[i] == 0;
    order_firms(p, 3, order);
    fill_groups(p, order, 2, open_rows, group);
    for (pfx_idx i = 0; i < p->firms; i++) {
        p->firm[i].open_data = group[i]; /* no, yes, unknown: the order of the groups */
        place(&p->firm[i]);
    }
    treat_exactly(p, keys, (pfx_idx)llround(treated_share * SIM_ROWS));
done:
    pfx_mem_free(order);
    pfx_mem_free(group);
    pfx_mem_free(keys);
    return st;
}

/* Mean of industry_treat over firms: regulated firms are REGULATED_ROWS of the rows. */
static double mean_weight(void)
{
    double sum[2] = {0}, total[2] = {0}, share = (double)REGULATED_ROWS / SIM_ROWS;
    for (int i = 0; i < SIM_N_INDUSTRY; i++) {
        sum[industry_regulated[i]] += industry_weight[i] * industry_treat[i];
        total[industry_regulated[i]] += industry_weight[i];
    }
    return (1 - share) * sum[0] / total[0] + share * sum[1] / total[1];
}

pfx_status sim_plan_create(uint64_t seed, pfx_idx firms, int n_years, double treated_share, bool exact,
                           sim_plan **out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    sim_plan *p = pfx_mem_calloc(1, sizeof *p, err);
    if (!p) return PFX_ENOMEM;
    p->seed = seed;
    p->firms = firms;
    p->n_years = n_years;
    p->weight_mean = mean_weight();
    /* An always-treated firm is treated in all its years, another in half of them on average. */
    p->p_treat = treated_share / (P_ALWAYS + (1 - P_ALWAYS) / 2);
    if (exact && (st = make_exact(p, treated_share, err))) {
        sim_plan_free(p);
        return st;
    }
    *out = p;
    return PFX_OK;
}

void sim_plan_free(sim_plan *p)
{
    if (!p) return;
    pfx_mem_free(p->firm);
    pfx_mem_free(p);
}
