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
ok "$P" boot "$panel" "$model" --method wild --coef x --reps 99 -o "$dir/wild.h5"
expect 2 "boot wild" "$P" inference "$dir/wild.h5"
finish
