/* The words that a panel file uses for kinds, types and time units. */
#include "hdf5_io/panel_private.h"

#include <string.h>

static const char *const kinds[] = {"numeric", "category", "time"};
static const char *const dtypes[] = {"float64", "float32", "int32", "int64"};
static const char *const units[] = {"index", "year", "half", "quarter", "month", "week", "day"};

static int find(const char *s, int n, const char *const *words)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(s, words[i])) return i;
    return -1;
}

const char *pfx_kind_name(pfx_kind k)
{
    return kinds[k];
}
const char *pfx_dtype_name(pfx_dtype t)
{
    return dtypes[t];
}
const char *pfx_time_unit_name(pfx_time_unit u)
{
    return units[u];
}

bool pfx_kind_parse(const char *s, pfx_kind *out)
{
    int i = find(s, 3, kinds);
    if (i >= 0) *out = (pfx_kind)i;
    return i >= 0;
}

bool pfx_time_unit_parse(const char *s, pfx_time_unit *out)
{
    int i = find(s, 7, units);
    if (i >= 0) *out = (pfx_time_unit)i;
    return i >= 0;
}
