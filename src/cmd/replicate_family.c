/* Several specifications that share draws: a run for each of them over one common set of clusters, drawn
 * together, and p-values for the family. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/bag.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/cmd/replicate.h"

enum { MAX_TERMS = REP_FAMILY_TESTS };

typedef struct spec {
    rep_run run;
    pfx_formula formula; /* a view of one model */
    pfx_idx n_of;
    int32_t *of;         /* [n_of] its clusters: their numbers in the union */
    int first;           /* of its terms among all */
} spec;

typedef struct family {
    rep_method method; /* of the run: base's, but for the functions below */
    const rep_method *base;
    int n, n_terms;
    spec *spec;                 /* [n] */
    pfx_fit **fit;              /* [n] belong to the runs */
    char **name;                /* [n_terms] "MD: IDC" */
    char *drawn_by;             /* what is drawn: "firm" */
    char *outcomes;             /* "TS, MD" */
    char *formulas;             /* "TS ~ IDC | firm; MD ~ IDC | firm" */
    pfx_idx n_clusters, n_rows; /* that at least one specification has */
    int32_t *union_row, *also_row; /* [panel rows], or NULL: as rep_run says */
    pfx_together *together;
} family;

static const family *family_of(const rep_run *r)
{
    return r->state;
}

static void family_release(void *state)
{
    family *f = state;
    if (!f) return;
    pfx_together_free(f->together);
    for (int i = 0; f->spec && i < f->n; i++) {
        rep_run *r = &f->spec[i].run;
        if (f->base->release) f->base->release(r->state);
        pfx_clusterstat_free(r->stat);
        pfx_fit_free(r->fit);
        pfx_mem_free(f->spec[i].of);
    }
    for (int t = 0; f->name && t < f->n_terms; t++) pfx_mem_free(f->name[t]);
    pfx_mem_free(f->name);
    pfx_mem_free(f->spec);
    pfx_mem_free(f->fit);
    pfx_mem_free(f->drawn_by);
    pfx_mem_free(f->outcomes);
    pfx_mem_free(f->formulas);
    pfx_mem_free(f->union_row);
    pfx_mem_free(f->also_row);
    pfx_mem_free(f);
}

pfx_fit *const *rep_fits(const rep_run *r, int *n)
{
    *n = r->formula->n_models;
    return *n > 1 ? family_of(r)->fit : &r->fit;
}

/* ---- formulas ---- */

/* Models of a formula go behind those of another. */
static pfx_status append_models(pfx_formula *to, const char *text, pfx_err *err)
{
    pfx_formula *from = NULL;
    pfx_status st = pfx_formula_parse(text, &from, err);
    if (st != PFX_OK) return st;
    pfx_model_spec *m = pfx_mem_realloc(to->models, to->n_models + from->n_models, sizeof *m, err);
    if (!m) {
        pfx_formula_free(from);
        return PFX_ENOMEM;
    }
    to->models = m;
    memcpy(m + to->n_models, from->models, (size_t)from->n_models * sizeof *m);
    to->n_models += from->n_models;
    from->n_models = 0; /* they have moved */
    pfx_formula_free(from);
    return PFX_OK;
}

pfx_status rep_family_parse(rep_run *r, pfx_err *err)
{
    const pfx_opt_list *list = &r->o->family;
    for (int i = 0; i < list->n; i++)
        for (const char *s = list->v[i]; *s;) {
            size_t n = pfx_text_item(s);
            char *one = pfx_mem_strndup(s, n, err);
            if (!one) return PFX_ENOMEM;
            pfx_status st = append_models(r->formula, one, err);
            pfx_mem_free(one);
            if (st != PFX_OK) return st;
            s += n + (s[n] == ',');
        }
    if (list->n && r->formula->n_models < 2)
        return pfx_fail(err, PFX_EUSAGE, "--family %s: names no further specification", list->v[0]);
    return PFX_OK;
}

