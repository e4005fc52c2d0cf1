#include "src/base/frame.h"

#include <string.h>

int pfx_frame_find(const pfx_frame *f, const char *name)
{
    for (int c = 0; c < f->n_cols; c++)
        if (strcmp(f->cols[c].spec.name, name) == 0) return c;
    return -1;
}
