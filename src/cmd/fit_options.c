/* Options of fit: the table, their checks, and the choice of a variance. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/text.h"
#include "src/cmd/fit_private.h"
#include "src/report/table.h"

static const char *const ssc_choices[] = {"fixest", "reghdfe", "stata", "none", NULL};
static const char *const kind_choices[] = {"analytic", "frequency", "probability", NULL};
static const char *const bracket_choices[] = {"t", "se", NULL};

#define AT(field) offsetof(fit_options, field)
const pfx_opt fit_table[] = {
    {"vcov", 0, PFX_OPT_TEXT, AT(vcov), "TYPE",
     "iid, hetero (or HC1), cluster (or CRV1), twoway, CRV3 or CV3J (jackknife), CR2, nw(LAG) (Newey-West), "
     "dk(LAG) "
     "(Driscoll-Kraay) (default: cluster by the panel's unit; iid where it has none)",
     NULL, "Standard errors"},
    {"cluster", 0, PFX_OPT_TEXT, AT(cluster), "VARS", "cluster variable, or two joined by + as firm+year",
     NULL, NULL},
    {"ssc", 0, PFX_OPT_CHOICE, AT(ssc), "RULE",
     "small-sample rule: fixest, reghdfe, stata (counts all dummies) or none (default: fixest)", ssc_choices,
     NULL},
    {"level", 0, PFX_OPT_REAL, AT(level), "P", "level of the confidence intervals (default: 0.95)", NULL,
     NULL},
    {"test", 0, PFX_OPT_LIST, AT(tests), "HYPOTHESIS",
     "Wald test of a linear hypothesis, as 'x1 - x2 = 0'; several joined by commas are tested together; may "
     "be repeated",
     NULL, NULL},
    {"where", 0, PFX_OPT_TEXT, AT(where), "EXPR",
     "keep the rows where EXPR holds, as 'year >= 2019 & prov == \"Anhui\"'", NULL, "Sample"},
    {"by", 0, PFX_OPT_TEXT, AT(by), "VAR", "one fit for each level of VAR", NULL, NULL},
    {"compare", 0, PFX_OPT_FLAG, AT(compare), NULL,
     "with --by: test that each coefficient is the same in all levels", NULL, NULL},
    {"permutations", 0, PFX_OPT_INT, AT(permutations), "R",
     "with --compare: permute the levels between clusters R times, 0: not (default: 999)", NULL, NULL},
    {"seed", 0, PFX_OPT_INT, AT(seed), "S", "with --compare: seed of the permutations (default: 1)", NULL,
     NULL},
    {"weights", 0, PFX_OPT_TEXT, AT(weights), "VAR", "weights: a column or an expression, not negative", NULL,
     NULL},
    {"weights-kind", 0, PFX_OPT_CHOICE, AT(weights_kind), "KIND",
     "analytic, frequency or probability (default: analytic)", kind_choices, NULL},
    {"keep-singletons", 0, PFX_OPT_FLAG, AT(keep_singletons), NULL,
     "keep rows that are alone in a level of an effect (default: drop and count them)", NULL, NULL},
    {"tol", 0, PFX_OPT_REAL, AT(tol), "X",
     "relative residual where effects are absorbed iteratively (default: 1e-10)", NULL, "Solver"},
    {"maxiter", 0, PFX_OPT_INT, AT(maxiter), "N", "most iterations there (default: 10000)", NULL, NULL},
    {"estimate", 0, PFX_OPT_FLAG, AT(estimate), NULL,
     "print the memory and the time that the fit needs, and stop", NULL, NULL},
    {"format", 0, PFX_OPT_CHOICE, AT(format), "FORMAT",
     "text, json, csv, latex, markdown or html (default: by the ending of -o, else text)", pfx_format_names,
     "Output"},
    {"output", 'o', PFX_OPT_TEXT, AT(output), "FILE",
     "write the table to FILE instead of standard output; with --save, the saved values", NULL, NULL},
    {"save", 0, PFX_OPT_NAMES, AT(save), "WHAT",
     "resid, fitted, effects: write them as CSV to the FILE of -o (effects beside it, in FILE.effects.csv); "
     "the table "
     "goes to standard output",
     NULL, NULL},
    {"brackets", 0, PFX_OPT_CHOICE, AT(brackets), "WHAT", "t or se below the coefficients (default: t)",
     bracket_choices, NULL},
    {"digits", 0, PFX_OPT_INT, AT(digits), "N", "digits behind the point in tables (default: 4)", NULL, NULL},
    {"title", 0, PFX_OPT_TEXT, AT(title), "TEXT", "title of the table", NULL, NULL},
    {0},
};

fit_options fit_defaults(void)
{
    return (fit_options){.ssc = PFX_SSC_FIXEST,
                         .level = 0.95,
                         .tol = 1e-10,
                         .maxiter = 10000,
                         .format = -1,
                         .digits = 4,
                         .permutations = FIT_UNSET,
                         .seed = FIT_UNSET};
}

pfx_status fit_check_options(const fit_options *o, pfx_err *err)
{
    if (!(o->level > 0 && o->level < 1))
        return pfx_fail(err, PFX_EUSAGE, "--level %g: want a number between 0 and 1, as 0.95", o->level);
    if (!(o->tol > 0 && o->tol < 1))
        return pfx_fail(err, PFX_EUSAGE, "--tol %g: want a number between 0 and 1", o->tol);
    if (o->maxiter < 1 || o->maxiter > 1000000000)
        return pfx_fail(err, PFX_EUSAGE, "--maxiter %lld: want 1 to 1000000000", (long long)o->maxiter);
    if (o->digits < 0 || o->digits > 15)
        return pfx_fail(err, PFX_EUSAGE, "--digits %lld: want 0 to 15", (long long)o->digits);
    if (o->weights_kind != 0 && !o->weights)
        return pfx_fail(err, PFX_EUSAGE, "--weights-kind needs --weights VAR");
    bool reps = o->permutations != FIT_UNSET, seed = o->seed != FIT_UNSET;
    if (!o->compare && (reps || seed))
        return pfx_fail(err, PFX_EUSAGE, "--%s belongs to --compare", seed ? "seed" : "permutations");
    if (reps && (o->permutations < 0 || o->permutations > 100000000))
        return pfx_fail(err, PFX_EUSAGE, "--permutations %lld: want 0 to 100000000",
                        (long long)o->permutations);
    if (seed && o->seed < 0)
        return pfx_fail(err, PFX_EUSAGE, "--seed %lld: want 0 or more", (long long)o->seed);
    if (o->compare && !o->by)
        return pfx_fail(err, PFX_EUSAGE, "--compare needs --by VAR: the groups to compare");
    return PFX_OK;
}

/* Cut "firm+year" at + (and at commas) into v->clusters. */
static pfx_status cut_clusters(const char *cluster, fit_vcov *v, pfx_err *err)
{
    if (strlen(cluster) >= sizeof v->text)
        return pfx_fail(err, PFX_EUSAGE, "--cluster: the text is too long");
    strcpy(v->text, cluster);
    for (char *s = v->text, *end; s; s = end) {
        end = strpbrk(s, "+,");
        if (end) *end++ = '\0';
        s += strspn(s, " \t");
        size_t n = strlen(s);
        while (n && (s[n - 1] == ' ' || s[n - 1] == '\t')) s[--n] = '\0';
        if (!n)
            return pfx_fail(err, PFX_EUSAGE, "--cluster %s: an empty name; write firm or firm+year", cluster);
        if (v->n_clusters == FIT_MAX_CLUSTERS)
            return pfx_fail(err, PFX_EUSAGE, "--cluster %s: more than two cluster variables", cluster);
        if (v->n_clusters && strcmp(v->clusters[0], s) == 0)
            return pfx_fail(err, PFX_EUSAGE, "--cluster %s: the same variable twice; write --cluster %s",
                            cluster, s);
        v->clusters[v->n_clusters++] = s;
    }
    return PFX_OK;
}

