#define PFX_K_SUFFIX _v4
#include "kernels/within_body.h"