/* Outcomes are enough of a name, with a number where specifications share one. */
static pfx_status name_terms(rep_run *r, family *f, pfx_err *err)
{
    const pfx_model_spec *m = r->formula->models;
    pfx_str s = {0};
    for (int i = 0; i < f->n; i++) {
        bool alone = true;
        for (int k = 0; k < f->n; k++) {
            if (k == i || strcmp(m[k].outcome_text, m[i].outcome_text) != 0) continue;
            alone = false;
            if (strcmp(m[k].text, m[i].text) == 0)
                return pfx_fail(err, PFX_EUSAGE, "%s: the same specification twice", m[i].text);
        }
        for (int t = 0; t < r->n_terms; t++) {
            pfx_str_clear(&s);
            if (alone)
                pfx_str_addf(&s, "%s: %s", m[i].outcome_text, r->terms[t]);
            else
                pfx_str_addf(&s, "%s (%d): %s", m[i].outcome_text, i + 1, r->terms[t]);
            f->name[i * r->n_terms + t] = s.failed ? NULL : pfx_mem_strdup(s.s, err);
            if (!f->name[i * r->n_terms + t]) break;
        }
    }
    pfx_str_clear(&s);
    for (int i = 0; i < f->n; i++) pfx_str_addf(&s, "%s%s", i ? ", " : "", m[i].outcome_text);
    if (!s.failed) f->outcomes = pfx_mem_strdup(s.s, err);
    pfx_str_clear(&s);
    for (int i = 0; i < f->n; i++) pfx_str_addf(&s, "%s%s", i ? "; " : "", m[i].text);
    if (!s.failed) f->formulas = pfx_mem_strdup(s.s, err);
    bool ok = f->outcomes && f->formulas;
    for (int t = 0; t < f->n_terms; t++) ok = ok && f->name[t];
    pfx_str_free(&s);
    return ok ? PFX_OK : pfx_fail(err, PFX_ENOMEM, "out of memory for the names of a family");
}

/* ---- the method that stands for all ---- */

/* Each specification asks for the same rows. */
static pfx_status family_open(rep_run *r, pfx_err *err)
{
    const family *f = family_of(r);
    const pfx_dataset_options before = r->dataset;
    for (int i = 0; i < f->n && f->base->open; i++) {
        rep_run *one = &f->spec[i].run;
        one->panel = r->panel;
        one->synthetic = r->synthetic;
        one->vcov = r->vcov;
        one->dataset = before;
        for (int k = 0; k < before.n_clusters; k++) rep_set_factor(one, k, r->factor_option[k], r->factor[k]);
        pfx_status st = f->base->open(one, err);
        if (st != PFX_OK) return st;
        r->dataset = one->dataset;
        for (int k = 0; k < one->dataset.n_clusters; k++)
            rep_set_factor(r, k, one->factor_option[k], one->factor[k]);
    }
    r->dataset.want_rows = true;
    return PFX_OK;
}

static const pfx_rep_method *family_draws(const rep_run *r)
{
    return pfx_together_method(family_of(r)->together);
}

static void family_describe(const rep_run *r, pfx_str *text)
{
    const family *f = family_of(r);
    f->base->describe(&f->spec[0].run, text);
}

static const spec *spec_of(const family *f, int t)
{
    return &f->spec[t / f->spec[0].run.n_terms];
}

static void family_full(const rep_run *r, int t, pfx_rep_values *v)
{
    const spec *s = spec_of(family_of(r), t);
    family_of(r)->base->full(&s->run, t - s->first, v);
}

static unsigned family_keep(const rep_run *r)
{
    const family *f = family_of(r);
    return f->base->keep(&f->spec[0].run) | 1u << PFX_DRAW_STATISTIC;
}

/* The terms of one specification, as if it were alone. What is said of the whole is the same for each. */
static pfx_status summarise_one(family *f, int i, const pfx_draw_keep *d, pfx_rep_report *report,
                                pfx_err *err)
{
    spec *s = &f->spec[i];
    pfx_draw_keep own = *d;
    pfx_rep_report part = *report;
    for (int k = 0; k < PFX_KEEP_FIELDS; k++)
        if (own.field[k]) own.field[k] += s->first;
    part.n_terms = s->run.n_terms;
    part.term += s->first;
    part.note = (pfx_str){0};
    pfx_status st = f->base->summarise(&s->run, &own, &part, err);
    for (int t = 0; t < s->run.n_terms && st == PFX_OK; t++) {
        pfx_rep_values *more = &part.term[t].more;
        pfx_rep_add_text(more, NULL, "formula", NULL, s->run.fit->formula);
        pfx_rep_add_count(more, NULL, "n_obs", "rows", s->run.fit->n_obs);
        pfx_rep_add_count(more, NULL, "n_clusters", "clusters", s->run.fit->clusters[0].levels);
    }
    if (i == 0) {
        report->note = part.note;
        report->more = part.more;
    } else
        pfx_str_free(&part.note);
    return st;
}

