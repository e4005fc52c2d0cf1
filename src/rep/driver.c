#include "src/rep/driver.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/parallel.h"

/* Batches between two looks at sinks, stop and progress, for each thread: enough that threads rarely wait. */
enum { BATCHES_PER_THREAD = 4 };

/* Of a batch in a round. */
enum { PENDING, WHOLE, LEFT_OUT };

typedef struct pfx_rep_loop {
    const pfx_rep_method *m;
    pfx_rep_run *run;
    int n_fields;
    pfx_idx cells;  /* of a field in a batch */
    pfx_idx round0; /* first batch of the round */
    double *values; /* [batches of a round][n_fields][cells] */
    char *scratch;  /* [nth][scratch_step] */
    pfx_idx scratch_step;
    pfx_idx n_round;      /* batches of this round */
    atomic_int *state;    /* [batches of a round] */
    const double **field; /* [n_fields] for the sinks */
    double **out;         /* [nth][n_fields] for the method */
} loop;

static double slow_s;

void pfx_rep_slow_down(double seconds)
{
    slow_s = seconds;
}

/* The whole time, whatever signals come. */
static void slow_down(void)
{
    struct timespec left = {(time_t)slow_s, (long)((slow_s - (double)(time_t)slow_s) * 1e9)};
    while (slow_s > 0 && nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}

static double *batch_values(const loop *l, pfx_idx slot, int field)
{
    return l->values + (slot * l->n_fields + field) * l->cells;
}

static void run_batch(void *ctx, pfx_idx slot, int thread)
{
    loop *l = ctx;
    double **out = l->out + (pfx_idx)thread * l->n_fields;
    if (l->run->interrupted && l->run->interrupted(l->run->between_ctx)) {
        atomic_store(&l->state[slot], LEFT_OUT);
        return;
    }
    slow_down();
    for (int f = 0; f < l->n_fields; f++) out[f] = batch_values(l, slot, f);
    l->m->batch(l->m->ctx, l->run->seed, (l->round0 + slot) * l->m->width,
                l->scratch + thread * l->scratch_step, out);
    atomic_store(&l->state[slot], WHOLE);
}

/* Hand a batch's draws within the range on. */
static pfx_status deliver(loop *l, pfx_idx slot, bool *stop, pfx_err *err)
{
    pfx_rep_run *run = l->run;
    pfx_idx batch0 = (l->round0 + slot) * l->m->width, first = batch0, last = batch0 + l->m->width;
    if (first < run->first) first = run->first;
    if (last > run->last) last = run->last;
    for (int f = 0; f < l->n_fields; f++)
        l->field[f] = batch_values(l, slot, f) + (first - batch0) * l->m->n_terms;
    for (int s = 0; s < run->n_sinks; s++) {
        const pfx_draw_sink *sink = &run->sinks[s];
        pfx_status st = sink->put(sink->ctx, first, last - first, l->field, err);
        if (st != PFX_OK) return st;
    }
    run->done += last - first;
    return run->stop ? run->stop(run->stop_ctx, first, last - first, l->field, stop, err) : PFX_OK;
}

/* The whole batches of the round up to the first that is not; *n of them. */
static pfx_status deliver_whole(loop *l, pfx_idx *n, bool *stop, pfx_err *err)
{
    pfx_status st = PFX_OK;
    for (*n = 0; *n < l->n_round && !*stop && st == PFX_OK && atomic_load(&l->state[*n]) == WHOLE; ++*n)
        st = deliver(l, *n, stop, err);
    return st;
}

static void set_idle(const pfx_rep_run *run, bool on)
{
    if (run->idle) run->idle(run->between_ctx, on);
}

static pfx_status run_rounds(loop *l, pfx_idx per_round, pfx_err *err)
{
    pfx_rep_run *run = l->run;
    pfx_idx end = (run->last + l->m->width - 1) / l->m->width;
    bool stop = false;
    for (l->round0 = run->first / l->m->width; l->round0 < end && !stop; l->round0 += per_round) {
        pfx_idx delivered;
        l->n_round = end - l->round0 < per_round ? end - l->round0 : per_round;
        for (pfx_idx b = 0; b < l->n_round; b++) atomic_store(&l->state[b], PENDING);
        set_idle(run, true);
        pfx_par_in_order(l->n_round, run->nth, run_batch, l);
        set_idle(run, false);
        pfx_status st = deliver_whole(l, &delivered, &stop, err);
        if (st == PFX_OK && run->between) st = run->between(run->between_ctx, err);
        if (st == PFX_OK && delivered < l->n_round && !stop) st = pfx_fail(err, PFX_EINTR, "interrupted");
        if (st != PFX_OK) return st;
        if (run->what) pfx_progress_set((double)run->done);
    }
    run->stopped = stop;
    return PFX_OK;
}

static void release(loop *l)
{
    pfx_mem_free(l->values);
    pfx_mem_free(l->scratch);
    pfx_mem_free(l->field);
    pfx_mem_free(l->out);
    pfx_mem_free(l->state);
}

/* Room for per_round batches. */
static pfx_status init(loop *l, const pfx_rep_method *m, pfx_rep_run *run, pfx_idx per_round, pfx_err *err)
{
    *l = (loop){.m = m,
                .run = run,
                .n_fields = PFX_DRAW_FIELDS + m->n_extra,
                .cells = (pfx_idx)m->width * m->n_terms};
    l->scratch_step = (m->scratch + 63) / 64 * 64;
    l->values = pfx_mem_alloc(per_round * l->n_fields * l->cells, sizeof *l->values, err);
    l->scratch = pfx_mem_alloc(run->nth, (size_t)l->scratch_step, err);
    l->field = pfx_mem_alloc(l->n_fields, sizeof *l->field, err);
    l->out = pfx_mem_alloc((pfx_idx)run->nth * l->n_fields, sizeof *l->out, err);
    l->state = pfx_mem_calloc(per_round, sizeof *l->state, err);
    return l->values && l->scratch && l->field && l->out && l->state ? PFX_OK : PFX_ENOMEM;
}

pfx_status pfx_rep_run_method(const pfx_rep_method *m, pfx_rep_run *run, pfx_err *err)
{
    loop l;
    pfx_idx per_round = (pfx_idx)run->nth * BATCHES_PER_THREAD;
    run->done = 0;
    if (run->last <= run->first) return PFX_OK;
    pfx_status st = init(&l, m, run, per_round, err);
    if (st == PFX_OK) {
        if (run->what) pfx_progress_begin(run->what, "replicates", (double)(run->last - run->first));
        run->loop = &l;
        st = run_rounds(&l, per_round, err);
        run->loop = NULL;
        if (run->what) pfx_progress_end();
    }
    release(&l);
    return st;
}

pfx_status pfx_rep_salvage(pfx_rep_run *run, pfx_err *err)
{
    pfx_idx n;
    bool stop = false;
    return run->loop ? deliver_whole(run->loop, &n, &stop, err) : PFX_OK;
}

pfx_status pfx_rep_measure(const pfx_rep_method *m, int nth, double *seconds, pfx_err *err)
{
    loop l;
    pfx_rep_run run = {.seed = 1, .nth = nth};
    pfx_status st = init(&l, m, &run, nth, err);
    if (st == PFX_OK) {
        double t0 = 0;
        /* The first round faults its memory in. */
        for (int round = 0; round < 2; round++) {
            t0 = pfx_wall_s();
            pfx_par_for(nth, nth, run_batch, &l);
        }
        *seconds = (pfx_wall_s() - t0) / ((double)nth * m->width);
    }
    release(&l);
    return st;
}

double pfx_rep_bytes(const pfx_rep_method *m, int nth)
{
    double batch = (double)m->width * m->n_terms * (PFX_DRAW_FIELDS + m->n_extra) * sizeof(double);
    return nth * (BATCHES_PER_THREAD * batch + (double)m->scratch);
}
