/* Options that boot, placebo and jackknife share. */
#include "src/cmd/replicate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/cmd/plan.h"

static const char *const ssc_choices[] = {"fixest", "reghdfe", "stata", "none", NULL};
static const char *const kind_choices[] = {"analytic", "frequency", "probability", NULL};
static const char *const format_choices[] = {"text", "json", NULL};

#define AT(field) offsetof(rep_options, field)
const pfx_opt rep_draw_options[] = {
    {"reps", 0, PFX_OPT_INT, AT(reps), "R", "replicates (default: 9999)", NULL, "Draws"},
    {"seed", 0, PFX_OPT_INT, AT(seed), "S", "seed of the random numbers (default: 1)", NULL, NULL},
    {"output", 'o', PFX_OPT_TEXT, AT(output), "DRAWS.h5",
     "store every draw in this file; %k in the name stands for the shard's number", NULL, NULL},
    {"shard", 0, PFX_OPT_TEXT, AT(shard), "K/N",
     "only the K-th of N parts of the replicates, or slurm/N: K from SLURM_ARRAY_TASK_ID; join them with "
     "merge",
     NULL, NULL},
    {"resume", 0, PFX_OPT_FLAG, AT(resume), NULL,
     "go on from the checkpoint DRAWS.h5.part; nothing to do where DRAWS.h5 is whole", NULL, NULL},
    {"checkpoint", 0, PFX_OPT_REAL, AT(checkpoint), "SECONDS",
     "time between checkpoints of -o; 0: only on a signal (default: 60)", NULL, NULL},
    {"stop-when-decided", 0, PFX_OPT_REAL, AT(decided), "ALPHA",
     "stop once it is decided, with a risk of 0.001, on which side of ALPHA every p-value lies", NULL, NULL},
    {"estimate", 0, PFX_OPT_FLAG, AT(estimate), NULL,
     "print the memory and the time that the run needs, and stop", NULL, NULL},
    {"family", 0, PFX_OPT_LIST, AT(family), "SPEC,SPEC",
     "further formulas: with FORMULA's models one family, on the same draws, with Romano-Wolf and "
     "Westfall-Young p-values",
     NULL, NULL},
    {0},
};

const pfx_opt rep_model_options[] = {
    {"null", 0, PFX_OPT_REAL, AT(null), "H0", "value that the p-value is for (default: 0)", NULL,
     "Model and sample"},
    {"level", 0, PFX_OPT_REAL, AT(level), "P", "level of the intervals (default: 0.95)", NULL, NULL},
    {"cluster", 0, PFX_OPT_TEXT, AT(cluster), "VAR", "cluster variable (default: the panel's unit)", NULL,
     NULL},
    {"ssc", 0, PFX_OPT_CHOICE, AT(ssc), "RULE",
     "small-sample rule of the full-sample fit: fixest, reghdfe, stata or none (default: fixest)",
     ssc_choices, NULL},
    {"where", 0, PFX_OPT_TEXT, AT(where), "EXPR", "keep the rows where EXPR holds", NULL, NULL},
    {"weights", 0, PFX_OPT_TEXT, AT(weights), "VAR", "weights: a column or an expression, not negative", NULL,
     NULL},
    {"weights-kind", 0, PFX_OPT_CHOICE, AT(weights_kind), "KIND",
     "analytic, frequency or probability (default: analytic)", kind_choices, NULL},
    {"keep-singletons", 0, PFX_OPT_FLAG, AT(keep_singletons), NULL,
     "keep rows that are alone in a level of an effect (default: drop and count them)", NULL, NULL},
    {"tol", 0, PFX_OPT_REAL, AT(tol), "X",
     "relative residual where effects are absorbed iteratively (default: 1e-10)", NULL, NULL},
    {"maxiter", 0, PFX_OPT_INT, AT(maxiter), "N", "most iterations there (default: 10000)", NULL, NULL},
    {"format", 0, PFX_OPT_CHOICE, AT(format), "FORMAT", "text or json on standard output (default: text)",
     format_choices, NULL},
    {0},
};

const pfx_opt *const rep_shared_options[] = {rep_draw_options, rep_model_options, NULL};

rep_options rep_defaults(void)
{
    fit_options f = fit_defaults();
    return (rep_options){.reps = 9999,
                         .seed = 1,
                         .checkpoint = 60,
                         .ssc = f.ssc,
                         .level = f.level,
                         .tol = f.tol,
                         .maxiter = f.maxiter};
}

static pfx_status bad_shard(const char *text, pfx_err *err)
{
    return pfx_fail(err, PFX_EUSAGE, "--shard %s: want K/N with K from 1 to N, or slurm/N", text);
}

const char *pfx_shard_of_slurm(const char *asked, pfx_err *err)
{
    const char *k = getenv("SLURM_ARRAY_TASK_ID");
    if (k && *k) return k;
    (void)!pfx_fail(err, PFX_EUSAGE,
                    "--shard %s: SLURM_ARRAY_TASK_ID is not set; run it in an array job, or name the shard",
                    asked);
    return NULL;
}

