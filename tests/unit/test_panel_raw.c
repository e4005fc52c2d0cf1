/* Chunks read as they lie, against HDF5's own way: the checksum, every type, any number of threads, units
 * that span chunks; and when checksums are compared. */
#include "hdf5_io/fletcher32.h"
#include "hdf5_io/h5_private.h"
#include "hdf5_io/yardstick.h"
#include "tests/unit/panel_fixture.h"

static const char *const all_names[FIX_COLS] = {"firm", "year", "x64", "x32", "i32", "i64", "prov"};

/* What HDF5 stores behind a chunk of n bytes. */
static uint32_t stored_checksum(hid_t file, size_t n, const unsigned char *bytes)
{
    hsize_t rows = n, zero = 0;
    uint32_t left_out, sum;
    unsigned char *chunk = malloc(n + 4);
    hid_t sp = H5Screate_simple(1, &rows, NULL), dcpl = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(dcpl, 1, &rows);
    H5Pset_fletcher32(dcpl);
    hid_t ds = H5Dcreate2(file, "x", H5T_NATIVE_UCHAR, sp, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    assert_true(H5Dwrite(ds, H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) >= 0);
    assert_true(H5Dread_chunk(ds, H5P_DEFAULT, &zero, &left_out, chunk) >= 0);
    assert_int_equal(left_out, 0);
    assert_memory_equal(chunk, bytes, n);
    sum = (uint32_t)chunk[n] | (uint32_t)chunk[n + 1] << 8 | (uint32_t)chunk[n + 2] << 16 |
          (uint32_t)chunk[n + 3] << 24;
    H5Dclose(ds), H5Ldelete(file, "x", H5P_DEFAULT), H5Pclose(dcpl), H5Sclose(sp);
    free(chunk);
    return sum;
}

/* Random bytes, all zeros, all ones, few ones; odd sizes, around the edges of lanes (64) and tiles (23,040).
 */
static void checksum_is_hdf5s(void **state)
{
    enum { MOST = 600001 };
    static const size_t sizes[] = {1,    2,     3,     63,    64,    65,     127, 128,
                                   1001, 23039, 23040, 23041, 46080, 524288, MOST};
    unsigned char *b = malloc(MOST + 8);
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
    (void)state;
    H5Pset_fapl_core(fapl, 1 << 20, false);
    hid_t file = H5Fcreate("checksum.h5", H5F_ACC_TRUNC, H5P_DEFAULT, fapl);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int kind = 0; kind < 5; kind++) {
            size_t n = sizes[k], off = k % 8;
            for (size_t i = 0; i < n; i++) {
                uint64_t r = (uint64_t)(test_uniform(7, i * 5 + (uint64_t)kind) * 0x1p40);
                b[off + i] = (unsigned char)(kind == 0   ? 0
                                             : kind == 1 ? 255
                                             : kind == 2 ? r % 500 == 0
                                                         : r >> 16);
            }
            uint32_t stored = stored_checksum(file, n, b + off);
            for (int isa = PFX_ISA_PORTABLE; isa <= PFX_ISA_V4; isa++) {
                if (!pfx_cpu_has((pfx_isa)isa)) continue;
                assert_int_equal(pfx_fletcher32((pfx_isa)isa, n, b + off), stored);
                for (size_t cut = 0; cut <= n; cut += 2 + n / 5 / 2 * 2) { /* in two pieces, summed apart */
                    pfx_fletcher one = {0}, two = {0};
                    pfx_fletcher_add((pfx_isa)isa, &one, cut, b + off);
                    pfx_fletcher_add((pfx_isa)isa, &two, n - cut, b + off + cut);
                    if (n % 2 == 0)
                        pfx_fletcher_join(&one, &two, n - cut);
                    else
                        pfx_fletcher_add((pfx_isa)isa, &one, n - cut, b + off + cut);
                    assert_int_equal(pfx_fletcher_value(&one), stored);
                }
            }
        }
    H5Fclose(file), H5Pclose(fapl);
    free(b);
}

/* A pass over all columns, each cell compared with the panel's. */
static pfx_status pass(const fix_panel *p, pfx_row_source *src, pfx_err *err)
{
    const pfx_frame *f;
    pfx_idx rows = 0;
    pfx_status st;
    while ((st = src->next(src->ctx, &f, err)) == PFX_OK && f) {
        assert_int_equal(f->row0, rows);
        for (int c = 0; c < FIX_COLS; c++)
            for (pfx_idx r = 0; r < f->n_rows; r++) {
                pfx_idx at = f->row0 + r;
                if (p->cols[c].code)
                    assert_int_equal(f->cols[c].code[r], p->cols[c].code[at]);
                else if (!(f->cols[c].num[r] == p->cols[c].num[at] ||
                           (isnan(f->cols[c].num[r]) && isnan(p->cols[c].num[at]))))
                    fail_msg("column %d row %lld: %g != %g", c, (long long)at, f->cols[c].num[r],
                             p->cols[c].num[at]);
            }
        rows += f->n_rows;
    }
    if (st == PFX_OK) assert_int_equal(rows, p->frame.n_rows);
    return st;
}

