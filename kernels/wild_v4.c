#define PFX_K_SUFFIX _v4
#include "kernels/wild_body.h"