/* "K/N" or "slurm/N". */
static pfx_status parse_shard(rep_run *r, pfx_err *err)
{
    const char *text = r->o->shard, *slash = strchr(text, '/');
    const char *k = text;
    size_t n_k = slash ? (size_t)(slash - text) : 0;
    if (!slash || !pfx_text_idx(slash + 1, strlen(slash + 1), &r->n_shards) || r->n_shards < 1)
        return bad_shard(text, err);
    if (n_k == 5 && strncmp(text, "slurm", 5) == 0) {
        if (!(k = pfx_shard_of_slurm(text, err))) return PFX_EUSAGE;
        n_k = strlen(k);
    }
    if (!pfx_text_idx(k, n_k, &r->shard)) return bad_shard(text, err);
    if (r->shard < 1 || r->shard > r->n_shards)
        return pfx_fail(err, PFX_EUSAGE, "--shard %s: shard %lld is not one of 1 to %lld", text,
                        (long long)r->shard, (long long)r->n_shards);
    return PFX_OK;
}

pfx_idx pfx_shard_bound(pfx_idx k, pfx_idx reps, pfx_idx n)
{
    return (pfx_idx)((__int128)k * reps / n);
}

void rep_bounds(rep_run *r)
{
    r->first = pfx_shard_bound(r->shard - 1, r->reps, r->n_shards);
    r->last = pfx_shard_bound(r->shard, r->reps, r->n_shards);
}

char *pfx_shard_name(const char *output, pfx_idx shard, pfx_idx n_shards, pfx_err *err)
{
    char number[32], width[32];
    pfx_str name = {0};
    const char *s = output, *at;
    int digits = snprintf(width, sizeof width, "%lld", (long long)n_shards);
    snprintf(number, sizeof number, "%0*lld", digits, (long long)shard);
    for (; (at = strstr(s, "%k")); s = at + 2) {
        pfx_str_addn(&name, s, (size_t)(at - s));
        pfx_str_add(&name, number);
    }
    pfx_str_add(&name, s);
    char *copy = name.failed ? NULL : pfx_mem_strdup(name.s, err);
    pfx_str_free(&name);
    if (!copy) (void)!pfx_fail(err, PFX_ENOMEM, "out of memory for a file name");
    return copy;
}

pfx_status rep_name_output(rep_run *r, pfx_err *err)
{
    pfx_mem_free(r->output);
    r->output = r->o->output ? pfx_shard_name(r->o->output, r->shard, r->n_shards, err) : NULL;
    return r->output || !r->o->output ? PFX_OK : PFX_ENOMEM;
}

static pfx_status check_draw_options(const rep_options *o, pfx_err *err)
{
    if (o->reps < 1) return pfx_fail(err, PFX_EUSAGE, "--reps %lld: want at least 1", (long long)o->reps);
    if (o->seed < 0) return pfx_fail(err, PFX_EUSAGE, "--seed %lld: want 0 or more", (long long)o->seed);
    if (!(o->checkpoint >= 0))
        return pfx_fail(err, PFX_EUSAGE, "--checkpoint %g: want seconds, 0 or more", o->checkpoint);
    if (o->decided != 0 && !(o->decided > 0 && o->decided < 1))
        return pfx_fail(err, PFX_EUSAGE, "--stop-when-decided %g: want a number between 0 and 1, as 0.05",
                        o->decided);
    if (o->decided != 0 && o->shard)
        return pfx_fail(err, PFX_EUSAGE,
                        "--stop-when-decided needs the replicates in order; it does not go with --shard");
    if (!o->output && o->resume)
        return pfx_fail(err, PFX_EUSAGE, "--resume needs the file of the run: -o DRAWS.h5");
    if (!o->output && o->shard && !o->estimate)
        return pfx_fail(err, PFX_EUSAGE, "--shard %s: name a file for its draws, -o DRAWS.%%k.h5", o->shard);
    return PFX_OK;
}

pfx_status rep_check_options(const rep_options *o, pfx_err *err)
{
    fit_options f = fit_defaults();
    pfx_status st = check_draw_options(o, err);
    f.level = o->level;
    f.tol = o->tol;
    f.maxiter = o->maxiter;
    f.weights = o->weights;
    f.weights_kind = o->weights_kind;
    return st == PFX_OK ? fit_check_options(&f, err) : st;
}

pfx_status rep_choose_draws(rep_run *r, pfx_err *err)
{
    const rep_options *o = r->o;
    pfx_status st = PFX_OK;
    if (o->decided != 0 && !r->method->extreme)
        return pfx_fail(err, PFX_EUSAGE, "--stop-when-decided: %s %s cannot stop early", r->method->command,
                        r->method->name);
    r->reps = o->reps;
    r->shard = r->n_shards = 1;
    if (o->shard && (st = parse_shard(r, err)) != PFX_OK) return st;
    rep_bounds(r);
    return rep_name_output(r, err);
}
