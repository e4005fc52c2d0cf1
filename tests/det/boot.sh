#!/bin/sh
# The same draws file, byte for byte, at any number of threads, in any parts, killed and resumed or not, and the same draws on both tuned instruction sets.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
panelfx=${PANELFX:-$PWD/panelfx}
"$panelfx" simulate -o "$dir/panel.h5" --quiet --firms 5000 --years 2008:2014 --seed 3

boot() {
    out=$1
    shift
    "$panelfx" boot "$dir/panel.h5" "$formula" --coef "$coef" --reps 1000 --quiet \
        -o "$dir/$out" --force "$@" --format json | grep -vE '"(read_s|compute_s|total_s|threads|peak_memory_bytes)"' \
        >"$dir/$out.json"
}

for method in "pairs" "pairs --draw bayes" "pairs --subsample 1700" "cross pairs --reps 100" "cross pairs --draw bayes --reps 100 --ci percentile" \
    "cross iv pairs --reps 50 --ci t" "pairs --family TS~IDC+ROA|firm+city^year --reps 100" "pairs --family TS~IDC+ROA|firm+year" "wild" "wild --family TS~IDC+ROA|firm+year" "wild --weights-type webb --type 33" "wild --cluster firm+year --reps 300" \
    "iv pairs" "iv wild"; do
    formula='EXPY ~ IDC + ROA + TobinQ | firm + year' coef=IDC,ROA effects='firm + year'
    case $method in "cross "*) effects='firm + city^year' formula='EXPY ~ IDC + ROA + TobinQ | firm + city^year' method=${method#cross } ;; esac
    case $method in "iv "*) formula="EXPY ~ ROA | $effects | IDC ~ TobinQ + Top1" coef=IDC method=${method#iv } ;; esac
    boot one --threads 1 --method $method
    for t in 2 3 7; do
        boot other --threads $t --method $method
        cmp "$dir/one" "$dir/other"
        cmp "$dir/one.json" "$dir/other.json"
    done
    # In 2 and 7 parts, each stopped after its first checkpoint and taken up again, and joined: the same file.
    for n in 2 7; do
        rm -f "$dir"/part.*
        for k in $(seq $n); do
            set -- "$dir/panel.h5" "$formula" --coef "$coef" --reps 1000 --quiet \
                --shard "$k/$n" -o "$dir/part.%k" --resume --threads $((k % 3 + 1)) --method $method
            "$panelfx" boot "$@" --checkpoint 0.001 >/dev/null 2>&1 &
            pid=$!
            i=0
            until [ -e "$dir/part.$k.part" ] || [ -e "$dir/part.$k" ] || [ $i = 500 ]; do i=$((i + 1)); sleep 0.01; done
            kill -KILL $pid 2>/dev/null || :
            wait $pid || :
            "$panelfx" boot "$@" >/dev/null
        done
        "$panelfx" merge "$dir"/part.? -o "$dir/merged" --force --quiet
        cmp "$dir/one" "$dir/merged"
    done
    "$panelfx" summary "$dir/panel.h5" IDC --isa v4 --quiet >/dev/null 2>&1 || continue # this CPU has none
    boot v3 --isa v3 --threads 2 --method $method
    boot v4 --isa v4 --threads 2 --method $method
    cmp "$dir/v3.json" "$dir/v4.json"
done

# The jackknife, beside few effects and beside many that cross the clusters.
for formula in 'EXPY ~ IDC + ROA | firm + year' 'EXPY ~ IDC + ROA | firm + city^year' 'EXPY ~ ROA | firm + year | IDC ~ TobinQ + Top1'; do
    isas=portable
    for i in v3 v4; do "$panelfx" summary "$dir/panel.h5" IDC --isa $i --quiet >/dev/null 2>&1 && isas="$isas $i"; done
    first=
    for isa in $isas; do
        for t in 1 2 3 7; do
            "$panelfx" jackknife "$dir/panel.h5" "$formula" --where 'firm <= 600' --coef IDC --isa $isa --threads $t --quiet -o "$dir/now.csv" --force \
                >/dev/null 2>&1
            [ -n "$first" ] || cp "$dir/now.csv" "$dir/first.csv"
            first=1
            cmp "$dir/now.csv" "$dir/first.csv"
        done
    done
done
