#define PFX_K_SUFFIX _v3
#include "kernels/exponential_body.h"
