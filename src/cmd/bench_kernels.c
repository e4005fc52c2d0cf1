/* The kernels alone, one thread, each instruction set that this CPU has: rows of a made-up panel in memory,
 * taken in the blocks in which a fit takes them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/demean.h"
#include "kernels/gram.h"
#include "kernels/resid.h"
#include "kernels/score.h"
#include "src/base/mem.h"
#include "src/cmd/bench_private.h"

enum { P = BENCH_COLUMNS, BLOCK = 256 /* firms */, MAX_ROWS = BLOCK * 10 };

typedef struct job {
    int kernel;
    pfx_isa isa;
    const pfx_design *d;
    pfx_idx units, *start; /* [units + 1] */
    double *e;             /* [n] factors of rows */
    double *out;           /* [MAX_ROWS x P] of one block */
} job;

/* Values a kernel leaves for a block of n rows and `levels` firms. */
static pfx_idx out_size(int kernel, pfx_idx n, pfx_idx levels)
{
    return kernel == BENCH_GRAM    ? P * P
           : kernel == BENCH_RESID ? n
           : kernel == BENCH_SCORE ? levels * P
                                   : n * P;
}

static pfx_idx block_levels(const job *j, pfx_idx b)
{
    return j->units - b * BLOCK < BLOCK ? j->units - b * BLOCK : BLOCK;
}

static void run_block(const job *j, pfx_idx b)
{
    static const double c[P] = {-0.1, -0.1, -0.1, -0.1, -0.1, -0.1, -0.1, -0.1, -0.1, -0.1, -0.1, 1};
    /* The product of columns is measured on rows in cache, where a fit leaves them: the first block again and
     * again. */
    const pfx_idx at = j->kernel == BENCH_GRAM ? 0 : b * BLOCK, levels = block_levels(j, at / BLOCK);
    const pfx_idx *start = j->start + at, n = start[levels] - start[0];
    const double *X = j->d->Z + start[0] * P;

    switch (j->kernel) {
    case BENCH_GRAM:
        memset(j->out, 0, P * P * sizeof *j->out);
        pfx_k_gram(j->isa, n, P, P, X, NULL, j->out);
        pfx_k_mirror(P, j->out);
        break;
    case BENCH_DEMEAN:
        pfx_k_demean(j->isa, levels, start, P, P, X, NULL, 0, NULL, P, j->out, NULL, NULL, NULL);
        break;
    case BENCH_RESID:
        pfx_k_resid(j->isa, n, P, P, X, c, j->out);
        break;
    default:
        pfx_k_score(j->isa, levels, start, P, P, X, j->e + start[0], NULL, P, j->out);
    }
}

static pfx_idx n_blocks(const job *j)
{
    return (j->units + BLOCK - 1) / BLOCK;
}

static pfx_status run_all(void *ctx, pfx_err *err)
{
    const job *j = ctx;
    (void)err;
    for (pfx_idx b = 0; b < n_blocks(j); b++) run_block(j, b);
    return PFX_OK;
}

/* The first block by loops anyone can read, in long double. */
static void slow_twin(const job *j, pfx_idx levels, double *out)
{
    const pfx_idx n = j->start[levels];
    const double *X = j->d->Z;
    if (j->kernel == BENCH_GRAM)
        for (int a = 0; a < P * P; a++) {
            long double s = 0;
            for (pfx_idx r = 0; r < n; r++) s += (long double)X[r * P + a / P] * X[r * P + a % P];
            out[a] = (double)s;
        }
    if (j->kernel == BENCH_RESID)
        for (pfx_idx r = 0; r < n; r++) {
            long double s = X[r * P + P - 1];
            for (int k = 0; k < P - 1; k++) s += -0.1 * (long double)X[r * P + k];
            out[r] = (double)s;
        }
    if (j->kernel == BENCH_DEMEAN || j->kernel == BENCH_SCORE)
        for (pfx_idx g = 0; g < levels; g++)
            for (int k = 0; k < P; k++) {
                long double mean = 0, score = 0;
                pfx_idx a = j->start[g], z = j->start[g + 1];
                for (pfx_idx r = a; r < z; r++)
                    mean += X[r * P + k], score += (long double)X[r * P + k] * j->e[r];
                mean /= (long double)(z - a);
                if (j->kernel == BENCH_SCORE) out[g * P + k] = (double)score;
                for (pfx_idx r = a; r < z && j->kernel == BENCH_DEMEAN; r++)
                    out[r * P + k] = (double)(X[r * P + k] - mean);
            }
}

