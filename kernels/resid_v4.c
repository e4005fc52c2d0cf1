#define PFX_K_SUFFIX _v4
#include "kernels/resid_body.h"
