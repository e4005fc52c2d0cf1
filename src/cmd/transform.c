/* The transform command: a recipe makes a new panel from a panel, and says what each step left out. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hdf5_io/panel.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "src/cmd/commands.h"
#include "src/cmd/provenance.h"
#include "src/cmd/watch.h"
#include "src/data/import.h"
#include "src/data/recipe.h"
#include "src/report/table.h"

enum { MAX_RECIPE = 1 << 20, MAX_OTHERS = 64 };

typedef struct transform_options {
    pfx_common common;
    const char *recipe, *output, *report;
    pfx_idx deflate;
    int format;
} transform_options;

#define AT(field) offsetof(transform_options, field)
static const pfx_opt transform_table[] = {
    {"recipe", 0, PFX_OPT_TEXT, AT(recipe), "FILE.yaml", "the steps", NULL, "Steps"},
    {"output", 'o', PFX_OPT_TEXT, AT(output), "NEW.h5", "the panel to write", NULL, "Output"},
    {"deflate", 0, PFX_OPT_INT, AT(deflate), "LEVEL", "compress columns, 0 (not) to 9 (default: 0)", NULL,
     NULL},
    {"report", 0, PFX_OPT_TEXT, AT(report), "FILE",
     "write the table of steps here instead of to standard output", NULL, NULL},
    {"format", 0, PFX_OPT_CHOICE, AT(format), "FORMAT",
     "text, json, csv, latex, markdown or html (default: by the ending of --report, else text)",
     pfx_format_names, NULL},
    {0},
};

typedef struct transform_run {
    transform_options o;
    pfx_panel *panel;
    pfx_recipe *recipe;
    char *text; /* of the recipe */
    size_t text_n;
    pfx_row_source chain; /* close NULL: none */
    pfx_row_sink sink;
    int n_others;
    pfx_panel *other[MAX_OTHERS]; /* files of merges */
} transform_run;

static void run_free(transform_run *r)
{
    if (r->sink.ctx) r->sink.abort(r->sink.ctx);
    if (r->chain.close) r->chain.close(r->chain.ctx);
    for (int i = 0; i < r->n_others; i++) pfx_panel_close(r->other[i]);
    pfx_recipe_free(r->recipe);
    pfx_mem_free(r->text);
    pfx_panel_close(r->panel);
}

static pfx_status source_of(pfx_panel *p, int nth, pfx_row_source *out, pfx_err *err)
{
    const pfx_panel_source_options so = {.nth = nth};
    int n = pfx_panel_n_cols(p);
    const char **names = pfx_mem_alloc(n, sizeof *names, err);
    if (!names) return PFX_ENOMEM;
    for (int c = 0; c < n; c++) names[c] = pfx_panel_cols(p)[c].name;
    pfx_status st = pfx_panel_source(p, n, names, &so, out, err);
    pfx_mem_free(names);
    return st;
}

/* A text table is imported into a panel without a name first. */
static pfx_status import_other(transform_run *r, const char *path, pfx_panel **out, pfx_err *err)
{
    char tmp[4096];
    pfx_row_sink sink = {0};
    pfx_import_summary summary;
    const pfx_panel_write_options w = {.force = true};
    const pfx_import_options o = {.path = path,
                                  .time_unit = -1,
                                  .threads = (int)r->o.common.threads,
                                  .memory = r->o.common.memory,
                                  .tmpdir = r->o.common.tmpdir,
                                  .command = "panelfx transform"};
    if (snprintf(tmp, sizeof tmp, "%s/panelfx-merge-%ld-%d.h5", r->o.common.tmpdir, (long)getpid(),
                 r->n_others) >= (int)sizeof tmp)
        return pfx_fail(err, PFX_EUSAGE, "--tmpdir: the name is too long");
    pfx_status st = pfx_panel_sink(tmp, &w, &sink, err);
    if (st != PFX_OK) return st;
    st = pfx_import_run(&o, &sink, &summary, err);
    if (st == PFX_OK) st = pfx_panel_open(tmp, out, err);
    unlink(tmp);
    return st;
}

