/* The table of commands, in the order of `panelfx help`: one line each. */
#include "src/cmd/commands.h"

#include <string.h>

/* clang-format off */
const pfx_command *const pfx_commands[] = {
    &pfx_cmd_import,
    &pfx_cmd_simulate,
    &pfx_cmd_info,
    &pfx_cmd_summary,
    &pfx_cmd_fit,
    &pfx_cmd_boot,
    &pfx_cmd_event,
    &pfx_cmd_match,
    &pfx_cmd_transform,
    &pfx_cmd_placebo,
    &pfx_cmd_jackknife,
    &pfx_cmd_inference,
    &pfx_cmd_plot,
    &pfx_cmd_plan,
    &pfx_cmd_run_plan,
    &pfx_cmd_merge,
    &pfx_cmd_bench,
    &pfx_cmd_help,
    &pfx_cmd_version,
    &pfx_cmd_completion,
    NULL,
};
/* clang-format on */

const pfx_command *pfx_command_find(const char *name)
{
    for (int i = 0; pfx_commands[i]; i++)
        if (strcmp(pfx_commands[i]->name, name) == 0) return pfx_commands[i];
    return NULL;
}
