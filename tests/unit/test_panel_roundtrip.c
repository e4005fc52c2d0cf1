/* A panel comes back as it was written: every type, sizes around the edges of chunks and blocks. */
#include "tests/unit/panel_fixture.h"

static void round_trip(pfx_idx n, pfx_idx unit_len, pfx_idx piece, int deflate)
{
    pfx_err err = {0};
    fix_panel *p = fix_make(n, unit_len);
    const char *path = test_tmp("p.h5");
    pfx_panel *panel;
    assert_ok(fix_write(p, path, piece, deflate, true, &err));
    fix_compare(p, path, 0);
    fix_compare(p, path, 1000);
    assert_ok(pfx_panel_open(path, &panel, &err));
    assert_ok(pfx_panel_check(panel, &err));
    pfx_panel_close(panel);
    fix_free(p);
}

static void sizes_around_the_chunk(void **state)
{
    static const pfx_idx sizes[] = {0, 1, 2, 999, 1000, 1001, 65535, 65536, 65537, 3 * 65536, 3 * 65536 + 17};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        round_trip(sizes[i], 0, 65536, 0);
        round_trip(sizes[i], 0, 10007, 4);
    }
}

static void long_units(void **state)
{
    (void)state;
    round_trip(200000, 200000, 65536, 0); /* one unit is the whole panel */
    round_trip(200000, 70000, 777, 0);    /* each longer than a block */
    round_trip(200000, 65536, 65536, 0);  /* each exactly a block */
    round_trip(70000, 1, 65536, 0);       /* as many units as rows: the index has several chunks */
}

static void equal_panels_are_equal_files(void **state)
{
    pfx_err err = {0};
    fix_panel *p = fix_make(70000, 0);
    char command[9000];
    (void)state;
    assert_ok(fix_write(p, test_tmp("a.h5"), 65536, 0, true, &err));
    sleep(1);
    assert_ok(fix_write(p, test_tmp("b.h5"), 123, 0, true, &err));
    snprintf(command, sizeof command, "cmp '%s' '%s'", test_tmp("a.h5"), test_tmp("b.h5"));
    assert_int_equal(system(command), 0);
    fix_free(p);
}

static void no_unit_no_time(void **state)
{
    pfx_err err = {0};
    fix_panel *p = fix_make(1000, 3);
    pfx_panel *panel;
    pfx_row_source src;
    const pfx_frame *f;
    const char *path = test_tmp("n.h5"), *x = "x64";
    (void)state;
    p->spec = (pfx_panel_spec){"", "", PFX_TIME_INDEX};
    assert_ok(fix_write(p, path, 100, 0, true, &err));
    assert_ok(pfx_panel_open(path, &panel, &err));
    assert_int_equal(pfx_panel_n_units(panel), 1000);
    assert_int_equal(pfx_panel_n_periods(panel), 0);
    assert_ok(pfx_panel_check(panel, &err));
    assert_ok(pfx_panel_source(panel, 1, &x, &(pfx_panel_source_options){.block_rows = 300}, &src, &err));
    assert_ok(src.next(src.ctx, &f, &err));
    assert_int_equal(f->n_rows, 300);
    assert_int_equal(f->n_units, 300);
    assert_null(f->time);
    src.close(src.ctx);
    pfx_panel_close(panel);
    p->spec = (pfx_panel_spec){"firm", "", PFX_TIME_INDEX}; /* rows keep their order within a unit */
    for (int r = 0; r < 1000; r++) p->cols[FIX_YEAR].num[r] = -r;
    assert_ok(fix_write(p, path, 100, 0, true, &err));
    assert_ok(pfx_panel_open(path, &panel, &err));
    assert_int_equal(pfx_panel_n_units(panel), p->frame.n_units);
    assert_ok(pfx_panel_check(panel, &err));
    pfx_panel_close(panel);
    p->spec = (pfx_panel_spec){"", "year", PFX_TIME_YEAR};
    assert_fails(fix_write(p, path, 100, 0, true, &err), PFX_EUSAGE, "needs a unit");
    fix_free(p);
}

