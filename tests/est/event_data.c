#include "tests/est/event_data.h"

#include "src/base/cpu.h"
#include "src/base/mem.h"
#include "src/model/dataset.h"

const double *event_data_column(const event_data *d, const char *name)
{
    for (int c = 0; c < d->n_cols; c++)
        if (strcmp(d->name[c], name) == 0) return d->x[c];
    fail_msg("no column %s", name);
    return NULL;
}

static const double *sort_unit, *sort_time;

static int by_unit_time(const void *a, const void *b)
{
    pfx_idx i = *(const pfx_idx *)a, j = *(const pfx_idx *)b;
    double x = sort_unit[i] != sort_unit[j] ? sort_unit[i] - sort_unit[j] : sort_time[i] - sort_time[j];
    return (x > 0) - (x < 0);
}

event_data *event_data_new(pfx_idx n, int n_cols, const char *const *names, const double *const *x,
                           const char *unit, const char *time)
{
    event_data *d = calloc(1, sizeof *d);
    pfx_idx *order = malloc((size_t)n * sizeof *order);
    d->n = n;
    d->n_cols = n_cols;
    for (pfx_idx i = 0; i < n; i++) order[i] = i;
    for (int c = 0; c < n_cols; c++) {
        if (strcmp(names[c], unit) == 0) sort_unit = x[c];
        if (strcmp(names[c], time) == 0) sort_time = x[c];
    }
    qsort(order, (size_t)n, sizeof *order, by_unit_time);
    frame_source_init(&d->source, n, 100);
    for (int c = 0; c < n_cols; c++) {
        d->name[c] = strdup(names[c]);
        d->x[c] = malloc((size_t)n * sizeof *d->x[c]);
        for (pfx_idx i = 0; i < n; i++) d->x[c][i] = x[c][order[i]];
        frame_source_num(&d->source, names[c], d->x[c]);
    }
    frame_source_panel(&d->source, unit, time);
    free(order);
    return d;
}

void event_data_add(event_data *d, const char *name, const double *x)
{
    int c = d->n_cols++;
    d->name[c] = strdup(name);
    d->x[c] = malloc((size_t)d->n * sizeof *d->x[c]);
    memcpy(d->x[c], x, (size_t)d->n * sizeof *x);
    frame_source_num(&d->source, name, d->x[c]);
}

event_data *event_data_read(const char *path, const char *unit, const char *time)
{
    ref_table *t = ref_read(path);
    double *x[64];
    for (int c = 0; c < t->n_cols; c++) {
        x[c] = malloc((size_t)t->n * sizeof *x[c]);
        for (pfx_idx i = 0; i < t->n; i++) {
            char *end;
            x[c][i] = strtod(t->cell[i][c], &end);
            if (end == t->cell[i][c]) x[c][i] = NAN;
        }
    }
    event_data *d =
        event_data_new(t->n, t->n_cols, (const char *const *)t->name, (const double *const *)x, unit, time);
    for (int c = 0; c < t->n_cols; c++) free(x[c]);
    ref_free(t);
    return d;
}

void event_data_free(event_data *d)
{
    frame_source_free(&d->source);
    for (int c = 0; c < d->n_cols; c++) {
        free(d->name[c]);
        free(d->x[c]);
    }
    free(d);
}

static pfx_status make_design(event_data *d, const event_case *c, const event_run *r, pfx_design **design,
                              pfx_err *err)
{
    char where[256];
    snprintf(where, sizeof where, "(%s) & _event_in == 1", c->where ? c->where : "1 == 1");
    const pfx_dataset_options o = {.where = where,
                                   .weights = c->weights,
                                   .weights_kind = c->weights ? PFX_W_ANALYTIC : PFX_W_NONE,
                                   .n_clusters = c->cluster != NULL,
                                   .clusters = &c->cluster,
                                   .keep_singletons = c->method == PFX_EVENT_CS,
                                   .want_rows = true,
                                   .want_time = true};
    pfx_row_source source;
    pfx_formula *formula = NULL;
    pfx_dataset *data = NULL;
    pfx_status st = pfx_event_source(&r->plan, frame_source_open(&d->source, 0, NULL), &source, err);
    if (st != PFX_OK) return st;
    if ((st = pfx_formula_parse(c->formula, &formula, err)) == PFX_OK)
        st = pfx_dataset_load(&source, formula, &o, &data, err);
    source.close(source.ctx);
    if (st == PFX_OK) st = pfx_dataset_design(data, 0, 0, true, design, err);
    pfx_dataset_free(data);
    pfx_formula_free(formula);
    return st;
}

