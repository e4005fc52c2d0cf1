/* Runs of records sorted in memory, written one after another, merged through one buffer each. */
#include <string.h>
#include <unistd.h>
#include "src/base/mem.h"
#include "src/data/import_table.h"
#include "src/data/sort.h"

typedef struct run {
    int64_t at, end; /* bytes of the file not yet read */
    char *buf;       /* the records read */
    pfx_idx i, n;    /* next of n records in buf */
} run;

struct pfx_sort_external {
    size_t record;
    const char *tmpdir;
    char *buf;            /* [cap] records */
    pfx_sort_pair *pairs; /* [2 cap] */
    pfx_idx cap, n;
    int fd;
    int64_t bytes;
    run *runs;
    pfx_idx n_runs, cap_runs;
    pfx_idx *heap; /* [n_heap] runs by their next record */
    pfx_idx n_heap;
    pfx_idx buf_records; /* of each run's buffer */
    pfx_idx next;        /* where all records fit: the next pair */
};

typedef struct sort_keys {
    uint64_t hi, lo;
} sort_keys;

static sort_keys keys_at(const char *record)
{
    sort_keys k;
    memcpy(&k, record, sizeof k);
    return k;
}

pfx_status pfx_sort_external_new(size_t record_bytes, size_t memory, const char *tmpdir,
                                 pfx_sort_external **out, pfx_err *err)
{
    *out = NULL;
    pfx_sort_external *s = pfx_mem_calloc(1, sizeof *s, err);
    if (!s) return PFX_ENOMEM;
    s->record = record_bytes;
    s->tmpdir = tmpdir;
    s->fd = -1;
    s->cap = (pfx_idx)(memory / (record_bytes + 2 * sizeof *s->pairs));
    if (s->cap < 64) s->cap = 64;
    s->buf = pfx_mem_alloc(s->cap, record_bytes, err);
    s->pairs = pfx_mem_alloc(s->cap, 2 * sizeof *s->pairs, err);
    if (!s->buf || !s->pairs) {
        pfx_sort_external_free(s);
        return PFX_ENOMEM;
    }
    *out = s;
    return PFX_OK;
}

/* Stable by lo, then stable by hi: together by (hi, lo). */
static void sort_buffer(pfx_sort_external *s)
{
    for (pfx_idx i = 0; i < s->n; i++)
        s->pairs[i] = (pfx_sort_pair){keys_at(s->buf + (size_t)i * s->record).lo, i};
    pfx_sort_pairs(s->n, s->pairs, s->pairs + s->cap);
    for (pfx_idx i = 0; i < s->n; i++)
        s->pairs[i].key = keys_at(s->buf + (size_t)s->pairs[i].value * s->record).hi;
    pfx_sort_pairs(s->n, s->pairs, s->pairs + s->cap);
}

static pfx_status add_run(pfx_sort_external *s, run r, pfx_err *err)
{
    if (s->n_runs == s->cap_runs) {
        pfx_idx cap = s->cap_runs ? s->cap_runs * 2 : 16;
        run *runs = pfx_mem_realloc(s->runs, cap, sizeof *runs, err);
        if (!runs) return PFX_ENOMEM;
        s->runs = runs;
        s->cap_runs = cap;
    }
    s->runs[s->n_runs++] = r;
    return PFX_OK;
}

static pfx_status write_run(pfx_sort_external *s, pfx_err *err)
{
    enum { PIECE = 1 << 20 };
    char *piece = pfx_mem_alloc(PIECE + (pfx_idx)s->record, 1, err);
    pfx_status st = piece ? PFX_OK : PFX_ENOMEM;
    size_t len = 0;
    run r = {.at = s->bytes};
    if (st == PFX_OK && s->fd < 0 && (s->fd = pfx_tmpfile_open(s->tmpdir, err)) < 0) st = PFX_EIO;
    if (st == PFX_OK) sort_buffer(s);
    for (pfx_idx i = 0; i < s->n && st == PFX_OK; i++) {
        memcpy(piece + len, s->buf + (size_t)s->pairs[i].value * s->record, s->record);
        len += s->record;
        if (len < PIECE && i + 1 < s->n) continue;
        st = pfx_tmpfile_write(s->fd, s->tmpdir, s->bytes, len, piece, err);
        s->bytes += (int64_t)len;
        len = 0;
    }
    pfx_mem_free(piece);
    r.end = s->bytes;
    s->n = 0;
    return st == PFX_OK ? add_run(s, r, err) : st;
}

