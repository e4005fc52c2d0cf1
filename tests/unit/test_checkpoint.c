/* Checkpoints of the draws file: whole at any time, whatever write or allocation fails; the file that is
 * committed does not depend on them; one that is further along stays. */
#include <fcntl.h>
#include <sys/stat.h>
#include "hdf5_io/draws.h"
#include "hdf5_io/panel.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/faults.h"

enum { N = 400, PIECE = 30, TERMS = 2 };
static const char *const term_names[] = {"IDC", "ROA"}, *const extra_names[] = {"n0"};
static const char json[] = "{\"models\": []}\n";

static double value(int f, pfx_idx cell)
{
    return cell % 97 == 3 ? NAN : (double)f * 1e6 + (double)cell / 7;
}

static pfx_status put(pfx_draw_sink *s, pfx_idx first, pfx_idx n, pfx_err *err)
{
    static double cells[4][PIECE * TERMS];
    const double *field[4] = {cells[0], cells[1], cells[2], cells[3]};
    for (int f = 0; f < 4; f++)
        for (pfx_idx c = 0; c < n * TERMS; c++) cells[f][c] = value(f, first * TERMS + c);
    return s->put(s->ctx, 10 + first, n, field, err);
}

typedef struct plan {
    pfx_idx every; /* pieces between checkpoints, 0: none */
    pfx_idx end;   /* draws; N commits, fewer end with a checkpoint */
    uint64_t seed;
    pfx_idx *kept; /* draws in the last checkpoint that succeeded */
} plan;

/* From what there is already to plan.end. */
static pfx_status write_draws(const char *path, plan p, pfx_err *err)
{
    pfx_draw_sink s = {0};
    pfx_draws *old = NULL;
    pfx_idx at = 0;
    const pfx_draw_spec spec = {.command = "boot",
                                .method = "pairs",
                                .n_terms = TERMS,
                                .terms = term_names,
                                .n_extra = 1,
                                .extra = extra_names,
                                .seed = p.seed,
                                .reps = N + 30,
                                .first = 10,
                                .last = 10 + N,
                                .shard = 2,
                                .n_shards = 3,
                                .options = "a=1\nb=2\n",
                                .spec_digest = "ab",
                                .panel_digest = "cd",
                                .numerics = "x86-64-v3",
                                .blas = "none"};
    char *part = pfx_draws_part_name(path, err);
    if (!part) return PFX_ENOMEM;
    pfx_status st = pfx_draws_sink(path, true, &s, err);
    if (st == PFX_OK && access(part, F_OK) == 0) st = pfx_draws_open_part(part, &old, err);
    pfx_mem_free(part);
    if (st == PFX_OK) st = s.begin(s.ctx, &spec, err);
    if (st == PFX_OK) st = s.result(s.ctx, json, err);
    if (st == PFX_OK && old) {
        at = pfx_draws_n(old);
        st = pfx_draws_replay(old, 0, at, 1, &s, err);
    }
    pfx_draws_close(old);
    for (pfx_idx piece = 1; at < p.end && st == PFX_OK; piece++) {
        pfx_idx n = p.end - at < PIECE ? p.end - at : PIECE;
        st = put(&s, at, n, err);
        at += n;
        if (st != PFX_OK || !p.every || piece % p.every) continue;
        st = s.checkpoint(s.ctx, true, err);
        if (st == PFX_OK && p.kept) *p.kept = at;
    }
    if (st == PFX_OK) st = p.end < N ? s.checkpoint(s.ctx, false, err) : s.commit(s.ctx, err);
    if (s.abort) s.abort(s.ctx);
    return st;
}

