/* The --help page of a command, from its table. */
#include "src/cmd/opt.h"

#include <string.h>

#include "src/base/text.h"

enum { PAGE_WIDTH = 92, HELP_COLUMN = 28 };

static void pad(pfx_str *out, int n)
{
    while (n-- > 0) pfx_str_add(out, " ");
}

/* Words of text from column `at` on, further lines indented to HELP_COLUMN. */
static void wrap(pfx_str *out, int at, const char *text)
{
    bool first = true;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (!first && at + 1 + (int)n > PAGE_WIDTH) {
            pfx_str_add(out, "\n");
            pad(out, HELP_COLUMN);
            at = HELP_COLUMN;
            first = true;
        }
        if (!first) {
            pfx_str_add(out, " ");
            at++;
        }
        pfx_str_addn(out, text, n);
        at += (int)n;
        first = false;
        text += n;
        while (*text == ' ') text++;
    }
    pfx_str_add(out, "\n");
}

static void one_option(const pfx_opt *o, pfx_str *out)
{
    pfx_str head = {0};
    if (o->letter)
        pfx_str_addf(&head, "  -%c, --%s", o->letter, o->name);
    else
        pfx_str_addf(&head, "      --%s", o->name);
    if (o->arg) pfx_str_addf(&head, " %s", o->arg);
    int at = (int)head.len;
    pfx_str_add(out, head.s ? head.s : "");
    if (head.failed) out->failed = true;
    if (at + 2 > HELP_COLUMN) {
        pfx_str_add(out, "\n");
        at = 0;
    }
    pad(out, HELP_COLUMN - at);
    wrap(out, HELP_COLUMN, o->help);
    pfx_str_free(&head);
}

static void options(const pfx_opt *o, const char *heading, pfx_str *out)
{
    for (; o && o->name; o++) {
        if (o->group) heading = o->group;
        if (heading) pfx_str_addf(out, "\n%s:\n", heading);
        heading = NULL;
        one_option(o, out);
    }
}

void pfx_opt_help(const pfx_command *c, pfx_str *out)
{
    pfx_str_addf(out, "Usage: panelfx %s%s%s [OPTIONS]\n\n%s\n", c->name, c->args[0] ? " " : "", c->args,
                 c->summary);
    const pfx_opt *table;
    for (int i = 0; (table = pfx_opt_table(c, i)); i++) options(table, i ? NULL : "Options", out);
}
