/* Bags of arrays, and their file: what comes out is what went in, or a message that says what is missing. */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "hdf5_io/panel.h"
#include "hdf5_io/stats.h"
#include "src/base/file.h"
#include "src/base/mem.h"

/* Longer than two chunks of the file. */
enum { LONG = 2 * 65536 + 1234 };

typedef struct thing {
    pfx_idx n, *wide;
    int k;
    bool flag;
    double x, *real;
    int32_t *narrow;
    char *text;
} thing;

static pfx_status walk(thing *t, pfx_bag *b, pfx_err *err)
{
    pfx_status st = pfx_bag_idx(b, "n", &t->n, err);
    if (st == PFX_OK) st = pfx_bag_int(b, "k", &t->k, err);
    if (st == PFX_OK) st = pfx_bag_flag(b, "flag", &t->flag, err);
    if (st == PFX_OK) st = pfx_bag_real(b, "x", &t->x, err);
    if (st == PFX_OK) st = pfx_bag_f64(b, "real", t->n, &t->real, err);
    if (st == PFX_OK) st = pfx_bag_i32(b, "narrow", t->n, &t->narrow, err);
    if (st == PFX_OK) st = pfx_bag_i64(b, "wide", t->k, &t->wide, err);
    return st == PFX_OK ? pfx_bag_text(b, "text", &t->text, err) : st;
}

static void free_thing(thing *t)
{
    pfx_mem_free(t->real);
    pfx_mem_free(t->narrow);
    pfx_mem_free(t->wide);
    pfx_mem_free(t->text);
}

static thing make(pfx_idx n)
{
    pfx_err err = {0};
    thing t = {.n = n, .k = 3, .flag = true, .x = -0.1};
    t.real = pfx_mem_alloc(n, sizeof *t.real, &err);
    t.narrow = pfx_mem_alloc(n, sizeof *t.narrow, &err);
    t.wide = pfx_mem_alloc(t.k, sizeof *t.wide, &err);
    t.text = pfx_mem_strdup("Zürich {\"a\": 1}\n", &err);
    for (pfx_idx i = 0; i < n; i++) {
        t.real[i] = i % 7 ? test_uniform(1, (uint64_t)i) : NAN;
        t.narrow[i] = (int32_t)(i * 2654435761u);
    }
    for (int i = 0; i < t.k; i++) t.wide[i] = INT64_MIN + i;
    return t;
}

static const pfx_stats_spec spec = {"boot", "pairs", "formula=y ~ x\nreps=9\n", "aa", "bb", "portable"};

static pfx_status write_thing(const char *path, thing *t, pfx_err *err)
{
    pfx_bag *b = pfx_bag_new(path, err);
    if (!b) return PFX_ENOMEM;
    pfx_status st = walk(t, b, err);
    if (st == PFX_OK) st = pfx_stats_write(path, true, &spec, b, err);
    pfx_bag_free(b);
    return st;
}

static pfx_status read_thing(const char *path, thing *t, pfx_err *err)
{
    pfx_stats *f = NULL;
    pfx_bag *b = NULL;
    pfx_status st = pfx_stats_open(path, &f, err);
    if (st == PFX_OK) st = pfx_stats_read(f, &b, err);
    if (st == PFX_OK) st = walk(t, b, err);
    pfx_bag_free(b);
    pfx_stats_close(f);
    return st;
}

static void assert_same(const thing *a, const thing *b)
{
    assert_true(a->n == b->n && a->k == b->k && a->flag == b->flag);
    assert_same_bits(&a->x, &b->x, 1);
    assert_same_bits(a->real, b->real, a->n);
    assert_memory_equal(a->narrow, b->narrow, (size_t)a->n * sizeof *a->narrow);
    assert_memory_equal(a->wide, b->wide, (size_t)a->k * sizeof *a->wide);
    assert_string_equal(a->text, b->text);
}

