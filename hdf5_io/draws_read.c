/* Reading of draws files. */
#include "hdf5_io/draws_private.h"

#include <stdio.h>
#include <string.h>
#include "src/base/mem.h"

/* Values of a field that are read at once. */
enum { BLOCK_VALUES = 65536 };

enum { COMMAND, METHOD, TERM, OPTIONS, SPEC_DIGEST, PANEL_DIGEST, ENGINE, CPU, BLAS, NUMERICS, N_TEXTS };
static const char *const text_names[N_TEXTS] = {"command",      "method",  "term", "options", "spec_digest",
                                                "panel_digest", "panelfx", "cpu",  "blas",    "numerics"};

struct pfx_draws {
    pfx_h5 h5;
    pfx_idx version;
    char *text[N_TEXTS];
    pfx_draw_spec spec;
    pfx_idx n; /* draws here */
    bool complete;
    char **terms, **extra; /* owned, as spec has them */
};

static pfx_status check_format(const pfx_h5 *f, pfx_idx *version, pfx_err *err)
{
    char *format = NULL;
    pfx_status st = pfx_h5_get_text(f, f->id, "", "format", &format, err);
    if (st == PFX_OK && strcmp(format, PFX_DRAWS_FORMAT) != 0)
        st = pfx_fail(err, PFX_EFORMAT, "%s: its format is \"%.64s\", not %s", f->path, format,
                      PFX_DRAWS_FORMAT);
    pfx_mem_free(format);
    if (st == PFX_OK) st = pfx_h5_get_int(f, f->id, "", "version", version, err);
    if (st == PFX_OK && *version != PFX_DRAWS_VERSION)
        st = pfx_fail(err, PFX_EFORMAT, "%s: draws format version %lld, this program reads version %d",
                      f->path, (long long)*version, PFX_DRAWS_VERSION);
    return st;
}

static pfx_status read_attributes(pfx_draws *d, bool part, pfx_err *err)
{
    pfx_draw_spec *s = &d->spec;
    pfx_idx seed = 0, first = 1, complete = 0;
    const struct {
        const char *name;
        pfx_idx *to;
    } counts[] = {{"seed", &seed},      {"reps", &s->reps},       {"first", &first},      {"last", &s->last},
                  {"shard", &s->shard}, {"shards", &s->n_shards}, {"complete", &complete}};
    pfx_status st = PFX_OK;
    for (size_t i = 0; i < sizeof counts / sizeof *counts && st == PFX_OK; i++)
        st = pfx_h5_get_int(&d->h5, d->h5.id, "", counts[i].name, counts[i].to, err);
    for (int i = 0; i < N_TEXTS && st == PFX_OK; i++)
        st = pfx_h5_get_text(&d->h5, d->h5.id, "", text_names[i], &d->text[i], err);
    if (st != PFX_OK) return st;
    s->seed = (uint64_t)seed;
    s->first = first - 1;
    s->command = d->text[COMMAND];
    s->method = d->text[METHOD];
    s->options = d->text[OPTIONS];
    s->spec_digest = d->text[SPEC_DIGEST];
    s->panel_digest = d->text[PANEL_DIGEST];
    s->blas = d->text[BLAS];
    s->numerics = d->text[NUMERICS];
    d->complete = complete == 1;
    if (!d->complete && !part)
        return pfx_fail(err, PFX_EFORMAT,
                        "%s: a checkpoint, not a finished file; run its command again with --resume",
                        d->h5.path);
    if (s->first < 0 || s->last < s->first || s->last > s->reps)
        return pfx_fail(err, PFX_EFORMAT, "%s: replicates %lld to %lld of %lld make no sense", d->h5.path,
                        (long long)first, (long long)s->last, (long long)s->reps);
    return PFX_OK;
}

/* Shape of a dataset: [rows] or [rows x columns]; 0 columns: not there. */
static pfx_status shape(const pfx_draws *d, const char *where, pfx_idx *rows, pfx_idx *columns, pfx_err *err)
{
    hsize_t dims[2] = {0, 1};
    hid_t ds = H5Dopen2(d->h5.id, where, H5P_DEFAULT), sp = ds < 0 ? H5I_INVALID_HID : H5Dget_space(ds);
    int rank = sp < 0 ? -1 : H5Sget_simple_extent_ndims(sp);
    pfx_status st = PFX_OK;
    if (rank < 1 || rank > 2 || H5Sget_simple_extent_dims(sp, dims, NULL) < 0)
        st = pfx_fail(err, PFX_EFORMAT, "%s:/%s: absent, or neither one- nor two-dimensional", d->h5.path,
                      where);
    *rows = (pfx_idx)dims[0];
    *columns = (pfx_idx)dims[1];
    if (sp >= 0) H5Sclose(sp);
    if (ds >= 0) H5Dclose(ds);
    return st;
}

