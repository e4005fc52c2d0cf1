/* What every test program uses: cmocka, and a few helpers. Tests run from the top folder of the project. */
#ifndef PFX_TESTS_TEST_H
#define PFX_TESTS_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ftw.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/base/status.h"

/* |a - b| <= tol * max(|a|, |b|), equal infinities, or both NaN. */
static inline bool test_rel_equal(double a, double b, double tol)
{
    if (a == b || (isnan(a) && isnan(b))) return true;
    return isfinite(a) && isfinite(b) && fabs(a - b) <= tol * fmax(fabs(a), fabs(b));
}

static inline void test_assert_rel(double a, double b, double tol, const char *what, const char *file,
                                   int line)
{
    if (test_rel_equal(a, b, tol)) return;
    print_error("%s: %.17g != %.17g (relative %.3g, allowed %.3g)\n", what, a, b,
                fabs(a - b) / fmax(fabs(a), fabs(b)), tol);
    _fail(file, line);
}
/* Relative difference at most tol; a value that should be zero needs assert_abs. */
#define assert_rel(a, b, tol) test_assert_rel((a), (b), (tol), #a " ~ " #b, __FILE__, __LINE__)

static inline void test_assert_abs(double a, double b, double tol, const char *what, const char *file,
                                   int line)
{
    if (a == b || fabs(a - b) <= tol) return;
    print_error("%s: %.17g != %.17g (difference %.3g, allowed %.3g)\n", what, a, b, fabs(a - b), tol);
    _fail(file, line);
}
#define assert_abs(a, b, tol) test_assert_abs((a), (b), (tol), #a " ~ " #b, __FILE__, __LINE__)

/* Same bits: for determinism. */
static inline void test_assert_bits(const double *a, const double *b, pfx_idx n, const char *what,
                                    const char *file, int line)
{
    for (pfx_idx i = 0; i < n; i++) {
        if (memcmp(a + i, b + i, sizeof *a) == 0) continue;
        print_error("%s: element %lld: %.17g (%a) != %.17g (%a)\n", what, (long long)i, a[i], a[i], b[i],
                    b[i]);
        _fail(file, line);
    }
}
#define assert_same_bits(a, b, n) test_assert_bits((a), (b), (n), #a " == " #b, __FILE__, __LINE__)

static inline void test_assert_status(pfx_status got, pfx_status want, const pfx_err *err, const char *what,
                                      const char *file, int line)
{
    if (got == want) return;
    print_error("%s: status %d, want %d: %s\n", what, (int)got, (int)want, err ? err->msg : "");
    _fail(file, line);
}
/* The call `expr` with `pfx_err err` in scope succeeds; or fails with `status` and a message that holds
 * `text`. */
#define assert_ok(expr) test_assert_status((expr), PFX_OK, &err, #expr, __FILE__, __LINE__)
#define assert_fails(expr, status_, text)                                                                    \
    do {                                                                                                     \
        pfx_err_clear(&err);                                                                                 \
        test_assert_status((expr), (status_), &err, #expr, __FILE__, __LINE__);                              \
        if (!strstr(err.msg, (text))) {                                                                      \
            print_error("message \"%s\" does not hold \"%s\"\n", err.msg, (text));                           \
            _fail(__FILE__, __LINE__);                                                                       \
        }                                                                                                    \
        pfx_err_clear(&err);                                                                                 \
    } while (0)

/* A name that is free for some calls: one of 16 static buffers in turn. Not for threads. */
static inline char *test_buffer(void)
{
    static char buffers[16][4096];
    static int next;
    return buffers[next++ % 16];
}

/* Path of a file of the reference data ($PANELFX_REFDATA, else ../shared/data), NULL where it is absent. */
static inline const char *test_refdata(const char *name)
{
    const char *folder = getenv("PANELFX_REFDATA");
    char *path = test_buffer();
    snprintf(path, 4096, "%s/%s", folder && *folder ? folder : "../shared/data", name);
    return access(path, R_OK) == 0 ? path : NULL;
}

/* Skip this test, saying which file it wants. */
#define SKIP_WITHOUT(name)                                                                                   \
    do {                                                                                                     \
        if (!test_refdata(name)) {                                                                           \
            printf("SKIP %s: no %s (set PANELFX_REFDATA to the reference data)\n", __func__, (name));        \
            fflush(stdout);                                                                                  \
            skip();                                                                                          \
        }                                                                                                    \
    } while (0)

/* A folder of this program's own, made at the first call, removed with all that is in it when the program
 * ends. */
static char test_tmpdir_name[4096];

static inline int test_remove_one(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
    (void)sb, (void)type, (void)ftw;
    return remove(path);
}

static inline void test_remove_tmpdir(void)
{
    nftw(test_tmpdir_name, test_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline const char *test_tmpdir(void)
{
    const char *base = getenv("TMPDIR");
    if (*test_tmpdir_name) return test_tmpdir_name;
    snprintf(test_tmpdir_name, sizeof test_tmpdir_name, "%s/panelfx-test-XXXXXX",
             base && *base ? base : "/tmp");
    if (!mkdtemp(test_tmpdir_name)) {
        perror(test_tmpdir_name);
        abort();
    }
    atexit(test_remove_tmpdir);
    return test_tmpdir_name;
}

/* Path of a file in that folder. */
static inline const char *test_tmp(const char *name)
{
    char *path = test_buffer();
    snprintf(path, 4096, "%.3000s/%.1000s", test_tmpdir(), name);
    return path;
}

/* Entries of a folder, without . and .. ; -1 if it cannot be read. */
static inline int test_count_files(const char *folder)
{
    char command[4200];
    int n = -1;
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *p = popen(command, "r");
    if (!p) return -1;
    if (fscanf(p, "%d", &n) != 1) n = -1;
    pclose(p);
    return n;
}

/* Counter-based test numbers: the i-th of a stream, uniform in (0, 1). SplitMix64 (Steele, Lea, Flood 2014).
 */
static inline double test_uniform(uint64_t stream, uint64_t i)
{
    uint64_t z = (stream * 0x632BE59BD9B4E019u) + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) * 0x1p-53;
}

#endif
