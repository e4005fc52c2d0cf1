#define PFX_K_SUFFIX _v3
#include "kernels/incidence_body.h"
