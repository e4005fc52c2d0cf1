/* A made-up design, and the slow obvious twin of the absorber: all dummies and slopes as columns,
 * orthogonalised in long double, the design's columns less their projection. */
#ifndef PFX_TESTS_ABSORB_TWIN_H
#define PFX_TESTS_ABSORB_TWIN_H

#include "src/model/design.h"

typedef struct toy_effect {
    pfx_idx levels; /* as drawn; empty ones are renumbered away */
    bool intercept;
    int n_slopes;
    enum { TOY_RANDOM, TOY_RUNS, TOY_NESTED, TOY_SPLIT, TOY_CYCLE } how; /* how rows fall into levels */
    double flat; /* share of levels whose slopes are constant */
} toy_effect;

typedef struct toy {
    pfx_idx n;
    int p, n_effects;
    toy_effect effect[4];
    bool weights, intercept;
    double offset, tilt; /* level of the columns; weight of effects in them */
    uint64_t seed;
} toy;

pfx_design *toy_design(const toy *t);
void toy_free(pfx_design *d);

typedef struct twin {
    long double *resid;   /* [n x p] */
    long double *effects; /* [n x rank] orthonormal with sqrt weights folded in */
    pfx_idx rank;
} twin;

/* Of the design's rows in their present order; x [n x p], with sqrt weights unfolded. */
twin twin_project(const pfx_design *d, int p, const double *x);
void twin_free(twin *t);

double toy_uniform(uint64_t *seed);

#endif