/* Text of a fixed length, n of them, each a new string. */
static pfx_status read_texts(const pfx_draws *d, const char *where, pfx_idx n, char **out, pfx_err *err)
{
    pfx_status st = PFX_OK;
    hid_t ds = H5Dopen2(d->h5.id, where, H5P_DEFAULT), t = ds < 0 ? H5I_INVALID_HID : H5Dget_type(ds);
    char *cells = NULL;
    if (t < 0 || H5Tget_class(t) != H5T_STRING || H5Tis_variable_str(t) != 0) {
        st = pfx_fail(err, PFX_EFORMAT, "%s:/%s: absent, or not text of a fixed length", d->h5.path, where);
        goto done;
    }
    size_t width = H5Tget_size(t);
    if (!(cells = pfx_mem_alloc(n, width, err))) {
        st = PFX_ENOMEM;
        goto done;
    }
    if (H5Dread(ds, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, cells) < 0)
        st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: cannot read", d->h5.path, where);
    for (pfx_idx i = 0; i < n && st == PFX_OK; i++)
        if (!(out[i] =
                  pfx_mem_strndup(cells + (size_t)i * width, strnlen(cells + (size_t)i * width, width), err)))
            st = PFX_ENOMEM;
done:
    pfx_mem_free(cells);
    if (t >= 0) H5Tclose(t);
    if (ds >= 0) H5Dclose(ds);
    return st;
}

static pfx_status read_terms(pfx_draws *d, pfx_err *err)
{
    pfx_idx rows = 0, columns = 0, n = 0, ones = 0;
    pfx_status st = shape(d, "draws/estimate", &rows, &columns, err);
    if (st != PFX_OK) return st;
    if (!(d->terms = pfx_mem_calloc(columns, sizeof *d->terms, err))) return PFX_ENOMEM;
    d->spec.n_terms = (int)columns;
    d->spec.terms = (const char *const *)d->terms;
    if (columns == 1) return (d->terms[0] = pfx_mem_strdup(d->text[TERM], err)) ? PFX_OK : PFX_ENOMEM;
    if ((st = shape(d, PFX_DRAWS_TERMS, &n, &ones, err)) != PFX_OK) return st;
    if (n != columns || ones != 1)
        return pfx_fail(err, PFX_EFORMAT, "%s:/%s: %lld names for %lld terms", d->h5.path, PFX_DRAWS_TERMS,
                        (long long)n, (long long)columns);
    return read_texts(d, PFX_DRAWS_TERMS, n, d->terms, err);
}

/* A name under /draws that is none of those of every file is a field of the method's own. */
static bool is_extra(const char *name)
{
    for (int f = 0; f < PFX_DRAW_FIELDS; f++)
        if (!strcmp(name, pfx_draw_field_names[f])) return false;
    return strcmp(name, "replicate") != 0 && strcmp(name, "terms") != 0;
}

typedef struct names {
    pfx_draws *d;
    pfx_err *err;
} names;

static herr_t take_name(hid_t group, const char *name, const H5L_info_t *info, void *ctx)
{
    names *n = ctx;
    pfx_draws *d = n->d;
    (void)group, (void)info;
    if (!is_extra(name)) return 0;
    char **more = pfx_mem_realloc(d->extra, d->spec.n_extra + 1, sizeof *more, n->err);
    if (!more) return -1;
    d->extra = more;
    if (!(more[d->spec.n_extra] = pfx_mem_strdup(name, n->err))) return -1;
    d->spec.n_extra++;
    return 0;
}

static pfx_status read_fields(pfx_draws *d, pfx_err *err)
{
    names n = {d, err};
    hid_t g = H5Gopen2(d->h5.id, "draws", H5P_DEFAULT);
    pfx_status st = PFX_OK;
    if (g < 0) return pfx_fail(err, PFX_EFORMAT, "%s: no group /draws", d->h5.path);
    if (H5Literate(g, H5_INDEX_CRT_ORDER, H5_ITER_INC, NULL, take_name, &n) < 0)
        st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/draws: cannot list", d->h5.path);
    H5Gclose(g);
    d->spec.extra = (const char *const *)d->extra;
    return st;
}

