#include "tests/test.h"

#include <cblas.h>
#include <omp.h>
#include <sched.h>
#include <sys/stat.h>
#include "src/base/cgroup.h"
#include "src/base/cpu.h"
#include "src/base/parallel.h"

typedef struct count_ctx {
    int *calls; /* [n] per block */
    int nth;
    _Atomic int bad_thread;
} count_ctx;

static void count(void *p, pfx_idx block, int thread)
{
    count_ctx *c = p;
    c->calls[block]++;
    if (thread < 0 || thread >= c->nth) c->bad_thread = 1;
}

static void each_block_once(void **state)
{
    (void)state;
    static const pfx_idx n[] = {0, 1, 2, 3, 7, 1000};
    for (size_t i = 0; i < sizeof n / sizeof *n; i++) {
        for (int nth = 1; nth <= 7; nth++) {
            int calls[1000] = {0};
            count_ctx c = {calls, nth, 0};
            pfx_par_for(n[i], nth, count, &c);
            assert_int_equal(c.bad_thread, 0);
            for (pfx_idx b = 0; b < 1000; b++) assert_int_equal(calls[b], b < n[i]);
            pfx_par_in_order(n[i], nth, count, &c);
            assert_int_equal(c.bad_thread, 0);
            for (pfx_idx b = 0; b < 1000; b++) assert_int_equal(calls[b], 2 * (b < n[i]));
        }
    }
}

/* A thread that has taken a block may not have begun it: but for those, all blocks before one that begins have begun. */
enum { IN_ORDER = 300, ORDERED_THREADS = 4 };
typedef struct order_ctx {
    _Atomic int begun[IN_ORDER];
    _Atomic int most_left;
} order_ctx;

static void begin_block(void *p, pfx_idx block, int thread)
{
    order_ctx *c = p;
    int left = 0;
    (void)thread;
    c->begun[block] = 1;
    for (pfx_idx b = 0; b < block; b++) left += !c->begun[b];
    if (left > c->most_left) c->most_left = left;
    sched_yield();
}

static void blocks_begin_in_order(void **state)
{
    order_ctx c = {.most_left = 0};
    (void)state;
    pfx_par_in_order(IN_ORDER, ORDERED_THREADS, begin_block, &c);
    assert_true(c.most_left < ORDERED_THREADS);
    for (int b = 0; b < IN_ORDER; b++) assert_int_equal(c.begun[b], 1);
}

typedef struct parts_ctx {
    int nth;
    _Atomic int begun;
    pfx_idx first[7]; /* block of each thread, -1: none yet */
} parts_ctx;

/* No thread goes on before all have begun. */
static void begin_together(void *p, pfx_idx block, int thread)
{
    parts_ctx *c = p;
    if (c->first[thread] >= 0) return;
    c->first[thread] = block;
    c->begun++;
    while (c->begun < c->nth) sched_yield();
}

static void each_thread_begins_with_its_part(void **state)
{
    (void)state;
    for (int nth = 1; nth <= 7; nth++) {
        parts_ctx c = {.nth = nth, .first = {-1, -1, -1, -1, -1, -1, -1}};
        pfx_par_for(1000, nth, begin_together, &c);
        for (int t = 0; t < nth; t++) assert_int_equal(c.first[t], 1000 * t / nth);
    }
}

/* A thread that is held up: the others do its part of the blocks. */
static void hold_up(void *p, pfx_idx block, int thread)
{
    order_ctx *c = p;
    (void)thread;
    c->begun[block] = 1;
    for (int left = 1; block == 0 && left > 0; sched_yield()) {
        left = 0;
        for (int b = 1; b < IN_ORDER; b++) left += !c->begun[b];
    }
}

static void threads_help_one_another(void **state)
{
    order_ctx c = {.most_left = 0};
    (void)state;
    pfx_par_for(IN_ORDER, ORDERED_THREADS, hold_up, &c);
    for (int b = 0; b < IN_ORDER; b++) assert_int_equal(c.begun[b], 1);
}

#define ROWS 74000
#define BLOCK 1000

typedef struct sum_ctx {
    const double *x;
    double part[ROWS / BLOCK];
} sum_ctx;

static void sum_block(void *p, pfx_idx block, int thread)
{
    sum_ctx *c = p;
    double s = 0;
    (void)thread;
    for (int i = 0; i < BLOCK; i++) s += c->x[block * BLOCK + i];
    c->part[block] = s;
}

