/* Shared by the files of a streamed design: what is known of its factors, and the windows that take turns. */
#ifndef PFX_MODEL_DATASET_STREAM_PRIVATE_H
#define PFX_MODEL_DATASET_STREAM_PRIVATE_H

#include "src/model/dataset_private.h"

/* What is known of a factor other than the panel's unit, by code as it was coded. */
typedef struct pfx_factor_state {
    pfx_idx cap;
    int32_t *level;          /* [cap] in the order of first rows, -1: none yet */
    pfx_idx *count;          /* [cap] rows, or, of more than one, some of them */
    unsigned char *excluded; /* [cap] it had one row, which was left out */
    pfx_idx n_excluded;
    pfx_idx n_levels;
    int32_t last;     /* level of the row before */
    bool contiguous;  /* levels lie one after the other */
    bool as_coded;    /* a level is its code */
} pfx_factor_state;

/* The cluster that each level of an effect was first seen in. */
typedef struct pfx_nesting {
    bool nested;
    pfx_idx cap;
    int32_t *cluster; /* [cap] by level of the effect, -1: none yet */
} pfx_nesting;

/* Rows that lie in memory: `front` rows of room, whose last ones are filled with what the window before left, then
 * the rows loaded. */
typedef struct pfx_ds_window {
    pfx_idx front, kept, n; /* rows of room, of them in use, rows loaded */
    pfx_idx cap;            /* rows that the arrays hold, the room included */
    double *table;          /* [cap x n_values] */
    double **extra;         /* [n_extras][cap] */
    int32_t **code;         /* [n_factors][cap] */
    pfx_idx *n_levels;      /* [n_factors] when its last row was loaded */
    pfx_idx n_rows;         /* of the pass, with these */
    bool last;              /* no rows come after it */
    pfx_status st;          /* of loading it */
    pfx_err err;
} pfx_ds_window;

struct pfx_dataset_stream {
    pfx_formula formula; /* the one model */
    pfx_row_source *src;
    pfx_dataset *ds; /* while a window is loaded, the arrays are that window's */
    pfx_ds_loader ld;
    pfx_design *d;
    pfx_design_stream walk;
    pfx_idx window_rows;
    size_t max_bytes;
    pfx_ds_window window;
    pfx_factor_state *factor; /* [ds->n_factors] */
    pfx_nesting *nest;        /* [n_absorbed x n_clusters] */
    int unit_factor;          /* in ds->factors, -1: none */
    unsigned char *keep;      /* [cap_keep] of the rows of a block */
    pfx_idx cap_keep;
    pfx_idx n_left;          /* rows of the block that keep leaves out */
    pfx_idx n_units, n_rows; /* in this pass */
    bool known;              /* a pass was whole */
    bool again;
    bool resident;           /* codes and weights of all rows lie in memory (dataset_resident.c) */
    bool made;               /* the design is that of level `by` */
    pfx_idx by;
    pfx_dataset_options options;
    pfx_dataset *codes;      /* all but the values; the columns of the design */
    unsigned char *stays;    /* bits by row of the panel: it is the design's */
    int32_t **whole;         /* [n_absorbed + n_clusters] codes, and */
    double *whole_w;         /* weights of all rows; NULL: none */
    double *z;               /* [cap_z] rows x p of a window that are not its table */
    pfx_idx cap_z;
    bool begun;              /* a window of this pass was shown */
    int n_passes;
};

/* dataset_learn.c */
static inline bool pfx_stream_is_unit(const pfx_dataset_stream *s, int factor) { return factor == s->unit_factor; }
/* Rows from .. ds->n - 1 were appended: leave those out that do not belong to the sample, number levels. DATA. */
pfx_status pfx_stream_take_block(pfx_dataset_stream *s, pfx_idx from, pfx_err *err) PFX_MUST;
/* Before a first pass: nothing is known but which levels are left out. */
void pfx_stream_forget(pfx_dataset_stream *s);

/* dataset_resident.c */
double pfx_resident_bytes(const pfx_dataset_stream *s);     /* that codes and weights of all rows take */
/* The pass that keeps all but the values. */
pfx_status pfx_resident_learn(pfx_dataset_stream *s, pfx_err *err) PFX_MUST;
/* The design of level `by` of --by, in place of the one before. */
pfx_status pfx_resident_make(pfx_dataset_stream *s, pfx_idx by, pfx_err *err) PFX_MUST;
void pfx_resident_release(pfx_dataset_stream *s);
pfx_status pfx_resident_rewind(void *ctx, pfx_err *err) PFX_MUST;
pfx_status pfx_resident_next(void *ctx, pfx_idx keep, pfx_idx *here, bool *last, pfx_err *err) PFX_MUST;

/* dataset_window.c */
pfx_status pfx_stream_window_create(pfx_dataset_stream *s, pfx_err *err) PFX_MUST;
void pfx_stream_window_free(pfx_dataset_stream *s);
/* It is empty. */
void pfx_stream_window_clear(pfx_dataset_stream *s);
/* The last `keep` rows become the first, and those that follow are loaded. */
pfx_status pfx_stream_window_next(pfx_dataset_stream *s, pfx_idx keep, pfx_err *err) PFX_MUST;

#endif
