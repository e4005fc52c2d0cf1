#include "src/data/csv_input.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "src/base/mem.h"
#include "src/data/import_table.h"

enum { RAW_BYTES = 256 * 1024, HEAD_BYTES = 64 * 1024 };

struct pfx_csv_input {
    char *path;
    pfx_csv_input_options o;
    int fd;
    int64_t size, done;
    char delimiter, newline;
    const char *encoding; /* what is decoded, for provenance */
    size_t bom;           /* bytes of the byte order mark */
    iconv_t cd;           /* (iconv_t)-1: the text is UTF-8 as it is */
    char *raw;            /* [RAW_BYTES] bytes not yet decoded */
    size_t raw_len;
    bool eof, undecodable;
    char *carry; /* a record's beginning, left over from the last batch */
    size_t carry_len, carry_cap;
    pfx_sha256 *hash; /* freed once the first pass is over */
    char sha256[PFX_SHA256_HEX];
};

/* ---- where records end ---- */

/* Whether the quote at q opens a field: only blanks stand between it and a delimiter or a record's start. */
static bool opens_field(const char *text, const char *q, char delimiter)
{
    while (q > text && (q[-1] == ' ' || q[-1] == '\t') && q[-1] != delimiter) q--;
    return q == text || q[-1] == delimiter || q[-1] == '\n' || q[-1] == '\r';
}

/* The byte after the quote that closes a field opened before p; NULL: it stays open up to end. As libcsv has
 * it, a quote closes when blanks and then a delimiter or a line end follow. */
static const char *close_field(const char *p, const char *end, char delimiter)
{
    while ((p = memchr(p, '"', (size_t)(end - p)))) {
        if (p + 1 < end && p[1] == '"') {
            p += 2;
            continue;
        }
        const char *q = p + 1;
        while (q < end && (*q == ' ' || *q == '\t') && *q != delimiter) q++;
        if (q == end || *q == delimiter || *q == '\n' || *q == '\r') return p + 1;
        p++;
    }
    return NULL;
}

int pfx_csv_cuts(const char *text, size_t n, char delimiter, char newline, size_t step, int max, size_t *cut)
{
    const char *end = text + n, *a = text, *last = NULL;
    size_t want = step;
    int k = 0;
    while (a && a < end) { /* a..b lies outside quotes */
        const char *q = a, *b;
        while ((q = memchr(q, '"', (size_t)(end - q))) && !opens_field(text, q, delimiter)) q++;
        b = q ? q : end;
        while (k < max - 1 && text + want < b) {
            const char *from = text + want > a ? text + want : a;
            const char *p = memchr(from, newline, (size_t)(b - from));
            if (!p) break;
            cut[k++] = (size_t)(p + 1 - text);
            want = cut[k - 1] + step;
        }
        const char *p = memrchr(a, newline, (size_t)(b - a));
        if (p) last = p + 1;
        a = q ? close_field(q + 1, end, delimiter) : NULL;
    }
    if (last && (k == 0 || cut[k - 1] < (size_t)(last - text))) cut[k++] = (size_t)(last - text);
    return k;
}

/* ---- bytes ---- */

static pfx_status read_raw(pfx_csv_input *in, char *buf, size_t cap, size_t *got, pfx_err *err)
{
    *got = 0;
    while (*got < cap) {
        ssize_t k = read(in->fd, buf + *got, cap - *got);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return pfx_fail(err, PFX_EIO, "%s: cannot read: %s", in->path, strerror(errno));
        if (k == 0) {
            in->eof = true;
            break;
        }
        *got += (size_t)k;
    }
    in->done += (int64_t)*got;
    if (in->hash) pfx_sha256_add(in->hash, *got, buf);
    if (in->eof && in->hash) {
        pfx_sha256_hex(in->hash, in->sha256);
        pfx_sha256_free(in->hash);
        in->hash = NULL;
    }
    return PFX_OK;
}

/* Fill buf with decoded text, as much as fits. Stops early at bytes that do not decode. */
static pfx_status decode(pfx_csv_input *in, char *buf, size_t cap, size_t *got, pfx_err *err)
{
    char *out = buf;
    while (!in->undecodable) {
        if (!in->eof && in->raw_len < RAW_BYTES / 2) {
            size_t k;
            pfx_status st = read_raw(in, in->raw + in->raw_len, RAW_BYTES - in->raw_len, &k, err);
            if (st != PFX_OK) return st;
            in->raw_len += k;
        }
        if (in->raw_len == 0) break;
        char *from = in->raw;
        size_t left = in->raw_len, room = cap - (size_t)(out - buf), before = left;
        size_t r = iconv(in->cd, &from, &left, &out, &room);
        int e = errno;
        memmove(in->raw, from, left);
        in->raw_len = left;
        if (r != (size_t)-1) continue;
        if (e == E2BIG) break;
        if (e == EINVAL && !in->eof && left < before) continue; /* a character cut by the buffer's end */
        if (e == EINVAL && !in->eof && left < RAW_BYTES / 2) continue;
        in->undecodable = true;
    }
    *got = (size_t)(out - buf);
    return PFX_OK;
}

