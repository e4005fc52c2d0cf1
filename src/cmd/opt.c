/* Options from tables: parsing and the resolution of the common ones. Help is in opt_help.c. */
#include "src/cmd/opt.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/cpu.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"
#include "src/base/text.h"

static const char *const progress_choices[] = {"auto", "always", "never", NULL};

const pfx_opt pfx_common_options[] = {
    {"threads", 0, PFX_OPT_INT, offsetof(pfx_common, threads), "N",
     "threads to use (default: SLURM_CPUS_PER_TASK, else the CPUs this process may use)", NULL,
     "Common options"},
    {"memory", 0, PFX_OPT_SIZE, offsetof(pfx_common, memory), "SIZE",
     "bound on the resident size, as 512M or 4G (default: 80 % of the cgroup's limit or of RAM)", NULL, NULL},
    {"tmpdir", 0, PFX_OPT_TEXT, offsetof(pfx_common, tmpdir), "DIR",
     "folder for spilled data (default: TMPDIR, else /tmp)", NULL, NULL},
    {"isa", 0, PFX_OPT_TEXT, offsetof(pfx_common, isa_text), "NAME",
     "instruction set of the kernels: portable, x86-64-v3 or x86-64-v4 (default: the widest this CPU has)",
     NULL, NULL},
    {"force", 0, PFX_OPT_FLAG, offsetof(pfx_common, force), NULL, "replace an output file that exists", NULL,
     NULL},
    {"quiet", 'q', PFX_OPT_FLAG, offsetof(pfx_common, quiet), NULL, "no notes and no closing line on stderr",
     NULL, NULL},
    {"progress", 0, PFX_OPT_CHOICE, offsetof(pfx_common, progress), "WHEN",
     "progress on stderr: auto (on a terminal; a line a minute in a log), always or never (default: auto)",
     progress_choices, NULL},
    {"help", 'h', PFX_OPT_FLAG, offsetof(pfx_common, help), NULL, "print this help", NULL, NULL},
    {0},
};

/* Copies that PFX_OPT_NAMES values were cut into; they live as long as the process parses and runs. */
typedef struct cut_names {
    struct cut_names *next;
    char text[];
} cut_names;
static cut_names *cut_list;

void pfx_opt_cleanup(void)
{
    while (cut_list) {
        cut_names *next = cut_list->next;
        pfx_mem_free(cut_list);
        cut_list = next;
    }
}

const pfx_opt *pfx_opt_table(const pfx_command *c, int i)
{
    int n = 0;
    if (i == 0) return c->options;
    while (c->shared && c->shared[n]) n++;
    return i <= n ? c->shared[i - 1] : i == n + 1 ? pfx_common_options : NULL;
}

static const pfx_opt *find_long(const pfx_command *c, const char *name, size_t n)
{
    const pfx_opt *o;
    for (int i = 0; (o = pfx_opt_table(c, i)); i++)
        for (; o->name; o++)
            if (strlen(o->name) == n && strncmp(o->name, name, n) == 0) return o;
    return NULL;
}

static const pfx_opt *find_letter(const pfx_command *c, char letter)
{
    const pfx_opt *o;
    for (int i = 0; (o = pfx_opt_table(c, i)); i++)
        for (; o->name; o++)
            if (o->letter == letter) return o;
    return NULL;
}

const pfx_opt *pfx_opt_find(const pfx_command *c, const char *word, const char **value)
{
    *value = NULL;
    if (word[0] != '-' || !word[1]) return NULL;
    if (word[1] != '-') {
        if (word[2]) *value = word + 2;
        return find_letter(c, word[1]);
    }
    size_t n = strcspn(word + 2, "=");
    if (word[2 + n] == '=') *value = word + 2 + n + 1;
    return find_long(c, word + 2, n);
}

/* True if the word is one of the command's options, so that it can hardly be meant as another one's value. */
static bool is_option(const pfx_command *c, const char *word)
{
    if (strncmp(word, "--", 2) != 0) return false;
    return find_long(c, word + 2, strcspn(word + 2, "=")) != NULL;
}

