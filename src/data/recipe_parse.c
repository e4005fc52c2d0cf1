/* YAML into steps. Every complaint names the file and the line. */
#include <stdio.h>
#include <string.h>
#include <yaml.h>
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/data/recipe_private.h"

typedef struct reader {
    const char *name;
    yaml_document_t *doc;
    pfx_recipe *r;
    pfx_err *err;
} reader;

static int line_of(const yaml_node_t *n)
{
    return n ? (int)n->start_mark.line + 1 : 1;
}

static pfx_status fail(const reader *rd, const yaml_node_t *n, const char *fmt, const char *a)
{
    char text[300];
    snprintf(text, sizeof text, fmt, a);
    return pfx_fail(rd->err, PFX_EUSAGE, "%s:%d: %s", rd->name, line_of(n), text);
}

static yaml_node_t *node(const reader *rd, int id)
{
    return yaml_document_get_node(rd->doc, id);
}

static const char *scalar(const yaml_node_t *n)
{
    return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

static pfx_status copy_text(const reader *rd, const yaml_node_t *n, const char *what, char **out)
{
    const char *s = scalar(n);
    if (!s || !*s) return fail(rd, n, "%s: a text is expected here", what);
    *out = pfx_mem_strdup(s, rd->err);
    return *out ? PFX_OK : PFX_ENOMEM;
}

/* A scalar, or a list of scalars. */
static pfx_status copy_list(const reader *rd, const yaml_node_t *n, const char *what, int *count, char ***out)
{
    bool list = n && n->type == YAML_SEQUENCE_NODE;
    int k = list ? (int)(n->data.sequence.items.top - n->data.sequence.items.start) : 1;
    if (!n || n->type == YAML_MAPPING_NODE || k == 0)
        return fail(rd, n, "%s: a list of names is expected here", what);
    if (!(*out = pfx_mem_calloc(k, sizeof **out, rd->err))) return PFX_ENOMEM;
    for (int i = 0; i < k; i++) {
        const yaml_node_t *item = list ? node(rd, n->data.sequence.items.start[i]) : n;
        pfx_status st = copy_text(rd, item, what, &(*out)[i]);
        if (st != PFX_OK) return st;
        ++*count;
    }
    return PFX_OK;
}

static pfx_status copy_numbers(const reader *rd, const yaml_node_t *n, const char *what, int *count,
                               double **out)
{
    int k = 0;
    char **texts = NULL;
    pfx_status st = copy_list(rd, n, what, &k, &texts);
    if (st == PFX_OK && !(*out = pfx_mem_alloc(k, sizeof **out, rd->err))) st = PFX_ENOMEM;
    for (int i = 0; i < k && st == PFX_OK; i++) {
        if (!pfx_text_double(texts[i], strlen(texts[i]), &(*out)[i]))
            st = fail(rd, n, "'%s' is no number", texts[i]);
        if (st == PFX_OK && i && (*out)[i] <= (*out)[i - 1]) st = fail(rd, n, "%s: numbers must rise", what);
    }
    *count = st == PFX_OK ? k : 0;
    for (int i = 0; texts && i < k; i++) pfx_mem_free(texts[i]);
    pfx_mem_free(texts);
    return st;
}

static void step_free(recipe_step *s)
{
    pfx_mem_free(s->where);
    pfx_mem_free(s->name);
    pfx_mem_free(s->text);
    for (int i = 0; i < s->n_list; i++) pfx_mem_free(s->list[i]);
    for (int i = 0; i < s->n_keys; i++) pfx_mem_free(s->keys[i]);
    pfx_mem_free(s->list);
    pfx_mem_free(s->keys);
    pfx_mem_free(s->nums);
}

static recipe_step *add(reader *rd, recipe_kind kind, const yaml_node_t *at, const char *verb)
{
    recipe_step *steps = pfx_mem_realloc(rd->r->step, rd->r->n + 1, sizeof *steps, rd->err);
    char where[400];
    if (!steps) return NULL;
    rd->r->step = steps;
    recipe_step *s = &steps[rd->r->n];
    *s = (recipe_step){.kind = kind, .line = line_of(at)};
    snprintf(where, sizeof where, "%.300s:%d: %s", rd->name, s->line, verb);
    if (!(s->where = pfx_mem_strdup(where, rd->err))) return NULL;
    rd->r->n++;
    return s;
}

/* ---- the steps ---- */

typedef struct verb {
    const char *name;
    recipe_kind kind;
    pfx_status (*read)(reader *rd, const struct verb *v, const yaml_node_t *n);
} verb;

static pfx_status read_expr(reader *rd, const verb *v, const yaml_node_t *n)
{
    recipe_step *s = add(rd, v->kind, n, v->name);
    return s ? copy_text(rd, n, v->name, &s->text) : PFX_ENOMEM;
}

static pfx_status read_list(reader *rd, const verb *v, const yaml_node_t *n)
{
    recipe_step *s = add(rd, v->kind, n, v->name);
    return s ? copy_list(rd, n, v->name, &s->n_list, &s->list) : PFX_ENOMEM;
}

/* A key of a mapping that says how a step is done. */
typedef struct detail {
    const char *key;
    const yaml_node_t *value;
    bool required;
} detail;

static pfx_status read_details(const reader *rd, const verb *v, const yaml_node_t *n, int count, detail *d)
{
    if (n->type != YAML_MAPPING_NODE)
        return fail(rd, n, "%s: a mapping is expected here, as {key: value}", v->name);
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = node(rd, p->key);
        const char *text = scalar(key);
        const char *names[8];
        int i = 0;
        for (int k = 0; k < count; k++) names[k] = d[k].key;
        while (text && i < count && strcmp(d[i].key, text) != 0) i++;
        if (!text || i == count) {
            char near[200];
            const char *hit = text ? pfx_text_nearest(text, count, names) : NULL;
            snprintf(near, sizeof near, "%.60s: no such key '%.60s'%s%s%s", v->name, text ? text : "?",
                     hit ? ": did you mean '" : "", hit ? hit : "", hit ? "'?" : "");
            return fail(rd, key, "%s", near);
        }
        if (d[i].value) return fail(rd, key, "the key %s stands twice", text);
        d[i].value = node(rd, p->value);
    }
    for (int k = 0; k < count; k++)
        if (d[k].required && !d[k].value) {
            char text[100];
            snprintf(text, sizeof text, "%.40s needs the key %.40s", v->name, d[k].key);
            return fail(rd, n, "%s", text);
        }
    return PFX_OK;
}

