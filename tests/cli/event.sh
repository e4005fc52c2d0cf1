# event as a user meets it: a made panel with staggered adoption, both estimators, formats, dates, refusals.
. tests/cli_lib.sh

# 40 firms, 8 years. Firms 0 mod 4 are never treated, the others from 2013, 2014, 2016 on; the effect is 1 + event time.
# off: firms 1 and 5 switch off. early: firm 1 is treated all along.
awk 'BEGIN {
    print "firm,year,y,x,D,off,early,g,same,two,name"
    for (f = 0; f < 40; f++) for (t = 2011; t <= 2018; t++) {
        g = f % 4 == 0 ? 0 : f % 4 == 1 ? 2013 : f % 4 == 2 ? 2014 : 2016
        d = g && t >= g
        x = (f * 7 + t * 3) % 11 / 4
        printf "F%02d,%d,%.17g,%g,%d,%d,%d,%s,%d,%d,%s\n", f, t, f / 3 + (t - 2010)^2 / 10 + x / 2 + (d ? 1 + t - g : 0), x, d,
            (f == 1 || f == 5) && t == 2017 ? 0 : d, f == 1 ? 1 : d, g ? g : "", (t >= 2014), (f == 3 && t == 2012) ? 2 : d, f % 2 ? "a" : "b"
    }
}' >"$dir/p.csv"
ok "$P" import "$dir/p.csv" -o "$dir/p.h5" --unit firm --time year
panel=$dir/p.h5

# Without noise Sun-Abraham finds 1 + event time, and nothing before.
ok "$P" event "$panel" 'y ~ x' --treatment D --format csv
awk -F, 'NR == 1 {if ($0 != "event_time,estimate,std_error,conf_low,conf_high,n") bad = 1; next}
    {want = $1 < 0 ? 0 : 1 + $1; d = $2 - want; if (d > 1e-9 || d < -1e-9) bad = 1; n++}
    END {exit bad || n != 11}' "$dir/stdout" || fault "not 1 + event time: $(cat "$dir/stdout")"
cp "$dir/stdout" "$dir/by_treatment"
ok "$P" event "$panel" 'y ~ x | firm + year' --cohort g --format csv --threads 3
cmp -s "$dir/stdout" "$dir/by_treatment" || fault "cohort and treatment differ: $(diff "$dir/stdout" "$dir/by_treatment" | head -4)"
ok "$P" event "$panel" 'y ~ x' --treatment D
holds "-1 (reference)"
holds "After treatment, all rows"
holds "30 units are treated, in 3 cohorts from 2013 to 2016; 10 never."
ok "$P" event "$panel" 'y ~ 1' --treatment D --method twfe --window -2:3 --ref -2 --format json -o "$dir/e.json"
for key in '"command": "event"' '"method": "twfe"' '"event_time": -2' '"conf_low"' '"low_binned": true' '"pre_trend": {' '"n_units_never": 10'; do
    holds "$key" "$dir/e.json"
done
if command -v gnuplot >/dev/null; then
    ok "$P" plot "$dir/e.json" -o "$dir/e.svg"
    holds 'event time' "$dir/e.svg"
fi
ok "$P" event "$panel" 'y ~ x' --treatment D --method twfe --window=-2:3
holds "3 and after"
holds "Adoption is staggered"
for pair in tex:'\toprule' md:'| ---: |' html:'<!DOCTYPE html>' csv:'event_time,'; do
    ok "$P" event "$panel" 'y ~ x' --treatment D -o "$dir/r.${pair%%:*}"
    holds "${pair#*:}" "$dir/r.${pair%%:*}"
done

# Callaway-Sant'Anna: without noise 1 + event time, the curve of x apart, which it does not control for here.
ok "$P" event "$panel" 'y - x / 2 ~ 1' --treatment D --method cs --format csv
awk -F, 'NR == 1 {if ($0 != "event_time,estimate,std_error,conf_low,conf_high,n") bad = 1; next}
    {want = $1 < 0 ? 0 : 1 + $1; d = $2 - want; if (d > 1e-9 || d < -1e-9) bad = 1; n++}
    END {exit bad || n != 10}' "$dir/stdout" || fault "cs: not 1 + event time: $(cat "$dir/stdout")"
ok "$P" event "$panel" 'y ~ x' --treatment D --method cs --control notyet --base universal --score reg --format json -o "$dir/cs.json"
for key in '"method": "cs"' '"control": "notyet"' '"base": "universal"' '"score": "reg"' '"att_gt": [' '"aggregations": {' '"n_clusters": 40'; do
    holds "$key" "$dir/cs.json"