pfx_status event_open(event_data *d, const event_case *c, event_run *out, pfx_design **design, pfx_err *err)
{
    *out = (event_run){0};
    pfx_row_source source = frame_source_open(&d->source, 0, NULL);
    *design = NULL;
    pfx_status st = pfx_event_timing_read(&source, c->cohort ? c->cohort : c->treatment, c->cohort != NULL,
                                          c->allow_reversal, &out->timing, err);
    source.close(source.ctx);
    if (st == PFX_OK)
        st = pfx_event_plan_make(&out->timing, c->method, c->windowed, c->low, c->high, c->ref ? c->ref : -1,
                                 &out->plan, err);
    if (st == PFX_OK) st = make_design(d, c, out, design, err);
    if (st != PFX_OK) event_run_clear(out);
    return st;
}

pfx_status event_run_case(event_data *d, const event_case *c, event_run *out, pfx_err *err)
{
    pfx_design *design = NULL;
    pfx_fit_options o = ref_options(PFX_VCOV_CLUSTER, c->ssc);
    o.nth = c->nth ? c->nth : 1;
    pfx_status st = event_open(d, c, out, &design, err);
    if (st != PFX_OK) return st;
    st = pfx_event_fit(&out->plan, design, &o, &out->result, err);
    pfx_design_free(design);
    if (st != PFX_OK) event_run_clear(out);
    return st;
}

void event_run_clear(event_run *r)
{
    pfx_event_result_clear(&r->result);
    pfx_event_timing_clear(&r->timing);
}

const pfx_event_effect *event_at(const pfx_event_result *r, double at)
{
    for (int i = 0; i < r->n; i++)
        if (r->effect[i].at == at) return &r->effect[i];
    fail_msg("no event time %g", at);
    return NULL;
}

enum { UNITS = EVENT_MADE_UNITS, PERIODS = EVENT_MADE_PERIODS };

double event_made_cohort(int u)
{
    static const double g[] = {INFINITY, 4, 6, 7, INFINITY, 6};
    return g[u % 6];
}

event_data *event_data_made(bool with_never)
{
    static const char *const names[] = {"unit", "time", "y", "x", "D", "g", "w"};
    double *x[7];
    pfx_idx n = 0;
    for (int c = 0; c < 7; c++) x[c] = malloc(UNITS * PERIODS * sizeof *x[c]);
    for (int u = 0; u < UNITS; u++)
        for (int t = 1; t <= PERIODS; t++) {
            double g = event_made_cohort(u);
            if (!with_never && isinf(g)) continue;
            if (test_uniform(1, (uint64_t)(u * 100 + t)) < 0.08) continue;
            double v = test_uniform(2, (uint64_t)(u * 100 + t)), e = test_uniform(3, (uint64_t)(u * 100 + t));
            x[0][n] = u;
            x[1][n] = t;
            x[3][n] = v + 0.1 * u;
            x[4][n] = t >= g;
            x[5][n] = isinf(g) ? NAN : g;
            x[6][n] = 1 + u % 3;
            x[2][n] = 0.3 * u + 0.2 * t * t + 0.7 * x[3][n] + (t >= g ? g - 3 + (t - g) : 0) + e;
            n++;
        }
    event_data *d = event_data_new(n, 7, names, (const double *const *)x, "unit", "time");
    for (int c = 0; c < 7; c++) free(x[c]);
    return d;
}
