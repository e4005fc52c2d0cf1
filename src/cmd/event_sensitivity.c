/* Intervals of an effect that allow for differences in trends. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/cmd/event_private.h"
#include "src/est/event_honest.h"

enum { MOST_BOUNDS = 32 };
/* Beyond it the first stage would take more than a quarter of a million draws. */
static const double MOST_LEVEL = 0.998;

const char *const event_sensitivity_names[] = {"none", "rm", "sd", NULL};

/* Numbers joined by commas. */
static pfx_status parse_bounds(const char *text, int *n, double *bound, pfx_err *err)
{
    *n = 0;
    for (const char *s = text; *s; s++) {
        char *end;
        double x = strtod(s, &end);
        if (end == s || !isfinite(x) || x < 0 || (*end && *end != ',') || (*end == ',' && !end[1]) ||
            *n == MOST_BOUNDS)
            return pfx_fail(err, PFX_EUSAGE,
                            "--bounds %s: want at most %d numbers, 0 or more, joined by commas", text,
                            MOST_BOUNDS);
        bound[(*n)++] = x;
        if (!*end) break;
        s = end;
    }
    return *n ? PFX_OK
              : pfx_fail(err, PFX_EUSAGE, "--bounds is empty: want numbers joined by commas, as 0.5,1");
}

/* NaN: the average. */
static pfx_status parse_effect(const char *text, double *at, pfx_err *err)
{
    pfx_idx e = 0;
    *at = 0;
    if (!text) return PFX_OK;
    if (strcmp(text, "average") == 0)
        *at = NAN;
    else if (!pfx_text_idx(text, strlen(text), &e) || e < 0 || e > 100000)
        return pfx_fail(err, PFX_EUSAGE, "--effect %s: want an event time, 0 or later, or average", text);
    else
        *at = (double)e;
    return PFX_OK;
}

pfx_status event_check_sensitivity(const event_run *r, pfx_err *err)
{
    const event_options *o = &r->o;
    double bound[MOST_BOUNDS], at;
    int n;
    if (o->sensitivity == EVENT_NO_SENSITIVITY)
        return o->bounds || o->effect ? pfx_fail(err, PFX_EUSAGE, "--%s needs --sensitivity rm or sd",
                                                 o->bounds ? "bounds" : "effect")
                                      : PFX_OK;
    if (o->method == PFX_EVENT_IMPUTATION || o->method == PFX_EVENT_BACON)
        return pfx_fail(
            err, PFX_EUSAGE,
            "--sensitivity needs effects before and after treatment with one covariance: --method sunab, "
            "twfe, or cs --base universal");
    if (o->method == PFX_EVENT_CS && o->base != PFX_CS_UNIVERSAL)
        return pfx_fail(
            err, PFX_EUSAGE,
            "--sensitivity of --method cs needs --base universal: all effects against one period");
    if (o->ref != -1)
        return pfx_fail(err, PFX_EUSAGE,
                        "--sensitivity takes the period before treatment as reference, --ref -1");
    if (o->fit.level <= 0.5) return pfx_fail(err, PFX_EUSAGE, "--sensitivity wants --level above 0.5");
    pfx_status st = parse_effect(o->effect, &at, err);
    return st || !o->bounds ? st : parse_bounds(o->bounds, &n, bound, err);
}

/* Effects of event times that follow each other up to a bin or a gap; index [pre + post], the reference left
 * out. */
static pfx_status choose(const event_run *r, int n, const pfx_event_effect *e, const double *V, int *index,
                         int *n_pre, int *n_post, pfx_err *err)
{
    int ref = 0, first, last;
    bool low_bin = r->o.method != PFX_EVENT_CS && r->plan.low_binned,
         high_bin = r->o.method != PFX_EVENT_CS && r->plan.high_binned;
    while (ref < n && !(e[ref].at == -1 && e[ref].reference)) ref++;
    for (int i = 0; i < n; i++)
        if (e[i].reference && e[i].at != -1)
            return pfx_fail(err, PFX_EDATA,
                            "--sensitivity: event time %.0f is set to zero beside -1, since nobody is never "
                            "treated: trends "
                            "are not seen then",
                            e[i].at);
    for (first = ref; ref < n && first > 0 && e[first - 1].at == e[first].at - 1 &&
                      V[(first - 1) * n + first - 1] > 0 && !(low_bin && first - 1 == 0);)
        first--;
    for (last = ref; ref < n && last + 1 < n && e[last + 1].at == e[last].at + 1 &&
                     V[(last + 1) * n + last + 1] > 0 && !(high_bin && last + 1 == n - 1);)
        last++;
    *n_pre = ref - first;
    *n_post = last - ref;
    if (ref == n || *n_pre < 1 || *n_post < 1)
        return pfx_fail(err, PFX_EDATA,
                        "--sensitivity needs effects at event time 0 and at -2, beside the reference -1, "
                        "that are no bins; "
                        "see --window");
    for (int i = 0; i < *n_pre; i++) index[i] = first + i;
    for (int i = 0; i < *n_post; i++) index[*n_pre + i] = ref + 1 + i;
    return PFX_OK;
}

