/* The placebo command: its options, and the run of schemes that draw and of the one that does not. */
#include "src/cmd/placebo.h"

#include <string.h>

#include "src/base/mem.h"
#include "src/cmd/commands.h"

static const char *const scheme_choices[] = {"permute", "random-date", "in-time", "within-period", NULL};
static const char *const stat_choices[] = {"t", "b", NULL};

#define AT(field) offsetof(placebo_options, field)
static const pfx_opt placebo_table[] = {
    {"treatment", 0, PFX_OPT_TEXT, AT(treatment), "VAR",
     "the treatment that is assigned anew, a numeric column; required", NULL, "Placebo"},
    {"scheme", 0, PFX_OPT_CHOICE, AT(scheme), "SCHEME",
     "permute, random-date, in-time or within-period (default: permute)", scheme_choices, NULL},
    {"coef", 0, PFX_OPT_TEXT, AT(coef), "NAME",
     "the tested coefficient (default: that of the only regressor made of the treatment)", NULL, NULL},
    {"stat", 0, PFX_OPT_CHOICE, AT(stat), "STAT",
     "what the p-value compares: t or b (default: t, b with --no-se)", stat_choices, NULL},
    {"no-se", 0, PFX_OPT_FLAG, AT(no_se), NULL,
     "draw no standard errors: the p-value is by b, in a fifth of the time", NULL, NULL},
    {"strata", 0, PFX_OPT_TEXT, AT(strata), "VAR",
     "units exchange treatments within its levels (default: units with the same first and last period)", NULL,
     NULL},
    {"assign-by", 0, PFX_OPT_TEXT, AT(assign_by), "VAR",
     "what is assigned as one, where it is not the cluster variable", NULL, NULL},
    {"assignments", 0, PFX_OPT_TEXT, AT(assignments), "FILE.csv",
     "draws of your own: columns draw, the unit, and adoption; see the man page", NULL, NULL},
    {"periods", 0, PFX_OPT_INT, AT(periods), "K", "in-time: adoption up to K periods earlier (default: 3)",
     NULL, NULL},
    {0},
};

static pfx_status check_options(const placebo_options *o, pfx_err *err)
{
    if (!o->treatment)
        return pfx_fail(err, PFX_EUSAGE,
                        "placebo needs --treatment VAR: the treatment that is assigned anew");
    if (o->no_se && o->stat == PLACEBO_T)
        return pfx_fail(err, PFX_EUSAGE, "--no-se: t needs standard errors; leave it out, or use --stat b");
    if (o->no_se && o->scheme == PFX_PLACEBO_IN_TIME)
        return pfx_fail(err, PFX_EUSAGE, "--scheme in-time draws nothing: leave --no-se out");
    pfx_status st = placebo_check_null(o->rep.null, o->stat, (pfx_placebo_scheme)o->scheme, err);
    if (st != PFX_OK) return st;
    if (o->periods < 1 || o->periods > 1000)
        return pfx_fail(err, PFX_EUSAGE, "--periods %lld: want 1 to 1000", (long long)o->periods);
    if (o->assignments && o->scheme != PFX_PLACEBO_PERMUTE)
        return pfx_fail(err, PFX_EUSAGE, "--assignments takes the draws from a file; leave --scheme out");
    if (o->assignments && o->strata)
        return pfx_fail(err, PFX_EUSAGE, "--assignments takes the draws from a file; leave --strata out");
    if (o->scheme == PFX_PLACEBO_IN_TIME && o->rep.output)
        return pfx_fail(err, PFX_EUSAGE, "--scheme in-time draws nothing: there is nothing to store with -o");
    if (o->scheme == PFX_PLACEBO_IN_TIME && (o->rep.estimate || o->rep.decided != 0))
        return pfx_fail(err, PFX_EUSAGE, "--scheme in-time draws nothing: leave %s out",
                        o->rep.estimate ? "--estimate" : "--stop-when-decided");
    return PFX_OK;
}

/* No draws: the fits are the result. */
static pfx_status in_time_command(rep_run *r, const char *panel, const char *formula, pfx_err *err)
{
    pfx_rep_report report = {0};
    pfx_status st = rep_check_options(r->o, err);
    if (st == PFX_OK) st = rep_open(r, panel, formula, err);
    if (st == PFX_OK) st = rep_load(r, err);
    if (st == PFX_OK) st = rep_report_begin(r, &report, err);
    if (st == PFX_OK) st = placebo_in_time_report(r, &report, err);
    if (st == PFX_OK) st = rep_report_print(r, &report, err);
    pfx_rep_report_free(&report);
    rep_free(r);
    return st;
}

static pfx_status run_scheme(placebo_options *o, const char *const pos[2], pfx_err *err)
{
    const char *term = o->coef ? o->coef : o->treatment; /* a name for it, until the formula is read */
    rep_run r = {.o = &o->rep, .own = o, .method = &placebo_methods[o->scheme], .n_terms = 1, .terms = &term};
    if (o->scheme == PFX_PLACEBO_IN_TIME) return in_time_command(&r, pos[0], pos[1], err);
    return rep_command(&r, pos[0], pos[1], err);
}

/* The treatment is a column, not a formula: its name stands bare or, as in the formula, in backticks. */
static pfx_status bare_name(const char **name, char **copy, pfx_err *err)
{
    size_t n = *name ? strlen(*name) : 0;
    if (n < 3 || (*name)[0] != '`' || (*name)[n - 1] != '`') return PFX_OK;
    if (!(*copy = pfx_mem_strdup(*name + 1, err))) return PFX_ENOMEM;
    (*copy)[n - 2] = '\0';
    *name = *copy;
    return PFX_OK;
}

static pfx_status placebo_run_command(int argc, char **argv, pfx_err *err)
{
    placebo_options o = {.rep = rep_defaults(), .stat = PLACEBO_DEFAULT, .periods = 3};
    const char *pos[2];
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_placebo, argc, argv, &o, 2, 2, pos, &n_pos, err);
    if (st || o.rep.common.help) return st;
    if (o.stat == PLACEBO_DEFAULT) o.stat = o.no_se ? PLACEBO_B : PLACEBO_T;
    if ((st = check_options(&o, err)) != PFX_OK) return st;
    if (o.assignments) o.scheme = PFX_PLACEBO_FILE;
    char *copy = NULL;
    if ((st = bare_name(&o.treatment, &copy, err)) == PFX_OK) st = run_scheme(&o, pos, err);
    pfx_mem_free(copy);
    return st;
}

const pfx_command pfx_cmd_placebo = {
    "placebo",     "PANEL.h5 FORMULA",  "placebo tests and randomisation inference for a treatment",
    placebo_table, placebo_run_command, rep_shared_options};
