/* Shared by the files of the dataset: what the models need (the plan), and where the loaded rows lie. */
#ifndef PFX_MODEL_DATASET_PRIVATE_H
#define PFX_MODEL_DATASET_PRIVATE_H

#include "src/model/coder.h"
#include "src/model/dataset.h"
#include "src/model/expr.h"
#include "src/model/sample.h"

static inline const char *pfx_dataset_cluster_option(const pfx_dataset_options *o, int c)
{
    return o->cluster_options ? o->cluster_options[c] : "--cluster";
}

/* A numeric expression that some model needs. */
typedef struct pfx_ds_value {
    char *text;
    pfx_program *prog;
    int n_models, last_model; /* that need it; all = every one does, so that a row without it is never kept */
    bool all;
    pfx_idx n_missing; /* rows that --where keeps and that lack it */
    const double *x;   /* over the current block */
    double *buf;       /* where x is computed, unless it is a column of the block */
    double *store;     /* [n] of a weight or slope; a column of Z lies in the table instead */
} pfx_ds_value;

/* A variable of a factor: codes of a category, or numbers to be coded. */
typedef struct pfx_ds_var {
    pfx_program *prog;
    bool category;
    pfx_coder coder;
    const int32_t *code; /* over the current block: a category column as it is */
    const double *x;     /* or numbers, or a category's codes as numbers */
    double *buf;
} pfx_ds_var;

typedef struct pfx_ds_factor {
    char *text;
    int n_vars;
    pfx_ds_var *vars;
    pfx_coder *pairs; /* [n_vars - 1] */
    int n_models, last_model;
    bool all;
    pfx_idx n_levels; /* codes in store are below it */
    pfx_idx n_missing;
    int32_t *store;  /* [n], NULL after it became a design's */
    bool running;    /* the panel's unit in a stream: numbered there, not coded */
    bool labelled;   /* labels of the levels are needed: i(), --by */
    char **labels;   /* [n_levels] */
    double *numbers; /* [n_levels] of a numeric variable, else NULL */
} pfx_ds_factor;

/* A term bound: value x factors. */
typedef struct pfx_ds_term {
    const pfx_term *term;
    pfx_role role;
    int value; /* in values, -1: factors alone */
    int n_factors;
    int *factor;             /* [n_factors] in factors */
    const pfx_piece **piece; /* [n_factors] */
} pfx_ds_term;

typedef struct pfx_ds_model {
    const pfx_model_spec *spec;
    int n_terms;
    pfx_ds_term *terms; /* regressors, endogenous, instruments */
    int outcome;        /* in values */
    int *absorbed;      /* [spec->n_absorbed] in factors */
    int **slopes;       /* [spec->n_absorbed][n_slopes] in extras */
} pfx_ds_model;

struct pfx_dataset {
    const pfx_formula *formula;
    int n_models;
    pfx_ds_model *models;
    int n_values, cap_values;
    pfx_ds_value *values; /* columns of the table */
    int n_extras, cap_extras;
    pfx_ds_value *extras; /* weights and slopes */
    int n_factors, cap_factors;
    pfx_ds_factor *factors;
    pfx_program *where;
    char *where_text;
    int weights; /* in extras, -1: none */
    pfx_weights_kind weights_kind;
    int by; /* in factors, -1: none */
    int n_clusters, n_variance;
    int *clusters; /* [n_clusters] in factors */
    bool keep_singletons, want_rows, want_time, want_origin;
    bool needs_time; /* something has lags */
    bool taken;      /* the memory became a design's */
    bool no_values;  /* the table is not kept: all but the values lies in memory */
    struct pfx_columns *columns; /* then: what the columns of the last design are made of */

    pfx_idx n, cap; /* rows stored, and room */
    double *table;  /* [n x n_values] row-major */
    pfx_idx *row;
    double *time;

    pfx_idx n_panel, n_where; /* rows of the panel, rows that --where keeps */
    pfx_idx n_by_missing;     /* of those, rows without a level of --by */
    pfx_idx n_by;             /* levels of --by that occur, sorted; 1 without */
    int32_t *by_code;         /* [n_by] */
    pfx_idx cap_dropped;
    pfx_idx *dropped;  /* [code of by] rows that --where keeps and that were not stored: a missing value */
    pfx_idx *by_start; /* [n_by + 1] and */
    pfx_idx *by_rows;  /* [n] stored rows of each level of --by, ascending; NULL without */
};

/* dataset_plan.c */
pfx_status pfx_dataset_plan(const pfx_row_source *src, const pfx_formula *f, const pfx_dataset_options *o,
                            pfx_dataset *ds, pfx_err *err) PFX_MUST;

/* An expression to be evaluated over a block. */
typedef struct pfx_eval_job {
    const pfx_program *prog;
    double *out;
    pfx_status st;
    pfx_err err;
} pfx_eval_job;

enum { PFX_DATASET_RANGE = 2048 }; /* rows that are marked and stored together */

