#include "src/report/plot.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/mem.h"

extern char **environ;

enum { GRID = 513 };
/* A standardised difference below which covariates count as balanced (Normand et al. 2001). */
static const double LOVE_BOUND = 0.1;
static const double PI = 3.14159265358979323846;

pfx_status pfx_plot_format_of(const char *path, pfx_plot_format *out, pfx_err *err)
{
    static const char *const endings[] = {".svg", ".png", ".pdf"};
    size_t len = strlen(path);
    for (int i = 0; i < 3; i++)
        if (len > 4 && strcmp(path + len - 4, endings[i]) == 0) {
            *out = (pfx_plot_format)i;
            return PFX_OK;
        }
    return pfx_fail(err, PFX_EUSAGE, "-o %s: want a name that ends in .svg, .png or .pdf", path);
}

/* ---- density ---- */

/* Sample standard deviation of the finite values, their number and range. */
static double spread(pfx_idx n, const double *x, pfx_idx *count, double *low, double *high)
{
    double mean = 0, square = 0;
    *count = 0;
    *low = INFINITY, *high = -INFINITY;
    for (pfx_idx i = 0; i < n; i++) {
        if (!isfinite(x[i])) continue;
        double d = x[i] - mean;
        mean += d / (double)++*count;
        square += d * (x[i] - mean);
        *low = fmin(*low, x[i]);
        *high = fmax(*high, x[i]);
    }
    return *count > 1 ? sqrt(square / (double)(*count - 1)) : 0;
}

double pfx_plot_density(pfx_idx n, const double *x, pfx_idx n_grid, double *grid, double *density)
{
    double low, high, mass[GRID] = {0};
    pfx_idx count;
    double sd = spread(n, x, &count, &low, &high), h = 1.06 * sd * pow((double)count, -0.2);
    if (!(h > 0) || n_grid > GRID) return 0;
    low -= 3 * h, high += 3 * h;
    double step = (high - low) / (double)(n_grid - 1);
    for (pfx_idx i = 0; i < n; i++) {
        if (!isfinite(x[i])) continue;
        double at = (x[i] - low) / step;
        pfx_idx cell = (pfx_idx)at;
        mass[cell] += 1 - (at - (double)cell);
        mass[cell + 1] += at - (double)cell;
    }
    for (pfx_idx g = 0; g < n_grid; g++) {
        double sum = 0;
        for (pfx_idx c = 0; c < n_grid; c++) {
            double z = (double)(g - c) * step / h;
            sum += mass[c] * exp(-0.5 * z * z);
        }
        grid[g] = low + (double)g * step;
        density[g] = sum / ((double)count * h * sqrt(2 * PI));
    }
    return h;
}

/* ---- script ---- */

/* A text as gnuplot takes it literally: single quotes, doubled within. */
static void add_quoted(pfx_str *out, const char *s)
{
    pfx_str_add(out, "'");
    for (; s && *s; s++) pfx_str_addn(out, *s == '\'' ? "''" : *s == '\n' ? " " : s, *s == '\'' ? 2 : 1);
    pfx_str_add(out, "'");
}

static void add_setting(pfx_str *out, const char *what, const char *text, const char *more)
{
    if (!text) return;
    pfx_str_addf(out, "set %s ", what);
    add_quoted(out, text);
    pfx_str_addf(out, " noenhanced %s\n", more);
}

/* Lines of up to four numbers; a point with a NaN in it is left out. */
static pfx_idx add_data(pfx_str *out, pfx_idx n, int columns, const double *const *column)
{
    pfx_idx shown = 0;
    pfx_str_add(out, "$data << END\n");
    for (pfx_idx i = 0; i < n; i++) {
        bool finite = true;
        for (int c = 0; c < columns; c++) finite &= isfinite(column[c][i]);
        if (!finite) continue;
        for (int c = 0; c < columns; c++)
            pfx_str_addf(out, "%.10g%s", column[c][i], c + 1 < columns ? " " : "\n");
        shown++;
    }
    pfx_str_add(out, "END\n");
    return shown;
}

