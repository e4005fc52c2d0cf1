/* bench/coverage: a table of coverage, length and size for panels with few treated firms. */
#include <math.h>
#include <stdio.h>
#include "bench/coverage/coverage.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/cmd/opt.h"
#include "src/report/table.h"

enum { MAX_TREATED = 8 };

typedef struct coverage_options {
    pfx_common common;
    pfx_idx panels, reps, seed, firms;
    pfx_opt_list treated;
    int format;
} coverage_options;

#define AT(field) offsetof(coverage_options, field)
static const pfx_opt table[] = {
    {"panels", 0, PFX_OPT_INT, AT(panels), "N", "panels of each kind (default: 1000)", NULL, "Simulation"},
    {"reps", 0, PFX_OPT_INT, AT(reps), "R", "replicates of each method on each panel (default: 999)", NULL,
     NULL},
    {"firms", 0, PFX_OPT_INT, AT(firms), "G", "firms of a panel (default: 60)", NULL, NULL},
    {"treated", 0, PFX_OPT_NAMES, AT(treated), "NUMBERS", "treated firms (default: 1,3,6,12,30)", NULL, NULL},
    {"seed", 0, PFX_OPT_INT, AT(seed), "S", "seed of the random numbers (default: 1)", NULL, NULL},
    {"format", 0, PFX_OPT_CHOICE, AT(format), "FORMAT", "text, json, csv, latex, markdown or html",
     pfx_format_names, NULL},
    {0},
};

typedef struct study {
    const coverage_options *o;
    int n;
    pfx_idx treated[MAX_TREATED];
    cover_summary cell[MAX_TREATED][COVER_METHODS];
} study;

static pfx_status read_treated(study *s, pfx_err *err)
{
    static const pfx_idx usual[] = {1, 3, 6, 12, 30};
    const pfx_opt_list *l = &s->o->treated;
    s->n = l->n ? l->n : 5;
    if (s->n > MAX_TREATED)
        return pfx_fail(err, PFX_EUSAGE, "--treated: at most %d numbers", (int)MAX_TREATED);
    for (int i = 0; i < s->n; i++) {
        long long v = usual[i % 5];
        char rest;
        if (l->n && sscanf(l->v[i], "%lld%c", &v, &rest) != 1)
            return pfx_fail(err, PFX_EUSAGE, "--treated %s: want whole numbers, as 1,3,12", l->v[i]);
        if (v < 1 || v > s->o->firms)
            return pfx_fail(err, PFX_EUSAGE, "--treated %lld: want 1 to %lld, the firms of a panel", v,
                            (long long)s->o->firms);
        s->treated[i] = v;
    }
    return PFX_OK;
}

static pfx_status check(const coverage_options *o, pfx_err *err)
{
    if (o->panels < 1 || o->panels >= 1 << 24)
        return pfx_fail(err, PFX_EUSAGE, "--panels %lld: want 1 to 16777215", (long long)o->panels);
    if (o->reps < 19 || o->reps > 1000000)
        return pfx_fail(err, PFX_EUSAGE, "--reps %lld: want 19 to 1000000", (long long)o->reps);
    if (o->firms < 20 || o->firms > 60000)
        return pfx_fail(err, PFX_EUSAGE, "--firms %lld: want 20 to 60000", (long long)o->firms);
    return PFX_OK;
}

typedef enum measure { COVERAGE, SIZE, LENGTH, MEASURES } measure;
static const char *const titles[MEASURES] = {"Coverage of 95 % intervals", "Size at 5 %",
                                             "Mean length of 95 % intervals"};

/* "0.947 (0.007)", or a length with the share of intervals that have none. */
static void put_cell(pfx_table *t, measure m, const cover_summary *c)
{
    char text[64];
    double x = NAN, n = (double)(m == SIZE ? c->tests : c->sets);
    if (n > 0 && m != LENGTH) x = (double)(m == SIZE ? c->rejects : c->covers) / n;
    if (n == 0)
        snprintf(text, sizeof text, "%s", "");
    else if (m != LENGTH)
        snprintf(text, sizeof text, "%.3f (%.3f)", x, sqrt(x * (1 - x) / n));
    else if (c->bounded < c->sets) {
        double share = 100 * (1 - (double)c->bounded / n);
        if (share < 0.5)
            snprintf(text, sizeof text, "%.2f [under 1 %% unbounded]", c->length);
        else
            snprintf(text, sizeof text, "%.2f [%.0f %% unbounded]", c->length, share);
    } else
        snprintf(text, sizeof text, "%.2f", c->length);
    pfx_table_text(t, text);
}

