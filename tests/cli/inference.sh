# inference from stored draws: what boot printed, another null and level, what the draws were not made for, bad files.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5
model='y ~ x + z | firm + year'
steady() { grep -vE '"(read_s|compute_s|total_s|threads|peak_memory_bytes)"' | sed '/"warnings"/,$d'; }
boot() { ok "$P" boot "$panel" "$model" --method pairs --reps 499 --seed 7 --format json "$@"; }

boot --coef x,z -o "$dir/draws.h5"
steady <"$dir/stdout" >"$dir/boot.json"
ok "$P" inference "$dir/draws.h5" --format json
steady <"$dir/stdout" | diff "$dir/boot.json" - >"$dir/diff" || fault "inference is not what boot said: $(cat "$dir/diff")"
boot --coef x,z --null 0.45 --level 0.9 --ci basic,t
steady <"$dir/stdout" >"$dir/boot.json"
ok "$P" inference "$dir/draws.h5" --null 0.45 --level 0.9 --ci basic,t --format json
steady <"$dir/stdout" | diff "$dir/boot.json" - >"$dir/diff" || fault "another null and level: $(cat "$dir/diff")"
ok "$P" inference "$dir/draws.h5" --coef z
holds "z  "
holds "stored draws: 499 replicates, seed 7; 8 clusters (firm), 48 rows"
grep -q "^x " "$dir/stdout" && fault "--coef z shows x"

# Draws without standard errors, and without a jackknife.
boot --coef x --ci percentile -o "$dir/plain.h5"
ok "$P" inference "$dir/plain.h5"
holds "distribution of the coefficient"
holds "  percentile "
grep -qE "^  (t|bca) " "$dir/stdout" && fault "an interval that the draws cannot give: $(cat "$dir/stdout")"
expect 2 "no standard errors" "$P" inference "$dir/plain.h5" --ci t
expect 2 "no jackknife" "$P" inference "$dir/plain.h5" --ci bca

expect 2 "did you mean" "$P" inference "$dir/draws.h5" --coef zz
expect 2 "--ci median" "$P" inference "$dir/draws.h5" --ci median
expect 2 "--level 2" "$P" inference "$dir/draws.h5" --level 2
expect 3 "panelfx-panel" "$P" inference "$panel"
expect 1 "nowhere.h5" "$P" inference "$dir/nowhere.h5"
expect 2 "--ptype is of boot --method wild" "$P" inference "$dir/draws.h5" --ptype left
expect 2 "--stat is of placebo" "$P" inference "$dir/draws.h5" --stat b

# near FILE FILE WHAT: the same JSON, numbers to 1e-10; all but what takes draws with the other residuals.
near() {
    grep -vE '"(p_wcr|p_wcu)"' "$1" >"$dir/near.a"
    grep -vE '"(p_wcr|p_wcu)"' "$2" >"$dir/near.b"
    paste -d '\t' "$dir/near.a" "$dir/near.b" | awk -F '\t' '
        function number(s) {sub(/^[^:]*: */, "", s); sub(/,$/, "", s); return s}
        $1 != $2 {
            a = number($1); b = number($2); k = $1; l = $2; sub(/:.*/, "", k); sub(/:.*/, "", l); d = a - b; m = a < 0 ? -a : a
            if (k != l || a !~ /^-?[0-9.e+-]+$/ || b !~ /^-?[0-9.e+-]+$/ || d > 1e-10 * (1 + m) || -d > 1e-10 * (1 + m)) {print; bad = 1}
        } END {exit bad}' >"$dir/diff" || fault "$3: $(cat "$dir/diff")"
}
# same OPTIONS...: inference from $dir/d.h5 says what the last command did, byte for byte.
same() {
    what=$*
    steady <"$dir/stdout" | grep -vE '"(p_wcr|p_wcu)"' >"$dir/a.json"
    ok "$P" inference "$dir/d.h5" --format json "$@"
    steady <"$dir/stdout" | diff "$dir/a.json" - >"$dir/diff" || fault "inference $what: $(cat "$dir/diff")"
}
wild() { ok "$P" boot "$panel" "$@" --reps 499 --seed 7 --format json; }

for how in "--weights-type webb" "--type 33 --weights-type normal" "--unrestricted --weights-type mammen --cluster firm+year" \
    "--bootcluster year --weights-type gamma" ""; do
    wild "$model" --coef x,z $how -o "$dir/d.h5" --force
    same
    wild "$model" --coef x,z $how --level 0.8 --ptype equal-tailed
    same --level 0.8 --ptype equal-tailed
    for null in 0.45 -0.3; do
        wild "$model" --coef x,z $how --null $null --ptype right --level 0.9
        steady <"$dir/stdout" >"$dir/a.json"
        ok "$P" inference "$dir/d.h5" --format json --null $null --ptype right --level 0.9
        steady <"$dir/stdout" >"$dir/b.json"
        near "$dir/a.json" "$dir/b.json" "boot $how --null $null"
    done
