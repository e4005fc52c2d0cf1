/* A made panel with a treatment, placebo draws on it, and their slow twin. */
#ifndef PFX_TESTS_EST_PLACEBO_WORLD_H
#define PFX_TESTS_EST_PLACEBO_WORLD_H

#include "src/base/rng.h"
#include "src/rep/placebo.h"
#include "tests/est/made_panel.h"

enum { YEARS = 7, MAX_UNITS = 400 };

/* How the treatment is made: 0/1 that stays on; that switches on and off; numbers; numbers constant in units.
 */
typedef enum making { STAYS, ON_OFF, NUMBERS, CONSTANT } making;

typedef struct setting {
    pfx_idx firms;
    int effects, cluster, unit; /* unit: FIRM or TOWN */
    pfx_weights_kind kind;
    making making;
    pfx_placebo_scheme scheme;
    int n_drawn;
    double max_bytes; /* 0: none; below 0: that many times the bytes of the products */
    pfx_idx reps;
    bool cross; /* columns of rows are projected off all effects */
} setting;

typedef struct world {
    made_panel a;
    setting s;
    double *treatment, *factor; /* [n]; [2][n] */
    int32_t *unit;
    pfx_idx n_units;
    pfx_assign_in in;
    pfx_design *d;
    pfx_fit *fit;
    pfx_assign *assign;
    pfx_placebo *p;
} world;

pfx_placebo *placebo_prepare_world(const world *w, int nth, pfx_isa isa);
world placebo_world_new(setting s);
void placebo_world_free(world *w);
/* Regressors that are made of the treatment, into the rows of Z. */
void placebo_rebuild(const world *w, const double *treatment, double *Z);

/* The twin: assignments as the declarations define them, from the numbers of rng; out [n] the treatment of
 * each row. */
typedef struct grid {
    double v[MAX_UNITS][YEARS]; /* carried on */
    int first[MAX_UNITS], last[MAX_UNITS];
    bool excluded[MAX_UNITS];
} grid;

void placebo_grid(const world *w, grid *g);
bool placebo_is_zero(const double *v);
void placebo_draw_units(const world *w, pfx_rng *rng, double *out);
void placebo_draw_rows(const world *w, pfx_rng *rng, double *out);
/* A literal refit under a treatment; outcome NULL: as it is. */
pfx_fit *placebo_refit(const world *w, const double *treatment, const double *outcome);

/* The program's draws. */
typedef struct kept {
    pfx_idx first;
    double *out[PFX_PLACEBO_FIELDS];
} kept;

kept placebo_run(const pfx_placebo *p, uint64_t seed, pfx_idx first, pfx_idx last, int nth);
void placebo_free_kept(kept *k);
/* A draw's numbers against a refit. */
void placebo_check_draw(const world *w, const double *treatment, double b, double se, double slope);

#endif
