/* What boot, placebo and jackknife share: options, the way from a panel to the full-sample fit and its
 * cluster statistics, the loop over the draws with its file, the report. A method of replication plugs in by
 * a rep_method, one file src/cmd/COMMAND_METHOD.c (boot_pairs.c is the example); CONTRIBUTING.md has the
 * recipe. */
#ifndef PFX_CMD_REPLICATE_H
#define PFX_CMD_REPLICATE_H

#include "hdf5_io/draws.h"
#include "src/base/sha256.h"
#include "src/cmd/fit_private.h"
#include "src/rep/clusterstat.h"
#include "src/rep/driver.h"
#include "src/rep/family.h"
#include "src/rep/keep.h"
#include "src/rep/together.h"
#include "src/report/replicate.h"

enum { REP_MAX_FACTORS = 8 }; /* cluster variables and a method's further factors */

/* The first member of the options struct of each of these commands. */
typedef struct rep_options {
    pfx_common common;
    /* rep_model_options: what is fitted, and how results are shown */
    const char *cluster, *where, *weights;
    int weights_kind, ssc;
    bool keep_singletons;
    double null, level, tol;
    pfx_idx maxiter;
    int format; /* 0 text, 1 json */
    /* rep_draw_options: what is drawn, and where it goes */
    pfx_idx reps, seed;
    const char *shard; /* "2/7", "slurm/7" */
    bool resume, estimate;
    double checkpoint, decided; /* seconds; alpha, 0: not asked for */
    const char *output;
    pfx_opt_list family; /* further specifications */
} rep_options;

extern const pfx_opt rep_model_options[], rep_draw_options[];
/* For pfx_command.shared: both tables. A command without draws (jackknife) names rep_model_options alone. */
extern const pfx_opt *const rep_shared_options[];
rep_options rep_defaults(void);

struct rep_method;
struct pfx_bag;

/* One run. What a method's functions may read of it grows along the way, in this order. */
typedef struct rep_run {
    const rep_options *o;
    const void *own; /* the command's whole options struct, which begins with *o */
    const struct rep_method *method;
    int n_terms; /* tested coefficients, which the command sets before rep_command; n_terms <= 64 */
    const char *const *terms;
    pfx_formula *formula; /* one model; of a family, one for each specification */
    pfx_idx shard, n_shards, first,
        last;     /* the run's replicates, first .. last - 1 counted from 0, of `reps` */
    char *output; /* where the draws go, or NULL */

    /* set before method->open */
    int n_specs, spec_number; /* of the family that this is a specification of, 0: none; which of them, from 0 */
    pfx_panel *panel;
    bool synthetic;
    const char *matched; /* how the panel was matched, or NULL */
    fit_vcov vcov; /* n_clusters 0, 1 or 2 */
    pfx_dataset_options dataset;
    const char *factor[REP_MAX_FACTORS], *factor_option[REP_MAX_FACTORS]; /* dataset.clusters */
    int n_names;
    char **names; /* [n_names] columns of the panel that are read */

    /* what the draws depend on, and digests of that and of the columns; set after method->open */
    pfx_str spec;
    char spec_digest[PFX_SHA256_HEX], panel_digest[PFX_SHA256_HEX];

    /* set before method->prepare */
    pfx_fit *fit;          /* of the full sample */
    pfx_clusterstat *stat; /* where method->needs_stat, else NULL */

    /* of a specification of a family, set before method->prepare: the clusters that the family draws from,
     * and which of them this one has. n 0: no family. drawn_by: levels of which of the design's cluster
     * variables are drawn, set by method->open where it is not the first */
    pfx_union all;
    int drawn_by;
    /* where method->family_rows, by row of the panel: number in the union of what is drawn, -1: no specification has the
     * row; and its level of the design's cluster variable also_by, where method->open set that (else -1, and NULL) */
    int also_by;
    const int32_t *union_row, *also_row;

    /* the method's own, made by open or prepare, freed by method->release */
    void *state;

    pfx_idx reps;       /* as asked for; prepare may lower it, where fewer are all there are (enumeration) */
    pfx_draw_sink file; /* ctx NULL: none */
    pfx_draws *resumed; /* a checkpoint to go on from, or NULL */
    pfx_dataset *data;
    char *fit_json; /* /fit of the draws file; NULL: not yet made */
    double read_s, compute_s;
} rep_run;

