#define PFX_K_SUFFIX _v3
#include "kernels/outer_body.h"