done
# The null of the draws is the default.
wild "$model" --coef x --null 0.4 --ci none -o "$dir/d.h5" --force
same
holds '"null": 0.4'
expect 2 "of 0.4 alone" "$P" inference "$dir/d.h5" --null 0
expect 2 "no null polynomials" "$P" inference "$dir/d.h5" --ci invert
expect 2 "wild bootstrap has invert" "$P" inference "$dir/d.h5" --ci bca
wild "$model" --coef x,z --joint --weights-type webb -o "$dir/d.h5" --force
same
expect 2 "no tails" "$P" inference "$dir/d.h5" --ptype left
# Two-stage least squares: every null is drawn anew, so that the p-value of theirs is all that draws give.
wild 'y ~ 1 | firm | x ~ z' --coef x --weights-type webb --ci none -o "$dir/d.h5" --force
same
expect 2 "two-stage least squares are" "$P" inference "$dir/d.h5" --null 0.3
# Few treated clusters, whose counts are kept.
wild 'y ~ x + i(year, ref = 2015) | firm' --coef year::2016 --weights-type webb -o "$dir/d.h5" --force
same
holds '"n_switching": 8'
# A family, at its null and at another.
wild 'c(y, z) ~ x | firm' --coef x --weights-type webb -o "$dir/d.h5" --force
grep -E '"(p_value|p_romano_wolf|p_westfall_young|estimate)"' "$dir/stdout" >"$dir/a.json"
ok "$P" inference "$dir/d.h5" --format json
grep -E '"(p_value|p_romano_wolf|p_westfall_young|estimate)"' "$dir/stdout" | diff "$dir/a.json" - >"$dir/diff" || fault "family: $(cat "$dir/diff")"
wild 'c(y, z) ~ x | firm' --coef x --weights-type webb --null 0.4
grep -E '"(p_value|p_romano_wolf|p_westfall_young|statistic)"' "$dir/stdout" >"$dir/a.json"
ok "$P" inference "$dir/d.h5" --format json --null 0.4
grep -E '"(p_value|p_romano_wolf|p_westfall_young|statistic)"' "$dir/stdout" >"$dir/b.json"
[ "$(wc -l <"$dir/a.json")" = 8 ] || fault "keys of a family: $(cat "$dir/a.json")"
near "$dir/a.json" "$dir/b.json" "family at another null"

# Placebo: every scheme; the test by b at another effect.
awk 'BEGIN {
    print "firm,year,y,D"
    for (f = 1; f <= 24; f++) for (t = 2012; t <= 2018; t++) {
        d = f % 4 == 0 && t >= 2013 + f % 5
        printf "f%02d,%d,%.4f,%d\n", f, t, f * 0.3 + 0.8 * d + (f * t * 7919 % 101) / 50, d
    }
}' >"$dir/p.csv"
ok "$P" import "$dir/p.csv" -o "$dir/p.h5" --unit firm --time year
placebo() { ok "$P" placebo "$dir/p.h5" 'y ~ D | firm + year' --treatment D --reps 499 --seed 7 --format json "$@"; }
for how in "" "--scheme random-date" "--scheme within-period"; do
    placebo $how -o "$dir/d.h5" --force
    same
    placebo $how --level 0.8 --stat b
    same --level 0.8 --stat b
done
placebo -o "$dir/d.h5" --force
placebo --stat b --null 0.7 --level 0.9
same --stat b --null 0.7 --level 0.9
expect 2 "--stat b" "$P" inference "$dir/d.h5" --null 0.7
placebo --scheme within-period -o "$dir/rows.h5"
expect 2 "no effect alone" "$P" inference "$dir/rows.h5" --stat b --null 0.7
expect 2 "no effect alone" "$P" placebo "$dir/p.h5" 'y ~ D | firm + year' --treatment D --scheme within-period --stat b --null 0.7
expect 2 "--ci is of boot" "$P" inference "$dir/d.h5" --ci invert
awk -F, 'NR == 1 || $1 <= "f06"' "$dir/p.csv" >"$dir/small.csv"
ok "$P" import "$dir/small.csv" -o "$dir/p.h5" --unit firm --time year --force
placebo -o "$dir/d.h5" --force
same
holds '"enumerated": true'

# A file that is not whole.
for m in wild pairs; do
    ok "$P" boot "$panel" "$model" --method $m --coef x --reps 99 --shard 1/2 -o "$dir/half.h5" --force
    expect 3 "merge the shards first" "$P" inference "$dir/half.h5"
done
ok "$P" boot "$panel" "$model" --coef x --weights-type webb --reps 9999 --stop-when-decided 0.3 -o "$dir/early.h5"
expect 2 "without --stop-when-decided" "$P" inference "$dir/early.h5"
start() { exec "$P" boot "$panel" "$model" --coef x --weights-type normal --reps 40000000 --checkpoint 0.01 -o "$dir/cut.h5" >"$dir/stdout" 2>"$dir/stderr"; }
start &
pid=$! n=0
until [ -e "$dir/cut.h5.part" ] || [ $n -ge 2000 ]; do n=$((n + 1)); sleep 0.005; done
kill $pid
wait $pid
[ $? = 75 ] || fault "no checkpoint: $(cat "$dir/stderr")"
expect 3 "a checkpoint, not a finished file" "$P" inference "$dir/cut.h5.part"
finish