static void any_threads(void **state)
{
    static const pfx_idx unit_lens[] = {0, 7, 65536, 150000, 65535, 65537};
    const char *path = test_tmp("raw.h5");
    (void)state;
    for (int k = 0; k < 6; k++) {
        pfx_err err = {0};
        fix_panel *p = fix_make(200001, unit_lens[k]);
        pfx_panel *panel;
        assert_ok(fix_write(p, path, 65536, k == 1, true, &err));
        assert_ok(pfx_panel_open(path, &panel, &err));
        for (int nth = 0; nth <= 5; nth += 1 + nth) {
            for (pfx_idx block = 0; block <= 131072; block += 65537) {
                pfx_row_source src;
                pfx_panel_source_options o = {block, nth % 2 ? PFX_VERIFY_ONCE : PFX_VERIFY_ALWAYS, nth};
                assert_ok(pfx_panel_source(panel, FIX_COLS, all_names, &o, &src, &err));
                assert_ok(pass(p, &src, &err));
                assert_ok(src.rewind(src.ctx, &err));
                assert_ok(pass(p, &src, &err));
                src.close(src.ctx);
            }
        }
        pfx_panel_close(panel);
        fix_free(p);
    }
}

/* Each chunk of each column lies where the locator says; of compressed columns it says nothing. */
static void chunks_are_found(void **state)
{
    const char *path = test_tmp("found.h5");
    (void)state;
    for (int deflate = 0; deflate <= 1; deflate++) {
        pfx_err err = {0};
        fix_panel *p = fix_make(200001, 0);
        pfx_h5 f;
        assert_ok(fix_write(p, path, 65536, deflate, true, &err));
        assert_ok(pfx_h5_open_read(path, &f, &err));
        pfx_h5_locator *l = pfx_h5_locator_open(&f);
        assert_non_null(l);
        char *want = malloc(8 * 65536 + 4), *got = malloc(8 * 65536 + 4);
        for (int c = 0; c < FIX_COLS; c++) {
            char where[64];
            snprintf(where, sizeof where, "columns/%s", all_names[c]);
            hid_t ds = H5Dopen2(f.id, where, H5P_DEFAULT), located = pfx_h5_locator_dataset(l, where);
            assert_true(ds >= 0 && located >= 0);
            pfx_h5_layout layout = {65536, pfx_dtype_size(p->specs[c].dtype), true};
            for (pfx_idx row = 0; row < 200001; row += 65536) {
                uint32_t stored = 0, again = 1;
                int64_t at = 0;
                if (deflate) {
                    assert_false(pfx_h5_locate(l, located, &layout, row, got, &at));
                    continue;
                }
                assert_true(pfx_h5_read_chunk(ds, &layout, row, want, &stored));
                assert_true(pfx_h5_locate(l, located, &layout, row, got, &at));
                assert_true(pfx_h5_read_bytes(pfx_h5_locator_fd(l), at, 65536 * layout.size, got));
                assert_memory_equal(got, want, 65536 * layout.size);
                assert_true(pfx_h5_read_checksum(pfx_h5_locator_fd(l), at, &layout, &again));
                assert_int_equal(again, stored);
            }
            int64_t at = 0;
            assert_false(pfx_h5_locate(l, located, &layout, 4 * 65536, got, &at)); /* there is none */
            H5Dclose(ds);
        }
        assert_false(pfx_h5_read_bytes(pfx_h5_locator_fd(l), (int64_t)1 << 40, 1, got)); /* behind the end */
        free(want), free(got);
        assert_true(pfx_h5_locator_dataset(l, "columns/none") < 0);
        pfx_h5_locator_close(l);
        pfx_h5_close(&f);
        fix_free(p);
    }
    pfx_h5_locator_close(NULL);
}

