/* The import command: a CSV, Stata, SPSS or SAS file into a panel file. */
#include <string.h>

#include "hdf5_io/panel.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/cmd/commands.h"
#include "src/data/import.h"

typedef struct import_options {
    pfx_common common;
    const char *output, *unit, *time, *encoding, *delimiter;
    int time_unit, duplicates;
    pfx_idx deflate;
    pfx_opt_list types, missing, columns;
} import_options;

static const char *const duplicate_choices[] = {"error", "first", NULL};
/* In the order of pfx_time_unit, one further. */
static const char *const time_units[] = {"auto",  "index", "year", "half", "quarter",
                                         "month", "week",  "day",  NULL};

#define AT(field) offsetof(import_options, field)
static const pfx_opt import_table[] = {
    {"output", 'o', PFX_OPT_TEXT, AT(output), "PANEL.h5", "the panel to write", NULL, "Output"},
    {"deflate", 0, PFX_OPT_INT, AT(deflate), "LEVEL", "compress columns, 0 (not) to 9 (default: 0)", NULL,
     NULL},
    {"unit", 0, PFX_OPT_TEXT, AT(unit), "V",
     "column that tells the units apart (default: each row is a unit)", NULL, "Panel"},
    {"time", 0, PFX_OPT_TEXT, AT(time), "V",
     "column of years, dates, quarters, months or whole numbers (default: none)", NULL, NULL},
    {"time-unit", 0, PFX_OPT_CHOICE, AT(time_unit), "U",
     "one step of time (default: auto, found from the values)", time_units, NULL},
    {"drop-duplicates", 0, PFX_OPT_CHOICE, AT(duplicates), "WHAT",
     "rows of the same unit and time: error, or keep the first (default: error)", duplicate_choices, NULL},
    {"columns", 0, PFX_OPT_LIST, AT(columns), "A,B",
     "keep these columns, beside unit and time (default: all)", NULL, "Source"},
    {"types", 0, PFX_OPT_LIST, AT(types), "NAME=KIND,...",
     "numeric, float32 or category (default: found from the whole column)", NULL, NULL},
    {"missing", 0, PFX_OPT_LIST, AT(missing), "TEXT,...",
     "values that mean missing, beside empty . NA NaN N/A NULL", NULL, NULL},
    {"encoding", 0, PFX_OPT_TEXT, AT(encoding), "NAME",
     "encoding of a text file, as GBK, GB18030, latin1 (default: UTF-8)", NULL, NULL},
    {"delimiter", 0, PFX_OPT_TEXT, AT(delimiter), "C",
     "what separates fields, or tab (default: found from the header line)", NULL, NULL},
    {0},
};

/* A list option's values, cut at commas; strings and array are new. */
typedef struct names {
    int n;
    char **v;
} names;

static pfx_status cut_at_commas(const pfx_opt_list *list, names *out, pfx_err *err)
{
    int most = 0;
    *out = (names){0};
    for (int i = 0; i < list->n; i++) {
        most++;
        for (const char *p = list->v[i]; *p; p++) most += *p == ',';
    }
    if (!(out->v = pfx_mem_calloc(most, sizeof *out->v, err))) return PFX_ENOMEM;
    for (int i = 0; i < list->n; i++)
        for (const char *p = list->v[i];; p++) {
            size_t n = strcspn(p, ",");
            if (n && !(out->v[out->n++] = pfx_mem_strndup(p, n, err))) return PFX_ENOMEM;
            p += n;
            if (!*p) break;
        }
    return PFX_OK;
}

static void free_names(names *l)
{
    for (int i = 0; l->v && i < l->n; i++) pfx_mem_free(l->v[i]);
    pfx_mem_free(l->v);
}

static pfx_status parse_delimiter(const char *s, char *out, pfx_err *err)
{
    if (!s) return PFX_OK;
    *out = !strcmp(s, "tab") || !strcmp(s, "\\t") ? '\t' : s[0];
    if ((s[1] && *out != '\t') || *out == '\0' || strchr("\"\r\n", *out) || (unsigned char)*out >= 0x80)
        return pfx_fail(err, PFX_EUSAGE, "--delimiter '%s': want one character, as ';', or tab", s);
    return PFX_OK;
}

