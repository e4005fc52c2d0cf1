/* The plan command: measures a boot or placebo command on some batches, and writes down what its shards are.
 */
#include "src/cmd/plan.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/version.h"
#include "src/cmd/commands.h"
#include "src/cmd/replicate.h"

typedef struct plan_options {
    pfx_common common;
    pfx_idx shards;
    const char *output, *draws, *files;
} plan_options;

#define AT(field) offsetof(plan_options, field)
static const pfx_opt plan_table[] = {
    {"shards", 0, PFX_OPT_INT, AT(shards), "N", "parts of the replicates, 1 to 100000; required", NULL,
     "Plan"},
    {"output", 'o', PFX_OPT_TEXT, AT(output), "PLAN.yaml", "the plan; required", NULL, NULL},
    {"draws", 0, PFX_OPT_TEXT, AT(draws), "DRAWS.h5",
     "the file of the whole run; shards are DRAWS.%k.h5 beside it (default: the plan's name with .h5)", NULL,
     NULL},
    {"shard-files", 0, PFX_OPT_TEXT, AT(files), "FILE.%k.h5",
     "the files of the shards, %k their number, elsewhere than beside DRAWS.h5", NULL, NULL},
    {0},
};

/* The words of the command line, some for plan itself, the others for the planned command. */
typedef struct words {
    const pfx_command *inner; /* NULL: not named yet */
    int n_own, n_inner;
    char **own, **inner_argv; /* inner_argv[0]: the command's name */
} words;

static bool is_own(const pfx_opt *o)
{
    static const char *const shared[] = {"force", "quiet", "progress", "help"};
    for (const pfx_opt *t = plan_table; t->name; t++)
        if (t == o) return true;
    for (size_t i = 0; o && i < sizeof shared / sizeof *shared; i++)
        if (strcmp(o->name, shared[i]) == 0) return true;
    return false;
}

/* What the plan or run-plan sets for every shard. */
static pfx_status check_inner(const pfx_opt *o, pfx_err *err)
{
    static const char *const set[] = {"shard", "resume", "estimate"};
    for (size_t i = 0; o && i < sizeof set / sizeof *set; i++)
        if (strcmp(o->name, set[i]) == 0)
            return pfx_fail(err, PFX_EUSAGE, "leave --%s out of what is planned: run-plan sets it", set[i]);
    if (o && strcmp(o->name, "stop-when-decided") == 0)
        return pfx_fail(err, PFX_EUSAGE, "leave --%s out of what is planned: shards cannot stop early",
                        o->name);
    return PFX_OK;
}

static pfx_status sort_word(words *w, int argc, char **argv, int *i, pfx_err *err)
{
    char *word = argv[*i];
    const char *value;
    if (strcmp(word, "--") == 0)
        return pfx_fail(err, PFX_EUSAGE, "leave -- out: what is planned gets further options behind it");
    if (word[0] != '-' || !word[1] || isdigit((unsigned char)word[1]) || word[1] == '.') {
        if (w->inner) {
            w->inner_argv[w->n_inner++] = word;
            return PFX_OK;
        }
        if (strcmp(word, "boot") != 0 && strcmp(word, "placebo") != 0)
            return pfx_fail(err, PFX_EUSAGE, "%s cannot be planned; usage: panelfx plan %s [OPTIONS]", word,
                            pfx_cmd_plan.args);
        w->inner = pfx_command_find(word);
        return PFX_OK;
    }
    const pfx_opt *o = pfx_opt_find(&pfx_cmd_plan, word, &value);
    bool own = is_own(o);
    if (!own && w->inner) o = pfx_opt_find(w->inner, word, &value);
    if (!own && !o && !w->inner)
        return pfx_fail(err, PFX_EUSAGE, "%s: name what is planned first; usage: panelfx plan %s [OPTIONS]",
                        word, pfx_cmd_plan.args);
    pfx_status st = own ? PFX_OK : check_inner(o, err);
    for (int last = *i + (o && o->kind != PFX_OPT_FLAG && !value && *i + 1 < argc); st == PFX_OK; ++*i) {
        if (own)
            w->own[w->n_own++] = argv[*i];
        else
            w->inner_argv[w->n_inner++] = argv[*i];
        if (*i == last) break;
    }
    return st;
}

