#define PFX_K_SUFFIX _v3
#include "kernels/project_body.h"
