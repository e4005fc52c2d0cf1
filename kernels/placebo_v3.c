#define PFX_K_SUFFIX _v3
#include "kernels/placebo_body.h"
