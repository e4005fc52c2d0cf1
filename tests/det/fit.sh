#!/bin/sh
# The same JSON and the same saved values, digit for digit (17 of them, which tell doubles apart), at any number of
# threads and on every instruction set. Time, threads and memory are the run's own.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
panelfx=${PANELFX:-$PWD/panelfx}
"$panelfx" simulate -o "$dir/panel.h5" --quiet --firms 30000 --years 2008:2017 --seed 3

# fit FOLDER OPTIONS...: results alone, in FOLDER.
fit() {
    out=$dir/$1
    shift
    rm -rf "$out"
    mkdir "$out"
    "$panelfx" fit "$dir/panel.h5" "$@" --format json --quiet >"$dir/raw"
    sed -E 's/"(read_s|compute_s|total_s|threads|peak_memory_bytes)": *[^,}]*//g' "$dir/raw" >"$out/json"
    grep -q '"estimate"' "$out/json"
}

# As fit, with residuals, fitted values and effects beside it.
fit_saved() {
    out=$dir/$1
    shift
    rm -rf "$out"
    mkdir "$out"
    "$panelfx" fit "$dir/panel.h5" "$@" --quiet --save resid,fitted,effects -o "$out/saved.csv" >"$out/table"
    [ "$(wc -l <"$out/saved.csv")" -gt 1000 ]
    [ "$(wc -l <"$out/saved.effects.csv")" -gt 1000 ]
}

same() {
    diff -rq "$dir/$1" "$dir/$2" >/dev/null && return 0
    echo "$3: the results differ:"
    diff -r "$dir/$1" "$dir/$2" | head -n 10 || true
    exit 1
}

has_isa() { "$panelfx" summary "$dir/panel.h5" ROA --isa "$1" --quiet >/dev/null 2>&1; }

isas=
for i in x86-64-v3 x86-64-v4; do
    if has_isa $i; then isas="$isas $i"; else echo "not on this CPU: $i"; fi
done

# compare fit|fit_saved OPTIONS...
compare() {
    how=$1
    shift
    $how reference --threads 1 --isa portable "$@"
    for t in 2 3 7; do
        $how other --threads $t --isa portable "$@"
        same reference other "fit $*: 1 and $t threads"
    done
    for i in $isas; do
        $how other --threads 3 --isa "$i" "$@"
        same reference other "fit $*: portable on 1 thread and $i on 3"
    done
    for t in 1 7; do
        $how other --threads $t "$@"
        same reference other "fit $*: portable and the default on $t threads"
    done
}

x='IDC + lnEmployee + lnFirmAge + ROA + Assetturn + Cashflow + Dual + Top1 + Occupy + Mshare + TobinQ'
compare fit "EXPY ~ $x | firm + year"
compare fit "EXPY ~ $x | firm + year" --cluster firm+year
compare fit "EXPY ~ $x | firm + year + industry^year"
compare fit "c(EXPY, TS) ~ $x | firm + year + city" --cluster firm+city
compare fit "EXPY ~ $x | firm + year" --weights Employee
compare fit "EXPY ~ $x | firm + year + city" --weights Employee --cluster city+year --where 'year >= 2010'
compare fit "EXPY ~ $x | firm[TobinQ] + year"
compare fit "EXPY ~ IDC + ROA | firm[TobinQ] + city[[lnFirmAge]] + year" --weights Employee --cluster city
compare fit "EXPY ~ $x | industry" --vcov hetero
compare fit "EXPY ~ $x" --vcov iid
compare fit "EXPY ~ IDC + i(industry) + ROA:Top1" --by ownership --cluster firm
z='ROA + Top1 | firm + year'
compare fit "EXPY ~ $z | IDC ~ TobinQ + Cashflow"
compare fit "c(EXPY, TS) ~ $z | IDC + MD ~ TobinQ + Cashflow + Occupy" --cluster firm+year --weights Employee
compare fit "EXPY ~ $z + city | IDC ~ TobinQ" --vcov hetero
compare fit "EXPY ~ ROA | MD ~ TobinQ + Cashflow" --vcov iid
compare fit_saved "EXPY ~ $z | MD ~ TobinQ" --where 'year <= 2011'
compare fit_saved "EXPY ~ $x | firm + year + city" --where 'province == "Anhui"'
compare fit_saved "EXPY ~ IDC | firm[TobinQ] + year" --weights Employee --where 'year <= 2011'
