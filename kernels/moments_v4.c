#define PFX_K_SUFFIX _v4
#include "kernels/moments_body.h"
