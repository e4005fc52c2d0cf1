#include "src/data/import_types.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "src/base/text.h"

/* ---- missing values ---- */

static const char *const usual_tokens[] = {".", "NA", "NaN", "nan", "N/A", "#N/A", "NULL", "null"};

static pfx_status add_token(pfx_missing *m, const char *token, bool users, pfx_err *err)
{
    double v;
    size_t n = strlen(token);
    if (m->n_text == PFX_MAX_MISSING)
        return pfx_fail(err, PFX_EUSAGE, "--missing: more than %d values; recode them before the import",
                        PFX_MAX_MISSING);
    m->text[m->n_text++] = token;
    m->first[(unsigned char)token[0]] = true;
    if (users && pfx_cell_is_number(pfx_csv_number(token, n, &v))) m->number[m->n_number++] = v;
    return PFX_OK;
}

pfx_status pfx_missing_init(pfx_missing *m, int n, const char *const *tokens, pfx_err *err)
{
    pfx_status st = PFX_OK;
    *m = (pfx_missing){0};
    m->first[' '] = m->first['\t'] = true;
    for (size_t i = 0; i < sizeof usual_tokens / sizeof *usual_tokens && st == PFX_OK; i++)
        st = add_token(m, usual_tokens[i], false, err);
    for (int i = 0; i < n && st == PFX_OK; i++) st = add_token(m, tokens[i], true, err);
    return st;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool pfx_missing_text(const pfx_missing *m, const char *s, size_t n)
{
    if (n == 0) return true;
    if (!m->first[(unsigned char)*s]) return false;
    while (n && is_blank(*s)) s++, n--;
    while (n && is_blank(s[n - 1])) n--;
    if (n == 0 || (n == 2 && s[0] == '.' && s[1] >= 'a' && s[1] <= 'z')) return true;
    for (int i = 0; i < m->n_text; i++)
        if (!strncmp(m->text[i], s, n) && m->text[i][n] == '\0') return true;
    return false;
}

/* ---- statistics ---- */

void pfx_cell_stats_init(pfx_cell_stats *s)
{
    *s = (pfx_cell_stats){.first_value = -1, .min = INFINITY, .max = -INFINITY, .shortest = SIZE_MAX};
    for (int c = 0; c <= PFX_CELL_TEXT; c++) s->first[c] = -1;
}

static void take_first(pfx_cell_ref *at, pfx_cell_ref ref)
{
    if (ref >= 0 && (*at < 0 || ref < *at)) *at = ref;
}

void pfx_cell_stats_note(pfx_cell_stats *s, pfx_cell_class cls, const char *text, size_t n, pfx_idx count,
                         pfx_cell_ref first)
{
    s->n_class[cls] += count;
    if (!pfx_cell_is_number(cls)) {
        s->n_text += count;
        s->n_value += count;
        take_first(&s->first_value, first);
    }
    if (s->first[cls] >= 0 && s->first[cls] < first) return;
    s->first[cls] = first;
    if (n > PFX_SAMPLE_TEXT - 1) { /* cut, but not inside a UTF-8 character */
        n = PFX_SAMPLE_TEXT - 1;
        while (n && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
    }
    for (size_t i = 0; i < n; i++) s->sample[cls][i] = (unsigned char)text[i] < ' ' ? ' ' : text[i];
    s->sample[cls][n] = '\0';
}

void pfx_cell_stats_numbers(pfx_cell_stats *s, pfx_idx n, const double *x, pfx_cell_ref row0)
{
    double lo = INFINITY, hi = -INFINITY;
    pfx_idx values = 0, broken = 0;
    for (pfx_idx i = 0; i < n; i++) {
        bool has = x[i] == x[i];
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
        values += has;
        broken += has & (x[i] != rint(x[i]));
    }
    if (values && (s->first_value < 0 || row0 <= s->first_value)) {
        pfx_idx i = 0;
        while (x[i] != x[i]) i++;
        take_first(&s->first_value, row0 + i);
    }
    s->n_value += values;
    s->fractions |= broken > 0;
    s->min = lo < s->min ? lo : s->min;
    s->max = hi > s->max ? hi : s->max;
}

void pfx_cell_stats_merge(pfx_cell_stats *a, const pfx_cell_stats *b)
{
    a->n_value += b->n_value;
    a->n_text += b->n_text;
    take_first(&a->first_value, b->first_value);
    for (int c = 0; c <= PFX_CELL_TEXT; c++) {
        a->n_class[c] += b->n_class[c];
        if (b->first[c] < 0 || (a->first[c] >= 0 && a->first[c] <= b->first[c])) continue;
        a->first[c] = b->first[c];
        memcpy(a->sample[c], b->sample[c], PFX_SAMPLE_TEXT);
    }
    a->fractions |= b->fractions;
    if (b->shortest <= b->longest) {
        pfx_cell_stats_length(a, b->shortest);
        pfx_cell_stats_length(a, b->longest);
    }
    a->min = fmin(a->min, b->min);
    a->max = fmax(a->max, b->max);
}

void pfx_cell_stats_of_levels(pfx_cell_stats *s, const pfx_levels *l)
{
    for (pfx_idx i = 0; i < l->n; i++) {
        double v = NAN;
        size_t n = strlen(l->label[i]);
        pfx_cell_stats_length(s, n);
        pfx_cell_class cls = pfx_csv_number(l->label[i], n, &v);
        if (cls == PFX_CELL_TEXT) cls = pfx_csv_formatted(l->label[i], n);
        if (cls != PFX_CELL_NUMBER) pfx_cell_stats_note(s, cls, l->label[i], n, l->count[i], l->first[i]);
        if (!pfx_cell_is_number(cls)) continue;
        pfx_cell_stats_numbers(s, 1, &v, l->first[i]);
        s->n_value += l->count[i] - 1;
    }
}

/* ---- decision ---- */

/* Identifiers and classification codes are padded to one length; four digits may be years. */
enum { CODE_LENGTH = 5 };

bool pfx_wish_parse(const char *s, pfx_wish *out)
{
    static const struct {
        const char *name;
        pfx_wish wish;
    } names[] = {{"numeric", PFX_WISH_NUMERIC},   {"number", PFX_WISH_NUMERIC},
                 {"float64", PFX_WISH_NUMERIC},   {"float32", PFX_WISH_FLOAT32},
                 {"category", PFX_WISH_CATEGORY}, {"text", PFX_WISH_CATEGORY},
                 {"string", PFX_WISH_CATEGORY}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(s, names[i].name)) {
            *out = names[i].wish;
            return true;
        }
    return false;
}

/* The class, of those that are no number, whose cell comes first. */
static pfx_cell_class first_fault(const pfx_cell_stats *s)
{
    int best = PFX_CELL_TEXT;
    for (int c = PFX_CELL_THOUSANDS; c <= PFX_CELL_TEXT; c++)
        if (s->first[c] >= 0 && (s->first[best] < 0 || s->first[c] < s->first[best])) best = c;
    return (pfx_cell_class)best;
}

pfx_type_choice pfx_type_decide(const pfx_cell_stats *s, pfx_wish wish)
{
    const pfx_type_choice number = {.form = PFX_FORM_NUMBER}, text = {.form = PFX_FORM_TEXT};
    const pfx_type_choice fault = {.form = PFX_FORM_NUMBER, .at = first_fault(s), .fault = true};
    if (wish == PFX_WISH_CATEGORY) return text;
    if (wish != PFX_WISH_NONE) return s->n_text ? fault : number;
    if (s->n_class[PFX_CELL_ZERO_LED])
        return (pfx_type_choice){PFX_FORM_TEXT, "read as text because of its leading zeros",
                                 PFX_CELL_ZERO_LED, false};
    if (s->n_text == 0) {
        if (s->n_class[PFX_CELL_BIG] == 0 || s->fractions) return number;
        return (pfx_type_choice){
            PFX_FORM_TEXT,
            "read as text because it has whole numbers beyond 2^53, which a number cannot hold exactly",
            PFX_CELL_BIG, false};
    }
    if (s->n_class[PFX_CELL_TEXT] == 0) return fault;
    if (s->n_text == s->n_value) return text;
    if (s->first[first_fault(s)] == s->first_value)
        return (pfx_type_choice){PFX_FORM_TEXT, "read as text because its first value is no number",
                                 first_fault(s), false};
    if (!s->fractions && s->shortest == s->longest && s->longest >= CODE_LENGTH)
        return (pfx_type_choice){
            PFX_FORM_TEXT, "read as text because all values have the length of a code and some are no number",
            first_fault(s), false};
    if (s->n_text < 2 || s->n_text * 10 <= s->n_value) return fault;
    return (pfx_type_choice){PFX_FORM_TEXT,
                             "read as text because more than one in ten of its values is no number",
                             first_fault(s), false};
}

pfx_dtype pfx_type_storage(const pfx_cell_stats *s, pfx_wish wish)
{
    if (wish == PFX_WISH_FLOAT32) return PFX_F32;
    if (s->fractions || s->min > s->max || fmax(fabs(s->min), fabs(s->max)) > 0x1p53) return PFX_F64;
    return s->min > -2147483648.0 && s->max <= 2147483647.0 ? PFX_I32 : PFX_I64;
}

pfx_status pfx_type_fail(const pfx_cell_stats *s, pfx_cell_class at, const char *what, const char *column,
                         pfx_err *err)
{
    static const char *const remedy[PFX_CELL_TEXT + 1] = {
        [PFX_CELL_THOUSANDS] = "has a thousands separator or a decimal comma; write 1234.5",
        [PFX_CELL_DECIMAL_COMMA] = "has a decimal comma; write numbers with a point",
        [PFX_CELL_CURRENCY] = "has a currency or percent sign; write the number alone",
        [PFX_CELL_TEXT] = "is no number in a numeric column; mend the cell",
    };
    const char *t = s->sample[at];
    pfx_str missing = {0};
    if (!strchr(t, ',')) pfx_str_addf(&missing, "say --missing \"%s\" if it means none, ", t);
    pfx_status st =
        pfx_fail(err, PFX_EDATA, "%s: \"%s\" %s, %sor read the column as text with --types %s=category", what,
                 t, remedy[at], missing.s ? missing.s : "", column);
    pfx_str_free(&missing);
    return st;
}
