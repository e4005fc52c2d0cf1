#include "src/base/cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#if defined(__x86_64__) && !defined(PFX_NO_X86)
#include <cpuid.h>

#define BIT(word, b) (((word) >> (b)) & 1u)

/* Registers that the system saves at a task switch: without its support the instructions fault. */
static unsigned xcr0(void)
{
    unsigned lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo;
}

/* The levels of the x86-64 psABI, feature by feature. */
static pfx_isa detect(void)
{
    unsigned a, b, c, d, ext = 0, b7 = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return PFX_ISA_PORTABLE;
    bool v2 = BIT(c, 0) && BIT(c, 9) && BIT(c, 13) && BIT(c, 19) && BIT(c, 20) && BIT(c, 23);
    bool avx =
        BIT(c, 12) && BIT(c, 22) && BIT(c, 27) && BIT(c, 28) && BIT(c, 29); /* FMA MOVBE OSXSAVE AVX F16C */
    if (__get_cpuid(0x80000001u, &a, &b, &c, &d)) ext = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) b7 = b;
    bool v3 = v2 && avx && BIT(ext, 0) && BIT(ext, 5) && /* LAHF LZCNT */
              BIT(b7, 3) && BIT(b7, 5) && BIT(b7, 8);    /* BMI1 AVX2 BMI2 */
    if (!v3 || (xcr0() & 0x06u) != 0x06u) return PFX_ISA_PORTABLE;
    bool v4 = BIT(b7, 16) && BIT(b7, 17) && BIT(b7, 28) && BIT(b7, 30) && BIT(b7, 31); /* F DQ CD BW VL */
    return v4 && (xcr0() & 0xE6u) == 0xE6u ? PFX_ISA_V4 : PFX_ISA_V3;
}
#else
static pfx_isa detect(void)
{
    return PFX_ISA_PORTABLE;
}
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pfx_isa best;
static char model[256] = "unknown";

static void read_model(void)
{
    char line[512];
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f) return;
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "model name", 10) != 0) continue;
        const char *v = strchr(line, ':');
        if (!v) break;
        v += 1 + strspn(v + 1, " \t");
        size_t len = strcspn(v, "\n");
        if (len == 0) break;
        if (len >= sizeof model) len = sizeof model - 1;
        memcpy(model, v, len);
        model[len] = '\0';
        break;
    }
    fclose(f);
}

static void look(void)
{
    best = detect();
    read_model();
}

pfx_isa pfx_cpu_best(void)
{
    pthread_once(&once, look);
    return best;
}

bool pfx_cpu_has(pfx_isa isa)
{
    return isa <= pfx_cpu_best();
}

static const char *const names[] = {"portable", "x86-64-v3", "x86-64-v4"};

const char *pfx_isa_name(pfx_isa isa)
{
    return names[isa];
}

bool pfx_isa_parse(const char *s, pfx_isa *out)
{
    for (int i = 0; i < 3; i++) {
        if (strcasecmp(s, names[i]) == 0 || (i > 0 && strcasecmp(s, names[i] + 7) == 0)) {
            *out = (pfx_isa)i;
            return true;
        }
    }
    return false;
}

const char *pfx_cpu_model(void)
{
    pthread_once(&once, look);
    return model;
}
