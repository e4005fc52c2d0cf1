/* What is there of the output when a run begins: a whole file, a checkpoint, nothing; and whether it is of
 * this run. */
#include <string.h>
#include <unistd.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/version.h"
#include "src/cmd/replicate.h"

pfx_status rep_output_begin(rep_run *r, pfx_err *err)
{
    const rep_options *o = r->o;
    if (!r->output || o->estimate) return PFX_OK;
    char *part = pfx_draws_part_name(r->output, err);
    if (!part) return PFX_ENOMEM;
    bool whole = access(r->output, F_OK) == 0, begun = access(part, F_OK) == 0;
    pfx_status st = PFX_OK;
    if (whole && !o->resume && !o->common.force)
        st = pfx_fail(err, PFX_EUSAGE, "%s exists; give --force to replace it", r->output);
    else if (!whole && begun && !o->resume && !o->common.force)
        st = pfx_fail(err, PFX_EUSAGE,
                      "%s: a checkpoint of an earlier run; give --resume to go on with it, --force to "
                      "start anew",
                      part);
    pfx_mem_free(part);
    /* A whole file is looked at later, and replaced only if --force was given without --resume. */
    return st == PFX_OK && !(whole && o->resume) ? pfx_draws_sink(r->output, o->common.force, &r->file, err)
                                                 : st;
}

void rep_first_difference(const char *a, const char *b, const char **x, int *n_x, const char **y, int *n_y)
{
    for (;;) {
        size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");
        if (la != lb || memcmp(a, b, la) != 0 || (!*a && !*b)) {
            *x = a;
            *y = b;
            *n_x = (int)la;
            *n_y = (int)lb;
            return;
        }
        a += la + (a[la] != '\0');
        b += lb + (b[lb] != '\0');
    }
}

pfx_status rep_other_options(const rep_run *r, const char *path, const char *theirs, pfx_err *err)
{
    const char *mine, *other;
    int n_mine, n_other;
    rep_first_difference(r->spec.s, theirs, &mine, &n_mine, &other, &n_other);
    return pfx_fail(err, PFX_EUSAGE,
                    "%s: of another run: there \"%.*s\", here \"%.*s\"; give the same, or another -o", path,
                    n_other, other, n_mine, mine);
}

/* Do draws that are there belong to this run? */
static pfx_status compare(const rep_run *r, const pfx_draws *d, pfx_err *err)
{
    const pfx_draw_spec *s = pfx_draws_spec(d);
    const char *path = pfx_draws_path(d), *isa = pfx_isa_name((pfx_isa)r->o->common.isa);
    if (strcmp(s->spec_digest, r->spec_digest) != 0) return rep_other_options(r, path, s->options, err);
    if (s->seed != (uint64_t)r->o->seed)
        return pfx_fail(err, PFX_EUSAGE, "%s: drawn with --seed %llu, not %lld", path,
                        (unsigned long long)s->seed, (long long)r->o->seed);
    if (s->shard != r->shard || s->n_shards != r->n_shards)
        return pfx_fail(
            err, PFX_EUSAGE, "%s: shard %lld/%lld, not %lld/%lld; each shard needs a file of its own", path,
            (long long)s->shard, (long long)s->n_shards, (long long)r->shard, (long long)r->n_shards);
    if (strcmp(pfx_draws_engine(d), PFX_VERSION) != 0)
        return pfx_fail(err, PFX_EUSAGE, "%s: drawn by panelfx %s, this is %s; finish it with that version",
                        path, pfx_draws_engine(d), PFX_VERSION);
    if (strcmp(s->numerics, isa) != 0)
        return pfx_fail(err, PFX_EUSAGE, "%s: drawn with the kernels of %s, not %s; give --isa %s", path,
                        s->numerics, isa, s->numerics);
    if (strcmp(s->panel_digest, r->panel_digest) != 0)
        return pfx_fail(err, PFX_EDATA, "%s: drawn from other data than %s holds now", path,
                        pfx_panel_path(r->panel));
    return PFX_OK;
}

pfx_status rep_output_resume(rep_run *r, bool *whole, pfx_err *err)
{
    pfx_draws *d = NULL;
    *whole = false;
    if (!r->output || !r->o->resume || r->o->estimate) return PFX_OK;
    if (!r->file.ctx) {
        pfx_status st = pfx_draws_open(r->output, &d, err);
        if (st == PFX_OK) st = compare(r, d, err);
        *whole = st == PFX_OK;
        if (*whole) pfx_note("%s is whole: nothing to do", r->output);
        pfx_draws_close(d);
        return st;
    }
    char *part = pfx_draws_part_name(r->output, err);
    if (!part) return PFX_ENOMEM;
    pfx_status st = PFX_OK;
    if (access(part, F_OK) == 0) {
        st = pfx_draws_open_part(part, &r->resumed, err);
        if (st == PFX_OK) st = compare(r, r->resumed, err);
    }
    pfx_mem_free(part);
    return st;
}

void rep_output_end(rep_run *r)
{
    rep_guard_end(r);
    if (r->file.abort) r->file.abort(r->file.ctx);
    r->file = (pfx_draw_sink){0};
    pfx_draws_close(r->resumed);
    r->resumed = NULL;
}
