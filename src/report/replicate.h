/* What boot, placebo and jackknife print: text for reading, JSON for scripts. */
#ifndef PFX_REPORT_REPLICATE_H
#define PFX_REPORT_REPLICATE_H

#include <stdbool.h>
#include "src/base/text.h"

enum { PFX_REP_INTERVALS = 16, PFX_REP_VALUES = 32 };

typedef struct pfx_rep_interval {
    const char *name; /* "percentile"; a set of several pieces is several entries of one name */
    double low, high; /* NaN where not defined */
} pfx_rep_interval;

typedef enum pfx_rep_kind { PFX_REP_REAL, PFX_REP_COUNT, PFX_REP_TEXT, PFX_REP_FLAG } pfx_rep_kind;

/* A value of a method's own. Texts must live as long as the report. */
typedef struct pfx_rep_value {
    const char *group; /* object that it stands in, or NULL */
    const char *key;   /* in JSON */
    const char *label; /* in text; NULL: not shown there */
    pfx_rep_kind kind;
    double real;
    pfx_idx count; /* and FLAG */
    const char *text;
} pfx_rep_value;

typedef struct pfx_rep_values {
    int n;
    pfx_rep_value v[PFX_REP_VALUES];
} pfx_rep_values;

/* Beyond PFX_REP_VALUES an assertion fails. */
void pfx_rep_add_real(pfx_rep_values *v, const char *group, const char *key, const char *label, double x);
void pfx_rep_add_count(pfx_rep_values *v, const char *group, const char *key, const char *label, pfx_idx n);
void pfx_rep_add_text(pfx_rep_values *v, const char *group, const char *key, const char *label,
                      const char *s);
void pfx_rep_add_flag(pfx_rep_values *v, const char *group, const char *key, const char *label, bool on);

/* One tested coefficient; NaN is null in JSON and blank in text. */
typedef struct pfx_rep_term {
    const char *term;
    double estimate, std_error, statistic;
    pfx_idx reps,
        valid;     /* replicates; those that are not NaN. reps 0: nothing was drawn, both are left out */
    pfx_idx count; /* replicates at least as extreme; -1: left out */
    double p_value, p_low, p_high; /* p_low NaN: no interval of the p-value */
    int n_intervals;
    pfx_rep_interval interval[PFX_REP_INTERVALS]; /* conf_low and conf_high are those of the first */
    pfx_rep_values more;
} pfx_rep_term;
void pfx_rep_add_interval(pfx_rep_term *t, const char *name, double low, double high);

typedef struct pfx_rep_report {
    const char *command, *method, *method_key; /* "boot", "pairs", "method" */
    const char *title;                         /* "Pairs cluster bootstrap" */
    const char *formula, *outcome, *cluster;   /* cluster NULL: none */
    pfx_idx n_clusters, n_obs;
    const char *cluster2; /* the second of two cluster variables, or NULL */
    pfx_idx n_clusters2;
    pfx_idx reps; /* 0: nothing was drawn, no seed either */
    uint64_t seed;
    double level, null;
    int n_terms;
    pfx_rep_term *term; /* [n_terms] */
    pfx_rep_values more;
    pfx_str note; /* what stands below the table, whole lines */
    bool synthetic;
    const char *matched; /* how the panel was matched, NULL: it was not */
    double read_s, compute_s, total_s;
    int threads;
    pfx_idx peak_memory_bytes;
} pfx_rep_report;

/* n_terms terms, all NaN. NOMEM. */
pfx_status pfx_rep_report_init(pfx_rep_report *r, int n_terms, pfx_err *err) PFX_MUST;
void pfx_rep_report_free(pfx_rep_report *r);

pfx_status pfx_rep_text(const pfx_rep_report *r, pfx_str *out, pfx_err *err) PFX_MUST;
/* One term at the top level, several in a list "terms". */
pfx_status pfx_rep_json(const pfx_rep_report *r, pfx_str *out, pfx_err *err) PFX_MUST;
/* Put an object "replication" with v[t] under the name of each term into the JSON object `json`. */
pfx_status pfx_rep_json_full(int n_terms, const char *const *terms, const pfx_rep_values *v, pfx_str *json,
                             pfx_err *err) PFX_MUST;

#endif
