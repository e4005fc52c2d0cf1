/* The draws file: round trip, refusals, damage, and every write failing in turn. */
#include <fcntl.h>
#include <sys/stat.h>
#include "hdf5_io/draws.h"
#include "hdf5_io/panel.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/faults.h"

static const char *const term_names[] = {"IDC", "x:year"}, *const extra_names[] = {"n0"};
static const char json[] = "{\"models\": []}\n";

static pfx_draw_spec make_spec(int n_terms, pfx_idx n)
{
    return (pfx_draw_spec){.command = "boot",
                           .method = "pairs",
                           .n_terms = n_terms,
                           .terms = term_names,
                           .n_extra = 1,
                           .extra = extra_names,
                           .seed = 7,
                           .reps = n + 30,
                           .first = 10,
                           .last = 10 + n,
                           .shard = 2,
                           .n_shards = 3,
                           .spec_digest = "ab",
                           .panel_digest = "cd",
                           .numerics = "x86-64-v3",
                           .blas = "none"};
}

static double value(int f, pfx_idx cell)
{
    return cell % 97 == 3 ? NAN : (double)f * 1e6 + (double)cell / 7;
}

/* All draws in pieces; the first failure. */
static pfx_status write_draws(const char *path, int n_terms, pfx_idx n, pfx_idx piece, bool force,
                              pfx_err *err)
{
    pfx_draw_sink s = {0};
    const pfx_draw_spec spec = make_spec(n_terms, n);
    pfx_status st = pfx_draws_sink(path, force, &s, err);
    if (st != PFX_OK) return st;
    st = s.begin(s.ctx, &spec, err);
    double *cells = malloc((size_t)(4 * piece * n_terms) * sizeof *cells);
    for (pfx_idx i = 0; i < n && st == PFX_OK; i += piece) {
        pfx_idx take = n - i < piece ? n - i : piece;
        const double *field[4];
        for (int f = 0; f < 4; f++) {
            field[f] = cells + f * piece * n_terms;
            for (pfx_idx c = 0; c < take * n_terms; c++)
                cells[f * piece * n_terms + c] = value(f, i * n_terms + c);
        }
        st = s.put(s.ctx, 10 + i, take, field, err);
    }
    if (st == PFX_OK) st = s.result(s.ctx, json, err);
    if (st == PFX_OK) st = s.commit(s.ctx, err);
    s.abort(s.ctx);
    free(cells);
    return st;
}

static void check_file(const char *path, int n_terms, pfx_idx n)
{
    pfx_err err = {0};
    pfx_draws *d = NULL;
    char *fit = NULL;
    assert_ok(pfx_draws_open(path, &d, &err));
    const pfx_draw_spec *s = pfx_draws_spec(d), want = make_spec(n_terms, n);
    assert_string_equal(s->command, "boot");
    assert_string_equal(s->method, "pairs");
    assert_string_equal(s->spec_digest, "ab");
    assert_string_equal(s->numerics, "x86-64-v3");
    assert_int_equal(s->n_terms, n_terms);
    for (int t = 0; t < n_terms; t++) assert_string_equal(s->terms[t], term_names[t]);
    assert_int_equal(s->n_extra, 1);
    assert_string_equal(s->extra[0], "n0");
    assert_int_equal(s->seed, 7);
    assert_int_equal(s->reps, want.reps);
    assert_int_equal(s->first, 10);
    assert_int_equal(s->last, want.last);
    assert_int_equal(s->shard, 2);
    assert_int_equal(s->n_shards, 3);
    assert_ok(pfx_draws_check(d, &err));
    assert_ok(pfx_draws_fit(d, &fit, &err));
    assert_string_equal(fit, json);
    double *buf = malloc((size_t)(n * n_terms) * sizeof *buf);
    for (int f = 0; f < 4; f++) {
        assert_ok(pfx_draws_read(d, f, 0, n, buf, &err));
        for (pfx_idx c = 0; c < n * n_terms; c++) {
            double v = value(f, c);
            if (isnan(v))
                assert_true(isnan(buf[c]));
            else
                assert_true(buf[c] == v);
        }
    }
    free(buf);
    pfx_mem_free(fit);
    pfx_draws_close(d);
}

