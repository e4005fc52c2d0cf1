#!/bin/sh
# run.sh [ROWS [CSV]]: the same regression on the same CSV by panelfx and by what else is installed: firm and year effects,
# three regressors, standard errors clustered by firm. A line each: program, version, seconds to read the file, seconds of
# the fit, coefficient and standard error of x1; a program that is not installed is skipped in one line. The rules for
# small samples differ from program to program in the last digits of the standard error; see each script.
# PANELFX names the program (default: ./panelfx). Default: 100,000 rows, a CSV made and removed.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
rows=${1:-100000}
: "${PANELFX:=$here/../../panelfx}"
export PANELFX
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
csv=${2:-$dir/peers.csv}
[ -f "$csv" ] || awk -v rows="$rows" 'BEGIN {
    srand(1); firm = 0; n = 0
    print "firm,year,y,x1,x2,x3"
    while (n < rows) {
        firm++; first = 2010 + int(4 * rand()); last = first + 2 + int(5 * rand())
        a1 = rand(); a2 = rand(); a3 = rand(); f = 3 * rand()
        for (t = first; t <= last; t++) {
            x1 = a1 + rand(); x2 = a2 + rand() + 0.1 * (t - 2010); x3 = a3 + rand() * x1; n++
            printf "%d,%d,%.8f,%.8f,%.8f,%.8f\n", firm, t, f + 0.05 * (t - 2010) + 0.1 * x1 - 0.2 * x2 + 0.3 * x3 + (1 + a1) * rand(), x1, x2, x3
        }
    }
}' >"$csv"
printf 'program\tversion\tread_s\tfit_s\tx1\tse_x1\n'
for peer in panelfx.sh collapse.R fixest.R plm.R statsmodels_ols.py gretl.sh; do
    case $peer in
    *.R) if command -v Rscript >/dev/null; then Rscript --vanilla "$here/$peer" "$csv"; else echo "SKIP ${peer%.R}: R is not installed"; fi ;;
    *.py)
        # The system's own Python has the Debian packages, whichever stands first in PATH.
        python=$([ -x /usr/bin/python3 ] && echo /usr/bin/python3 || command -v python3)
        if [ -n "$python" ]; then "$python" "$here/$peer" "$csv"; else echo "SKIP statsmodels: Python is not installed"; fi ;;
    *) sh "$here/$peer" "$csv" "$dir" ;;
    esac || echo "FAIL $peer"
done