static const char *field_name(const pfx_draws *d, int f)
{
    return f < PFX_DRAW_FIELDS ? pfx_draw_field_names[f] : d->extra[f - PFX_DRAW_FIELDS];
}

static pfx_status check_shapes(pfx_draws *d, pfx_err *err)
{
    pfx_idx want = d->spec.last - d->spec.first, rows = 0, columns = 0;
    if (!d->complete) {
        pfx_status st = shape(d, PFX_DRAWS_REPLICATE, &rows, &columns, err);
        if (st != PFX_OK) return st;
        if (rows < want) want = rows;
    }
    d->n = want;
    for (int f = -1; f < PFX_DRAW_FIELDS + d->spec.n_extra; f++) {
        char where[300];
        snprintf(where, sizeof where, "draws/%.255s", f < 0 ? "replicate" : field_name(d, f));
        pfx_status st = shape(d, where, &rows, &columns, err);
        if (st != PFX_OK) return st;
        if (rows != want || columns != (f < 0 ? 1 : d->spec.n_terms))
            return pfx_fail(err, PFX_EFORMAT, "%s:/%s: [%lld x %lld] where [%lld x %d] belongs", d->h5.path,
                            where, (long long)rows, (long long)columns, (long long)want,
                            f < 0 ? 1 : d->spec.n_terms);
    }
    return PFX_OK;
}

static pfx_status open_draws(const char *path, bool part, pfx_draws **out, pfx_err *err)
{
    pfx_draws *d = pfx_mem_calloc(1, sizeof *d, err);
    if (!d) return PFX_ENOMEM;
    pfx_h5_lock();
    pfx_status st = pfx_h5_open_read(path, &d->h5, err);
    if (st == PFX_OK) st = check_format(&d->h5, &d->version, err);
    if (st == PFX_OK) st = read_attributes(d, part, err);
    if (st == PFX_OK) st = read_terms(d, err);
    if (st == PFX_OK) st = read_fields(d, err);
    if (st == PFX_OK) st = check_shapes(d, err);
    pfx_h5_unlock();
    if (st == PFX_OK)
        *out = d;
    else
        pfx_draws_close(d);
    return st;
}

pfx_status pfx_draws_open(const char *path, pfx_draws **out, pfx_err *err)
{
    return open_draws(path, false, out, err);
}

pfx_status pfx_draws_open_part(const char *path, pfx_draws **out, pfx_err *err)
{
    return open_draws(path, true, out, err);
}

void pfx_draws_close(pfx_draws *d)
{
    if (!d) return;
    pfx_h5_lock();
    pfx_h5_close(&d->h5);
    pfx_h5_unlock();
    for (int i = 0; i < N_TEXTS; i++) pfx_mem_free(d->text[i]);
    for (int t = 0; d->terms && t < d->spec.n_terms; t++) pfx_mem_free(d->terms[t]);
    for (int f = 0; f < d->spec.n_extra; f++) pfx_mem_free(d->extra[f]);
    pfx_mem_free(d->terms);
    pfx_mem_free(d->extra);
    pfx_mem_free(d);
}

const char *pfx_draws_path(const pfx_draws *d)
{
    return d->h5.path;
}

pfx_idx pfx_draws_version(const pfx_draws *d)
{
    return d->version;
}

const char *pfx_draws_engine(const pfx_draws *d)
{
    return d->text[ENGINE];
}

const char *pfx_draws_cpu(const pfx_draws *d)
{
    return d->text[CPU];
}

const pfx_draw_spec *pfx_draws_spec(const pfx_draws *d)
{
    return &d->spec;
}

pfx_idx pfx_draws_n(const pfx_draws *d)
{
    return d->n;
}

bool pfx_draws_complete(const pfx_draws *d)
{
    return d->complete;
}

