#define PFX_K_SUFFIX _v4
#include "kernels/demean_body.h"
