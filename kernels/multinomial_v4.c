#define PFX_K_SUFFIX _v4
#include "kernels/multinomial_body.h"
