# jackknife as a user meets it: numbers against fits without each cluster, formats, the table of clusters, bad input.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5
model='y ~ x + z | firm + year'
value() { awk -F '[:,]' -v k="\"$1\"" '$1 ~ k {printf "%.12g", $2; exit}' "$2"; }

ok "$P" jackknife "$panel" "$model"
holds "Cluster jackknife: 8 clusters (firm), 48 rows"
for k in "std. error CV3J" "effective clusters" "largest partial leverage" "lowest without a cluster" "000005"; do holds "$k"; done
grep -q "x varies within 8 of the clusters" "$dir/stderr" || fault "no warning of few clusters: $(cat "$dir/stderr")"

# CV3, literally: a fit without each firm.
for f in 1 2 3 4 5 6 7 8; do
    "$P" fit "$panel" "$model" --where "firm != \"00000$f\"" --format csv --quiet | awk -F, 'NR == 2 {print $7}'
done >"$dir/without"
b=$("$P" fit "$panel" "$model" --format csv --quiet | awk -F, 'NR == 2 {print $7}')
want=$(awk -v b="$b" '{s += ($1 - b) ^ 2} END {printf "%.12g", sqrt(7 / 8 * s)}' "$dir/without")
ok "$P" jackknife "$panel" "$model" --coef x --format json -o "$dir/clusters.csv"
cp "$dir/stdout" "$dir/x.json"
awk -v a="$(value std_error "$dir/x.json")" -v b="$want" 'BEGIN {d = a / b - 1; exit !(d < 1e-9 && d > -1e-9)}' ||
    fault "CV3 $(value std_error "$dir/x.json"), want $want"
for key in estimate statistic p_value conf_low conf_high std_error_cv3j effective_clusters switching_clusters leverage without; do
    holds "\"$key\":" "$dir/x.json"
done
[ "$(wc -l <"$dir/clusters.csv")" = 9 ] || fault "the table of clusters has $(wc -l <"$dir/clusters.csv") lines"
awk -F, 'NR > 1 {print $4}' "$dir/clusters.csv" | paste -d ' ' - "$dir/without" |
    awk '{d = $1 / $2 - 1; if (d > 1e-9 || d < -1e-9) exit 1}' || fault "coefficients of the table"
awk -F, 'NR > 1 {p += $3; l += $2} END {exit !(p > 1 - 1e-9 && p < 1 + 1e-9 && l > 6.9 && l < 7.1)}' "$dir/clusters.csv" ||
    fault "leverages do not sum to 7, partial ones to 1"
head -n 2 "$dir/clusters.csv" | grep -q '^"000001",' || fault "no name of the first firm"
for n in 1 3; do
    ok "$P" jackknife "$panel" "$model" --coef x --format json --threads $n
    grep -vE '"(read_s|compute_s|total_s|threads|peak_memory_bytes)"' "$dir/stdout" >"$dir/now"
    grep -vE '"(read_s|compute_s|total_s|threads|peak_memory_bytes)"' "$dir/x.json" | cmp -s - "$dir/now" || fault "--threads $n differs"
done

# Clusters above the firm.
ok "$P" jackknife "$panel" 'y ~ x | firm' --coef x --cluster prov
holds "2 clusters (prov)"

# Two-stage least squares, literally.
iv='y ~ 1 | firm | x ~ z'
for f in 1 2 3 4 5 6 7 8; do
    "$P" fit "$panel" "$iv" --where "firm != \"00000$f\"" --format csv --quiet | awk -F, '$6 == "x" {print $7}'
done >"$dir/without"
b=$("$P" fit "$panel" "$iv" --format csv --quiet | awk -F, '$6 == "x" {print $7}')
want=$(awk -v b="$b" '{s += ($1 - b) ^ 2} END {printf "%.12g", sqrt(7 / 8 * s)}' "$dir/without")
ok "$P" jackknife "$panel" "$iv" --coef x --format json -o "$dir/iv.csv"
awk -v a="$(value std_error "$dir/stdout")" -v b="$want" 'BEGIN {d = a / b - 1; exit !(d < 1e-9 && d > -1e-9)}' ||
    fault "CV3 of 2SLS $(value std_error "$dir/stdout"), want $want"
grep -q '"leverage"' "$dir/stdout" && fault "2SLS has a leverage"
[ "$(head -n 1 "$dir/iv.csv")" = 'cluster,"without x"' ] || fault "columns of 2SLS: $(head -n 1 "$dir/iv.csv")"
ok "$P" jackknife "$panel" "$iv"
holds "Two-stage least squares"
expect 2 "is an instrument" "$P" jackknife "$panel" "$iv" --coef z

expect 2 "q is no regressor" "$P" jackknife "$panel" "$model" --coef q
expect 2 "--top 11" "$P" jackknife "$panel" "$model" --top 11
expect 2 "clusters of one variable" "$P" jackknife "$panel" "$model" --cluster firm+year
expect 2 "one model" "$P" jackknife "$panel" 'c(y, z) ~ x'
expect 2 "--force" "$P" jackknife "$panel" "$model" --coef z -o "$dir/clusters.csv"
finish
