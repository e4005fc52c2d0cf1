/* Absorbed effects: the projection of a design's columns off its effects, exact for one and two effects, by a
 * sparse Schur complement for more. Source: methods.md sections 1, 2, 6. */
#ifndef PFX_EST_ABSORB_H
#define PFX_EST_ABSORB_H

#include <stdbool.h>
#include "src/base/cpu.h"
#include "src/base/status.h"

struct pfx_design;
struct pfx_factor;
typedef struct pfx_absorber pfx_absorber;

typedef struct pfx_absorb_options {
    double tol;         /* relative residual of the Schur system where it is iterative; > 0, default 1e-10 */
    int maxiter;        /* > 0, default 10000 */
    int nth;            /* threads, >= 1 */
    pfx_isa isa;
} pfx_absorb_options;

typedef struct pfx_absorb_info {
    const char *route;          /* "none", "one-way", "two-way", "schur-cholesky", "schur-pcg" */
    int iterations;             /* 0 for the direct routes */
    bool converged;
    int n_effects;              /* effects, each slope one: as the arrays below */
    const char *const *name;    /* [n_effects] "firm", "firm[x]" */
    const pfx_idx *levels;      /* [n_effects] */
    const pfx_idx *redundant;   /* [n_effects] redundant levels by reghdfe's convention (first effect 0, second by
                                 * connected components with the first, further ones by the best pair) */
    pfx_idx rank;               /* exact rank of all absorbed columns together, or -1 where it was not computed */
} pfx_absorb_info;

/* Prepare the projection: may reorder all rows of the design in place (stably, by the eliminated effect), finds
 * Gamma, the coefficients of every column of Z on the effects that are not eliminated. Without absorbed effects
 * and with an intercept, the mean is the absorbed column; with neither, nothing is.
 * NOMEM; NOCONV: names the effects and the residual reached. d must outlive the absorber, unchanged. */
pfx_status pfx_absorber_create(struct pfx_design *d, const pfx_absorb_options *o, pfx_absorber **out, pfx_err *err) PFX_MUST;
void pfx_absorber_free(pfx_absorber *a);
const pfx_absorb_info *pfx_absorber_info(const pfx_absorber *a);

/* Cross-products of the demeaned columns, Z~'WZ~, [p x p] both triangles; and for each column its weighted
 * squared norm about its weighted mean, centred [p], about zero, raw [p], and its weighted mean, mean [p]; and the sum
 * of the weights. All computed when the absorber was made. */
const double *pfx_absorber_gram(const pfx_absorber *a);
const double *pfx_absorber_centred(const pfx_absorber *a);
const double *pfx_absorber_raw(const pfx_absorber *a);
const double *pfx_absorber_mean(const pfx_absorber *a);
double pfx_absorber_weight(const pfx_absorber *a);

/* The rows of the design are cut into fixed blocks, whole levels of the eliminated effect to a block where it is
 * absorbed, and blocks into fixed groups; the cut depends on the design alone. A pass walks windows of whole groups:
 * one that holds all of them, or, where the design is streamed, as many as lie in memory. Blocks and groups, and the
 * rows of Z, w and the codes, are numbered within the window. Partial sums of groups that are added in their order
 * have the same bits however many windows there were.
 *     rewind; while (next, more) for each group */
pfx_status pfx_absorber_rewind(pfx_absorber *a, pfx_err *err) PFX_MUST;
pfx_status pfx_absorber_next(pfx_absorber *a, bool *more, pfx_err *err) PFX_MUST;
/* First row of the window, counted from the first of all, and the rows of its groups. */
pfx_idx pfx_absorber_row0(const pfx_absorber *a);
pfx_idx pfx_absorber_n_rows(const pfx_absorber *a);
pfx_idx pfx_absorber_n_groups(const pfx_absorber *a);
/* Blocks block0 .. block1 - 1 of a group. */
void pfx_absorber_group(const pfx_absorber *a, pfx_idx group, pfx_idx *block0, pfx_idx *block1);
pfx_idx pfx_absorber_n_blocks(const pfx_absorber *a);
void pfx_absorber_block_rows(const pfx_absorber *a, pfx_idx block, pfx_idx *row0, pfx_idx *n);
pfx_idx pfx_absorber_max_block_rows(const pfx_absorber *a);
/* Demeaned rows of one block, buf [rows x p] row-major. Threads: any number at once with a buf each. */
void pfx_absorber_block(const pfx_absorber *a, pfx_idx block, double *buf);

/* Where every block holds whole levels of the eliminated effect, and their means are all that is taken off within them,
 * scores of levels are had without demeaned rows (kernels/levels.h). */
bool pfx_absorber_has_levels(const pfx_absorber *a);
/* Levels of the eliminated effect, of all windows once a pass has reached the last. */
pfx_idx pfx_absorber_n_levels(const pfx_absorber *a);
/* Does each of those levels lie in one level of f, by the rows of the window? *ascending: f's codes never fall. */
bool pfx_absorber_levels_within(const pfx_absorber *a, const struct pfx_factor *f, bool *ascending);
/* Does every level of absorbed entry e lie in one level of the design's cluster c? Returns false where that was not
 * found on the way. */
bool pfx_absorber_nested(const pfx_absorber *a, int entry, int cluster, bool *nested);
/* Rows of one block: e = their residuals, demeaned row times c; S [levels x lds] the levels' scores, lds as in
 * pfx_k_level_scores. *start: the levels' first rows, counted from the first of them up, [levels + 1].
 * Returns the number of levels; *ssr = sum w e^2. Threads: any. */
pfx_idx pfx_absorber_level_scores(const pfx_absorber *a, pfx_idx block, const double *c, double *e, pfx_idx lds,
                                  double *S, const pfx_idx **start, double *ssr);

/* Demeaned columns of another matrix, X [n x m] row-major in the design's order of rows, into out [n x m]. Not of a
 * streamed design. The same bits at any number of threads. NOMEM; NOCONV as create. */
pfx_status pfx_absorber_project(pfx_absorber *a, int m, const double *X, double *out, pfx_err *err) PFX_MUST;

/* Coefficients of the absorbed effects for residual-plus-effects r [n] = y - X b (in the design's row order):
 * for each effect of info, alpha[e] [levels]; for two effects normalised as fixest (the first level of the
 * second and further effects in each component is 0). Of a streamed design only where it is `whole`. */
pfx_status pfx_absorber_effects(pfx_absorber *a, const double *r, double **alpha, pfx_err *err) PFX_MUST;
/* The same from their right-hand sides: D'WD alpha = sums, sums [effects of info][levels], for effects without slopes;
 * solvable ones (of any r, sums = D'Wr is). Normalised in no way. USAGE: an effect has slopes. */
pfx_status pfx_absorber_effects_of_sums(pfx_absorber *a, const double *const *sums, double **alpha, pfx_err *err) PFX_MUST;

#endif
