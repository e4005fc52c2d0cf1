/* Options that boot, placebo and jackknife share. */
#include "src/cmd/replicate.h"

static const char *const ssc_choices[] = {"fixest", "reghdfe", "stata", "none", NULL};
static const char *const kind_choices[] = {"analytic", "frequency", "probability", NULL};
static const char *const format_choices[] = {"text", "json", NULL};

#define AT(field) offsetof(rep_options, field)
const pfx_opt rep_draw_options[] = {
    {"reps", 0, PFX_OPT_INT, AT(reps), "R", "replicates (default: 9999)", NULL, "Draws"},
    {"seed", 0, PFX_OPT_INT, AT(seed), "S", "seed of the random numbers (default: 1)", NULL, NULL},
    {"output", 'o', PFX_OPT_TEXT, AT(output), "DRAWS.h5", "store every draw in this file", NULL, NULL},
    {0},
};

const pfx_opt rep_model_options[] = {
    {"null", 0, PFX_OPT_REAL, AT(null), "H0", "value that the p-value is for (default: 0)", NULL,
     "Model and sample"},
    {"level", 0, PFX_OPT_REAL, AT(level), "P", "level of the intervals (default: 0.95)", NULL, NULL},
    {"cluster", 0, PFX_OPT_TEXT, AT(cluster), "VAR", "cluster variable (default: the panel's unit)", NULL,
     NULL},
    {"ssc", 0, PFX_OPT_CHOICE, AT(ssc), "RULE",
     "small-sample rule of the full-sample fit: fixest, reghdfe, stata or none (default: fixest)",
     ssc_choices, NULL},
    {"where", 0, PFX_OPT_TEXT, AT(where), "EXPR", "keep the rows where EXPR holds", NULL, NULL},
    {"weights", 0, PFX_OPT_TEXT, AT(weights), "VAR", "weights: a column or an expression, not negative", NULL,
     NULL},
    {"weights-kind", 0, PFX_OPT_CHOICE, AT(weights_kind), "KIND",
     "analytic, frequency or probability (default: analytic)", kind_choices, NULL},
    {"keep-singletons", 0, PFX_OPT_FLAG, AT(keep_singletons), NULL,
     "keep rows that are alone in a level of an effect (default: drop and count them)", NULL, NULL},
    {"tol", 0, PFX_OPT_REAL, AT(tol), "X",
     "relative residual where effects are absorbed iteratively (default: 1e-10)", NULL, NULL},
    {"maxiter", 0, PFX_OPT_INT, AT(maxiter), "N", "most iterations there (default: 10000)", NULL, NULL},
    {"format", 0, PFX_OPT_CHOICE, AT(format), "FORMAT", "text or json on standard output (default: text)",
     format_choices, NULL},
    {0},
};

const pfx_opt *const rep_shared_options[] = {rep_draw_options, rep_model_options, NULL};

rep_options rep_defaults(void)
{
    fit_options f = fit_defaults();
    return (rep_options){
        .reps = 9999, .seed = 1, .ssc = f.ssc, .level = f.level, .tol = f.tol, .maxiter = f.maxiter};
}

pfx_status rep_check_options(const rep_options *o, pfx_err *err)
{
    fit_options f = fit_defaults();
    if (o->reps < 1) return pfx_fail(err, PFX_EUSAGE, "--reps %lld: want at least 1", (long long)o->reps);
    if (o->seed < 0) return pfx_fail(err, PFX_EUSAGE, "--seed %lld: want 0 or more", (long long)o->seed);
    f.level = o->level;
    f.tol = o->tol;
    f.maxiter = o->maxiter;
    f.weights = o->weights;
    f.weights_kind = o->weights_kind;
    return fit_check_options(&f, err);
}