/* Words with blanks or quotes stand in single quotes, so that the line can be run again. */
static void command_line(int argc, char **argv, pfx_str *out)
{
    pfx_str_add(out, "panelfx");
    for (int i = 0; i < argc; i++) {
        bool plain = *argv[i] && !strpbrk(argv[i], " \t\n'\"\\$`&|;<>()*?[]#~!");
        pfx_str_add(out, plain ? " " : " '");
        for (const char *p = argv[i]; *p; p++) pfx_str_addf(out, *p == '\'' ? "'\\''" : "%c", *p);
        if (!plain) pfx_str_add(out, "'");
    }
}

static void report(const import_options *o, const pfx_import_summary *s, double wall_s)
{
    pfx_note("wrote %s: %lld rows, %d columns; %.1f MB read in %.2f s, %.0f MB/s", o->output,
             (long long)s->n_rows, s->n_cols, (double)s->source_bytes / 1e6, wall_s,
             (double)s->source_bytes / 1e6 / wall_s);
    if (s->n_dropped)
        pfx_warn("%lld row%s left out, whose unit and time had occurred before", (long long)s->n_dropped,
                 s->n_dropped == 1 ? "" : "s");
    if (!s->was_sorted) pfx_note("rows were sorted by unit and time%s", s->spilled ? " on disk" : "");
}

static pfx_status import_with(const import_options *o, const char *path, const char *command, names *lists,
                              pfx_err *err)
{
    pfx_import_options io = {.path = path,
                             .unit = o->unit,
                             .time = o->time,
                             .time_unit = o->time_unit - 1,
                             .n_types = lists[0].n,
                             .types = (const char *const *)lists[0].v,
                             .n_missing = lists[1].n,
                             .missing = (const char *const *)lists[1].v,
                             .n_columns = lists[2].n,
                             .columns = (const char *const *)lists[2].v,
                             .encoding = o->encoding,
                             .drop_duplicates = o->duplicates == 1,
                             .threads = (int)o->common.threads,
                             .memory = o->common.memory,
                             .tmpdir = o->common.tmpdir,
                             .command = command};
    const pfx_panel_write_options w = {.deflate = (int)o->deflate, .force = o->common.force};
    pfx_import_summary summary;
    pfx_row_sink sink = {0};
    const double start = pfx_wall_s();
    pfx_status st = parse_delimiter(o->delimiter, &io.delimiter, err);
    if (st == PFX_OK) st = pfx_panel_sink(o->output, &w, &sink, err);
    if (st == PFX_OK) st = pfx_import_run(&io, &sink, &summary, err);
    if (st == PFX_OK) report(o, &summary, pfx_wall_s() - start);
    return st;
}

static pfx_status import_run(int argc, char **argv, pfx_err *err)
{
    import_options o = {0};
    const char *path = NULL;
    int n_pos = 0;
    names lists[3] = {{0}};
    pfx_str command = {0};
    pfx_status st = pfx_opt_parse(&pfx_cmd_import, argc, argv, &o, 1, 1, &path, &n_pos, err);
    if (st || o.common.help) return st;
    if (!o.output) return pfx_fail(err, PFX_EUSAGE, "no output named: panelfx import FILE -o PANEL.h5");
    if (o.deflate < 0 || o.deflate > 9)
        return pfx_fail(err, PFX_EUSAGE, "--deflate %lld: want 0 to 9", (long long)o.deflate);
    if ((st = pfx_out_spare(o.output, path, err))) return st;
    if ((st = cut_at_commas(&o.types, &lists[0], err)) == PFX_OK &&
        (st = cut_at_commas(&o.missing, &lists[1], err)) == PFX_OK &&
        (st = cut_at_commas(&o.columns, &lists[2], err)) == PFX_OK) {
        command_line(argc, argv, &command);
        st = command.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the command line")
                            : import_with(&o, path, command.s, lists, err);
    }
    pfx_str_free(&command);
    for (int i = 0; i < 3; i++) free_names(&lists[i]);
    return st;
}

const pfx_command pfx_cmd_import = {"import",
                                    "FILE -o PANEL.h5 [--unit V --time V]",
                                    "a CSV, Stata, SPSS or SAS file into a panel file",
                                    import_table,
                                    import_run,
                                    NULL};
