#!/bin/sh
# scaling.sh [RUNS [ROWS...]]: the two-way fit of 12 columns from memory at growing numbers of rows, the best of RUNS runs
# of `panelfx bench`: the line that bench/SCALING.md shows. PANELFX names the program (default: ./panelfx).
: "${PANELFX:=./panelfx}"
runs=${1:-3}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- 100000 1000000 10000000 30000000
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
for rows; do
    for run in $(seq "$runs"); do
        "$PANELFX" bench --rows "$rows" --cases two-way-large -o "$tmp/$rows.$run.tsv" --quiet >/dev/null || exit 1
    done
done
printf 'rows\tthreads\tseconds\tns_row\tGB_s\tread_GB_s\tcheck\n'
cat "$tmp"/*.tsv | awk -F '\t' '
    $1 == "two-way-large" && $5 > 0 {
        key = $2 "\t" $4
        if (!(key in best) || $5 < best[key]) { best[key] = $5; rate[key] = $6 }
        if ($10 > read[$4]) read[$4] = $10
        if ($14 != "PASS") bad[key] = 1
    }
    END { for (key in best) { split(key, f, "\t")
        printf "%s\t%.5f\t%.2f\t%.1f\t%.1f\t%s\n", key, best[key], best[key] / f[1] * 1e9, rate[key], read[f[2]], key in bad ? "FAIL" : "PASS" } }
' | sort -n -k 2,2 -k 1,1
