#include "src/data/readstat_labels.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "src/base/mem.h"
#include "src/base/text.h"

typedef struct value_label {
    double value;
    char *label;
    bool used;
} value_label;

struct pfx_label_set {
    char *name;
    int n, cap;
    value_label *item;
};

struct pfx_value_set {
    int n;
    value_label *item; /* [n] ascending, labels owned */
    bool unlabelled;   /* a value without a label occurred */
};

static struct pfx_label_set *find_set(const pfx_label_sets *s, const char *name)
{
    for (int i = s->n - 1; i >= 0; i--) /* labels of a set come together: the last one is the likely one */
        if (!strcmp(s->set[i].name, name)) return &s->set[i];
    return NULL;
}

static struct pfx_label_set *new_set(pfx_label_sets *s, const char *name, pfx_err *err)
{
    if (s->n == s->cap) {
        int cap = s->cap ? s->cap * 2 : 16;
        struct pfx_label_set *set = pfx_mem_realloc(s->set, cap, sizeof *set, err);
        if (!set) return NULL;
        s->set = set;
        s->cap = cap;
    }
    struct pfx_label_set *k = &s->set[s->n];
    *k = (struct pfx_label_set){.name = pfx_mem_strdup(name, err)};
    if (!k->name) return NULL;
    s->n++;
    return k;
}

pfx_status pfx_label_sets_add(pfx_label_sets *s, const char *set, double value, const char *label,
                              pfx_err *err)
{
    struct pfx_label_set *k = find_set(s, set);
    if (!k && !(k = new_set(s, set, err))) return PFX_ENOMEM;
    if (k->n == k->cap) {
        int cap = k->cap ? k->cap * 2 : 8;
        value_label *item = pfx_mem_realloc(k->item, cap, sizeof *item, err);
        if (!item) return PFX_ENOMEM;
        k->item = item;
        k->cap = cap;
    }
    k->item[k->n] = (value_label){value, pfx_mem_strdup(label, err), false};
    if (!k->item[k->n].label) return PFX_ENOMEM;
    k->n++;
    return PFX_OK;
}

static int by_value(const void *a, const void *b)
{
    double x = ((const value_label *)a)->value, y = ((const value_label *)b)->value;
    return (x > y) - (x < y);
}

pfx_status pfx_label_sets_take(pfx_label_sets *s, const char *set, pfx_value_set **out, pfx_err *err)
{
    struct pfx_label_set *k = find_set(s, set);
    *out = NULL;
    if (!k || k->n == 0) return PFX_OK;
    pfx_value_set *v = pfx_mem_calloc(1, sizeof *v, err);
    if (!v || !(v->item = pfx_mem_calloc(k->n, sizeof *v->item, err))) {
        pfx_value_set_free(v);
        return PFX_ENOMEM;
    }
    for (; v->n < k->n; v->n++) {
        v->item[v->n] = (value_label){k->item[v->n].value, pfx_mem_strdup(k->item[v->n].label, err), false};
        if (!v->item[v->n].label) {
            pfx_value_set_free(v);
            return PFX_ENOMEM;
        }
    }
    qsort(v->item, (size_t)v->n, sizeof *v->item, by_value);
    *out = v;
    return PFX_OK;
}

void pfx_label_sets_free(pfx_label_sets *s)
{
    for (int i = 0; i < s->n; i++) {
        for (int j = 0; j < s->set[i].n; j++) pfx_mem_free(s->set[i].item[j].label);
        pfx_mem_free(s->set[i].item);
        pfx_mem_free(s->set[i].name);
    }
    pfx_mem_free(s->set);
    *s = (pfx_label_sets){0};
}

static value_label *find_value(const pfx_value_set *v, double value)
{
    const value_label key = {.value = value};
    return bsearch(&key, v->item, (size_t)v->n, sizeof key, by_value);
}

const char *pfx_value_set_label(const pfx_value_set *v, double value)
{
    const value_label *l = find_value(v, value);
    return l ? l->label : NULL;
}

void pfx_value_set_mark(pfx_value_set *v, double value)
{
    value_label *l = find_value(v, value);
    if (l)
        l->used = true;
    else
        v->unlabelled = true;
}

static bool label_repeats(const pfx_value_set *v, int i)
{
    for (int j = 0; j < v->n; j++)
        if (j != i && v->item[j].used && !strcmp(v->item[j].label, v->item[i].label)) return true;
    return false;
}

