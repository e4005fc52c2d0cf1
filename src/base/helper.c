#include "src/base/helper.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include "src/base/mem.h"
#include "src/base/parallel.h"

struct pfx_helper {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool threaded, stop;
    void (*fn)(void *ctx); /* to do or in the doing; NULL: none */
    void *ctx;
};

static void *work(void *arg)
{
    pfx_helper *h = arg;
    pfx_par_begin_thread();
    pthread_mutex_lock(&h->mutex);
    for (;;) {
        while (!h->fn && !h->stop) pthread_cond_wait(&h->changed, &h->mutex);
        if (!h->fn) break;
        pthread_mutex_unlock(&h->mutex);
        h->fn(h->ctx);
        pthread_mutex_lock(&h->mutex);
        h->fn = NULL;
        pthread_cond_broadcast(&h->changed);
    }
    pthread_mutex_unlock(&h->mutex);
    return NULL;
}

pfx_status pfx_helper_create(pfx_helper **out, pfx_err *err)
{
    sigset_t all, before;
    pfx_helper *h = *out = pfx_mem_calloc(1, sizeof *h, err);
    if (!h) return PFX_ENOMEM;
    pthread_mutex_init(&h->mutex, NULL);
    pthread_cond_init(&h->changed, NULL);
    /* Signals are for the main thread, which knows what to do about them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    h->threaded = pthread_create(&h->thread, NULL, work, h) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return PFX_OK;
}

void pfx_helper_begin(pfx_helper *h, void (*fn)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&h->mutex);
    h->fn = fn;
    h->ctx = ctx;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->mutex);
}

void pfx_helper_wait(pfx_helper *h)
{
    if (!h->threaded && h->fn) {
        h->fn(h->ctx);
        h->fn = NULL;
        return;
    }
    pthread_mutex_lock(&h->mutex);
    while (h->fn) pthread_cond_wait(&h->changed, &h->mutex);
    pthread_mutex_unlock(&h->mutex);
}

void pfx_helper_free(pfx_helper *h)
{
    if (!h) return;
    pfx_helper_wait(h);
    if (h->threaded) {
        pthread_mutex_lock(&h->mutex);
        h->stop = true;
        pthread_cond_broadcast(&h->changed);
        pthread_mutex_unlock(&h->mutex);
        pthread_join(h->thread, NULL);
    }
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->mutex);
    pfx_mem_free(h);
}