/* Every value of the first n draws. */
static void check_draws(const char *path, bool complete, pfx_idx n)
{
    pfx_err err = {0};
    pfx_draws *d = NULL;
    char *fit = NULL;
    static double buf[N * TERMS];
    assert_ok(pfx_draws_open_part(path, &d, &err));
    assert_true(pfx_draws_complete(d) == complete);
    assert_int_equal(pfx_draws_n(d), n);
    assert_ok(pfx_draws_check(d, &err));
    assert_ok(pfx_draws_fit(d, &fit, &err));
    assert_string_equal(fit, json);
    assert_string_equal(pfx_draws_spec(d)->options, "a=1\nb=2\n");
    assert_int_equal(pfx_draws_spec(d)->last, 10 + N);
    for (int f = 0; f < 4; f++) {
        assert_ok(pfx_draws_read(d, f, 0, n, buf, &err));
        for (pfx_idx c = 0; c < n * TERMS; c++)
            assert_true(buf[c] == value(f, c) || (isnan(buf[c]) && isnan(value(f, c))));
    }
    pfx_mem_free(fit);
    pfx_draws_close(d);
}

static char *whole_file(const char *path, size_t *n)
{
    char *bytes = NULL;
    pfx_err err = {0};
    assert_ok(pfx_file_read_text(path, 1 << 24, &bytes, n, &err));
    return bytes;
}

