/* Digits that a fit shares with quadruple precision on designs that are hard for floating point. kappa: the
 * condition number of the demeaned, scaled regressors, from their singular values; loss: how much longer the
 * worst regressor was before the effects were taken out; due: 15 less the digits of both. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "src/base/log.h"
#include "src/base/parallel.h"
#include "tests/est/hard_designs.h"
#include "tests/est/wide_ols.h"

int main(void)
{
    pfx_err err = {0};
    int failed = 0;
    if (pfx_par_single_thread_blas(&err) != PFX_OK) return 1;
    pfx_fit_options o = {.vcov = PFX_VCOV_CLUSTER, .ssc = PFX_SSC_NONE, .level = 0.95, .tol = 1e-12, .maxiter = 10000,
                         .nth = 2, .isa = pfx_cpu_best()};
    printf("%-30s %8s %9s %9s %9s %5s %6s %6s %6s  %-16s %s\n", "design", "size", "kappa", "reported", "loss", "due",
           "b", "SE", "SSR", "route", "solver");
    for (int i = 0; i < n_hard_designs; i++) {
        const hard_design *h = &hard_designs[i];
        pfx_design *d = h->make(h->size);
        wide_fit w = wide_ols(d);
        pfx_fit *f = NULL;
        if (pfx_fit_ols(d, &o, &f, &err) != PFX_OK) {
            printf("%-30s %8.0e FAIL %s\n", h->name, h->size, err.msg);
            failed++;
        } else {
            wide_digits g = wide_compare(&w, f);
            bool good = g.b >= h->b_digits && g.se >= h->se_digits;
            printf("%-30s %8.0e %9.1e %9.1e %9.1e %5.1f %6.1f %6.1f %6.1f  %-16s %-8s %s\n", h->name, h->size, w.kappa,
                   f->condition, w.loss, 15 - log10(w.kappa * w.loss), g.b, g.se, g.ssr, f->route, f->solver,
                   good ? "PASS" : "FAIL");
            failed += !good;
        }
        pfx_fit_free(f);
        pfx_design_free(d);
    }
    return failed > 0;
}