/* What stands before a parenthesis, without regard to case. */
static bool is_type(const char *text, size_t n, const char *name)
{
    return strlen(name) == n && strncasecmp(text, name, n) == 0;
}

/* "nw(3)": the lag in parentheses, of the types that have one. */
static pfx_status lag_of(const char *text, const char *open, fit_vcov *v, pfx_err *err)
{
    char *end = NULL;
    if (!pfx_vcov_is_hac(v->type))
        return pfx_fail(err, PFX_EUSAGE, "--vcov %s: only nw(LAG) and dk(LAG) take a number", text);
    long long lag = strtoll(open + 1, &end, 10);
    if (end == open + 1 || strcmp(end, ")") != 0 || lag < 0 || lag > 1000000)
        return pfx_fail(err, PFX_EUSAGE, "--vcov %s: want a lag of 0 or more in parentheses, as %s(2)", text,
                        pfx_vcov_name(v->type));
    v->fixed_lag = true;
    v->lag = lag;
    return PFX_OK;
}

static pfx_status parse_type(const char *text, fit_vcov *v, pfx_err *err)
{
    static const struct {
        const char *name;
        pfx_vcov_type type;
    } known[] = {{"iid", PFX_VCOV_IID},      {"hetero", PFX_VCOV_HC1},
                 {"HC1", PFX_VCOV_HC1},      {"cluster", PFX_VCOV_CLUSTER},
                 {"CRV1", PFX_VCOV_CLUSTER}, {"twoway", PFX_VCOV_TWOWAY},
                 {"CRV3", PFX_VCOV_CRV3},    {"CV3", PFX_VCOV_CRV3},
                 {"CV3J", PFX_VCOV_CV3J},    {"CRV3J", PFX_VCOV_CV3J},
                 {"CR2", PFX_VCOV_CR2},      {"nw", PFX_VCOV_NW},
                 {"dk", PFX_VCOV_DK}};
    const char *open = strchr(text, '(');
    size_t n = open ? (size_t)(open - text) : strlen(text);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!is_type(text, n, known[i].name)) continue;
        v->type = known[i].type;
        return open ? lag_of(text, open, v, err) : PFX_OK;
    }
    return pfx_fail(
        err, PFX_EUSAGE,
        "--vcov %s: choose from iid, hetero (HC1), cluster (CRV1), twoway, CRV3, CV3J, CR2, nw(LAG) and "
        "dk(LAG)",
        text);
}

