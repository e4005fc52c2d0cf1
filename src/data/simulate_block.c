/* Columns of a block of firms: firms, then scores, then values, each stage parallel over fixed chunks of
 * firms. */
#include "src/data/simulate_block.h"

#include <math.h>
#include <stdlib.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"

enum { BLOCK_ROWS = 131072, CHUNK_FIRMS = 128, MAX_YEARS = 1000 };

#define PERSISTENCE 0.4 /* of a score from year to year, beyond the firm's own level */
#define ERROR_SD                                                                                             \
    0.775 /* EXPY: with the firm effects it gives Table 2's sd and about Table 3's adjusted R2               \
           */
#define FIRM_EFFECT_SD 0.10
#define YEAR_EFFECT_SD 0.04
#define AGE_MEAN 20.00 /* FirmAge in the middle of the years */
#define AGE_SD 5.55

static bool is_category(int v)
{
    return sim_columns[v].kind == PFX_CATEGORY;
}

/* Ingredients of the wanted columns. Derived ones come before what they are made of, so one pass down does.
 */
static void close_over(const bool want[SIM_N_VARS], bool need[SIM_N_VARS])
{
    for (int v = 0; v < SIM_N_VARS; v++) need[v] = want[v];
    if (need[SIM_EXPY])
        for (int j = 0; j < SIM_N_COEF; j++) need[sim_coefs[j].var] = true;
    need[SIM_EMPLOYEE] |= need[SIM_LN_EMPLOYEE];
    need[SIM_FIRM_AGE] |= need[SIM_LN_FIRM_AGE];
    need[SIM_CTI] |= need[SIM_LN_CTI];
    need[SIM_DSI] |= need[SIM_LN_DSI];
    for (int k = 0; k < SIM_N_LATENT; k++)
        if (need[sim_latents[k].var] && sim_latents[k].size != 0) need[SIM_EMPLOYEE] = true;
    need[SIM_IDC] = true; /* cheap, and the count of treated rows comes from it */
}

/* Firms to a block: the whole panel where it is exact (some 8 MiB), else what a quarter of the memory holds,
 * since the sink buffers rows too. */
static pfx_idx block_firms(const sim_block *b, int n_years)
{
    pfx_idx row_bytes = 0, rows = BLOCK_ROWS;
    for (int v = 0; v < SIM_N_VARS; v++) row_bytes += b->need[v] ? (pfx_idx)sizeof(double) : 0;
    const pfx_idx fit = (pfx_idx)(b->o->memory / 4) / row_bytes;
    if (b->o->memory > 0 && fit < rows) rows = fit;
    if (b->exact || rows / n_years > b->o->firms) return b->o->firms;
    return rows >= n_years ? rows / n_years : 1;
}

pfx_status sim_block_create(const pfx_simulate_options *o, const sim_plan *plan, bool exact,
                            const bool want[SIM_N_VARS], sim_block **out, pfx_err *err)
{
    const int n_years = o->year1 - o->year0 + 1;
    sim_block *b = pfx_mem_calloc(1, sizeof *b, err);
    if (!b) return PFX_ENOMEM;
    b->o = o;
    b->plan = plan;
    b->exact = exact;
    close_over(want, b->need);
    b->max_firms = block_firms(b, n_years);
    b->max_rows = b->max_firms * n_years;

    bool ok = (b->firm = pfx_mem_alloc(b->max_firms, sizeof *b->firm, err)) &&
              (b->start = pfx_mem_alloc(b->max_firms + 1, sizeof *b->start, err)) &&
              (b->year_effect = pfx_mem_alloc(n_years, sizeof *b->year_effect, err));
    for (int v = 0; v < SIM_N_VARS && ok; v++) {
        if (!b->need[v]) continue;
        if (is_category(v))
            ok = (b->code[v] = pfx_mem_alloc(b->max_rows, sizeof *b->code[v], err));
        else
            ok = (b->num[v] = pfx_mem_alloc(b->max_rows, sizeof *b->num[v], err));
    }
    for (int k = 0; k < SIM_N_LATENT && ok; k++) {
        b->edge[k] = sim_latent_edge(&sim_latents[k]);
        if (b->need[sim_latents[k].var] && sim_latents[k].n < SIM_ROWS)
            ok = (b->missing[k] = pfx_mem_calloc(b->max_rows, 1, err));
    }
    if (!ok) {
        sim_block_free(b);
        return PFX_ENOMEM;
    }
    for (int t = 0; t < n_years; t++) {
        pfx_rng_fill_normal(o->seed, SIM_RNG_YEAR, (uint64_t)(o->year0 + t), 1, &b->year_effect[t]);
        b->year_effect[t] *= YEAR_EFFECT_SD;
    }
    *out = b;
    return PFX_OK;
}