pfx_status pfx_sort_external_add(pfx_sort_external *s, void **record, pfx_err *err)
{
    if (s->n == s->cap) {
        pfx_status st = write_run(s, err);
        if (st != PFX_OK) return st;
    }
    *record = s->buf + (size_t)s->n++ * s->record;
    return PFX_OK;
}

/* ---- merging ---- */

static pfx_status fill(pfx_sort_external *s, run *r, pfx_err *err)
{
    size_t n = (size_t)s->buf_records * s->record;
    if ((int64_t)n > r->end - r->at) n = (size_t)(r->end - r->at);
    r->i = 0;
    r->n = (pfx_idx)(n / s->record);
    r->at += (int64_t)n;
    return n ? pfx_tmpfile_read(s->fd, s->tmpdir, r->at - (int64_t)n, n, r->buf, err) : PFX_OK;
}

/* Earlier runs hold earlier records, so that a tie goes to the lower number. */
static bool before(const pfx_sort_external *s, pfx_idx a, pfx_idx b)
{
    const run *x = &s->runs[a], *y = &s->runs[b];
    sort_keys k = keys_at(x->buf + (size_t)x->i * s->record), l = keys_at(y->buf + (size_t)y->i * s->record);
    if (k.hi != l.hi) return k.hi < l.hi;
    return k.lo != l.lo ? k.lo < l.lo : a < b;
}

static void sift_down(pfx_sort_external *s, pfx_idx i)
{
    for (;;) {
        pfx_idx c = 2 * i + 1;
        if (c >= s->n_heap) return;
        if (c + 1 < s->n_heap && before(s, s->heap[c + 1], s->heap[c])) c++;
        if (!before(s, s->heap[c], s->heap[i])) return;
        pfx_idx t = s->heap[c];
        s->heap[c] = s->heap[i];
        s->heap[i] = t;
        i = c;
    }
}

pfx_status pfx_sort_external_finish(pfx_sort_external *s, pfx_err *err)
{
    if (s->n_runs == 0) { /* all fits: no file */
        sort_buffer(s);
        return PFX_OK;
    }
    size_t memory = (size_t)s->cap * (s->record + 2 * sizeof *s->pairs);
    pfx_status st = s->n ? write_run(s, err) : PFX_OK;
    pfx_mem_free(s->buf);
    pfx_mem_free(s->pairs);
    s->buf = NULL;
    s->pairs = NULL;
    if (st != PFX_OK) return st;
    s->buf_records = (pfx_idx)(memory / (size_t)s->n_runs / s->record);
    if (s->buf_records < 1) s->buf_records = 1;
    if (!(s->heap = pfx_mem_alloc(s->n_runs, sizeof *s->heap, err))) return PFX_ENOMEM;
    for (pfx_idx r = 0; r < s->n_runs; r++) {
        if (!(s->runs[r].buf = pfx_mem_alloc(s->buf_records, s->record, err))) return PFX_ENOMEM;
        if ((st = fill(s, &s->runs[r], err)) != PFX_OK) return st;
        s->heap[s->n_heap++] = r;
    }
    for (pfx_idx i = s->n_heap / 2; i-- > 0;) sift_down(s, i);
    s->next = -1;
    return PFX_OK;
}

pfx_status pfx_sort_external_next(pfx_sort_external *s, const void **record, pfx_err *err)
{
    *record = NULL;
    if (s->n_runs == 0) {
        if (s->next < s->n) *record = s->buf + (size_t)s->pairs[s->next++].value * s->record;
        return PFX_OK;
    }
    if (s->next >= 0) { /* the record given last is used up only now */
        run *r = &s->runs[s->heap[0]];
        if (++r->i == r->n) {
            pfx_status st = fill(s, r, err);
            if (st != PFX_OK) return st;
            if (r->n == 0) s->heap[0] = s->heap[--s->n_heap];
        }
        sift_down(s, 0);
    }
    s->next = 0;
    if (s->n_heap) {
        run *r = &s->runs[s->heap[0]];
        *record = r->buf + (size_t)r->i * s->record;
    }
    return PFX_OK;
}

void pfx_sort_external_free(pfx_sort_external *s)
{
    if (!s) return;
    for (pfx_idx r = 0; r < s->n_runs; r++) pfx_mem_free(s->runs[r].buf);
    if (s->fd >= 0) close(s->fd);
    pfx_mem_free(s->runs);
    pfx_mem_free(s->heap);
    pfx_mem_free(s->buf);
    pfx_mem_free(s->pairs);
    pfx_mem_free(s);
}
