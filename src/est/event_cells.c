/* Cells of event time, of each cohort or of all, and the column that holds them. */
#include <math.h>
#include <string.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/est/event.h"

const char *const pfx_event_method_names[] = {"twfe", "sunab", "cs", "imputation", "bacon", NULL};

static int bins(const pfx_event_plan *p)
{
    return p->high - p->low + 1;
}

static bool is_ref(const pfx_event_plan *p, int e)
{
    for (int i = 0; i < p->n_refs; i++)
        if (p->ref[i] == e) return true;
    return false;
}

/* Who is compared with whom. */
static pfx_status choose_control(pfx_event_plan *p, pfx_err *err)
{
    const pfx_event_timing *t = p->timing;
    if (t->n_never > 0 || p->method == PFX_EVENT_CS || p->method == PFX_EVENT_BACON) return PFX_OK;
    if (t->n_cohorts < 2)
        return pfx_fail(
            err, PFX_EDATA,
            "no controls: all %lld units are treated, in the same period %.15g, and none never or later",
            (long long)t->n_treated, t->cohorts[0]);
    if (p->method != PFX_EVENT_SUNAB) return PFX_OK;
    p->control = t->n_cohorts - 1;
    p->until = t->cohorts[p->control];
    pfx_note("no unit is never treated: those treated last (%.15g) are the controls, and periods from then "
             "on are left "
             "out",
             p->until);
    return PFX_OK;
}

pfx_status pfx_event_plan_make(const pfx_event_timing *t, pfx_event_method method, bool windowed, int low,
                               int high, int ref, pfx_event_plan *out, pfx_err *err)
{
    *out = (pfx_event_plan){
        .timing = t, .method = method, .control = -1, .until = INFINITY, .n_refs = 1, .ref = {ref}};
    pfx_status st = choose_control(out, err);
    if (st != PFX_OK) return st;
    int treated = out->control < 0 ? t->n_cohorts : out->control;
    double last = isinf(out->until) ? t->last : out->until - 1;
    double min = t->first - t->cohorts[treated - 1], max = last - t->cohorts[0];
    if (!(fabs(min) < 1e6 && fabs(max) < 1e6))
        return pfx_fail(err, PFX_EDATA, "event times from %g to %g: too many; the time is in too fine steps",
                        min, max);
    out->low = (int)min;
    out->high = (int)max;
    if (method == PFX_EVENT_IMPUTATION) out->low += t->n_never ? 1 : 2;
    if (windowed) {
        out->low_binned = low > out->low;
        out->high_binned = high < out->high;
        if (out->low_binned) out->low = low;
        if (out->high_binned) out->high = high;
    }
    if (method == PFX_EVENT_IMPUTATION) {
        if (out->high < 0)
            return pfx_fail(err, PFX_EUSAGE,
                            "--window %d:%d: imputation averages event times from 0 on; let it end at 0 or later", low, high);
        out->n_refs = 0;
        return PFX_OK;
    }
    if ((method == PFX_EVENT_TWFE || method == PFX_EVENT_SUNAB) && (ref < out->low || ref > out->high))
        return pfx_fail(err, PFX_EUSAGE, "--ref %d: event times run from %d to %d", ref, out->low, out->high);
    if (t->n_never == 0 && method == PFX_EVENT_TWFE) {
        int second = out->low == ref ? out->high : out->low;
        out->ref[out->n_refs++] = second;
        pfx_warn("no unit is never treated: a line in event time is not identified beside unit and period "
                 "effects; event "
                 "time %d is set to zero beside %d",
                 second, ref);
    }
    return PFX_OK;
}

int pfx_event_cell(const pfx_event_plan *p, double cohort, double time)
{
    if (isnan(cohort) || time >= p->until) return -1;
    if (isinf(cohort)) return 0;
    int g = p->method == PFX_EVENT_SUNAB ? pfx_event_cohort(p->timing, cohort) : 0;
    if (p->method == PFX_EVENT_SUNAB && g == p->control) return 0;
    if (p->method == PFX_EVENT_IMPUTATION && !(time < cohort && time - cohort >= p->low)) return 0;
    double e = fmin(fmax(time - cohort, p->low), p->high);
    if (is_ref(p, (int)e)) return 0;
    return 1 + g * bins(p) + (int)e - p->low;
}

int pfx_event_n_cells(const pfx_event_plan *p)
{
    return bins(p) * (p->method == PFX_EVENT_SUNAB ? p->timing->n_cohorts : 1);
}

