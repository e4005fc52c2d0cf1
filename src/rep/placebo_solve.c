/* From the sums of a draw to coefficients, and to what turns entries into scores. */
#include <math.h>
#include <string.h>
#include "src/rep/placebo_private.h"

/* What the nuisance columns leave of a drawn regressor counts as nothing below this share of it. */
static const double DEPENDENT = 1e-11;

/* A = S - FF' of the drawn regressors, those that are not tested first: a pivot that is nothing leaves its
 * regressor out, as a refit would. order [m]; L [m x m] lower; inv [m]: 1 / pivot, or 0. */
static void factor(const pfx_placebo *p, const double *sum, int *order, double *L, double *inv)
{
    int m = p->m, k = p->k, n = 0;
    double A[PFX_PLACEBO_MAX_DRAWN * PFX_PLACEBO_MAX_DRAWN];
    const double *S = sum + p->at_s;
    for (int a = 0; a < m; a++)
        if (a != p->tested) order[n++] = a;
    order[n] = p->tested;
    for (int a = 0, at = 0; a < m; a++)
        for (int b = a; b < m; b++) {
            double f = 0;
            for (int j = 0; j < k; j++) f += sum[a * k + j] * sum[b * k + j];
            A[a * m + b] = A[b * m + a] = S[at++] - f;
        }
    for (int i = 0; i < m; i++) {
        int a = order[i];
        double size = S[a * m - a * (a - 1) / 2], pivot = A[a * m + a];
        for (int j = 0; j < i; j++) {
            double v = A[a * m + order[j]];
            for (int l = 0; l < j; l++) v -= L[i * m + l] * L[j * m + l];
            L[i * m + j] = v * inv[j];
            pivot -= L[i * m + j] * L[i * m + j];
        }
        inv[i] = pivot > DEPENDENT * size ? 1 / sqrt(pivot) : 0;
    }
}

/* x [m], in the order of regressors: (LL')^-1 x. */
static void solve(int m, const int *order, const double *L, const double *inv, double *x)
{
    double y[PFX_PLACEBO_MAX_DRAWN];
    for (int i = 0; i < m; i++) {
        y[i] = x[order[i]];
        for (int j = 0; j < i; j++) y[i] -= L[i * m + j] * y[j];
        y[i] *= inv[i];
    }
    for (int i = m - 1; i >= 0; i--) {
        for (int j = i + 1; j < m; j++) y[i] -= L[j * m + i] * y[j];
        y[i] *= inv[i];
    }
    for (int i = 0; i < m; i++) x[order[i]] = y[i];
}

static void fill_coef(const pfx_placebo *p, const pfx_placebo_solved *s, const double *phi_h,
                      const double *phi_b, double *coef)
{
    int m = p->m, k = p->k;
    memset(coef, 0, (size_t)p->ld * sizeof *coef);
    for (int a = 0, at = p->at_s; a < m; a++) {
        for (int j = 0; j < k; j++) coef[a * k + j] = s->h[a] * phi_b[j] + s->b[a] * phi_h[j];
        coef[p->at_u + a] = s->h[a];
        coef[at++] = -s->h[a] * s->b[a];
        for (int b = a + 1; b < m; b++) coef[at++] = -(s->h[a] * s->b[b] + s->h[b] * s->b[a]);
    }
}

void pfx_placebo_solve(const pfx_placebo *p, const double *sum, pfx_placebo_solved *s, double *coef,
                       double *phi)
{
    int m = p->m, k = p->k, order[PFX_PLACEBO_MAX_DRAWN];
    double L[PFX_PLACEBO_MAX_DRAWN * PFX_PLACEBO_MAX_DRAWN] = {0}, inv[PFX_PLACEBO_MAX_DRAWN] = {0};
    double *phi_h = phi, *phi_b = phi + k;
    factor(p, sum, order, L, inv);
    *s = (pfx_placebo_solved){0};
    for (int a = 0; a < m; a++) s->b[a] = sum[p->at_u + a];
    s->h[p->tested] = 1;
    solve(m, order, L, inv, s->b);
    solve(m, order, L, inv, s->h);
    for (int a = 0; a < m; a++) s->slope += s->h[a] * sum[p->at_v + a];
    if (inv[m - 1] == 0) {
        *s = (pfx_placebo_solved){.slope = NAN};
        s->b[p->tested] = NAN;
    }
    if (!coef) return;
    for (int j = 0; j < k; j++) {
        phi_h[j] = phi_b[j] = 0;
        for (int a = 0; a < m && inv[m - 1] != 0; a++) {
            phi_h[j] += s->h[a] * sum[a * k + j];
            phi_b[j] += s->b[a] * sum[a * k + j];
        }
    }
    fill_coef(p, s, phi_h, phi_b, coef);
}

void pfx_placebo_theta(const pfx_placebo *p, const double *phi, double *theta)
{
    int k = p->k;
    const double *phi_h = phi, *phi_b = phi + k;
    double *t = theta + k;
    memcpy(theta, phi_h, (size_t)k * sizeof *theta);
    for (int i = 0; i < k; t += ++i) {
        for (int j = 0; j < i; j++) t[j] = phi_h[i] * phi_b[j] + phi_h[j] * phi_b[i];
        t[i] = phi_h[i] * phi_b[i];
    }
    for (pfx_idx i = p->nt; i < p->ldt; i++) theta[i] = 0;
}
