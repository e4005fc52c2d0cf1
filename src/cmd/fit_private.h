/* What the files of the fit command share. */
#ifndef PFX_CMD_FIT_PRIVATE_H
#define PFX_CMD_FIT_PRIVATE_H

#include <stdint.h>
#include "hdf5_io/panel.h"
#include "src/cmd/opt.h"
#include "src/est/fit.h"
#include "src/model/dataset.h"

#define FIT_UNSET INT64_MIN /* a whole number that no option gave */
enum { FIT_MAX_FORMULAS = 32, FIT_MAX_CLUSTERS = 2, FIT_PERMUTATIONS = 999 };

/* As typed. */
typedef struct fit_options {
    pfx_common common;
    const char *vcov, *cluster;
    int ssc;
    double level;
    pfx_opt_list tests;
    const char *weights;
    int weights_kind;
    const char *where, *by;
    bool compare;
    pfx_idx permutations, seed; /* of compare; -1: not given */
    bool keep_singletons;
    double tol;
    pfx_idx maxiter;
    int format; /* -1: from the name of the output */
    const char *output, *title;
    int brackets;
    pfx_idx digits;
    pfx_opt_list save;
    bool estimate;
} fit_options;

extern const pfx_opt fit_table[];
fit_options fit_defaults(void);
/* Ranges and combinations of the options. USAGE. */
pfx_status fit_check_options(const fit_options *o, pfx_err *err) PFX_MUST;

/* The variance that --vcov and --cluster ask for on a panel; names point into text. */
typedef struct fit_vcov {
    pfx_vcov_type type;
    int n_clusters;
    const char *clusters[FIT_MAX_CLUSTERS];
    bool fixed_lag; /* nw, dk: of `lag` */
    pfx_idx lag;
    char text[1024];
} fit_vcov;
pfx_status fit_choose_vcov(const fit_options *o, const pfx_panel_spec *panel, fit_vcov *v,
                           pfx_err *err) PFX_MUST;

/* Compare the fits [n] of model m over the levels of --by, also by `reps` permutations of the groups over the
 * clusters; *out is NULL, with a warning, where there are fewer than two. */
struct pfx_comparison;
typedef struct fit_permutations {
    pfx_idx reps; /* 0: none */
    uint64_t seed;
} fit_permutations;
pfx_status fit_compare_model(pfx_dataset *data, int m, int n, pfx_fit *const *fits, const pfx_fit_options *o,
                             const fit_permutations *p, struct pfx_comparison **out, pfx_err *err) PFX_MUST;
/* fit_permute.c: the permutations alone, of designs and their comparison. */
pfx_status fit_permute(int n, const struct pfx_design *const *d, const pfx_fit_options *o,
                       const fit_permutations *p, struct pfx_comparison *c, pfx_err *err) PFX_MUST;
/* Lines below the table, added to notes at *n; text [as notes] holds them. At most the number of terms and
 * one. */
pfx_status fit_compare_notes(const struct pfx_comparison *c, int *n, const char **notes, struct pfx_str *text,
                             pfx_err *err) PFX_MUST;

/* One line, once a run, where a regressor is a treatment that units take up in different periods while their
 * effects and the periods' are absorbed. */
pfx_status fit_warn_staggered(const struct pfx_design *d, const pfx_fit *f, const pfx_panel_spec *panel,
                              bool *warned, int nth, pfx_err *err) PFX_MUST;
/* Warn, in one line, of 0/1 regressors of the fitted model that vary within so few clusters that tests by
 * clusters are badly sized (rep/switching.h). NOMEM. */
pfx_status fit_warn_switching(const struct pfx_design *d, const pfx_fit *f, pfx_err *err) PFX_MUST;

/* Where --save writes: values by row, and effects. */
typedef struct fit_save {
    bool resid, fitted, effects;
    char rows_path[4096], effects_path[4096]; /* "" where nothing goes there */
} fit_save;
/* USAGE: unknown name, no -o, a file that exists without --force. IO: the folder cannot be written. */
pfx_status fit_save_plan(const fit_options *o, fit_save *s, pfx_err *err) PFX_MUST;
/* Write the saved values of all models. Reads unit and time names from the panel. */
pfx_status fit_save_write(const fit_save *s, pfx_panel *panel, int n, pfx_fit *const *fits, bool force,
                          pfx_err *err) PFX_MUST;

/* What a run will need, from rows and columns. */
typedef struct fit_need {
    double bytes, seconds;
} fit_need;
fit_need fit_predict(const pfx_panel *panel, int n_read, const pfx_formula *f, const fit_options *o);
/* Columns that a model has, the outcome with them; a guess where factors are of numbers. */
double fit_columns(const pfx_panel *panel, const pfx_model_spec *m);
/* Whether trials of a fit that will take about `seconds` are over soon. */
bool fit_can_try(const pfx_panel *panel, double seconds);
/* Writing the saved values, which is no part of a trial. */
double fit_save_seconds(const pfx_panel *panel, const pfx_formula *f, const fit_save *s);

/* Beside what a trial in a process of its own tells: the process before and after it, and pages of the
 * program and its libraries that a child maps anew only where it needs them. */
#define FIT_PROCESS_S 0.02
#define FIT_PROGRAM_BYTES (9.0 * 1048576.0)
/* The fit of the panel's first rows, apart from what it prints. */
typedef pfx_status fit_trial(void *ctx, pfx_idx rows, pfx_err *err);
/* What the fit of all rows needs, from trials, each in a process of its own. False where one fails: then
 * *need is as it was. */
bool fit_probe(pfx_idx n_rows, fit_trial *trial, void *ctx, fit_need *need);

/* A run that leaves the rows in the panel. */
typedef struct fit_stream {
    pfx_panel *panel;
    const pfx_formula *formula;
    pfx_dataset_options data;
    size_t memory;             /* allowed */
    pfx_idx first_rows;        /* of the panel that are read, 0: all */
    double in_memory;          /* bytes the fit would need if the rows lay in memory */
    bool leaves_out;           /* the variance needs statistics of whole clusters */
    struct fit_opened *opened; /* the model in hand; NULL: none */
} fit_stream;
void fit_stream_close(fit_stream *f);
/* Levels of --by that model m has, 1 without. */
pfx_status fit_stream_n_by(fit_stream *f, int m, pfx_idx *n, pfx_err *err) PFX_MUST;
/* *passes: over the panel's rows. */
pfx_status fit_stream_model(fit_stream *f, int m, pfx_idx by, const pfx_fit_options *o, pfx_fit **fit,
                            int *passes, pfx_err *err) PFX_MUST;
/* What the streamed fits need. NOMEM: a model has to lie in memory; says why, and the bytes. */
pfx_status fit_predict_stream(const fit_stream *f, fit_need *need, pfx_err *err) PFX_MUST;

#endif