static void same_bits_at_any_thread_count(void **state)
{
    (void)state;
    static double x[ROWS];
    double first = 0;
    for (int i = 0; i < ROWS; i++) x[i] = (test_uniform(1, (uint64_t)i) - 0.5) * pow(10, i % 17);
    for (int nth = 1; nth <= 7; nth++) {
        sum_ctx c = {.x = x};
        double total = 0;
        pfx_par_for(ROWS / BLOCK, nth, sum_block, &c);
        for (int b = 0; b < ROWS / BLOCK; b++) total += c.part[b];
        if (nth == 1) first = total;
        assert_same_bits(&total, &first, 1);
    }
}

static void thread_count(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    unsetenv("SLURM_CPUS_PER_TASK");
    assert_int_equal(pfx_par_threads(5), 5);
    int quota = pfx_cgroup_cpus(""), given = CPU_COUNT(&all);
    int want = quota > 0 && quota < given ? quota : given;
    assert_int_equal(pfx_par_threads(0), want);
    CPU_ZERO(&one);
    for (int c = 0; c < CPU_SETSIZE; c++)
        if (CPU_ISSET(c, &all)) {
            CPU_SET(c, &one);
            break;
        }
    if (sched_setaffinity(0, sizeof one, &one) == 0) {
        assert_int_equal(pfx_par_threads(0), 1);
        setenv("SLURM_CPUS_PER_TASK", "3", 1);
        assert_int_equal(pfx_par_threads(0), quota > 0 && quota < 3 ? quota : 3);
        assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    }
    static const char *const senseless[] = {"", "0", "-2", "many", "2x", "99999999999999999999"};
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
        setenv("SLURM_CPUS_PER_TASK", senseless[i], 1);
        assert_int_equal(pfx_par_threads(0), want);
    }
    unsetenv("SLURM_CPUS_PER_TASK");
}

