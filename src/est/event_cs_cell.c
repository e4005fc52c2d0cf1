/* One cell of cohort and period: outcome regression, propensity score, and what influence functions need. */
#include <lapacke.h>
#include <math.h>
#include <string.h>
#include "src/base/mem.h"
#include "src/est/binary.h"
#include "src/est/event_cs_private.h"
#include "src/model/design.h"

static const double TRIM = 0.995, MAX_SCORE = 1 - 1e-6;

int cs_role(const cs_panel *p, const pfx_cs_options *o, int g, const cs_cell *c, pfx_idx i)
{
    const pfx_idx *row = p->row + i * p->n_periods;
    if (row[c->t] < 0 || row[c->base] < 0) return -1;
    if (p->cohort[i] == g) return 1;
    if (p->cohort[i] < 0) return 0;
    if (o->control == PFX_CS_NEVER) return -1;
    double later = p->period[c->t > c->base ? c->t : c->base];
    return p->timing->cohorts[p->cohort[i]] > later ? 0 : -1;
}

/* Change of the outcome from the base period, and the covariates of the earlier period into x [k]. */
static double load(const cs_panel *p, const cs_cell *c, pfx_idx i, double *x)
{
    const pfx_design *d = p->d;
    const pfx_idx *row = p->row + i * p->n_periods;
    const double *early = d->Z + row[c->t < c->base ? c->t : c->base] * d->p;
    x[0] = 1;
    for (int j = 1; j < c->k; j++) x[j] = (early[j - 1] - c->mean[j]) / c->sd[j];
    return d->Z[row[c->t] * d->p + d->p - 1] - d->Z[row[c->base] * d->p + d->p - 1];
}

static double dot(int k, const double *a, const double *b)
{
    double sum = 0;
    for (int j = 0; j < k; j++) sum += a[j] * b[j];
    return sum;
}

/* The units of a cell, gathered. */
typedef struct gathered {
    pfx_idx n, n1;
    int k;
    double *X;        /* [n x k] */
    double *dy;       /* [n] */
    double *ps;       /* [n] odds are taken of it; unused for PFX_CS_REG */
    unsigned char *D; /* [n] */
} gathered;

static void gathered_free(gathered *u)
{
    pfx_mem_free(u->X);
    pfx_mem_free(u->dy);
    pfx_mem_free(u->ps);
    pfx_mem_free(u->D);
}

/* Covariates are centred and scaled within the cell: nothing changes but rounding. */
static void scale(cs_cell *c, gathered *u)
{
    for (int j = 1; j < c->k; j++) {
        double mean = 0, square = 0;
        for (pfx_idx i = 0; i < u->n; i++) mean += u->X[i * c->k + j];
        mean /= (double)u->n;
        for (pfx_idx i = 0; i < u->n; i++) square += pow(u->X[i * c->k + j] - mean, 2);
        c->mean[j] = mean;
        c->sd[j] = square > 0 ? sqrt(square / (double)u->n) : 1;
        for (pfx_idx i = 0; i < u->n; i++) u->X[i * c->k + j] = (u->X[i * c->k + j] - mean) / c->sd[j];
    }
}

static pfx_status gather(const cs_panel *p, const pfx_cs_options *o, int g, cs_cell *c, gathered *u,
                         pfx_err *err)
{
    pfx_idx n = 0;
    u->k = c->k;
    for (pfx_idx i = 0; i < p->n; i++) n += cs_role(p, o, g, c, i) >= 0;
    u->X = pfx_mem_alloc(n * c->k + 1, sizeof *u->X, err);
    u->dy = pfx_mem_alloc(n + 1, sizeof *u->dy, err);
    u->ps = pfx_mem_alloc(n + 1, sizeof *u->ps, err);
    u->D = pfx_mem_alloc(n + 1, sizeof *u->D, err);
    if (!u->X || !u->dy || !u->ps || !u->D) return PFX_ENOMEM;
    for (pfx_idx i = 0; i < p->n; i++) {
        int role = cs_role(p, o, g, c, i);
        if (role < 0) continue;
        u->dy[u->n] = load(p, c, i, u->X + u->n * c->k);
        u->D[u->n++] = (unsigned char)role;
        u->n1 += role;
    }
    scale(c, u);
    return PFX_OK;
}

/* A = sum_i w_i x_i x_i' over the cell's units, by weights, in both triangles. */
static void cross(const gathered *u, const double *w, double *A)
{
    memset(A, 0, (size_t)u->k * (size_t)u->k * sizeof *A);
    for (pfx_idx i = 0; i < u->n; i++) {
        const double *x = u->X + i * u->k;
        for (int a = 0; w[i] != 0 && a < u->k; a++)
            for (int b = 0; b < u->k; b++) A[a * u->k + b] += w[i] * x[a] * x[b];
    }
}

