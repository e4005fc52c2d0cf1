#define PFX_K_SUFFIX _v4
#include "kernels/columns_body.h"