static void there_and_back(void **state)
{
    static const pfx_idx sizes[] = {0, 1, 65535, 65536, 65537, LONG};
    (void)state;
    pfx_err err = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *path = test_tmp("stats.h5");
        thing t = make(sizes[i]), back = {0};
        pfx_stats *f = NULL;
        size_t before = pfx_mem_now();
        assert_ok(write_thing(path, &t, &err));
        assert_int_equal(pfx_mem_now(), before);
        assert_ok(pfx_stats_open(path, &f, &err));
        assert_string_equal(pfx_stats_of(f)->options, spec.options);
        assert_string_equal(pfx_stats_of(f)->panel_digest, "bb");
        pfx_stats_close(f);
        assert_ok(read_thing(path, &back, &err));
        assert_same(&t, &back);
        free_thing(&back);
        assert_int_equal(pfx_mem_now(), before);
        free_thing(&t);
    }
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_bag *b = pfx_bag_new("f.h5", &err);
    double x[3] = {1, 2, 3}, *p = x;
    pfx_idx n = -1;
    int k;
    bool flag;
    pfx_bag_prefix(b, "one_");
    assert_ok(pfx_bag_f64(b, "x", 3, &p, &err));
    assert_ok(pfx_bag_idx(b, "n", &n, &err));
    pfx_bag_turn(b);
    pfx_bag_prefix(b, "two_");
    assert_fails(pfx_bag_f64(b, "x", 3, &p, &err), PFX_EFORMAT, "f.h5: array two_x is missing");
    assert_null(p);
    pfx_bag_prefix(b, "one_");
    assert_fails(pfx_bag_f64(b, "x", 2, &p, &err), PFX_EFORMAT, "array one_x of 3 values");
    assert_fails(pfx_bag_i64(b, "x", 3, &(pfx_idx *){NULL}, &err), PFX_EFORMAT, "array one_x of 3 values");
    assert_ok(pfx_bag_idx(b, "n", &n, &err));
    assert_ok(pfx_bag_int(b, "n", &k, &err));
    assert_int_equal(k, -1);
    assert_fails(pfx_bag_flag(b, "n", &flag, &err), PFX_EFORMAT, "one_n is -1");
    pfx_bag_free(b);
}

static void failing_writes_leave_what_was(void **state)
{
    (void)state;
    pfx_err err = {0};
    const char *dir = test_tmp("faults");
    char path[4200];
    assert_int_equal(mkdir(dir, 0777), 0);
    snprintf(path, sizeof path, "%s/s.h5", dir);
    thing old = make(5), t = make(70000), back = {0};
    assert_ok(write_thing(path, &old, &err));
    pfx_status st = PFX_EIO;
    int k = 0;
    while (st != PFX_OK && k < 1000) {
        k++;
        pfx_fault_write_at(k, k % 2 ? ENOSPC : EIO);
        st = write_thing(path, &t, &err);
        pfx_fault_write_at(0, 0);
        assert_int_equal(test_count_files(dir), 1);
        assert_ok(read_thing(path, &back, &err));
        /* The last step, the folder's, comes after the name. */
        assert_true(back.n == 5 || back.n == 70000);
        free_thing(&back);
    }
    assert_true(st == PFX_OK && k > 3);
    for (k = 1, st = PFX_ENOMEM; st != PFX_OK && k < 1000; k++) {
        size_t before = pfx_mem_now();
        thing none = {0};
        pfx_mem_fail_at(k);
        st = read_thing(path, &none, &err);
        pfx_mem_fail_at(0);
        free_thing(&none);
        assert_int_equal(pfx_mem_now(), before);
    }
    assert_true(k > 10);
    free_thing(&old);
    free_thing(&t);
}

/* Any byte: the same values, or FORMAT. */
static void a_flipped_byte_is_seen(void **state)
{
    (void)state;
    pfx_err err = {0};
    const char *path = test_tmp("flip.h5");
    thing t = make(300);
    assert_ok(write_thing(path, &t, &err));
    struct stat sb;
    assert_int_equal(stat(path, &sb), 0);
    int fd = open(path, O_RDWR), seen = 0;
    for (off_t at = 0; at < sb.st_size; at += getenv("TEST_LONG") ? 1 : 37) {
        unsigned char c;
        thing back = {0};
        assert_int_equal(pread(fd, &c, 1, at), 1);
        unsigned char other = (unsigned char)(c ^ (1 << at % 8));
        assert_int_equal(pwrite(fd, &other, 1, at), 1);
        pfx_status st = read_thing(path, &back, &err);
        if (st == PFX_OK) assert_same(&t, &back);
        seen += st != PFX_OK;
        free_thing(&back);
        pfx_err_clear(&err);
        assert_int_equal(pwrite(fd, &c, 1, at), 1);
    }
    close(fd);
    assert_true(seen > 20);
    free_thing(&t);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    pfx_err err = {0};
    pfx_stats *f = NULL;
    const char *path = test_tmp("text");
    assert_ok(pfx_file_write_text(path, "text\n", 5, false, &err));
    assert_fails(pfx_stats_open(path, &f, &err), PFX_EFORMAT, "not an HDF5 file");
    assert_fails(pfx_stats_open(test_tmp("none"), &f, &err), PFX_EIO, "cannot open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(failing_writes_leave_what_was),
        cmocka_unit_test(a_flipped_byte_is_seen),
        cmocka_unit_test(other_files_are_refused),
    };
    pfx_err err = {0};
    if (pfx_h5_init(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