static pfx_status factor_details(reader *rd, const verb *v, const yaml_node_t *n, recipe_step *s)
{
    detail d[] = {{"of", NULL, true}, {"cuts", NULL, false}, {"labels", NULL, false}};
    pfx_status st = read_details(rd, v, n, 3, d);
    if (st == PFX_OK) st = copy_text(rd, d[0].value, "of", &s->text);
    if (st == PFX_OK && d[1].value) st = copy_numbers(rd, d[1].value, "cuts", &s->n_nums, &s->nums);
    if (st == PFX_OK && d[2].value) st = copy_list(rd, d[2].value, "labels", &s->n_list, &s->list);
    if (st == PFX_OK && d[2].value && s->n_list != s->n_nums + 1)
        return fail(rd, d[2].value, "%s: one label more than cuts is wanted", v->name);
    return st;
}

/* {name: text, ...}: one step each. */
static pfx_status read_pairs(reader *rd, const verb *v, const yaml_node_t *n)
{
    if (n->type != YAML_MAPPING_NODE)
        return fail(rd, n, "%s: a mapping is expected here, as {name: ...}", v->name);
    pfx_status st = PFX_OK;
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top && st == PFX_OK;
         p++) {
        const yaml_node_t *key = node(rd, p->key), *value = node(rd, p->value);
        char text[300];
        snprintf(text, sizeof text, "%s %.250s", v->name, scalar(key) ? scalar(key) : "");
        recipe_step *s = add(rd, v->kind, key, text);
        if (!s) return PFX_ENOMEM;
        st = copy_text(rd, key, v->name, &s->name);
        if (st != PFX_OK) return st;
        st = v->kind == RECIPE_FACTOR && value->type == YAML_MAPPING_NODE
                 ? factor_details(rd, v, value, s)
                 : copy_text(rd, value, s->name, &s->text);
    }
    return st;
}