static pfx_status refill(pfx_csv_input *in, char *buf, size_t cap, size_t *got, pfx_err *err)
{
    return in->cd == (iconv_t)-1 ? read_raw(in, buf, cap, got, err) : decode(in, buf, cap, got, err);
}

static bool at_end(const pfx_csv_input *in)
{
    return in->undecodable || (in->eof && (in->cd == (iconv_t)-1 || in->raw_len == 0));
}

pfx_status pfx_csv_input_rewind(pfx_csv_input *in, pfx_err *err)
{
    if (lseek(in->fd, (off_t)in->bom, SEEK_SET) < 0)
        return pfx_fail(err, PFX_EIO, "%s: cannot go back to the start: %s", in->path, strerror(errno));
    if (in->cd != (iconv_t)-1) iconv(in->cd, NULL, NULL, NULL, NULL);
    in->raw_len = in->carry_len = 0;
    in->eof = in->undecodable = false;
    in->done = (int64_t)in->bom;
    if (in->hash) { /* the pass before was not finished; the mark was skipped, but belongs to the file */
        unsigned char m[4];
        pfx_sha256_hex(in->hash, in->sha256);
        if (pread(in->fd, m, in->bom, 0) == (ssize_t)in->bom) pfx_sha256_add(in->hash, in->bom, m);
    }
    return PFX_OK;
}

/* ---- opening ---- */

/* Copy a pipe to an unnamed file, so that it can be read twice. */
static pfx_status spool(pfx_csv_input *in, pfx_err *err)
{
    int fd = pfx_tmpfile_open(in->o.tmpdir, err);
    if (fd < 0) return PFX_EIO;
    char *buf = pfx_mem_alloc(RAW_BYTES, 1, err);
    pfx_status st = buf ? PFX_OK : PFX_ENOMEM;
    while (st == PFX_OK) {
        ssize_t k = read(in->fd, buf, RAW_BYTES);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) st = pfx_fail(err, PFX_EIO, "%s: cannot read: %s", in->path, strerror(errno));
        if (k <= 0) break;
        st = pfx_tmpfile_write(fd, in->o.tmpdir, in->size, (size_t)k, buf, err);
        in->size += k;
    }
    pfx_mem_free(buf);
    close(in->fd);
    in->fd = fd;
    return st;
}

static pfx_status open_file(pfx_csv_input *in, pfx_err *err)
{
    struct stat sb;
    in->fd = open(in->path, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0 || fstat(in->fd, &sb) < 0)
        return pfx_fail(err, PFX_EIO, "%s: cannot open: %s", in->path, strerror(errno));
    if (S_ISDIR(sb.st_mode)) return pfx_fail(err, PFX_EIO, "%s: is a folder, not a file", in->path);
    in->size = sb.st_size;
    if (!S_ISREG(sb.st_mode)) {
        in->size = 0;
        return spool(in, err);
    }
    posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return PFX_OK;
}

