#define PFX_K_SUFFIX _v4
#include "kernels/incidence_body.h"