static pfx_status read_winsor(reader *rd, const verb *v, const yaml_node_t *n)
{
    detail d[] = {{"vars", NULL, true}, {"p", NULL, false}, {"by", NULL, false}, {"type", NULL, false}};
    recipe_step *s = add(rd, v->kind, n, v->name);
    pfx_status st = s ? read_details(rd, v, n, 4, d) : PFX_ENOMEM;
    if (st == PFX_OK) st = copy_list(rd, d[0].value, "vars", &s->n_list, &s->list);
    for (int i = 0; st == PFX_OK && i < s->n_list; i++)
        for (int j = 0; j < i; j++)
            if (strcmp(s->list[i], s->list[j]) == 0)
                return fail(rd, d[0].value, "%s stands twice", s->list[i]);
    if (st == PFX_OK && d[1].value) st = copy_numbers(rd, d[1].value, "p", &s->n_nums, &s->nums);
    if (st == PFX_OK && d[2].value) st = copy_list(rd, d[2].value, "by", &s->n_keys, &s->keys);
    if (st != PFX_OK) return st;
    if (!d[1].value) {
        if (!(s->nums = pfx_mem_alloc(2, sizeof *s->nums, rd->err))) return PFX_ENOMEM;
        s->nums[0] = 0.01, s->nums[1] = 0.99;
        s->n_nums = 2;
    }
    if (s->n_nums != 2 || s->nums[0] < 0 || s->nums[1] > 1)
        return fail(rd, d[1].value ? d[1].value : n, "%s: p is two shares, as [0.01, 0.99]", v->name);
    const char *type = d[3].value ? scalar(d[3].value) : "7";
    if (!type || (strcmp(type, "2") != 0 && strcmp(type, "6") != 0 && strcmp(type, "7") != 0))
        return fail(rd, d[3].value, "%s: type of quantile: 2 (Stata), 6 (SPSS) or 7 (R)", v->name);
    s->type = *type - '0';
    return PFX_OK;
}

static pfx_status read_merge(reader *rd, const verb *v, const yaml_node_t *n)
{
    static const char *const unmatched[] = {"keep", "drop", "error"};
    detail d[] = {{"file", NULL, true},
                  {"on", NULL, true},
                  {"how", NULL, false},
                  {"columns", NULL, false},
                  {"unmatched", NULL, false}};
    recipe_step *s = add(rd, v->kind, n, v->name);
    pfx_status st = s ? read_details(rd, v, n, 5, d) : PFX_ENOMEM;
    if (st == PFX_OK) st = copy_text(rd, d[0].value, "file", &s->name);
    if (st == PFX_OK) st = copy_list(rd, d[1].value, "on", &s->n_keys, &s->keys);
    if (st == PFX_OK && s->n_keys > RECIPE_MAX_BY) return fail(rd, d[1].value, "%s: too many keys", v->name);
    if (st == PFX_OK && d[2].value) st = copy_text(rd, d[2].value, "how", &s->text);
    if (st == PFX_OK && !d[2].value && !(s->text = pfx_mem_strdup("m:1", rd->err))) st = PFX_ENOMEM;
    if (st == PFX_OK && strcmp(s->text, "m:1") != 0 && strcmp(s->text, "1:1") != 0)
        return fail(rd, d[2].value, "how: '%s': m:1 or 1:1", s->text);
    if (st == PFX_OK && d[3].value) st = copy_list(rd, d[3].value, "columns", &s->n_list, &s->list);
    const char *what = d[4].value ? scalar(d[4].value) : "keep";
    while (st == PFX_OK && s->type < 3 && (!what || strcmp(what, unmatched[s->type]) != 0)) s->type++;
    if (st == PFX_OK && s->type == 3)
        return fail(rd, d[4].value, "%s: unmatched: keep, drop or error", v->name);
    return st;
}

