#!/bin/sh
# in-turn.sh OLD NEW [RUNS [CASES [ROWS]]]: two builds of the program, run in turn so that both meet the same neighbours on a
# shared machine; of each line of `panelfx bench` the best of RUNS runs. Says also whether either check failed. Every second
# time the new one goes first: the system may give processes that follow one another its CPUs in turn, and these differ.
# new_share: the best rate over the highest limit that any run measured.
[ $# -ge 2 ] && [ -x "$1" ] && [ -x "$2" ] || { echo "usage: in-turn.sh OLD NEW [RUNS [CASES [ROWS]]]" >&2; exit 2; }
old=$1 new=$2 runs=${3:-7} cases=${4:-two-way,two-way-large} rows=${5:-10000000}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
measure() { "$2" bench --cases "$cases" --rows "$rows" -o "$tmp/$1.$run.tsv" --quiet >/dev/null || exit 1; }
for run in $(seq "$runs"); do
    [ $((run % 2)) = 1 ] && measure old "$old"
    measure new "$new"
    [ $((run % 2)) = 1 ] || measure old "$old"
done
printf 'case\trows\tthreads\told_s\tnew_s\told_over_new\tnew_share\tcheck\n'
awk -F '\t' '
    FNR == 1 { side = FILENAME ~ /old\.[0-9]+\.tsv$/ ? "old" : "new" }
    /^# / { next }
    $1 == "case" { for (i = 1; i <= NF; i++) at[$i] = i; next }
    {
        key = $at["case"] "\t" $at["rows"] "\t" $at["threads"]
        s = $at["seconds"]
        if (!((side, key) in best) || s < best[side, key]) best[side, key] = s
        if ($at["limit_rate"] > limit[$at["limit"], $at["threads"]]) limit[$at["limit"], $at["threads"]] = $at["limit_rate"]
        if (side == "new" && $at["rate"] > rate[key]) { rate[key] = $at["rate"]; of[key] = $at["limit"] SUBSEP $at["threads"] }
        if ($at["check"] != "PASS") bad[key] = 1
        if (!(key in seen)) { seen[key] = 1; order[++n] = key }
    }
    END {
        for (i = 1; i <= n; i++) {
            key = order[i]
            a = best["old", key]; b = best["new", key]
            if (a > 0 && b > 0)
                printf "%s\t%.5f\t%.5f\t%.2f\t%s\t%s\n", key, a, b, a / b, \
                    (limit[of[key]] > 0 ? sprintf("%.2f", rate[key] / limit[of[key]]) : ""), key in bad ? "FAIL" : "PASS"
        }
    }
' "$tmp"/*.tsv
