#define PFX_K_SUFFIX _v3
#include "kernels/replicate_body.h"