void pfx_event_of_cell(const pfx_event_plan *p, int cell, int *event_time, int *cohort)
{
    *event_time = p->low + (cell - 1) % bins(p);
    *cohort = p->method == PFX_EVENT_SUNAB ? (cell - 1) / bins(p) : -1;
}

/* ---- the source ---- */

const pfx_col_spec pfx_event_cols[PFX_EVENT_COLS] = {
    {.name = PFX_EVENT_CELL, .label = "cell of the event study", .kind = PFX_NUMERIC, .dtype = PFX_I32},
    {.name = PFX_EVENT_IN, .label = "row of the event study", .kind = PFX_NUMERIC, .dtype = PFX_I32},
    {.name = PFX_EVENT_ON, .label = "treated", .kind = PFX_NUMERIC, .dtype = PFX_I32}};

typedef struct cell_source {
    const pfx_event_plan *plan;
    pfx_row_source inner;
    pfx_frame frame;
    pfx_column *cols;   /* [n_cols] */
    pfx_col_spec *spec; /* [n_cols] */
    int n_cols;
    pfx_idx cap;
    double *value; /* [PFX_EVENT_COLS x cap] */
} cell_source;

static pfx_status cell_rewind(void *ctx, pfx_err *err)
{
    cell_source *s = ctx;
    return s->inner.rewind(s->inner.ctx, err);
}

static pfx_status cell_next(void *ctx, const pfx_frame **block, pfx_err *err)
{
    cell_source *s = ctx;
    const pfx_frame *f = NULL;
    *block = NULL;
    pfx_status st = s->inner.next(s->inner.ctx, &f, err);
    if (st != PFX_OK || !f) return st;
    if (f->n_rows > s->cap) {
        pfx_mem_free(s->value);
        s->cap = f->n_rows;
        if (!(s->value = pfx_mem_alloc(PFX_EVENT_COLS * s->cap, sizeof *s->value, err))) {
            s->cap = 0;
            return PFX_ENOMEM;
        }
    }
    double *cell = s->value, *in = cell + s->cap, *on = in + s->cap;
    for (pfx_idx u = 0; u < f->n_units; u++)
        for (pfx_idx i = f->unit_start[u]; i < f->unit_start[u + 1]; i++) {
            double cohort = s->plan->timing->cohort[f->unit0 + u];
            int c = pfx_event_cell(s->plan, cohort, f->time[i]);
            on[i] = f->time[i] >= cohort;
            cell[i] = c < 0 ? 0 : c;
            in[i] = c >= 0;
        }
    s->frame = *f;
    memcpy(s->cols, f->cols, (size_t)f->n_cols * sizeof *s->cols);
    for (int c = 0; c < PFX_EVENT_COLS; c++)
        s->cols[f->n_cols + c] = (pfx_column){.spec = pfx_event_cols[c], .num = s->value + c * s->cap};
    s->frame.cols = s->cols;
    s->frame.n_cols = s->n_cols;
    *block = &s->frame;
    return PFX_OK;
}

static void cell_close(void *ctx)
{
    cell_source *s = ctx;
    s->inner.close(s->inner.ctx);
    pfx_mem_free(s->cols);
    pfx_mem_free(s->spec);
    pfx_mem_free(s->value);
    pfx_mem_free(s);
}

pfx_status pfx_event_source(const pfx_event_plan *plan, pfx_row_source inner, pfx_row_source *out,
                            pfx_err *err)
{
    cell_source *s = pfx_mem_calloc(1, sizeof *s, err);
    if (!s) {
        inner.close(inner.ctx);
        return PFX_ENOMEM;
    }
    *s = (cell_source){.plan = plan, .inner = inner, .n_cols = inner.n_cols + PFX_EVENT_COLS};
    s->cols = pfx_mem_alloc(s->n_cols, sizeof *s->cols, err);
    s->spec = pfx_mem_alloc(s->n_cols, sizeof *s->spec, err);
    if (!s->cols || !s->spec) {
        cell_close(s);
        return PFX_ENOMEM;
    }
    memcpy(s->spec, inner.cols, (size_t)inner.n_cols * sizeof *s->spec);
    memcpy(s->spec + inner.n_cols, pfx_event_cols, sizeof pfx_event_cols);
    *out = inner;
    out->ctx = s;
    out->n_cols = s->n_cols;
    out->cols = s->spec;
    out->rewind = cell_rewind;
    out->next = cell_next;
    out->close = cell_close;
    return PFX_OK;
}