static pfx_status sort_words(words *w, int argc, char **argv, pfx_err *err)
{
    w->own = pfx_mem_calloc(argc + 1, sizeof *w->own, err);
    if (w->own) w->inner_argv = pfx_mem_calloc(argc + 4, sizeof *w->inner_argv, err);
    if (!w->inner_argv) return PFX_ENOMEM;
    w->own[w->n_own++] = argv[0];
    w->n_inner = 1;
    pfx_status st = PFX_OK;
    for (int i = 1; i < argc && st == PFX_OK; i++) st = sort_word(w, argc, argv, &i, err);
    return st;
}

/* DRAWS.h5 to DRAWS.%k.h5; of PLAN.yaml, PLAN.h5. */
static pfx_status name_files(const plan_options *o, pfx_plan *p, pfx_err *err)
{
    const char *from = o->draws ? o->draws : o->output, *slash = strrchr(from, '/'),
               *dot = strrchr(slash ? slash + 1 : from, '.');
    int n = (int)(dot && dot != from ? dot - from : (long)strlen(from));
    pfx_str whole = {0}, part = {0};
    if (o->files && !strstr(o->files, "%k"))
        return pfx_fail(err, PFX_EUSAGE, "--shard-files %s: want %%k in the name, for the shard's number",
                        o->files);
    if (strstr(from, "%k"))
        return pfx_fail(err, PFX_EUSAGE, "%s: leave %%k out: shards get names of their own", from);
    pfx_str_addf(&whole, "%.*s%s", n, from, o->draws ? from + n : ".h5");
    if (o->files)
        pfx_str_add(&part, o->files);
    else
        pfx_str_addf(&part, "%.*s.%%k%s", n, from, o->draws ? from + n : ".h5");
    if (!whole.failed && !part.failed) {
        p->merged = pfx_mem_strdup(whole.s, err);
        p->output = pfx_mem_strdup(part.s, err);
    }
    pfx_str_free(&whole);
    pfx_str_free(&part);
    return p->merged && p->output ? PFX_OK : pfx_fail(err, PFX_ENOMEM, "out of memory for a file name");
}

static pfx_status copy_words(const words *w, pfx_plan *p, pfx_err *err)
{
    if (!(p->command = pfx_mem_strdup(w->inner->name, err))) return PFX_ENOMEM;
    if (!(p->version = pfx_mem_strdup(PFX_VERSION, err))) return PFX_ENOMEM;
    if (!(p->args = pfx_mem_calloc(w->n_inner, sizeof *p->args, err))) return PFX_ENOMEM;
    for (int i = 1; i < w->n_inner; i++) {
        if (!(p->args[p->n_args] = pfx_mem_strdup(w->inner_argv[i], err))) return PFX_ENOMEM;
        p->n_args++;
    }
    return PFX_OK;
}

/* PLAN.stats.h5 of PLAN.yaml; a new string. */
static char *stats_name(const char *plan, pfx_err *err)
{
    const char *slash = strrchr(plan, '/'), *dot = strrchr(slash ? slash + 1 : plan, '.');
    pfx_str name = {0};
    pfx_str_addn(&name, plan, dot && dot != plan ? (size_t)(dot - plan) : strlen(plan));
    pfx_str_add(&name, ".stats.h5");
    char *copy = name.failed ? NULL : pfx_mem_strdup(name.s, err);
    if (name.failed) (void)pfx_fail(err, PFX_ENOMEM, "out of memory for a file name");
    pfx_str_free(&name);
    return copy;
}

