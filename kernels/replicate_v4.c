#define PFX_K_SUFFIX _v4
#include "kernels/replicate_body.h"
