/* Options of a command: one table serves parsing, --help, man-page check and shell completion. */
#ifndef PFX_CMD_OPT_H
#define PFX_CMD_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include "src/base/status.h"
#include "src/base/text.h"

typedef enum pfx_opt_kind {
    PFX_OPT_FLAG,  /* bool */
    PFX_OPT_TEXT,  /* const char *: points into argv */
    PFX_OPT_LIST,  /* pfx_opt_list: may be repeated; a value is taken whole, commas and all */
    PFX_OPT_NAMES, /* pfx_opt_list: may be repeated, and each value is cut at its commas */
    PFX_OPT_INT,   /* pfx_idx */
    PFX_OPT_REAL,  /* double */
    PFX_OPT_SIZE,  /* size_t, "512M" */
    PFX_OPT_CHOICE /* int: index in choices */
} pfx_opt_kind;

typedef struct pfx_opt_list {
    int n;
    const char *v[64];
} pfx_opt_list;

typedef struct pfx_opt {
    const char *name; /* "cluster" for --cluster */
    char letter;      /* 'o' for -o, 0: none */
    pfx_opt_kind kind;
    size_t offset;              /* into the command's options struct, whose defaults the command has set */
    const char *arg;            /* "FILE" in --help; NULL for flags */
    const char *help;           /* one sentence, with the default */
    const char *const *choices; /* NULL-terminated, CHOICE only */
    const char *group;          /* heading in --help, NULL: same as before */
} pfx_opt;

/* Options every command has; a command's options struct starts with it. */
typedef struct pfx_common {
    bool help, quiet, force;
    pfx_idx threads;    /* resolved by pfx_opt_parse: >= 1 */
    size_t memory;      /* resolved: bytes */
    int progress, isa;  /* isa resolved to a pfx_isa */
    const char *tmpdir; /* resolved: --tmpdir, else TMPDIR, else /tmp */
    const char *isa_text;
} pfx_common;

/* A command, as main's table holds it. */
typedef struct pfx_command {
    const char *name;
    const char *args;       /* "PANEL.h5 FORMULA" */
    const char *summary;    /* one line */
    const pfx_opt *options; /* terminated by name == NULL; the common ones are added */
    pfx_status (*run)(int argc, char **argv, pfx_err *err);
    /* Tables that the command shares with others, NULL behind the last, or NULL: their offsets are into the
     * struct that the command's options struct starts with. */
    const pfx_opt *const *shared;
} pfx_command;
extern const pfx_command *const pfx_commands[]; /* NULL-terminated; src/cmd/commands.c */
extern const pfx_opt pfx_common_options[];      /* terminated by name == NULL */

/* The command's tables in the order of its help page: its own, the shared ones, the common one; NULL after
 * the last. */
const pfx_opt *pfx_opt_table(const pfx_command *c, int i);

/* The command of that name, or NULL. */
const pfx_command *pfx_command_find(const char *name);

/* The option that a word names: --name, --name=value, -o, -oVALUE; NULL: none of the command's. *value: what
 * follows in the word itself, or NULL. */
const pfx_opt *pfx_opt_find(const pfx_command *c, const char *word, const char **value);

/* Parse argv[1..] of a command into its options struct: `--name value`, `--name=value`, `-o value`, `--` ends
 * options. Positional arguments go to pos [max_pos] and *n_pos. Resolves the common ones, sets up log and
 * progress. --help prints and sets o->help, the caller then returns PFX_OK. USAGE: unknown option (suggests
 * the nearest), bad value, too many or too few positionals (min_pos), naming the command's usage line. */
pfx_status pfx_opt_parse(const pfx_command *c, int argc, char **argv, void *options, int min_pos, int max_pos,
                         const char **pos, int *n_pos, pfx_err *err) PFX_MUST;

/* What --help prints, appended to out. */
void pfx_opt_help(const pfx_command *c, pfx_str *out);

/* Free the names that PFX_OPT_NAMES values were cut into. Called once, by main, at the end. */
void pfx_opt_cleanup(void);

#endif