/* root/PATH with that text in it, folders made as needed. */
static void put(const char *root, const char *path, const char *text)
{
    char name[4096];
    snprintf(name, sizeof name, "%s%s", root, path);
    for (char *s = name + strlen(root) + 1; (s = strchr(s, '/')); s++) {
        *s = '\0';
        mkdir(name, 0777);
        *s = '/';
    }
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static const char *new_root(const char *name)
{
    const char *root = test_tmp(name);
    assert_int_equal(mkdir(root, 0777), 0);
    return root;
}

static void cgroup_version_2(void **state)
{
    (void)state;
    const char *root = new_root("v2");
    assert_int_equal(pfx_cgroup_cpus(root), 0); /* nothing there */
    put(root, "/proc/self/cgroup", "0::/a/b\n");
    put(root, "/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    put(root, "/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    assert_int_equal(pfx_cgroup_cpus(root), 2); /* 1.5, of the parent */
    put(root, "/sys/fs/cgroup/a/b/cpu.max", "100000 100000\n");
    assert_int_equal(pfx_cgroup_cpus(root), 1);
    put(root, "/sys/fs/cgroup/cpu.max", "5000 100000\n");
    assert_int_equal(pfx_cgroup_cpus(root), 1);
    assert_int_equal(pfx_cgroup_memory(root), 0);
    put(root, "/sys/fs/cgroup/a/memory.max", "2147483648\n");
    put(root, "/sys/fs/cgroup/a/b/memory.max", "max\n");
    assert_int_equal(pfx_cgroup_memory(root), 2147483648);
    put(root, "/sys/fs/cgroup/a/b/memory.high", "1073741824\n");
    assert_int_equal(pfx_cgroup_memory(root), 1073741824);
    put(root, "/proc/self/cgroup", "0::/not/seen/from/here\n"); /* the namespace's own root still counts */
    put(root, "/sys/fs/cgroup/cpu.max", "300000 100000\n");
    assert_int_equal(pfx_cgroup_cpus(root), 3);
}

static void cgroup_version_1(void **state)
{
    (void)state;
    const char *root = new_root("v1");
    put(root, "/proc/self/cgroup",
        "12:memory:/job\n4:cpuacct,cpu:/job/step\n1:name=systemd:/x\n0::/ignored\n");
    put(root, "/sys/fs/cgroup/cpu/job/step/cpu.cfs_quota_us", "-1\n");
    put(root, "/sys/fs/cgroup/cpu/job/step/cpu.cfs_period_us", "100000\n");
    assert_int_equal(pfx_cgroup_cpus(root), 0);
    put(root, "/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "200000\n");
    put(root, "/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "50000\n");
    assert_int_equal(pfx_cgroup_cpus(root), 4);
    put(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(pfx_cgroup_memory(root), 0);
    put(root, "/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "536870912\n");
    assert_int_equal(pfx_cgroup_memory(root), 536870912);
}

static void memory_bound(void **state)
{
    (void)state;
    assert_int_equal(pfx_par_memory(12345), 12345);
    double ram = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGE_SIZE);
    size_t got = pfx_par_memory(0);
    assert_true(got > 0 && (double)got <= 0.8 * ram + 1);
}

enum { MATRIX = 160, PRODUCTS = 64 };
typedef struct product_ctx {
    const double *a;
    double *c;   /* [PRODUCTS][MATRIX x MATRIX] */
    int *openmp; /* [PRODUCTS] threads that OpenBLAS may take there */
} product_ctx;

static void multiply(void *ctx, pfx_idx block, int thread)
{
    product_ctx *x = ctx;
    (void)thread;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, MATRIX, MATRIX, MATRIX, 1, x->a, MATRIX, x->a,
                MATRIX, 0, x->c + block * MATRIX * MATRIX, MATRIX);
    x->openmp[block] = omp_get_max_threads();
}

static int running_threads(void)
{
    char line[256];
    int n = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Threads: %d", &n) == 1) break;
    if (f) fclose(f);
    return n;
}

/* Not in the threads of a loop: main has begun this program anew with OMP_NUM_THREADS=5. */
static void one_blas_thread(void **state)
{
    (void)state;
    pfx_err err = {0};
    static double a[MATRIX * MATRIX], c[PRODUCTS * MATRIX * MATRIX];
    int openmp[PRODUCTS] = {0};
    product_ctx x = {a, c, openmp};
    assert_string_equal(getenv("OMP_NUM_THREADS"), "5");
    assert_ok(pfx_par_single_thread_blas(&err));
    for (int i = 0; i < MATRIX * MATRIX; i++) a[i] = test_uniform(3, (uint64_t)i);
    pfx_par_for(PRODUCTS, 4, multiply, &x);
    int before = running_threads();
    assert_true(before >= 4);
    for (int i = 0; i < 20; i++) pfx_par_for(PRODUCTS, 4, multiply, &x);
    for (int b = 0; b < PRODUCTS; b++) assert_int_equal(openmp[b], 1);
    assert_int_equal(running_threads(), before);
    for (int b = 1; b < PRODUCTS; b++) assert_same_bits(c + b * MATRIX * MATRIX, c, MATRIX * MATRIX);
}

static void instruction_sets(void **state)
{
    (void)state;
    pfx_isa isa;
    for (int i = PFX_ISA_PORTABLE; i <= PFX_ISA_V4; i++) {
        assert_true(pfx_isa_parse(pfx_isa_name((pfx_isa)i), &isa));
        assert_int_equal(isa, i);
    }
    assert_true(pfx_isa_parse("v3", &isa) && isa == PFX_ISA_V3);
    assert_true(pfx_isa_parse("v4", &isa) && isa == PFX_ISA_V4);
    static const char *const wrong[] = {"", "v2", "v5", "avx2", "x86-64", "le"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_false(pfx_isa_parse(wrong[i], &isa));
    assert_true(pfx_cpu_has(PFX_ISA_PORTABLE));
    assert_true(pfx_cpu_has(pfx_cpu_best()));
    assert_true(strlen(pfx_cpu_model()) > 0);
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    assert_int_equal(pfx_cpu_has(PFX_ISA_V3),
                     !!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                        __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")));
    assert_int_equal(pfx_cpu_has(PFX_ISA_V4),
                     !!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl")));
#endif
}

int main(void)
{
    /* libgomp reads it once, before main. */
    const char *openmp = getenv("OMP_NUM_THREADS");
    if ((!openmp || strcmp(openmp, "5") != 0) && setenv("OMP_NUM_THREADS", "5", 1) == 0) {
        char *again[] = {(char *)"test_base_parallel", NULL};
        execv("/proc/self/exe", again);
        perror("/proc/self/exe");
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_block_once),
        cmocka_unit_test(same_bits_at_any_thread_count),
        cmocka_unit_test(blocks_begin_in_order),
        cmocka_unit_test(each_thread_begins_with_its_part),
        cmocka_unit_test(threads_help_one_another),
        cmocka_unit_test(thread_count),
        cmocka_unit_test(cgroup_version_2),
        cmocka_unit_test(cgroup_version_1),
        cmocka_unit_test(memory_bound),
        cmocka_unit_test(one_blas_thread),
        cmocka_unit_test(instruction_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