/* Change a bit of the x64 cell of a row in the file. */
static void spoil(const fix_panel *p, const char *path, pfx_idx row)
{
    FILE *f = fopen(path, "r+b");
    unsigned char head[64], *b;
    long n, at;
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    b = malloc((size_t)n);
    rewind(f);
    assert_int_equal(fread(b, 1, (size_t)n, f), n);
    memcpy(head, p->cols[FIX_F64].num + row + 1,
           sizeof head); /* what follows it is not touched: found again */
    for (at = 8; at + 64 <= n && memcmp(b + at, head, 64) != 0; at++) {
    }
    assert_true(at + 64 <= n);
    b[at - 8] ^= 1;
    fseek(f, at - 8, SEEK_SET);
    assert_int_equal(fwrite(b + at - 8, 1, 1, f), 1);
    fclose(f);
    free(b);
}

static pfx_status read_x(pfx_row_source *src, pfx_err *err)
{
    const pfx_frame *f;
    pfx_status st;
    while ((st = src->next(src->ctx, &f, err)) == PFX_OK && f) {
    }
    return st;
}

/* Damage that comes after the first pass: found by ALWAYS, taken as it is by ONCE; damage from the start:
 * found by ONCE in its first pass, and a pass that did not end does not count; NEVER looks. */
static void when_verified(void **state)
{
    static const char *const x = "x64";
    pfx_err err = {0};
    fix_panel *p = fix_make(150000, 0);
    const char *path = test_tmp("verify.h5");
    pfx_row_source src[3];
    pfx_panel *panel;
    (void)state;
    assert_ok(fix_write(p, path, 65536, 0, true, &err));
    assert_ok(pfx_panel_open(path, &panel, &err));
    for (int v = 0; v < 3; v++) {
        assert_ok(pfx_panel_source(
            panel, 1, &x, &(pfx_panel_source_options){.verify = (pfx_verify)v, .nth = 2}, &src[v], &err));
        assert_ok(read_x(&src[v], &err));
        assert_ok(src[v].rewind(src[v].ctx, &err));
    }
    spoil(p, path, 80000);
    assert_fails(read_x(&src[PFX_VERIFY_ALWAYS], &err), PFX_EFORMAT,
                 "/columns/x64: cannot read rows 65537 to 131072: checksum wrong");
    assert_fails(read_x(&src[PFX_VERIFY_ALWAYS], &err), PFX_EFORMAT, "checksum wrong"); /* and again */
    assert_ok(read_x(&src[PFX_VERIFY_ONCE], &err));
    assert_ok(read_x(&src[PFX_VERIFY_NEVER], &err));
    for (int v = 0; v < 3; v++) src[v].close(src[v].ctx);
    assert_ok(pfx_panel_source(panel, 1, &x, &(pfx_panel_source_options){.verify = PFX_VERIFY_ONCE}, &src[0],
                               &err));
    const pfx_frame *f;
    assert_ok(src[0].next(src[0].ctx, &f, &err)); /* the first block alone */
    assert_ok(src[0].rewind(src[0].ctx, &err));
    assert_fails(read_x(&src[0], &err), PFX_EFORMAT, "checksum wrong");
    src[0].close(src[0].ctx);
    pfx_panel_close(panel);
    fix_free(p);
}

static void yardstick_reads(void **state)
{
    static const char *const wrong = "x65";
    pfx_err err = {0};
    fix_panel *p = fix_make(70000, 0);
    const char *path = test_tmp("yard.h5");
    pfx_panel *panel;
    double s;
    (void)state;
    assert_ok(fix_write(p, path, 65536, 0, true, &err));
    assert_ok(pfx_panel_open(path, &panel, &err));
    for (int kind = 0; kind < 3; kind++) {
        s = 0;
        assert_ok(pfx_panel_yardstick(panel, FIX_COLS, all_names, (pfx_yardstick)kind, &s, &err));
        assert_true(s > 0);
    }
    assert_fails(pfx_panel_yardstick(panel, 1, &wrong, PFX_YARDSTICK_FRESH, &s, &err), PFX_EUSAGE,
                 "no column \"x65\"");
    spoil(p, path, 66000);
    assert_fails(pfx_panel_yardstick(panel, FIX_COLS, all_names, PFX_YARDSTICK_REUSED, &s, &err), PFX_EFORMAT,
                 "/columns/x64");
    assert_ok(pfx_panel_yardstick(panel, FIX_COLS, all_names, PFX_YARDSTICK_UNCHECKED, &s, &err));
    pfx_panel_close(panel);
    fix_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksum_is_hdf5s), cmocka_unit_test(any_threads),
        cmocka_unit_test(chunks_are_found),  cmocka_unit_test(when_verified),
        cmocka_unit_test(yardstick_reads),
    };
    pfx_err err = {0};
    if (pfx_h5_init(&err) != PFX_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