static pfx_status factor(const cs_panel *p, const cs_cell *c, int g, const char *what, double *A,
                         pfx_err *err)
{
    double largest = 0, least = INFINITY;
    if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', c->k, A, c->k) == 0)
        for (int j = 0; j < c->k; j++) {
            largest = fmax(largest, A[j * c->k + j]);
            least = fmin(least, A[j * c->k + j]);
        }
    if (least > 1e-6 * largest) return PFX_OK;
    return pfx_fail(err, PFX_EIDENT,
                    "cohort %.15g in period %.15g: the covariates are collinear among the %s; leave some out",
                    p->timing->cohorts[g], p->period[c->t], what);
}

static void solve(int k, const double *L, double *x)
{
    LAPACKE_dpotrs_work(LAPACK_COL_MAJOR, 'L', k, 1, L, k, x, k);
}

/* beta: least squares among the controls. L: the factor of their X'X. w [n] scratch. */
static pfx_status outcome_regression(const cs_panel *p, cs_cell *c, int g, const gathered *u, double *w,
                                     double *L, pfx_err *err)
{
    for (pfx_idx i = 0; i < u->n; i++) w[i] = !u->D[i];
    cross(u, w, L);
    pfx_status st = factor(p, c, g, "controls", L, err);
    if (st != PFX_OK) return st;
    for (int step = 0; step < 2; step++) { /* the second refines */
        double add[c->k];
        memset(add, 0, sizeof add);
        for (pfx_idx i = 0; i < u->n; i++)
            for (int j = 0; !u->D[i] && j < c->k; j++)
                add[j] += u->X[i * c->k + j] * (u->dy[i] - dot(c->k, u->X + i * c->k, c->beta));
        solve(c->k, L, add);
        for (int j = 0; j < c->k; j++) c->beta[j] += add[j];
    }
    return PFX_OK;
}

/* gamma: logit of being treated, on the scaled covariates. */
static pfx_status propensity(const cs_panel *p, const pfx_cs_options *o, cs_cell *c, int g, gathered *u,
                             pfx_err *err)
{
    int k = c->k;
    double *Z = pfx_mem_alloc(u->n * k, sizeof *Z, err);
    char *names[k], outcome[] = "being treated";
    pfx_role role[k];
    if (!Z) return PFX_ENOMEM;
    for (int j = 0; j < k; j++) {
        names[j] = j < k - 1 ? p->d->name[j] : outcome;
        role[j] = j < k - 1 ? PFX_REGRESSOR : PFX_OUTCOME;
    }
    for (pfx_idx i = 0; i < u->n; i++) {
        memcpy(Z + i * k, u->X + i * k + 1, (size_t)(k - 1) * sizeof *Z);
        Z[i * k + k - 1] = u->D[i];
    }
    const pfx_design d = {.n = u->n, .p = k, .Z = Z, .name = names, .role = role, .intercept = true};
    const pfx_binary_options bo = {.link = PFX_LOGIT, .maxiter = 100, .nth = o->nth, .isa = o->isa};
    pfx_binary *b = NULL;
    pfx_err inner = {0};
    pfx_status st = pfx_binary_fit(&d, &bo, &b, &inner);
    if (st != PFX_OK)
        st = pfx_fail(err, st, "cohort %.15g in period %.15g, propensity score: %s; --score reg needs none",
                      p->timing->cohorts[g], p->period[c->t], inner.msg);
    else if (b->k != k)
        st = pfx_fail(err, PFX_EIDENT,
                      "cohort %.15g in period %.15g: %s is collinear with other covariates; leave it out",
                      p->timing->cohorts[g], p->period[c->t], b->n_collinear ? b->collinear[0] : "one");
    for (int j = 0; st == PFX_OK && j < k; j++) c->gamma[j] = b->b[j];
    pfx_binary_free(b);
    pfx_mem_free(Z);
    return st;
}

static double score_of(const cs_cell *c, const double *x)
{
    return fmin(1 / (1 + exp(-dot(c->k, x, c->gamma))), MAX_SCORE);
}

static double control_weight(const pfx_cs_options *o, double ps)
{
    return o->score == PFX_CS_REG || ps >= TRIM ? 0 : ps / (1 - ps);
}

/* Means of weights, the two parts of the effect, and the vectors that carry the noise of beta and gamma.
 * L_beta the factor of the controls' X'X, L_gamma of the score's information; either NULL: that part is not
 * estimated. */
