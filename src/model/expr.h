/* Expressions: what --where, --weights, the pieces of a formula and recipes are written in.
 *
 * Grammar, loosest binding first (as in R):
 *     a | b          or (also ||)
 *     a & b          and (also &&)
 *     !a             not
 *     == != < <= > >=  in (..)     comparisons; they do not chain
 *     + -
 *     * /
 *     %%             remainder, with the sign of the divisor
 *     -a +a
 *     a ^ b          power, right-associative: -2^2 = -4, 2^3^2 = 512, 2^-1 = 0.5
 *     numbers, "texts", names, `odd names`, calls, ( )
 * Names: letters of any alphabet, digits, dots and underscores, not starting with a digit.
 * `in`: prov in ("Anhui", "Henan"), year in (2018, 2020).
 * Functions: log log2 log10 log1p exp expm1 sqrt abs sign floor ceil round(x[, digits]) (halves to even)
 *     min(a, b, ..) max(a, b, ..) pow(a, b) missing(x) if(condition, a, b),
 *     and on the panel's time l(x[, k]) lag, f(x[, k]) lead, d(x[, k]) = x - l(x, k).
 *     rollmean(x, k) rollsd(x, k): over the k periods that end with the row's own, of the values that are there
 *     (rollsd: two at least).
 * In recipes alone (panelfx transform), over the sample or over groups of the rows that share columns a, b:
 *     mean(x, a, b) sum count sd; loo(x, a) the mean without the row itself; share(x, a) of the sum; rank(x, a)
 *     from 1, ties share the middle; growth(x) of the mean from the period before.
 * A lag is the value at time t - k of the same unit, missing where that row is absent: gaps are respected.
 *
 * Missing values: arithmetic on a missing value is missing; so is a comparison, and a remainder by zero, and
 * the logarithm or root outside its domain (log(0) too). & and | are three-valued: missing & false is false,
 * missing | true is true. A --where condition that is missing does not keep the row: as R's subset(), unlike
 * Stata, where missing is larger than every number. missing(x) is never missing. Truth: 0 is false, any other
 * number true; comparisons give 1 and 0. Category columns: compared with == and != to a text or to another
 * category column, and `in` texts; their lags are categories too. The time column is compared with texts that
 * read as times of its unit, as "2019q3" (base/calendar.h). */
#ifndef PFX_MODEL_EXPR_H
#define PFX_MODEL_EXPR_H

#include <stdbool.h>
#include "src/base/frame.h"

struct pfx_lexer;

typedef enum pfx_expr_op {
    PFX_X_NUM,
    PFX_X_TEXT,
    PFX_X_NAME,
    PFX_X_OR,
    PFX_X_AND,
    PFX_X_NOT,
    PFX_X_EQ,
    PFX_X_NE,
    PFX_X_LT,
    PFX_X_LE,
    PFX_X_GT,
    PFX_X_GE,
    PFX_X_IN,
    PFX_X_ADD,
    PFX_X_SUB,
    PFX_X_MUL,
    PFX_X_DIV,
    PFX_X_MOD,
    PFX_X_NEG,
    PFX_X_POW,
    PFX_X_LOG,
    PFX_X_LOG2,
    PFX_X_LOG10,
    PFX_X_LOG1P,
    PFX_X_EXP,
    PFX_X_EXPM1,
    PFX_X_SQRT,
    PFX_X_ABS,
    PFX_X_SIGN,
    PFX_X_FLOOR,
    PFX_X_CEIL,
    PFX_X_ROUND,
    PFX_X_MIN,
    PFX_X_MAX,
    PFX_X_MISSING,
    PFX_X_IF,
    PFX_X_LAG,
    PFX_X_LEAD,
    PFX_X_DIFF,
    PFX_X_ROLL_MEAN,
    PFX_X_ROLL_SD,
    /* Over the rows of a group, so of other units too: only recipes have these (src/data/recipe.h). The first
     * operand is the value, the rest are the columns that the group is made of. */
    PFX_X_GROUP_MEAN,
    PFX_X_GROUP_SUM,
    PFX_X_GROUP_COUNT,
    PFX_X_GROUP_SD,
    PFX_X_GROUP_LOO,
    PFX_X_GROUP_SHARE,
    PFX_X_GROUP_RANK,
    PFX_X_GROUP_GROWTH
} pfx_expr_op;

