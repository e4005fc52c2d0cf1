#define PFX_K_SUFFIX _v3
#include "kernels/resid_body.h"
