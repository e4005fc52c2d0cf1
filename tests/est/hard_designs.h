/* Designs that are hard for floating point: what the test and the bench of accuracy share. */
#ifndef PFX_TESTS_EST_HARD_DESIGNS_H
#define PFX_TESTS_EST_HARD_DESIGNS_H

#include "src/model/design.h"

typedef struct hard_design {
    const char *name;
    pfx_design *(*make)(double size);
    double size;                /* what the name says: condition, mean, share */
    double b_digits, se_digits; /* that the estimator reaches, less about one: the test's floors */
} hard_design;

extern const hard_design hard_designs[];
extern const int n_hard_designs;

#endif