pfx_status rep_family_adjust(const pfx_draw_keep *d, pfx_family_rule rule, pfx_rep_report *report,
                             pfx_err *err)
{
    double statistic[MAX_TERMS], rw[MAX_TERMS], wy[MAX_TERMS];
    for (int t = 0; t < d->n_terms; t++) statistic[t] = report->term[t].statistic;
    const pfx_family_in in = {.reps = d->n,
                              .n_tests = d->n_terms,
                              .stride = d->n_terms,
                              .t = d->field[PFX_DRAW_STATISTIC],
                              .statistic = statistic,
                              .rule = rule};
    pfx_status st = pfx_family_adjust(&in, rw, wy, err);
    for (int t = 0; t < d->n_terms && st == PFX_OK; t++) {
        pfx_rep_add_real(&report->term[t].more, NULL, "p_romano_wolf", "p-value, Romano-Wolf", rw[t]);
        pfx_rep_add_real(&report->term[t].more, NULL, "p_westfall_young", "p-value, Westfall-Young", wy[t]);
    }
    pfx_str_addf(&report->note,
                 "Family of %d tests on the same draws. Romano-Wolf: step-down by the largest |t|. "
                 "Westfall-Young: step-down by\nthe smallest p-value.\n",
                 d->n_terms);
    return st;
}

static pfx_status family_summarise(rep_run *r, const pfx_draw_keep *d, pfx_rep_report *report, pfx_err *err)
{
    family *f = r->state;
    pfx_status st = PFX_OK;
    for (int i = 0; i < f->n && st == PFX_OK; i++) st = summarise_one(f, i, d, report, err);
    pfx_family_rule rule = f->base->rule_now ? f->base->rule_now(&f->spec[0].run) : f->base->rule;
    return st == PFX_OK ? rep_family_adjust(d, rule, report, err) : st;
}

static void set_method(family *f)
{
    f->method = *f->base;
    f->method.open = family_open;
    f->method.prepare = NULL;
    f->method.release = family_release;
    f->method.draws = family_draws;
    f->method.describe = f->base->describe ? family_describe : NULL;
    f->method.full = f->base->full ? family_full : NULL;
    f->method.keep = family_keep;
    f->method.extreme = NULL;
    f->method.summarise = family_summarise;
}

pfx_status rep_family_begin(rep_run *r, pfx_err *err)
{
    family *f = pfx_mem_calloc(1, sizeof *f, err);
    if (!f) return PFX_ENOMEM;
    f->base = r->method;
    f->n = r->formula->n_models;
    f->n_terms = f->n * r->n_terms;
    set_method(f);
    r->state = f;
    r->method = &f->method;
    if (r->o->decided != 0)
        return pfx_fail(err, PFX_EUSAGE,
                        "--stop-when-decided is for one specification; a family takes all of its draws");
    if (f->n_terms > MAX_TERMS)
        return pfx_fail(err, PFX_EUSAGE,
                        "%d specifications with %d coefficients: a family has at most %d tests", f->n,
                        r->n_terms, (int)MAX_TERMS);
    f->spec = pfx_mem_calloc(f->n, sizeof *f->spec, err);
    f->fit = pfx_mem_calloc(f->n, sizeof *f->fit, err);
    f->name = pfx_mem_calloc(f->n_terms, sizeof *f->name, err);
    if (!f->spec || !f->fit || !f->name) return PFX_ENOMEM;
    pfx_status st = name_terms(r, f, err);
    if (st != PFX_OK) return st;
    for (int i = 0; i < f->n; i++) {
        spec *s = &f->spec[i];
        s->formula = (pfx_formula){.text = r->formula->text, .n_models = 1, .models = &r->formula->models[i]};
        s->first = i * r->n_terms;
        s->run = (rep_run){.o = r->o,
                           .own = r->own,
                           .method = f->base,
                           .n_terms = r->n_terms,
                           .terms = r->terms,
                           .formula = &s->formula,
                           .n_specs = f->n,
                           .spec_number = i,
                           .also_by = -1,
                           .reps = r->reps};
    }
    r->n_terms = f->n_terms;
    r->terms = (const char *const *)f->name;
    return PFX_OK;
}

