/* Figures, drawn by gnuplot through a pipe: the script is made here, with the data in it, so that the same
 * numbers are the same figure. */
#ifndef PFX_REPORT_PLOT_H
#define PFX_REPORT_PLOT_H

#include <stdbool.h>
#include "src/base/status.h"
#include "src/base/text.h"

typedef enum pfx_plot_kind {
    PFX_PLOT_DENSITY, /* of draws x [n]; a line at `mark` */
    PFX_PLOT_SCATTER, /* draws x [n] and their p-values y [n]; lines at `mark` and at 0.10 */
    PFX_PLOT_COEF,    /* estimates x [n] with intervals low, high [n], a row for each label [n] */
    PFX_PLOT_EVENT,   /* estimates y [n] with intervals low, high [n] by event time x [n] */
    PFX_PLOT_LOVE /* standardised differences, absolute, before x [n] and after y [n] matching, a row for each
                   * label [n]; a line at 0.1 */
} pfx_plot_kind;

typedef enum pfx_plot_format { PFX_PLOT_SVG, PFX_PLOT_PNG, PFX_PLOT_PDF } pfx_plot_format;

/* Texts are UTF-8 and shown as they are. NaN leaves a point, an interval or the mark out. */
typedef struct pfx_plot {
    pfx_plot_kind kind;
    const char *title, *caption, *x_label, *y_label;
    pfx_idx n;
    const double *x, *y, *low, *high;
    const char *const *label;
    double mark;
    const char *mark_label; /* "estimate 0.25" */
} pfx_plot;

/* The ending of path: .svg, .png, .pdf. USAGE: another. */
pfx_status pfx_plot_format_of(const char *path, pfx_plot_format *out, pfx_err *err) PFX_MUST;
/* The script, writing to `output`. DATA: nothing finite to draw. NOMEM. */
pfx_status pfx_plot_script(const pfx_plot *p, pfx_plot_format format, const char *output, pfx_str *out,
                           pfx_err *err) PFX_MUST;
/* Draw to path, which is whole or absent. IO: gnuplot is missing (says what to install) or fails. */
pfx_status pfx_plot_write(const pfx_plot *p, const char *path, bool force, pfx_err *err) PFX_MUST;

/* Gaussian kernel density of the finite x [n] at n_grid >= 2 equidistant points that reach three bandwidths
 * beyond the draws; Silverman's (1986) bandwidth, on values put to the grid linearly. Returns the bandwidth,
 * 0: fewer than two distinct values. */
double pfx_plot_density(pfx_idx n, const double *x, pfx_idx n_grid, double *grid, double *density);

#endif
