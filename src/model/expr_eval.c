/* The stack machine: each step runs over all rows of a block. */
#include <math.h>
#include <string.h>
#include "src/model/expr_private.h"

/* The stack: cell s holds its vector in buf(s), or points at a column of the block, which is read in place.
 */
typedef struct machine {
    const pfx_frame *f;
    double *scratch, *out; /* the lowest cell lies in out, so that the result needs no copy */
    const double **cell;
    int height;
} machine;

static double *buf(const machine *m, int s)
{
    return s == 0 ? m->out : m->scratch + (pfx_idx)(s - 1) * m->f->n_rows;
}

pfx_idx pfx_program_scratch(const pfx_program *p, pfx_idx n)
{
    /* cells 1.. and the array of cell pointers, which fits in doubles */
    return (pfx_idx)(p->max_height - 1) * n + p->max_height;
}

static bool known(double a, double b)
{
    return a == a && b == b;
}

static double modulo(double a, double b)
{
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r + 0.0; /* never -0 */
}

static double round_digits(double x, double digits)
{
    double scale = pow(10, floor(digits));
    double r = nearbyint(x * scale) / scale;
    return isfinite(scale) && scale > 0 && isfinite(r) ? r : x;
}

#define EACH(expr)                                                                                           \
    for (pfx_idx i = 0; i < n; i++) {                                                                        \
        double v = x[i];                                                                                     \
        r[i] = (expr);                                                                                       \
    }                                                                                                        \
    break
static void run_unary(pfx_expr_op op, pfx_idx n, const double *x, double *r)
{
    switch (op) {
    case PFX_X_NEG:
        EACH(-v);
    case PFX_X_NOT:
        EACH(v != v ? NAN : v == 0);
    case PFX_X_LOG:
        EACH(v > 0 ? log(v) : NAN);
    case PFX_X_LOG2:
        EACH(v > 0 ? log2(v) : NAN);
    case PFX_X_LOG10:
        EACH(v > 0 ? log10(v) : NAN);
    case PFX_X_LOG1P:
        EACH(v > -1 ? log1p(v) : NAN);
    case PFX_X_EXP:
        EACH(exp(v));
    case PFX_X_EXPM1:
        EACH(expm1(v));
    case PFX_X_SQRT:
        EACH(v >= 0 ? sqrt(v) : NAN);
    case PFX_X_ABS:
        EACH(fabs(v));
    case PFX_X_SIGN:
        EACH(v != v ? v : (v > 0) - (v < 0));
    case PFX_X_FLOOR:
        EACH(floor(v));
    case PFX_X_CEIL:
        EACH(ceil(v));
    case PFX_X_ROUND:
        EACH(nearbyint(v));
    default:
        EACH(v != v); /* MISSING */
    }
}
#undef EACH

#define EACH(expr)                                                                                           \
    for (pfx_idx i = 0; i < n; i++) {                                                                        \
        double a = x[i], b = y[i];                                                                           \
        r[i] = (expr);                                                                                       \
    }                                                                                                        \
    break
#define COMPARE(expr) EACH(known(a, b) ? (double)(expr) : NAN)
static void run_binary(pfx_expr_op op, pfx_idx n, const double *x, const double *y, double *r)
{
    switch (op) {
    case PFX_X_ADD:
        EACH(a + b);
    case PFX_X_SUB:
        EACH(a - b);
    case PFX_X_MUL:
        EACH(a * b);
    case PFX_X_DIV:
        EACH(a / b);
    case PFX_X_MOD:
        EACH(modulo(a, b));
    case PFX_X_POW:
        EACH(!known(a, b) ? NAN : b == 2 ? a * a : pow(a, b));
    case PFX_X_EQ:
        COMPARE(a == b);
    case PFX_X_NE:
        COMPARE(a != b);
    case PFX_X_LT:
        COMPARE(a < b);
    case PFX_X_LE:
        COMPARE(a <= b);
    case PFX_X_GT:
        COMPARE(a > b);
    case PFX_X_GE:
        COMPARE(a >= b);
    case PFX_X_AND:
        EACH(a == 0 || b == 0 ? 0 : known(a, b) ? 1 : NAN);
    case PFX_X_OR:
        EACH((a == a && a != 0) || (b == b && b != 0) ? 1 : known(a, b) ? 0 : NAN);
    case PFX_X_MIN:
        EACH(!known(a, b) ? NAN : a < b ? a : b);
    case PFX_X_MAX:
        EACH(!known(a, b) ? NAN : a > b ? a : b);
    default:
        EACH(known(a, b) ? round_digits(a, b) : NAN); /* ROUND */
    }
}
#undef COMPARE
#undef EACH

static void run_one_of(pfx_idx n, const double *x, int n_list, const double *list, double *r)
{
    for (pfx_idx i = 0; i < n; i++) {
        double v = x[i], hit = 0;
        for (int k = 0; k < n_list; k++)
            if (v == list[k]) hit = 1;
        r[i] = v != v ? NAN : hit;
    }
}

/* The value k periods before, over one unit's rows, which are sorted by time. x and r may be one array: rows
 * are written from the side that no later row reads. */
