/* The jackknife command: every coefficient without each cluster in turn, CV3 standard errors, and how much
 * each cluster weighs. */
#include <math.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/commands.h"
#include "src/cmd/replicate_labels.h"
#include "src/est/dist.h"
#include "src/rep/jackknife.h"

typedef struct jackknife_options {
    rep_options rep;
    pfx_opt_list coef;
    pfx_idx top;
    const char *output;
} jackknife_options;

#define AT(field) offsetof(jackknife_options, field)
static const pfx_opt jackknife_table[] = {
    {"coef", 0, PFX_OPT_NAMES, AT(coef), "NAMES", "coefficients, joined by commas (default: all)", NULL,
     "Jackknife"},
    {"top", 0, PFX_OPT_INT, AT(top), "N",
     "name so many of the most influential clusters, at most 10 (default: 3)", NULL, NULL},
    {"output", 'o', PFX_OPT_TEXT, AT(output), "FILE.csv",
     "write each cluster's leverage, partial leverages and coefficients without it", NULL, NULL},
    {0},
};
static const pfx_opt *const jackknife_shared[] = {rep_model_options, NULL};

typedef struct jackknife_state {
    const char **terms; /* [r->n_terms] */
    pfx_jackknife *jack;
    pfx_idx *switching; /* [n_terms] */
    pfx_idx *row;       /* [n_terms x top] panel rows of the most influential clusters, or -1 */
    pfx_idx *cluster;   /* [n_terms x top] their numbers, or -1 */
    pfx_idx top;
    char **label;     /* [n_terms x top] */
    char **heavy;     /* [1] the cluster of the largest leverage */
    pfx_idx heaviest; /* its number */
} jackknife_state;

static void release(void *state)
{
    jackknife_state *s = state;
    if (!s) return;
    pfx_mem_free(s->terms);
    pfx_jackknife_free(s->jack);
    pfx_mem_free(s->switching);
    pfx_mem_free(s->row);
    pfx_mem_free(s->cluster);
    pfx_mem_free(s);
}

static pfx_status open_method(rep_run *r, pfx_err *err)
{
    if (r->vcov.n_clusters == 0)
        return pfx_fail(err, PFX_EUSAGE, "%s has no unit to cluster by; name one with --cluster VAR",
                        pfx_panel_path(r->panel));
    if (r->vcov.n_clusters > 1)
        return pfx_fail(err, PFX_EUSAGE, "--cluster %s: the jackknife leaves out clusters of one variable",
                        r->o->cluster);
    r->dataset.want_rows = true;
    return (r->state = pfx_mem_calloc(1, sizeof(jackknife_state), err)) ? PFX_OK : PFX_ENOMEM;
}

/* How far cluster g alone moves term t; a cluster that the term needs moves it furthest. */
static double influence(const rep_run *r, const pfx_jackknife *j, pfx_idx g, int t)
{
    double b = j->b[g * j->n_terms + t];
    return isnan(b) ? INFINITY : fabs(b - r->stat->b[t]);
}

/* The `top` clusters of largest influence on term t, the first of equals first. */
static void find_top(const rep_run *r, jackknife_state *s, int t)
{
    pfx_idx *to = s->cluster + t * s->top;
    for (pfx_idx i = 0; i < s->top; i++) to[i] = -1;
    for (pfx_idx g = 0; g < s->jack->G; g++) {
        pfx_idx i = s->top;
        while (i > 0 && (to[i - 1] < 0 || influence(r, s->jack, g, t) > influence(r, s->jack, to[i - 1], t)))
            i--;
        if (i == s->top) continue;
        memmove(to + i + 1, to + i, (size_t)(s->top - i - 1) * sizeof *to);
        to[i] = g;
    }
    for (pfx_idx i = 0; i < s->top; i++) s->row[t * s->top + i] = to[i] < 0 ? -1 : r->stat->first_row[to[i]];
}

static pfx_status prepare(rep_run *r, pfx_design *design, pfx_err *err)
{
    const jackknife_options *o = r->own;
    jackknife_state *s = r->state;
    int n = o->coef.n ? o->coef.n : r->fit->k;
    if (!(s->terms = pfx_mem_alloc(n, sizeof *s->terms, err))) return PFX_ENOMEM;
    for (int t = 0; t < n; t++) s->terms[t] = o->coef.n ? o->coef.v[t] : r->fit->coef[t].term;
    r->terms = s->terms;
    r->n_terms = n;
    pfx_status st = rep_make_stat(r, design, err);
    if (st == PFX_OK)
        st = pfx_jackknife_run(r->stat, (int)r->o->common.threads, (pfx_isa)r->o->common.isa, &s->jack, err);
    if (st != PFX_OK) return st;
    s->top = o->top < r->stat->G ? o->top : r->stat->G;
    s->switching = pfx_mem_alloc(n, sizeof *s->switching, err);
    s->row = pfx_mem_alloc(n * s->top + 1, sizeof *s->row, err);
    s->cluster = pfx_mem_alloc(n * s->top + 1, sizeof *s->cluster, err);
    if (!s->switching || !s->row || !s->cluster) return PFX_ENOMEM;
    for (pfx_idx g = 1; g < s->jack->G; g++)
        if (s->jack->leverage[g] > s->jack->leverage[s->heaviest]) s->heaviest = g;
    for (int t = 0; t < n && st == PFX_OK; t++) {
        find_top(r, s, t);
        st = rep_warn_switching(r, design, s->terms[t], &s->switching[t], err);
    }
    return st;
}

