# fit as a user meets it: formats, outputs, several models, subsamples, saved values.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5
csv() { "$P" fit "$panel" "$@" --format csv --quiet 2>"$dir/stderr" || fault "exit $?: fit $*: $(cat "$dir/stderr")"; }
# Column of a CSV without quoted commas: column N FILE
column() { awk -F, -v n="$1" 'NR > 1 {print $n}' "$2"; }

# The table.
ok "$P" fit "$panel" 'y ~ x + z | firm + year'
holds "firm effects"
holds "Clusters (firm)"
holds "Standard errors: clustered by firm (CRV1), small-sample factor of fixest."
[ "$(wc -l <"$dir/stderr")" = 1 ] || fault "want the closing line alone: $(cat "$dir/stderr")"
holds ": fit: wall " "$dir/stderr"
ok "$P" fit "$panel" 'y ~ x | firm + year + firm[z]'
holds "Absorbed parameters: "
holds "counted, exact rank "
ok "$P" fit "$panel" 'y ~ x' --progress always
holds "reading: 48 of 48 rows" "$dir/stderr"
ok "$P" fit "$panel" 'y ~ x' --quiet
[ -s "$dir/stderr" ] && fault "--quiet says something: $(cat "$dir/stderr")"
ok "$P" fit --vcov HC1 --digits 2 "$panel" --brackets=se 'y ~ x' -q
holds "Standard errors in brackets"
holds "heteroskedasticity-robust (HC1)"
ok "$P" fit "$panel" 'y ~ x' --cluster firm+year
holds "two-way clustered by firm and year"
ok "$P" fit "$panel" 'y ~ x' --vcov twoway --ssc none
holds "two-way clustered by firm and year, no small-sample factor"
ok "$P" fit "$panel" 'y ~ x + z' --test 'x - z = 0' --test 'x = 0, z = 0'
holds "Wald test of x - z = 0: F(1, 7)"
holds "F(2, 7)"
ok "$P" fit "$panel" 'y ~ x + one + two'
holds "Dropped as collinear: one, two"
ok "$P" fit "$panel" 'y ~ x' --title 'A & B' --format latex
holds '\caption{A \& B}'

# A panel without unit and time.
ok "$P" import "$dir/panel.csv" -o "$dir/rows.h5" --types none=numeric
ok "$P" fit "$dir/rows.h5" 'y ~ x'
holds "Standard errors: iid"
expect 2 "no unit to cluster by" "$P" fit "$dir/rows.h5" 'y ~ x' --vcov cluster

# Every format, to standard output and by the ending of the file's name.
for f in text json csv latex markdown html; do
    ok "$P" fit "$panel" 'c(y, z) ~ x | firm' --format $f
    [ -s "$dir/stdout" ] || fault "--format $f printed nothing"
done
for pair in json:'"models"' csv:'model,formula' tex:'\toprule' md:'| ---: |' html:'<!DOCTYPE html>' txt:'====='; do
    ok "$P" fit "$panel" 'y ~ x' -o "$dir/table.${pair%%:*}"
    [ -s "$dir/stdout" ] && fault "-o FILE printed on standard output too"
    holds "${pair#*:}" "$dir/table.${pair%%:*}"
done
cp "$dir/table.csv" "$dir/before.csv"
ok "$P" fit "$panel" 'y ~ z' -o "$dir/table.csv" --force
cmp -s "$dir/table.csv" "$dir/before.csv" && fault "--force did not replace the file"

# Models together and alone give the same digits; so do subsamples by --by and by --where.
csv 'c(y, z) ~ x | firm + year' 'y ~ csw(x, z) | year' >"$dir/all.csv"
[ "$(column 1 "$dir/all.csv" | uniq | wc -l)" = 4 ] || fault "want 4 models"
awk -F, 'NR > 1 {print $6, $7, $8}' "$dir/all.csv" >"$dir/together"
for f in 'y ~ x | firm + year' 'z ~ x | firm + year' 'y ~ x | year' 'y ~ x + z | year'; do csv "$f"; done |
    awk -F, '$1 != "model" {print $6, $7, $8}' >"$dir/alone"
cmp -s "$dir/together" "$dir/alone" || fault "models together differ from models alone: $(diff "$dir/together" "$dir/alone")"
csv 'y ~ x' --by year >"$dir/by.csv"
for t in 2015 2016 2017 2018 2019 2020; do csv 'y ~ x' --where "year == $t"; done |
    awk -F, '$1 != "model" {print $6, $7, $8}' >"$dir/alone"
