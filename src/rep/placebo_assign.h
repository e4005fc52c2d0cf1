/* Assignments of a treatment: what each unit's path over time is, which units may exchange theirs, and the
 * assignments that replicates draw. Source: methods.md section 7; Fisher (1935); Phipson and Smyth (2010). */
#ifndef PFX_REP_PLACEBO_ASSIGN_H
#define PFX_REP_PLACEBO_ASSIGN_H

#include <stdbool.h>
#include "kernels/placebo.h"

typedef enum pfx_placebo_scheme {
    PFX_PLACEBO_PERMUTE,     /* paths change hands within strata */
    PFX_PLACEBO_RANDOM_DATE, /* as many units as are treated, each with a date of the stratum's treated units
                              */
    PFX_PLACEBO_IN_TIME,     /* adoption some periods earlier, true post rows left out; no draws */
    PFX_PLACEBO_WITHIN,      /* rows of a period exchange their values */
    PFX_PLACEBO_FILE,        /* the user's own */
    PFX_PLACEBO_SCHEMES
} pfx_placebo_scheme;
/* "permute", "random-date", "in-time", "within-period", "file", NULL. */
extern const char *const pfx_placebo_scheme_names[PFX_PLACEBO_SCHEMES + 1];

typedef enum pfx_treatment_kind {
    PFX_TREAT_ADOPTION, /* 0/1, once on it stays on, some unit switches */
    PFX_TREAT_GROUP,    /* constant within units */
    PFX_TREAT_ON_OFF,   /* 0/1 */
    PFX_TREAT_VALUES    /* any numbers */
} pfx_treatment_kind;

typedef struct pfx_assign_in {
    pfx_placebo_scheme scheme;
    pfx_idx n;
    const double *treatment; /* [n] */
    pfx_idx n_units;
    const int32_t *unit; /* [n] what is assigned as one */
    int n_periods;
    const int32_t *period;  /* [n] number of the row's period, in order of time */
    const int32_t *stratum; /* [n], or NULL: units with the same first and last period */
    const char *unit_name, *treatment_name, *stratum_name; /* for messages */
    const pfx_idx *row;                                    /* [n] panel row, for messages, or NULL */
} pfx_assign_in;

typedef struct pfx_assign {
    pfx_placebo_scheme scheme;
    pfx_treatment_kind kind;
    pfx_idx n_units; /* within-period: rows */
    int n_periods;   /* of a path; within-period: 1 */
    pfx_idx n_paths;
    double *path;                          /* [n_paths x n_periods], each once, none all zero */
    int32_t *own;                          /* [n_units] the data's assignment, -1: never treated */
    pfx_idx n_treated, n_switch, n_always; /* units: treated; that switch; excluded, date unknown */
    pfx_idx n_strata, n_idle;              /* strata with variation; without, whose units keep their paths */
    pfx_idx n_idle_units, idle_row;        /* units there; a row of the first such stratum, -1: none */
    pfx_k_stratum *stratum;                /* [n_strata] */
    uint32_t *order;                       /* [n_places] units in order of strata */
    uint32_t *pool;                        /* [n_drawn] paths, in order of strata */
    pfx_idx n_places, n_drawn;
    pfx_idx n_fixed;
    uint32_t *fixed;      /* [n_fixed] treated units that keep their path in every draw */
    double *arrangements; /* [n_strata] of its paths among its units */
    double assignments;   /* their product; above 1e15 or random-date: infinite */
    bool enumerate;       /* set by the caller: replicate r is assignment number r */
    pfx_idx n_file;       /* draws of the file */
    pfx_idx *file_start;  /* [n_file + 1] */
    uint32_t *file_unit, *file_path;
    pfx_idx most; /* entries of a draw, at most, without the fixed ones */
} pfx_assign;

/* DATA: two values of the treatment in one period of a unit; a unit in two strata; no unit treated; nothing
 * that a permutation could change. USAGE: random-date where the treatment is not an adoption. NOMEM. */
pfx_status pfx_assign_create(const pfx_assign_in *in, pfx_assign **out, pfx_err *err) PFX_MUST;
void pfx_assign_free(pfx_assign *a);

/* The user's draws: draw r treats units file_unit[start[r] .. start[r+1]) with values [entry x n_periods],
 * NaN where the draw says nothing (carried on from the period before). Replaces what a scheme would draw. */
pfx_status pfx_assign_file(pfx_assign *a, pfx_idx n_draws, const pfx_idx *start, const uint32_t *unit,
                           const double *values, pfx_err *err) PFX_MUST;

/* What a thread needs for draws. */
pfx_idx pfx_assign_scratch(const pfx_assign *a);
void pfx_assign_begin(const pfx_assign *a, void *scratch);
/* Assignment of one replicate: unit, path [most]. Returns how many. */
pfx_idx pfx_assign_draw(const pfx_assign *a, pfx_isa isa, uint64_t seed, pfx_idx replicate, void *scratch,
                        uint32_t *unit, uint32_t *path);
/* The data's own, without the fixed units: unit, path [n_units]. Returns how many. */
pfx_idx pfx_assign_own(const pfx_assign *a, uint32_t *unit, uint32_t *path);

#endif
