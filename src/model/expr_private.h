/* Shared by the files of the expression module. */
#ifndef PFX_MODEL_EXPR_PRIVATE_H
#define PFX_MODEL_EXPR_PRIVATE_H

#include <stddef.h>
#include "src/model/expr.h"

/* Trees higher than this are refused, so that recursion over them is safe. */
#define PFX_EXPR_MAX_DEPTH 1000

typedef struct pfx_function {
    const char *name;
    pfx_expr_op op;
    int min_args, max_args;
} pfx_function;
/* By name [n bytes], or NULL. By operation, or NULL. */
const pfx_function *pfx_function_by_name(const char *name, size_t n);
const pfx_function *pfx_function_by_op(pfx_expr_op op);
/* All names, for suggestions. */
int pfx_function_names(const char *const **names);

/* Does an operation carry a number of periods? */
bool pfx_expr_has_periods(pfx_expr_op op);

/* Binding strength of an operator, higher binds tighter; operands and calls bind tightest. */
int pfx_expr_precedence(pfx_expr_op op);

/* A step of a compiled program: a stack machine whose cells are vectors over the rows of a block. */
typedef enum pfx_step_kind {
    PFX_STEP_COLUMN, /* push numeric column `index` */
    PFX_STEP_CODES,  /* push category column `index` as numbers */
    PFX_STEP_CONST,  /* push num */
    PFX_STEP_COPY,   /* push the top once more */
    PFX_STEP_RECODE, /* top = table[top]: codes of one category column as those of another */
    PFX_STEP_ONE_OF, /* top = top is one of table[0..index-1] */
    PFX_STEP_SHIFT,  /* top = its value num periods before */
    PFX_STEP_ROLL,   /* top = op over its values of the last num periods */
    PFX_STEP_UNARY,
    PFX_STEP_BINARY,
    PFX_STEP_CHOOSE
} pfx_step_kind;

typedef struct pfx_step {
    pfx_step_kind kind;
    pfx_expr_op op;
    int index;
    double num;
    double *table;
} pfx_step;

struct pfx_program {
    int n_steps, cap_steps;
    pfx_step *steps;
    int height, max_height; /* of the stack */
    int plain, levels_of;
};

#endif