static void test_round_trip(void **state)
{
    static const pfx_idx sizes[] = {1, 192, 16384, 16385, 70000};
    (void)state;
    pfx_err err = {0};
    for (int n_terms = 1; n_terms <= 2; n_terms++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const char *path = test_tmp("draws.h5");
            assert_ok(write_draws(path, n_terms, sizes[i], i % 2 ? 192 : 5000, true, &err));
            check_file(path, n_terms, sizes[i]);
        }
}

static void test_refusals(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_draws *d = NULL;
    pfx_draw_sink s = {0};
    const char *path = test_tmp("refuse.h5");
    assert_ok(write_draws(path, 1, 10, 10, false, &err));
    assert_fails(write_draws(path, 1, 10, 10, false, &err), PFX_EUSAGE, "--force");
    assert_fails(pfx_draws_open("/nonexistent", &d, &err), PFX_EIO, "cannot open");
    assert_fails(pfx_draws_open("Makefile", &d, &err), PFX_EFORMAT, "not an HDF5 file");
    const pfx_draw_spec spec = make_spec(1, 10);
    assert_ok(pfx_draws_sink(test_tmp("short.h5"), false, &s, &err));
    assert_ok(s.begin(s.ctx, &spec, &err));
    assert_ok(s.result(s.ctx, json, &err));
    assert_fails(s.commit(s.ctx, &err), PFX_EDATA, "0 draws came where 10 belong");
    s.abort(s.ctx);
    assert_int_equal(access(test_tmp("short.h5"), F_OK), -1);
}

static void test_damage(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_draws *d = NULL;
    const char *path = test_tmp("damage.h5");
    const pfx_idx n = 20000;
    assert_ok(write_draws(path, 1, n, 192, false, &err));
    const double mark = value(0, 12345); /* a value that stands once in the file */
    int fd = open(path, O_RDWR);
    unsigned char *bytes = malloc(4 << 20);
    ssize_t size = pread(fd, bytes, 4 << 20, 0);
    for (ssize_t i = 0; i + 8 <= size; i++)
        if (!memcmp(bytes + i, &mark, 8)) assert_int_equal(pwrite(fd, "\x01", 1, i), 1);
    close(fd);
    free(bytes);
    assert_ok(pfx_draws_open(path, &d, &err));
    assert_fails(pfx_draws_check(d, &err), PFX_EFORMAT, "draws/estimate");
    pfx_draws_close(d);
}

static void test_failing_writes(void **state)
{
    (void)state;
    const char *folder = test_tmp("faults");
    char path[4200];
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(path, sizeof path, "%s/draws.h5", folder);
    test_faults f = {.writes = true};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        pfx_status st = write_draws(path, 2, 100, 30, false, &err);
        test_faults_done(&f, st);
        if (access(path, F_OK) == 0) { /* whole, or renamed, and the folder's sync failed */
            check_file(path, 2, 100);
            remove(path);
        } else
            assert_int_equal(st, PFX_EIO);
        assert_int_equal(test_count_files(folder), 0);
    }
}

static void test_failing_allocations(void **state)
{
    (void)state;
    const char *path = test_tmp("alloc.h5");
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        pfx_draws *d = NULL;
        pfx_status st = write_draws(path, 2, 100, 30, true, &err);
        if (st == PFX_OK) st = pfx_draws_open(path, &d, &err);
        if (st == PFX_OK) st = pfx_draws_check(d, &err);
        pfx_draws_close(d);
        test_faults_done(&f, st);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_failing_writes),
        cmocka_unit_test(test_failing_allocations),
    };
    pfx_err err = {0};
    if (pfx_h5_init(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