/* A method of replication. Functions that may be NULL say so. All get the run; none keeps pointers to arrays
 * that are not in it. */
typedef struct rep_method {
    const char *command, *name; /* "boot", "pairs": attributes of the draws file */
    const char *title;          /* "Pairs cluster bootstrap", the report's second line */
    const char *name_key;       /* of `name` in JSON: "method" (boot), "scheme" (placebo) */
    bool instruments;           /* takes two-stage least squares */
    bool family;                /* several specifications can share draws: prepare heeds r->all, and the
                                   statistics of draws and terms are t under the null */
    pfx_family_rule rule;       /* for which: how p_value counts */
    bool family_rows;           /* draws are made of the rows of all specifications: r->union_row */
    pfx_family_rule (*rule_now)(const rep_run *r); /* where the rule depends on the draws, else NULL */
    bool needs_stat;            /* cluster statistics of the first cluster variable and the tested terms */
    bool refits;                /* takes statistics that absorbed effects which cross the clusters */

    /* The panel is open and the variance chosen, no row is read. Refuse what the method cannot do, and ask
     * r->dataset for more: want_rows, want_time, and by rep_add_factor further factors (strata, bootcluster,
     * the cluster of the assignment). May be NULL. */
    pfx_status (*open)(rep_run *r, pfx_err *err);

    /* From r->fit, r->stat and the design (rows in the order that the fit left them in; freed after the call)
     * to r->state: all that draws are made of. */
    pfx_status (*prepare)(rep_run *r, struct pfx_design *design, pfx_err *err);
    /* The end of prepare, from what it has by then; NULL: batches need rows, always. With the statistics of a plan it is
     * called without prepare, after `store`: r->state as open left it, of r->fit what replicate_stats.c keeps, and draws
     * alone are asked for, no summary. */
    pfx_status (*ready)(rep_run *r, pfx_err *err);
    /* What prepare hands to ready in r->state, to a bag and out of it (src/base/bag.h); NULL: nothing but r->fit, r->stat. */
    pfx_status (*store)(rep_run *r, struct pfx_bag *b, pfx_err *err);
    /* After prepare: why batches need rows, or NULL where they do not; itself NULL: they do not. */
    const char *(*needs_rows)(const rep_run *r);
    void (*release)(void *state); /* also half-built, and NULL */

    /* The batches, for src/rep/driver.h; its n_extra fields go to the file as /draws/NAME. */
    const pfx_rep_method *(*draws)(const rep_run *r);

    /* Every option of the method's own that changes a draw, as lines "name=value\n": their digest is what
     * resume and merge compare, and they name the line that differs. Called after open, before a row is read.
     * The frame adds command, name, formula, sample, weights, clusters, terms. May be NULL. */
    void (*describe)(const rep_run *r, pfx_str *spec);

    /* What summarise takes of term t of the full sample besides the draws: it goes into the file, under
     * "replication" of /fit, for `inference`. May be NULL. */
    void (*full)(const rep_run *r, int t, pfx_rep_values *v);

    /* Fields of a draw that summarise reads, bits 1u << PFX_DRAW_ESTIMATE ...: only these are kept in memory.
     * May depend on what was asked for. */
    unsigned (*keep)(const rep_run *r);

    /* Is row i of the draws field[f] [n x n_terms] at least as extreme for term t as the estimate, by the
     * rule of p_value? 1 yes, 0 no, -1 not a valid draw. For --stop-when-decided; NULL: the method cannot
     * stop early. */
    int (*extreme)(const rep_run *r, int t, const double *const *field, pfx_idx i);

    /* All draws are there: d->field[f] [d->n x n_terms] of the kept fields, NULL of others. Fill
     * report->term[t] for each term (estimate, std_error, statistic, valid, count, p_value;
     * pfx_rep_add_interval, pfx_rep_add_real ...) and report->note; warn of what a reader must know; fail
     * with IDENT where no number may be printed. What the frame knows (formula, reps, seed, level, null,
     * times ...) is filled already. */
    pfx_status (*summarise)(rep_run *r, const pfx_draw_keep *d, pfx_rep_report *report, pfx_err *err);
} rep_method;

