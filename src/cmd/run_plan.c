/* The run-plan command: one shard of a plan in this process, or all of them by some processes, each of which
 * prepares the run once and then takes shard after shard, and then the merge. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hdf5_io/draws.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/stop.h"
#include "src/base/version.h"
#include "src/cmd/commands.h"
#include "src/cmd/plan.h"
#include "src/cmd/replicate.h"

typedef struct run_plan_options {
    pfx_common common;
    pfx_idx jobs;
    const char *shard;
} run_plan_options;

#define AT(field) offsetof(run_plan_options, field)
static const pfx_opt run_plan_table[] = {
    {"jobs", 0, PFX_OPT_INT, AT(jobs), "N",
     "run all shards, by N processes among which --threads and --memory are divided, and merge", NULL, "Run"},
    {"shard", 0, PFX_OPT_TEXT, AT(shard), "K",
     "run shard K alone, or slurm: that of SLURM_ARRAY_TASK_ID; K/N and slurm/N check that it has N", NULL,
     NULL},
    {0},
};

static const char *const progress_words[] = {"auto", "always", "never"};

typedef struct plan_run {
    run_plan_options o;
    const char *name; /* of the plan's file */
    char *stats;      /* that of its statistics, or NULL */
    pfx_plan plan;
} plan_run;

/* ---- one shard ---- */

/* The planned command's words, with what every shard of the plan shares, and the shard's own. */
static pfx_status shard_words(const plan_run *r, pfx_idx k, pfx_idx jobs, pfx_str *text, int *argc,
                              char ***argv, pfx_err *err)
{
    const pfx_plan *p = &r->plan;
    const pfx_common *c = &r->o.common;
    pfx_idx threads = c->threads / jobs > 0 ? c->threads / jobs : 1;
    /* One option a line, cut apart below; names may hold anything but what ends a string. */
    pfx_str_addf(text, "--reps=%lld%c--seed=%lld%c--isa=%s%c--shard=%lld/%lld%c--resume%c--threads=%lld%c",
                 (long long)p->reps, '\n', (long long)p->seed, '\n', p->isa, '\n', (long long)k,
                 (long long)p->n_shards, '\n', '\n', (long long)threads, '\n');
    pfx_str_addf(text, "--memory=%zu\n--progress=%s", c->memory / (size_t)jobs,
                 jobs > 1 ? "never" : progress_words[c->progress]);
    if (c->quiet) pfx_str_add(text, "\n--quiet");
    if (text->failed) return pfx_fail(err, PFX_ENOMEM, "out of memory for a command");
    char **v = *argv = pfx_mem_calloc(p->n_args + 16, sizeof *v, err);
    if (!v) return PFX_ENOMEM;
    v[(*argc)++] = p->command;
    for (int i = 0; i < p->n_args; i++) v[(*argc)++] = p->args[i];
    for (char *s = text->s, *end; s; s = end) {
        if ((end = strchr(s, '\n'))) *end++ = '\0';
        v[(*argc)++] = s;
    }
    static char output[] = "--output", tmpdir[] = "--tmpdir";
    v[(*argc)++] = output;
    v[(*argc)++] = p->output;
    v[(*argc)++] = tmpdir;
    v[(*argc)++] = (char *)c->tmpdir;
    return PFX_OK;
}

/* Shard k, and then those that next gives, if it is there. */
static pfx_status run_shards(const plan_run *r, pfx_idx k, pfx_idx jobs, pfx_idx (*next)(void *ctx),
                             void *ctx, pfx_err *err)
{
    const rep_for_plan f = {
        .want = &r->plan, .name = r->name, .stats = r->stats, .next = next, .next_ctx = ctx};
    pfx_str text = {0};
    char **argv = NULL;
    int argc = 0;
    pfx_status st = shard_words(r, k, jobs, &text, &argc, &argv, err);
    rep_run_for_plan(&f);
    if (st == PFX_OK) st = pfx_command_find(r->plan.command)->run(argc, argv, err);
    rep_run_for_plan(NULL);
    pfx_mem_free(argv);
    pfx_str_free(&text);
    return st;
}

