/* A panel in memory: a row sink that keeps what it gets, and a row source over it. For tests of what
 * generates and of what reads, without a file. */
#ifndef PFX_TESTS_MEMORY_PANEL_H
#define PFX_TESTS_MEMORY_PANEL_H

#include "src/base/stream.h"

enum { MEMORY_MAX_COLS = 64, MEMORY_MAX_LINES = 16 };

typedef struct memory_panel {
    int n_cols;
    pfx_idx n_rows, cap, n_puts;
    char name[MEMORY_MAX_COLS][32];
    pfx_kind kind[MEMORY_MAX_COLS];
    pfx_dtype dtype[MEMORY_MAX_COLS];
    double *num[MEMORY_MAX_COLS];
    int32_t *code[MEMORY_MAX_COLS];
    pfx_idx n_levels[MEMORY_MAX_COLS];
    char **levels[MEMORY_MAX_COLS];
    int n_lines;
    char key[MEMORY_MAX_LINES][32], value[MEMORY_MAX_LINES][256];
    pfx_idx keep_rows; /* < 0: all; else further rows are counted but not kept */
} memory_panel;

pfx_row_sink memory_sink(memory_panel *m);
int memory_find(const memory_panel *m, const char *name);
double *memory_num(const memory_panel *m, const char *name); /* fails the test if absent */
int32_t *memory_code(const memory_panel *m, const char *name);
void memory_free(memory_panel *m);

/* A source over the named columns, blocks of whole units (column `unit`) of about block_rows rows. */
pfx_row_source memory_source(const memory_panel *m, int n, const char *const *names, const char *unit,
                             pfx_idx block_rows);

#endif
