/* The formula of the event command. */
#include <string.h>

#include "src/base/mem.h"
#include "src/cmd/event_private.h"
#include "src/model/lexer.h"

static void add_name(pfx_str *s, const char *name)
{
    const char *quote = pfx_lex_is_plain_name(name) ? "" : "`";
    pfx_str_addf(s, "%s%s%s", quote, name, quote);
}

static pfx_status add_where(event_run *r, pfx_err *err)
{
    if (r->o.fit.where)
        pfx_str_addf(&r->where, "(%s) & " PFX_EVENT_IN " == 1", r->o.fit.where);
    else
        pfx_str_add(&r->where, PFX_EVENT_IN " == 1");
    return r->where.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the formula") : PFX_OK;
}

/* A second model, of the treatment on what stands beside it: the weights of two-way fixed effects. */
static pfx_status add_weights_model(event_run *r, const char *right, pfx_err *err)
{
    pfx_str text = {0};
    pfx_formula *f = NULL;
    pfx_str_addf(&text, PFX_EVENT_ON " ~ %s", right);
    pfx_status st = text.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the formula")
                                : pfx_formula_parse(text.s, &f, err);
    pfx_str_free(&text);
    if (!f) return st;
    pfx_model_spec *both = pfx_mem_realloc(r->formula->models, 2, sizeof *both, err);
    if (both) {
        both[1] = f->models[0];
        r->formula->models = both;
        r->formula->n_models = 2;
        f->n_models = 0;
    }
    pfx_formula_free(f);
    return both ? PFX_OK : PFX_ENOMEM;
}

/* Outcome on the treatment, for bacon, which has no controls. */
static pfx_status bacon_formula(event_run *r, const char *text, pfx_err *err)
{
    const pfx_panel_spec *panel = pfx_panel_structure(r->panel);
    const pfx_model_spec *m = r->formula->models;
    if (m->n_absorbed || m->n_terms)
        return pfx_fail(
            err, PFX_EUSAGE,
            "%s: --method bacon takes apart the outcome on the treatment with unit and period effects, "
            "which it absorbs itself; write %s ~ 1",
            text, m->outcome_text);
    pfx_str_addf(&r->formula_text, "%s ~ " PFX_EVENT_ON " | ", m->outcome_text);
    add_name(&r->formula_text, panel->unit);
    pfx_str_add(&r->formula_text, " + ");
    add_name(&r->formula_text, panel->time);
    return PFX_OK;
}

/* Cells as the first term, and unit and time as effects where there are none. */
static void cells_formula(event_run *r, const char *text, const char *right)
{
    const pfx_panel_spec *panel = pfx_panel_structure(r->panel);
    bool cells = r->o.method != PFX_EVENT_IMPUTATION || r->plan.low < 0;
    pfx_str_addn(&r->formula_text, text, (size_t)(strchr(text, '~') + 1 - text));
    if (cells)
        pfx_str_addf(&r->formula_text, " i(" PFX_EVENT_CELL ", ref = 0)%s", *right == '-' ? " " : " + ");
    pfx_str_addf(&r->formula_text, "%s%s", cells ? "" : " ", right);
    if (r->formula->models->n_absorbed) return;
    pfx_str_add(&r->formula_text, " | ");
    add_name(&r->formula_text, panel->unit);
    pfx_str_add(&r->formula_text, " + ");
    add_name(&r->formula_text, panel->time);
}

pfx_status event_make_formula(event_run *r, const char *text, pfx_err *err)
{
    pfx_status st = pfx_formula_parse(text, &r->formula, err);
    if (st != PFX_OK) return st;
    const pfx_model_spec *m = r->formula->models;
    if (r->formula->n_models != 1)
        return pfx_fail(err, PFX_EUSAGE, "%s: event takes one model, this formula has %d", text,
                        r->formula->n_models);
    if (m->n_endogenous) return pfx_fail(err, PFX_EUSAGE, "%s: an event study has no instruments", text);
    if (r->o.method == PFX_EVENT_CS) {
        if (m->n_absorbed)
            return pfx_fail(
                err, PFX_EUSAGE,
                "%s: --method cs compares changes of units and absorbs no effects; leave them out", text);
        return add_where(r, err);
    }
    const char *right = strchr(text, '~');
    right += 1 + strspn(right + 1, " \t\n");
    if (r->o.method == PFX_EVENT_BACON) {
        if ((st = bacon_formula(r, text, err))) return st;
    } else
        cells_formula(r, text, right);
    pfx_formula_free(r->formula);
    r->formula = NULL;
    st = add_where(r, err);
    if (st != PFX_OK) return st;
    if (r->formula_text.failed) return pfx_fail(err, PFX_ENOMEM, "out of memory for the formula");
    st = pfx_formula_parse(r->formula_text.s, &r->formula, err);
    if (st != PFX_OK || r->o.method != PFX_EVENT_TWFE || r->o.fit.weights) return st;
    const char *effects = strstr(r->formula_text.s, " | ");
    pfx_str right_side = {0};
    pfx_str_add(&right_side, right);
    if (!strchr(right, '|') && effects) pfx_str_add(&right_side, effects);
    st = right_side.failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the formula")
                           : add_weights_model(r, right_side.s, err);
    pfx_str_free(&right_side);
    return st;
}