static void add_mark(const pfx_plot *p, pfx_str *out)
{
    if (!isfinite(p->mark)) return;
    pfx_str_addf(
        out,
        "set arrow 1 from first %.10g, graph 0 to first %.10g, graph 1 nohead lw 2 lc rgb '#b2182b' front\n",
        p->mark, p->mark);
    if (!p->mark_label) return;
    pfx_str_add(out, "set label 1 ");
    add_quoted(out, p->mark_label);
    pfx_str_addf(out,
                 " noenhanced at first %.10g, graph 0.96 offset character 0.7, 0 front tc rgb '#b2182b'\n",
                 p->mark);
}

static void add_range(pfx_str *out, const char *axis, double low, double high, double margin)
{
    double pad = high > low ? margin * (high - low) : fmax(fabs(high), 1);
    pfx_str_addf(out, "set %srange [%.10g:%.10g]\n", axis, low - pad, high + pad);
}

static void widen(double *low, double *high, pfx_idx n, const double *x)
{
    for (pfx_idx i = 0; i < n; i++)
        if (isfinite(x[i])) *low = fmin(*low, x[i]), *high = fmax(*high, x[i]);
}

static pfx_idx density_plot(const pfx_plot *p, pfx_str *out)
{
    double grid[GRID], density[GRID], low = INFINITY, high = -INFINITY;
    if (!(pfx_plot_density(p->n, p->x, GRID, grid, density) > 0)) return 0;
    widen(&low, &high, GRID, grid);
    if (isfinite(p->mark)) widen(&low, &high, 1, &p->mark);
    add_range(out, "x", low, high, 0.02);
    pfx_idx shown = add_data(out, GRID, 2, (const double *const[]){grid, density});
    pfx_str_add(out, "set yrange [0:*]\nplot $data using 1:2 with filledcurves y1=0 fs solid 0.25 lc rgb "
                     "'#2166ac' notitle, \\\n"
                     "  $data using 1:2 with lines lw 2 lc rgb '#2166ac' notitle\n");
    return shown;
}

static pfx_idx scatter_plot(const pfx_plot *p, pfx_str *out)
{
    double low = INFINITY, high = -INFINITY;
    widen(&low, &high, p->n, p->x);
    if (isfinite(p->mark)) widen(&low, &high, 1, &p->mark);
    if (!(low <= high)) return 0;
    add_range(out, "x", low, high, 0.05);
    pfx_idx shown = add_data(out, p->n, 2, (const double *const[]){p->x, p->y});
    pfx_str_add(out, "set yrange [0:1]\nset arrow 2 from graph 0, first 0.1 to graph 1, first 0.1 nohead dt "
                     "2 lw 1.5 lc rgb '#444444' front\n"
                     "set label 2 '0.10' at graph 1, first 0.1 right offset character -0.5, 0.6 front\n"
                     "plot $data using 1:2 with points pt 6 ps 0.6 lc rgb '#2166ac' notitle\n");
    return shown;
}

/* A row for each label, the first on top, and a line at x = at. Returns the rows' places [n], to be freed. */
static double *add_rows(const pfx_plot *p, double at, pfx_str *out)
{
    double *row = pfx_mem_alloc(p->n, sizeof *row, NULL);
    if (!row) return NULL;
    pfx_str_add(out, "set ytics (");
    for (pfx_idx i = 0; i < p->n; i++) {
        row[i] = (double)(p->n - i);
        if (i) pfx_str_add(out, ", ");
        add_quoted(out, p->label[i]);
        pfx_str_addf(out, " %lld", (long long)(p->n - i));
    }
    pfx_str_addf(
        out,
        ") noenhanced\nset yrange [0.4:%.1f]\n"
        "set arrow 2 from first %g, graph 0 to first %g, graph 1 nohead dt 2 lc rgb '#444444' back\n",
        (double)p->n + 0.6, at, at);
    return row;
}

static pfx_idx coef_plot(const pfx_plot *p, pfx_str *out)
{
    double low = 0, high = 0;
    widen(&low, &high, p->n, p->x);
    widen(&low, &high, p->n, p->low);
    widen(&low, &high, p->n, p->high);
    add_range(out, "x", low, high, 0.05);
    double *row = add_rows(p, 0, out);
    if (!row) return 0;
    pfx_idx shown = add_data(out, p->n, 4, (const double *const[]){p->x, row, p->low, p->high});
    pfx_str_add(out, "plot $data using 1:2:3:4 with xerrorbars pt 7 ps 0.8 lw 2 lc rgb '#2166ac' notitle\n");
    pfx_mem_free(row);
    return shown;
}