/* Rows of a dataset under /draws in memory type mem. The lock is held. */
static pfx_status read_rows(const pfx_draws *d, const char *name, hid_t mem, pfx_idx first, pfx_idx n,
                            pfx_idx columns, void *buf, pfx_err *err)
{
    char where[300];
    int rank = columns > 1 ? 2 : 1;
    hsize_t start[2] = {(hsize_t)first, 0}, count[2] = {(hsize_t)n, (hsize_t)columns};
    pfx_status st = PFX_OK;
    if (n == 0) return PFX_OK;
    snprintf(where, sizeof where, "draws/%.255s", name);
    hid_t ds = H5Dopen2(d->h5.id, where, H5P_DEFAULT), fsp = ds < 0 ? H5I_INVALID_HID : H5Dget_space(ds);
    hid_t msp = H5Screate_simple(rank, count, NULL);
    if (fsp < 0 || msp < 0 || H5Sselect_hyperslab(fsp, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
        H5Dread(ds, mem, msp, fsp, H5P_DEFAULT, buf) < 0)
        st = pfx_h5_fail(err, PFX_EFORMAT, "%s:/%s: cannot read draws %lld to %lld", d->h5.path, where,
                         (long long)first + 1, (long long)(first + n));
    if (msp >= 0) H5Sclose(msp);
    if (fsp >= 0) H5Sclose(fsp);
    if (ds >= 0) H5Dclose(ds);
    return st;
}

pfx_status pfx_draws_read(pfx_draws *d, int f, pfx_idx first, pfx_idx n, double *buf, pfx_err *err)
{
    pfx_h5_lock();
    pfx_status st = read_rows(d, field_name(d, f), H5T_NATIVE_DOUBLE, first, n, d->spec.n_terms, buf, err);
    pfx_h5_unlock();
    return st;
}

pfx_status pfx_draws_fit(pfx_draws *d, char **json, pfx_err *err)
{
    pfx_idx rows = 0, columns = 0;
    *json = NULL;
    pfx_h5_lock();
    pfx_status st = shape(d, "fit", &rows, &columns, err);
    if (st == PFX_OK && (rows != 1 || columns != 1))
        st = pfx_fail(err, PFX_EFORMAT, "%s:/fit: want one text", d->h5.path);
    if (st == PFX_OK) st = read_texts(d, "fit", 1, json, err);
    pfx_h5_unlock();
    return st;
}

/* Draws i .. i + n - 1, numbered as they should be, into field [all fields][n x n_terms]. */
static pfx_status read_block(pfx_draws *d, pfx_idx i, pfx_idx n, int64_t *number, double *const *field,
                             pfx_err *err)
{
    pfx_h5_lock();
    pfx_status st = read_rows(d, "replicate", H5T_NATIVE_INT64, i, n, 1, number, err);
    pfx_h5_unlock();
    for (pfx_idx r = 0; r < n && st == PFX_OK; r++)
        if (number[r] != d->spec.first + i + r + 1)
            st = pfx_fail(err, PFX_EFORMAT, "%s:/%s: row %lld holds replicate %lld, not %lld", d->h5.path,
                          PFX_DRAWS_REPLICATE, (long long)(i + r) + 1, (long long)number[r],
                          (long long)(d->spec.first + i + r) + 1);
    for (int f = 0; f < PFX_DRAW_FIELDS + d->spec.n_extra && st == PFX_OK; f++)
        st = pfx_draws_read(d, f, i, n, field[f], err);
    return st;
}

pfx_status pfx_draws_replay(pfx_draws *d, pfx_idx from, pfx_idx to, int n_sinks, const pfx_draw_sink *sinks,
                            pfx_err *err)
{
    int n_fields = PFX_DRAW_FIELDS + d->spec.n_extra;
    pfx_idx step = BLOCK_VALUES / d->spec.n_terms + 1;
    pfx_status st = PFX_ENOMEM;
    int64_t *number = pfx_mem_alloc(step, sizeof *number, err);
    double *values = pfx_mem_alloc(step * d->spec.n_terms * n_fields, sizeof *values, err);
    double **field = pfx_mem_alloc(n_fields, sizeof *field, err);
    if (number && values && field) st = PFX_OK;
    for (int f = 0; f < n_fields && st == PFX_OK; f++) field[f] = values + f * step * d->spec.n_terms;
    for (pfx_idx i = from, n; i < to && st == PFX_OK; i += n) {
        n = to - i < step ? to - i : step;
        st = read_block(d, i, n, number, field, err);
        for (int s = 0; s < n_sinks && st == PFX_OK; s++)
            st = sinks[s].put(sinks[s].ctx, d->spec.first + i, n, (const double *const *)field, err);
    }
    pfx_mem_free(number);
    pfx_mem_free(values);
    pfx_mem_free(field);
    return st;
}

pfx_status pfx_draws_check(pfx_draws *d, pfx_err *err)
{
    char *json = NULL;
    pfx_status st = pfx_draws_fit(d, &json, err);
    pfx_mem_free(json);
    return st == PFX_OK ? pfx_draws_replay(d, 0, d->n, 0, NULL, err) : st;
}
