/* A plan of shards: what plan writes as YAML and run-plan reads. */
#ifndef PFX_CMD_PLAN_H
#define PFX_CMD_PLAN_H

#include "src/base/sha256.h"
#include "src/base/status.h"
#include "src/base/text.h"

enum { PLAN_MAX_SHARDS = 100000 };

typedef struct pfx_plan {
    char *version;      /* of panelfx */
    char *command;      /* "boot", "placebo" */
    int n_args;         /* its arguments and options, without those that the plan sets */
    char **args;        /* [n_args] */
    char *isa;          /* name of the instruction set that every shard uses */
    char *output;       /* of a shard, with %k for its number */
    char *merged;       /* the file of the whole run */
    pfx_idx seed, reps; /* --seed, --reps */
    pfx_idx draws;      /* replicates that there are: fewer than reps where all of them are enumerated */
    pfx_idx n_shards;   /* 1 to PLAN_MAX_SHARDS */
    char *stats; /* file beside the plan with the statistics that shards read, "": they read the panel */
    char spec_digest[PFX_SHA256_HEX], panel_digest[PFX_SHA256_HEX];
    /* For the reader of the file; not read back: why there is no stats, NULL where there is; threads of the
     * prediction, seconds until the first replicate, seconds of one replicate, bytes resident. */
    char *no_stats;
    int threads;
    double start_s, draw_s, bytes;
} pfx_plan;

/* The plan as YAML, appended to out; out->failed: no memory. */
void pfx_plan_write(const pfx_plan *p, pfx_str *out);
/* YAML to a plan, free with pfx_plan_free whatever happened. USAGE: not YAML, a key that is missing, unknown
 * or of a wrong value, bounds that are not those of the shards; with the line. NOMEM. */
pfx_status pfx_plan_parse(const char *name, const char *text, size_t n, pfx_plan *out, pfx_err *err) PFX_MUST;
void pfx_plan_free(pfx_plan *p);

/* output with the shard's number for %k, as wide as the number of shards; a new string. NOMEM: NULL. */
char *pfx_shard_name(const char *output, pfx_idx shard, pfx_idx n_shards, pfx_err *err) PFX_MUST;
/* Replicates of shard k of n: pfx_shard_bound(k - 1, ..) .. pfx_shard_bound(k, ..) - 1, counted from 0; this
 * is floor(k reps / n). */
pfx_idx pfx_shard_bound(pfx_idx k, pfx_idx reps, pfx_idx n);
/* SLURM_ARRAY_TASK_ID, or NULL and a message that begins with what was asked. USAGE. */
const char *pfx_shard_of_slurm(const char *asked, pfx_err *err) PFX_MUST;

#endif
