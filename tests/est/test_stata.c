/* stata_simpanel: Stata's regress and xtreg, fe output with missing rows and analytic weights, compared as
 * far as the log prints. */
#include "tests/est/refcase.h"

/* A printed number is right to half a unit of its last digit. */
static void same_printed(const char *what, double got, const char *text)
{
    double want = strtod(text, NULL);
    const char *e = strpbrk(text, "eE"), *dot = strchr(text, '.');
    int decimals = dot ? (int)((e ? e : text + strlen(text)) - dot) - 1 : 0, exponent = e ? atoi(e + 1) : 0;
    double unit = pow(10, exponent - decimals);
    if (fabs(got - want) <= 0.5001 * unit + 1e-10 * fabs(want)) return;
    print_error("%s: %.15g, Stata prints %s\n", what, got, text);
    fail();
}

static char *next_line(char **at)
{
    char *line = *at, *end = strchr(line, '\n');
    if (!*line) return NULL;
    *at = end ? end + 1 : line + strlen(line);
    if (end) *end = '\0';
    return line;
}

/* Value of a "key<tab>value" line. */
static const char *value_of(const char *line, const char *key)
{
    size_t n = strlen(key);
    return strncmp(line, key, n) == 0 && line[n] == '\t' ? line + n + 1 : NULL;
}

static const char *term_of(const char *name)
{
    return strcmp(name, "_cons") == 0 ? "(Intercept)" : name;
}

/* One section from its first line on; within: xtreg, fe, whose constant is not ours and whose rmse, r2_a
 * follow another count. Returns the number of coefficients compared. */
static int check_section(char **at, const pfx_fit *f, bool within)
{
    int compared = 0, row = 0;
    bool in_v = false;
    const char *names[16] = {NULL};
    for (char *line; (line = next_line(at)) != NULL && (!in_v || *line);) {
        char *tab = strchr(line, '\t');
        if (strstr(line, "Variance")) {
            in_v = true;
            next_line(at);
            next_line(at);
            continue;
        }
        if (!tab || !tab[1]) continue;
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(tab - line), line);
        bool skip = within && strcmp(name, "_cons") == 0;
        if (in_v) { /* name, then a row of V */
            int col = 0;
            if (skip) continue;
            names[row] = ref_coef(f, term_of(name))->term;
            int i = (int)(ref_coef(f, term_of(name)) - f->coef);
            for (char *save, *cell = strtok_r(tab + 1, "\t", &save); cell && col <= row;
                 cell = strtok_r(NULL, "\t", &save)) {
                int j = (int)(ref_coef(f, names[col++]) - f->coef);
                same_printed(name, f->V[i * f->k + j], cell);
            }
            row++;
            compared++;
            continue;
        }
        if (*name == 'x' || strcmp(name, "_cons") == 0) { /* b, then t and p on lines of their own */
            char *t = next_line(at), *p = next_line(at);
            if (skip) continue;
            const pfx_coef *c = ref_coef(f, term_of(name));
            same_printed(name, c->estimate, tab + 1);
            same_printed("t", c->statistic, t + 1);
            same_printed("p", c->p_value, p + 1);
            compared++;
            continue;
        }
        const char *v;
        if ((v = value_of(line, "rss"))) same_printed("rss", f->ssr, v);
        if ((v = value_of(line, "N"))) same_printed("N", (double)f->n_obs, v);
        if ((v = value_of(line, "ll"))) same_printed("ll", f->log_likelihood, v);
        if ((v = value_of(line, "F"))) same_printed("F", f->f, v);
        if ((v = value_of(line, "df_r")) && *v) same_printed("df_t", f->df_t, v);
        if ((v = value_of(line, "r2"))) same_printed("r2", within ? f->within_r2 : f->r2, v);
        if (!within && (v = value_of(line, "r2_a"))) same_printed("r2_a", f->adj_r2, v);
        if (!within && (v = value_of(line, "rmse"))) same_printed("rmse", f->rmse_df, v);
    }
    return compared;
}

static void check(const ref_table *t, const char *log, const char *model, const char *se, bool weighted,
                  const char *suffix)
{
    char section[128], y[16], x[128];
    bool within = strcmp(model, "fixed_effect") == 0,
         clustered = strcmp(se, "cluster") == 0 || (within && strcmp(se, "robust") == 0);
    snprintf(section, sizeof section, "!%s-%s-%s-%s!", model, se, weighted ? "weighted" : "", suffix);
    snprintf(y, sizeof y, "y%s", suffix);
    snprintf(x, sizeof x, "x1%s x2%s x3%s x4%s x5%s", suffix, suffix, suffix, suffix, suffix);
    ref_spec s = {.y = y,
                  .x = x,
                  .effects = within ? "firm" : NULL,
                  .clusters = clustered ? "firm" : NULL,
                  .weights = weighted ? "w" : NULL,
                  .kind = PFX_W_ANALYTIC};
    pfx_vcov_type vcov = clustered                   ? PFX_VCOV_CLUSTER
                         : strcmp(se, "robust") == 0 ? PFX_VCOV_HC1
                                                     : PFX_VCOV_IID;
    pfx_fit *f = ref_fit(t, &s, ref_options(vcov, PFX_SSC_FIXEST));
    char *copy = strdup(log), *at = strstr(copy, section);
    if (!at) fail_msg("no section %s", section);
    next_line(&at);
    print_message("%s\n", section);
    assert_int_equal(check_section(&at, f, within), within ? 10 : 12);
    free(copy);
    pfx_fit_free(f);
}

static void simpanel(void **state)
{
    (void)state;
    SKIP_WITHOUT("stata_simpanel.csv");
    ref_table *t = ref_read(test_refdata("stata_simpanel.csv"));
    FILE *file = fopen(test_refdata("stata_simpanel.stata.txt"), "rb");
    assert_non_null(file);
    static char log[1 << 17];
    log[fread(log, 1, sizeof log - 1, file)] = '\0';
    fclose(file);
    const char *models[] = {"pooled", "fixed_effect"}, *ses[] = {"conventional", "robust", "cluster"},
               *suffixes[] = {"", "_light", "_heavy"};
    for (int m = 0; m < 2; m++)
        for (int s = 0; s < 3; s++)
            for (int w = 0; w < 2; w++)
                for (int x = 0; x < 3; x++) check(t, log, models[m], ses[s], w, suffixes[x]);
    ref_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(simpanel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
