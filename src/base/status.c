#include "src/base/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* One line: control characters in quoted input must not break it. A message cut at the end keeps whole UTF-8
 * characters and shows that it was cut. */
static void tidy(char *msg, size_t size, bool cut)
{
    size_t len = strlen(msg);
    if (cut) {
        size_t at = size - 4;
        while (at > 0 && ((unsigned char)msg[at] & 0xC0) == 0x80) at--;
        memcpy(msg + at, "...", 4);
        len = at + 3;
    }
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)msg[i] < 0x20 || msg[i] == 0x7F) msg[i] = ' ';
}

pfx_status pfx_fail(pfx_err *err, pfx_status status, const char *fmt, ...)
{
    if (!err) return status;
    if (err->status != PFX_OK) return err->status;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    if (n < 0) err->msg[0] = '\0';
    tidy(err->msg, sizeof err->msg, n >= (int)sizeof err->msg);
    err->status = status;
    return status;
}

void pfx_err_clear(pfx_err *err)
{
    if (!err) return;
    err->status = PFX_OK;
    err->msg[0] = '\0';
}

int pfx_status_exit_code(pfx_status status)
{
    switch (status) {
    case PFX_OK:
        return 0;
    case PFX_EIO:
    case PFX_ENOMEM:
        return 1;
    case PFX_EUSAGE:
        return 2;
    case PFX_EDATA:
    case PFX_EFORMAT:
        return 3;
    case PFX_ENOCONV:
    case PFX_EIDENT:
        return 4;
    case PFX_EINTR:
        return 75;
    }
    return 1;
}
