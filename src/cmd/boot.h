/* What the files of the boot command share: its options, and its methods. */
#ifndef PFX_CMD_BOOT_H
#define PFX_CMD_BOOT_H

#include "src/cmd/replicate.h"
#include "src/rep/intervals.h"
#include "src/rep/switching.h"
#include "src/rep/wild.h"
#include "src/rep/wild_summary.h"

enum { BOOT_ALL = INT32_MIN };

typedef struct boot_options {
    rep_options rep;
    pfx_opt_list coef;
    int method;      /* index in boot_methods */
    pfx_opt_list ci; /* of each method's own meaning */
    /* pairs */
    int draw;          /* 0 multinomial, 1 bayes */
    pfx_idx subsample; /* clusters in a replicate; BOOT_ALL: as many as there are */
    /* wild */
    int type, weights_type, ptype; /* places in their lists */
    bool unrestricted, joint;
    const char *bootcluster;
} boot_options;

extern const rep_method boot_pairs, boot_wild;

/* What draws of the pairs bootstrap say, for boot and for inference. --ci as flags, ci [PFX_CI_KINDS]: all
 * without names. USAGE. */
pfx_status boot_choose_intervals(const pfx_opt_list *names, bool *ci, pfx_err *err) PFX_MUST;
/* One term, with the intervals chosen; warns of lost draws. IDENT: more than half are lost. */
pfx_status boot_pairs_term(const char *term, const pfx_boot_in *in, const bool *ci, pfx_rep_term *out,
                           pfx_err *err) PFX_MUST;
void boot_pairs_note(double level, double null, bool studentised, pfx_str *note);
/* sqrt(M / G), which makes the spread of draws of M of G clusters that of the estimate; 1 where n_drawn is 0.
 */
double boot_pairs_scale(pfx_idx n_drawn, pfx_idx n_clusters);
/* How clusters were drawn, n_drawn of n_clusters (0: all), into values and note of a report. */
void boot_pairs_say_draw(bool bayes, pfx_idx n_drawn, pfx_idx n_clusters, pfx_rep_report *report);

/* What draws of the wild bootstrap say, for boot and for inference. */
typedef struct boot_wild_about {
    const char *type, *weights; /* "11", "rademacher" */
    const char *bootcluster;    /* NULL: the default */
    bool unrestricted, joint, enumerated, crossing, instruments;
    pfx_idx n_boot;
    double null, level;
    pfx_wild_p kind;
    bool invert; /* give the confidence set */
} boot_wild_about;
/* Of the full sample. */
typedef struct boot_wild_test {
    double estimate, std_error, statistic; /* NaN, NaN and F where joint */
    pfx_treated treated;
} boot_wild_test;

/* --ci and --ptype. USAGE. */
pfx_status boot_wild_choose_ci(const pfx_opt_list *ci, bool joint, bool *invert, pfx_err *err) PFX_MUST;
pfx_status boot_wild_check_p(pfx_wild_p kind, bool joint, bool family, pfx_err *err) PFX_MUST;
/* What the draws file keeps of both: nothing that depends on level, kind or invert, so that it is the same in
 * every shard. */
void boot_wild_store(const boot_wild_about *a, const boot_wild_test *test, pfx_rep_values *v);
/* extra: n0 n1 d0 d1 d2 of all terms. */
void boot_wild_polynomials(pfx_wild_in *in, const double *const *extra, int t);
/* One term; other: its p-value with the other residuals, or NULL. IDENT: more than half are lost. */
pfx_status boot_wild_term(const char *term, const boot_wild_about *a, const boot_wild_test *test,
                          const pfx_wild_in *in, const double *other, pfx_rep_term *out,
                          pfx_err *err) PFX_MUST;
/* What holds for all terms, and the note. */
void boot_wild_head(const boot_wild_about *a, pfx_rep_report *report);

#endif
