/* What the files of the recipes share: steps as written, and stages, the row sources that they become. */
#ifndef PFX_DATA_RECIPE_PRIVATE_H
#define PFX_DATA_RECIPE_PRIVATE_H

#include <stdbool.h>
#include "src/data/recipe.h"
#include "src/model/expr.h"

typedef enum recipe_kind {
    RECIPE_KEEP,
    RECIPE_DROP,
    RECIPE_DROP_UNITS,
    RECIPE_DROP_MISSING,
    RECIPE_GEN,
    RECIPE_WINSOR,
    RECIPE_FACTOR,
    RECIPE_ENCODE,
    RECIPE_MERGE,
    RECIPE_SELECT,
    RECIPE_REMOVE,
    RECIPE_RENAME,
    RECIPE_LABEL
} recipe_kind;

enum { RECIPE_MAX_BY = 8 };

/* One thing to do; a gen of three columns is three steps. */
typedef struct recipe_step {
    recipe_kind kind;
    int line;
    char *where; /* "recipe.yaml:12: gen", what messages begin with */
    char *name;  /* GEN, FACTOR, ENCODE, RENAME, LABEL: the column made or changed; MERGE: the file */
    char *text;  /* expression, or old column, or label, or MERGE how */
    int n_list;
    char **list; /* columns; FACTOR: labels */
    int n_keys;
    char **keys; /* MERGE on; WINSOR by */
    int n_nums;
    double *nums; /* WINSOR p; FACTOR cuts */
    int type;     /* WINSOR: of quantile; MERGE: 0 keep, 1 drop, 2 error */
} recipe_step;

struct pfx_recipe {
    char *name;
    int n;
    recipe_step *step;
};

/* A stage reads `src` and hands on frames of its own columns; columns that it does not touch are passed by
 * pointer. */
typedef struct recipe_stage recipe_stage;
struct recipe_stage {
    pfx_row_source src;  /* the stage before, owned */
    recipe_stage *below; /* the same as a stage, NULL: the base */
    const recipe_step *step;
    pfx_recipe_flow flow;
    bool silent; /* a part of a step: not in the flow */
    int n_cols;
    pfx_col_spec *cols; /* [n_cols] handed on */
    int *from;          /* [n_cols] column of src, -1: this stage's own */
    pfx_column *col;    /* [n_cols] of the frame handed on */
    pfx_frame frame;
    pfx_idx cap;   /* rows of the buffers below */
    double *num;   /* [cap x own columns] values of own columns, one after the other */
    int32_t *code; /* [cap x own columns] codes of those that are categories */
    double *scratch;
    pfx_idx cap_scratch;
    /* Fill own columns of one frame of src (st->num, st->code); drop [rows] is zeroed, a row set there is
     * left out. */
    pfx_status (*run)(recipe_stage *st, const pfx_frame *in, unsigned char *drop, pfx_err *err);
    void (*finish)(recipe_stage *st); /* at the end of a pass: the note; or NULL */
    void (*free_own)(recipe_stage *st);
    void *own;
    unsigned char *drop; /* [cap] */
    bool filters;        /* rows may be left out: columns are copied */
    pfx_idx *unit_start;
    double *time;
    double **copy_num; /* [n_cols] buffers of a stage that filters */
    int32_t **copy_code;
    int n_chain; /* stages of the chain that are in the flow, for the outermost */
    const pfx_recipe_flow **chain;
};

/* A stage over src (taken over, also on failure) with src's columns less hidden ones; then own columns are
 * added with recipe_stage_add. */
pfx_status recipe_stage_create(const recipe_step *step, pfx_row_source src, recipe_stage **out, pfx_err *err);
/* Number of the own column; one of that name is replaced in its place. USAGE: it is the unit or the time. */
pfx_status recipe_stage_add(recipe_stage *st, pfx_col_spec spec, int *at, pfx_err *err);
/* As a row source. The stage must not change its columns any more. */
pfx_row_source recipe_stage_source(recipe_stage *st);
void recipe_stage_close(void *stage);
/* Room for n rows in num (own columns), drop and scratch. */
pfx_status recipe_stage_reserve(recipe_stage *st, pfx_idx n, pfx_idx scratch, pfx_err *err);
/* Values, or codes, of an own column: the own'th from the left. */
double *recipe_stage_values(recipe_stage *st, int own);
int32_t *recipe_stage_codes(recipe_stage *st, int own);

/* Read src from the start to its end through fn, and rewind. */
pfx_status recipe_each_block(pfx_row_source *src,
                             pfx_status (*fn)(void *ctx, const pfx_frame *f, pfx_err *err), void *ctx,
                             pfx_err *err);
/* Column of src by name. USAGE, suggesting the nearest. */
pfx_status recipe_find(const recipe_step *step, const pfx_row_source *src, const char *name, int *at,
                       pfx_err *err);
bool recipe_hidden(const char *name);

/* Groups of rows by columns, as codes. */
typedef struct recipe_groups recipe_groups;
pfx_status recipe_groups_create(const recipe_step *step, const pfx_row_source *src, int n_by, char *const *by,
                                recipe_groups **out, pfx_err *err);
void recipe_groups_free(recipe_groups *g);
/* code [f->n_rows]; PFX_NA_CODE where a column is missing. The same rows always get the same codes. */
pfx_status recipe_groups_code(recipe_groups *g, const pfx_frame *f, int32_t *code, pfx_err *err);

/* The stages. Each takes src over, also on failure. */
pfx_status recipe_filter(const recipe_step *step, pfx_row_source src, const pfx_expr *e, pfx_row_source *out,
                         pfx_err *err);
pfx_status recipe_drop_missing(const recipe_step *step, pfx_row_source src, pfx_row_source *out,
                               pfx_err *err);
pfx_status recipe_gen(const recipe_step *step, pfx_row_source src, const pfx_expr *e, pfx_row_source *out,
                      pfx_err *err);
/* One function of a group of rows, into a hidden column `name`. */
pfx_status recipe_group(const recipe_step *step, pfx_row_source src, const pfx_expr *e, const char *name,
                        double memory, pfx_row_source *out, pfx_err *err);
pfx_status recipe_winsor(const recipe_step *step, pfx_row_source src, double memory, pfx_row_source *out,
                         pfx_err *err);
pfx_status recipe_factor(const recipe_step *step, pfx_row_source src, pfx_row_source *out, pfx_err *err);
pfx_status recipe_encode(const recipe_step *step, pfx_row_source src, pfx_row_source *out, pfx_err *err);
pfx_status recipe_columns(const recipe_step *step, pfx_row_source src, pfx_row_source *out, pfx_err *err);
pfx_status recipe_merge(const recipe_step *step, pfx_row_source src, const pfx_recipe_options *o,
                        pfx_row_source *out, pfx_err *err);

#endif