awk -F, 'NR > 1 {print $6, $7, $8}' "$dir/by.csv" | cmp -s - "$dir/alone" || fault "--by differs from --where"
ok "$P" fit "$panel" 'y ~ x' --by prov
holds "Anhui"
holds "Bei, jing"

# The same bits at any number of threads.
csv 'y ~ x + z | firm + year' --threads 1 >"$dir/one.csv"
for n in 2 3 7; do csv 'y ~ x + z | firm + year' --threads $n | cmp -s - "$dir/one.csv" || fault "--threads $n differs"; done

# Weights of one change nothing; frequency weights differ from analytic ones in the standard error alone.
csv 'y ~ x' --vcov iid >"$dir/one.csv"
csv 'y ~ x' --vcov iid --weights one >"$dir/two.csv"
awk -F, 'NR == FNR {a[NR] = $7; b[NR] = $8; next} FNR > 1 && ($7 - a[FNR] > 1e-12 || a[FNR] - $7 > 1e-12 || $8 - b[FNR] > 1e-12) \
    {bad = 1} END {exit bad}' "$dir/one.csv" "$dir/two.csv" || fault "unit weights change the fit"
csv 'y ~ x' --vcov iid --weights w >"$dir/one.csv"
csv 'y ~ x' --vcov iid --weights w --weights-kind frequency >"$dir/two.csv"
cmp -s "$dir/one.csv" "$dir/two.csv" && fault "frequency weights are taken as analytic ones"

# Saved values add up to the outcome, and effects to the rest.
ok "$P" fit "$panel" 'y ~ x | firm + year' --save resid,fitted,effects -o "$dir/saved.csv"
holds "Clusters (firm)"
[ "$(head -n 1 "$dir/saved.csv")" = "model,row,firm,year,resid,fitted" ] || fault "saved.csv: $(head -n 1 "$dir/saved.csv")"
[ "$(wc -l <"$dir/saved.csv")" = 49 ] || fault "saved.csv has $(wc -l <"$dir/saved.csv") lines"
awk -F, 'NR == FNR {y[$1 "," $2] = $3; next} FNR > 1 {d = $5 + $6 - y[$3 "," $4]; if (d > 1e-9 || d < -1e-9) bad = 1} END {exit bad}' \
    "$dir/panel.csv" "$dir/saved.csv" || fault "resid + fitted is not the outcome"
grep -q '^1,firm,000008,43,' "$dir/saved.effects.csv" || fault "effects: $(cat "$dir/saved.effects.csv")"
grep -q '^1,year,2020,6,' "$dir/saved.effects.csv" || fault "effects: $(cat "$dir/saved.effects.csv")"
b=$(csv 'y ~ x | firm + year' | column 7 /dev/stdin)
awk -F, -v b="$b" 'FILENAME ~ /effects/ {if (FNR > 1) a[$2 "," $3] = $5; next}
    FILENAME ~ /panel/ {x[$1 "," $2] = $4; next}
    FNR > 1 {d = $6 - b * x[$3 "," $4] - a["firm," $3] - a["year," $4]; if (d > 1e-9 || d < -1e-9) bad = 1} END {exit bad}' \
    "$dir/saved.effects.csv" "$dir/panel.csv" "$dir/saved.csv" || fault "effects and slopes do not add up to the fitted values"

# --estimate answers and does not fit.
ok "$P" fit "$panel" 'y ~ x' --estimate
holds "memory "
[ "$(wc -l <"$dir/stdout")" = 1 ] || fault "--estimate printed more than a line"
# Constants and perfect fits are warned of; noise around an R2 of zero is not shown.
ok "$P" fit "$dir/panel.h5" 'one ~ x'
holds 'the outcome is constant' "$dir/stderr"
ok "$P" fit "$dir/panel.h5" 'two ~ x | firm'
holds 'a perfect fit' "$dir/stderr"
ok "$P" fit "$dir/panel.h5" 'y ~ 1'
holds 'R2                0.0000'
grep -q 'e-' "$dir/stdout" && fault "an R2 of noise: $(cat "$dir/stdout")"
ok "$P" fit "$dir/panel.h5" 'y ~ x' --format json
holds '"df_t": 7,'
finish
