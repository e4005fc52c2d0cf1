/* Recipes: a list of steps, written in YAML, that make a panel from another one.
 *
 *     - keep: year >= 2018                 rows for which it holds; drop: rows for which it holds
 *     - drop-units: ST == 1                every row of a unit for which it ever holds
 *     - drop-missing: [EXPY, ROA]          rows where one of them is missing or infinite
 *     - gen: {lnAge: log1p(age)}           columns by expression (src/model/expr.h), one after the other
 *     - winsor: {vars: [a, b], p: [0.01, 0.99], by: year, type: 7}
 *     - factor: {size: {of: emp, cuts: [100, 1000], labels: [small, middle, large]}}   or  {ind: industry}
 *     - encode: {code: prov}               1, 2, .. for the labels in their order
 *     - merge: {file: city.csv, on: [city, year], how: m:1, columns: [gdp], unmatched: keep}
 *     - select: [a, b]    - remove: [c]    - rename: {new: old}    - label: {a: text}
 *
 * A recipe becomes a chain of row sources, each reading the one before it: rows are never all in memory. A
 * step that needs something of the whole sample (a group's mean, a percentile, a lookup table) reads the
 * chain before it once when the chain is built. */
#ifndef PFX_DATA_RECIPE_H
#define PFX_DATA_RECIPE_H

#include "src/base/stream.h"
#include "src/base/text.h"

typedef struct pfx_recipe pfx_recipe;

/* Parse a recipe. name: of the file, for messages, which name the line. USAGE. */
pfx_status pfx_recipe_parse(const char *name, const char *text, size_t n, pfx_recipe **out,
                            pfx_err *err) PFX_MUST;
void pfx_recipe_free(pfx_recipe *r);

typedef struct pfx_recipe_options {
    double memory; /* bytes for what steps keep of the sample */
    /* Open the file of a merge, all its columns. */
    pfx_status (*open)(void *ctx, const char *path, pfx_row_source *out, pfx_err *err);
    void *open_ctx;
} pfx_recipe_options;

/* What a step did, in the last pass to the end. */
typedef struct pfx_recipe_flow {
    int line;   /* in the recipe */
    char *what; /* "keep year >= 2018" */
    pfx_idx rows_in, rows_out;
    char note[160]; /* "12 values pulled in", "" */
} pfx_recipe_flow;

/* The chain over base, which it takes over, also when it fails. The source's columns are those of the new
 * panel; its n_rows is what base has, an upper bound. r must outlive it. USAGE: names file, line and column.
 * DATA, NOMEM. */
pfx_status pfx_recipe_source(const pfx_recipe *r, const pfx_recipe_options *o, pfx_row_source base,
                             pfx_row_source *out, pfx_err *err) PFX_MUST;
/* Steps of a chain, in order; valid until it is closed. */
int pfx_recipe_flow_of(const pfx_row_source *chain, const pfx_recipe_flow *const **flow);

#endif