done
ok "$P" event "$panel" 'y ~ 1' --cohort g --method cs --aggregate cell
holds "units never treated"
holds "no covariates"
for by in cohort period cell; do
    ok "$P" event "$panel" 'y ~ x' --treatment D --method cs --score reg --aggregate $by --format csv
    grep -qE "^($by|cohort,period)," "$dir/stdout" || fault "no column $by"
done
expect 2 "takes no --weights" "$P" event "$panel" 'y ~ x' --treatment D --method cs --weights x -o "$dir/out/e"
expect 2 "absorbs no effects" "$P" event "$panel" 'y ~ x | firm + year' --treatment D --method cs -o "$dir/out/e"
expect 2 "--control belongs to --method cs" "$P" event "$panel" 'y ~ x' --treatment D --control notyet -o "$dir/out/e"
expect 2 "--vcov iid is not among" "$P" event "$panel" 'y ~ x' --treatment D --method cs --vcov iid -o "$dir/out/e"
expect 2 "clusters by one variable" "$P" event "$panel" 'y ~ x' --treatment D --method cs --cluster firm+year -o "$dir/out/e"
expect 4 "collinear" "$P" event "$panel" 'y ~ x + I(2 * x)' --treatment D --method cs -o "$dir/out/e"

# Imputation: without noise 1 + event time; the last year has no untreated rows where nobody is never treated.
ok "$P" event "$panel" 'y ~ x' --treatment D --method imputation --format csv
awk -F, 'NR == 1 {if ($0 != "event_time,estimate,std_error,conf_low,conf_high,n") bad = 1; next}
    {want = $1 < 0 ? 0 : 1 + $1; d = $2 - want; if (d > 1e-9 || d < -1e-9) bad = 1; n++}
    END {exit bad || n != 10}' "$dir/stdout" || fault "imputation: not 1 + event time: $(cat "$dir/stdout")"
# A cohort of one unit: its effects are their own average, nothing says how they vary.
awk 'BEGIN {print "id,t,g,y"; for (i = 1; i <= 12; i++) for (t = 1; t <= 6; t++)
    printf "%d,%d,%d,%.3f\n", i, t, (i == 1 ? 3 : i == 2 ? 5 : i == 3 ? 5 : 0), (i * t * 7919 % 101) / 50}' >"$dir/lone.csv"
ok "$P" import "$dir/lone.csv" -o "$dir/lone.h5" --unit id --time t
ok "$P" event "$dir/lone.h5" 'y ~ 1' --cohort g --method imputation --format json
for key in '"n_cells": 6' '"n_cells_of_one_cluster": 4'; do holds "$key"; done
[ "$(awk '/"event_time": 3,|"event_time": 2,/ {at = 1} at && /"std_error"/ {print $2; at = 0}' "$dir/stdout" | sort -u)" = "null," ] ||
    fault "a standard error where one unit alone is treated: $(cat "$dir/stdout")"
ok "$P" event "$dir/lone.h5" 'y ~ 1' --cohort g --method imputation
holds "In 4 of the 6 cohorts by event time one cluster alone is treated"
holds "rest on fewer than 10 rows"
ok "$P" event "$panel" 'y ~ x + I(x^2)' --cohort g --method imputation --leave-out --window=-2:3
holds "of the other clusters"
holds "3 and after"
holds "against event times before -2"
ok "$P" event "$panel" 'y ~ x' --treatment D --method imputation --weights 'x + 1' --format json
for key in '"method": "imputation"' '"horizons_not_imputed": []' '"n_untreated": 180' '"pre_trend": {'; do holds "$key"; done
expect 2 "let it end at 0 or later" "$P" event "$panel" 'y ~ x' --treatment D --method imputation --window=-5:-2 -o "$dir/out/e"
expect 2 "--leave-out belongs to --method imputation" "$P" event "$panel" 'y ~ x' --treatment D --leave-out -o "$dir/out/e"
expect 2 "clusters its weighted residuals" "$P" event "$panel" 'y ~ x' --treatment D --method imputation --vcov iid -o "$dir/out/e"
expect 2 "imputation has no reference period" "$P" event "$panel" 'y ~ x' --treatment D --method imputation --ref -2 -o "$dir/out/e"
expect 2 "clusters by one variable" "$P" event "$panel" 'y ~ x' --treatment D --method imputation --cluster firm+year -o "$dir/out/e"
expect 4 "collinear with the effects" "$P" event "$panel" 'y ~ x + I(2 * x)' --treatment D --method imputation -o "$dir/out/e"