/* dataset_load.c: what the current block needs beside the dataset itself. Start with ds, nth and err. */
typedef struct pfx_ds_loader {
    pfx_dataset *ds;
    const pfx_frame *f;
    int nth;               /* threads; 0: one */
    pfx_idx cap;           /* rows that the buffers hold */
    unsigned char *in;     /* [cap] --where and --by keep the row */
    unsigned char *keep;   /* [cap] and nothing is missing that every model needs */
    pfx_idx *pick;         /* [n_pick] rows of the block that are stored, ascending; nothing where all are */
    pfx_idx n_pick;
    pfx_idx *range_n;      /* [ranges of cap] how many of each range */
    bool *coded;           /* [n_factors][ranges of cap] its rows have their codes, if no row before them is dropped */
    int32_t *by;           /* [cap] codes of --by */
    int32_t *pair;         /* [nth x cap] codes of a factor's variable */
    double *where;         /* [cap] */
    double *numbers;       /* [nth x cap] */
    pfx_idx n_scratch;
    double *scratch;       /* [nth x n_scratch] of programs */
    int n_jobs;
    pfx_eval_job *jobs;    /* [n_jobs] expressions that are not columns */
    pfx_idx **missing;     /* [nth][n_values + n_extras + n_factors] rows that are in and lack it */
    pfx_status *factor_st; /* [n_factors] */
    pfx_err *factor_err;   /* [n_factors] */
    pfx_err *err;
} pfx_ds_loader;
/* Evaluate the block ld->f and add the rows that stay to those stored; ld->pick tells which. n_room: rows to make room
 * for at once. */
pfx_status pfx_dataset_append(pfx_ds_loader *ld, pfx_idx n_room) PFX_MUST;
void pfx_dataset_loader_free(pfx_ds_loader *ld);
/* pfx_dataset_load without the table of values: designs have no Z then, their columns are ds->columns. */
pfx_status pfx_dataset_load_codes(pfx_row_source *src, const pfx_formula *f, const pfx_dataset_options *o,
                                  pfx_dataset **out, pfx_err *err) PFX_MUST;
/* DATA: no rows in the panel, none that --where or --by keeps. */
pfx_status pfx_dataset_check_rows(const pfx_dataset *ds, pfx_err *err) PFX_MUST;
/* dataset_store.c: codes of n rows of a factor, those of the block in pick, or the first n. thread: whose buffers. */
pfx_status pfx_dataset_code_factor(pfx_ds_loader *ld, pfx_ds_factor *f, pfx_idx n, const pfx_idx *pick, int thread,
                                   int32_t *out, pfx_err *err) PFX_MUST;
/* Mark which rows of the block stay, and put them behind the rows stored so far, where there is room for all of the
 * block. Everything is evaluated, and `in` is set. */
pfx_status pfx_dataset_store(pfx_ds_loader *ld) PFX_MUST;
/* labels of a level in the reports, "" for none */
const char *pfx_dataset_label(const pfx_ds_factor *f, pfx_idx code);

/* dataset_design.c: DATA where the counts of d say that no row is left, or where a cluster variable has one level. */
pfx_status pfx_dataset_check_sample(const pfx_dataset *ds, const pfx_ds_model *m, pfx_idx by, const pfx_design *d,
                                    pfx_err *err) PFX_MUST;
pfx_status pfx_dataset_check_cluster(const pfx_dataset *ds, pfx_idx by, const pfx_design *d, int c, pfx_err *err) PFX_MUST;

/* Columns of Z that the terms of a model become in a sample (design_columns.c). */
typedef struct pfx_column_group {
    int value; /* in the table, -1: ones */
    int n_factors;
    const int32_t *code[8]; /* [n_factors] codes of all stored rows */
    int32_t *slot[8];       /* [n_factors][n_levels] place of a level among those kept, -1: left out */
    pfx_idx width[8];       /* [n_factors] levels kept */
    int32_t *column; /* [product of width] column relative to first, -1: the combination never occurs */
    int first, n_columns;
} pfx_column_group;

typedef struct pfx_columns {
    int n_groups;
    pfx_column_group *groups;
    int p;
    char **name;    /* [p] */
    pfx_role *role; /* [p] */
    bool plain;     /* no factors: every group is one value */
} pfx_columns;

/* The sample is given by its stored rows: row i is rows[i] (rows NULL: i) where keep[i]. USAGE: an unknown
 * reference level; a factor of so many levels that it should be absorbed (says how many bytes it would need).
 */
void pfx_dataset_free_columns(pfx_dataset *ds);
pfx_status pfx_columns_make(const pfx_dataset *ds, const pfx_ds_model *m, pfx_idx n, const pfx_idx *rows,
                            const unsigned char *keep, pfx_columns *out, pfx_err *err) PFX_MUST;
void pfx_columns_free(pfx_columns *c);
/* One row of Z from stored row r. */
void pfx_columns_fill(const pfx_dataset *ds, const pfx_columns *c, pfx_idx r, double *z);

#endif
