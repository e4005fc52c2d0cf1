/* Commands about the program itself: help and version. */
#include <gsl/gsl_version.h>
#include <cblas.h>
#include <cholmod.h>
#include <csv.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "hdf5_io/panel.h"
#include "src/base/cpu.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/text.h"
#include "src/base/version.h"
#include "src/cmd/commands.h"

/* To standard output; these pages end with themselves, without a closing line. */
static pfx_status print(pfx_str *out, pfx_err *err)
{
    pfx_status st = out->failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for a page of text")
                                : pfx_file_write_text(NULL, out->s, out->len, false, err);
    pfx_str_free(out);
    pfx_log_setup(true, PFX_PROGRESS_NEVER);
    return st;
}

typedef struct help_options {
    pfx_common common;
    bool options;
} help_options;

static const pfx_opt help_table[] = {
    {"options", 0, PFX_OPT_FLAG, offsetof(help_options, options), NULL,
     "list the options of COMMAND, one a line, for scripts", NULL, NULL},
    {0},
};

static void list_options(const pfx_command *c, pfx_str *out)
{
    const pfx_opt *o;
    for (int i = 0; (o = pfx_opt_table(c, i)); i++)
        for (; o->name; o++) pfx_str_addf(out, "--%s\n", o->name);
}

static void list_commands(pfx_str *out)
{
    pfx_str_add(
        out,
        "Usage: panelfx COMMAND ARGUMENTS [OPTIONS]\n\n"
        "Fixed-effects regressions with cluster-robust standard errors on panels in HDF5.\n\nCommands:\n");
    for (int i = 0; pfx_commands[i]; i++)
        pfx_str_addf(out, "  %-12s %s\n", pfx_commands[i]->name, pfx_commands[i]->summary);
    pfx_str_add(out,
                "\npanelfx COMMAND --help tells the options of a command; man panelfx-COMMAND tells more.\n");
}

static pfx_status help_run(int argc, char **argv, pfx_err *err)
{
    help_options o = {0};
    const char *pos[1];
    int n_pos = 0;
    pfx_str out = {0};
    /* `panelfx --help` comes here with its own name as the first word. */
    bool bare = argc < 1 || argv[0][0] == '-';
    pfx_status st = bare ? PFX_OK : pfx_opt_parse(&pfx_cmd_help, argc, argv, &o, 0, 1, pos, &n_pos, err);

    if (st || o.common.help) return st;
    const pfx_command *c = n_pos ? pfx_command_find(pos[0]) : NULL;
    if (n_pos && !c) return pfx_fail(err, PFX_EUSAGE, "unknown command %s; panelfx help lists them", pos[0]);
    if (!c && o.options)
        return pfx_fail(err, PFX_EUSAGE, "--options needs a command: panelfx help --options COMMAND");
    if (!c) {
        list_commands(&out);
    } else if (o.options) {
        list_options(c, &out);
    } else {
        pfx_opt_help(c, &out);
    }
    return print(&out, err);
}

const pfx_command pfx_cmd_help = {"help",     "[COMMAND]", "the commands, or the options of one",
                                  help_table, help_run,    NULL};

static pfx_status version_run(int argc, char **argv, pfx_err *err)
{
    pfx_common o = {0};
    int n_pos = 0;
    pfx_str out = {0};
    pfx_status st =
        argv[0][0] == '-' ? PFX_OK : pfx_opt_parse(&pfx_cmd_version, argc, argv, &o, 0, 0, NULL, &n_pos, err);

    if (st || o.help) return st;
    pfx_str_addf(&out, "panelfx %s\n", PFX_VERSION);
    pfx_str_addf(&out, "HDF5 %s\n", pfx_h5_version());
    pfx_str_addf(&out, "%s\n", openblas_get_config());
    pfx_str_addf(&out, "SuiteSparse %d.%d.%d\n", SUITESPARSE_MAIN_VERSION, SUITESPARSE_SUB_VERSION,
                 SUITESPARSE_SUBSUB_VERSION);
    pfx_str_addf(&out, "GSL %s\n", gsl_version);
    pfx_str_addf(&out, "jansson %s\n", JANSSON_VERSION);
    pfx_str_addf(&out, "libcsv %d.%d\n", CSV_MAJOR, CSV_MINOR);
    pfx_str_addf(&out, "libyaml %s\n", yaml_get_version_string());
    pfx_str_addf(&out, "compiler %s\n", __VERSION__);
    pfx_str_addf(&out, "kernels %s on %s\n", pfx_isa_name(pfx_cpu_best()), pfx_cpu_model());
    return print(&out, err);
}

static const pfx_opt no_options[] = {{0}};
const pfx_command pfx_cmd_version = {"version",  "",          "versions of the program and its libraries",
                                     no_options, version_run, NULL};
