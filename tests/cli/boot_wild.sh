# The wild bootstrap as a user meets it: numbers, kinds of p-values and sets, stored draws, bad input.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5
json() { "$P" boot "$panel" "$@" --format json --quiet 2>"$dir/stderr" || fault "exit $?: boot $*: $(cat "$dir/stderr")"; }
steady() { grep -vE '"(read_s|compute_s|total_s|threads|peak_memory_bytes)"'; }
value() { awk -F '[:,]' -v k="\"$1\"" '$1 ~ k {print $2; exit}' "$2"; }

# Eight firms have 256 patterns of signs: all of them, whatever the seed.
ok "$P" boot "$panel" 'y ~ x + z | firm + year' --coef x --reps 999
holds "Wild cluster bootstrap: 256 replicates, seed 1; 8 clusters (firm), 48 rows"
holds "all patterns of signs"
json 'y ~ x + z | firm + year' --coef x --reps 999 >"$dir/a.json"
json 'y ~ x + z | firm + year' --coef x --reps 999 --seed 7 >"$dir/b.json"
[ "$(value count "$dir/a.json")" = "$(value count "$dir/b.json")" ] || fault "enumeration depends on the seed"
for key in method term estimate std_error statistic null reps reps_valid seed count p_value conf_low conf_high ci \
    p_value_ties p_left p_right p_equal_tailed p_symmetric n_sets unbounded enumerated n_boot_clusters; do
    holds "\"$key\":" "$dir/a.json"
done
# t is that of fit.
t=$("$P" fit "$panel" 'y ~ x + z | firm + year' --format csv --quiet | awk -F, 'NR == 2 {print $9}')
awk -v a="$t" -v b="$(value statistic "$dir/a.json")" 'BEGIN {exit !(a - b < 1e-9 && b - a < 1e-9)}' ||
    fault "t is not fit's: $t $(value statistic "$dir/a.json")"
# A null at an end of the interval has p close to 0.05 on that side.
json 'y ~ x + z | firm + year' --coef x --null "$(value conf_high "$dir/a.json")" >"$dir/c.json"
awk -v p="$(value p_value "$dir/c.json")" 'BEGIN {exit !(p > 0.02 && p < 0.08)}' || fault "p at the end: $(value p_value "$dir/c.json")"

# Kinds, routes and distributions run and say what they are.
for w in rademacher webb mammen normal gamma; do
    for type in 11 13 31 33; do
        json 'y ~ x + z | firm + year' --coef x,z --reps 99 --weights-type $w --type $type --cluster firm >"$dir/w.json"
        holds "\"weights_type\": \"$w\"" "$dir/w.json"
        holds "\"type\": \"$type\"" "$dir/w.json"
    done
done
json 'y ~ x + z | firm + year' --coef x,z --joint --unrestricted --reps 99 --weights-type webb >"$dir/j.json"
holds '"term": "x, z"' "$dir/j.json"
holds '"restricted": false' "$dir/j.json"
json 'y ~ x + z | firm' --coef x --cluster firm+year --reps 99 >"$dir/two.json"
holds '"cluster2": "year"' "$dir/two.json"
holds '"n_clusters2": 6' "$dir/two.json"
ok "$P" boot "$panel" 'y ~ x + z | firm' --coef x --cluster firm+year --reps 99 -o "$dir/two.h5"
holds "; 8 clusters (firm) and 6 (year), 48 rows"
ok "$P" inference "$dir/two.h5"
holds "; 8 clusters (firm) and 6 (year), 48 rows"
json 'y ~ x + z | firm' --coef x --bootcluster year --reps 99 >"$dir/coarse.json"
holds '"n_boot_clusters": 6' "$dir/coarse.json"
ok "$P" boot "$panel" 'y ~ x | firm' --coef x --ptype left --reps 99
holds "-inf"
ok "$P" boot "$panel" 'y ~ x | firm' --coef x --ci none --reps 99
grep -q invert "$dir/stdout" && fault "an interval that was not asked for"

# Few treated clusters: said, with both p-values.
ok "$P" boot "$panel" 'y ~ x + i(year, ref = 2015) | firm' --coef year::2016 --reps 99 --weights-type webb
holds "unrestricted (WCU)"
grep -q "switches within only 8 clusters" "$dir/stderr" || fault "few treated clusters are not said"
json 'y ~ x + i(year, ref = 2015) | firm' --coef year::2016 --reps 99 --weights-type webb >"$dir/r.json"
json 'y ~ x + i(year, ref = 2015) | firm' --coef year::2016 --reps 99 --weights-type webb --unrestricted >"$dir/u.json"
for k in p_wcr p_wcu; do [ "$(value $k "$dir/r.json")" = "$(value $k "$dir/u.json")" ] || fault "$k depends on which was asked for"; done
[ "$(value p_wcr "$dir/r.json")" = "$(value p_value "$dir/r.json")" ] || fault "p_wcr is not the restricted p-value"
[ "$(value p_wcu "$dir/u.json")" = "$(value p_value "$dir/u.json")" ] || fault "p_wcu is not the unrestricted p-value"