static pfx_status one_shard(const plan_run *r, pfx_err *err)
{
    const char *text = r->o.shard, *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    pfx_idx k = 0, of = r->plan.n_shards;
    if (slash && (!pfx_text_idx(slash + 1, strlen(slash + 1), &of) || of != r->plan.n_shards))
        return pfx_fail(err, PFX_EUSAGE, "--shard %s: %s has %lld shards", text, r->name,
                        (long long)r->plan.n_shards);
    if (len == 5 && strncmp(text, "slurm", 5) == 0) {
        if (!(text = pfx_shard_of_slurm(text, err))) return PFX_EUSAGE;
        len = strlen(text);
    }
    if (!pfx_text_idx(text, len, &k) || k < 1 || k > r->plan.n_shards)
        return pfx_fail(err, PFX_EUSAGE, "--shard %s: want a shard of the plan, 1 to %lld, or slurm", text,
                        (long long)r->plan.n_shards);
    return run_shards(r, k, 1, NULL, NULL, err);
}

/* ---- all of them ---- */

/* What the processes share. */
typedef struct queue {
    atomic_llong begun, done;
    atomic_bool stop; /* no other shard is to be begun */
    pfx_idx n_shards;
    atomic_llong shard[]; /* [jobs] what each runs */
} queue;

typedef struct crew {
    queue *q;
    pid_t *pid; /* [jobs], 0: has ended */
    pfx_idx jobs, running;
    int failed; /* exit status of the first process that failed, 0: none */
    pfx_idx failed_shard;
    bool told; /* the signal was passed on */
} crew;

/* One of the processes. */
typedef struct worker {
    queue *q;
    pfx_idx number;
} worker;

/* Its next shard, 0: none. */
static pfx_idx take(worker *w)
{
    long long k = atomic_load(&w->q->stop) ? 0 : atomic_fetch_add(&w->q->begun, 1) + 1;
    if (k > w->q->n_shards) k = 0;
    if (k) atomic_store(&w->q->shard[w->number], k);
    return k;
}

static pfx_idx next(void *ctx)
{
    worker *w = ctx;
    atomic_fetch_add(&w->q->done, 1);
    return take(w);
}

/* In a process of its own, which never returns. What it prints on stderr is the shard's error. */
static void work(const plan_run *r, worker w, pfx_idx jobs, pid_t parent)
{
    pfx_err err = {0};
    pfx_status st = PFX_OK;
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a checkpoint, also where run-plan was killed */
    pfx_stop_defer(false);
    if (getppid() != parent) _exit(75);
    pfx_idx k = take(&w);
    if (!freopen("/dev/null", "w", stdout)) st = pfx_fail(&err, PFX_EIO, "/dev/null: cannot open it");
    if (k && st == PFX_OK) st = run_shards(r, k, jobs, next, &w, &err);
    if (st != PFX_OK) {
        atomic_store(&w.q->stop, true);
        fprintf(stderr, "panelfx run-plan: shard %lld: %s\n", (long long)atomic_load(&w.q->shard[w.number]),
                err.msg);
    }
    fflush(stderr);
    _exit(pfx_status_exit_code(st));
}

static pfx_status begin_worker(const plan_run *r, crew *c, pfx_idx i, pfx_err *err)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return pfx_fail(err, PFX_ENOMEM, "cannot start process %lld of %lld", (long long)i + 1,
                        (long long)c->jobs);
    if (pid == 0) work(r, (worker){.q = c->q, .number = i}, c->jobs, parent);
    c->pid[i] = pid;
    c->running++;
    return PFX_OK;
}

/* Note which processes have ended. A shard that fails lets those that run end; no other is begun. */
static void reap(crew *c)
{
    for (pfx_idx i = 0; i < c->jobs; i++) {
        int how;
        if (!c->pid[i] || waitpid(c->pid[i], &how, WNOHANG) != c->pid[i]) continue;
        int code = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
        c->pid[i] = 0;
        c->running--;
        if (code != 0) atomic_store(&c->q->stop, true);
        if (code != 0 && c->failed == 0) {
            c->failed = code;
            c->failed_shard = atomic_load(&c->q->shard[i]);
        }
    }
}

