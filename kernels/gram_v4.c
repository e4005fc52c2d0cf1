#define PFX_K_SUFFIX _v4
#include "kernels/gram_body.h"