/* Several specifications that share draws (replicate_family.c): each is a run of its own, and r->method is made to
 * stand for all of them. Called after the formula is parsed. USAGE: the method cannot; names are not different. */
pfx_status rep_family_begin(rep_run *r, pfx_err *err) PFX_MUST;
/* Instead of one design, fit, statistics and prepare: those of each specification. */
pfx_status rep_family_reduce(rep_run *r, pfx_err *err) PFX_MUST;
/* Formula, rows and clusters of the family into the report, beside what every run says. */
void rep_family_head(const rep_run *r, pfx_rep_report *report);
/* The family's p-values of report->term [d->n_terms], whose statistics are set, and what they are, into the report. NOMEM. */
enum { REP_FAMILY_TESTS = 64 };
pfx_status rep_family_adjust(const pfx_draw_keep *d, pfx_family_rule rule, pfx_rep_report *report,
                             pfx_err *err) PFX_MUST;
/* The full-sample fits of a run, one unless it is of a family. */
pfx_fit *const *rep_fits(const rep_run *r, int *n);
/* The specifications of --family behind the models of the formula. USAGE. */
pfx_status rep_family_parse(rep_run *r, pfx_err *err) PFX_MUST;
/* Fit, statistics and method->prepare of one specification. */
pfx_status rep_reduce_design(rep_run *r, struct pfx_design *design, pfx_err *err) PFX_MUST;

/* Parts of a run, for a command that does not draw (jackknife); rep_command calls them in this order. Each is
 * given what the one before has made; rep_free frees everything, whatever happened. */

/* Ranges and combinations of the shared options. USAGE. */
pfx_status rep_check_options(const rep_options *o, pfx_err *err) PFX_MUST;
/* The run's replicates and the name of its output. USAGE. */
pfx_status rep_choose_draws(rep_run *r, pfx_err *err) PFX_MUST;
/* Formula, panel, variance, method->open, digests. Several models are a family. */
pfx_status rep_open(rep_run *r, const char *panel, const char *formula, pfx_err *err) PFX_MUST;
/* Factor k that rows are read with, and the option that names it; the next one, whose index is returned. They
 * become design->clusters in this order, at most REP_MAX_FACTORS, and do not change the fit's variance. */
void rep_set_factor(rep_run *r, int k, const char *option, const char *name);
int rep_add_factor(rep_run *r, const char *option, const char *name);
/* Rows, full-sample fit, cluster statistics if method->needs_stat, and method->prepare. */
pfx_status rep_load(rep_run *r, pfx_err *err) PFX_MUST;
/* Cluster statistics of r->terms to r->stat, for a prepare that learns its terms from the fit. Effects that cross the
 * clusters become columns, or, where these are many and the method can, stay effects and each replicate is a refit. */
pfx_status rep_make_stat(rep_run *r, const struct pfx_design *design, pfx_err *err) PFX_MUST;
/* What the frame knows, into a report; terms allocated, free with pfx_rep_report_free. */
pfx_status rep_report_begin(const rep_run *r, pfx_rep_report *report, pfx_err *err) PFX_MUST;
/* Times into the report; text or JSON on standard output. */
pfx_status rep_report_print(const rep_run *r, pfx_rep_report *report, pfx_err *err) PFX_MUST;
void rep_free(rep_run *r);

/* What is there of the output already (replicate_resume.c). Before the panel is opened: refuse what would be
 * overwritten, make the sink. USAGE, IO. */
pfx_status rep_output_begin(rep_run *r, pfx_err *err) PFX_MUST;
/* After rep_open, with --resume: r->resumed, or *whole where nothing is left to do. USAGE, DATA: what is
 * there belongs to another run; says what differs. */
pfx_status rep_output_resume(rep_run *r, bool *whole, pfx_err *err) PFX_MUST;
/* The sink, if any, is done with; what it has not committed is removed. */
void rep_output_end(rep_run *r);

/* A run for a plan. Set before the command is run in this process, NULL again after it. `plan` is filled by a
 * run with --estimate, which then prints nothing: isa, seed, reps, draws, digests, threads, start_s, draw_s,
 * bytes, no_stats; isa is a new string. `want`: the run must be of these digests, else DATA (the panel) or USAGE, before
 * a row is read; name is the plan's, for the message. */