static void finish(const pfx_cs_options *o, cs_cell *c, const gathered *u, const double *L_beta,
                   const double *L_gamma, pfx_idx *trimmed)
{
    int k = c->k;
    double n = (double)u->n, sum_t = 0, sum_c = 0, y_t = 0, y_c = 0;
    for (pfx_idx i = 0; i < u->n; i++) {
        const double *x = u->X + i * k;
        double left = u->dy[i] - dot(k, x, c->beta), w = u->D[i] ? 0 : control_weight(o, u->ps[i]);
        if (u->D[i]) {
            sum_t++;
            y_t += left;
        } else if (o->score != PFX_CS_REG && u->ps[i] >= TRIM)
            ++*trimmed;
        sum_c += w;
        y_c += w * left;
    }
    c->n = n;
    c->w_treat = sum_t / n;
    c->w_cont = sum_c / n;
    c->eta_treat = y_t / sum_t;
    c->eta_cont = sum_c > 0 ? y_c / sum_c : 0;
    for (pfx_idx i = 0; i < u->n; i++) {
        const double *x = u->X + i * k;
        double left = u->dy[i] - dot(k, x, c->beta), w = u->D[i] ? 0 : control_weight(o, u->ps[i]);
        for (int j = 0; j < k; j++) {
            if (u->D[i]) c->treat[j] += x[j];
            c->cont_beta[j] += w * x[j];
            c->cont_gamma[j] += w * (left - c->eta_cont) * x[j];
        }
    }
    /* (X'X / n)^-1 times a mean is X'X^-1 times the sum. */
    if (L_beta) {
        solve(k, L_beta, c->treat);
        solve(k, L_beta, c->cont_beta);
    } else {
        memset(c->treat, 0, (size_t)k * sizeof *c->treat);
        memset(c->cont_beta, 0, (size_t)k * sizeof *c->cont_beta);
    }
    if (L_gamma)
        solve(k, L_gamma, c->cont_gamma);
    else
        memset(c->cont_gamma, 0, (size_t)k * sizeof *c->cont_gamma);
}

static pfx_status estimate(const cs_panel *p, const pfx_cs_options *o, cs_cell *c, int g, gathered *u,
                           pfx_idx *trimmed, pfx_err *err)
{
    pfx_idx kk = (pfx_idx)c->k * c->k;
    double *L = pfx_mem_alloc(2 * kk + u->n, sizeof *L, err);
    pfx_status st = L ? PFX_OK : PFX_ENOMEM;
    /* Without covariates all scores are the difference of means. */
    bool beta = o->score != PFX_CS_IPW || c->k == 1, gamma = o->score != PFX_CS_REG && c->k > 1;
    pfx_cs_options as = *o;
    if (c->k == 1) as.score = PFX_CS_REG;
    double *w = L + 2 * kk;
    if (st == PFX_OK && beta) st = outcome_regression(p, c, g, u, w, L, err);
    if (st == PFX_OK && gamma) st = propensity(p, o, c, g, u, err);
    if (st == PFX_OK && gamma) {
        for (pfx_idx i = 0; i < u->n; i++) {
            u->ps[i] = score_of(c, u->X + i * c->k);
            w[i] = u->ps[i] * (1 - u->ps[i]);
        }
        cross(u, w, L + kk);
        st = factor(p, c, g, "units", L + kk, err);
    }
    if (st == PFX_OK) finish(&as, c, u, beta ? L : NULL, gamma ? L + kk : NULL, trimmed);
    pfx_mem_free(L);
    return st;
}

pfx_status cs_cell_fit(const cs_panel *p, const pfx_cs_options *o, cs_cell *c, pfx_cs_att *att, bool *skipped,
                       pfx_idx *trimmed, pfx_err *err)
{
    gathered u = {0};
    c->k = p->d->p;
    c->memory = pfx_mem_calloc(7 * c->k, sizeof *c->memory, err);
    if (!c->memory) return PFX_ENOMEM;
    double **parts[] = {&c->mean, &c->sd, &c->beta, &c->gamma, &c->treat, &c->cont_beta, &c->cont_gamma};
    for (int i = 0; i < 7; i++) *parts[i] = c->memory + i * c->k;
    for (int j = 0; j < c->k; j++) c->sd[j] = 1;
    pfx_status st = gather(p, o, att->cohort, c, &u, err);
    att->n_treated = u.n1;
    att->n_control = u.n - u.n1;
    att->e.n = u.n1;
    *skipped = u.n1 == 0 || u.n1 == u.n;
    if (st == PFX_OK && !*skipped) st = estimate(p, o, c, att->cohort, &u, trimmed, err);
    if (st == PFX_OK && !*skipped) att->e.estimate = c->eta_treat - c->eta_cont;
    gathered_free(&u);
    return st;
}

double cs_influence(const cs_panel *p, const pfx_cs_options *o, const cs_cell *c, pfx_idx i, bool treated,
                    double *x)
{
    double dy = load(p, c, i, x), left = dy - dot(c->k, x, c->beta), part = 0;
    bool score = o->score != PFX_CS_REG && c->k > 1;
    double in = treated ? left - c->eta_treat : -left * dot(c->k, x, c->treat);
    in /= c->w_treat;
    if (!score) return in;
    double ps = score_of(c, x);
    if (!treated) part = control_weight(o, ps) * (left - c->eta_cont) - left * dot(c->k, x, c->cont_beta);
    part += (treated - ps) * dot(c->k, x, c->cont_gamma);
    return in - part / c->w_cont;
}

void cs_cell_free(cs_cell *c)
{
    pfx_mem_free(c->memory);
    *c = (cs_cell){0};
}
