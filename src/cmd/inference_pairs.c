/* Inference from draws of the pairs bootstrap. */
#include <math.h>
#include <string.h>

#include "src/cmd/boot.h"
#include "src/cmd/inference_private.h"

static const rep_method *pairs_find(const pfx_draw_spec *s)
{
    return strcmp(s->command, "boot") == 0 && strcmp(s->method, boot_pairs.name) == 0 ? &boot_pairs : NULL;
}

/* What the draws were not made for is left out, and refused where it was asked for by name. */
static pfx_status pairs_choose(inference_run *r, pfx_err *err)
{
    const struct {
        pfx_ci kind;
        bool there;
        const char *why;
    } needs[] = {{PFX_CI_T, r->studentised, "the draws have no standard errors"},
                 {PFX_CI_BCA, isfinite(inference_number(inference_full(r, 0), "acceleration")),
                  "no jackknife was stored with the draws"}};
    pfx_status st = boot_choose_intervals(&r->o->ci, r->ci, err);
    for (size_t i = 0; i < sizeof needs / sizeof *needs && st == PFX_OK; i++) {
        if (needs[i].there || !r->ci[needs[i].kind]) continue;
        if (r->o->ci.n)
            st = pfx_fail(err, PFX_EUSAGE, "--ci %s: %s; run boot with it", pfx_ci_names[needs[i].kind],
                          needs[i].why);
        r->ci[needs[i].kind] = false;
    }
    return st;
}

/* Clusters in a replicate, 0: as many as there are. */
static pfx_idx drawn_of(const inference_run *r)
{
    return inference_count(inference_full(r, 0), "subsample");
}

static pfx_idx clusters_of(const inference_run *r)
{
    const json_t *model = json_array_get(json_object_get(r->fit, "models"), 0);
    return inference_count(json_array_get(json_object_get(model, "clusters"), 0), "levels");
}

static pfx_status pairs_term(const inference_run *r, int t, pfx_rep_report *p, pfx_rep_term *out,
                             pfx_err *err)
{
    const pfx_draw_spec *s = r->spec;
    const json_t *full = inference_full(r, t);
    double acceleration = inference_number(full, "acceleration");
    const pfx_boot_in in = {.reps = s->reps,
                            .stride = s->n_terms,
                            .b = r->field[PFX_DRAW_ESTIMATE] + t,
                            .t = r->studentised ? r->field[PFX_DRAW_STATISTIC] + t : NULL,
                            .estimate = inference_number(full, "estimate"),
                            .std_error = inference_number(full, "std_error"),
                            .null = r->null,
                            .level = r->o->rep.level,
                            .scale = boot_pairs_scale(drawn_of(r), clusters_of(r)),
                            .acceleration = isfinite(acceleration) ? acceleration : 0};
    if (!isfinite(in.estimate))
        return pfx_fail(err, PFX_EFORMAT, "%s:/fit: no estimate of %s", pfx_draws_path(r->file), s->terms[t]);
    (void)p;
    return boot_pairs_term(s->terms[t], &in, r->ci, out, err);
}

static void pairs_head(const inference_run *r, pfx_rep_report *p)
{
    bool bayes = strcmp(inference_text(inference_full(r, 0), "draw"), "bayes") == 0;
    boot_pairs_note(r->o->rep.level, r->null, r->studentised, &p->note);
    boot_pairs_say_draw(bayes, drawn_of(r), clusters_of(r), p);
}

const inference_method inference_pairs = {pairs_find, pairs_choose, pairs_term, pairs_head, NULL};