static const verb verbs[] = {{"keep", RECIPE_KEEP, read_expr},
                             {"drop", RECIPE_DROP, read_expr},
                             {"drop-units", RECIPE_DROP_UNITS, read_expr},
                             {"drop-missing", RECIPE_DROP_MISSING, read_list},
                             {"gen", RECIPE_GEN, read_pairs},
                             {"winsor", RECIPE_WINSOR, read_winsor},
                             {"factor", RECIPE_FACTOR, read_pairs},
                             {"encode", RECIPE_ENCODE, read_pairs},
                             {"merge", RECIPE_MERGE, read_merge},
                             {"select", RECIPE_SELECT, read_list},
                             {"remove", RECIPE_REMOVE, read_list},
                             {"rename", RECIPE_RENAME, read_pairs},
                             {"label", RECIPE_LABEL, read_pairs}};
enum { N_VERBS = sizeof verbs / sizeof *verbs };

static pfx_status read_step(reader *rd, const yaml_node_t *n)
{
    if (n->type != YAML_MAPPING_NODE || n->data.mapping.pairs.top - n->data.mapping.pairs.start != 1)
        return fail(rd, n, "a step is one word and what it works on, as '- keep: year >= 2018'%s", "");
    const yaml_node_t *key = node(rd, n->data.mapping.pairs.start->key);
    const char *text = scalar(key), *names[N_VERBS];
    for (int v = 0; v < N_VERBS; v++) {
        names[v] = verbs[v].name;
        if (text && strcmp(text, verbs[v].name) == 0)
            return verbs[v].read(rd, &verbs[v], node(rd, n->data.mapping.pairs.start->value));
    }
    char message[200];
    const char *near = text ? pfx_text_nearest(text, N_VERBS, names) : NULL;
    snprintf(message, sizeof message, "no such step '%.60s'%s%s%s", text ? text : "?",
             near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    return fail(rd, key, "%s", message);
}

static pfx_status read_document(reader *rd)
{
    const yaml_node_t *root = yaml_document_get_root_node(rd->doc);
    if (!root) return pfx_fail(rd->err, PFX_EUSAGE, "%s: the recipe is empty", rd->name);
    if (root->type == YAML_MAPPING_NODE &&
        root->data.mapping.pairs.top - root->data.mapping.pairs.start == 1 &&
        scalar(node(rd, root->data.mapping.pairs.start->key)) &&
        strcmp(scalar(node(rd, root->data.mapping.pairs.start->key)), "steps") == 0)
        root = node(rd, root->data.mapping.pairs.start->value);
    if (root->type != YAML_SEQUENCE_NODE) return fail(rd, root, "a recipe is a list of steps%s", "");
    pfx_status st = PFX_OK;
    for (yaml_node_item_t *i = root->data.sequence.items.start;
         i < root->data.sequence.items.top && st == PFX_OK; i++)
        st = read_step(rd, node(rd, *i));
    return st;
}

pfx_status pfx_recipe_parse(const char *name, const char *text, size_t n, pfx_recipe **out, pfx_err *err)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    pfx_recipe *r = pfx_mem_calloc(1, sizeof *r, err);
    pfx_status st = PFX_OK;
    if (!r) return PFX_ENOMEM;
    if (!yaml_parser_initialize(&parser)) {
        pfx_mem_free(r);
        return pfx_fail(err, PFX_ENOMEM, "out of memory for YAML");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (!(r->name = pfx_mem_strdup(name, err)))
        st = PFX_ENOMEM;
    else if (!yaml_parser_load(&parser, &doc))
        st = pfx_fail(err, PFX_EUSAGE, "%s:%d: not YAML: %s", name, (int)parser.problem_mark.line + 1,
                      parser.problem ? parser.problem : "out of memory");
    else {
        reader rd = {name, &doc, r, err};
        st = read_document(&rd);
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    if (st == PFX_OK)
        *out = r;
    else
        pfx_recipe_free(r);
    return st;
}

void pfx_recipe_free(pfx_recipe *r)
{
    if (!r) return;
    for (int i = 0; i < r->n; i++) step_free(&r->step[i]);
    pfx_mem_free(r->step);
    pfx_mem_free(r->name);
    pfx_mem_free(r);
}