# Goodman-Bacon: the coefficient of fit again.
ok "$P" fit "$panel" 'y ~ D | firm + year' --format csv
want=$(sed -n 's/^1,[^,]*,y,,,D,\([^,]*\),.*/\1/p' "$dir/stdout")
ok "$P" event "$panel" 'y ~ 1' --treatment D --method bacon --format json
got=$(sed -n 's/.*"weighted_sum": \([^,]*\),.*/\1/p' "$dir/stdout")
awk -v a="$want" -v b="$got" 'BEGIN {d = a / b - 1; exit !(a && d < 1e-10 && d > -1e-10)}' || fault "bacon: $got, fit: $want"
ok "$P" event "$panel" 'y ~ 1' --treatment D --method bacon
holds "earlier vs later treated"
ok "$P" event "$panel" 'y ~ 1' --treatment D --method bacon --format csv
holds "type,treated,control,n_treated,n_control,weight,estimate"
expect 2 "write y ~ 1" "$P" event "$panel" 'y ~ x' --treatment D --method bacon -o "$dir/out/e"
expect 3 "1 of 40 units are not seen in all 8 periods" "$P" event "$panel" 'y ~ 1' --treatment D --method bacon --where 'x != 1.75 | year != 2012 | g > 0' -o "$dir/out/e"
ok "$P" event "$panel" 'y ~ 1' --treatment D --method bacon --balanced --where 'x != 1.75 | year != 2012 | g > 0'
holds "Left out: 1 units that are not seen in every period."
holds "39 units in all of 8 periods, 312 rows"
expect 2 "--balanced belongs to --method cs and bacon" "$P" event "$panel" 'y ~ x' --treatment D --balanced -o "$dir/out/e"
expect 2 "takes no --weights" "$P" event "$panel" 'y ~ 1' --treatment D --method bacon --weights x -o "$dir/out/e"
expect 2 "--window: bacon has no event times" "$P" event "$panel" 'y ~ 1' --treatment D --method bacon --window=-2:2 -o "$dir/out/e"

# Differences in trends: with noise, since a covariance of rounding is none.
awk -F, -v OFS=, 'NR > 1 {$3 = sprintf("%.17g", $3 + ($2 * 37 + NR * NR * 13) % 29 / 20)} {print}' "$dir/p.csv" >"$dir/noise.csv"
ok "$P" import "$dir/noise.csv" -o "$dir/noise.h5" --unit firm --time year
ok "$P" event "$dir/noise.h5" 'y ~ x' --treatment D --sensitivity rm
holds "Sensitivity of the effect at event time 0"
holds "Mbar 0.5: ["
holds "Breakdown value"
ok "$P" event "$dir/noise.h5" 'y ~ x' --treatment D --sensitivity sd --effect average --bounds 0,0.1 --format json
for key in '"restriction": "smoothness"' '"effect": "average"' '"breakdown"' '"m": 0.10'; do holds "$key"; done
for n in 1 3; do
    ok "$P" event "$dir/noise.h5" 'y ~ x' --treatment D --method cs --base universal --score reg --sensitivity rm --effect 1 --format json --threads $n
    sed '/_s"/d; /threads/d; /peak/d' "$dir/stdout" >"$dir/sensitivity$n"
done
holds '"mbar": 0.5'
cmp -s "$dir/sensitivity1" "$dir/sensitivity3" || fault "threads change the sensitivity"
expect 2 "--bounds needs --sensitivity" "$P" event "$panel" 'y ~ x' --treatment D --bounds 1 -o "$dir/out/e"
expect 2 "want at most 32 numbers" "$P" event "$panel" 'y ~ x' --treatment D --sensitivity rm --bounds 1,-2 -o "$dir/out/e"
expect 2 "event times after treatment run from 0 to 5 here" "$P" event "$dir/noise.h5" 'y ~ x' --treatment D --sensitivity rm --effect 9 -o "$dir/out/e"
expect 2 "want an event time, 0 or later, or average" "$P" event "$panel" 'y ~ x' --treatment D --sensitivity rm --effect -1 -o "$dir/out/e"
expect 2 "needs --base universal" "$P" event "$panel" 'y ~ x' --treatment D --method cs --sensitivity rm -o "$dir/out/e"
expect 2 "with one covariance" "$P" event "$panel" 'y ~ x' --treatment D --method imputation --sensitivity rm -o "$dir/out/e"
expect 3 "that are no bins" "$P" event "$dir/noise.h5" 'y ~ x' --treatment D --window=-2:3 --sensitivity rm -o "$dir/out/e"
expect 2 "--ref -1" "$P" event "$panel" 'y ~ x' --treatment D --ref -2 --sensitivity rm -o "$dir/out/e"