/* The panel's unit and time, which Newey-West and Driscoll-Kraay take. */
static pfx_status hac_clusters(const fit_options *o, const pfx_panel_spec *panel, fit_vcov *v, pfx_err *err)
{
    if (o->cluster)
        return pfx_fail(err, PFX_EUSAGE,
                        "--vcov %s takes no --cluster but the panel's unit and time; leave one of them out",
                        o->vcov);
    bool has_unit = panel->unit && panel->unit[0], has_time = panel->time && panel->time[0];
    if (!has_time || (v->type == PFX_VCOV_NW && !has_unit))
        return pfx_fail(err, PFX_EUSAGE, "--vcov %s: the panel has no %s; import it with --%s VAR", o->vcov,
                        has_time ? "unit" : "time", has_time ? "unit" : "time");
    if (v->type == PFX_VCOV_NW) v->clusters[v->n_clusters++] = panel->unit;
    v->clusters[v->n_clusters++] = panel->time;
    return PFX_OK;
}

pfx_status fit_choose_vcov(const fit_options *o, const pfx_panel_spec *panel, fit_vcov *v, pfx_err *err)
{
    pfx_status st;
    bool has_unit = panel->unit && panel->unit[0], has_time = panel->time && panel->time[0];

    *v = (fit_vcov){.type = o->cluster || has_unit ? PFX_VCOV_CLUSTER : PFX_VCOV_IID};
    if (o->vcov && (st = parse_type(o->vcov, v, err))) return st;
    if (pfx_vcov_is_hac(v->type)) return hac_clusters(o, panel, v, err);
    if (v->type == PFX_VCOV_IID || v->type == PFX_VCOV_HC1) {
        if (o->cluster)
            return pfx_fail(err, PFX_EUSAGE, "--vcov %s takes no --cluster; leave one of them out", o->vcov);
        return PFX_OK;
    }
    if (o->cluster && (st = cut_clusters(o->cluster, v, err))) return st;
    if (!o->cluster && has_unit) v->clusters[v->n_clusters++] = panel->unit;
    if (!o->cluster && v->type == PFX_VCOV_TWOWAY && has_unit && has_time)
        v->clusters[v->n_clusters++] = panel->time;
    if (v->n_clusters == 0)
        return pfx_fail(err, PFX_EUSAGE,
                        "--vcov %s: the panel has no unit to cluster by; name one with --cluster VAR",
                        o->vcov);
    if (v->type == PFX_VCOV_TWOWAY && v->n_clusters < 2)
        return pfx_fail(err, PFX_EUSAGE, "--vcov twoway needs two cluster variables: --cluster firm+year");
    if (v->n_clusters == 2 && pfx_vcov_leaves_out(v->type))
        return pfx_fail(err, PFX_EUSAGE, "--vcov %s takes one cluster variable; --cluster %s names two",
                        o->vcov, o->cluster);
    if (v->n_clusters == 2) v->type = PFX_VCOV_TWOWAY;
    return PFX_OK;
}
