#include "tests/est/refcase.h"

#include "src/base/cpu.h"
#include "src/base/mem.h"

static void *need(void *p)
{
    if (!p) fail_msg("out of memory in a test");
    return p;
}

static void *get(pfx_idx n, size_t size)
{
    return need(pfx_mem_calloc(n, size, NULL));
}

static char *copy(const char *s)
{
    return need(pfx_mem_strdup(s, NULL));
}

const char *ref_own(const char *name)
{
    char *path = test_buffer();
    snprintf(path, 4096, "tests/data/%s", name);
    return path;
}

ref_table *ref_read(const char *path)
{
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (!f) fail_msg("cannot open %s", path ? path : "(no path)");
    ref_table *t = get(1, sizeof *t);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    t->text = get(size + 1, 1);
    assert_int_equal(fread(t->text, 1, (size_t)size, f), size);
    fclose(f);
    pfx_idx lines = 0;
    for (char *s = t->text; *s; s++) lines += *s == '\n';
    t->cell = get(lines + 1, sizeof *t->cell);
    t->n_cols = 1;
    for (char *s = t->text; *s && *s != '\n'; s++) t->n_cols += *s == ',';
    for (char *s = t->text, *next; *s; s = next) {
        char *end = strchr(s, '\n');
        next = end ? end + 1 : s + strlen(s);
        if (end) *end = '\0';
        if (end && end > s && end[-1] == '\r') end[-1] = '\0';
        if (!*s) continue;
        char **cells = get(t->n_cols, sizeof *cells);
        for (int c = 0; c < t->n_cols; c++) {
            cells[c] = s;
            char *comma = strchr(s, ',');
            if (!comma) break;
            *comma = '\0';
            s = comma + 1;
        }
        if (!t->name)
            t->name = cells;
        else
            t->cell[t->n++] = cells;
    }
    return t;
}

void ref_free(ref_table *t)
{
    for (pfx_idx i = 0; i < t->n; i++) pfx_mem_free(t->cell[i]);
    pfx_mem_free(t->cell);
    pfx_mem_free(t->name);
    pfx_mem_free(t->text);
    pfx_mem_free(t);
}

static int find(const ref_table *t, const char *name)
{
    for (int c = 0; c < t->n_cols; c++)
        if (strcmp(t->name[c], name) == 0) return c;
    fail_msg("no column %s", name);
    return -1;
}

typedef struct words {
    int n;
    char w[32][64];
} words;

static words split(const char *s, const char *by)
{
    words o = {0};
    char buf[2048];
    snprintf(buf, sizeof buf, "%s", s ? s : "");
    for (char *save, *w = strtok_r(buf, by, &save); w; w = strtok_r(NULL, by, &save)) {
        assert_true(o.n < 32);
        snprintf(o.w[o.n++], sizeof o.w[0], "%s", w);
    }
    return o;
}

static bool row_used(const ref_table *t, pfx_idx r, const words *names)
{
    for (int i = 0; i < names->n; i++)
        if (!*t->cell[r][find(t, names->w[i])]) return false;
    return true;
}

typedef struct label {
    char text[128];
    pfx_idx row;
} label;

static int by_text(const void *a, const void *b)
{
    const label *x = a, *y = b;
    int c = strcmp(x->text, y->text);
    return c ? c : (x->row > y->row) - (x->row < y->row);
}

