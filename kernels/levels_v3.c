#define PFX_K_SUFFIX _v3
#include "kernels/levels_body.h"