static bool says_something(const study *s, measure m, int method)
{
    for (int i = 0; i < s->n; i++)
        if (m == SIZE ? s->cell[i][method].tests : s->cell[i][method].sets) return true;
    return false;
}

static pfx_status print_measure(const study *s, measure m, pfx_str *out, pfx_err *err)
{
    pfx_table *t = pfx_table_create(1 + s->n, err);
    char text[96];
    if (!t) return PFX_ENOMEM;
    snprintf(text, sizeof text, "%s, %lld firms", titles[m], (long long)s->o->firms);
    pfx_table_title(t, text);
    pfx_table_heading(t);
    pfx_table_text(t, "Treated firms");
    for (int i = 0; i < s->n; i++) pfx_table_int(t, s->treated[i]);
    for (int k = 0; k < COVER_METHODS; k++) {
        if (!says_something(s, m, k)) continue;
        pfx_table_row(t);
        pfx_table_text(t, cover_names[k]);
        for (int i = 0; i < s->n; i++) put_cell(t, m, &s->cell[i][k]);
    }
    pfx_table_note(t, m == LENGTH ? "Of the bounded ones; in brackets how many are not."
                                  : "In brackets: standard error of the simulation.");
    pfx_status st = pfx_table_render(t, (pfx_format)s->o->format, 0, out, err);
    pfx_str_add(out, "\n");
    pfx_table_free(t);
    return st;
}

/* Panels on which a method says nothing are left out of its shares: how many. */
static void count_silent(const study *s, pfx_str *out)
{
    for (int i = 0; i < s->n; i++)
        for (int k = 0; k < COVER_METHODS; k++) {
            const cover_summary *c = &s->cell[i][k];
            pfx_idx silent = s->o->panels - (k == COVER_PLACEBO_T ? c->tests : c->sets);
            if (silent)
                pfx_str_addf(out, "%lld treated, %s: nothing to say on %lld of %lld panels, left out.\n",
                             (long long)s->treated[i], cover_names[k], (long long)silent,
                             (long long)s->o->panels);
        }
}

static pfx_status run(int argc, char **argv, pfx_err *err);
static const pfx_command command = {"coverage", "",  "coverage of intervals where few firms are treated",
                                    table,      run, NULL};

static pfx_status run(int argc, char **argv, pfx_err *err)
{
    coverage_options o = {.panels = 1000, .reps = 999, .seed = 1, .firms = 60};
    study s = {.o = &o};
    pfx_str out = {0};
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&command, argc, argv, &o, 0, 0, NULL, &n_pos, err);
    if (st || o.common.help) return st;
    if ((st = check(&o, err)) != PFX_OK || (st = read_treated(&s, err)) != PFX_OK) return st;
    for (int i = 0; i < s.n && st == PFX_OK; i++) {
        const cover_cell c = {.G = o.firms,
                              .treated = s.treated[i],
                              .panels = o.panels,
                              .reps = o.reps,
                              .seed = (uint64_t)o.seed,
                              .nth = (int)o.common.threads,
                              .isa = (pfx_isa)o.common.isa};
        st = cover_cell_run(&c, s.cell[i], NULL, err);
    }
    for (int m = 0; m < MEASURES && st == PFX_OK; m++) st = print_measure(&s, (measure)m, &out, err);
    if (st == PFX_OK) {
        count_silent(&s, &out);
        printf("%s%lld panels of each kind, %lld replicates, seed %lld.\n", out.s, (long long)o.panels,
               (long long)o.reps, (long long)o.seed);
    }
    pfx_str_free(&out);
    return st;
}

int main(int argc, char **argv)
{
    pfx_err err = {0};
    pfx_status st = pfx_par_single_thread_blas(&err);
    if (st == PFX_OK) st = run(argc, argv, &err);
    if (st != PFX_OK)
        fprintf(stderr, "coverage: %s\n", err.msg);
    else
        pfx_log_closing("bench", "coverage");
    pfx_opt_cleanup();
    return pfx_status_exit_code(st);
}