static void shift_unit(pfx_idx n, const double *time, double k, const double *x, double *r)
{
    if (k > 0) {
        pfx_idx j = n - 1;
        for (pfx_idx i = n - 1; i >= 0; i--) {
            while (j >= 0 && time[j] > time[i] - k) j--;
            r[i] = j >= 0 && time[j] == time[i] - k ? x[j] : NAN;
        }
    } else {
        pfx_idx j = 0;
        for (pfx_idx i = 0; i < n; i++) {
            while (j < n && time[j] < time[i] - k) j++;
            r[i] = j < n && time[j] == time[i] - k ? x[j] : NAN;
        }
    }
}

/* Mean or standard deviation of the values in the k periods up to the row's own, over one unit's rows. x and r may be
 * one array: rows are written from the end, and none looks ahead. */
static void roll_unit(pfx_expr_op op, pfx_idx n, const double *time, double k, const double *x, double *r)
{
    for (pfx_idx i = n - 1; i >= 0; i--) {
        double mean = 0, square = 0;
        pfx_idx count = 0;
        for (pfx_idx j = i; j >= 0 && time[j] > time[i] - k; j--) {
            if (x[j] != x[j]) continue;
            double d = x[j] - mean;
            mean += d / (double)++count;
            square += d * (x[j] - mean);
        }
        if (op == PFX_X_ROLL_SD)
            r[i] = count > 1 ? sqrt(square / (double)(count - 1)) : NAN;
        else
            r[i] = count ? mean : NAN;
    }
}

static void push_codes(const machine *m, int col)
{
    const int32_t *code = m->f->cols[col].code;
    double *r = buf(m, m->height);
    for (pfx_idx i = 0; i < m->f->n_rows; i++) r[i] = code[i] == PFX_NA_CODE ? NAN : code[i];
    m->cell[m->height] = r;
}

static void push_const(const machine *m, double v)
{
    double *r = buf(m, m->height);
    for (pfx_idx i = 0; i < m->f->n_rows; i++) r[i] = v;
    m->cell[m->height] = r;
}

/* A step that replaces the top cell. */
static void run_top(const machine *m, const pfx_step *s)
{
    const pfx_frame *f = m->f;
    int top = m->height - 1;
    const double *x = m->cell[top];
    double *r = buf(m, top);
    if (s->kind == PFX_STEP_RECODE) {
        for (pfx_idx i = 0; i < f->n_rows; i++) r[i] = x[i] == x[i] ? s->table[(pfx_idx)x[i]] : NAN;
    } else if (s->kind == PFX_STEP_ONE_OF) {
        run_one_of(f->n_rows, x, s->index, s->table, r);
    } else if (s->kind == PFX_STEP_UNARY) {
        run_unary(s->op, f->n_rows, x, r);
    } else {
        for (pfx_idx u = 0; u < f->n_units; u++) {
            pfx_idx a = f->unit_start[u], n = f->unit_start[u + 1] - a;
            if (s->kind == PFX_STEP_ROLL)
                roll_unit(s->op, n, f->time + a, s->num, x + a, r + a);
            else
                shift_unit(n, f->time + a, s->num, x + a, r + a);
        }
    }
    m->cell[top] = r;
}

static void run_choose(const machine *m)
{
    int s = m->height - 3;
    const double *c = m->cell[s], *a = m->cell[s + 1], *b = m->cell[s + 2];
    double *r = buf(m, s);
    for (pfx_idx i = 0; i < m->f->n_rows; i++) r[i] = c[i] != c[i] ? NAN : c[i] != 0 ? a[i] : b[i];
    m->cell[s] = r;
}

pfx_status pfx_program_eval(const pfx_program *p, const pfx_frame *block, double *scratch, double *out,
                            pfx_err *err)
{
    pfx_idx n = block->n_rows;
    machine m = {block, scratch, out, (const double **)(void *)(scratch + (pfx_idx)(p->max_height - 1) * n),
                 0};
    for (int k = 0; k < p->n_steps; k++) {
        const pfx_step *s = &p->steps[k];
        switch (s->kind) {
        case PFX_STEP_COLUMN:
            m.cell[m.height++] = block->cols[s->index].num;
            break;
        case PFX_STEP_CODES:
            push_codes(&m, s->index);
            m.height++;
            break;
        case PFX_STEP_CONST:
            push_const(&m, s->num);
            m.height++;
            break;
        case PFX_STEP_COPY:
            m.cell[m.height] = m.cell[m.height - 1];
            m.height++;
            break;
        case PFX_STEP_BINARY:
            m.height--;
            run_binary(s->op, n, m.cell[m.height - 1], m.cell[m.height], buf(&m, m.height - 1));
            m.cell[m.height - 1] = buf(&m, m.height - 1);
            break;
        case PFX_STEP_CHOOSE:
            run_choose(&m);
            m.height -= 2;
            break;
        case PFX_STEP_SHIFT:
        case PFX_STEP_ROLL:
            if (!block->unit_start || !block->time)
                return pfx_fail(err, PFX_EFORMAT, "lags need units and times, and these rows have none");
            run_top(&m, s);
            break;
        default:
            run_top(&m, s);
        }
    }
    if (m.cell[0] != out) memcpy(out, m.cell[0], (size_t)n * sizeof *out);
    return PFX_OK;
}