/* Digits of the worst value, against the largest. */
static double digits_of(pfx_idx n, const double *x, const double *ref)
{
    double worst = 0, scale = 0;
    for (pfx_idx i = 0; i < n; i++) {
        worst = fmax(worst, fabs(x[i] - ref[i]));
        scale = fmax(scale, fabs(ref[i]));
    }
    return worst > 0 ? -log10(worst / scale) : 16;
}

/* Right to 12 digits, and bit by bit what the portable route gives. */
static void check(const job *j, double *ref, pfx_bench_line *l)
{
    const pfx_idx levels = block_levels(j, 0), size = out_size(j->kernel, j->start[levels], levels);
    job portable = *j;
    slow_twin(j, levels, ref);
    run_block(j, 0);
    l->digits = digits_of(size, j->out, ref);
    portable.isa = PFX_ISA_PORTABLE;
    portable.out = ref;
    run_block(&portable, 0);
    if (!(l->digits >= 12))
        pfx_bench_verdict(l, PFX_BENCH_FAIL, "differs from long double loops");
    else if (memcmp(ref, j->out, (size_t)size * sizeof *ref) != 0)
        pfx_bench_verdict(l, PFX_BENCH_FAIL, "differs from the portable kernel");
    else
        l->check = PFX_BENCH_PASS;
}

static pfx_status measure(bench_run *r, const bench_case *c, job *j, double *ref, pfx_err *err)
{
    for (pfx_isa isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
        if (!pfx_cpu_has(isa)) continue;
        char name[48];
        snprintf(name, sizeof name, "%s %s", c->name, pfx_isa_name(isa));
        pfx_bench_line l = pfx_bench_line_of(name, j->d->n, P, 1);
        double rows = (double)j->d->n;
        j->isa = isa;
        pfx_status st = pfx_bench_best(3, 0.2 * r->patience, run_all, j, &l.seconds, err);
        if (st) return st;
        if (c->kind == BENCH_GRAM) {
            rows = (double)j->start[block_levels(j, 0)] * (double)n_blocks(j);
            l.rate = rows * P * (P + 1) / l.seconds * 1e-9;
            l.unit = "GFLOP/s", l.limit = "dgemm", l.limit_rate = r->limit.dgemm[0];
        } else {
            l.rate = rows * P * 8 / l.seconds * 1e-9;
            l.unit = "GB/s", l.limit = "read", l.limit_rate = r->limit.read[0];
        }
        check(j, ref, &l);
        if ((st = pfx_bench_add(&r->report, &l, err))) return st;
    }
    return PFX_OK;
}

pfx_status bench_kernel(bench_run *r, const bench_case *c, pfx_err *err)
{
    job j = {.kernel = c->kind};
    pfx_design *d = NULL;
    double *ref = NULL;
    pfx_status st = bench_design(BENCH_ONE_WAY, bench_rows(r, c), 0, false, r->nth, &d, err);
    if (st) return st;
    j.d = d;
    j.units = d->clusters[0].n_levels;
    j.start = pfx_mem_alloc(j.units + 1, sizeof *j.start, err);
    j.e = pfx_mem_alloc(d->n, sizeof *j.e, err);
    j.out = pfx_mem_alloc(MAX_ROWS * P, sizeof *j.out, err);
    ref = pfx_mem_alloc(MAX_ROWS * P, sizeof *ref, err);
    if (j.start && j.e && j.out && ref) {
        for (pfx_idx i = d->n - 1; i >= 0; i--) j.start[d->clusters[0].code[i]] = i, j.e[i] = sin((double)i);
        j.start[j.units] = d->n;
        st = measure(r, c, &j, ref, err);
    } else {
        st = PFX_ENOMEM;
    }
    pfx_mem_free(j.start), pfx_mem_free(j.e), pfx_mem_free(j.out), pfx_mem_free(ref);
    pfx_design_free(d);
    return st;
}