static void tell(crew *c)
{
    atomic_store(&c->q->stop, true);
    for (pfx_idx i = 0; i < c->jobs && !c->told; i++)
        if (c->pid[i]) kill(c->pid[i], SIGTERM);
    c->told = true;
}

static pfx_status crew_result(const crew *c, pfx_err *err)
{
    pfx_idx n = c->q->n_shards, done = atomic_load(&c->q->done);
    if (pfx_stop_requested() || c->failed == 75)
        return pfx_fail(
            err, PFX_EINTR,
            "stopped after %lld of %lld shards; the others keep their checkpoints: the same command "
            "goes on",
            (long long)done, (long long)n);
    if (c->failed == 0) return PFX_OK;
    pfx_status st = c->failed == 2   ? PFX_EUSAGE
                    : c->failed == 3 ? PFX_EDATA
                    : c->failed == 4 ? PFX_ENOCONV
                                     : PFX_EIO;
    return pfx_fail(err, st,
                    "shard %lld ended with status %d: nothing is merged; %lld of %lld shards are whole",
                    (long long)c->failed_shard, c->failed, (long long)done, (long long)n);
}

static pfx_status run_crew(const plan_run *r, crew *c, pfx_err *err)
{
    const struct timespec wait = {.tv_nsec = 1000000};
    pfx_status st = PFX_OK;
    for (pfx_idx i = 0; i < c->jobs && st == PFX_OK && !pfx_stop_requested(); i++)
        st = begin_worker(r, c, i, err);
    if (st != PFX_OK) tell(c);
    while (c->running > 0) {
        if (pfx_stop_requested()) tell(c);
        nanosleep(&wait, NULL);
        reap(c);
        pfx_progress_set((double)atomic_load(&c->q->done));
    }
    return st == PFX_OK ? crew_result(c, err) : st;
}

/* Is the merged file there, and of this plan? */
static pfx_status look_at_merged(const plan_run *r, bool *whole, pfx_err *err)
{
    const pfx_plan *p = &r->plan;
    pfx_draws *d = NULL;
    *whole = false;
    if (r->o.common.force || access(p->merged, F_OK) != 0) return PFX_OK;
    pfx_status st = pfx_draws_open(p->merged, &d, err);
    if (st != PFX_OK) return st;
    const pfx_draw_spec *s = pfx_draws_spec(d);
    *whole = strcmp(s->spec_digest, p->spec_digest) == 0 && strcmp(s->panel_digest, p->panel_digest) == 0 &&
             s->seed == (uint64_t)p->seed && strcmp(s->numerics, p->isa) == 0 && s->first == 0 &&
             s->last == s->reps && strcmp(pfx_draws_engine(d), PFX_VERSION) == 0;
    pfx_draws_close(d);
    if (!*whole)
        return pfx_fail(err, PFX_EUSAGE, "%s exists and is of another run; give --force to replace it",
                        p->merged);
    pfx_note("%s is whole: nothing to do", p->merged);
    return PFX_OK;
}

static pfx_status merge(const plan_run *r, pfx_err *err)
{
    const pfx_plan *p = &r->plan;
    static char name[] = "merge", output[] = "-o", force[] = "--force", quiet[] = "--quiet", end[] = "--";
    int argc = 0, first;
    char **argv = pfx_mem_calloc(p->n_shards + 8, sizeof *argv, err);
    if (!argv) return PFX_ENOMEM;
    argv[argc++] = name;
    argv[argc++] = output;
    argv[argc++] = p->merged;
    if (r->o.common.force) argv[argc++] = force;
    if (r->o.common.quiet) argv[argc++] = quiet;
    argv[argc++] = end;
    first = argc;
    pfx_status st = PFX_OK;
    for (int i = 0; i < p->n_args && st == PFX_OK; i++) st = pfx_out_spare(p->merged, p->args[i], err);
    for (pfx_idx k = 1; k <= p->n_shards && st == PFX_OK; k++)
        if ((argv[argc] = pfx_shard_name(p->output, k, p->n_shards, err)))
            argc++;
        else
            st = PFX_ENOMEM;
    if (st == PFX_OK) st = pfx_cmd_merge.run(argc, argv, err);
    while (argc > first) pfx_mem_free(argv[--argc]);
    pfx_mem_free(argv);
    return st;
}