/* Run the command with --estimate, as one of the shards; it leaves the statistics in their file. */
static pfx_status measure(words *w, pfx_plan *p, const char *stats, bool force, pfx_err *err)
{
    static char estimate[] = "--estimate", quiet[] = "--quiet", shard[64];
    const rep_for_plan f = {.plan = p, .stats = stats, .force = force};
    snprintf(shard, sizeof shard, "--shard=1/%lld", (long long)p->n_shards);
    w->inner_argv[0] = p->command;
    w->inner_argv[w->n_inner++] = shard;
    w->inner_argv[w->n_inner++] = estimate;
    w->inner_argv[w->n_inner++] = quiet;
    rep_run_for_plan(&f);
    pfx_status st = w->inner->run(w->n_inner, w->inner_argv, err);
    rep_run_for_plan(NULL);
    return st;
}

/* What a shard needs that reads the statistics, from one in a process of its own, whose memory is its alone.
 * Where it cannot be told, what it takes with the panel stays. */
static void measure_shard(const words *w, pfx_plan *p, const char *stats)
{
    struct {
        double start_s, draw_s, bytes;
    } got;
    int ends[2], how = 0;
    if (pipe(ends) != 0) return;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        pfx_err err = {0};
        pfx_plan own = {.n_shards = p->n_shards};
        const rep_for_plan f = {.plan = &own, .want = p, .name = "the plan", .stats = stats};
        double t0 = pfx_run_s();
        bool told = freopen("/dev/null", "w", stderr) != NULL;
        rep_run_for_plan(&f);
        told = told && w->inner->run(w->n_inner, w->inner_argv, &err) == PFX_OK;
        got.start_s = own.start_s - t0 + FIT_PROCESS_S;
        got.draw_s = own.draw_s;
        got.bytes = own.bytes + FIT_PROGRAM_BYTES;
        _exit(told && write(ends[1], &got, sizeof got) == (ssize_t)sizeof got ? 0 : 1);
    }
    close(ends[1]);
    bool told = pid > 0 && read(ends[0], &got, sizeof got) == (ssize_t)sizeof got;
    close(ends[0]);
    if (pid < 0 || waitpid(pid, &how, 0) != pid || !told || !WIFEXITED(how) || WEXITSTATUS(how) != 0) return;
    p->start_s = got.start_s;
    p->draw_s = got.draw_s;
    p->bytes = got.bytes;
}

/* To the file, and what it says in one line. */
static pfx_status write_plan(const plan_options *o, const pfx_plan *p, pfx_err *err)
{
    pfx_str text = {0};
    pfx_plan back = {0};
    pfx_plan_write(p, &text);
    pfx_status st = text.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the plan") : PFX_OK;
    if (st == PFX_OK && !pfx_text_is_utf8(text.s, text.len))
        st = pfx_fail(err, PFX_EUSAGE,
                      "an argument is not UTF-8 text, which a plan is; rename the file or column");
    if (st == PFX_OK) st = pfx_plan_parse(o->output, text.s, text.len, &back, err);
    if (st == PFX_OK) st = pfx_file_write_text(o->output, text.s, text.len, o->common.force, err);
    pfx_plan_free(&back);
    pfx_str_free(&text);
    if (st != PFX_OK) return st;
    pfx_note("wrote %s: %lld shards of %lld replicates, each about %.2f s with %d threads and %.1f MiB",
             o->output, (long long)p->n_shards, (long long)p->draws,
             p->start_s + p->draw_s * (double)p->draws / (double)p->n_shards, p->threads,
             p->bytes / 1048576.0);
    if (p->no_stats)
        pfx_note("each shard reads the panel: %s", p->no_stats);
    else
        pfx_note("shards read %s beside it instead of the panel's rows", p->stats);
    return PFX_OK;
}

/* The merged file would replace another one. */
static pfx_status taken(const pfx_plan *p, const char *what, pfx_err *err)
{
    return pfx_fail(err, PFX_EUSAGE,
                    "the merged file would be %s, which %s; name another with --draws DRAWS.h5", p->merged,
                    what);
}

