#!/bin/sh
# Placebo draws, stored: the same file at any number of threads and the same draws on every instruction set.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
panelfx=${PANELFX:-$PWD/panelfx}
"$panelfx" simulate -o "$dir/panel.h5" --quiet --seed 3
run() {
    out=$1
    shift
    "$panelfx" placebo "$dir/panel.h5" "$outcome ~ IDC + IDC:ROA + ROA + lnEmployee | firm + $effect" --treatment IDC --coef IDC --reps 2000 \
        --format json --quiet -o "$dir/draws.h5" --force "$@" >"$dir/raw"
    sed -E 's/"(read_s|compute_s|total_s|threads|peak_memory_bytes)": *[^,}]*//g' "$dir/raw" >"$dir/$out"
    grep -q '"estimate"' "$dir/$out"
}
isas=portable
for i in x86-64-v3 x86-64-v4; do
    if "$panelfx" summary "$dir/panel.h5" ROA --isa $i --quiet >/dev/null 2>&1; then isas="$isas $i"; else echo "not on this CPU: $i"; fi
done
for scheme in permute random-date within-period "permute --reps 300" "random-date --reps 300" "permute --family MD~IDC|firm,TS~IDC+ROA|firm+industry^year --reps 350"; do
    effect=year outcome=EXPY
    case $scheme in *" --reps 300") effect=industry^year ;; esac # crosses the firms: rows are projected
    run reference --threads 1 --isa portable --scheme $scheme
    for isa in $isas; do
        run first --threads 1 --isa $isa --scheme $scheme
        cp "$dir/draws.h5" "$dir/first.h5"
        cmp "$dir/first" "$dir/reference" || { echo "$scheme: $isa differs from portable"; exit 1; }
        for n in 2 3 7; do
            run now --threads $n --isa $isa --scheme $scheme
            cmp "$dir/now" "$dir/reference" || { echo "$scheme: $isa, $n threads: the results differ"; exit 1; }
            cmp "$dir/draws.h5" "$dir/first.h5" || { echo "$scheme: $isa, $n threads: the draws differ"; exit 1; }
        done
    done
done

# In 2 and 7 parts, joined: the file of the whole.
for scheme in permute "random-date --strata province" "permute --family MD~IDC|firm,TS~IDC+ROA|firm+industry^year --reps 350"; do
    effect=year outcome=EXPY
    run whole --threads 2 --scheme $scheme
    cp "$dir/draws.h5" "$dir/whole.h5"
    for n in 2 7; do
        rm -f "$dir"/part.*
        for k in $(seq $n); do
            run part --threads $((k % 3 + 1)) --scheme $scheme --shard "$k/$n" -o "$dir/part.$k" 2>/dev/null || :
        done
        "$panelfx" merge "$dir"/part.? -o "$dir/merged" --force --quiet
        cmp "$dir/merged" "$dir/whole.h5" || { echo "$scheme: $n parts are not the whole"; exit 1; }
    done
done
