# The pairs bootstrap as a user meets it: numbers, formats, stored draws, threads, bad input.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5
json() { "$P" boot "$panel" "$@" --method pairs --format json --quiet 2>"$dir/stderr" || fault "exit $?: boot $*: $(cat "$dir/stderr")"; }
# Without what differs from run to run.
steady() { grep -vE '"(read_s|compute_s|total_s|threads|peak_memory_bytes)"'; }

ok "$P" boot "$panel" 'y ~ x + z | firm + year' --method pairs --coef x --reps 999
holds "Pairs cluster bootstrap: 999 replicates, seed 1; 8 clusters (firm), 48 rows"
for k in percentile basic normal bca t; do holds "  $k "; done
ok "$P" boot "$panel" 'y ~ x + z | firm + year' --method pairs --coef x,z --reps 99 --ci t,basic
holds "  basic "
grep -q percentile "$dir/stdout" && fault "an interval that was not asked for"

# Without t no standard errors are drawn; the coefficients are the same.
ok "$P" boot "$panel" 'y ~ x + z | firm + year' --method pairs --coef x --reps 99 --ci percentile
holds "distribution of the coefficient"
grep percentile "$dir/stdout" >"$dir/percentile"
ok "$P" boot "$panel" 'y ~ x + z | firm + year' --method pairs --coef x --reps 99 --ci percentile,t
holds "distribution of t"
grep percentile "$dir/stdout" | cmp -s - "$dir/percentile" || fault "standard errors change the percentile interval"

# One term at the top, several in a list; the estimate is that of fit, and a term's draws do not depend on its company.
json 'y ~ x + z | firm + year' --coef x --reps 999 | steady >"$dir/x.json"
json 'y ~ x + z | firm + year' --coef z,x --reps 999 >"$dir/zx.json"
for key in method term estimate std_error statistic null reps reps_valid seed count p_value p_value_ci conf_low conf_high ci; do
    holds "\"$key\":" "$dir/x.json"
done
holds '"terms":' "$dir/zx.json"
b=$("$P" fit "$panel" 'y ~ x + z | firm + year' --format csv --quiet | awk -F, 'NR == 2 {print $7}')
awk -v b="$b" -F '[:,]' '/"estimate"/ {d = $2 - b; exit !(d < 1e-12 && d > -1e-12)}' "$dir/x.json" || fault "estimate is not fit's"
se() { awk -F '[:,]' '/"std_error"/ {v = $2} END {printf "%.10g", v}' "$1"; }
[ "$(se "$dir/x.json")" = "$(se "$dir/zx.json")" ] || fault "draws of x depend on z: $(se "$dir/x.json") $(se "$dir/zx.json")"

# Threads and seeds.
for n in 2 3 7; do
    json 'y ~ x + z | firm + year' --coef x --reps 999 --threads $n | steady | cmp -s - "$dir/x.json" || fault "--threads $n differs"
done
json 'y ~ x + z | firm + year' --coef x --reps 999 --seed 2 | steady | cmp -s - "$dir/x.json" && fault "--seed changes nothing"
json 'y ~ x | firm' --coef x --reps 99 --weights w --cluster firm --where 'year > 2015' | grep -q '"n_obs": 40' || fault "sample"

# Stored draws: the same file at any number of threads, described and checked by info, not replaced without --force.
ok "$P" boot "$panel" 'y ~ x + z | firm + year' --method pairs --coef x --reps 999 -o "$dir/draws.h5" --threads 1
ok "$P" boot "$panel" 'y ~ x + z | firm + year' --method pairs --coef x --reps 999 -o "$dir/other.h5" --threads 3
cmp -s "$dir/draws.h5" "$dir/other.h5" || fault "the draws file depends on threads"
ok "$P" info "$dir/draws.h5" --check
holds "draws of boot"
holds "replicates 1 to 999 of 999"
ok "$P" info "$dir/draws.h5" --format json
holds '"format": "panelfx-draws"'
expect 2 "--force" "$P" boot "$panel" 'y ~ x' --coef x --reps 9 -o "$dir/draws.h5" --method pairs

# Bayesian and m-out-of-n draws: said, with draws of their own; inference of stored draws says what boot said.
steady <"$dir/x.json" | grep -q '"draw": "multinomial"' || fault "no draw in JSON"
body() { grep -vE '"(read_s|compute_s|total_s|threads|peak_memory_bytes)"' "$1" | sed '/"warnings"/,$d'; }
for how in "--draw bayes" "--subsample 5 --ci t,basic" "--subsample 5 --ci percentile"; do
    rm -f "$dir/v.h5"
    json 'y ~ x + z | firm + year' --coef x --reps 499 $how -o "$dir/v.h5" >"$dir/v.json"
    [ "$(se "$dir/v.json")" = "$(se "$dir/x.json")" ] && fault "$how changes nothing"
    ok "$P" inference "$dir/v.h5" --format json $(echo "$how" | grep -o -- "--ci.*")
    mv "$dir/stdout" "$dir/i.json"
    body "$dir/v.json" >"$dir/v"
    body "$dir/i.json" | diff "$dir/v" - >"$dir/diff" || fault "inference after $how: $(cat "$dir/diff")"
