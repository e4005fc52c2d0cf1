#define PFX_K_SUFFIX _v3
#include "kernels/moments_body.h"
