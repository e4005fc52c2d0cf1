#include "src/cmd/replicate_labels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/rep/switching.h"

void rep_free_labels(pfx_idx n, char **label)
{
    for (pfx_idx i = 0; label && i < n; i++) pfx_mem_free(label[i]);
    pfx_mem_free(label);
}

static void value_text(const pfx_column *c, pfx_idx at, pfx_idx row, size_t n, char *out)
{
    if (c->code && c->code[at] >= 0 && c->spec.levels)
        snprintf(out, n, "%s", c->spec.levels[c->code[at]]);
    else if (c->num && !isnan(c->num[at]))
        snprintf(out, n, "%.15g", c->num[at]);
    else
        snprintf(out, n, "row %lld", (long long)row + 1);
}

static pfx_status read_labels(pfx_row_source *source, pfx_idx n, const pfx_idx *row, char **label,
                              pfx_err *err)
{
    const pfx_frame *b = NULL;
    char text[256];
    for (;;) {
        pfx_status st = source->next(source->ctx, &b, err);
        if (st != PFX_OK || !b) return st;
        for (pfx_idx i = 0; i < n; i++) {
            if (row[i] < b->row0 || row[i] >= b->row0 + b->n_rows) continue;
            value_text(&b->cols[0], row[i] - b->row0, row[i], sizeof text, text);
            if (!(label[i] = pfx_mem_strdup(text, err))) return PFX_ENOMEM;
        }
    }
}

pfx_status rep_cluster_labels(const rep_run *r, pfx_idx n, const pfx_idx *row, char **label, pfx_err *err)
{
    const char *const names[] = {r->vcov.clusters[0]};
    pfx_row_source source = {0};
    bool column = false;
    char text[32];
    for (int c = 0; c < pfx_panel_n_cols(r->panel); c++)
        if (strcmp(pfx_panel_cols(r->panel)[c].name, names[0]) == 0) column = true;
    if (column) {
        pfx_status st = pfx_panel_source(r->panel, 1, names, NULL, &source, err);
        if (st != PFX_OK) return st;
        st = read_labels(&source, n, row, label, err);
        source.close(source.ctx);
        if (st != PFX_OK) return st;
    }
    for (pfx_idx i = 0; i < n; i++) {
        if (label[i]) continue;
        snprintf(text, sizeof text, "row %lld", (long long)row[i] + 1);
        if (!(label[i] = pfx_mem_strdup(text, err))) return PFX_ENOMEM;
    }
    return PFX_OK;
}

pfx_status rep_warn_switching(const rep_run *r, const pfx_design *d, const char *term, pfx_idx *n,
                              pfx_err *err)
{
    pfx_status st = pfx_switching_clusters(d, term, n, err);
    if (st == PFX_OK && *n >= 0 && *n < PFX_FEW_SWITCHING)
        pfx_warn("%s varies within %lld of the clusters (%s): standard errors, t-tests and bootstraps by "
                 "clusters are "
                 "unreliable with so few; compare the placebo test by t and the restricted and unrestricted "
                 "wild bootstrap",
                 term, (long long)*n, r->vcov.clusters[0]);
    return st;
}
