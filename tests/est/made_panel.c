#include "tests/est/made_panel.h"

#include "src/base/mem.h"

static double normal(uint64_t stream, uint64_t i)
{
    return sqrt(-2 * log(test_uniform(stream, 2 * i))) * cos(2 * M_PI * test_uniform(stream, 2 * i + 1));
}

made_panel made_panel_new(pfx_idx n_firms, int k)
{
    made_panel a = {.n_firms = n_firms,
                    .k = k,
                    .p = k + 1,
                    .n_years = 7,
                    .n_industries = 13,
                    .n_towns = (n_firms + 9) / 10,
                    .n_groups = 29};
    pfx_idx max = 7 * n_firms;
    a.Z = calloc((size_t)(max * a.p), sizeof *a.Z);
    a.w = calloc((size_t)max, sizeof *a.w);
    int32_t **codes[] = {&a.firm, &a.year, &a.industry, &a.town, &a.group};
    for (int c = 0; c < 5; c++) *codes[c] = calloc((size_t)max, sizeof **codes[c]);
    for (pfx_idx f = 0; f < n_firms; f++)
        for (int t = 0; t < 7; t++) {
            bool in = t == f % 6 || t == f % 6 + 1 || test_uniform(1, (uint64_t)(7 * f + t)) < 0.6;
            if (!in) continue;
            pfx_idx i = a.n++;
            double *z = a.Z + i * a.p, e = normal(2, (uint64_t)i) + 0.5 * normal(3, (uint64_t)f);
            a.firm[i] = (int32_t)f;
            a.year[i] = t;
            a.industry[i] = (int32_t)(f % 13);
            a.town[i] = (int32_t)(f / 10);
            a.group[i] = (int32_t)(test_uniform(4, (uint64_t)i) * 29);
            a.w[i] = 1 + floor(3 * test_uniform(5, (uint64_t)i));
            z[k] = 2 + normal(6, (uint64_t)f) + 0.3 * t;
            for (int j = 0; j < k; j++) {
                z[j] = 10 * j + normal(10 + (uint64_t)j, (uint64_t)i) +
                       normal(30 + (uint64_t)j, (uint64_t)f) * (1 + 0.1 * t);
                z[k] += (j + 1) * 0.1 * z[j];
            }
            z[k] += e * (1 + 0.3 * fabs(z[0]));
        }
    return a;
}

void made_panel_free(made_panel *a)
{
    int32_t *codes[] = {a->firm, a->year, a->industry, a->town, a->group};
    for (int c = 0; c < 5; c++) free(codes[c]);
    free(a->Z);
    free(a->w);
}

void made_add_factors(pfx_design *d, const made_panel *a, int which, made_add_fn *add)
{
    if (which & FIRM) add(d, "firm", a->n_firms, a->firm);
    if (which & INDUSTRY) add(d, "industry", a->n_industries, a->industry);
    if (which & TOWN) add(d, "town", a->n_towns, a->town);
    if (which & GROUP) add(d, "group", a->n_groups, a->group);
    if (which & YEAR) add(d, "year", a->n_years, a->year);
}

pfx_design *made_design(const made_panel *a, int effects, int clusters, pfx_weights_kind kind)
{
    pfx_design *d = ref_design_new(a->n, a->p, a->Z, effects == 0);
    made_add_factors(d, a, effects, ref_add_effect);
    made_add_factors(d, a, clusters, ref_add_cluster);
    d->weights_kind = kind;
    if (kind != PFX_W_NONE) {
        d->w = pfx_mem_alloc(a->n, sizeof *d->w, NULL);
        memcpy(d->w, a->w, (size_t)a->n * sizeof *d->w);
    }
    return d;
}

pfx_fit *made_fit(pfx_design *d, pfx_fit_options o)
{
    pfx_err err = {0};
    pfx_fit *f = NULL;
    assert_ok(pfx_fit_ols(d, &o, &f, &err));
    ref_design_free(d);
    return f;
}

pfx_vcov_type made_vcov(int clusters)
{
    int bits = __builtin_popcount((unsigned)clusters);
    return bits == 2 ? PFX_VCOV_TWOWAY : bits == 1 ? PFX_VCOV_CLUSTER : PFX_VCOV_HC1;
}