void sim_block_free(sim_block *b)
{
    if (!b) return;
    pfx_mem_free(b->firm);
    pfx_mem_free(b->start);
    pfx_mem_free(b->year_effect);
    for (int v = 0; v < SIM_N_VARS; v++) {
        pfx_mem_free(b->num[v]);
        pfx_mem_free(b->code[v]);
    }
    for (int k = 0; k < SIM_N_LATENT; k++) pfx_mem_free(b->missing[k]);
    pfx_mem_free(b);
}

typedef struct chunk {
    pfx_idx from, to;
} chunk;

static chunk chunk_of(const sim_block *b, pfx_idx c)
{
    pfx_idx from = c * CHUNK_FIRMS, to = from + CHUNK_FIRMS;
    return (chunk){from, to < b->n_firms ? to : b->n_firms};
}

static void draw_firms(void *ctx, pfx_idx c, int thread)
{
    sim_block *b = ctx;
    (void)thread;
    for (chunk k = chunk_of(b, c); k.from < k.to; k.from++)
        sim_plan_firm(b->plan, b->firm0 + k.from, &b->firm[k.from]);
}

/* Scores of latent k for one firm: standard normal with a firm component, AR(1) around it. */
static void firm_scores(const sim_block *b, pfx_idx i, int k)
{
    const sim_latent *v = &sim_latents[k];
    const double own = sqrt(v->icc), rest = sqrt(1 - v->icc), fresh = sqrt(1 - PERSISTENCE * PERSISTENCE);
    const double *size = b->num[SIM_EMPLOYEE] ? b->num[SIM_EMPLOYEE] + b->start[i] : NULL;
    double *z = b->num[v->var] + b->start[i], normal[1 + MAX_YEARS];
    const int n = b->firm[i].n;

    pfx_rng_fill_normal(b->o->seed, SIM_RNG_LATENT + (uint32_t)v->var, (uint64_t)(b->firm0 + i), 1 + n,
                        normal);
    double w = normal[1];
    for (int t = 0; t < n; t++) {
        if (t > 0) w = PERSISTENCE * w + fresh * normal[1 + t];
        z[t] = own * normal[0] + rest * w;
    }
    if (v->size != 0 && v->var != SIM_EMPLOYEE)
        for (int t = 0; t < n; t++) z[t] = v->size * size[t] + sqrt(1 - v->size * v->size) * z[t];
    if (b->missing[k] && !b->exact) {
        pfx_rng r;
        pfx_rng_start(&r, b->o->seed, SIM_RNG_MISSING + (uint32_t)v->var, (uint64_t)(b->firm0 + i));
        for (int t = 0; t < n; t++)
            b->missing[k][b->start[i] + t] = pfx_rng_uniform(&r) * SIM_ROWS >= (double)v->n;
    }
}

