#define PFX_K_SUFFIX _v4
#include "kernels/outer_body.h"