static pfx_status unknown_option(const pfx_command *c, const char *word, pfx_err *err)
{
    const char *names[128];
    int n = 0;
    size_t len = strcspn(word, "=");
    char name[64] = "";

    const pfx_opt *o;
    for (int i = 0; (o = pfx_opt_table(c, i)); i++)
        for (; o->name && n < 128; o++) names[n++] = o->name;
    if (word[0] == '-' && word[1] == '-') snprintf(name, sizeof name, "%.*s", (int)(len - 2), word + 2);
    const char *near = name[0] ? pfx_text_nearest(name, n, names) : NULL;
    /* Abbreviations are not taken, but understood. */
    for (int i = 0; i < n && !near && name[0]; i++)
        if (strncmp(names[i], name, strlen(name)) == 0) near = names[i];
    if (near)
        return pfx_fail(err, PFX_EUSAGE, "unknown option %.*s; did you mean --%s?", (int)len, word, near);
    return pfx_fail(err, PFX_EUSAGE, "unknown option %.*s; see panelfx %s --help", (int)len, word, c->name);
}

static pfx_status list_add(const pfx_opt *o, pfx_opt_list *list, const char *value, pfx_err *err)
{
    if (list->n == (int)(sizeof list->v / sizeof list->v[0]))
        return pfx_fail(err, PFX_EUSAGE, "--%s: more than %d values", o->name, list->n);
    list->v[list->n++] = value;
    return PFX_OK;
}

/* Cut "a, l(b, 1),c" into names without the blanks around them. */
static pfx_status names_add(const pfx_opt *o, pfx_opt_list *list, const char *value, pfx_err *err)
{
    size_t n = strlen(value) + 1;
    cut_names *cut = pfx_mem_alloc(1, sizeof *cut + n, err);
    if (!cut) return PFX_ENOMEM;
    cut->next = cut_list;
    cut_list = cut;
    memcpy(cut->text, value, n);

    for (char *s = cut->text, *end; s; s = end) {
        end = s + pfx_text_item(s);
        end = *end ? (*end = '\0', end + 1) : NULL;
        while (isspace((unsigned char)*s)) s++;
        size_t len = strlen(s);
        while (len && isspace((unsigned char)s[len - 1])) s[--len] = '\0';
        if (!len)
            return pfx_fail(err, PFX_EUSAGE, "--%s %s: an empty name between the commas", o->name, value);
        pfx_status st = list_add(o, list, s, err);
        if (st) return st;
    }
    return PFX_OK;
}

static pfx_status set_choice(const pfx_opt *o, int *slot, const char *value, pfx_err *err)
{
    pfx_str all = {0};
    pfx_idx n = 0;
    for (; o->choices[n]; n++) {
        if (strcmp(o->choices[n], value) == 0) {
            *slot = (int)n;
            pfx_str_free(&all);
            return PFX_OK;
        }
        pfx_str_addf(&all, "%s%s", n ? ", " : "", o->choices[n]);
    }
    pfx_status st =
        pfx_fail(err, PFX_EUSAGE, "--%s %s: choose one of %s", o->name, value, all.s ? all.s : "");
    pfx_str_free(&all);
    return st;
}

/* Digits, or with an exponent as 1e6, up to 2^53. */
static bool whole_number(const char *s, size_t n, pfx_idx *out)
{
    double v;
    if (pfx_text_idx(s, n, out)) return true;
    if (!strpbrk(s, "eE") || !pfx_text_double(s, n, &v) || v != floor(v) || fabs(v) > 9007199254740992.0)
        return false;
    *out = (pfx_idx)v;
    return true;
}

static pfx_status set_value(const pfx_opt *o, void *options, const char *value, pfx_err *err)
{
    void *slot = (char *)options + o->offset;
    size_t n = strlen(value);

    switch (o->kind) {
    case PFX_OPT_FLAG:
        *(bool *)slot = true;
        return PFX_OK;
    case PFX_OPT_TEXT:
        *(const char **)slot = value;
        return PFX_OK;
    case PFX_OPT_LIST:
        return list_add(o, slot, value, err);
    case PFX_OPT_NAMES:
        return names_add(o, slot, value, err);
    case PFX_OPT_CHOICE:
        return set_choice(o, slot, value, err);
    case PFX_OPT_INT:
        if (whole_number(value, n, slot)) return PFX_OK;
        return pfx_fail(err, PFX_EUSAGE, "--%s %s: not a whole number", o->name, value);
    case PFX_OPT_REAL:
        if (pfx_text_double(value, n, slot)) return PFX_OK;
        return pfx_fail(err, PFX_EUSAGE, "--%s %s: not a number", o->name, value);
    case PFX_OPT_SIZE:
        if (pfx_text_size(value, slot) && *(size_t *)slot > 0) return PFX_OK;
        return pfx_fail(err, PFX_EUSAGE, "--%s %s: not a size; write 512M or 4G", o->name, value);
    }
    return pfx_fail(err, PFX_EUSAGE, "--%s: cannot be set", o->name);
}