/* ---- rows ---- */

/* What the specifications have of the panel's clusters and rows. */
typedef struct coverage {
    pfx_idx n_levels, n_rows;
    pfx_idx *first;     /* [n_levels] the first row that a specification has of a level, -1: none has any */
    int32_t *number;    /* [n_levels] its number in the union */
    unsigned char *row; /* [n_rows] some specification has it */
} coverage;

/* What the draws need of the rows of one specification. */
static pfx_status look_at_rows(const rep_run *r, const pfx_design *d, const int32_t *level, pfx_err *err)
{
    family *f = r->state;
    int by = f->spec[0].run.drawn_by, also = f->spec[0].run.also_by;
    if (!f->union_row) return PFX_OK;
    for (pfx_idx k = 0; k < d->n; k++) f->union_row[d->row[k]] = level[d->clusters[by].code[k]];
    if (also < 0) return PFX_OK;
    int32_t *other = pfx_mem_alloc(d->clusters[also].n_levels, sizeof *other, err);
    if (!other) return PFX_ENOMEM;
    pfx_dataset_cluster_levels(r->data, also, d, other);
    for (pfx_idx k = 0; k < d->n; k++) f->also_row[d->row[k]] = other[d->clusters[also].code[k]];
    pfx_mem_free(other);
    return PFX_OK;
}

/* Clusters and rows of one specification. */
static pfx_status look(rep_run *r, int i, coverage *c, pfx_err *err)
{
    family *f = r->state;
    pfx_design *d = NULL;
    pfx_status st = pfx_dataset_design(r->data, i, 0, false, &d, err);
    if (st != PFX_OK) return st;
    int by = f->spec[0].run.drawn_by;
    const pfx_factor *g = &d->clusters[by];
    int32_t *level = f->spec[i].of = pfx_mem_alloc(g->n_levels, sizeof *level, err);
    if (level && !f->drawn_by && !(f->drawn_by = pfx_mem_strdup(g->name, err))) st = PFX_ENOMEM;
    if (level) {
        pfx_dataset_cluster_levels(r->data, by, d, level);
        for (pfx_idx k = 0; k < d->n; k++) {
            pfx_idx *first = &c->first[level[g->code[k]]];
            if (*first < 0 || d->row[k] < *first) *first = d->row[k];
            c->row[d->row[k]] = 1;
        }
        f->spec[i].n_of = g->n_levels;
        if (st == PFX_OK) st = look_at_rows(r, d, level, err);
    }
    pfx_design_free(d);
    return level ? st : PFX_ENOMEM;
}

/* Clusters of the union in the order of their first rows, as those of one specification are. */
static pfx_status number_clusters(family *f, coverage *c, pfx_err *err)
{
    int32_t *at = pfx_mem_alloc(c->n_rows, sizeof *at, err);
    if (!at) return PFX_ENOMEM;
    memset(at, 0xff, (size_t)c->n_rows * sizeof *at);
    for (pfx_idx l = 0; l < c->n_levels; l++)
        if (c->first[l] >= 0) at[c->first[l]] = (int32_t)l;
    for (pfx_idx k = 0; k < c->n_rows; k++) {
        if (at[k] >= 0) c->number[at[k]] = (int32_t)f->n_clusters++;
        f->n_rows += c->row[k];
    }
    for (pfx_idx k = 0; f->union_row && k < c->n_rows; k++)
        if (f->union_row[k] >= 0) f->union_row[k] = c->number[f->union_row[k]];
    pfx_mem_free(at);
    for (int i = 0; i < f->n; i++) {
        spec *s = &f->spec[i];
        for (pfx_idx k = 0; k < s->n_of; k++) s->of[k] = c->number[s->of[k]];
        s->run.all = (pfx_union){.n = f->n_clusters, .of = s->of};
        s->run.union_row = f->union_row;
        s->run.also_row = f->also_row;
    }
    return PFX_OK;
}

static bool room_for_rows(family *f, pfx_idx n, pfx_err *err)
{
    bool also = f->spec[0].run.also_by >= 0;
    f->union_row = pfx_mem_alloc(n, sizeof *f->union_row, err);
    if (also) f->also_row = pfx_mem_alloc(n, sizeof *f->also_row, err);
    if (!f->union_row || (also && !f->also_row)) return false;
    memset(f->union_row, 0xff, (size_t)n * sizeof *f->union_row);
    return true;
}

