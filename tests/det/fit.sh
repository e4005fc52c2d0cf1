#!/bin/sh
# The same JSON, digit for digit (17 of them, which tell doubles apart), at any number of threads, and on both
# tuned instruction sets. Time, threads and memory are the run's own.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
panelfx=${PANELFX:-$PWD/panelfx}
"$panelfx" simulate -o "$dir/panel.h5" --quiet --firms 30000 --years 2008:2017 --seed 3

# fit NAME OPTIONS...: results alone, in NAME.
fit() {
    name=$1
    shift
    "$panelfx" fit "$dir/panel.h5" "$@" --format json --quiet -o "$dir/raw" --force
    sed -E 's/"(read_s|compute_s|total_s|threads|peak_memory_bytes)": *[^,}]*//g' "$dir/raw" >"$dir/$name"
    grep -q '"estimate"' "$dir/$name"
}

same() {
    cmp -s "$dir/$1" "$dir/$2" && return 0
    echo "$3: the results differ:"
    diff "$dir/$1" "$dir/$2" | head -n 10 || true
    exit 1
}

x='IDC + lnEmployee + lnFirmAge + ROA + Assetturn + Cashflow + Dual + Top1 + Occupy + Mshare + TobinQ'
compare() {
    fit reference --threads 1 "$@"
    for t in 2 3 7; do
        fit other --threads $t "$@"
        same reference other "fit $*: 1 and $t threads"
    done
    "$panelfx" fit "$dir/panel.h5" 'ROA ~ IDC' --isa v4 --quiet >/dev/null 2>&1 || return 0   # this CPU has none
    fit v3 --isa v3 --threads 2 "$@"
    fit v4 --isa v4 --threads 2 "$@"
    same v3 v4 "fit $*: x86-64-v3 and v4"
}
compare "EXPY ~ $x | firm + year"
compare "EXPY ~ $x | firm + year" --cluster firm+year
compare "EXPY ~ $x | firm + year + industry^year"
compare "EXPY ~ $x | industry" --vcov hetero
compare "EXPY ~ $x" --vcov iid
