/* Inference from draws of the wild bootstrap: another null by its polynomials. */
#include <math.h>
#include <string.h>

#include "src/base/log.h"
#include "src/cmd/boot.h"
#include "src/cmd/inference_private.h"

static const rep_method *wild_find(const pfx_draw_spec *s)
{
    return strcmp(s->command, "boot") == 0 && strcmp(s->method, boot_wild.name) == 0 ? &boot_wild : NULL;
}

static boot_wild_about about(const inference_run *r)
{
    const json_t *full = inference_full(r, 0);
    const char *by = inference_text(full, "bootcluster");
    return (boot_wild_about){.type = inference_text(full, "type"),
                             .weights = inference_text(full, "weights_type"),
                             .bootcluster = *by ? by : NULL,
                             .unrestricted = !json_is_true(json_object_get(full, "restricted")),
                             .joint = json_is_true(json_object_get(full, "joint")),
                             .instruments = json_is_true(json_object_get(full, "instruments")),
                             .enumerated = json_is_true(json_object_get(full, "enumerated")),
                             .crossing = json_is_true(json_object_get(full, "effects_cross_clusters")),
                             .n_boot = inference_count(full, "n_boot_clusters"),
                             .null = r->null,
                             .level = r->o->rep.level,
                             .kind = (pfx_wild_p)r->o->ptype,
                             .invert = r->invert};
}

static boot_wild_test test_of(const inference_run *r, int t)
{
    const json_t *full = inference_full(r, t);
    boot_wild_test test = {.estimate = inference_number(full, "estimate"),
                           .std_error = inference_number(full, "std_error"),
                           .statistic = inference_number(full, "statistic"),
                           .treated = {.binary = json_object_get(full, "n_switching") != NULL,
                                       .n_switching = inference_count(full, "n_switching"),
                                       .n_treated = inference_count(full, "n_treated"),
                                       .n_control = inference_count(full, "n_control")}};
    if (r->null != inference_number(full, "null"))
        test.statistic = (test.estimate - r->null) / test.std_error;
    return test;
}

/* t* of every draw under another null than that it was drawn under, in place. */
static void move_null(inference_run *r)
{
    int m = r->spec->n_terms;
    const double *const *f = (const double *const *)r->field + PFX_DRAW_FIELDS;
    for (int t = 0; t < m; t++) {
        double x = r->null - inference_number(inference_full(r, t), "estimate");
        for (pfx_idx i = t; i < r->spec->reps * m; i += m)
            r->field[PFX_DRAW_STATISTIC][i] =
                pfx_wild_t(f[PFX_WILD_N0][i], f[PFX_WILD_N1][i], f[PFX_WILD_D0][i], f[PFX_WILD_D1][i],
                           f[PFX_WILD_D2][i], x);
    }
}

static pfx_status wild_choose(inference_run *r, pfx_err *err)
{
    const char *path = pfx_draws_path(r->file);
    const json_t *full = inference_full(r, 0);
    double drawn = inference_number(full, "null");
    bool joint = json_is_true(json_object_get(full, "joint"));
    bool polynomials = inference_field(r, "n0") == PFX_DRAW_FIELDS + PFX_WILD_N0 &&
                       inference_field(r, "d2") == PFX_DRAW_FIELDS + PFX_WILD_D2;
    bool family = json_array_size(json_object_get(r->fit, "models")) > 1;
    if (!isfinite(drawn) || !*inference_text(full, "type"))
        return pfx_fail(err, PFX_EFORMAT, "%s:/fit: does not say what the draws are of; run boot again",
                        path);
    if (isnan(r->o->rep.null)) r->null = drawn;
    pfx_status st = boot_wild_check_p((pfx_wild_p)r->o->ptype, joint, family, err);
    if (st == PFX_OK) st = boot_wild_choose_ci(&r->o->ci, joint, &r->invert, err);
    if (st != PFX_OK) return st;
    if (r->invert && r->o->ci.n && !polynomials)
        return pfx_fail(err, PFX_EUSAGE, "--ci invert: the draws have no null polynomials; run boot with it");
    r->invert = r->invert && polynomials;
    if (r->null == drawn) return PFX_OK;
    if (!polynomials)
        return pfx_fail(err, PFX_EUSAGE,
                        "--null %g: the draws are of %g alone, as those of %s are; run boot with it", r->null,
                        drawn,
                        json_is_true(json_object_get(full, "instruments")) ? "two-stage least squares"
                        : joint                                            ? "--joint"
                                                                           : "--ci none");
    move_null(r);
    return PFX_OK;
}

static pfx_status wild_term(const inference_run *r, int t, pfx_rep_report *p, pfx_rep_term *out, pfx_err *err)
{
    const boot_wild_about a = about(r);
    const boot_wild_test test = test_of(r, t);
    pfx_wild_in in = {.reps = r->spec->reps,
                      .stride = r->spec->n_terms,
                      .t = r->field[PFX_DRAW_STATISTIC] + t,
                      .statistic = test.statistic,
                      .estimate = test.estimate,
                      .std_error = test.std_error,
                      .level = a.level,
                      .kind = a.kind,
                      .nth = (int)r->o->rep.common.threads,
                      .isa = (pfx_isa)r->o->rep.common.isa};
    (void)p;
    if (!isfinite(test.statistic))
        return pfx_fail(err, PFX_EFORMAT, "%s:/fit: no statistic of %s", pfx_draws_path(r->file),
                        r->spec->terms[t]);
    if (r->invert) boot_wild_polynomials(&in, (const double *const *)r->field + PFX_DRAW_FIELDS, t);
    return boot_wild_term(r->spec->terms[t], &a, &test, &in, NULL, out, err);
}

static void wild_head(const inference_run *r, pfx_rep_report *p)
{
    const boot_wild_about a = about(r);
    boot_wild_head(&a, p);
}

const inference_method inference_wild = {wild_find, wild_choose, wild_term, wild_head, NULL};
