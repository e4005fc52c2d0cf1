/* Blocks of a panel with the group of each row. */
#include "src/report/summary_pass.h"

#include <math.h>
#include <string.h>
#include "src/base/mem.h"

static pfx_status add_name(void *ctx, const char *name, int column, pfx_err *err)
{
    summary_pass *p = ctx;
    (void)column;
    for (int i = 0; i < p->n_names; i++)
        if (strcmp(p->names[i], name) == 0) return PFX_OK;
    if (p->n_names == p->cap_names) {
        const int cap = 2 * p->cap_names + 16;
        const char **names = pfx_mem_realloc(p->names, cap, sizeof *names, err);
        if (!names) return PFX_ENOMEM;
        p->names = names;
        p->cap_names = cap;
    }
    p->names[p->n_names++] = name;
    return PFX_OK;
}

pfx_status summary_pass_open(summary_pass *p, const pfx_summary_input *in, int from, int to, pfx_err *err)
{
    pfx_status st = PFX_OK;
    p->n_names = 0;
    for (int v = from; v < to && st == PFX_OK; v++) st = add_name(p, p->o->vars[v], 0, err);
    if (st == PFX_OK && p->o->by) st = add_name(p, p->o->by, 0, err);
    if (st == PFX_OK && p->where) st = pfx_expr_each_name(p->where, add_name, p, err);
    if (st || (st = in->open(in->ctx, p->n_names, p->names, &p->src, err))) return st;
    p->by_col = -1;
    for (int c = 0; c < p->n_names && p->o->by; c++)
        if (strcmp(p->names[c], p->o->by) == 0) p->by_col = c;
    if (p->where)
        st = pfx_expr_bind(p->where, "--where", p->n_names, p->src.cols, &p->src.panel, &p->program, err);
    if (st == PFX_OK) st = p->src.rewind(p->src.ctx, err);
    p->n_rows = p->n_kept = p->n_no_group = 0;
    return st;
}

void summary_pass_close(summary_pass *p)
{
    pfx_program_free(p->program);
    p->program = NULL;
    if (p->src.close) p->src.close(p->src.ctx);
    p->src = (pfx_row_source){0};
}

void summary_pass_free(summary_pass *p)
{
    summary_pass_close(p);
    pfx_expr_free(p->where);
    pfx_coder_free(&p->coder);
    pfx_mem_free(p->names);
    pfx_mem_free(p->keep);
    pfx_mem_free(p->scratch);
    pfx_mem_free(p->group);
}

static pfx_status reserve(summary_pass *p, pfx_idx n, pfx_err *err)
{
    const pfx_idx scratch = p->program ? pfx_program_scratch(p->program, n) : 0;
    if (n > p->cap_rows) {
        pfx_mem_free(p->keep);
        pfx_mem_free(p->group);
        p->keep = pfx_mem_alloc(n, sizeof *p->keep, err);
        p->group = pfx_mem_alloc(n, sizeof *p->group, err);
        p->cap_rows = p->keep && p->group ? n : 0;
        if (!p->cap_rows) return PFX_ENOMEM;
    }
    if (scratch > p->cap_scratch) {
        pfx_mem_free(p->scratch);
        p->scratch = pfx_mem_alloc(scratch, sizeof *p->scratch, err);
        p->cap_scratch = p->scratch ? scratch : 0;
        if (!p->scratch) return PFX_ENOMEM;
    }
    return PFX_OK;
}

pfx_status summary_pass_next(summary_pass *p, const pfx_frame **block, pfx_err *err)
{
    pfx_status st = p->src.next(p->src.ctx, block, err);
    if (st || !*block) return st;
    const pfx_frame *f = *block;
    if ((st = reserve(p, f->n_rows, err))) return st;
    if (p->program && (st = pfx_program_eval(p->program, f, p->scratch, p->keep, err))) return st;

    if (p->by_col < 0)
        memset(p->group, 0, (size_t)f->n_rows * sizeof *p->group);
    else if (f->cols[p->by_col].code)
        memcpy(p->group, f->cols[p->by_col].code, (size_t)f->n_rows * sizeof *p->group);
    for (pfx_idx r = 0; r < f->n_rows; r++) {
        const bool kept = !p->program || (p->keep[r] != 0 && !isnan(p->keep[r]));
        p->n_kept += kept;
        if (p->by_col >= 0 && f->cols[p->by_col].num) {
            const double x = f->cols[p->by_col].num[r];
            p->group[r] = PFX_NA_CODE;
            if (kept && (st = pfx_coder_numbers(&p->coder, 1, &x, &p->group[r], err))) return st;
        }
        p->n_no_group += kept && p->group[r] < 0;
        if (!kept) p->group[r] = PFX_NA_CODE;
    }
    p->n_rows += f->n_rows;
    if (p->by_col < 0)
        p->n_groups = 1;
    else
        p->n_groups = f->cols[p->by_col].code ? p->src.cols[p->by_col].n_levels : p->coder.n;
    return PFX_OK;
}
