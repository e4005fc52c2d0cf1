/* From rows of a panel to designs: one pass over a row source evaluates everything that any model of a
 * formula needs; each model and each level of --by then takes its own rows and columns. */
#ifndef PFX_MODEL_DATASET_H
#define PFX_MODEL_DATASET_H

#include <stddef.h>
#include "src/base/frame.h"
#include "src/base/stream.h"
#include "src/model/design.h"
#include "src/model/formula.h"

typedef struct pfx_dataset_options {
    const char *where;   /* expression, or NULL */
    const char *weights; /* expression, or NULL */
    pfx_weights_kind weights_kind;
    const char *by; /* column, or NULL */
    int n_clusters;
    const char *const *clusters; /* [n_clusters] factor text: "firm", "industry^year" */
    const char *const *cluster_options; /* [n_clusters] the option that names each, for messages; NULL: all are
                                           --cluster's */
    int n_variance; /* of them, the first ones, which need two levels each; 0: all do */
    bool keep_singletons;
    bool want_rows, want_time; /* fill design.row, design.time */
    bool want_origin;          /* fill design.cluster_origin and effect_origin; with --by */
    int nth;                   /* threads, 0: one; nothing depends on it but time */
} pfx_dataset_options;

/* Names of the panel columns that formula and options use, each once, in a fixed order, time first where lags
 * or want_time need it. *names is [*n], freed with pfx_dataset_free_names. USAGE: syntax in where etc. */
pfx_status pfx_dataset_columns(const pfx_formula *f, const pfx_dataset_options *o,
                               const pfx_panel_spec *panel, int n_available, const pfx_col_spec *available,
                               int *n, char ***names, pfx_err *err) PFX_MUST;
void pfx_dataset_free_names(int n, char **names);

typedef struct pfx_dataset pfx_dataset;

/* Read the whole source once. Lags are taken before --where; infinities count as missing. A row without a
 * level of
 * --by belongs to no model. f must outlive the dataset; src need not.
 * USAGE: unknown column (suggests the nearest), text where a number is needed. DATA: no rows left by --where,
 * weights negative. */
pfx_status pfx_dataset_load(pfx_row_source *src, const pfx_formula *f, const pfx_dataset_options *o,
                            pfx_dataset **out, pfx_err *err) PFX_MUST;
void pfx_dataset_free(pfx_dataset *ds);

/* Levels of --by (1 without it). */
pfx_idx pfx_dataset_n_by(const pfx_dataset *ds);

/* Design of model m (0-based) at level `by` of --by: drops missing rows, zero weights and, iteratively,
 * singletons, and counts each. With `last` the dataset's own memory becomes the design's, and the dataset can
 * only be freed after it.
 * DATA: outcome all missing; no rows left; fewer than two clusters. Constant columns stay: est names
 * collinear ones. */
pfx_status pfx_dataset_design(pfx_dataset *ds, int m, pfx_idx by, bool last, pfx_design **out,
                              pfx_err *err) PFX_MUST;

/* Levels of cluster variable c over all rows that were stored, of which each design has some: their number, and
 * for each level of d->clusters[c] its number among them, level [d->clusters[c].n_levels]. d: made by
 * pfx_dataset_design without `last`, with want_rows, and with its rows in the order of the panel. */
pfx_idx pfx_dataset_n_cluster_levels(const pfx_dataset *ds, int c);
void pfx_dataset_cluster_levels(const pfx_dataset *ds, int c, const pfx_design *d, int32_t *level);

/* The design of a model whose rows stay in the source. Every pass of its walk (design.h) reads the source from the
 * start and keeps windows of at least window_rows rows (0: a block of the source). Where effects are the panel's unit and
 * at most one other of few levels, with numeric terms and no --by, no array is as long as the panel has rows or units.
 * Other models, and those that want rows, keep the codes of all rows, 4 bytes a row and factor, and weights in memory, and
 * learn them in a pass of their own. Slopes of units and two cluster variables cannot be streamed: then *out is NULL and *why says why.
 * Uses up to max_bytes (0: no bound) of the allocator's account, else NOMEM names what is needed.
 * The rows are those of pfx_dataset_design. A first pass that finds a level of the other effect with one row, or many
 * levels, fails, and `again` is true: ask for the design again and start anew. src, f and the options' texts must outlive
 * the stream. Errors as above, those of the sample in the first pass. */
typedef struct pfx_dataset_stream pfx_dataset_stream;
pfx_status pfx_dataset_stream_open(pfx_row_source *src, const pfx_formula *f, int m, const pfx_dataset_options *o,
                                   pfx_idx window_rows, size_t max_bytes, pfx_dataset_stream **out, const char **why,
                                   pfx_err *err) PFX_MUST;
/* Levels of --by, 1 without. */
pfx_status pfx_dataset_stream_n_by(pfx_dataset_stream *s, pfx_idx *out, pfx_err *err) PFX_MUST;
/* The design at level `by`, which belongs to the stream; the one before is gone. */
pfx_status pfx_dataset_stream_design(pfx_dataset_stream *s, pfx_idx by, pfx_design **out, pfx_err *err) PFX_MUST;
double pfx_dataset_stream_bytes(const pfx_dataset_stream *s);       /* that lie in memory beside windows */
bool pfx_dataset_stream_again(const pfx_dataset_stream *s);
int pfx_dataset_stream_passes(const pfx_dataset_stream *s);         /* so far */
void pfx_dataset_stream_free(pfx_dataset_stream *s);

#endif
