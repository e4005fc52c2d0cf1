/* The loop over blocks: a pool of threads that sleep between loops.
 *
 * Not OpenMP's: its threads spin for milliseconds after a loop, which takes the processor from others. Here a
 * thread looks for work for some microseconds, enough for loops that follow one another at once; then, for as
 * long as steps between the loops of a stream take, in turn with whatever else wants its processor; and then
 * it sleeps on its semaphore: to be woken costs as much as a small loop, on a virtual machine tens of
 * microseconds.
 *
 * Each thread begins with its own part of the blocks and then helps the others with theirs: so that in loops
 * that follow one another over the same rows a thread meets what lies in its own caches, and in its own
 * memory. The pool serves one loop at a time: a second one, or one inside a block, is run by its caller
 * alone, which changes no result. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "src/base/parallel.h"

enum { MAX_WORKERS = 1023 };
enum { LOOKS = 1000 };                  /* some 20 microseconds */
enum { TURNS = 100, TURN_LOOKS = 100 }; /* some 300 microseconds */

/* Blocks of one thread, those before next are taken. A line of its own for each. */
typedef struct part {
    _Alignas(64) _Atomic pfx_idx next;
    pfx_idx end;
} part;

typedef struct loop {
    int n_parts;
    part *parts;
    pfx_par_fn fn;
    void *ctx;
} loop;

static struct {
    pthread_mutex_t in_use;
    int n_workers;
    sem_t go[MAX_WORKERS]; /* one for each worker: begin the loop */
    sem_t done;            /* posted by each worker that was told to go */
    loop *job;
    bool fork_handled;
} pool = {.in_use = PTHREAD_MUTEX_INITIALIZER};

static bool look(sem_t *s, int looks)
{
    for (int i = 0; i < looks; i++) {
        if (sem_trywait(s) == 0) return true;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    return false;
}

static void wait_a_little(sem_t *s)
{
    if (look(s, LOOKS)) return;
    for (int i = 0; i < TURNS; i++) {
        sched_yield();
        if (look(s, TURN_LOOKS)) return;
    }
    while (sem_wait(s) != 0) { /* a signal */
    }
}

static void run(loop *l, int thread)
{
    for (int k = 0; k < l->n_parts; k++) {
        part *p = &l->parts[(thread + k) % l->n_parts];
        pfx_idx b;
        while ((b = atomic_fetch_add(&p->next, 1)) < p->end) l->fn(l->ctx, b, thread);
    }
}

static void *work(void *arg)
{
    int w = (int)((sem_t *)arg - pool.go);
    pfx_par_begin_thread();
    for (;;) {
        wait_a_little(&pool.go[w]);
        run(pool.job, w + 1);
        sem_post(&pool.done);
    }
    return NULL;
}

/* The child of a fork has the calling thread alone. */
static void forget_workers(void)
{
    pool.n_workers = 0;
    pthread_mutex_init(&pool.in_use, NULL);
}

/* At least n workers, or as many as the system gives. Signals are for the main thread. */
static void hire(int n)
{
    sigset_t all, before;
    if (pool.n_workers >= n) return;
    if (!pool.fork_handled) pool.fork_handled = pthread_atfork(NULL, NULL, forget_workers) == 0;
    if (pool.n_workers == 0) sem_init(&pool.done, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.n_workers < n && pool.n_workers < MAX_WORKERS) {
        pthread_t t;
        sem_t *go = &pool.go[pool.n_workers];
        sem_init(go, 0, 0);
        if (pthread_create(&t, NULL, work, go) != 0) break;
        pthread_detach(t);
        pool.n_workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void run_loop(pfx_idx n, int nth, bool in_order, pfx_par_fn fn, void *ctx)
{
    if (n < nth) nth = n > 0 ? (int)n : 1;
    if (nth <= 1 || pthread_mutex_trylock(&pool.in_use) != 0) {
        for (pfx_idx b = 0; b < n; b++) fn(ctx, b, 0);
        return;
    }
    hire(nth - 1);
    int helpers = pool.n_workers < nth - 1 ? pool.n_workers : nth - 1;
    part parts[helpers + 1];
    loop l = {.n_parts = in_order ? 1 : helpers + 1, .parts = parts, .fn = fn, .ctx = ctx};
    for (int t = 0; t < l.n_parts; t++) {
        atomic_init(&parts[t].next, n * t / l.n_parts);
        parts[t].end = n * (t + 1) / l.n_parts;
    }
    pool.job = &l;
    for (int w = 0; w < helpers; w++) sem_post(&pool.go[w]);
    run(&l, 0);
    for (int w = 0; w < helpers; w++) wait_a_little(&pool.done);
    pthread_mutex_unlock(&pool.in_use);
}

void pfx_par_for(pfx_idx n, int nth, pfx_par_fn fn, void *ctx)
{
    run_loop(n, nth, false, fn, ctx);
}

void pfx_par_in_order(pfx_idx n, int nth, pfx_par_fn fn, void *ctx)
{
    run_loop(n, nth, true, fn, ctx);
}