static const rep_method jackknife_method = {.command = "jackknife",
                                            .title = "Cluster jackknife",
                                            .name_key = "method",
                                            .instruments = true,
                                            .refits = true,
                                            .open = open_method,
                                            .prepare = prepare,
                                            .release = release};

static void report_term(const rep_run *r, int t, pfx_rep_term *out)
{
    const jackknife_state *s = r->state;
    const pfx_jackknife *j = s->jack;
    double df = (double)(j->G - j->n_lost[t] - 1), low = INFINITY, high = -INFINITY, most = 0;
    for (pfx_idx g = 0; g < j->G; g++) {
        low = fmin(low, j->b[g * j->n_terms + t]);
        high = fmax(high, j->b[g * j->n_terms + t]);
        most = fmax(most, j->partial[g * j->n_terms + t]);
    }
    double reach = pfx_dist_t_critical(r->o->level, df) * j->cv3[t];
    out->estimate = r->stat->b[t];
    out->std_error = j->cv3[t];
    out->statistic = (out->estimate - r->o->null) / j->cv3[t];
    out->p_value = pfx_dist_t_p(out->statistic, df);
    pfx_rep_add_interval(out, "t", out->estimate - reach, out->estimate + reach);
    pfx_rep_add_real(&out->more, NULL, "std_error_cv3j", "std. error CV3J", j->cv3j[t]);
    pfx_rep_add_real(&out->more, NULL, "df", "degrees of freedom", df);
    if (!r->stat->iv) {
        pfx_rep_add_real(&out->more, NULL, "effective_clusters", "effective clusters", j->effective[t]);
        pfx_rep_add_real(&out->more, NULL, "partial_leverage_max", "largest partial leverage", most);
    }
    if (s->switching[t] >= 0)
        pfx_rep_add_count(&out->more, NULL, "switching_clusters", "clusters it varies within",
                          s->switching[t]);
    if (j->n_lost[t])
        pfx_rep_add_count(&out->more, NULL, "clusters_lost", "not identified without", j->n_lost[t]);
    pfx_rep_add_real(&out->more, NULL, "lowest_without_one", "lowest without a cluster", low);
    pfx_rep_add_real(&out->more, NULL, "highest_without_one", "highest without a cluster", high);
    for (pfx_idx i = 0; i < s->top; i++) {
        pfx_idx g = s->cluster[t * s->top + i];
        const char *label = s->label[t * s->top + i];
        if (g >= 0) pfx_rep_add_real(&out->more, "without", label, label, j->b[g * j->n_terms + t]);
    }
}

static pfx_status warn_lost(const rep_run *r, int t, pfx_err *err)
{
    const jackknife_state *s = r->state;
    if (!s->jack->n_lost[t]) return PFX_OK;
    char **label = pfx_mem_calloc(1, sizeof *label, err);
    if (!label) return PFX_ENOMEM;
    pfx_idx row = r->stat->first_row[s->jack->first_lost[t]];
    pfx_status st = rep_cluster_labels(r, 1, &row, label, err);
    if (st == PFX_OK)
        pfx_warn("%s is not identified without %lld of the clusters (the first is %s); they are left out of "
                 "its standard "
                 "errors",
                 r->terms[t], (long long)s->jack->n_lost[t], label[0]);
    rep_free_labels(1, label);
    return st;
}

static pfx_status report(const rep_run *r, pfx_rep_report *report, pfx_err *err)
{
    const jackknife_state *s = r->state;
    pfx_status st = PFX_OK;
    if (!r->stat->iv) {
        pfx_rep_add_real(&report->more, "leverage", "mean", "mean leverage",
                         (double)r->stat->k / (double)r->stat->G);
        pfx_rep_add_real(&report->more, "leverage", "max", "largest leverage",
                         s->jack->leverage[s->heaviest]);
        pfx_rep_add_text(&report->more, "leverage", "cluster", "of cluster", s->heavy[0]);
    }
    for (int t = 0; t < r->n_terms && st == PFX_OK; t++) {
        report_term(r, t, &report->term[t]);
        st = warn_lost(r, t, err);
    }
    pfx_str_addf(&report->note,
                 "Std. error: CV3, about the full sample; CV3J, about the mean without a cluster. t and "
                 "interval at %g %% "
                 "with the\nclusters less one as degrees of freedom, against %g. Below each coefficient "
                 "stands what it is "
                 "without the clusters\nthat move it most.\n",
                 100 * r->o->level, r->o->null);
    if (r->stat->iv)
        pfx_str_add(&report->note, "Two-stage least squares; leverage is of least squares alone.\n");
    if (r->stat->absorber)
        pfx_str_add(&report->note,
                    "Effects cross the clusters: each cluster took a refit. Leverage is of the "
                    "regressors beside all effects.\n");
    return st;
}

