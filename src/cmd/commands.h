/* Every command of the program. A new one is declared here and gets its line in commands.c. */
#ifndef PFX_CMD_COMMANDS_H
#define PFX_CMD_COMMANDS_H

#include "src/cmd/opt.h"

extern const pfx_command pfx_cmd_import;
extern const pfx_command pfx_cmd_simulate;
extern const pfx_command pfx_cmd_info;
extern const pfx_command pfx_cmd_summary;
extern const pfx_command pfx_cmd_fit;
extern const pfx_command pfx_cmd_boot;
extern const pfx_command pfx_cmd_event;
extern const pfx_command pfx_cmd_match;
extern const pfx_command pfx_cmd_transform;
extern const pfx_command pfx_cmd_placebo;
extern const pfx_command pfx_cmd_jackknife;
extern const pfx_command pfx_cmd_inference;
extern const pfx_command pfx_cmd_plot;
extern const pfx_command pfx_cmd_plan;
extern const pfx_command pfx_cmd_run_plan;
extern const pfx_command pfx_cmd_merge;
extern const pfx_command pfx_cmd_bench;
extern const pfx_command pfx_cmd_help;
extern const pfx_command pfx_cmd_version;
extern const pfx_command pfx_cmd_completion;

#endif