static void same_file(const char *a, const char *b)
{
    size_t na, nb;
    char *x = whole_file(a, &na), *y = whole_file(b, &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(x, y, na);
    pfx_mem_free(x);
    pfx_mem_free(y);
}

static void test_bytes(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_draws *d = NULL;
    const char *path = test_tmp("a.h5");
    char plain[4300], part[4300];
    snprintf(plain, sizeof plain, "%s.plain", path);
    snprintf(part, sizeof part, "%s.part", path);
    assert_ok(write_draws(plain, (plan){.end = N, .seed = 7}, &err));
    check_draws(plain, true, N);
    for (pfx_idx every = 1; every <= 3; every++)
        for (pfx_idx stop = PIECE; stop <= N; stop += 95) {
            assert_ok(write_draws(path, (plan){.every = every, .end = stop, .seed = 7}, &err));
            assert_int_equal(access(path, F_OK), -1);
            check_draws(part, false, stop);
            assert_fails(pfx_draws_open(part, &d, &err), PFX_EFORMAT, "a checkpoint");
            assert_ok(write_draws(path, (plan){.every = every, .end = N, .seed = 7}, &err));
            assert_int_equal(access(part, F_OK), -1);
            same_file(path, plain);
            remove(path);
        }
}

/* A checkpoint of more draws of the same run stays; one of another run gives way. */
static void test_behind(void **state)
{
    (void)state;
    pfx_err err = {0};
    const char *path = test_tmp("b.h5");
    char part[4300], aside[4300];
    snprintf(part, sizeof part, "%s.part", path);
    snprintf(aside, sizeof aside, "%s.aside", path);
    assert_ok(write_draws(path, (plan){.end = 200, .seed = 7}, &err));
    assert_int_equal(rename(part, aside), 0);
    assert_ok(write_draws(path, (plan){.end = 100, .seed = 7}, &err));
    /* Another process brings it further between two checkpoints of this one: this one leaves it. */
    pfx_draw_sink s = {0};
    const pfx_draw_spec spec = {.command = "boot",
                                .method = "pairs",
                                .n_terms = TERMS,
                                .terms = term_names,
                                .n_extra = 1,
                                .extra = extra_names,
                                .seed = 7,
                                .reps = N + 30,
                                .first = 10,
                                .last = 10 + N,
                                .shard = 2,
                                .n_shards = 3,
                                .options = "a=1\nb=2\n",
                                .spec_digest = "ab",
                                .panel_digest = "cd",
                                .numerics = "x86-64-v3",
                                .blas = "none"};
    pfx_draw_spec other = spec;
    other.seed = 8;
    for (int same = 0; same < 2; same++) {
        assert_ok(pfx_draws_sink(path, true, &s, &err));
        assert_ok(s.begin(s.ctx, same ? &spec : &other, &err));
        assert_ok(s.result(s.ctx, json, &err));
        assert_ok(put(&s, 0, 30, &err));
        if (same) assert_int_equal(rename(aside, part), 0);
        assert_ok(s.checkpoint(s.ctx, true, &err));
        check_draws(part, false, same ? 200 : 30);
        assert_ok(put(&s, 30, 30, &err));
        assert_ok(s.checkpoint(s.ctx, false, &err));
        s.abort(s.ctx);
        check_draws(part, false, same ? 200 : 60);
    }
}

/* Every write fails in turn: what was kept last is there and whole, and a run that goes on from it ends with
 * the same file. */
static void test_failing_writes(void **state)
{
    (void)state;
    const char *folder = test_tmp("faults");
    char path[4200], part[4300], plain[4200];
    pfx_err err = {0};
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(path, sizeof path, "%s/d.h5", folder);
    snprintf(part, sizeof part, "%s.part", path);
    snprintf(plain, sizeof plain, "%s", test_tmp("plain.h5"));
    assert_ok(write_draws(plain, (plan){.end = N, .seed = 7}, &err));
    int failed_late = 0;
    test_faults f = {.writes = true, .least = 50};
    while (test_faults_next(&f)) {
        pfx_idx kept = 0;
        pfx_err_clear(&err);
        pfx_status st = write_draws(path, (plan){.every = 4, .end = N, .seed = 7, .kept = &kept}, &err);
        test_faults_done(&f, st);
        if (st == PFX_OK) break;
        if (access(path, F_OK) == 0) /* renamed, and the folder's sync failed */
            check_draws(path, true, N);
        else if (kept) {
            pfx_draws *d = NULL;
            assert_ok(pfx_draws_open_part(part, &d, &err));
            pfx_idx n = pfx_draws_n(d);
            pfx_draws_close(d);
            assert_true(n >= kept);
            check_draws(part, false, n);
            failed_late++;
        }
        pfx_err_clear(&err);
        assert_int_equal(test_count_files(folder), (access(path, F_OK) == 0) + (access(part, F_OK) == 0));
        assert_ok(write_draws(path, (plan){.end = N, .seed = 7}, &err));
        same_file(path, plain);
        remove(path);
    }
    assert_true(failed_late > 50);
    same_file(path, plain);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    const char *path = test_tmp("alloc.h5");
    char part[4300];
    snprintf(part, sizeof part, "%s.part", path);
    test_faults f = {0};
    while (test_faults_next(&f)) {
        pfx_err err = {0};
        test_faults_done(&f, write_draws(path, (plan){.every = 4, .end = N, .seed = 7}, &err));
        remove(part);
    }
}

/* Any byte that is changed (one in 13 of them, all with TEST_LONG in the environment): the file cannot be
 * opened or checked, or it holds the same draws. */
static void test_flipped_bytes(void **state)
{
    (void)state;
    pfx_err err = {0};
    const char *path = test_tmp("flip.h5");
    size_t n, silent = 0, step = getenv("TEST_LONG") ? 1 : 13;
    assert_ok(write_draws(path, (plan){.end = N, .seed = 7}, &err));
    char *bytes = whole_file(path, &n);
    int fd = open(path, O_RDWR);
    for (size_t i = 0; i < n; i += step) {
        char flipped = (char)(bytes[i] ^ (1 << i % 8));
        pfx_draws *d = NULL;
        pfx_err_clear(&err);
        assert_int_equal(pwrite(fd, &flipped, 1, (off_t)i), 1);
        pfx_status st = pfx_draws_open(path, &d, &err);
        if (st == PFX_OK) st = pfx_draws_check(d, &err);
        pfx_draws_close(d);
        if (st == PFX_OK) {
            check_draws(path, true, N);
            silent++;
        }
        assert_int_equal(pwrite(fd, bytes + i, 1, (off_t)i), 1);
    }
    close(fd);
    pfx_mem_free(bytes);
    /* What belongs to nothing: space that HDF5 left unused. */
    assert_true(silent * step < n / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),          cmocka_unit_test(test_behind),
        cmocka_unit_test(test_failing_writes), cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_flipped_bytes),
    };
    pfx_err err = {0};
    if (pfx_h5_init(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
