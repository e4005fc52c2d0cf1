#define PFX_K_SUFFIX _v4
#include "kernels/exponential_body.h"
