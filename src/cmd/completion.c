/* Shell completion, from the tables of the commands. */
#include <stdio.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/text.h"
#include "src/cmd/commands.h"

typedef void (*option_fn)(const pfx_command *c, const pfx_opt *o, pfx_str *out);

static void each_option(const pfx_command *c, option_fn fn, pfx_str *out)
{
    const pfx_opt *o;
    for (int i = 0; (o = pfx_opt_table(c, i)); i++)
        for (; o->name; o++) fn(c, o, out);
}

static void bash_name(const pfx_command *c, const pfx_opt *o, pfx_str *out)
{
    (void)c;
    pfx_str_addf(out, " --%s", o->name);
}

static void bash_choices(const pfx_command *c, const pfx_opt *o, pfx_str *out)
{
    if (o->kind != PFX_OPT_CHOICE) return;
    pfx_str_addf(out, "    %s:--%s) words='", c->name, o->name);
    for (int i = 0; o->choices[i]; i++) pfx_str_addf(out, "%s%s", i ? " " : "", o->choices[i]);
    pfx_str_add(out, "' ;;\n");
}

static void bash(pfx_str *out)
{
    pfx_str_add(
        out, "# bash completion of panelfx: source it, or place it in bash-completion/completions.\n"
             "_panelfx() {\n"
             "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd=${COMP_WORDS[1]}\n"
             "    local words=\n    COMPREPLY=()\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words='");
    for (int i = 0; pfx_commands[i]; i++) pfx_str_addf(out, "%s%s", i ? " " : "", pfx_commands[i]->name);
    pfx_str_add(
        out, " --help --version'\n        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n        return\n"
             "    fi\n    case \"$cmd:$prev\" in\n    help:*) words='");
    for (int i = 0; pfx_commands[i]; i++) pfx_str_addf(out, "%s%s", i ? " " : "", pfx_commands[i]->name);
    pfx_str_add(out, "' ;;\n");
    for (int i = 0; pfx_commands[i]; i++) each_option(pfx_commands[i], bash_choices, out);
    pfx_str_add(out, "    esac\n    if [ -z \"$words\" ]; then\n        case \"$cmd:$cur\" in\n");
    for (int i = 0; pfx_commands[i]; i++) {
        pfx_str_addf(out, "        %s:-*) words='", pfx_commands[i]->name);
        each_option(pfx_commands[i], bash_name, out);
        pfx_str_add(out, "' ;;\n");
    }
    pfx_str_add(out, "        esac\n    fi\n    if [ -n \"$words\" ]; then\n"
                     "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n    else\n"
                     "        COMPREPLY=($(compgen -f -- \"$cur\"))\n    fi\n}\n"
                     "complete -o filenames -F _panelfx panelfx\n");
}

/* In a zsh specification ' ends the word, and [ ] : have a meaning. */
static void zsh_text(const char *s, pfx_str *out)
{
    for (; *s; s++) {
        if (*s == '\'')
            pfx_str_add(out, "'\\''");
        else if (strchr("[]:\\", *s))
            pfx_str_addf(out, "\\%c", *s);
        else
            pfx_str_addn(out, s, 1);
    }
}

static void zsh_option(const pfx_command *c, const pfx_opt *o, pfx_str *out)
{
    (void)c;
    bool many = o->kind == PFX_OPT_LIST || o->kind == PFX_OPT_NAMES;
    pfx_str_addf(out, "            '%s--%s[", many ? "*" : "", o->name);
    zsh_text(o->help, out);
    pfx_str_add(out, "]");
    if (o->kind == PFX_OPT_CHOICE) {
        pfx_str_addf(out, ":%s:(", o->arg ? o->arg : "");
        for (int i = 0; o->choices[i]; i++) pfx_str_addf(out, "%s%s", i ? " " : "", o->choices[i]);
        pfx_str_add(out, ")");
    } else if (o->kind != PFX_OPT_FLAG) {
        pfx_str_addf(out, ":%s:%s", o->arg ? o->arg : "",
                     o->arg && strcmp(o->arg, "FILE") == 0 ? "_files" : "");
    }
    pfx_str_add(out, "' \\\n");
}

static void zsh(pfx_str *out)
{
    pfx_str_add(out, "#compdef panelfx\n"
                     "# zsh completion of panelfx: place it as _panelfx in a folder of fpath.\n"
                     "_panelfx() {\n    local -a commands\n    commands=(\n");
    for (int i = 0; pfx_commands[i]; i++) {
        pfx_str_addf(out, "        '%s:", pfx_commands[i]->name);
        zsh_text(pfx_commands[i]->summary, out);
        pfx_str_add(out, "'\n");
    }
    pfx_str_add(out,
                "    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n        return\n"
                "    fi\n    case ${words[2]} in\n");
    for (int i = 0; pfx_commands[i]; i++) {
        pfx_str_addf(out, "    %s)\n        shift words\n        (( CURRENT-- ))\n        _arguments \\\n",
                     pfx_commands[i]->name);
        each_option(pfx_commands[i], zsh_option, out);
        pfx_str_add(out, "            '*:file:_files'\n        ;;\n");
    }
    pfx_str_add(out, "    esac\n}\n_panelfx \"$@\"\n");
}

static pfx_status completion_run(int argc, char **argv, pfx_err *err)
{
    pfx_common o = {0};
    const char *pos[1];
    int n_pos = 0;
    pfx_str out = {0};
    pfx_status st = pfx_opt_parse(&pfx_cmd_completion, argc, argv, &o, 1, 1, pos, &n_pos, err);

    if (st || o.help) return st;
    if (strcmp(pos[0], "bash") == 0)
        bash(&out);
    else if (strcmp(pos[0], "zsh") == 0)
        zsh(&out);
    else
        return pfx_fail(err, PFX_EUSAGE, "no completion for %s; choose bash or zsh", pos[0]);
    st = out.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the completion script")
                    : pfx_file_write_text(NULL, out.s, out.len, false, err);
    pfx_str_free(&out);
    pfx_log_setup(true, PFX_PROGRESS_NEVER);
    return st;
}

static const pfx_opt no_options[] = {{0}};
const pfx_command pfx_cmd_completion = {"completion", "bash|zsh",     "completion script for a shell",
                                        no_options,   completion_run, NULL};
