#define PFX_K_SUFFIX _v3
#include "kernels/blockcg_body.h"
