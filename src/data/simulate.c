/* The synthetic panel: options, and blocks of firms into a sink. */
#include "src/data/simulate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/data/simulate_block.h"

pfx_simulate_options pfx_simulate_defaults(void)
{
    return (pfx_simulate_options){.firms = SIM_FIRMS,
                                  .year0 = SIM_YEAR0,
                                  .year1 = SIM_YEAR1,
                                  .effect = SIM_EFFECT,
                                  .treated_share = SIM_TREATED_SHARE,
                                  .serial_correlation = 0.3,
                                  .seed = 1,
                                  .nth = 1};
}

const pfx_col_spec *pfx_simulate_columns(int *n)
{
    *n = SIM_N_VARS;
    return sim_columns;
}

static pfx_status check(const pfx_simulate_options *o, pfx_err *err)
{
    /* Firm numbers are exact in a double and rows in int64. */
    if (o->firms < 1 || o->firms > INT64_C(1) << 50)
        return pfx_fail(err, PFX_EUSAGE, "--firms %lld: want 1 or more", (long long)o->firms);
    if (o->year1 <= o->year0 || o->year1 - o->year0 >= 1000 || o->year0 < 0)
        return pfx_fail(err, PFX_EUSAGE, "--years %d:%d: want 2 to 1000 years, the first before the last",
                        o->year0, o->year1);
    if (!(o->treated_share >= 0 && o->treated_share <= 0.5))
        return pfx_fail(err, PFX_EUSAGE, "--treated-share %g: want 0 to 0.5", o->treated_share);
    if (!(fabs(o->serial_correlation) < 1))
        return pfx_fail(err, PFX_EUSAGE, "--serial-correlation %g: want a number between -1 and 1",
                        o->serial_correlation);
    if (!isfinite(o->effect)) return pfx_fail(err, PFX_EUSAGE, "--effect: want a finite number");
    return PFX_OK;
}

