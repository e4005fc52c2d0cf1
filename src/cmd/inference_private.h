/* What the files of the inference command share: one for each method that makes draws. */
#ifndef PFX_CMD_INFERENCE_PRIVATE_H
#define PFX_CMD_INFERENCE_PRIVATE_H

#include <jansson.h>

#include "src/cmd/replicate.h"
#include "src/rep/intervals.h"

typedef struct inference_options {
    rep_options rep; /* null NaN: not asked for */
    pfx_opt_list coef, ci;
    int ptype, stat;
} inference_options;

typedef struct inference_run {
    const inference_options *o;
    pfx_draws *file;
    const pfx_draw_spec *spec;
    const struct inference_method *how;
    const rep_method *shown; /* that made the draws: its names and rules */
    pfx_str title;
    json_t *fit;
    double *field[PFX_KEEP_FIELDS]; /* [reps x terms] all but the standard errors */
    bool studentised;               /* some draw has a t */
    double null;                    /* that is tested */
    bool ci[PFX_CI_KINDS];          /* pairs */
    bool invert;                    /* wild */
} inference_run;

typedef struct inference_method {
    /* The method that made such draws, or NULL: not one of these. */
    const rep_method *(*find)(const pfx_draw_spec *s);
    /* The draws are read: r->null, options. USAGE: what the draws cannot give. */
    pfx_status (*choose)(inference_run *r, pfx_err *err);
    /* Term t of the draws into *out, which is of p. */
    pfx_status (*term)(const inference_run *r, int t, pfx_rep_report *p, pfx_rep_term *out, pfx_err *err);
    /* What is said of all terms, or NULL. */
    void (*head)(const inference_run *r, pfx_rep_report *p);
    /* How a family counts, where that depends on the draws; or NULL. */
    pfx_family_rule (*rule)(const inference_run *r);
} inference_method;
extern const inference_method inference_pairs, inference_wild, inference_placebo;

/* What stands in the JSON of /fit: NaN, 0 and "" where it does not. */
double inference_number(const json_t *o, const char *key);
pfx_idx inference_count(const json_t *o, const char *key);
const char *inference_text(const json_t *o, const char *key);
/* Of the full sample, what the method has stored of term t. */
const json_t *inference_full(const inference_run *r, int t);
/* The place in r->field of a method's own field; 0: the draws have none of this name. */
int inference_field(const inference_run *r, const char *name);

#endif
