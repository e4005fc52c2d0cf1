/* The instruction set of the tuned kernels, chosen once at start-up and passed down. */
#ifndef PFX_BASE_CPU_H
#define PFX_BASE_CPU_H

#include <stdbool.h>

typedef enum pfx_isa { PFX_ISA_PORTABLE, PFX_ISA_V3, PFX_ISA_V4 } pfx_isa;

pfx_isa pfx_cpu_best(void); /* widest that this CPU and build have */
bool pfx_cpu_has(pfx_isa isa);
const char *pfx_isa_name(pfx_isa isa);           /* "portable", "x86-64-v3", "x86-64-v4" */
bool pfx_isa_parse(const char *s, pfx_isa *out); /* those names, and "v3", "v4" */
/* CPU model name from the system, "unknown" if it does not tell. Static storage. */
const char *pfx_cpu_model(void);

#endif
