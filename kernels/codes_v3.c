#define PFX_K_SUFFIX _v3
#include "kernels/codes_body.h"