static pfx_status all_shards(const plan_run *r, pfx_err *err)
{
    crew c = {.jobs = r->o.jobs < r->plan.n_shards ? r->o.jobs : r->plan.n_shards};
    size_t bytes = sizeof *c.q + (size_t)c.jobs * sizeof *c.q->shard;
    bool whole;
    pfx_status st = look_at_merged(r, &whole, err);
    if (st != PFX_OK || whole) return st;
    pfx_stop_install("panelfx run-plan");
    pfx_stop_defer(true);
    if (!(c.pid = pfx_mem_calloc(c.jobs, sizeof *c.pid, err))) return PFX_ENOMEM;
    c.q = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); /* zeros */
    if (c.q == MAP_FAILED) {
        pfx_mem_free(c.pid);
        return pfx_fail(err, PFX_ENOMEM, "out of memory for %lld processes", (long long)c.jobs);
    }
    c.q->n_shards = r->plan.n_shards;
    pfx_progress_begin("running", "shards", (double)r->plan.n_shards);
    st = run_crew(r, &c, err);
    pfx_progress_end();
    munmap(c.q, bytes);
    pfx_mem_free(c.pid);
    if (st != PFX_OK) return st;
    pfx_stop_defer(false);
    return merge(r, err);
}

/* ---- the plan ---- */

/* Beside the plan. */
static pfx_status find_stats(plan_run *r, pfx_err *err)
{
    const char *slash = strrchr(r->name, '/');
    pfx_str s = {0};
    if (!*r->plan.stats) return PFX_OK;
    pfx_str_addf(&s, "%.*s%s", slash ? (int)(slash - r->name) + 1 : 0, r->name, r->plan.stats);
    if (!s.failed) r->stats = pfx_mem_strdup(s.s, err);
    pfx_str_free(&s);
    return r->stats ? PFX_OK : pfx_fail(err, PFX_ENOMEM, "out of memory for a file name");
}

static pfx_status read_plan(plan_run *r, pfx_err *err)
{
    char *text = NULL;
    size_t n = 0;
    pfx_status st = pfx_file_read_text(r->name, (size_t)64 << 20, &text, &n, err);
    if (st == PFX_OK) st = pfx_plan_parse(r->name, text, n, &r->plan, err);
    pfx_mem_free(text);
    if (st == PFX_OK && strcmp(r->plan.version, PFX_VERSION) != 0)
        st = pfx_fail(err, PFX_EUSAGE,
                      "%s: planned by panelfx %s, this is %s; run it with that version, or make it anew",
                      r->name, r->plan.version, PFX_VERSION);
    return st == PFX_OK ? find_stats(r, err) : st;
}

static pfx_status run_plan_command(int argc, char **argv, pfx_err *err)
{
    plan_run r = {0};
    const char *pos[1];
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_run_plan, argc, argv, &r.o, 1, 1, pos, &n_pos, err);
    if (st || r.o.common.help) return st;
    if (!r.o.shard == !r.o.jobs)
        return pfx_fail(err, PFX_EUSAGE,
                        "run-plan needs --jobs N for all shards, or --shard K for one of them");
    if (!r.o.shard && (r.o.jobs < 1 || r.o.jobs > 1024))
        return pfx_fail(err, PFX_EUSAGE, "--jobs %lld: want 1 to 1024", (long long)r.o.jobs);
    r.name = pos[0];
    st = read_plan(&r, err);
    if (st == PFX_OK) st = r.o.shard ? one_shard(&r, err) : all_shards(&r, err);
    pfx_plan_free(&r.plan);
    pfx_mem_free(r.stats);
    return st;
}

const pfx_command pfx_cmd_run_plan = {
    "run-plan",     "PLAN.yaml",      "run the shards of a plan, and merge them",
    run_plan_table, run_plan_command, NULL};
