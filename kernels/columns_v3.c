#define PFX_K_SUFFIX _v3
#include "kernels/columns_body.h"