/* A few of the columns, the time not among them, in another order; a source left half way. */
static void some_columns(void **state)
{
    pfx_err err = {0};
    fix_panel *p = fix_make(200000, 0);
    const char *path = test_tmp("s.h5"), *names[] = {"i64", "prov", "i64"}, *wrong[] = {"x46"},
               *other[] = {"zzz"};
    pfx_panel *panel;
    pfx_row_source src, more;
    const pfx_frame *f;
    (void)state;
    assert_ok(fix_write(p, path, 65536, 0, true, &err));
    assert_ok(pfx_panel_open(path, &panel, &err));
    assert_ok(pfx_panel_source(panel, 3, names, NULL, &src, &err));
    assert_ok(src.next(src.ctx, &f, &err));
    assert_int_equal(f->n_cols, 3);
    assert_rel(f->cols[0].num[100], p->cols[FIX_I64].num[100], 0);
    assert_rel(f->cols[2].num[100], p->cols[FIX_I64].num[100], 0);
    assert_int_equal(f->cols[1].code[0], p->cols[FIX_PROV].code[0]);
    assert_rel(f->time[100], p->cols[FIX_YEAR].num[100], 0);
    assert_int_equal(pfx_frame_find(f, "prov"), 1);
    assert_ok(pfx_panel_source(panel, 1, names, NULL, &more, &err));
    assert_ok(more.next(more.ctx, &f, &err));
    assert_rel(f->cols[0].num[7], p->cols[FIX_I64].num[7], 0);
    more.close(more.ctx);
    src.close(src.ctx);
    assert_fails(pfx_panel_source(panel, 1, wrong, NULL, &src, &err), PFX_EUSAGE, "did you mean \"x64\"");
    assert_fails(pfx_panel_source(panel, 1, other, NULL, &src, &err), PFX_EUSAGE, "no column \"zzz\"");
    assert_ok(pfx_panel_source(panel, 0, NULL, NULL, &src, &err)); /* structure alone */
    assert_ok(src.next(src.ctx, &f, &err));
    assert_rel(f->time[100], p->cols[FIX_YEAR].num[100], 0);
    src.close(src.ctx);
    pfx_panel_close(panel);
    fix_free(p);
}

/* Each chunk is read once, even where units are cut by every edge: compare bytes read with the file's size.
 */
static void chunks_are_read_once(void **state)
{
    pfx_err err = {0};
    fix_panel *p = fix_make(10 * 65536 + 5, 7);
    const char *path = test_tmp("o.h5"), *names[] = {"x64", "x32", "i32", "i64", "year", "firm"};
    pfx_panel *panel;
    pfx_row_source src;
    const pfx_frame *f;
    long long before = 0, after = 0, raw = p->frame.n_rows * 36;
    FILE *io;
    (void)state;
    assert_ok(fix_write(p, path, 65536, 0, true, &err));
    assert_ok(pfx_panel_open(path, &panel, &err));
    assert_ok(pfx_panel_source(panel, 6, names, NULL, &src, &err));
    if (!(io = fopen("/proc/self/io", "r"))) skip();
    if (fscanf(io, "rchar: %lld", &before) != 1) skip();
    fclose(io);
    do assert_ok(src.next(src.ctx, &f, &err));
    while (f);
    if (!(io = fopen("/proc/self/io", "r")) || fscanf(io, "rchar: %lld", &after) != 1) skip();
    fclose(io);
    src.close(src.ctx);
    pfx_panel_close(panel);
    fix_free(p);
    assert_true(after - before > raw);
    assert_true(after - before < raw + raw / 5); /* last chunk, index and metadata are in it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_around_the_chunk),
        cmocka_unit_test(long_units),
        cmocka_unit_test(equal_panels_are_equal_files),
        cmocka_unit_test(no_unit_no_time),
        cmocka_unit_test(some_columns),
        cmocka_unit_test(chunks_are_read_once),
    };
    pfx_err err = {0};
    if (pfx_h5_init(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
