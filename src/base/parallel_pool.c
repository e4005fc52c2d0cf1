/* The loop over blocks: a pool of threads that sleep between loops.
 *
 * Not OpenMP's: its threads spin for milliseconds after a loop, which takes the processor from the thread
 * that reads the next block. Here a thread looks for work for some microseconds, enough for loops that follow
 * one another, and then sleeps on its semaphore. The pool serves one loop at a time: a second one, or one
 * inside a block, is run by its caller alone, which changes no result. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "src/base/parallel.h"

enum { MAX_WORKERS = 1023 };
enum { LOOKS = 1000 }; /* some 20 microseconds */

/* Blocks that are handed out in ascending order, on a line of the cache of its own. */
typedef struct part {
    _Alignas(64) _Atomic pfx_idx next;
    pfx_idx end;
} part;

typedef struct loop {
    pfx_par_fn fn;
    void *ctx;
    int n_parts;
    part *part; /* [n_parts] */
} loop;

static struct {
    pthread_mutex_t in_use;
    int n_workers;
    sem_t go[MAX_WORKERS]; /* one for each worker: begin the loop */
    sem_t done;            /* posted by each worker that was told to go */
    loop *job;
    bool fork_handled;
} pool = {.in_use = PTHREAD_MUTEX_INITIALIZER};

static void wait_a_little(sem_t *s)
{
    for (int i = 0; i < LOOKS; i++) {
        if (sem_trywait(s) == 0) return;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    while (sem_wait(s) != 0) { /* a signal */
    }
}

/* The thread's own part first, then what is left of the others. */
static void run(loop *l, int thread)
{
    for (int k = 0; k < l->n_parts; k++) {
        part *p = &l->part[(thread + k) % l->n_parts];
        for (pfx_idx b; (b = atomic_fetch_add(&p->next, 1)) < p->end;) l->fn(l->ctx, b, thread);
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

static void run_loop(pfx_idx n, int nth, bool parts, pfx_par_fn fn, void *ctx)
{
    if (n < nth) nth = n > 0 ? (int)n : 1;
    if (nth <= 1 || pthread_mutex_trylock(&pool.in_use) != 0) {
        for (pfx_idx b = 0; b < n; b++) fn(ctx, b, 0);
        return;
    }
    hire(nth - 1);
    int helpers = pool.n_workers < nth - 1 ? pool.n_workers : nth - 1, n_parts = parts ? helpers + 1 : 1;
    part part[n_parts];
    loop l = {fn, ctx, n_parts, part};
    for (int i = 0; i < n_parts; i++) {
        part[i].next = n / n_parts * i + n % n_parts * i / n_parts;
        part[i].end = n / n_parts * (i + 1) + n % n_parts * (i + 1) / n_parts;
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

void pfx_par_for_parts(pfx_idx n, int nth, pfx_par_fn fn, void *ctx)
{
    run_loop(n, nth, true, fn, ctx);
}