pfx_status pfx_value_set_used(const pfx_value_set *v, pfx_idx *n, double **value, char ***label, pfx_err *err)
{
    *n = 0;
    *value = NULL;
    *label = NULL;
    if (v->unlabelled) return PFX_OK;
    *value = pfx_mem_alloc(v->n, sizeof **value, err);
    *label = pfx_mem_calloc(v->n, sizeof **label, err);
    if (!*value || !*label) return PFX_ENOMEM;
    for (int i = 0; i < v->n; i++) {
        if (!v->item[i].used) continue;
        pfx_str text = {0};
        pfx_str_add(&text, v->item[i].label);
        if (label_repeats(v, i) || !*v->item[i].label)
            pfx_str_addf(&text, "%s(%.15g)", text.len ? " " : "", v->item[i].value);
        (*value)[*n] = v->item[i].value;
        (*label)[*n] = text.failed ? NULL : pfx_mem_strdup(text.s, err);
        pfx_str_free(&text);
        if (!(*label)[*n]) return pfx_fail(err, PFX_ENOMEM, "out of memory for a label");
        ++*n;
    }
    return PFX_OK;
}

void pfx_value_set_free(pfx_value_set *v)
{
    if (!v) return;
    for (int i = 0; v->item && i < v->n; i++) pfx_mem_free(v->item[i].label);
    pfx_mem_free(v->item);
    pfx_mem_free(v);
}

/* ---- formats ---- */

typedef struct time_format {
    const char *prefix; /* of the format, without width */
    pfx_time_code code;
} time_format;

/* 1960-01-01 is day -3653 of 1970; in the other units ten years. */
#define SINCE_1960(unit, divide, steps)                                                                      \
    {                                                                                                        \
        true, unit, divide, -(steps)                                                                         \
    }
static const time_format stata[] = {{"%tc", SINCE_1960(PFX_TIME_DAY, 86400000.0, 3653.0)},
                                    {"%tC", SINCE_1960(PFX_TIME_DAY, 86400000.0, 3653.0)},
                                    {"%td", SINCE_1960(PFX_TIME_DAY, 1.0, 3653.0)},
                                    {"%d", SINCE_1960(PFX_TIME_DAY, 1.0, 3653.0)},
                                    {"%tw", SINCE_1960(PFX_TIME_WEEK, 1.0, 520.0)},
                                    {"%tm", SINCE_1960(PFX_TIME_MONTH, 1.0, 120.0)},
                                    {"%tq", SINCE_1960(PFX_TIME_QUARTER, 1.0, 40.0)},
                                    {"%th", SINCE_1960(PFX_TIME_HALF, 1.0, 20.0)},
                                    {"%ty", SINCE_1960(PFX_TIME_YEAR, 1.0, 0.0)},
                                    {NULL, {0}}};
static const time_format sas[] = {{"DATETIME", SINCE_1960(PFX_TIME_DAY, 86400.0, 3653.0)},
                                  {"E8601DT", SINCE_1960(PFX_TIME_DAY, 86400.0, 3653.0)},
                                  {"DATE", SINCE_1960(PFX_TIME_DAY, 1.0, 3653.0)},
                                  {"YYMM", SINCE_1960(PFX_TIME_DAY, 1.0, 3653.0)},
                                  {"MMDDYY", SINCE_1960(PFX_TIME_DAY, 1.0, 3653.0)},
                                  {"DDMMYY", SINCE_1960(PFX_TIME_DAY, 1.0, 3653.0)},
                                  {"MONYY", SINCE_1960(PFX_TIME_DAY, 1.0, 3653.0)},
                                  {"YYQ", SINCE_1960(PFX_TIME_DAY, 1.0, 3653.0)},
                                  {"E8601DA", SINCE_1960(PFX_TIME_DAY, 1.0, 3653.0)},
                                  {"YEAR", SINCE_1960(PFX_TIME_DAY, 1.0, 3653.0)},
                                  {NULL, {0}}};
/* 1582-10-14 is day -141428 of 1970. */
#define SPSS_DATE                                                                                            \
    {                                                                                                        \
        true, PFX_TIME_DAY, 86400.0, -141428.0                                                               \
    }
static const time_format spss[] = {{"DATE", SPSS_DATE},  {"ADATE", SPSS_DATE}, {"EDATE", SPSS_DATE},
                                   {"SDATE", SPSS_DATE}, {"JDATE", SPSS_DATE}, {"MOYR", SPSS_DATE},
                                   {"QYR", SPSS_DATE},   {"WKYR", SPSS_DATE},  {"YMDHMS", SPSS_DATE},
                                   {NULL, {0}}};

pfx_time_code pfx_stat_time_code(const char *program, const char *format)
{
    const pfx_time_code none = {0};
    char f[64];
    if (!format) return none;
    size_t n = 0;
    for (const char *p = format; *p && n + 1 < sizeof f; p++)
        if (*p != '-') f[n++] = *p; /* %-td: aligned to the left */
    f[n] = '\0';
    bool is_stata = !strcmp(program, "dta");
    const time_format *table = is_stata ? stata : !strcmp(program, "sav") ? spss : sas;
    for (; table->prefix; table++) {
        size_t k = strlen(table->prefix);
        if (is_stata ? !strncmp(f, table->prefix, k) : !strncasecmp(f, table->prefix, k)) return table->code;
    }
    return none;
}
