/* The simulate command: a synthetic panel into a file. */
#include <stdio.h>
#include <string.h>

#include "hdf5_io/panel.h"
#include "src/base/log.h"
#include "src/base/text.h"
#include "src/cmd/commands.h"
#include "src/data/simulate.h"

typedef struct simulate_options {
    pfx_common common;
    const char *output, *years;
    pfx_idx firms, seed, deflate;
    double effect, treated_share, serial_correlation;
    pfx_opt_list vars;
} simulate_options;

#define AT(field) offsetof(simulate_options, field)
static const pfx_opt simulate_table[] = {
    {"output", 'o', PFX_OPT_TEXT, AT(output), "PANEL.h5", "the panel to write", NULL, "Output"},
    {"vars", 0, PFX_OPT_NAMES, AT(vars), "NAMES",
     "columns to write beside firm and year, separated by commas (default: all)", NULL, NULL},
    {"deflate", 0, PFX_OPT_INT, AT(deflate), "LEVEL", "compress columns, 0 (not) to 9 (default: 0)", NULL,
     NULL},
    {"firms", 0, PFX_OPT_INT, AT(firms), "N", "number of firms (default: 3500)", NULL, "Panel"},
    {"years", 0, PFX_OPT_TEXT, AT(years), "A:B",
     "first and last year, or a number of years from 2017 on (default: 2017:2023)", NULL, NULL},
    {"effect", 0, PFX_OPT_REAL, AT(effect), "B", "effect of IDC on EXPY that is planted (default: 0.3061)",
     NULL, NULL},
    {"treated-share", 0, PFX_OPT_REAL, AT(treated_share), "S",
     "share of firm-years with IDC = 1, 0 to 0.5 (default: 0.0179)", NULL, NULL},
    {"serial-correlation", 0, PFX_OPT_REAL, AT(serial_correlation), "R",
     "correlation of a firm's errors from year to year, between -1 and 1 (default: 0.3)", NULL, NULL},
    {"seed", 0, PFX_OPT_INT, AT(seed), "S", "seed; the same seed gives the same panel (default: 1)", NULL,
     NULL},
    {0},
};

/* "2017:2023", or "7" years from 2017 on. */
static pfx_status parse_years(const char *text, pfx_simulate_options *o, pfx_err *err)
{
    const char *colon = strchr(text, ':');
    pfx_idx a = o->year0, b = 0;
    bool ok = colon ? pfx_text_idx(text, (size_t)(colon - text), &a) &&
                          pfx_text_idx(colon + 1, strlen(colon + 1), &b)
                    : pfx_text_idx(text, strlen(text), &b) && b <= 1000;
    if (!colon) b += a - 1;
    if (!ok || a < 0 || a > 99999 || b < 0 || b > 99999)
        return pfx_fail(err, PFX_EUSAGE, "--years %s: want FIRST:LAST, as 2017:2023, or a number of years",
                        text);
    o->year0 = (int)a;
    o->year1 = (int)b;
    return PFX_OK;
}

static pfx_status put_command(pfx_row_sink *sink, int argc, char **argv, pfx_err *err)
{
    pfx_str line = {0};
    pfx_str_add(&line, "panelfx");
    for (int i = 0; i < argc; i++) pfx_str_addf(&line, " %s", argv[i]);
    pfx_status st = line.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the command line")
                                : sink->provenance(sink->ctx, "command", line.s, err);
    pfx_str_free(&line);
    return st;
}

static void report(const simulate_options *o, const pfx_simulate_info *info, double wall_s)
{
    pfx_note("wrote %s: %lld rows of %lld firms, %d columns, seed %lld; %lld treated rows in %lld firms",
             o->output, (long long)info->rows, (long long)info->firms, info->n_cols, (long long)o->seed,
             (long long)info->treated_rows, (long long)info->treated_firms);
    pfx_note("%.0f rows/s in all, %.0f rows/s generated on %lld thread%s", (double)info->rows / wall_s,
             (double)info->rows / info->generate_s, (long long)o->common.threads,
             o->common.threads == 1 ? "" : "s");
    if (!info->exact)
        pfx_note(
            "sizes and moments are Table 2's on average; only the default firms and years give them exactly");
    pfx_note("synthetic panel: nothing computed on it is a finding about firms");
}

static pfx_status simulate_run(int argc, char **argv, pfx_err *err)
{
    pfx_simulate_options s = pfx_simulate_defaults();
    simulate_options o = {.firms = s.firms,
                          .seed = (pfx_idx)s.seed,
                          .effect = s.effect,
                          .treated_share = s.treated_share,
                          .serial_correlation = s.serial_correlation};
    pfx_simulate_info info;
    pfx_row_sink sink = {0};
    int n_pos = 0;
    const double start = pfx_wall_s();
    pfx_status st = pfx_opt_parse(&pfx_cmd_simulate, argc, argv, &o, 0, 0, NULL, &n_pos, err);

    if (st || o.common.help) return st;
    if (!o.output) return pfx_fail(err, PFX_EUSAGE, "no output named: panelfx simulate -o PANEL.h5");
    if (o.seed < 0) return pfx_fail(err, PFX_EUSAGE, "--seed %lld: want 0 or more", (long long)o.seed);
    if (o.deflate < 0 || o.deflate > 9)
        return pfx_fail(err, PFX_EUSAGE, "--deflate %lld: want 0 to 9", (long long)o.deflate);
    if (o.years && (st = parse_years(o.years, &s, err))) return st;
    s.firms = o.firms;
    s.seed = (uint64_t)o.seed;
    s.effect = o.effect;
    s.treated_share = o.treated_share;
    s.serial_correlation = o.serial_correlation;
    s.n_vars = o.vars.n;
    s.vars = o.vars.v;
    s.memory = o.common.memory;
    s.nth = (int)o.common.threads;

    const pfx_panel_write_options w = {.deflate = (int)o.deflate, .force = o.common.force};
    if ((st = pfx_panel_sink(o.output, &w, &sink, err))) return st;
    if ((st = pfx_simulate(&s, &sink, &info, err)) == PFX_OK &&
        (st = put_command(&sink, argc, argv, err)) == PFX_OK && (st = sink.commit(sink.ctx, err)) == PFX_OK)
        report(&o, &info, pfx_wall_s() - start);
    sink.abort(sink.ctx);
    return st;
}

const pfx_command pfx_cmd_simulate = {
    "simulate",     "-o PANEL.h5", "a synthetic firm-year panel with planted effects",
    simulate_table, simulate_run,  NULL};