/* Statistics, then the plan that names them. */
static pfx_status measure_and_write(const plan_options *o, words *w, pfx_plan *p, pfx_err *err)
{
    char *stats = stats_name(o->output, err);
    if (!stats) return PFX_ENOMEM;
    pfx_status st = PFX_OK;
    bool was = access(stats, F_OK) == 0;
    if (strcmp(p->merged, stats) == 0)
        st = taken(p, "the plan's statistics take", err);
    else if (!o->common.force && was)
        st = pfx_fail(err, PFX_EUSAGE, "%s exists; give --force to replace it", stats);
    for (int i = 1; i < w->n_inner && st == PFX_OK; i++) st = pfx_out_spare(stats, w->inner_argv[i], err);
    if (st == PFX_OK) st = measure(w, p, stats, o->common.force, err);
    bool written = st == PFX_OK && !p->no_stats;
    const char *slash = strrchr(stats, '/');
    if (st == PFX_OK && !(p->stats = pfx_mem_strdup(!written ? "" : slash ? slash + 1 : stats, err)))
        st = PFX_ENOMEM;
    if (st == PFX_OK && written) measure_shard(w, p, stats);
    pfx_log_setup(o->common.quiet, (pfx_progress_mode)o->common.progress);
    if (st == PFX_OK) st = write_plan(o, p, err);
    if (st != PFX_OK && (written || !was))
        (void)unlink(stats); /* it may have its name where only the folder failed */
    pfx_mem_free(stats);
    return st;
}

static pfx_status make_plan(const plan_options *o, words *w, pfx_plan *p, pfx_err *err)
{
    if (!w->inner)
        return pfx_fail(err, PFX_EUSAGE, "name what is planned; usage: panelfx plan %s [OPTIONS]",
                        pfx_cmd_plan.args);
    if (!o->output) return pfx_fail(err, PFX_EUSAGE, "plan needs a file for the plan: -o PLAN.yaml");
    if (o->shards < 1 || o->shards > PLAN_MAX_SHARDS)
        return pfx_fail(err, PFX_EUSAGE, "plan needs --shards N, 1 to %d", PLAN_MAX_SHARDS);
    if (!o->common.force && access(o->output, F_OK) == 0)
        return pfx_fail(err, PFX_EUSAGE, "%s exists; give --force to replace it", o->output);
    p->n_shards = o->shards;
    pfx_status st = name_files(o, p, err);
    for (int i = 1; i < w->n_inner && st == PFX_OK; i++) st = pfx_out_spare(o->output, w->inner_argv[i], err);
    for (int i = 1; i < w->n_inner && st == PFX_OK; i++)
        if (pfx_out_is(p->merged, w->inner_argv[i])) st = taken(p, "is read", err);
    if (st == PFX_OK && strcmp(p->merged, o->output) == 0) st = taken(p, "is the plan", err);
    if (st == PFX_OK) st = copy_words(w, p, err);
    return st == PFX_OK ? measure_and_write(o, w, p, err) : st;
}

static pfx_status plan_run_command(int argc, char **argv, pfx_err *err)
{
    plan_options o = {0};
    words w = {0};
    pfx_plan p = {0};
    int n_pos = 0;
    const char *pos[1];
    pfx_status st = sort_words(&w, argc, argv, err);
    if (st == PFX_OK) st = pfx_opt_parse(&pfx_cmd_plan, w.n_own, w.own, &o, 0, 0, pos, &n_pos, err);
    if (st == PFX_OK && !o.common.help) st = make_plan(&o, &w, &p, err);
    pfx_plan_free(&p);
    pfx_mem_free(w.own);
    pfx_mem_free(w.inner_argv);
    return st;
}

const pfx_command pfx_cmd_plan = {"plan",
                                  "boot|placebo PANEL.h5 FORMULA",
                                  "fix a bootstrap or placebo as shards, with their time and memory",
                                  plan_table,
                                  plan_run_command,
                                  NULL};