static pfx_status unite(rep_run *r, pfx_err *err)
{
    family *f = r->state;
    coverage c = {.n_levels = pfx_dataset_n_cluster_levels(r->data, f->spec[0].run.drawn_by),
                  .n_rows = pfx_panel_n_rows(r->panel)};
    pfx_status st = PFX_ENOMEM;
    c.first = pfx_mem_alloc(c.n_levels, sizeof *c.first, err);
    c.number = pfx_mem_alloc(c.n_levels, sizeof *c.number, err);
    c.row = pfx_mem_calloc(c.n_rows, 1, err);
    if (f->base->family_rows && !room_for_rows(f, c.n_rows, err)) goto done;
    if (c.first && c.number && c.row) {
        for (pfx_idx l = 0; l < c.n_levels; l++) c.first[l] = -1;
        st = PFX_OK;
        for (int i = 0; i < f->n && st == PFX_OK; i++) st = look(r, i, &c, err);
        if (st == PFX_OK) st = number_clusters(f, &c, err);
    }
done:
    pfx_mem_free(c.first);
    pfx_mem_free(c.number);
    pfx_mem_free(c.row);
    return st;
}

pfx_status rep_family_reduce(rep_run *r, pfx_err *err)
{
    family *f = r->state;
    const pfx_rep_method *methods[MAX_TERMS];
    pfx_status st = unite(r, err);
    for (int i = 0; i < f->n && st == PFX_OK; i++) {
        rep_run *one = &f->spec[i].run;
        pfx_design *d = NULL;
        st = pfx_dataset_design(r->data, i, 0, false, &d, err);
        if (st == PFX_OK) st = rep_reduce_design(one, d, err);
        pfx_design_free(d);
        if (st != PFX_OK) return st;
        f->fit[i] = one->fit;
        methods[i] = f->base->draws(one);
        r->reps = one->reps;
    }
    return st == PFX_OK ? pfx_together_create(f->n, methods, &f->together, err) : st;
}

void rep_family_head(const rep_run *r, pfx_rep_report *report)
{
    const family *f = family_of(r);
    report->formula = f->formulas;
    report->outcome = f->outcomes;
    report->cluster = f->drawn_by;
    report->n_clusters = f->n_clusters;
    report->n_obs = f->n_rows;
}

/* ---- kept with a plan ---- */

const char *rep_family_stats_reason(const rep_run *r)
{
    const family *f = family_of(r);
    const char *reason = f->base->family_rows ? "a family of these needs the rows of all specifications" : NULL;
    for (int i = 0; i < f->n && !reason; i++) reason = rep_stats_reason(&f->spec[i].run);
    return reason;
}

pfx_status rep_family_store(rep_run *r, pfx_bag *b, pfx_err *err)
{
    family *f = r->state;
    const pfx_rep_method *methods[MAX_TERMS];
    bool gives = pfx_bag_gives(b);
    pfx_status st = pfx_bag_idx(b, "family_clusters", &f->n_clusters, err);
    if (st == PFX_OK) st = pfx_bag_idx(b, "family_rows", &f->n_rows, err);
    if (st == PFX_OK) st = pfx_bag_text(b, "family_drawn_by", &f->drawn_by, err);
    for (int i = 0; i < f->n && st == PFX_OK; i++) {
        spec *s = &f->spec[i];
        char prefix[32];
        snprintf(prefix, sizeof prefix, "spec_%d_", i + 1);
        pfx_bag_prefix(b, prefix);
        st = pfx_bag_idx(b, "n_of", &s->n_of, err);
        if (st == PFX_OK) st = pfx_bag_i32(b, "of", s->n_of, &s->of, err);
        if (gives) s->run.all = (pfx_union){.n = f->n_clusters, .of = s->of};
        if (st == PFX_OK) st = rep_store_spec(&s->run, b, err);
        if (st != PFX_OK || !gives) continue;
        f->fit[i] = s->run.fit;
        methods[i] = f->base->draws(&s->run);
        r->reps = s->run.reps;
    }
    pfx_bag_prefix(b, "");
    return st == PFX_OK && gives ? pfx_together_create(f->n, methods, &f->together, err) : st;
}
