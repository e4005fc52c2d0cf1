#!/bin/sh
# The same summary, digit for digit, at any number of threads and on every instruction set.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
panelfx=${PANELFX:-$PWD/panelfx}
"$panelfx" simulate -o "$dir/panel.h5" --quiet --firms 30000 --years 2008:2017 --seed 3

summary() {
    out=$dir/$1
    shift
    "$panelfx" summary "$dir/panel.h5" "$@" --format json --quiet |
        sed -E 's/"(read_s|compute_s|total_s|threads|peak_memory_bytes)": *[^,}]*//g' >"$out"
    [ "$(wc -c <"$out")" -gt 200 ]
}
has_isa() { "$panelfx" summary "$dir/panel.h5" ROA --isa "$1" --quiet >/dev/null 2>&1; }

for options in '' '--by year --panel' '--by industry --quantiles 0.01,0.5,0.99' '--panel --quantiles 0.25,0.75 --memory 64M'; do
    # shellcheck disable=SC2086
    summary reference --threads 1 --isa portable $options
    for run in 'portable 2' 'portable 3' 'portable 7' 'x86-64-v3 2' 'x86-64-v3 7' 'x86-64-v4 1' 'x86-64-v4 3'; do
        isa=${run% *} t=${run#* }
        has_isa "$isa" || continue
        # shellcheck disable=SC2086
        summary other --threads "$t" --isa "$isa" $options
        cmp -s "$dir/reference" "$dir/other" && continue
        echo "summary $options: $isa on $t threads differs from portable on 1:"
        diff "$dir/reference" "$dir/other" | head -n 10 || true
        exit 1
    done
done
