/* The boot command: its options, and the choice of a method (boot_pairs.c). */
#include "src/cmd/boot.h"
#include "src/cmd/commands.h"

/* In the order of method_choices; NULL: not in this version. */
static const rep_method *const boot_methods[] = {&boot_pairs, NULL};
static const char *const method_choices[] = {"pairs", "wild", NULL};

#define AT(field) offsetof(boot_options, field)
static const pfx_opt boot_table[] = {
    {"coef", 0, PFX_OPT_NAMES, AT(coef), "NAMES", "coefficients to bootstrap, joined by commas; required",
     NULL, "Bootstrap"},
    {"method", 0, PFX_OPT_CHOICE, AT(method), "METHOD",
     "pairs resamples whole clusters (default: pairs); wild is not in this version", method_choices, NULL},
    {"ci", 0, PFX_OPT_NAMES, AT(ci), "KINDS", "percentile, basic, normal, bca, t (default: all)", NULL, NULL},
    {0},
};

static pfx_status boot_run_command(int argc, char **argv, pfx_err *err)
{
    boot_options o = {.rep = rep_defaults()};
    const char *pos[2];
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_boot, argc, argv, &o, 2, 2, pos, &n_pos, err);
    if (st || o.rep.common.help) return st;
    if (!boot_methods[o.method])
        return pfx_fail(err, PFX_EUSAGE, "--method %s is not in this version; use --method pairs",
                        method_choices[o.method]);
    if (o.coef.n == 0)
        return pfx_fail(err, PFX_EUSAGE, "boot needs --coef NAME: the coefficient to bootstrap");
    rep_run r = {
        .o = &o.rep, .own = &o, .method = boot_methods[o.method], .n_terms = o.coef.n, .terms = o.coef.v};
    return rep_command(&r, pos[0], pos[1], err);
}

const pfx_command pfx_cmd_boot = {"boot",     "PANEL.h5 FORMULA", "pairs cluster bootstrap of coefficients",
                                  boot_table, boot_run_command,   rep_shared_options};