done
holds '"subsample": 5' "$dir/v.json"
ok "$P" boot "$panel" 'y ~ x + z | firm + year' --method pairs --coef x --reps 99 --draw bayes
holds "Bayesian bootstrap"
holds "  bca "
ok "$P" boot "$panel" 'y ~ x + z | firm + year' --method pairs --coef x --reps 99 --subsample 4
holds "M = 4 of G = 8 clusters"
holds "sqrt(M/G) = 0.707107"
grep -q "  bca " "$dir/stdout" && fault "BCa of fewer clusters"
json 'y ~ x + z | firm + year' --coef x --reps 999 --subsample 8 --ci t,basic | grep '"p_value"' >"$dir/m"
json 'y ~ x + z | firm + year' --coef x --reps 999 --ci t,basic | grep '"p_value"' | cmp -s - "$dir/m" || fault "M = G is another bootstrap"
rm -f "$dir/v.h5"
cp "$dir/draws.h5" "$dir/v.h5"
expect 2 "draw" "$P" boot "$panel" 'y ~ x + z | firm + year' --method pairs --coef x --reps 999 --draw bayes -o "$dir/v.h5" --resume

# Bad input.
expect 2 "--subsample 1: a replicate needs at least 2" "$P" boot "$panel" 'y ~ x' --coef x --method pairs --subsample 1 -o "$dir/out/d.h5"
expect 2 "--subsample 0" "$P" boot "$panel" 'y ~ x' --coef x --method pairs --subsample 0
expect 2 "the sample has 8 clusters" "$P" boot "$panel" 'y ~ x' --coef x --method pairs --subsample 9 -o "$dir/out/d.h5"
expect 2 "weights all clusters" "$P" boot "$panel" 'y ~ x' --coef x --method pairs --subsample 4 --draw bayes
expect 2 "--ci bca" "$P" boot "$panel" 'y ~ x' --coef x --method pairs --subsample 4 --ci bca
expect 2 "not for a family" "$P" boot "$panel" 'c(y, z) ~ x' --coef x --method pairs --subsample 4
expect 2 "--draw is of --method pairs" "$P" boot "$panel" 'y ~ x' --coef x --draw bayes
expect 2 "--draw" "$P" boot "$panel" 'y ~ x' --coef x --method pairs --draw normal
expect 2 "the file that is read" "$P" boot "$panel" 'y ~ x' --coef x -o "$panel" --force --method pairs
expect 2 "needs --coef" "$P" boot "$panel" 'y ~ x' --method pairs
expect 2 "--type is of --method wild" "$P" boot "$panel" 'y ~ x' --coef x --method pairs --type 31
expect 2 "q is no regressor" "$P" boot "$panel" 'y ~ x' --coef q -o "$dir/out/d.h5" --method pairs
expect 2 "--reps 0" "$P" boot "$panel" 'y ~ x' --coef x --reps 0 --method pairs
expect 2 "hours" "$P" boot "$panel" 'y ~ x' --coef x --reps 1000000000000 -o "$dir/out/d.h5" --method pairs
expect 2 "--ci median" "$P" boot "$panel" 'y ~ x' --coef x --ci median --method pairs
expect 2 "one cluster variable" "$P" boot "$panel" 'y ~ x' --coef x --cluster firm+year --method pairs
expect 3 "fewer than two clusters" "$P" boot "$panel" 'y ~ x' --coef x --where 'firm == "000001"' --method pairs
"$P" boot "$panel" 'y ~ x + two' --coef two --quiet >"$dir/stdout" 2>"$dir/stderr"
[ $? = 4 ] || fault "a collinear coefficient is not refused"
holds "left out as collinear" "$dir/stderr"
# A lag's comma is no separator; where nothing varies there is no p-value; what was left out is not identified.
ok "$P" boot "$panel" 'y ~ l(x, 1) + z | firm' --method pairs --coef 'l(x, 1),z' --reps 99 --format json
holds '"term": "l(x, 1)"'
ok "$P" boot "$panel" 'one ~ x | firm + year' --method pairs --coef x --reps 99 --format json
holds '"p_value": null'
"$P" boot "$panel" 'y ~ x + two | firm' --method pairs --coef two --reps 9 --quiet >"$dir/stdout" 2>"$dir/stderr"
[ $? = 4 ] || fault "a coefficient that was left out: not exit 4"

# Less memory than the process has already: said, with the bytes.
"$P" boot "$panel" 'y ~ x + z | firm + year' --coef x --method pairs --reps 99 --memory 20M -o "$dir/out/d.h5" 2>"$dir/stderr"
[ $? = 1 ] || fault "--memory 20M is exceeded"
holds "--memory allows 20971520 bytes and this run needs about" "$dir/stderr"
[ "$(tail -n 1 "$dir/stderr" | cut -c1-13)" = "panelfx boot:" ] && [ -z "$(ls -A "$dir/out")" ] || fault "--memory 20M: $(cat "$dir/stderr")"
expect 1 "columns of it take" "$P" boot "$panel" 'y ~ x + z | firm + year' --coef x --method pairs --reps 99 --memory 1K -o "$dir/out/d.h5"
finish