# The figure.
expect 2 "--plot $dir/out/e.gif: want a name" "$P" event "$panel" 'y ~ x' --treatment D --plot "$dir/out/e.gif"
expect 2 "exists" "$P" event "$panel" 'y ~ x' --treatment D --plot "$dir/e.json.svg.png" -o "$dir/e.json"
if command -v gnuplot >/dev/null; then
    for method in twfe sunab cs imputation; do
        ok "$P" event "$panel" 'y - x / 2 ~ 1' --treatment D --method $method --plot "$dir/$method.svg"
        holds 'event time' "$dir/$method.svg"
    done
fi

# fit warns of a staggered treatment, once, and of no other; the share of negative weights is told.
ok "$P" fit "$panel" 'c(y, x) ~ D | firm + year'
[ "$(grep -c 'D begins in 3 different periods: beside firm and year effects' "$dir/stderr")" = 1 ] || fault "no warning: $(cat "$dir/stderr")"
for formula in 'y ~ same + x | firm + year' 'y ~ off | firm + year' 'y ~ D | firm' 'y ~ D'; do
    ok "$P" fit "$panel" "$formula"
    grep -q 'different periods' "$dir/stderr" && fault "a warning: $formula: $(cat "$dir/stderr")"
done
ok "$P" event "$panel" 'y ~ x' --treatment D --method twfe
holds "of the treated rows would weigh negatively"
ok "$P" event "$panel" 'y ~ x | firm + year' --treatment D --method twfe --format json
holds '"sum_negative"'

# The coefficients are those of fit on a column of event time.
awk -F, 'NR == 1 {print $0 ",rel"; next} {print $0 "," ($8 == "" ? 99 : $2 - $8)}' "$dir/p.csv" >"$dir/rel.csv"
ok "$P" import "$dir/rel.csv" -o "$dir/rel.h5" --unit firm --time year
ok "$P" fit "$dir/rel.h5" 'y ~ i(rel, ref = c(-1, 99)) + x | firm + year' --cluster name --format csv
sed -n 's/.*rel::\(-*[0-9]*\),\([^,]*\),\([^,]*\),.*/\1,\2,\3/p' "$dir/stdout" >"$dir/fit"
ok "$P" event "$panel" 'y ~ x' --treatment D --method twfe --cluster name --format csv
sed -n '2,$s/^\(-*[0-9]*\),\([^,]*\),\([^,][^,]*\),.*/\1,\2,\3/p' "$dir/stdout" >"$dir/event"
[ "$(wc -l <"$dir/fit")" = 10 ] && cmp -s "$dir/fit" "$dir/event" || fault "fit differs: $(diff "$dir/fit" "$dir/event" | head -4)"

# Dates that are not seen, reversals, no unit never treated.
ok "$P" event "$panel" 'y ~ x' --treatment early
holds "Left out: 1 units (8 rows)"
ok "$P" event "$panel" 'y ~ x' --treatment off --allow-reversal
holds "switches off for 2 units"
expect 3 "no unit in it is never treated" "$P" event "$panel" 'y ~ x' --treatment D --where 'g > 0' -o "$dir/out/e"
sed '/^F\(00\|04\|08\|12\|16\|20\|24\|28\|32\|36\),/d' "$dir/p.csv" >"$dir/treated.csv"
ok "$P" import "$dir/treated.csv" -o "$dir/treated.h5" --unit firm --time year
ok "$P" event "$dir/treated.h5" 'y ~ x' --treatment D
holds "Controls: the units treated last; periods from 2016 on are left out."
grep -q 'no unit is never treated' "$dir/stderr" || fault "no note: $(cat "$dir/stderr")"
ok "$P" event "$dir/treated.h5" 'y ~ x' --treatment D --method twfe
grep -q 'event time -5 is set to zero beside -1' "$dir/stderr" || fault "no warning: $(cat "$dir/stderr")"

