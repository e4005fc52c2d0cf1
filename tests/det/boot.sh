#!/bin/sh
# The same draws file, byte for byte, at any number of threads, and the same draws on both tuned instruction sets.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
panelfx=${PANELFX:-$PWD/panelfx}
"$panelfx" simulate -o "$dir/panel.h5" --quiet --firms 5000 --years 2008:2014 --seed 3

boot() {
    out=$1
    shift
    "$panelfx" boot "$dir/panel.h5" 'EXPY ~ IDC + ROA + TobinQ | firm + year' --coef IDC,ROA --reps 1000 --quiet \
        -o "$dir/$out" --force "$@" --format json | grep -vE '"(read_s|compute_s|total_s|threads|peak_memory_bytes)"' \
        >"$dir/$out.json"
}

for method in "pairs" "wild" "wild --weights-type webb --type 33" "wild --cluster firm+year --reps 300"; do
    boot one --threads 1 --method $method
    for t in 2 3 7; do
        boot other --threads $t --method $method
        cmp "$dir/one" "$dir/other"
        cmp "$dir/one.json" "$dir/other.json"
    done
    "$panelfx" summary "$dir/panel.h5" IDC --isa v4 --quiet >/dev/null 2>&1 || continue # this CPU has none
    boot v3 --isa v3 --threads 2 --method $method
    boot v4 --isa v4 --threads 2 --method $method
    cmp "$dir/v3.json" "$dir/v4.json"
done
