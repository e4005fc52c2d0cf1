#define PFX_K_SUFFIX _v3
#include "kernels/gram_body.h"
