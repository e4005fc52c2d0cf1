/* The chain of a recipe: each step becomes a stage over those before it. */
#include "src/data/recipe.h"

#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/data/recipe_private.h"

typedef struct builder {
    const pfx_recipe_options *o;
    const recipe_step *step;
    pfx_row_source src; /* close NULL: taken over by a stage that failed */
    int n_hidden;
    pfx_err *err;
} builder;

/* Names of hidden columns; each is used within one step alone, so that a few do. */
static const char *const hidden_names[] = {"\x01 1",  "\x01 2",  "\x01 3",  "\x01 4",  "\x01 5",  "\x01 6",
                                           "\x01 7",  "\x01 8",  "\x01 9",  "\x01 10", "\x01 11", "\x01 12",
                                           "\x01 13", "\x01 14", "\x01 15", "\x01 16"};
enum { MAX_HIDDEN = sizeof hidden_names / sizeof *hidden_names };

/* Functions of groups, innermost first, become hidden columns, and *e a name of theirs. */
static pfx_status lower(builder *b, pfx_expr **e)
{
    pfx_status st = PFX_OK;
    for (int i = 0; i < (*e)->n_args && st == PFX_OK; i++) st = lower(b, &(*e)->args[i]);
    if (st != PFX_OK || !pfx_expr_is_group((*e)->op)) return st;
    if (b->n_hidden == MAX_HIDDEN)
        return pfx_fail(b->err, PFX_EUSAGE,
                        "%s: more than %d functions of groups in one expression: cut it into steps",
                        b->step->where, MAX_HIDDEN);
    const char *name = hidden_names[b->n_hidden++];
    pfx_expr *column = pfx_expr_name(name, (*e)->column, b->err);
    if (!column) return PFX_ENOMEM;
    pfx_row_source src = b->src;
    b->src.close = NULL;
    st = recipe_group(b->step, src, *e, name, b->o->memory, &b->src, b->err);
    pfx_expr_free(*e);
    *e = column;
    return st;
}

static pfx_status expression_step(builder *b)
{
    pfx_expr *e = NULL;
    pfx_status st = pfx_expr_parse(b->step->where, b->step->text, &e, b->err);
    b->n_hidden = 0;
    if (st == PFX_OK) st = lower(b, &e);
    if (st == PFX_OK) {
        pfx_row_source src = b->src;
        b->src.close = NULL;
        st = b->step->kind == RECIPE_GEN ? recipe_gen(b->step, src, e, &b->src, b->err)
                                         : recipe_filter(b->step, src, e, &b->src, b->err);
    }
    pfx_expr_free(e);
    return st;
}

static pfx_status add_step(builder *b)
{
    const recipe_step *step = b->step;
    pfx_row_source src = b->src;
    if (step->kind == RECIPE_GEN || step->kind <= RECIPE_DROP_UNITS) return expression_step(b);
    b->src.close = NULL;
    switch (step->kind) {
    case RECIPE_DROP_MISSING:
        return recipe_drop_missing(step, src, &b->src, b->err);
    case RECIPE_WINSOR:
        return recipe_winsor(step, src, b->o->memory, &b->src, b->err);
    case RECIPE_FACTOR:
        return recipe_factor(step, src, &b->src, b->err);
    case RECIPE_ENCODE:
        return recipe_encode(step, src, &b->src, b->err);
    case RECIPE_MERGE:
        return recipe_merge(step, src, b->o, &b->src, b->err);
    default:
        return recipe_columns(step, src, &b->src, b->err);
    }
}

/* "keep year >= 2018", "winsor a, b by year". */
static pfx_status describe(recipe_stage *st, pfx_err *err)
{
    const recipe_step *s = st->step;
    pfx_str t = {0};
    pfx_str_add(&t, strrchr(s->where, ':') + 2);
    if (s->text && s->kind != RECIPE_MERGE)
        pfx_str_addf(&t, "%s%s", s->name ? " = " : " ", s->text);
    else if (s->name)
        pfx_str_addf(&t, " %s", s->name);
    for (int i = 0; i < s->n_list && s->kind != RECIPE_FACTOR; i++)
        pfx_str_addf(&t, "%s%s", i ? ", " : " ", s->list[i]);
    for (int i = 0; i < s->n_keys; i++)
        pfx_str_addf(&t, "%s%s", i ? ", " : s->kind == RECIPE_MERGE ? " on " : " by ", s->keys[i]);
    if (s->kind == RECIPE_WINSOR) pfx_str_addf(&t, " at %g, %g", s->nums[0], s->nums[1]);
    st->flow.line = s->line;
    st->flow.what = t.failed ? NULL : pfx_mem_strdup(t.s, err);
    pfx_str_free(&t);
    return st->flow.what ? PFX_OK : pfx_fail(err, PFX_ENOMEM, "out of memory for the steps of a recipe");
}

/* The outermost stage knows the steps. */
static pfx_status list_flow(recipe_stage *top, pfx_err *err)
{
    int n = 0;
    pfx_status s = PFX_OK;
    recipe_stage *each = top;
    do n += !each->silent;
    while ((each = each->below));
    if (!(top->chain = pfx_mem_alloc(n, sizeof *top->chain, err))) return PFX_ENOMEM;
    top->n_chain = n;
    for (recipe_stage *st = top; st && s == PFX_OK; st = st->below) {
        if (st->silent) continue;
        s = describe(st, err);
        top->chain[--n] = &st->flow;
    }
    return s;
}

pfx_status pfx_recipe_source(const pfx_recipe *r, const pfx_recipe_options *o, pfx_row_source base,
                             pfx_row_source *out, pfx_err *err)
{
    builder b = {.o = o, .src = base, .err = err};
    pfx_status st = PFX_OK;
    for (int i = 0; i < r->n && st == PFX_OK; i++) {
        b.step = &r->step[i];
        st = add_step(&b);
    }
    if (st == PFX_OK && r->n) st = list_flow(b.src.ctx, err);
    if (st == PFX_OK)
        *out = b.src;
    else if (b.src.close)
        b.src.close(b.src.ctx);
    return st;
}