/* Codes in order of first row. */
static pfx_factor make_factor(const ref_table *t, const char *name, pfx_idx n, const pfx_idx *rows)
{
    words parts = split(name, "^");
    label *l = get(n, sizeof *l);
    pfx_factor f = {.name = copy(name), .code = get(n, sizeof *f.code)};
    pfx_idx *first = get(n, sizeof *first);
    for (pfx_idx i = 0; i < n; i++) {
        l[i].row = i;
        for (int k = 0; k < parts.n; k++) {
            size_t len = strlen(l[i].text);
            snprintf(l[i].text + len, sizeof l[i].text - len, "%s|", t->cell[rows[i]][find(t, parts.w[k])]);
        }
    }
    qsort(l, (size_t)n, sizeof *l, by_text);
    for (pfx_idx i = 0; i < n; i++)
        first[l[i].row] = i && strcmp(l[i].text, l[i - 1].text) == 0 ? first[l[i - 1].row] : l[i].row;
    for (pfx_idx i = 0; i < n; i++) f.code[i] = first[i] == i ? (int32_t)f.n_levels++ : f.code[first[i]];
    pfx_mem_free(l);
    pfx_mem_free(first);
    return f;
}

static double number(const ref_table *t, const ref_spec *s, pfx_idx row, const char *name)
{
    double x = strtod(t->cell[row][find(t, name)], NULL);
    return s->single ? (double)(float)x : x;
}

static pfx_role role_of(int j, int n_exogenous, int n_endogenous, int p)
{
    if (j == p - 1) return PFX_OUTCOME;
    if (j < n_exogenous) return PFX_REGRESSOR;
    return j < n_exogenous + n_endogenous ? PFX_ENDOGENOUS : PFX_INSTRUMENT;
}

pfx_design *ref_design(const ref_table *t, const ref_spec *s)
{
    char columns[1024];
    snprintf(columns, sizeof columns, "%s %s %s", s->x ? s->x : "", s->endogenous ? s->endogenous : "",
             s->instruments ? s->instruments : "");
    int n_exogenous = split(s->x, " ").n, n_endogenous = split(s->endogenous, " ").n;
    words x = split(columns, " "), effects = split(s->effects, " "), clusters = split(s->clusters, " ");
    char all[2048];
    snprintf(all, sizeof all, "%s %s %s %s %s", s->y, columns, s->effects ? s->effects : "",
             s->clusters ? s->clusters : "", s->weights ? s->weights : "");
    words used = split(all, " ^");
    pfx_idx *rows = get(t->n, sizeof *rows), n = 0;
    for (pfx_idx r = 0; r < t->n; r++)
        if (row_used(t, r, &used)) rows[n++] = r;
    pfx_design *d = get(1, sizeof *d);
    d->n = n;
    d->p = x.n + 1;
    d->formula = copy(s->y);
    d->intercept = !s->no_intercept && effects.n == 0;
    d->n_missing = t->n - n;
    d->Z = get(n * d->p, sizeof *d->Z);
    d->name = get(d->p, sizeof *d->name);
    d->role = get(d->p, sizeof *d->role);
    for (int j = 0; j < d->p; j++) {
        const char *name = j < x.n ? x.w[j] : s->y;
        d->name[j] = copy(name);
        d->role[j] = role_of(j, n_exogenous, n_endogenous, d->p);
        for (pfx_idx i = 0; i < n; i++) d->Z[i * d->p + j] = number(t, s, rows[i], name);
    }
    if (s->weights) {
        d->w = get(n, sizeof *d->w);
        d->weights_kind = s->kind == PFX_W_NONE ? PFX_W_ANALYTIC : s->kind;
        for (pfx_idx i = 0; i < n; i++) d->w[i] = number(t, s, rows[i], s->weights);
    }
    d->absorbed = get(effects.n, sizeof *d->absorbed);
    for (int e = 0; e < effects.n; e++)
        d->absorbed[d->n_absorbed++] =
            (pfx_absorbed){.factor = make_factor(t, effects.w[e], n, rows), .intercept = true};
    d->clusters = get(clusters.n, sizeof *d->clusters);
    for (int c = 0; c < clusters.n; c++)
        d->clusters[d->n_clusters++] = make_factor(t, clusters.w[c], n, rows);
    d->row = rows;
    return d;
}