static pfx_idx love_plot(const pfx_plot *p, pfx_str *out)
{
    double high = LOVE_BOUND;
    for (pfx_idx i = 0; i < p->n; i++)
        if (isfinite(p->x[i]) && isfinite(p->y[i])) high = fmax(high, fmax(p->x[i], p->y[i]));
    pfx_str_addf(out, "set xrange [0:%.10g]\n", 1.05 * high);
    double *row = add_rows(p, LOVE_BOUND, out);
    if (!row) return 0;
    pfx_idx shown = add_data(out, p->n, 3, (const double *const[]){p->x, p->y, row});
    pfx_str_add(out,
                "set key bottom right reverse Left\nset grid ytics lc rgb '#dddddd'\n"
                "plot $data using 1:3 with points pt 6 ps 1.5 lw 2 lc rgb '#b2182b' title 'before matching', "
                "\\\n  $data using 2:3 with points pt 7 ps 1.5 lc rgb '#2166ac' title 'after matching'\n");
    pfx_mem_free(row);
    return shown;
}

static pfx_idx event_plot(const pfx_plot *p, pfx_str *out)
{
    double low = INFINITY, high = -INFINITY;
    widen(&low, &high, p->n, p->x);
    if (!(low <= high)) return 0;
    add_range(out, "x", low, high, 0.06);
    pfx_str_add(
        out,
        "set xtics 1\nset arrow 2 from graph 0, first 0 to graph 1, first 0 nohead dt 2 lc rgb '#444444' "
        "back\n"
        "set arrow 3 from first -0.5, graph 0 to first -0.5, graph 1 nohead dt 3 lc rgb '#888888' back\n");
    pfx_idx shown = add_data(out, p->n, 4, (const double *const[]){p->x, p->y, p->low, p->high});
    pfx_str_add(out, "plot $data using 1:2 with lines lc rgb '#92c5de' notitle, \\\n"
                     "  $data using 1:2:3:4 with yerrorbars pt 7 ps 0.8 lw 2 lc rgb '#2166ac' notitle\n");
    return shown;
}

pfx_status pfx_plot_script(const pfx_plot *p, pfx_plot_format format, const char *output, pfx_str *out,
                           pfx_err *err)
{
    static pfx_idx (*const draw[])(const pfx_plot *, pfx_str *) = {density_plot, scatter_plot, coef_plot,
                                                                   event_plot, love_plot};
    static const char *const terminal[] = {"svg size 800,520 font 'Helvetica,14' name 'panelfx'",
                                           "pngcairo size 1600,1040 font 'Sans,26' linewidth 2",
                                           "pdfcairo size 16cm,10.4cm font 'Sans,11'"};
    pfx_str_addf(out, "set encoding utf8\nset terminal %s\nset output ", terminal[format]);
    add_quoted(out, output);
    pfx_str_add(out, "\nset border 3\nset tics nomirror out\nset bmargin 5.5\n");
    add_setting(out, "title", p->title, "");
    add_setting(out, "xlabel", p->x_label, "");
    add_setting(out, "ylabel", p->y_label, "");
    if (p->caption) {
        pfx_str_add(out, "set label 9 ");
        add_quoted(out, p->caption);
        pfx_str_addf(out, " noenhanced at screen 0.02, screen 0.03 left font ',%d' tc rgb '#555555'\n",
                     format == PFX_PLOT_PNG   ? 18
                     : format == PFX_PLOT_SVG ? 10
                                              : 8);
    }
    add_mark(p, out);
    if (draw[p->kind](p, out) == 0) return pfx_fail(err, PFX_EDATA, "nothing to draw: no two finite values");
    pfx_str_add(out, "set output\n");
    return out->failed ? pfx_fail(err, PFX_ENOMEM, "out of memory for the figure") : PFX_OK;
}

/* ---- gnuplot ---- */

