#ifndef PFX_BASE_VERSION_H
#define PFX_BASE_VERSION_H
#define PFX_VERSION "0.1.0"
#endif
