#define PFX_K_SUFFIX _v4
#include "kernels/score_body.h"
