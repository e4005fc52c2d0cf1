#define PFX_K_SUFFIX _v3
#include "kernels/score_body.h"
