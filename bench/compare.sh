#!/bin/sh
# compare.sh OLD.tsv NEW.tsv: two records of `panelfx bench`, case by case. ratio = old seconds over new: above 1 the new
# run is faster. A ratio says nothing unless the machines' own lines (triad, read, dgemm) agree. Never fails on a timing.
[ $# = 2 ] && [ -r "$1" ] && [ -r "$2" ] || { echo "usage: compare.sh OLD.tsv NEW.tsv" >&2; exit 2; }
awk -F '\t' '
    FNR == 1 { file++ }
    /^# / { head[file, substr($1, 3)] = $2; next }
    $1 == "case" { for (i = 1; i <= NF; i++) at[file, $i] = i; next }
    {
        key = $at[file, "case"] "\t" $at[file, "rows"] "\t" $at[file, "threads"]
        s = $at[file, "seconds"]
        if (file == 1) { old[key] = s; old_share[key] = $at[file, "share"]; next }
        if (!(key in old)) { print_row(key, "", s, "new"); next }
        seen[key] = 1
        print_row(key, old[key], s, s > 0 && old[key] > 0 ? sprintf("%.2f", old[key] / s) : "", old_share[key], $at[file, "share"],
            $at[file, "check"])
    }
    function print_row(key, a, b, ratio, sa, sb, check,    f) {
        if (!titled++) {
            split("date commit compiler flags cpu cores threads isa openblas_core load_average", names, " ")
            for (i = 1; i in names; i++)
                printf "%-14s %s%s\n", names[i], head[1, names[i]], \
                    head[1, names[i]] == head[2, names[i]] ? "" : "  ->  " head[2, names[i]]
            printf "%-24s %10s %7s %10s %10s %7s %7s %7s  %s\n", "case", "rows", "threads", "old s", "new s", "ratio", "share", \
                "share", "check"
        }
        split(key, f, "\t")
        printf "%-24s %10s %7s %10s %10s %7s %7s %7s  %s\n", f[1], f[2], f[3], round(a), round(b), ratio, short(sa), short(sb), check
    }
    function round(x) { return x == "" ? "" : sprintf("%.5f", x) }
    function short(x) { return x == "" ? "" : sprintf("%.2f", x) }
    END { for (key in old) missing += !(key in seen); if (missing) print missing " lines are only in the old record" }
' "$1" "$2"
exit 0
