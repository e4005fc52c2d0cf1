/* A made panel with instruments, its statistics, and draws of a method kept. */
#ifndef PFX_TESTS_EST_IV_PANEL_H
#define PFX_TESTS_EST_IV_PANEL_H

#include "src/rep/clusterstat.h"
#include "src/rep/driver.h"
#include "tests/est/made_panel.h"

enum { EXOG = 2, MOST_DRAWS = 4096 };

/* x0, x1 exogenous, then n endogenous, l instruments that move them. Free with made_panel_free. */
made_panel iv_panel_new(pfx_idx firms, int n, int l);
pfx_design *iv_design(const made_panel *a, int effects, int cluster, pfx_weights_kind kind, int n, int l);
pfx_clusterstat *iv_statistics(const pfx_design *d, int n_terms, const char *const *terms, int nth,
                               pfx_isa isa);

typedef struct iv_kept {
    int n_terms;
    pfx_idx first;
    double out[PFX_DRAW_FIELDS][MOST_DRAWS]; /* [draws x n_terms] */
} iv_kept;
/* Draws first .. last - 1 with seed 5, through a sink. */
void iv_draw(const pfx_rep_method *m, pfx_idx first, pfx_idx last, int nth, iv_kept *k);

#endif