static void firm_age(const sim_block *b, pfx_idx i)
{
    const sim_firm *f = &b->firm[i];
    const double middle = (b->o->year1 - b->o->year0) / 2.0;
    double z;
    pfx_rng_fill_normal(b->o->seed, SIM_RNG_LATENT + SIM_FIRM_AGE, (uint64_t)(b->firm0 + i), 1, &z);
    const double in_first = floor(AGE_MEAN + AGE_SD * z - middle + 0.5);
    for (int t = 0; t < f->n; t++) {
        double age = in_first + f->first + t;
        b->num[SIM_FIRM_AGE][b->start[i] + t] = age < 7 ? 7 : age > 36 ? 36 : age;
    }
}

/* Columns that are the firm's own, and the calendar. */
static void firm_constants(const sim_block *b, pfx_idx i)
{
    const sim_firm *f = &b->firm[i];
    const double value[SIM_N_VARS] = {
        [SIM_FIRM] = (double)(b->firm0 + i + 1),
        [SIM_REGULATED] = f->regulated,
        [SIM_OPEN_DATA] = f->open_data == SIM_OPEN_UNKNOWN ? NAN : f->open_data == SIM_OPEN_YES,
    };
    const int32_t level[SIM_N_VARS] = {[SIM_INDUSTRY] = f->industry,
                                       [SIM_PROVINCE] = f->city / SIM_CITIES_PER_PROVINCE,
                                       [SIM_CITY] = f->city,
                                       [SIM_OWNERSHIP] = f->ownership};
    static const sim_var numbers[] = {SIM_FIRM, SIM_REGULATED, SIM_OPEN_DATA};
    static const sim_var categories[] = {SIM_INDUSTRY, SIM_PROVINCE, SIM_CITY, SIM_OWNERSHIP};

    for (int t = 0; t < f->n; t++) {
        const pfx_idx row = b->start[i] + t;
        for (int j = 0; j < 3; j++)
            if (b->need[numbers[j]]) b->num[numbers[j]][row] = value[numbers[j]];
        for (int j = 0; j < 4; j++)
            if (b->need[categories[j]]) b->code[categories[j]][row] = level[categories[j]];
        if (b->need[SIM_YEAR]) b->num[SIM_YEAR][row] = b->o->year0 + f->first + t;
        b->num[SIM_IDC][row] = f->first + t >= f->adopt;
    }
}

static void draw_scores(void *ctx, pfx_idx c, int thread)
{
    const sim_block *b = ctx;
    const chunk own = chunk_of(b, c);
    (void)thread;
    for (pfx_idx i = own.from; i < own.to; i++) {
        firm_constants(b, i);
        if (b->need[SIM_FIRM_AGE]) firm_age(b, i);
    }
    for (int k = 0; k < SIM_N_LATENT; k++)
        for (pfx_idx i = own.from; i < own.to && b->need[sim_latents[k].var]; i++) firm_scores(b, i, k);
}

/* Scores to values, in place. */
static void firm_values(const sim_block *b, pfx_idx i, int k)
{
    const sim_latent *v = &sim_latents[k];
    const pfx_idx row = b->start[i];
    const bool ever = b->firm[i].adopt < b->firm[i].first + b->firm[i].n && v->effect != 0;
    double *x = b->num[v->var] + row;
    pfx_rng r;

    if (ever) pfx_rng_start(&r, b->o->seed, SIM_RNG_ROUND, (uint64_t)(b->firm0 + i));
    for (int t = 0; t < b->firm[i].n; t++) {
        const double z = x[t];
        x[t] = sim_latent_value(v, b->edge[k], z);
        /* Rows beyond the edges keep Table 2's minimum and maximum. */
        if (ever && b->num[SIM_IDC][row + t] == 1) {
            const double u = v->form == SIM_COUNT ? pfx_rng_uniform(&r) : 0;
            if (fabs(z) < b->edge[k]) x[t] = sim_latent_treat(v, x[t], u);
        }
        if (b->missing[k] && b->missing[k][row + t]) x[t] = NAN;
    }
}

