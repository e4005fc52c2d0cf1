/* The wild bootstrap taken literally: outcomes are built from fitted values and weighted residuals, and
 * fitted again. */
#ifndef PFX_TESTS_EST_WILD_TWIN_H
#define PFX_TESTS_EST_WILD_TWIN_H

#include "src/rep/clusterstat.h"
#include "src/rep/wild.h"
#include "tests/est/made_panel.h"

typedef struct wild_twin {
    const pfx_design *d;
    int type, n_terms;
    bool unrestricted;
    const char *const *terms;
    const double *null;
    pfx_vcov_type vcov;
    double *center; /* [n_terms] what b* is measured from */
    double *u;      /* [n] residuals that are multiplied */
    double *fitted; /* [n] outcome less residuals of the generating model */
} wild_twin;

pfx_clusterstat *wild_statistics(const pfx_design *d, int n_terms, const char *const *terms, int nth,
                                 pfx_isa isa);
/* The same with every effect absorbed: replicates go the route of effects that cross the clusters. */
pfx_clusterstat *wild_absorbed(const pfx_design *d, int n_terms, const char *const *terms, int nth,
                               pfx_isa isa);

enum { WILD_FIELDS = PFX_DRAW_FIELDS + PFX_WILD_EXTRA };

/* Draws [first, last) of every field, through a sink. */
typedef struct wild_kept {
    int n_tests, n_fields;
    pfx_idx first;
    double *out[WILD_FIELDS];
} wild_kept;

wild_kept wild_run(const pfx_wild *w, uint64_t seed, pfx_idx first, pfx_idx last, int nth);
void wild_kept_free(wild_kept *k);
/* Replicates range[i][0] .. range[i][1] - 1 of w, by nth threads, are that part of `whole`, bit for bit. */
void wild_assert_slices(const pfx_wild *w, const wild_kept *whole, uint64_t seed, int n,
                        const pfx_idx (*range)[2], int nth);

/* The generating model of a test of n_terms terms, refitted without each cluster of d->clusters[0] where the
 * type asks for it: types other than 11 need a design whose effects are columns or demeaned away. */
wild_twin wild_twin_new(const pfx_design *d, int type, bool unrestricted, int n_terms,
                        const char *const *terms, const double *null, pfx_vcov_type vcov);
void wild_twin_free(wild_twin *t);

/* The outcome with the residuals of bootstrap cluster boot[i] times v, fitted: coefficients b [n_terms] and
 * their variance V. False where the variance was floored. */
bool wild_twin_refit(const wild_twin *t, const int32_t *boot, const double *v, double *b, double *V);

/* v'V^-1 v for up to two. */
double wild_twin_quadratic(int n, const double *V, const double *v);

typedef struct wild_setting {
    int type;
    bool unrestricted, joint;
    pfx_wild_weights weights;
} wild_setting;

extern const char *const wild_terms[2]; /* tested by options */
extern const double wild_nulls[2];
/* 50 replicates of one clustering, of the cells. */
pfx_wild_options wild_options(const wild_setting *g);

/* Some replicates of a method against refits. d as the twin needs it; boot [n] codes of its rows. */
void wild_compare(const pfx_design *d, const pfx_clusterstat *s, const pfx_wild_options *o,
                  pfx_vcov_type vcov, const int32_t *boot, int n_terms, const char *const *terms,
                  pfx_idx reps, double tol);

#endif
