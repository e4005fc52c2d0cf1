#define PFX_K_SUFFIX _v4
#include "kernels/blockcg_body.h"
