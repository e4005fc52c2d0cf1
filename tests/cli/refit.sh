# Replications beside effects that are neither nested in the clusters nor few, as a user meets them.
. tests/cli_lib.sh
panel=$dir/panel.h5
ok "$P" simulate -o "$panel" --quiet --firms 300 --years 2015:2020 --seed 5
model='EXPY ~ IDC + ROA | firm + city^year'
value() { awk -F '[:,]' -v k="\"$1\"" '$1 ~ k {printf "%.12g", $2; exit}' "$2"; }
steady() { grep -vE '"(read_s|compute_s|total_s|threads|peak_memory_bytes)"'; }
near() { awk -v a="$1" -v b="$2" 'BEGIN {d = a / b - 1; exit !(d < 1e-9 && d > -1e-9)}' || fault "$3: $1, want $2"; }

boot() { ok "$P" boot "$panel" "$model" --coef ROA --method pairs --reps 40 --quiet --force "$@"; }
boot
holds "each replicate is a refit (cholesky)"
grep -q "  bca " "$dir/stdout" && fault "BCa of 300 refits for 40 replicates"
ok "$P" boot "$panel" "$model" --coef ROA --method pairs --reps 40
holds "no BCa interval: beside these effects it takes a refit without each" "$dir/stderr"
boot --ci bca
holds "  bca "
boot --format json -o "$dir/one.h5" --threads 1
steady <"$dir/stdout" >"$dir/one"
holds '"refit": "cholesky"'
for n in 2 7; do
    boot --format json -o "$dir/now.h5" --threads $n
    steady <"$dir/stdout" | cmp -s - "$dir/one" || fault "--threads $n differs"
    cmp -s "$dir/now.h5" "$dir/one.h5" || fault "--threads $n: other draws"
done
for k in 1 2; do boot --shard $k/2 -o "$dir/part.$k.h5"; done
ok "$P" merge "$dir/part.1.h5" "$dir/part.2.h5" -o "$dir/merged.h5" --quiet
cmp -s "$dir/merged.h5" "$dir/one.h5" || fault "two shards are not the whole"
boot --estimate
holds "memory"
ok "$P" boot "$panel" 'EXPY ~ ROA | firm + city^year | IDC ~ TobinQ' --coef IDC --method pairs --reps 9 --quiet
ok "$P" boot "$panel" 'EXPY ~ IDC + ROA | firm + year' --coef ROA --method pairs --reps 9 --quiet --family 'TS ~ IDC + ROA | firm + city^year'
holds "TS: ROA"

# How the refits are solved depends on the panel alone: the same bits whatever memory and threads allow. Shops that firms
# change at random: many rows to each pair of shops, where the full sample's factor is kept, and few, where none is.
made() { # FIRMS YEARS SHOPS FILE
    awk -v n="$1" -v T="$2" -v q="$3" '
        function draw(below) {s = s * 16807 % 2147483647; return s % below}
        BEGIN {
            s = 42
            print "firm,year,shop,x,y"
            for (f = 1; f <= n; f++) for (t = 1; t <= T; t++) {
                shop = draw(q)
                x = draw(1000) / 1000
                printf "%d,%d,%d,%.3f,%.4f\n", f, t, shop, x, x + f % 7 + shop % 11 / 3 + draw(1000) / 500
            }
        }' >"$dir/made.csv"
    ok "$P" import "$dir/made.csv" -o "$dir/$4.h5" --unit firm --time year
}
made 5000 6 1200 pcg-cholesky
made 1500 4 2500 pcg
low=64M
[ -z "${ASAN_OPTIONS:-}${TSAN_OPTIONS:-}" ] || low=1G # sanitizers keep what is freed
for way in pcg-cholesky pcg; do
    for limit in "$low --threads 2" "4G --threads 1"; do
        ok "$P" boot "$dir/$way.h5" 'y ~ x | firm + shop' --coef x --method pairs --reps 8 --quiet --format json \
            -o "$dir/by${limit%% *}.h5" --force --memory $limit
        holds "\"refit\": \"$way\""
    done
    cmp -s "$dir/by$low.h5" "$dir/by4G.h5" || fault "$way: draws depend on memory or threads"
done

# The jackknife: a fit without the firm that moves the coefficient most.
ok "$P" jackknife "$panel" "$model" --coef ROA -o "$dir/clusters.csv" --quiet
holds "each cluster took a refit"
line=$(awk -F, 'NR > 1' "$dir/clusters.csv" | head -n 7 | tail -n 1)
firm=$(echo "$line" | cut -d '"' -f 2)
near "$(echo "$line" | cut -d , -f 4)" \
    "$("$P" fit "$panel" "$model" --where "firm != $firm" --keep-singletons --format csv --quiet | awk -F, '$6 == "ROA" {print $7}')" "without firm $firm"
# CRV3 of fit is the same jackknife.
ok "$P" jackknife "$panel" "$model" --coef ROA --format json --quiet
near "$("$P" fit "$panel" "$model" --vcov CRV3 --format csv --quiet 2>/dev/null | awk -F, '$6 == "ROA" {print $8}')" \
    "$(value std_error "$dir/stdout")" "CRV3"

# Placebo: the data's own assignment, drawn, is the fit; the same draws on any number of threads.
"$P" fit "$panel" "$model" --format csv --quiet >"$dir/fit.csv" 2>/dev/null
rm -f "$dir/now.h5" "$dir/one.h5"
draw() { ok "$P" placebo "$panel" "$model" --treatment IDC --quiet --format json --force "$@"; }
draw --reps 200 --threads 1 -o "$dir/one.h5"
steady <"$dir/stdout" >"$dir/one"
near "$(value estimate "$dir/one")" "$(awk -F, '$6 == "IDC" {print $7}' "$dir/fit.csv")" "the estimate"
holds '"projection": "cholesky"'
for n in 2 7; do
    draw --reps 200 --threads $n -o "$dir/now.h5"
    steady <"$dir/stdout" | cmp -s - "$dir/one" || fault "placebo: --threads $n differs"
    cmp -s "$dir/now.h5" "$dir/one.h5" || fault "placebo: --threads $n: other draws"
done
ok "$P" inference "$dir/one.h5" --level 0.9 --quiet
finish