/* A merge's file, named from the recipe's folder on. */
static pfx_status open_other(void *ctx, const char *name, pfx_row_source *out, pfx_err *err)
{
    transform_run *r = ctx;
    const char *slash = *name == '/' ? NULL : strrchr(r->o.recipe, '/');
    char path[4096];
    size_t n = strlen(name);
    if (snprintf(path, sizeof path, "%.*s%s", slash ? (int)(slash + 1 - r->o.recipe) : 0, r->o.recipe,
                 name) >= (int)sizeof path)
        return pfx_fail(err, PFX_EUSAGE, "%.40s...: the name is too long", name);
    if (r->n_others == MAX_OTHERS)
        return pfx_fail(err, PFX_EUSAGE, "more than %d merges in a recipe", MAX_OTHERS);
    bool panel = n > 3 && strcmp(name + n - 3, ".h5") == 0;
    pfx_status st = panel ? pfx_panel_open(path, &r->other[r->n_others], err)
                          : import_other(r, path, &r->other[r->n_others], err);
    if (st != PFX_OK) return st;
    return source_of(r->other[r->n_others++], (int)r->o.common.threads, out, err);
}

static pfx_status build(transform_run *r, const char *path, pfx_err *err)
{
    pfx_row_source base = {0};
    const pfx_recipe_options o = {
        .memory = 0.6 * (double)r->o.common.memory, .open = open_other, .open_ctx = r};
    pfx_status st = pfx_file_read_text(r->o.recipe, MAX_RECIPE, &r->text, &r->text_n, err);
    if (st == PFX_OK) st = pfx_recipe_parse(r->o.recipe, r->text, r->text_n, &r->recipe, err);
    if (st == PFX_OK) st = pfx_panel_open(path, &r->panel, err);
    if (st == PFX_OK) st = source_of(r->panel, (int)r->o.common.threads, &base, err);
    return st == PFX_OK ? pfx_recipe_source(r->recipe, &o, base, &r->chain, err) : st;
}

static pfx_status copy_rows(transform_run *r, pfx_idx *rows, pfx_err *err)
{
    pfx_row_source *src = &r->chain;
    const pfx_frame *block = NULL;
    pfx_watch watch;
    pfx_row_source watched = pfx_watch_source(&watch, *src);
    pfx_status st = r->sink.begin(r->sink.ctx, &src->panel, src->n_cols, src->cols, err);
    *rows = 0;
    while (st == PFX_OK && (st = watched.next(watched.ctx, &block, err)) == PFX_OK && block) {
        st = r->sink.put(r->sink.ctx, block, err);
        *rows += block->n_rows;
    }
    pfx_progress_end();
    for (int c = 0; c < src->n_cols && st == PFX_OK; c++)
        if (src->cols[c].kind == PFX_CATEGORY)
            st = r->sink.levels(r->sink.ctx, c, src->cols[c].n_levels, src->cols[c].levels, err);
    if (st == PFX_OK && *rows == 0)
        return pfx_fail(err, PFX_EDATA, "%s: the steps leave no rows; see what each drops with fewer of them",
                        r->o.recipe);
    return st;
}

/* The steps with what they left out, and the recipe itself. */
static pfx_status put_provenance(transform_run *r, int argc, char **argv, pfx_err *err)
{
    const pfx_recipe_flow *const *flow;
    int n = pfx_recipe_flow_of(&r->chain, &flow);
    char digest[PFX_SHA256_HEX], key[32];
    pfx_sha256 *h = pfx_sha256_new();
    if (!h) return pfx_fail(err, PFX_ENOMEM, "out of memory for a checksum");
    pfx_sha256_add(h, r->text_n, r->text);
    pfx_sha256_hex(h, digest);
    pfx_sha256_free(h);
    pfx_status st = pfx_provenance_derived(r->panel, argc, argv, &r->sink, err);
    if (st == PFX_OK) st = r->sink.provenance(r->sink.ctx, "recipe_sha256", digest, err);
    for (int i = 0; i < n && st == PFX_OK; i++) {
        pfx_str line = {0};
        snprintf(key, sizeof key, "step_%03d", i + 1);
        pfx_str_addf(&line, "line %d: %.20000s: rows %lld in, %lld out%s%s", flow[i]->line, flow[i]->what,
                     (long long)flow[i]->rows_in, (long long)flow[i]->rows_out, *flow[i]->note ? "; " : "",
                     flow[i]->note);
        st = line.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for provenance")
                         : r->sink.provenance(r->sink.ctx, key, line.s, err);
        pfx_str_free(&line);
    }
    return st;
}