/* A node of the tree. */
typedef struct pfx_expr {
    pfx_expr_op op;
    int column; /* of its token, in characters from 1 */
    int depth;  /* height of the tree below, bounded */
    double num; /* NUM: the value; LAG, LEAD, DIFF, ROLL: k */
    char *text; /* NAME, TEXT */
    int n_args;
    struct pfx_expr **args; /* IN: what is looked for, then the list */
} pfx_expr;

/* Parse a whole text; `what` names it in messages ("--where"). USAGE: names the token and its column. */
pfx_status pfx_expr_parse(const char *what, const char *text, pfx_expr **out, pfx_err *err) PFX_MUST;
/* Parse an expression, or one operand (a name, call, number or parenthesis), from a lexer's current token on.
 */
pfx_status pfx_expr_read(struct pfx_lexer *lx, pfx_expr **out, pfx_err *err) PFX_MUST;
pfx_status pfx_expr_read_operand(struct pfx_lexer *lx, pfx_expr **out, pfx_err *err) PFX_MUST;
void pfx_expr_free(pfx_expr *e);

/* Nodes made by hand; the operands belong to the node, and are freed if it cannot be made. */
pfx_expr *pfx_expr_number(double v, int column, pfx_err *err) PFX_MUST;
pfx_expr *pfx_expr_name(const char *name, int column, pfx_err *err) PFX_MUST;
pfx_expr *pfx_expr_node(pfx_expr_op op, int column, int n_args, pfx_expr **args, pfx_err *err) PFX_MUST;
pfx_expr *pfx_expr_shift(pfx_expr_op op, int column, pfx_expr *of, double k, pfx_err *err) PFX_MUST;
pfx_expr *pfx_expr_clone(const pfx_expr *e, pfx_err *err) PFX_MUST;

/* Canonical text as a new string: parsing it gives the same tree. NULL: out of memory. */
char *pfx_expr_text(const pfx_expr *e, pfx_err *err) PFX_MUST;
/* The shortest of 15 to 17 digits that reads back as v. */
void pfx_expr_print_number(double v, char out[32]);
/* Call fn for the name of every column that is used, left to right, with repetitions; stops at a failure. */
typedef pfx_status (*pfx_expr_name_fn)(void *ctx, const char *name, int column, pfx_err *err);
pfx_status pfx_expr_each_name(const pfx_expr *e, pfx_expr_name_fn fn, void *ctx, pfx_err *err) PFX_MUST;
/* True if it has lags, leads, differences or rolling windows. */
bool pfx_expr_needs_time(const pfx_expr *e);
/* True for a function of a group of rows. */
bool pfx_expr_is_group(pfx_expr_op op);

/* An expression bound to columns: checked and compiled. Read-only after binding: any number of threads. */
typedef struct pfx_program pfx_program;

/* Bind to cols [n_cols]; blocks evaluated later must have these columns in this order. USAGE: unknown column
 * (suggests the nearest), text where a number is needed, lags in a panel without time: each names its column
 * in the text. Warns about texts that are no level of the column they are compared with. */
pfx_status pfx_expr_bind(const pfx_expr *e, const char *what, int n_cols, const pfx_col_spec *cols,
                         const pfx_panel_spec *panel, pfx_program **out, pfx_err *err) PFX_MUST;
void pfx_program_free(pfx_program *p);

/* Column number if the program is a plain column, else -1. */
int pfx_program_plain(const pfx_program *p);
/* Column number whose levels the result's codes are, if the result is a category, else -1. */
int pfx_program_levels_of(const pfx_program *p);
/* Doubles of scratch for a block of n rows. */
pfx_idx pfx_program_scratch(const pfx_program *p, pfx_idx n);
/* Evaluate over a block of whole units: out [block->n_rows], NaN = missing; a category as its codes. scratch
 * and out do not overlap. Cannot fail, except for lags over a block without units or time: FORMAT. */
pfx_status pfx_program_eval(const pfx_program *p, const pfx_frame *block, double *scratch, double *out,
                            pfx_err *err) PFX_MUST;

#endif
