/* The boot command: its options, and the choice of a method (boot_pairs.c). */
#include "src/cmd/boot.h"
#include "src/cmd/commands.h"

/* In the order of method_choices; the first is the default. */
static const rep_method *const boot_methods[] = {&boot_wild, &boot_pairs};
static const char *const method_choices[] = {"wild", "pairs", NULL};
static const char *const type_choices[] = {"11", "13", "31", "33", NULL};
static const char *const weights_choices[] = {"rademacher", "webb", "mammen", "normal", "gamma", NULL};
static const char *const draw_choices[] = {"multinomial", "bayes", NULL};
static const char *const p_choices[] = {"symmetric", "equal-tailed", "left", "right", NULL};

#define AT(field) offsetof(boot_options, field)
static const pfx_opt boot_table[] = {
    {"coef", 0, PFX_OPT_NAMES, AT(coef), "NAMES", "coefficients to bootstrap, joined by commas; required",
     NULL, "Bootstrap"},
    {"method", 0, PFX_OPT_CHOICE, AT(method), "METHOD",
     "wild weights the residuals of clusters, pairs resamples whole clusters (default: wild)", method_choices,
     NULL},
    {"ci", 0, PFX_OPT_NAMES, AT(ci), "KINDS",
     "wild: invert or none (default: invert); pairs: percentile, basic, normal, bca, t (default: all)", NULL,
     NULL},
    {"draw", 0, PFX_OPT_CHOICE, AT(draw), "KIND",
     "multinomial: clusters with replacement; bayes: exponential weights of all clusters (default: "
     "multinomial)",
     draw_choices, "Pairs bootstrap"},
    {"subsample", 0, PFX_OPT_INT, AT(subsample), "M",
     "draw M clusters, not as many as there are; standard errors and intervals are rescaled by sqrt(M/G)",
     NULL, NULL},
    {"type", 0, PFX_OPT_CHOICE, AT(type), "TYPE",
     "11, 13, 31 or 33: first digit the residuals, second the variance; 3 leaves the cluster out (default: "
     "11)",
     type_choices, "Wild bootstrap"},
    {"unrestricted", 0, PFX_OPT_FLAG, AT(unrestricted), NULL,
     "residuals of the full model (WCU), not of the null (WCR)", NULL, NULL},
    {"weights-type", 0, PFX_OPT_CHOICE, AT(weights_type), "DIST",
     "rademacher, webb, mammen, normal or gamma (default: rademacher)", weights_choices, NULL},
    {"ptype", 0, PFX_OPT_CHOICE, AT(ptype), "KIND",
     "symmetric, equal-tailed, left or right p-value and interval (default: symmetric)", p_choices, NULL},
    {"joint", 0, PFX_OPT_FLAG, AT(joint), NULL, "one test that all coefficients are H0, by F", NULL, NULL},
    {"bootcluster", 0, PFX_OPT_TEXT, AT(bootcluster), "VAR",
     "what shares one weight, finer or coarser than --cluster (default: that; of two, the one with more "
     "clusters)",
     NULL, NULL},
    {0},
};

/* Options that the other method has not. */
static pfx_status check_method(const boot_options *o, pfx_err *err)
{
    const char *wild_only = o->type           ? "--type"
                            : o->unrestricted ? "--unrestricted"
                            : o->weights_type ? "--weights-type"
                            : o->ptype        ? "--ptype"
                            : o->joint        ? "--joint"
                            : o->bootcluster  ? "--bootcluster"
                                              : NULL;
    if (o->coef.n == 0)
        return pfx_fail(err, PFX_EUSAGE, "boot needs --coef NAME: the coefficient to bootstrap");
    if (boot_methods[o->method] == &boot_pairs && wild_only)
        return pfx_fail(err, PFX_EUSAGE, "%s is of --method wild; pairs has no such thing", wild_only);
    const char *pairs_only = o->draw ? "--draw" : o->subsample != BOOT_ALL ? "--subsample" : NULL;
    if (boot_methods[o->method] != &boot_pairs && pairs_only)
        return pfx_fail(err, PFX_EUSAGE, "%s is of --method pairs; wild has no such thing", pairs_only);
    return PFX_OK;
}

static pfx_status boot_run_command(int argc, char **argv, pfx_err *err)
{
    boot_options o = {.rep = rep_defaults(), .subsample = BOOT_ALL};
    const char *pos[2];
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_boot, argc, argv, &o, 2, 2, pos, &n_pos, err);
    if (st || o.rep.common.help) return st;
    if ((st = check_method(&o, err)) != PFX_OK) return st;
    rep_run r = {
        .o = &o.rep, .own = &o, .method = boot_methods[o.method], .n_terms = o.coef.n, .terms = o.coef.v};
    pfx_str all = {0};
    const char *name = NULL;
    if (o.joint) { /* one test, of this name */
        for (int t = 0; t < o.coef.n; t++) pfx_str_addf(&all, "%s%s", t ? ", " : "", o.coef.v[t]);
        if (all.failed) st = pfx_fail(err, PFX_ENOMEM, "out of memory for a name");
        name = all.s;
        r.n_terms = 1;
        r.terms = &name;
    }
    if (st == PFX_OK) st = rep_command(&r, pos[0], pos[1], err);
    pfx_str_free(&all);
    return st;
}

const pfx_command pfx_cmd_boot = {
    "boot",     "PANEL.h5 FORMULA", "wild or pairs cluster bootstrap of coefficients",
    boot_table, boot_run_command,   rep_shared_options};
