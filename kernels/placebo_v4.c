#define PFX_K_SUFFIX _v4
#include "kernels/placebo_body.h"