/* What the first bytes say: a byte order mark, or a file that is no text at all. */
static pfx_status look_at_start(pfx_csv_input *in, pfx_err *err)
{
    unsigned char m[8] = {0};
    ssize_t k = pread(in->fd, m, sizeof m, 0);
    if (k < 0) return pfx_fail(err, PFX_EIO, "%s: cannot read: %s", in->path, strerror(errno));
    if (k == 0)
        return pfx_fail(err, PFX_EFORMAT, "%s: the file is empty; want a header row and data rows", in->path);
    const char *kind =
        !memcmp(m, "PK\3\4", 4) || !memcmp(m, "\xd0\xcf\x11\xe0", 4)
            ? "an Excel workbook or zip archive; save the sheet as CSV"
        : !memcmp(m, "\x1f\x8b", 2)         ? "compressed with gzip; unpack it first, or give <(zcat FILE)"
        : !memcmp(m, "\x28\xb5\x2f\xfd", 4) ? "compressed with zstd; unpack it first, or give <(zstdcat FILE)"
        : !memcmp(m,
                  "\xfd"
                  "7zXZ",
                  5)
            ? "compressed with xz; unpack it first, or give <(xzcat FILE)"
        : !memcmp(m, "\x89HDF", 4) ? "an HDF5 file; import reads CSV, .dta, .sav and .sas7bdat"
                                   : NULL;
    if (kind) return pfx_fail(err, PFX_EFORMAT, "%s: this is %s", in->path, kind);
    const char *marked = NULL;
    if (k >= 3 && !memcmp(m, "\xef\xbb\xbf", 3))
        in->bom = 3, marked = "UTF-8";
    else if (k >= 2 && !memcmp(m, "\xff\xfe", 2))
        in->bom = 2, marked = "UTF-16LE";
    else if (k >= 2 && !memcmp(m, "\xfe\xff", 2))
        in->bom = 2, marked = "UTF-16BE";
    in->encoding = marked ? marked : in->o.encoding ? in->o.encoding : "UTF-8";
    if (!strcmp(in->encoding, "UTF-8") || !strcmp(in->encoding, "utf-8")) return PFX_OK;
    in->cd = iconv_open("UTF-8", in->encoding);
    if (in->cd == (iconv_t)-1)
        return pfx_fail(err, PFX_EUSAGE,
                        "--encoding %s: unknown; iconv -l lists the names, such as GBK, GB18030, latin1",
                        in->encoding);
    in->raw = pfx_mem_alloc(RAW_BYTES, 1, err);
    return in->raw ? PFX_OK : PFX_ENOMEM;
}

/* Delimiter and line end, from the header line. */
static void detect_layout(pfx_csv_input *in, const char *s, size_t n)
{
    static const char candidates[] = {',', ';', '\t', '|'};
    int count[4] = {0}, best = 0;
    bool quoted = false;
    size_t i = 0;
    for (; i < n; i++) {
        if (s[i] == '"') quoted = !quoted;
        if (quoted) continue;
        if (s[i] == '\n' || s[i] == '\r') break;
        for (int c = 0; c < 4; c++) count[c] += s[i] == candidates[c];
    }
    for (int c = 1; c < 4; c++)
        if (count[c] > count[best]) best = c;
    in->delimiter = in->o.delimiter ? in->o.delimiter : candidates[best];
    in->newline = i < n && s[i] == '\r' && !(i + 1 < n && s[i + 1] == '\n') ? '\r' : '\n';
}

pfx_status pfx_csv_input_open(const char *path, const pfx_csv_input_options *o, pfx_csv_input **out,
                              pfx_err *err)
{
    pfx_csv_input *in = pfx_mem_calloc(1, sizeof *in, err);
    if (!in) return PFX_ENOMEM;
    in->o = *o;
    in->fd = -1;
    in->cd = (iconv_t)-1;
    char *head = NULL;
    size_t n = 0;
    pfx_status st = PFX_ENOMEM;
    if (!(in->path = pfx_mem_strdup(path, err)) || !(head = pfx_mem_alloc(HEAD_BYTES, 1, err))) goto done;
    if ((st = open_file(in, err)) != PFX_OK || (st = look_at_start(in, err)) != PFX_OK ||
        (st = pfx_csv_input_rewind(in, err)) != PFX_OK ||
        (st = refill(in, head, HEAD_BYTES, &n, err)) != PFX_OK)
        goto done;
    detect_layout(in, head, n);
    in->hash = pfx_sha256_new();
    st = in->hash ? pfx_csv_input_rewind(in, err)
                  : pfx_fail(err, PFX_ENOMEM, "out of memory for the checksum");
done:
    pfx_mem_free(head);
    if (st != PFX_OK) {
        pfx_csv_input_close(in);
        in = NULL;
    }
    *out = in;
    return st;
}

void pfx_csv_input_close(pfx_csv_input *in)
{
    if (!in) return;
    if (in->fd >= 0) close(in->fd);
    if (in->cd != (iconv_t)-1) iconv_close(in->cd);
    pfx_sha256_free(in->hash);
    pfx_mem_free(in->raw);
    pfx_mem_free(in->carry);
    pfx_mem_free(in->path);
    pfx_mem_free(in);
}

/* ---- batches ---- */

static pfx_status batch_reserve(pfx_csv_batch *b, size_t cap, pfx_err *err)
{
    if (cap <= b->cap) return PFX_OK;
    char *buf = pfx_mem_realloc(b->buf, (pfx_idx)cap, 1, err);
    if (!buf) return PFX_ENOMEM;
    b->buf = buf;
    b->cap = cap;
    return PFX_OK;
}