/* EXPY: mean part, and a deviation that is cut symmetrically so that both stay within the bounds. */
static void firm_outcome(const sim_block *b, pfx_idx i, double constant)
{
    const sim_firm *f = &b->firm[i];
    const double rho = b->o->serial_correlation, fresh = sqrt(1 - rho * rho);
    double normal[1 + MAX_YEARS], e = 0;

    pfx_rng_fill_normal(b->o->seed, SIM_RNG_ERROR, (uint64_t)(b->firm0 + i), 1 + f->n, normal);
    for (int t = 0; t < f->n; t++) {
        const pfx_idx row = b->start[i] + t;
        double mu = constant + b->year_effect[f->first + t] + b->o->effect * b->num[SIM_IDC][row];
        for (int j = 0; j < SIM_N_COEF; j++) mu += sim_coefs[j].b * b->num[sim_coefs[j].var][row];
        mu = mu < SIM_EXPY_MIN ? SIM_EXPY_MIN : mu > SIM_EXPY_MAX ? SIM_EXPY_MAX : mu;

        e = t == 0 ? normal[1] : rho * e + fresh * normal[1 + t];
        double d = FIRM_EFFECT_SD * normal[0] + ERROR_SD * e;
        const double below = mu - SIM_EXPY_MIN, above = SIM_EXPY_MAX - mu,
                     most = below < above ? below : above;
        double y = mu + (d < -most ? -most : d > most ? most : d);
        if (d < -most && below < above) y = SIM_EXPY_MIN; /* to the last bit */
        if (d > most && above < below) y = SIM_EXPY_MAX;
        b->num[SIM_EXPY][row] = y;
    }
}

static void derived(const sim_block *b, pfx_idx from, pfx_idx to)
{
    static const struct {
        sim_var out, in;
        double plus;
    } logs[] = {{SIM_LN_EMPLOYEE, SIM_EMPLOYEE, 0},
                {SIM_LN_FIRM_AGE, SIM_FIRM_AGE, 1},
                {SIM_LN_CTI, SIM_CTI, 1},
                {SIM_LN_DSI, SIM_DSI, 0}};
    for (int j = 0; j < 4; j++)
        for (pfx_idx r = from; r < to && b->need[logs[j].out]; r++)
            b->num[logs[j].out][r] = log(b->num[logs[j].in][r] + logs[j].plus);
}

static void compute_values(void *ctx, pfx_idx c, int thread)
{
    const sim_block *b = ctx;
    const chunk own = chunk_of(b, c);
    double constant = SIM_EXPY_MEAN - SIM_EFFECT * SIM_TREATED_SHARE;
    (void)thread;
    for (int j = 0; j < SIM_N_COEF; j++) constant -= sim_coefs[j].b * sim_coefs[j].mean;
    for (int k = 0; k < SIM_N_LATENT; k++)
        for (pfx_idx i = own.from; i < own.to && b->need[sim_latents[k].var]; i++) firm_values(b, i, k);
    derived(b, b->start[own.from], b->start[own.to]);
    for (pfx_idx i = own.from; i < own.to && b->need[SIM_EXPY]; i++) firm_outcome(b, i, constant);
}

pfx_status sim_block_fill(sim_block *b, pfx_idx firm0, pfx_idx n, pfx_err *err)
{
    const pfx_idx chunks = (n + CHUNK_FIRMS - 1) / CHUNK_FIRMS;
    b->row0 = firm0 == 0 ? 0 : b->row0 + b->n_rows;
    b->firm0 = firm0;
    b->n_firms = n;
    pfx_par_for(chunks, b->o->nth, draw_firms, b);
    b->start[0] = 0;
    for (pfx_idx i = 0; i < n; i++) b->start[i + 1] = b->start[i] + b->firm[i].n;
    b->n_rows = b->start[n];
    pfx_par_for(chunks, b->o->nth, draw_scores, b);
    if (b->exact) {
        pfx_status st = sim_block_rank(b, err);
        if (st) return st;
    }
    pfx_par_for(chunks, b->o->nth, compute_values, b);
    return PFX_OK;
}