static bool send_all(int fd, const char *s, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, s, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        s += k;
        n -= (size_t)k;
    }
    return true;
}

/* gnuplot reads the script from a pipe and says nothing; its own error shows in the exit status. */
static pfx_status run_gnuplot(const char *script, size_t n, pfx_err *err)
{
    char *const argv[] = {"gnuplot", "-", NULL};
    posix_spawn_file_actions_t actions;
    int fd[2], status = 0;
    pid_t pid;
    if (pipe(fd)) return pfx_fail(err, PFX_EIO, "no pipe to gnuplot: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd[0], 0);
    posix_spawn_file_actions_addclose(&actions, fd[0]);
    posix_spawn_file_actions_addclose(&actions, fd[1]);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1 /* O_WRONLY */, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0);
    int failed = posix_spawnp(&pid, "gnuplot", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fd[0]);
    if (failed) {
        close(fd[1]);
        return pfx_fail(err, PFX_EIO,
                        "gnuplot does not start (%s): install it (Debian: gnuplot-nox) and run again",
                        strerror(failed));
    }
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    bool sent = send_all(fd[1], script, n);
    close(fd[1]);
    signal(SIGPIPE, before);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (!sent || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return pfx_fail(err, PFX_EIO,
                        "gnuplot failed (exit status %d): is its cairo terminal there? Debian: gnuplot-nox",
                        WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return PFX_OK;
}

/* The date that cairo puts into a PDF becomes the epoch's: the same figure is the same file. */
static pfx_status set_date(const char *path, pfx_err *err)
{
    static const char key[] = "/CreationDate (D:", epoch[] = "19700101000000";
    FILE *f = fopen(path, "r+b");
    pfx_status st = PFX_OK;
    size_t matched = 0;
    if (!f) return pfx_fail(err, PFX_EIO, "%s: %s", path, strerror(errno));
    for (int c; matched < sizeof key - 1 && (c = getc(f)) != EOF;) {
        if (c == key[matched])
            matched++;
        else
            matched = c == key[0];
    }
    if (matched == sizeof key - 1 &&
        (fseek(f, 0, SEEK_CUR) || fwrite(epoch, 1, sizeof epoch - 1, f) != sizeof epoch - 1))
        st = pfx_fail(err, PFX_EIO, "%s: %s", path, strerror(errno));
    if (fclose(f) && st == PFX_OK) st = pfx_fail(err, PFX_EIO, "%s: %s", path, strerror(errno));
    return st;
}

/* gnuplot says nothing where the disk is full: the end of the file tells. */
static bool is_whole(const char *path, pfx_plot_format format)
{
    static const char *const mark[] = {
        [PFX_PLOT_SVG] = "</svg>", [PFX_PLOT_PNG] = "IEND", [PFX_PLOT_PDF] = "%%EOF"};
    char tail[64];
    FILE *f = fopen(path, "rb");
    size_t n = 0;
    if (f && fseek(f, -(long)sizeof tail, SEEK_END) == 0) n = fread(tail, 1, sizeof tail, f);
    if (f) fclose(f);
    return n == sizeof tail && memmem(tail, n, mark[format], strlen(mark[format]));
}

pfx_status pfx_plot_write(const pfx_plot *p, const char *path, bool force, pfx_err *err)
{
    pfx_str script = {0};
    pfx_out out = {0};
    pfx_plot_format format = PFX_PLOT_SVG;
    pfx_status st = pfx_plot_format_of(path, &format, err);
    if (st == PFX_OK) st = pfx_out_begin(&out, path, force, err);
    if (st == PFX_OK) st = pfx_plot_script(p, format, out.tmp, &script, err);
    if (st == PFX_OK) st = run_gnuplot(script.s, script.len, err);
    if (st == PFX_OK && !is_whole(out.tmp, format))
        st = pfx_fail(err, PFX_EIO, "%s: gnuplot did not write the whole figure; is the disk full?", path);
    if (st == PFX_OK && format == PFX_PLOT_PDF) st = set_date(out.tmp, err);
    if (st == PFX_OK) st = pfx_out_commit(&out, err);
    pfx_out_abort(&out);
    pfx_str_free(&script);
    return st;
}