pfx_design *ref_design_new(pfx_idx n, int p, const double *Z, bool intercept)
{
    pfx_design *d = get(1, sizeof *d);
    d->n = n;
    d->p = p;
    d->intercept = intercept;
    d->Z = get(n * p, sizeof *d->Z);
    memcpy(d->Z, Z, (size_t)(n * p) * sizeof *Z);
    d->name = get(p, sizeof *d->name);
    d->role = get(p, sizeof *d->role);
    for (int j = 0; j < p; j++) {
        char name[16];
        snprintf(name, sizeof name, j < p - 1 ? "x%d" : "y", j);
        d->name[j] = copy(name);
        d->role[j] = j < p - 1 ? PFX_REGRESSOR : PFX_OUTCOME;
    }
    d->row = get(n, sizeof *d->row);
    for (pfx_idx i = 0; i < n; i++) d->row[i] = i;
    d->absorbed = get(8, sizeof *d->absorbed);
    d->clusters = get(8, sizeof *d->clusters);
    return d;
}

static pfx_factor copy_factor(const char *name, pfx_idx n, pfx_idx n_levels, const int32_t *code)
{
    pfx_factor f = {.name = copy(name), .n_levels = n_levels, .code = get(n, sizeof *f.code)};
    memcpy(f.code, code, (size_t)n * sizeof *code);
    return f;
}

void ref_add_effect(pfx_design *d, const char *name, pfx_idx n_levels, const int32_t *code)
{
    d->absorbed[d->n_absorbed++] =
        (pfx_absorbed){.factor = copy_factor(name, d->n, n_levels, code), .intercept = true};
}

void ref_add_cluster(pfx_design *d, const char *name, pfx_idx n_levels, const int32_t *code)
{
    d->clusters[d->n_clusters++] = copy_factor(name, d->n, n_levels, code);
}

void ref_design_free(pfx_design *d)
{
    if (!d) return;
    for (int j = 0; j < d->p; j++) pfx_mem_free(d->name[j]);
    for (int e = 0; e < d->n_absorbed; e++) {
        pfx_absorbed *a = &d->absorbed[e];
        pfx_mem_free(a->factor.name);
        pfx_mem_free(a->factor.code);
        for (int i = 0; i < a->n_slopes; i++) {
            pfx_mem_free(a->slope[i]);
            pfx_mem_free(a->slope_name[i]);
        }
        pfx_mem_free(a->slope);
        pfx_mem_free(a->slope_name);
    }
    for (int c = 0; c < d->n_clusters; c++) {
        pfx_mem_free(d->clusters[c].name);
        pfx_mem_free(d->clusters[c].code);
    }
    pfx_mem_free(d->absorbed);
    pfx_mem_free(d->clusters);
    pfx_mem_free(d->formula);
    pfx_mem_free(d->name);
    pfx_mem_free(d->role);
    pfx_mem_free(d->Z);
    pfx_mem_free(d->w);
    pfx_mem_free(d->row);
    pfx_mem_free(d->time);
    pfx_mem_free(d);
}

pfx_fit_options ref_options(pfx_vcov_type vcov, pfx_ssc ssc)
{
    return (pfx_fit_options){.vcov = vcov,
                             .ssc = ssc,
                             .level = 0.95,
                             .tol = 1e-12,
                             .maxiter = 10000,
                             .nth = 2,
                             .isa = pfx_cpu_best()};
}

pfx_fit *ref_fit(const ref_table *t, const ref_spec *s, pfx_fit_options o)
{
    pfx_err err = {0};
    pfx_fit *f = NULL;
    pfx_design *d = ref_design(t, s);
    assert_ok(pfx_fit_model(d, &o, &f, &err));
    ref_design_free(d);
    return f;
}

const pfx_coef *ref_coef(const pfx_fit *f, const char *term)
{
    for (int i = 0; i < f->k; i++)
        if (strcmp(f->coef[i].term, term) == 0) return &f->coef[i];
    fail_msg("no term %s", term);
    return NULL;
}