static pfx_status render(const transform_run *r, pfx_idx rows, pfx_str *out, pfx_err *err)
{
    static const char *const names[] = {"Step", "Line", "Rows in", "Left out", "Rows out", "Note"};
    const pfx_recipe_flow *const *flow;
    int n = pfx_recipe_flow_of(&r->chain, &flow);
    pfx_table *t = pfx_table_create(6, err);
    if (!t) return PFX_ENOMEM;
    pfx_table_align(t, "lrrrrl");
    pfx_table_heading(t);
    for (int i = 0; i < 6; i++) pfx_table_text(t, names[i]);
    for (int i = 0; i < n; i++) {
        pfx_table_row(t);
        pfx_table_text(t, flow[i]->what);
        pfx_table_int(t, flow[i]->line);
        pfx_table_int(t, flow[i]->rows_in);
        pfx_table_int(t, flow[i]->rows_in - flow[i]->rows_out);
        pfx_table_int(t, flow[i]->rows_out);
        pfx_table_text(t, flow[i]->note);
    }
    pfx_table_note(t, "%s: %lld rows, %d columns.", r->o.output, (long long)rows, r->chain.n_cols);
    if (pfx_is_synthetic(r->panel))
        pfx_table_note(t, "Synthetic panel: the data were simulated, not observed.");
    pfx_status st = pfx_table_render(t, pfx_format_choose(r->o.format, r->o.report),
                                     r->o.report ? 0 : pfx_table_terminal_width(), out, err);
    pfx_table_free(t);
    return st;
}

static pfx_status run(transform_run *r, const char *path, int argc, char **argv, pfx_err *err)
{
    const pfx_panel_write_options w = {.deflate = (int)r->o.deflate, .force = r->o.common.force};
    pfx_str text = {0};
    pfx_idx rows;
    pfx_status st = PFX_OK;
    pfx_out out = {0};
    if (!r->o.output) return pfx_fail(err, PFX_EUSAGE, "no output named: give -o NEW.h5");
    if (!r->o.recipe) return pfx_fail(err, PFX_EUSAGE, "no steps: give --recipe FILE.yaml");
    if (r->o.deflate < 0 || r->o.deflate > 9)
        return pfx_fail(err, PFX_EUSAGE, "--deflate %lld: want 0 to 9", (long long)r->o.deflate);
    if ((st = pfx_out_spare(r->o.output, path, err))) return st;
    if (r->o.report && strcmp(r->o.report, "-") != 0) {
        if ((st = pfx_out_begin(&out, r->o.report, r->o.common.force, err))) return st;
        pfx_out_abort(&out);
    }
    if ((st = pfx_panel_sink(r->o.output, &w, &r->sink, err)) || (st = build(r, path, err)) ||
        (st = copy_rows(r, &rows, err)) || (st = put_provenance(r, argc, argv, err)) ||
        (st = render(r, rows, &text, err)) || (st = r->sink.commit(r->sink.ctx, err)))
        goto done;
    st = pfx_file_write_text(r->o.report, text.s, text.len, r->o.common.force, err);
done:
    pfx_str_free(&text);
    return st;
}

static pfx_status transform_command(int argc, char **argv, pfx_err *err)
{
    transform_run r = {.o = {.format = -1}};
    const char *pos[1];
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_transform, argc, argv, &r.o, 1, 1, pos, &n_pos, err);
    if (st || r.o.common.help) return st;
    st = run(&r, pos[0], argc, argv, err);
    run_free(&r);
    return st;
}

const pfx_command pfx_cmd_transform = {
    "transform",
    "PANEL.h5 -o NEW.h5 --recipe FILE.yaml",
    "a new panel by a recipe: rows kept, columns made, other tables merged",
    transform_table,
    transform_command,
    NULL};