ok "$P" event "$dir/treated.h5" 'y ~ x' --treatment D --method imputation
holds "Event times without any imputed row: 3, 4, 5."
holds "Not imputed"
"$P" event "$dir/treated.h5" 'y ~ x' --treatment D --method twfe --sensitivity rm >"$dir/stdout" 2>"$dir/stderr"
[ $? = 3 ] && grep -q 'event time -5 is set to zero beside -1, since' "$dir/stderr" || fault "two references: $(cat "$dir/stderr")"
expect 3 "--control notyet compares" "$P" event "$dir/treated.h5" 'y ~ x' --treatment D --method cs -o "$dir/out/e"
expect 3 "switches off for 2 units (firm F01, firm F05)" "$P" event "$panel" 'y ~ x' --treatment off -o "$dir/out/e"
expect 3 "two is 2 for firm F03 in year 2012" "$P" event "$panel" 'y ~ x' --treatment two -o "$dir/out/e"
expect 3 "no controls: all 40 units are treated, in the same period 2014" "$P" event "$panel" 'y ~ x' --treatment same -o "$dir/out/e"
expect 3 "a cohort does not change within a unit" "$P" event "$panel" 'y ~ x' --cohort D -o "$dir/out/e"
expect 2 "give --treatment V" "$P" event "$panel" 'y ~ x'
expect 2 "--treatment and --cohort together" "$P" event "$panel" 'y ~ x' --treatment D --cohort g
expect 2 "did you mean \"D\"" "$P" event "$panel" 'y ~ x' --treatment d -o "$dir/out/e"
expect 2 "is a category" "$P" event "$panel" 'y ~ x' --treatment name -o "$dir/out/e"
expect 2 "--window 5:-5" "$P" event "$panel" 'y ~ x' --treatment D --window 5:-5 -o "$dir/out/e"
expect 2 "--ref -9 lies outside" "$P" event "$panel" 'y ~ x' --treatment D --window -3:3 --ref -9 -o "$dir/out/e"
expect 2 "event times run from -5 to 5" "$P" event "$panel" 'y ~ x' --treatment D --ref -9 -o "$dir/out/e"
expect 2 "one model" "$P" event "$panel" 'c(y, x) ~ 1' --treatment D -o "$dir/out/e"
expect 2 "no instruments" "$P" event "$panel" 'y ~ 1 | firm + year | x ~ g' --treatment D -o "$dir/out/e"
expect 2 "no column 'z'" "$P" event "$panel" 'y ~ z' --treatment D -o "$dir/out/e"
expect 1 "--memory allows" "$P" event "$panel" 'y ~ x' --treatment D --memory 4K -o "$dir/out/e"
ok "$P" import "$dir/p.csv" -o "$dir/flat.h5"
expect 2 "no unit or no time" "$P" event "$dir/flat.h5" 'y ~ x' --treatment D -o "$dir/out/e"
# Windows of cs that leave the reference out, and without event times to average.
ok "$P" event "$panel" 'y ~ 1' --treatment D --method cs --window 0:2
ok "$P" event "$panel" 'y ~ 1' --treatment D --method cs --window=-2:-1 --format json
awk '/"overall"/ {at = 1} at && /"std_error"/ {exit $2 !~ /null/}' "$dir/stdout" || fault "a standard error of no effect"

# Balanced units alone: of 24 in six clusters two clusters lose all of theirs. A common level changes no decomposition.
awk 'BEGIN {print "id,t,c,g,y,z"; for (i = 1; i <= 24; i++) for (t = 1; t <= 6; t++) {
    c = int((i - 1) / 4) + 1
    if (c >= 5 && t == 1 + i % 6) continue
    y = (i * t * 7919 % 101) / 50 + (i % 3 == 0 && t >= 3)
    printf "%d,%d,%d,%d,%.3f,%.3f\n", i, t, c, (i % 3 == 0 ? 3 : 0), y, y + 1e9}}' >"$dir/gaps.csv"
ok "$P" import "$dir/gaps.csv" -o "$dir/gaps.h5" --unit id --time t
ok "$P" event "$dir/gaps.h5" 'y ~ 1' --cohort g --method cs --balanced --cluster c --format json
holds '"n_clusters": 4'
for v in y z; do
    ok "$P" event "$dir/gaps.h5" "$v ~ 1" --cohort g --method bacon --balanced --format json
    awk '$1 == "\"weighted_sum\":" {printf "%.7f\n", $2}' "$dir/stdout" >"$dir/sum.$v"
done
[ -s "$dir/sum.y" ] && cmp -s "$dir/sum.y" "$dir/sum.z" || fault "the decomposition has a level: $(cat "$dir/sum.y" "$dir/sum.z")"

finish