typedef struct rep_for_plan {
    struct pfx_plan *plan;
    const struct pfx_plan *want;
    const char *name;
    const char *stats; /* file of statistics: written beside `plan`, read for `want`; NULL: none */
    bool force;        /* replace it */
    /* For a process that runs several shards of `want`: the number of the next one, 0: no more. NULL: the command's
     * own is the only one. */
    pfx_idx (*next)(void *ctx);
    void *next_ctx;
} rep_for_plan;
void rep_run_for_plan(const rep_for_plan *p);
/* The plan's next shard for this process, 0: none. */
pfx_idx rep_next_shard(void);
/* After rep_open: is it what the plan, if any, wants? */
pfx_status rep_check_plan(const rep_run *r, pfx_err *err) PFX_MUST;
/* What a run needs. */
typedef struct rep_need {
    double bytes, start_s, draw_s; /* resident; seconds before the draws, and of one */
} rep_need;
/* To the plan, if any; *done: there is one. */
pfx_status rep_fill_plan(rep_run *r, const rep_need *need, bool *done, pfx_err *err) PFX_MUST;

/* Statistics that the run reads instead of the panel's rows, or NULL. */
const char *rep_planned_stats(void);

/* Statistics of a prepared run (replicate_stats.c). Why they cannot be kept, or NULL. */
const char *rep_stats_reason(const rep_run *r);
pfx_status rep_write_stats(rep_run *r, const char *path, bool force, pfx_err *err) PFX_MUST;
/* Instead of rep_load, after rep_open. DATA, USAGE: of another panel or run, says what differs. FORMAT, NOMEM. */
pfx_status rep_read_stats(rep_run *r, const char *path, pfx_err *err) PFX_MUST;
/* Of one specification, to the bag or out of it and ready. */
pfx_status rep_store_spec(rep_run *r, struct pfx_bag *b, pfx_err *err) PFX_MUST;
/* The same of a family. */
pfx_status rep_family_store(rep_run *r, struct pfx_bag *b, pfx_err *err) PFX_MUST;
const char *rep_family_stats_reason(const rep_run *r);
/* r->fit_json, from a prepared run. */
pfx_status rep_make_json(rep_run *r, pfx_err *err) PFX_MUST;
/* The first line of a that is not b's line at the same place, and b's there; lengths 0 at the end. */
void rep_first_difference(const char *a, const char *b, const char **x, int *n_x, const char **y, int *n_y);
/* USAGE: draws or statistics at path are of a run with other options; says which. */
pfx_status rep_other_options(const rep_run *r, const char *path, const char *theirs, pfx_err *err) PFX_MUST;

/* first and last from shard and reps. */
void rep_bounds(rep_run *r);
/* The name of the shard's output, where there is one. NOMEM. */
pfx_status rep_name_output(rep_run *r, pfx_err *err) PFX_MUST;

/* The draws, from a prepared method to file and summary (replicate_draw.c). */
pfx_status rep_draw(rep_run *r, pfx_rep_report *report, pfx_err *err) PFX_MUST;

/* While a run has a file: once a signal came and the draws do not end within a second, another thread keeps what is whole
 * and ends the process (replicate_guard.c). Between begin and end the file is the caller's, but while idle is on. */
pfx_status rep_guard_begin(rep_run *r, pfx_err *err) PFX_MUST;
/* The loop that hands draws to the file (NULL: none now), and draws that the file had before it. */
void rep_guard_loop(pfx_rep_run *run, pfx_idx done);
void rep_guard_idle(void *none, bool on);
void rep_guard_end(const rep_run *r); /* nothing without a begin */

/* A whole run of a method: check, open, load, prepare, draw, summarise, commit, print; for a plan, of all shards that
 * rep_next_shard names. Frees r. */
pfx_status rep_command(rep_run *r, const char *panel, const char *formula, pfx_err *err) PFX_MUST;

/* Shares of draws in which a term is not identified: above 5 % warned of, above 50 % IDENT. For summarise. */
enum { REP_LOST_WARN = 5, REP_LOST_FAIL = 50 }; /* % of the draws without a coefficient: a warning; no result */
pfx_status rep_check_lost(const char *term, pfx_idx valid, pfx_idx reps, pfx_err *err) PFX_MUST;

#endif
