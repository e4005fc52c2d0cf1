#define PFX_K_SUFFIX _v3
#include "kernels/wild_body.h"
