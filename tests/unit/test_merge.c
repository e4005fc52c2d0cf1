/* The merge command on files made by hand: the same replicates with other draws, and thousands of shards. */
#include <sys/stat.h>
#include "hdf5_io/draws.h"
#include "hdf5_io/panel.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cmd/commands.h"
#include "tests/test.h"

static const char *const term_names[] = {"IDC"};

static double value(pfx_idx replicate, int f)
{
    return (double)replicate / 7 + f;
}

/* Replicates first .. last - 1 of reps; the one numbered `off` (from 0) is another draw. */
static void write_shard(const char *path, pfx_idx reps, pfx_idx first, pfx_idx last, pfx_idx shard,
                        pfx_idx n_shards, pfx_idx off)
{
    pfx_err err = {0};
    pfx_draw_sink s = {0};
    const pfx_draw_spec spec = {.command = "boot",
                                .method = "pairs",
                                .n_terms = 1,
                                .terms = term_names,
                                .seed = 1,
                                .reps = reps,
                                .first = first,
                                .last = last,
                                .shard = shard,
                                .n_shards = n_shards,
                                .options = "a=1\n",
                                .spec_digest = "ab",
                                .panel_digest = "cd",
                                .numerics = "portable",
                                .blas = "none"};
    assert_ok(pfx_draws_sink(path, true, &s, &err));
    assert_ok(s.begin(s.ctx, &spec, &err));
    assert_ok(s.result(s.ctx, "{}", &err));
    for (pfx_idx r = first; r < last; r++) {
        double v[3];
        const double *field[3] = {v, v + 1, v + 2};
        for (int f = 0; f < 3; f++) v[f] = value(r, f) + (r == off && f == 2 ? 1e-16 * value(r, f) * 3 : 0);
        assert_ok(s.put(s.ctx, r, 1, field, &err));
    }
    assert_ok(s.commit(s.ctx, &err));
    s.abort(s.ctx);
}

static pfx_status merge(int n, char **paths, const char *out, pfx_err *err)
{
    char **argv = calloc((size_t)n + 6, sizeof *argv);
    int argc = 0;
    argv[argc++] = (char *)"merge";
    for (int i = 0; i < n; i++) argv[argc++] = paths[i];
    argv[argc++] = (char *)"-o";
    argv[argc++] = (char *)out;
    argv[argc++] = (char *)"--force";
    argv[argc++] = (char *)"--quiet";
    pfx_status st = pfx_cmd_merge.run(argc, argv, err);
    free(argv);
    return st;
}

static void check_whole(const char *path, pfx_idx reps)
{
    pfx_err err = {0};
    pfx_draws *d = NULL;
    double *buf = malloc((size_t)reps * sizeof *buf);
    assert_ok(pfx_draws_open(path, &d, &err));
    assert_ok(pfx_draws_check(d, &err));
    assert_int_equal(pfx_draws_n(d), reps);
    for (int f = 0; f < 3; f++) {
        assert_ok(pfx_draws_read(d, f, 0, reps, buf, &err));
        for (pfx_idx r = 0; r < reps; r++) assert_true(buf[r] == value(r, f));
    }
    pfx_draws_close(d);
    free(buf);
}

static void test_differing_overlap(void **state)
{
    (void)state;
    pfx_err err = {0};
    char a[4200], b[4200], c[4200], out[4200];
    snprintf(a, sizeof a, "%s", test_tmp("a.h5"));
    snprintf(b, sizeof b, "%s", test_tmp("b.h5"));
    snprintf(c, sizeof c, "%s", test_tmp("c.h5"));
    snprintf(out, sizeof out, "%s", test_tmp("out.h5"));
    char *all[] = {c, b, a};
    write_shard(a, 100, 0, 60, 1, 2, -1);
    write_shard(b, 100, 40, 80, 2, 2, -1);
    write_shard(c, 100, 50, 100, 2, 2, -1);
    assert_ok(merge(3, all, out, &err));
    check_whole(out, 100);
    remove(out);
    for (pfx_idx off = 40; off < 80; off += 13) { /* in the overlap of a and b, or of b and c, or of all */
        write_shard(b, 100, 40, 80, 2, 2, off);
        char want[64];
        snprintf(want, sizeof want, "replicate %lld, and differ", (long long)off + 1);
        assert_fails(merge(3, all, out, &err), PFX_EDATA, want);
        assert_int_equal(access(out, F_OK), -1);
    }
}

/* Cut 4500 replicates into n_shards files, and merge them. Returns the most memory so far. */
static size_t merge_shards(int n_shards)
{
    enum { REPS = 4500 };
    pfx_err err = {0};
    const char *folder = test_tmp(n_shards > 100 ? "many" : "few");
    char **paths = calloc((size_t)n_shards, sizeof *paths), out[4200];
    pfx_idx each = REPS / n_shards;
    snprintf(out, sizeof out, "%s", test_tmp("all.h5"));
    assert_int_equal(mkdir(folder, 0700), 0);
    for (int k = 0; k < n_shards; k++) {
        paths[k] = malloc(4300);
        snprintf(paths[k], 4300, "%s/%d.h5", folder, k);
        write_shard(paths[k], REPS, k * each, (k + 1) * each, k + 1, n_shards, -1);
    }
    size_t before = pfx_mem_now();
    assert_ok(merge(n_shards, paths, out, &err));
    assert_int_equal(pfx_mem_now(), before);
    check_whole(out, REPS);
    remove(out);
    for (int k = 0; k < n_shards; k++) free(paths[k]);
    free(paths);
    return pfx_mem_peak();
}

/* Memory does not grow with the number of shards, beyond a few words for each. The first test: a peak is of
 * all that was before. */
static void test_thousands(void **state)
{
    (void)state;
    size_t few = merge_shards(30), many = merge_shards(1500);
    assert_true(many - few <= 1500 * 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_thousands),
                                       cmocka_unit_test(test_differing_overlap)};
    pfx_err err = {0};
    if (pfx_h5_init(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
