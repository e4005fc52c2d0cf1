/* The order of doubles, for qsort. */
#ifndef PFX_BASE_ASCENDING_H
#define PFX_BASE_ASCENDING_H

static inline int pfx_ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#endif
