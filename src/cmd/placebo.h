/* What the files of the placebo command share. */
#ifndef PFX_CMD_PLACEBO_H
#define PFX_CMD_PLACEBO_H

#include "src/cmd/replicate.h"
#include "src/rep/placebo.h"

typedef struct placebo_options {
    rep_options rep;
    const char *treatment, *coef, *strata, *assign_by, *assignments;
    int scheme, stat;
    bool no_se; /* draws have no standard errors: stat is b */
    pfx_idx periods;
} placebo_options;

enum { PLACEBO_T, PLACEBO_B, PLACEBO_DEFAULT }; /* --stat */

typedef struct placebo_state {
    const placebo_options *o;
    int at_unit, at_strata; /* numbers in design->clusters; at_strata -1: none */
    const char *unit_name;
    char assignments[PFX_SHA256_HEX]; /* checksum of the user's draws */
    double *treatment;                /* [n] by row of the design */
    int32_t *period;                  /* [n] */
    int n_periods;
    double *time;        /* [n_periods] in steps of the panel's time */
    int n_drawn, tested; /* regressors made of the treatment */
    char *drawn[PFX_PLACEBO_MAX_DRAWN];
    double *factor;        /* [n_drawn][n], or NULL: ones */
    pfx_assign_in in, own; /* of the assignment; of the design's rows: the same, but in a family */
    pfx_idx *union_at;     /* [all rows of a family] panel row */
    double *union_treatment;
    int32_t *union_unit, *union_period, *union_stratum, *own_unit;
    pfx_assign *assign;
    pfx_placebo *p;
    const char *term[1];
    double estimate, std_error, statistic; /* of the full sample */
    /* in-time: [periods] */
    pfx_fit **shifted;
    char **shifted_name;
} placebo_state;

/* A column of the panel, [n_rows of the panel]; NaN missing. USAGE: unknown, or text where a number is
 * needed. */
pfx_status placebo_column(pfx_panel *panel, const char *name, double **out, pfx_err *err) PFX_MUST;
/* How the value of a column at a row is written, for messages. */
void placebo_label(pfx_panel *panel, const char *name, pfx_idx row, size_t n, char *buf);

/* Treatment and periods of the design's rows, and which regressors are the treatment times what. USAGE: a
 * regressor or the outcome is made of it otherwise; no regressor is; several are and --coef does not choose.
 */
pfx_status placebo_treatment(rep_run *r, const struct pfx_design *d, pfx_err *err) PFX_MUST;

/* In a family: the assignment's rows are those of all specifications, and periods are numbered over them.
 * After placebo_treatment; s->in and s->own but for the names. */
pfx_status placebo_union(rep_run *r, const struct pfx_design *d, pfx_err *err) PFX_MUST;

/* Fits with adoption 1 .. periods earlier and the treated units' true post rows left out. */
pfx_status placebo_in_time(rep_run *r, const struct pfx_design *d, pfx_err *err) PFX_MUST;
pfx_status placebo_in_time_report(const rep_run *r, pfx_rep_report *report, pfx_err *err) PFX_MUST;

/* The user's draws from --assignments into the state's assignment. USAGE, FORMAT: the line at fault. */
pfx_status placebo_file(rep_run *r, const struct pfx_design *d, pfx_err *err) PFX_MUST;

/* Checksum of that file, which the draws' specification names: other draws are another run. IO; USAGE: a
 * pipe, which can be read once only. */
pfx_status placebo_file_digest(const char *path, char hex[PFX_SHA256_HEX], pfx_err *err) PFX_MUST;

/* What placebo draws say, for placebo and for inference. */
typedef struct placebo_about {
    pfx_placebo_scheme scheme;
    const char *treatment, *kind, *assigned_by, *strata;
    pfx_idx n_units, n_treated, n_always, n_switch, n_strata, n_idle;
    double assignments;
    bool enumerated;
} placebo_about;
typedef struct placebo_test {
    double estimate, std_error, statistic, df_t; /* of the full sample */
    double null, level;
    bool by_t, no_se; /* no_se: the draws have no t */
} placebo_test;

/* --null and --stat. USAGE: t of another effect than none; rows that exchange values, which carry no effect.
 */
pfx_status placebo_check_null(double null, int stat, pfx_placebo_scheme scheme, pfx_err *err) PFX_MUST;
/* What the draws file keeps of both: nothing that depends on null, level or by_t. */
void placebo_store(const placebo_about *a, const placebo_test *test, pfx_rep_values *v);
/* One term, *out; the note, that of the whole, once in all. field [PFX_PLACEBO_FIELDS][reps x stride], this
 * term's first, the standard errors not read. IDENT: more than half of the draws are lost. NOMEM. */
pfx_status placebo_term(const char *term, const placebo_about *a, const placebo_test *test, pfx_idx reps,
                        int stride, const double *const *field, pfx_str *note, pfx_rep_term *out,
                        pfx_err *err) PFX_MUST;
/* What is said of the assignment, and what it may claim. */
void placebo_head(const placebo_about *a, pfx_rep_report *report);

/* How a family's p-values count. */
pfx_family_rule placebo_family_rule(bool enumerated);

extern const rep_method placebo_methods[PFX_PLACEBO_SCHEMES];

#endif
