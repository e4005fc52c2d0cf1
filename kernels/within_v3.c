#define PFX_K_SUFFIX _v3
#include "kernels/within_body.h"
