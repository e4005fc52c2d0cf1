#include "tests/test.h"

static void first_message_is_kept(void **state)
{
    (void)state;
    pfx_err err = {0};
    assert_int_equal(pfx_fail(&err, PFX_EDATA, "row %d", 7), PFX_EDATA);
    assert_int_equal(pfx_fail(&err, PFX_EIO, "outer"), PFX_EDATA);
    assert_string_equal(err.msg, "row 7");
    pfx_err_clear(&err);
    assert_int_equal(err.status, PFX_OK);
    assert_string_equal(err.msg, "");
    assert_int_equal(pfx_fail(NULL, PFX_EUSAGE, "nobody listens"), PFX_EUSAGE);
}

static void message_is_one_whole_line(void **state)
{
    (void)state;
    pfx_err err = {0};
    char text[3000];
    pfx_fail(&err, PFX_EIO, "a\nb\tc\r");
    assert_string_equal(err.msg, "a b c ");
    /* A cut falls between characters, wherever the first one begins. */
    for (int shift = 0; shift < 3; shift++) {
        memset(text, 'x', sizeof text);
        for (int i = shift; i + 3 < 2900; i += 3) memcpy(text + i, "\xe4\xb8\xad", 3);
        text[2900] = '\0';
        pfx_err_clear(&err);
        pfx_fail(&err, PFX_EIO, "%s", text);
        size_t n = strlen(err.msg);
        assert_true(n < sizeof err.msg && n > sizeof err.msg - 8);
        assert_string_equal(err.msg + n - 3, "...");
        assert_memory_equal(err.msg + n - 6, "\xe4\xb8\xad", 3);
    }
}

static void exit_codes(void **state)
{
    (void)state;
    static const int want[] = {0, 1, 1, 2, 3, 3, 4, 4, 75};
    for (int s = PFX_OK; s <= PFX_EINTR; s++) assert_int_equal(pfx_status_exit_code((pfx_status)s), want[s]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_message_is_kept),
        cmocka_unit_test(message_is_one_whole_line),
        cmocka_unit_test(exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