static pfx_status choose(const pfx_simulate_options *o, bool want[SIM_N_VARS], pfx_err *err)
{
    const char *names[SIM_N_VARS];
    for (int v = 0; v < SIM_N_VARS; v++) {
        names[v] = sim_columns[v].name;
        want[v] = o->n_vars == 0;
    }
    want[SIM_FIRM] = want[SIM_YEAR] = true;
    for (int j = 0; j < o->n_vars; j++) {
        int v = 0;
        while (v < SIM_N_VARS && strcmp(o->vars[j], names[v]) != 0) v++;
        if (v == SIM_N_VARS) {
            const char *near = pfx_text_nearest(o->vars[j], SIM_N_VARS, names);
            return pfx_fail(err, PFX_EUSAGE, "--vars: no column %s%s%s%s; man panelfx-simulate lists them",
                            o->vars[j], near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
        }
        want[v] = true;
    }
    return PFX_OK;
}

static pfx_status put_levels(pfx_row_sink *sink, int n_cols, const sim_var *col, pfx_err *err)
{
    pfx_status st = PFX_OK;
    char city[SIM_N_CITY][32];
    const char *city_labels[SIM_N_CITY];
    for (int c = 0; c < SIM_N_CITY; c++) {
        snprintf(city[c], sizeof city[c], "%s-%02d", sim_province_labels[c / SIM_CITIES_PER_PROVINCE],
                 c % SIM_CITIES_PER_PROVINCE + 1);
        city_labels[c] = city[c];
    }
    for (int j = 0; j < n_cols && st == PFX_OK; j++) {
        switch (col[j]) {
        case SIM_INDUSTRY:
            st = sink->levels(sink->ctx, j, SIM_N_INDUSTRY, sim_industry_labels, err);
            break;
        case SIM_PROVINCE:
            st = sink->levels(sink->ctx, j, SIM_N_PROVINCE, sim_province_labels, err);
            break;
        case SIM_CITY:
            st = sink->levels(sink->ctx, j, SIM_N_CITY, city_labels, err);
            break;
        case SIM_OWNERSHIP:
            st = sink->levels(sink->ctx, j, SIM_N_OWNERSHIP, sim_ownership_labels, err);
            break;
        default:
            break;
        }
    }
    return st;
}

static pfx_status put_provenance(pfx_row_sink *sink, const pfx_simulate_options *o,
                                 const pfx_simulate_info *info, pfx_err *err)
{
    char parameters[256], seed[32];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    snprintf(parameters, sizeof parameters,
             "firms=%lld years=%d:%d effect=%.17g treated-share=%.17g serial-correlation=%.17g sizes=%s",
             (long long)o->firms, o->year0, o->year1, o->effect, o->treated_share, o->serial_correlation,
             info->exact ? "exact" : "on average");
    const char *lines[][2] = {{"synthetic", "yes"},
                              {"note", "synthetic panel: nothing computed on it is a finding about firms"},
                              {"source", "panelfx simulate"},
                              {"seed", seed},
                              {"parameters", parameters}};
    for (int i = 0; i < 5; i++) {
        pfx_status st = sink->provenance(sink->ctx, lines[i][0], lines[i][1], err);
        if (st) return st;
    }
    return PFX_OK;
}

static void count_treated(const sim_block *b, pfx_simulate_info *info)
{
    for (pfx_idx i = 0; i < b->n_firms; i++) {
        const sim_firm *f = &b->firm[i];
        if (f->adopt >= f->first + f->n) continue;
        info->treated_firms++;
        info->treated_rows += f->first + f->n - f->adopt;
    }
}

static pfx_status put_blocks(sim_block *b, pfx_row_sink *sink, int n_cols, const sim_var *col,
                             const pfx_col_spec *specs, pfx_simulate_info *info, pfx_err *err)
{
    pfx_column columns[SIM_N_VARS];
    const double rows_a_firm = (double)SIM_ROWS / SIM_FIRMS;
    pfx_status st = PFX_OK;

    for (int j = 0; j < n_cols; j++) columns[j] = (pfx_column){specs[j], b->num[col[j]], b->code[col[j]]};
    pfx_progress_begin("simulate", "rows", rows_a_firm * (double)b->o->firms);
    for (pfx_idx firm = 0; firm < b->o->firms && st == PFX_OK; firm += b->max_firms) {
        const pfx_idx left = b->o->firms - firm;
        const double start = pfx_wall_s();
        if ((st = sim_block_fill(b, firm, left < b->max_firms ? left : b->max_firms, err))) break;
        info->generate_s += pfx_wall_s() - start;
        count_treated(b, info);
        info->rows = b->row0 + b->n_rows;
        const pfx_frame frame = {.row0 = b->row0,
                                 .n_rows = b->n_rows,
                                 .n_cols = n_cols,
                                 .cols = columns,
                                 .unit0 = firm,
                                 .n_units = b->n_firms,
                                 .unit_start = b->start,
                                 .time = b->num[SIM_YEAR]};
        st = sink->put(sink->ctx, &frame, err);
        pfx_progress_set((double)info->rows);
    }
    pfx_progress_end();
    return st;
}

pfx_status pfx_simulate(const pfx_simulate_options *o, pfx_row_sink *sink, pfx_simulate_info *info,
                        pfx_err *err)
{
    static const pfx_panel_spec panel = {"firm", "year", PFX_TIME_YEAR};
    bool want[SIM_N_VARS];
    sim_var col[SIM_N_VARS];
    pfx_col_spec specs[SIM_N_VARS];
    sim_plan *plan = NULL;
    sim_block *b = NULL;
    int n_cols = 0;
    pfx_status st;

    if ((st = check(o, err)) || (st = choose(o, want, err))) return st;
    for (int v = 0; v < SIM_N_VARS; v++)
        if (want[v]) {
            specs[n_cols] = sim_columns[v];
            if (v == SIM_FIRM && o->firms > INT32_MAX) specs[n_cols].dtype = PFX_I64;
            col[n_cols++] = (sim_var)v;
        }
    *info = (pfx_simulate_info){.firms = o->firms, .n_cols = n_cols};
    info->exact = o->firms == SIM_FIRMS && o->year0 == SIM_YEAR0 && o->year1 == SIM_YEAR1;

    if ((st = sim_plan_create(o->seed, o->firms, o->year1 - o->year0 + 1, o->treated_share, info->exact,
                              &plan, err)) ||
        (st = sim_block_create(o, plan, info->exact, want, &b, err)) ||
        (st = sink->begin(sink->ctx, &panel, n_cols, specs, err)) ||
        (st = put_blocks(b, sink, n_cols, col, specs, info, err)) ||
        (st = put_levels(sink, n_cols, col, err)) || (st = put_provenance(sink, o, info, err)))
        goto done;
done:
    sim_block_free(b);
    sim_plan_free(plan);
    return st;
}