/* One option at argv[*i]; moves *i past a value that stands in the next word. */
static pfx_status take_option(const pfx_command *c, int argc, char **argv, int *i, void *options,
                              pfx_err *err)
{
    const char *word = argv[*i], *value = NULL;
    const pfx_opt *o = pfx_opt_find(c, word, &value);
    if (!o) return unknown_option(c, word, err);
    if (o->kind == PFX_OPT_FLAG) {
        if (value) return pfx_fail(err, PFX_EUSAGE, "--%s takes no value, but %s gives one", o->name, word);
        return set_value(o, options, "", err);
    }
    if (!value) {
        if (*i + 1 >= argc || is_option(c, argv[*i + 1]))
            return pfx_fail(err, PFX_EUSAGE, "--%s needs a value: --%s %s", o->name, o->name,
                            o->arg ? o->arg : "VALUE");
        value = argv[++*i];
    }
    return set_value(o, options, value, err);
}

/* Not a number that --threads accepts: tells whether it was given. */
#define THREADS_UNSET INT64_MIN

static pfx_status resolve_common(pfx_common *o, pfx_err *err)
{
    const char *tmp = getenv("TMPDIR");

    if (o->threads != THREADS_UNSET && (o->threads < 1 || o->threads > 1024))
        return pfx_fail(err, PFX_EUSAGE, "--threads %lld: want 1 to 1024", (long long)o->threads);
    o->threads = pfx_par_threads(o->threads == THREADS_UNSET ? 0 : (int)o->threads);
    o->memory = pfx_par_memory(o->memory);
    if (!o->tmpdir) o->tmpdir = tmp && tmp[0] ? tmp : "/tmp";

    pfx_isa isa = pfx_cpu_best();
    if (o->isa_text && !pfx_isa_parse(o->isa_text, &isa))
        return pfx_fail(err, PFX_EUSAGE, "--isa %s: choose one of portable, x86-64-v3, x86-64-v4",
                        o->isa_text);
    if (!pfx_cpu_has(isa))
        return pfx_fail(err, PFX_EUSAGE,
                        "--isa %s: this CPU or build does not have it; the widest here is %s", o->isa_text,
                        pfx_isa_name(pfx_cpu_best()));
    o->isa = (int)isa;
    pfx_log_setup(o->quiet, (pfx_progress_mode)o->progress);
    return PFX_OK;
}

static pfx_status print_help(const pfx_command *c, pfx_err *err)
{
    pfx_str out = {0};
    pfx_status st = PFX_OK;
    pfx_opt_help(c, &out);
    if (out.failed || fwrite(out.s, 1, out.len, stdout) != out.len)
        st = pfx_fail(err, PFX_EIO, "cannot write the help to standard output");
    pfx_str_free(&out);
    /* A help page ends with itself: no closing line. */
    pfx_log_setup(true, PFX_PROGRESS_NEVER);
    return st;
}

pfx_status pfx_opt_parse(const pfx_command *c, int argc, char **argv, void *options, int min_pos, int max_pos,
                         const char **pos, int *n_pos, pfx_err *err)
{
    pfx_common *common = options;
    bool ended = false;
    pfx_status st;

    *n_pos = 0;
    common->threads = THREADS_UNSET;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (!ended && strcmp(word, "--") == 0) {
            ended = true;
        } else if (!ended && word[0] == '-' && word[1] && !isdigit((unsigned char)word[1]) &&
                   word[1] != '.') {
            if ((st = take_option(c, argc, argv, &i, options, err))) return st;
            if (common->help) return print_help(c, err);
        } else if (*n_pos < max_pos) {
            pos[(*n_pos)++] = word;
        } else {
            return pfx_fail(err, PFX_EUSAGE, "unexpected argument %s; usage: panelfx %s %s [OPTIONS]%s", word,
                            c->name, c->args, strpbrk(word, "~|") ? ", the formula in quotes" : "");
        }
    }
    if (*n_pos < min_pos)
        return pfx_fail(err, PFX_EUSAGE, "too few arguments; usage: panelfx %s %s [OPTIONS]", c->name,
                        c->args);
    return resolve_common(common, err);
}
