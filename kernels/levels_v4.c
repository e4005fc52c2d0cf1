#define PFX_K_SUFFIX _v4
#include "kernels/levels_body.h"