# Stored draws: the same bytes at any number of threads, null polynomials beside them.
ok "$P" boot "$panel" 'y ~ x + z | firm + year' --coef x --weights-type webb --reps 999 -o "$dir/draws.h5" --threads 1
ok "$P" boot "$panel" 'y ~ x + z | firm + year' --coef x --weights-type webb --reps 999 -o "$dir/other.h5" --threads 3
cmp -s "$dir/draws.h5" "$dir/other.h5" || fault "the draws file depends on threads"
ok "$P" info "$dir/draws.h5" --check

# Workers who move between firms, clusters by firm or town: worker effects cross them, and are too many for columns.
awk 'BEGIN {
    print "worker,year,employer,town,y,x"
    for (w = 1; w <= 700; w++) for (t = 1; t <= 4; t++) {
        e = (w * 13 + (w % 3 == 0) * t * 17) % 40 + 1; x = (w * 7 + t * t * 11 + e * 5) % 17 / 4
        printf "%d,%d,%d,%d,%.6f,%.6f\n", w, 2000 + t, e, e % 9, w % 23 / 7 + e % 5 + 0.1 * x + (w * t + e) % 13 / 5, x
    }
}' >"$dir/moves.csv"
ok "$P" import "$dir/moves.csv" -o "$dir/moves.h5" --unit worker --time year
panel=$dir/moves.h5
for cluster in employer town; do
    json 'y ~ x | worker + employer + year' --coef x --cluster $cluster --reps 499 >"$dir/m.json"
    holds '"effects_cross_clusters": true' "$dir/m.json"
    t=$("$P" fit "$panel" 'y ~ x | worker + employer + year' --cluster $cluster --format csv --quiet | awk -F, 'NR == 2 {print $9}')
    awk -v a="$t" -v b="$(value statistic "$dir/m.json")" 'BEGIN {exit !(a - b < 1e-8 && b - a < 1e-8)}' ||
        fault "t is not fit's beside effects that cross $cluster: $t $(value statistic "$dir/m.json")"
    for n in 1 3; do
        ok "$P" boot "$panel" 'y ~ x | worker + employer + year' --coef x --cluster $cluster --reps 499 \
            -o "$dir/cross$cluster$n.h5" --threads $n
    done
    cmp -s "$dir/cross${cluster}1.h5" "$dir/cross${cluster}3.h5" || fault "draws beside crossing effects depend on threads"
done
holds '"enumerated": false' "$dir/m.json"
json 'y ~ x | worker + employer' --coef x --cluster town --reps 512 >"$dir/m.json"
holds '"enumerated": true' "$dir/m.json"
# Types that leave clusters out: the standard error is that of the jackknife, whose refits are another way to it.
for type in 13 31 33; do
    json 'y ~ x | worker + employer + year' --coef x --cluster employer --reps 99 --type $type >"$dir/m.json"
    json 'y ~ x | worker + employer + year' --coef x --cluster employer --reps 99 --type $type --threads 1 >"$dir/m1.json"
    [ "$(value p_value "$dir/m.json")" = "$(value p_value "$dir/m1.json")" ] || fault "type $type depends on threads"
    [ $type = 31 ] && continue
    "$P" jackknife "$panel" 'y ~ x | worker + employer + year' --coef x --cluster employer --format json --quiet >"$dir/j.json"
    awk -v a="$(value std_error "$dir/m.json")" -v b="$(value std_error "$dir/j.json")" \
        'BEGIN {exit !(a > 0 && a - b < 1e-8 * b && b - a < 1e-8 * b)}' ||
        fault "type $type: $(value std_error "$dir/m.json"), jackknife $(value std_error "$dir/j.json")"
done
expect 1 "40 clusters, 40 bootstrap clusters and their rows need" "$P" boot "$panel" 'y ~ x | worker + year' --coef x --cluster employer --memory 3M
panel=$dir/panel.h5

# Bad input.
expect 2 "needs --coef" "$P" boot "$panel" 'y ~ x'
expect 2 "--ci t" "$P" boot "$panel" 'y ~ x' --coef x --ci t
expect 2 "no confidence interval" "$P" boot "$panel" 'y ~ x + z' --coef x,z --joint --ci invert
expect 2 "no tails" "$P" boot "$panel" 'y ~ x + z' --coef x,z --joint --ptype left
expect 2 "takes one cluster variable" "$P" boot "$panel" 'y ~ x' --coef x --cluster firm+year --type 31
expect 2 "q is no regressor" "$P" boot "$panel" 'y ~ x' --coef q -o "$dir/out/d.h5"
expect 2 "no column" "$P" boot "$panel" 'y ~ x' --coef x --bootcluster nowhere
expect 2 "panelfx boot: --bootcluster: no column 'nope'" "$P" boot "$panel" 'y ~ x' --coef x --bootcluster nope
expect 3 "fewer than two clusters" "$P" boot "$panel" 'y ~ x' --coef x --where 'firm == "000001"'
finish