static double standard_error(const pfx_honest_in *in)
{
    int n = in->n_pre + in->n_post;
    double var = 0;
    for (int i = 0; i < in->n_post; i++)
        for (int j = 0; j < in->n_post; j++)
            var += in->l[i] * in->l[j] * in->V[(in->n_pre + i) * n + in->n_pre + j];
    return sqrt(var);
}

static pfx_status compute(event_run *r, const pfx_honest_in *in, pfx_err *err)
{
    pfx_event_sensitivity *s = &r->sensitivity;
    double bound[MOST_BOUNDS] = {0.5, 1, 1.5, 2}, se = standard_error(in);
    int n = 4;
    s->relative = r->o.sensitivity == EVENT_RELATIVE;
    if (s->relative && in->level > MOST_LEVEL)
        return pfx_fail(err, PFX_EUSAGE, "--level %g: the hybrid test of --sensitivity rm takes at most %g",
                        in->level, MOST_LEVEL);
    s->n_pre = in->n_pre;
    s->n_post = in->n_post;
    for (int i = 0; !s->relative && i < 5; i++) bound[i] = 0.25 * i * se;
    if (!s->relative) n = 5;
    pfx_status st = r->o.bounds ? parse_bounds(r->o.bounds, &n, bound, err) : PFX_OK;
    if (st != PFX_OK) return st;
    for (int i = 0; i < in->n_post; i++) s->estimate += in->l[i] * in->b[in->n_pre + i];
    double half = se * pfx_honest_folded_quantile(0, in->level);
    s->low = s->estimate - half;
    s->high = s->estimate + half;
    if (!(s->interval = pfx_mem_alloc(n, sizeof *s->interval, err))) return PFX_ENOMEM;
    for (; s->n < n && st == PFX_OK; s->n++)
        st =
            (s->relative ? pfx_honest_relative : pfx_honest_smooth)(in, bound[s->n], &s->interval[s->n], err);
    if (st != PFX_OK) return st;
    return pfx_honest_breakdown(in, s->relative ? pfx_honest_relative_zero : pfx_honest_smooth_zero,
                                s->relative ? 0.25 : 0.1 * se, &s->breakdown, &s->above, err);
}

pfx_status event_find_sensitivity(event_run *r, pfx_err *err)
{
    bool cs = r->o.method == PFX_EVENT_CS;
    int n = cs ? r->cs.dynamic.n : r->result.n, n_pre = 0, n_post = 0;
    const pfx_event_effect *e = cs ? r->cs.dynamic.effect : r->result.effect;
    const double *V = cs ? r->cs.V_dynamic : r->result.V;
    if (r->o.sensitivity == EVENT_NO_SENSITIVITY) return PFX_OK;
    int *index = pfx_mem_alloc(n, sizeof *index, err);
    double *b = pfx_mem_calloc((pfx_idx)n * n + 2 * n, sizeof *b, err), *l = b + n, *S = l + n;
    pfx_status st = index && b ? parse_effect(r->o.effect, &r->sensitivity.at, err) : PFX_ENOMEM;
    if (st == PFX_OK) st = choose(r, n, e, V, index, &n_pre, &n_post, err);
    if (st == PFX_OK && r->sensitivity.at >= n_post)
        st = pfx_fail(err, PFX_EUSAGE, "--effect %.0f: event times after treatment run from 0 to %d here",
                      r->sensitivity.at, n_post - 1);
    if (st == PFX_OK) {
        int m = n_pre + n_post;
        for (int i = 0; i < m; i++) {
            b[i] = e[index[i]].estimate;
            for (int j = 0; j < m; j++) S[i * m + j] = V[index[i] * n + index[j]];
        }
        for (int i = 0; i < n_post; i++)
            l[i] = isnan(r->sensitivity.at) ? 1.0 / n_post : i == (int)r->sensitivity.at;
        const pfx_honest_in in = {.n_pre = n_pre,
                                  .n_post = n_post,
                                  .b = b,
                                  .V = S,
                                  .l = l,
                                  .level = r->o.fit.level,
                                  .nth = (int)r->o.fit.common.threads};
        st = compute(r, &in, err);
    }
    pfx_mem_free(index);
    pfx_mem_free(b);
    return st;
}
