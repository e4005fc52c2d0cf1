#define PFX_K_SUFFIX _v3
#include "kernels/demean_body.h"
