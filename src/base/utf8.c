/* UTF-8: is it, and how wide does it print. */
#include "src/base/text.h"

/* Decode one character of s [n], n > 0; its length in bytes, or 0 if it is not well formed (overlong forms
 * and surrogates are not). */
static int decode(const unsigned char *s, size_t n, uint32_t *out)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    int len = s[0] < 0x80             ? 1
              : (s[0] & 0xE0) == 0xC0 ? 2
              : (s[0] & 0xF0) == 0xE0 ? 3
              : (s[0] & 0xF8) == 0xF0 ? 4
                                      : 0;
    if (len == 0 || (size_t)len > n) return 0;
    uint32_t c = len == 1 ? s[0] : s[0] & (0xFFu >> (len + 1));
    for (int i = 1; i < len; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3Fu);
    }
    if (c < least[len] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return 0;
    *out = c;
    return len;
}

bool pfx_text_is_utf8(const char *s, size_t n)
{
    uint32_t c;
    for (size_t at = 0; at < n;) {
        int len = decode((const unsigned char *)s + at, n - at, &c);
        if (len == 0) return false;
        at += (size_t)len;
    }
    return true;
}

typedef struct range {
    uint32_t first, last;
} range;

/* Unicode 15, East Asian Width W and F, blocks joined where what lies between them is unassigned. */
static const range wide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0x33FF},   {0x3400, 0x4DBF},
                             {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},   {0xA960, 0xA97F},   {0xAC00, 0xD7A3},
                             {0xF900, 0xFAFF},   {0xFE10, 0xFE19},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
                             {0xFFE0, 0xFFE6},   {0x17000, 0x18DFF}, {0x1B000, 0x1B2FF}, {0x1F300, 0x1F64F},
                             {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
/* Combining marks and joiners of the scripts that labels of panels hold. */
static const range zero[] = {{0x0300, 0x036F}, {0x0483, 0x0489},  {0x0591, 0x05BD}, {0x064B, 0x065F},
                             {0x200B, 0x200F}, {0x20D0, 0x20F0},  {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F},
                             {0xFEFF, 0xFEFF}, {0xE0100, 0xE01EF}};

static bool in_ranges(uint32_t c, const range *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= r[i].first && c <= r[i].last) return true;
    return false;
}

int pfx_text_width(const char *s)
{
    int width = 0;
    while (*s) {
        uint32_t c;
        int len = decode((const unsigned char *)s, 4, &c); /* stops at the NUL, which continues nothing */
        if (len == 0) {
            width++;
            s++;
            continue;
        }
        if (in_ranges(c, wide, sizeof wide / sizeof *wide))
            width += 2;
        else if (c >= 0x20 && c != 0x7F && !in_ranges(c, zero, sizeof zero / sizeof *zero))
            width++;
        s += len;
    }
    return width;
}
