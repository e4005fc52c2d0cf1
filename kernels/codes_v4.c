#define PFX_K_SUFFIX _v4
#include "kernels/codes_body.h"
