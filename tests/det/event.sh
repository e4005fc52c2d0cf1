#!/bin/sh
# Event studies and the comparison of groups: the same bits at any number of threads, and, but for what the processor's
# instruction sets may round apart, on each of them.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
panelfx=${PANELFX:-$PWD/panelfx}
"$panelfx" simulate -o "$dir/panel.h5" --quiet --firms 4000 --years 2008:2014 --seed 3

run() {
    "$panelfx" "$@" --format json --quiet 2>"$dir/stderr" |
        grep -vE '"(read_s|compute_s|total_s|threads|peak_memory_bytes)"' || { cat "$dir/stderr"; exit 1; }
}

for options in "twfe" "sunab" "sunab --sensitivity rm" "sunab --sensitivity sd" "cs --score reg" "imputation" \
    "imputation --leave-out --window=-3:3"; do
    formula='EXPY ~ ROA + Top1'
    run event "$dir/panel.h5" "$formula" --treatment IDC --method $options --threads 1 >"$dir/one"
    for t in 2 7; do
        run event "$dir/panel.h5" "$formula" --treatment IDC --method $options --threads $t >"$dir/other"
        cmp "$dir/one" "$dir/other"
    done
    for isa in v3 v4; do
        "$panelfx" event "$dir/panel.h5" "$formula" --treatment IDC --isa $isa --quiet >"$dir/isa" 2>/dev/null || continue
        run event "$dir/panel.h5" "$formula" --treatment IDC --method $options --isa $isa >"$dir/other"
        cmp "$dir/one" "$dir/other"
    done
done
run fit "$dir/panel.h5" 'EXPY ~ IDC + ROA | firm + year' --by ownership --compare --threads 1 >"$dir/one"
for t in 2 7; do
    run fit "$dir/panel.h5" 'EXPY ~ IDC + ROA | firm + year' --by ownership --compare --threads $t >"$dir/other"
    cmp "$dir/one" "$dir/other"
done
