#define PFX_K_SUFFIX _v4
#include "kernels/project_body.h"
