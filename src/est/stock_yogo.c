#include "src/est/iv.h"
#include <math.h>
const double pfx_stock_yogo_bias[PFX_STOCK_YOGO_BIAS] = {0.05, 0.10, 0.20, 0.30};
const double pfx_stock_yogo_size[PFX_STOCK_YOGO_SIZE] = {0.10, 0.15, 0.20, 0.25};
pfx_stock_yogo pfx_stock_yogo_values(int n, int l)
{
    pfx_stock_yogo v;
    (void)n, (void)l;
    for (int i = 0; i < 4; i++) v.bias[i] = v.size[i] = NAN;
    return v;
}
