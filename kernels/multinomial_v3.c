#define PFX_K_SUFFIX _v3
#include "kernels/multinomial_body.h"