static pfx_status keep_carry(pfx_csv_input *in, const char *s, size_t n, pfx_err *err)
{
    if (n > in->carry_cap) {
        char *c = pfx_mem_realloc(in->carry, (pfx_idx)n, 1, err);
        if (!c) return PFX_ENOMEM;
        in->carry = c;
        in->carry_cap = n;
    }
    if (n) memcpy(in->carry, s, n);
    in->carry_len = n;
    return PFX_OK;
}

static void set_chunks(pfx_csv_batch *b, int n_cuts, const size_t *cut, size_t end, pfx_csv_flaw flaw)
{
    size_t from = 0;
    b->n_chunks = 0;
    for (int i = 0; i < n_cuts; i++) {
        b->chunks[b->n_chunks++] = (pfx_csv_chunk){b->buf + from, cut[i] - from, PFX_CSV_SOUND};
        from = cut[i];
    }
    if (end > from || flaw != PFX_CSV_SOUND)
        b->chunks[b->n_chunks++] = (pfx_csv_chunk){b->buf + from, end - from, flaw};
}

pfx_status pfx_csv_input_next(pfx_csv_input *in, pfx_csv_batch *b, pfx_err *err)
{
    const int max_cuts = in->o.batch_chunks + 2;
    size_t len = in->carry_len, cut[64];
    pfx_status st = batch_reserve(b, in->o.chunk_bytes * (size_t)in->o.batch_chunks + len, err);
    if (st == PFX_OK && b->cap_chunks < max_cuts) {
        pfx_mem_free(b->chunks);
        b->chunks = pfx_mem_alloc(max_cuts + 1, sizeof *b->chunks, err);
        b->cap_chunks = b->chunks ? max_cuts : 0;
        st = b->chunks ? PFX_OK : PFX_ENOMEM;
    }
    if (st != PFX_OK) return st;
    if (len) memcpy(b->buf, in->carry, len);
    in->carry_len = 0;
    b->n_chunks = 0;
    for (;;) {
        size_t got;
        if ((st = refill(in, b->buf + len, b->cap - len, &got, err)) != PFX_OK) return st;
        len += got;
        int n = pfx_csv_cuts(b->buf, len, in->delimiter, in->newline, in->o.chunk_bytes, max_cuts, cut);
        size_t last = n ? cut[n - 1] : 0;
        if (at_end(in)) {
            set_chunks(b, n, cut, len, in->undecodable ? PFX_CSV_UNDECODABLE : PFX_CSV_SOUND);
            in->undecodable = false;
            in->raw_len = 0;
            in->eof = true;
            return PFX_OK;
        }
        if (n) {
            set_chunks(b, n, cut, last, PFX_CSV_SOUND);
            return keep_carry(in, b->buf + last, len - last, err);
        }
        if (len >= in->o.max_record) {
            set_chunks(b, 0, cut, len, PFX_CSV_TOO_LONG);
            return PFX_OK;
        }
        if ((st = batch_reserve(b, b->cap * 2, err)) != PFX_OK) return st;
    }
}

void pfx_csv_batch_free(pfx_csv_batch *b)
{
    if (!b) return;
    pfx_mem_free(b->buf);
    pfx_mem_free(b->chunks);
    *b = (pfx_csv_batch){0};
}

char pfx_csv_input_delimiter(const pfx_csv_input *in)
{
    return in->delimiter;
}
const char *pfx_csv_input_encoding(const pfx_csv_input *in)
{
    return in->encoding;
}
int64_t pfx_csv_input_size(const pfx_csv_input *in)
{
    return in->size;
}
int64_t pfx_csv_input_done(const pfx_csv_input *in)
{
    return in->done;
}
const char *pfx_csv_input_sha256(const pfx_csv_input *in)
{
    return in->sha256;
}

const char *pfx_csv_guess_encoding(const char *text, size_t n)
{
    char *from = (char *)text, buf[4096];
    iconv_t cd = iconv_open("UTF-8", "GB18030");
    if (cd == (iconv_t)-1) return "GB18030";
    bool ok = true;
    while (n && ok) {
        char *out = buf;
        size_t room = sizeof buf;
        if (iconv(cd, &from, &n, &out, &room) == (size_t)-1) {
            if (errno == EINVAL) break; /* cut inside a character */
            ok = errno == E2BIG;
        }
    }
    iconv_close(cd);
    return ok ? "GB18030" : "windows-1252";
}