static pfx_status write_clusters(const rep_run *r, const char *path, pfx_err *err)
{
    const jackknife_state *s = r->state;
    const pfx_jackknife *j = s->jack;
    pfx_str out = {0};
    char **label = pfx_mem_calloc(j->G, sizeof *label, err);
    pfx_status st = label ? rep_cluster_labels(r, j->G, r->stat->first_row, label, err) : PFX_ENOMEM;
    bool weighs = !r->stat->iv;
    pfx_str_add(&out, weighs ? "cluster,leverage" : "cluster");
    for (int t = 0; t < r->n_terms; t++) {
        if (weighs) pfx_str_addf(&out, ",\"partial_leverage %s\"", r->terms[t]);
        pfx_str_addf(&out, ",\"without %s\"", r->terms[t]);
    }
    for (pfx_idx g = 0; g < j->G && st == PFX_OK; g++) {
        pfx_str_add(&out, "\n\"");
        for (const char *c = label[g]; *c; c++) pfx_str_addn(&out, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
        pfx_str_add(&out, "\"");
        if (weighs) pfx_str_addf(&out, ",%.17g", j->leverage[g]);
        for (int t = 0; t < r->n_terms; t++) {
            double b = j->b[g * j->n_terms + t];
            if (weighs) pfx_str_addf(&out, ",%.17g", j->partial[g * j->n_terms + t]);
            pfx_str_add(&out, ",");
            if (!isnan(b)) pfx_str_addf(&out, "%.17g", b);
        }
    }
    pfx_str_add(&out, "\n");
    if (st == PFX_OK && out.failed) st = pfx_fail(err, PFX_ENOMEM, "out of memory for %s", path);
    if (st == PFX_OK) st = pfx_file_write_text(path, out.s, out.len, r->o->common.force, err);
    rep_free_labels(label ? j->G : 0, label);
    pfx_str_free(&out);
    return st;
}

static pfx_status run(rep_run *r, const char *const *pos, pfx_err *err)
{
    const jackknife_options *o = r->own;
    pfx_rep_report p = {0};
    pfx_idx n = 0;
    char **label = NULL, **heavy = NULL;
    pfx_status st = rep_open(r, pos[0], pos[1], err);
    if (st == PFX_OK) st = rep_load(r, err);
    if (st != PFX_OK) return st;
    jackknife_state *s = r->state;
    n = r->n_terms * s->top;
    label = pfx_mem_calloc(n + 1, sizeof *label, err);
    heavy = pfx_mem_calloc(1, sizeof *heavy, err);
    st = label && heavy ? rep_cluster_labels(r, n, s->row, label, err) : PFX_ENOMEM;
    if (st == PFX_OK) st = rep_cluster_labels(r, 1, &r->stat->first_row[s->heaviest], heavy, err);
    s->label = label;
    s->heavy = heavy;
    if (st == PFX_OK) st = rep_report_begin(r, &p, err);
    if (st == PFX_OK) st = report(r, &p, err);
    if (st == PFX_OK && o->output) st = write_clusters(r, o->output, err);
    if (st == PFX_OK) st = rep_report_print(r, &p, err);
    pfx_rep_report_free(&p);
    rep_free_labels(n, label);
    rep_free_labels(1, heavy);
    return st;
}

/* An output that cannot be written is refused before the work. */
static pfx_status check_output(const jackknife_options *o, const char *panel, pfx_err *err)
{
    pfx_out out;
    pfx_status st = pfx_out_spare(o->output, panel, err);
    if (st != PFX_OK || !o->output) return st;
    if ((st = pfx_out_begin(&out, o->output, o->rep.common.force, err)) == PFX_OK) pfx_out_abort(&out);
    return st;
}

static pfx_status jackknife_command(int argc, char **argv, pfx_err *err)
{
    jackknife_options o = {.rep = rep_defaults(), .top = 3};
    const char *pos[2];
    int n_pos = 0;
    pfx_status st = pfx_opt_parse(&pfx_cmd_jackknife, argc, argv, &o, 2, 2, pos, &n_pos, err);
    if (st || o.rep.common.help) return st;
    if (o.top < 0 || o.top > 10)
        return pfx_fail(err, PFX_EUSAGE, "--top %lld: want 0 to 10", (long long)o.top);
    if ((st = rep_check_options(&o.rep, err)) || (st = check_output(&o, pos[0], err))) return st;
    rep_run r = {.o = &o.rep, .own = &o, .method = &jackknife_method};
    st = run(&r, pos, err);
    rep_free(&r);
    return st;
}

const pfx_command pfx_cmd_jackknife = {
    "jackknife",     "PANEL.h5 FORMULA", "coefficients without each cluster: CV3, leverage, influence",
    jackknife_table, jackknife_command,  jackknife_shared};
