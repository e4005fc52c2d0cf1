/* Rate of import: a CSV of 12 columns (string firm with leading zeros, year, doubles of 4 to 17 digits, two
 * text columns, a dummy; 2 % of one column missing) is generated, then imported in a process of its own, the
 * file in the page cache. Usage: bench_import [ROWS [sorted|mixed [THREADS [MEMORY_MIB]]]]     (default
 * 1,000,000 sorted 2 4096) A line: what, rows, order, threads, CSV megabytes, wall and CPU seconds, MB/s
 * (wall) of CSV, peak MiB, PASS if all rows came. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "hdf5_io/panel.h"
#include "src/base/log.h"
#include "src/base/parallel.h"
#include "src/data/import.h"

enum { YEARS = 10 };

static uint64_t state = 88172645463325252u;
static double uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) * 0x1p-53;
}

static bool generate(const char *path, pfx_idx rows, bool mixed)
{
    static const char *const provinces[] = {"Anhui", "Beijing",   "Chongqing", "Fujian",
                                            "Gansu", "Guangdong", "Guangxi",   "Hainan"};
    FILE *f = fopen(path, "w");
    if (!f) return false;
    fputs("firm,year,y,x1,x2,x3,lnsize,age,industry,province,treated,w\n", f);
    for (pfx_idx i = 0; i < rows; i++) {
        pfx_idx cell = mixed ? i * 7919 % rows : i, firm = cell / YEARS, year = 2010 + cell % YEARS;
        fprintf(f, "%07lld,%lld,", (long long)firm, (long long)year);
        if (uniform() > 0.02) fprintf(f, "%.10g", uniform() * 3 - 1);
        fprintf(f, ",%.6f,%.6f,%.17g,%.4f,%d,C%02d,%s,%d,%.3f\n", uniform() * 10, uniform() - 0.5, uniform(),
                uniform() * 20, (int)(uniform() * 50), (int)(firm % 37), provinces[firm % 8],
                firm % 3 == 0 && year > 2015, uniform());
    }
    return fclose(f) == 0;
}

static int import(const char *csv, const char *panel, pfx_idx rows, const char *order, int threads,
                  size_t memory)
{
    pfx_err err = {0};
    pfx_row_sink sink;
    pfx_import_summary s = {0};
    const pfx_panel_write_options w = {.force = true};
    const pfx_import_options o = {.path = csv,
                                  .unit = "firm",
                                  .time = "year",
                                  .time_unit = -1,
                                  .threads = threads,
                                  .memory = memory,
                                  .command = "bench"};
    double start = pfx_wall_s();
    pfx_log_setup(true, PFX_PROGRESS_NEVER);
    bool good = pfx_h5_init(&err) == PFX_OK && pfx_panel_sink(panel, &w, &sink, &err) == PFX_OK &&
                pfx_import_run(&o, &sink, &s, &err) == PFX_OK && s.n_rows == rows;
    double wall = pfx_wall_s() - start, mb = (double)s.source_bytes / 1e6;
    printf("import\t%lld\t%s\t%d\t%.1f\t%.2f\t%.2f\t%.0f\t%.0f\t%s %s\n", (long long)rows, order, threads, mb,
           wall, pfx_cpu_s(), mb / wall, (double)pfx_peak_rss() / 1048576, good ? "PASS" : "FAIL", err.msg);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    pfx_idx rows = argc > 1 ? atoll(argv[1]) : 1000000;
    const char *order = argc > 2 ? argv[2] : "sorted";
    int threads = pfx_par_threads(argc > 3 ? atoi(argv[3]) : 2), status = 1;
    size_t memory = (size_t)(argc > 4 ? atoll(argv[4]) : 4096) << 20;
    char dir[] = "/tmp/panelfx-bench-XXXXXX", csv[64], panel[64];
    if (!mkdtemp(dir)) return 1;
    snprintf(csv, sizeof csv, "%s/t.csv", dir);
    snprintf(panel, sizeof panel, "%s/t.h5", dir);
    if (generate(csv, rows, !strcmp(order, "mixed"))) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) exit(import(csv, panel, rows, order, threads, memory));
        if (child > 0) waitpid(child, &status, 0);
    }
    unlink(csv);
    unlink(panel);
    rmdir(dir);
    return status != 0;
}
