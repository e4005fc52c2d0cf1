/* What the passes of a summary over a panel share: open columns, --where, the group of each row. */
#ifndef PFX_REPORT_SUMMARY_PASS_H
#define PFX_REPORT_SUMMARY_PASS_H

#include "src/model/coder.h"
#include "src/model/expr.h"
#include "src/report/summary.h"

/* A pass: which columns are open, and which group each row of the block is in. */
typedef struct summary_pass {
    const pfx_summary_options *o;
    const char **names; /* [cap] variables, then by, then --where's */
    int n_names, cap_names;
    pfx_expr *where;
    pfx_program *program;
    pfx_row_source src;
    int by_col; /* -1: none */
    pfx_idx cap_rows, cap_scratch;
    double *keep, *scratch; /* [cap_rows], [cap_scratch] */
    int32_t *group;         /* [cap_rows] negative: in no group */
    pfx_coder coder;        /* of a numeric by; kept over passes, so codes stay */
    pfx_idx n_groups;       /* codes seen */
    pfx_idx n_rows, n_kept, n_no_group;
} summary_pass;

/* Open variables from .. to - 1 of the options, with what groups and --where need. */
pfx_status summary_pass_open(summary_pass *p, const pfx_summary_input *in, int from, int to,
                             pfx_err *err) PFX_MUST;
/* The next block and the group of each of its rows; *block is NULL at the end. */
pfx_status summary_pass_next(summary_pass *p, const pfx_frame **block, pfx_err *err) PFX_MUST;
/* Close the columns; groups keep their codes for the next opening. */
void summary_pass_close(summary_pass *p);
void summary_pass_free(summary_pass *p);

/* A group's code, and what reports sort it by. */
typedef struct summary_order {
    double key;
    int32_t code;
} summary_order;

/* Quantiles of all numeric variables of s, whose cells are known; order [s->n_groups]. */
pfx_status summary_run_quantiles(summary_pass *p, const pfx_summary_input *in, const summary_order *order,
                                 pfx_summary *s, pfx_err *err) PFX_MUST;

#endif
