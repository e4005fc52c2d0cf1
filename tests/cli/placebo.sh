# placebo as a user meets it: schemes, numbers, draws of one's own, stored draws, threads, bad input.
. tests/cli_lib.sh
awk 'BEGIN {
    print "firm,year,prov,D,P,half,onoff,x,y,treat,post,late"
    for (f = 1; f <= 24; f++) for (t = 2012; t <= 2018; t++) {
        if ((f * t) % 11 == 0 && t > 2012 && t < 2018) continue
        d = f % 4 == 0 && t >= 2013 + f % 5
        x = (f * 7 + t * 3) % 11 / 4
        y = f * 0.3 + 0.5 * x + 0.8 * d + (f * t * 7919 % 101) / 50
        printf "f%02d,%d,p%d,%d,%d,%.1f,%d,%.4f,%.4f,%d,%d,%d\n", f, t, f % 6, d, (f % 6 == 0 && t >= 2015), d / 2, \
            (f % 4 == 0 && t % 2), x, y, (f % 4 == 0), (t >= 2015), (f == 3)
    }
}' >"$dir/p.csv"
ok "$P" import "$dir/p.csv" -o "$dir/p.h5" --unit firm --time year
panel=$dir/p.h5
m='y ~ D + x | firm + year'
json() { "$P" placebo "$panel" "$@" --format json --quiet 2>"$dir/stderr" || fault "exit $?: placebo $*: $(cat "$dir/stderr")"; }
steady() { grep -vE '"(read_s|compute_s|total_s|threads|peak_memory_bytes)"'; }
# value KEY FILE: of the first line with the key.
value() { awk -v k="\"$1\":" '$1 == k {sub(/,$/, "", $2); print $2; exit}' "$2"; }
close_to() { awk -v a="$1" -v b="$2" 'BEGIN {d = a - b; s = a < 0 ? -a : a; exit !(d <= 1e-9 * (1 + s) && -d <= 1e-9 * (1 + s))}' || fault "$3: $1, want $2"; }

# Keys, and the full sample's numbers are those of fit.
json "$m" --treatment D --reps 1999 >"$dir/d.json"
for key in command scheme term estimate std_error statistic null reps reps_valid seed count p_value p_value_ci conf_low conf_high \
    p_left p_right share_significant 0.10 0.05 0.01 n_switchers switchers_mean n_always_treated strata time threads; do
    holds "\"$key\":" "$dir/d.json"
done
"$P" fit "$panel" "$m" --format csv --quiet >"$dir/fit.csv"
close_to "$(value estimate "$dir/d.json")" "$(awk -F, '$6 == "D" {print $7}' "$dir/fit.csv")" "estimate of fit"
close_to "$(value std_error "$dir/d.json")" "$(awk -F, '$6 == "D" {print $8}' "$dir/fit.csv")" "standard error of fit"
close_to "$(value p_value "$dir/d.json")" "$(awk -v c="$(value count "$dir/d.json")" 'BEGIN {printf "%.17g", (c + 1) / 2000}')" "p"
ok "$P" placebo "$panel" "$m" --treatment D --reps 199
holds "exact for the sharp hypothesis"
holds "units that switch"
ok "$P" placebo "$panel" "$m" --treatment D --reps 199 --scheme within-period
holds "not a valid test"
ok "$P" placebo "$panel" "$m" --treatment D --reps 199 --scheme random-date
holds "only if treatment came about that way"

# Without standard errors the coefficients, and the p-value by them, are the same.
json "$m" --treatment D --reps 1999 --stat b >"$dir/b.json"
json "$m" --treatment D --reps 1999 --no-se -o "$dir/no.h5" >"$dir/no.json"
for key in p_value p_left p_right conf_low conf_high mean sd switchers_mean; do
    [ "$(value $key "$dir/no.json")" = "$(value $key "$dir/b.json")" ] || fault "--no-se changes $key"
done
holds '"0.05": null' "$dir/no.json"
grep -q p_value_t "$dir/no.json" && fault "--no-se has a p-value by t"
ok "$P" inference "$dir/no.h5" --stat b --format json
[ "$(value p_value "$dir/stdout")" = "$(value p_value "$dir/b.json")" ] || fault "inference without standard errors differs"
expect 2 "use --stat b" "$P" inference "$dir/no.h5" --stat t
ok "$P" inference "$dir/no.h5"
holds "p-value by                     b"
expect 2 "t needs standard errors" "$P" placebo "$panel" "$m" --treatment D --no-se --stat t
expect 2 "leave --no-se out" "$P" placebo "$panel" "$m" --treatment D --no-se --scheme in-time
ok "$P" plot "$dir/no.h5" -o "$dir/no.svg"

# A name in backticks is the same column; strata of one level are no strata.
json "$m" --treatment '`D`' --reps 1999 | steady >"$dir/quoted"
steady <"$dir/d.json" | cmp -s - "$dir/quoted" || fault "a name in backticks differs"
awk -F, 'NR == 1 {print $0 ",one"; next} {print $0 ",1"}' "$dir/p.csv" >"$dir/one.csv"
ok "$P" import "$dir/one.csv" -o "$dir/one.h5" --unit firm --time year
# draws_of OPTIONS...: the report without the strata's name, and every bit of the draws.
draws_of() {
    ok "$P" placebo "$dir/one.h5" "$m" --treatment D "$@" --reps 1999 --format json --quiet -o "$dir/s.h5" --force
    steady <"$dir/stdout" | grep -v '"strata"'
    command -v h5dump >/dev/null && h5dump -m %a -d draws/estimate -d draws/std_error "$dir/s.h5" | sed 1d
}
draws_of >"$dir/none"
draws_of --strata one | cmp -s - "$dir/none" || fault "strata of one level change the draws"
draws_of --strata prov | cmp -s - "$dir/none" && fault "strata change nothing"

# Threads, seeds; more draws begin with the same ones.
json "$m" --treatment D --reps 1999 | steady >"$dir/one"
for n in 2 3 7; do
    json "$m" --treatment D --reps 1999 --threads $n | steady | cmp -s - "$dir/one" || fault "--threads $n differs"
done
json "$m" --treatment D --reps 1999 --seed 2 | steady | cmp -s - "$dir/one" && fault "--seed changes nothing"
ok "$P" placebo "$panel" "$m" --treatment D --reps 500 -o "$dir/d.h5" --threads 1
ok "$P" placebo "$panel" "$m" --treatment D --reps 500 -o "$dir/e.h5" --threads 3
cmp -s "$dir/d.h5" "$dir/e.h5" || fault "the draws file depends on threads"
ok "$P" info "$dir/d.h5" --check
holds "draws of placebo"

# In time, by hand: one period earlier on the rows before adoption.
json "$m" --treatment D --scheme in-time --periods 2 >"$dir/time.json"
grep -q '"p_value": null' "$dir/time.json" || fault "in-time has a p-value"
awk -F, 'NR == 1 {print $0 ",E"; next} {f = substr($1, 2) + 0; a = f % 4 == 0 ? 2013 + f % 5 : 9999; if ($2 < a || a <= 2012) print $0 "," ($2 >= a - 1)}' \
    "$dir/p.csv" >"$dir/early.csv"
ok "$P" import "$dir/early.csv" -o "$dir/early.h5" --unit firm --time year
"$P" fit "$dir/early.h5" 'y ~ E + x | firm + year' --format csv --quiet >"$dir/early.fit"
close_to "$(value estimate "$dir/time.json")" "$(awk -F, '$6 == "E" {print $7}' "$dir/early.fit")" "one period earlier"

# Whole provinces; firms assigned with errors by province; interactions rebuilt; paths that switch off.
json 'y ~ P + x | firm + year' --treatment P --cluster prov --reps 99 >"$dir/prov.json"
[ "$(value enumerated "$dir/prov.json")" = true ] || fault "six provinces are not enumerated"
[ "$(value reps "$dir/prov.json")" = 6 ] || fault "six provinces: $(value reps "$dir/prov.json") assignments"
json "$m" --treatment D --cluster prov --assign-by firm --reps 99 >/dev/null
json 'y ~ treat:post | firm + year' --treatment treat --reps 999 >"$dir/did.json"
[ "$(value term "$dir/did.json")" = '"treat:post"' ] || fault "treat:post is not the term"
json 'y ~ D + D:x + x | firm + year' --treatment D --coef D:x --reps 99 --weights 'post + 1' >/dev/null
json 'y ~ onoff + x | firm + year' --treatment onoff --reps 99 >/dev/null
json 'y ~ half + x | firm + year' --treatment half --reps 99 --stat b >/dev/null

# Draws of one's own: the data's assignment gives the data's estimate, in both layouts.
awk -F, 'NR > 1 && $4 && !seen[$1]++ {print "a," $1 "," $2}' "$dir/p.csv" >"$dir/own"
{ echo draw,firm,adoption; cat "$dir/own"; echo b,f01,2014; echo b,f02,2015; } >"$dir/own.csv"
json "$m" --treatment D --assignments "$dir/own.csv" -o "$dir/own.h5" >"$dir/own.json"
[ "$(value reps "$dir/own.json")" = 2 ] || fault "two draws: $(value reps "$dir/own.json")"
{ echo draw,year,D,firm; awk -F, 'NR > 1 {print "a," $2 "," $4 "," $1}' "$dir/p.csv"
    for t in 2012 2014; do echo "b,$t,$((t > 2012)),f01"; done; for t in 2012 2015; do echo "b,$t,$((t > 2012)),f02"; done; } >"$dir/long.csv"
json "$m" --treatment D --assignments "$dir/long.csv" -o "$dir/long.h5" >"$dir/long.json"
steady <"$dir/own.json" >"$dir/a" && steady <"$dir/long.json" | cmp -s - "$dir/a" || fault "the two layouts differ: $(diff "$dir/own.json" "$dir/long.json")"

# The file is known by its checksum: with other lines in it, it is another run.
for k in 1 2; do ok "$P" placebo "$panel" "$m" --treatment D --assignments "$dir/own.csv" --quiet --shard $k/2 -o "$dir/half.$k.h5"; done
ok "$P" merge "$dir/half.1.h5" "$dir/half.2.h5" -o "$dir/halves.h5" --quiet
cp "$dir/own.csv" "$dir/own.kept" && sed -i 's/^b,f02,2015/b,f03,2015/' "$dir/own.csv"
expect 2 "of another run" "$P" placebo "$panel" "$m" --treatment D --assignments "$dir/own.csv" --quiet --shard 1/2 -o "$dir/half.1.h5" --resume
ok "$P" placebo "$panel" "$m" --treatment D --assignments "$dir/own.csv" --quiet --shard 2/2 -o "$dir/other.2.h5"
expect 3 "sha256" "$P" merge "$dir/half.1.h5" "$dir/other.2.h5" -o "$dir/out/d.h5"
mv "$dir/own.kept" "$dir/own.csv"
expect 2 "no regular file" "$P" placebo "$panel" "$m" --treatment D --assignments /dev/null

# Two-stage least squares: the reduced form is named, and it runs.
form='y ~ x + D | firm + year'
expect 2 "in the reduced form: '$form'" "$P" placebo "$panel" 'y ~ x | firm + year | half ~ D' --treatment D
expect 2 "in the reduced form: 'y ~ 1 + D'" "$P" placebo "$panel" 'y ~ 1 | half ~ D' --treatment D
json "$form" --treatment D --reps 99 >/dev/null
json 'y - 0.5 * half ~ x + D | firm + year' --treatment D --reps 99 >/dev/null

# Bad input.
expect 2 "needs --treatment" "$P" placebo "$panel" "$m"
expect 2 "no regressor of the formula is made of" "$P" placebo "$panel" "$m" --treatment post -o "$dir/out/d.h5"
expect 2 'no column "DD"' "$P" placebo "$panel" "$m" --treatment DD
expect 2 "is text" "$P" placebo "$panel" "$m" --treatment prov
expect 2 "choose one with --coef" "$P" placebo "$panel" 'y ~ D + D:x | firm + year' --treatment D
expect 2 "--coef q" "$P" placebo "$panel" "$m" --treatment D --coef q
expect 2 "only products can be rebuilt" "$P" placebo "$panel" 'y ~ I(log(1 + D)) | firm + year' --treatment D
expect 2 "only products can be rebuilt" "$P" placebo "$panel" 'y ~ l(D, 1) | firm + year' --treatment D
expect 2 "switches off" "$P" placebo "$panel" 'y ~ onoff | firm + year' --treatment onoff --scheme random-date
expect 2 "has other values" "$P" placebo "$panel" 'y ~ half | firm + year' --treatment half --scheme in-time
expect 2 "nothing to store" "$P" placebo "$panel" "$m" --treatment D --scheme in-time -o "$dir/out/d.h5"
expect 2 "--stat b" "$P" placebo "$panel" "$m" --treatment D --null 0.5
expect 2 "--reps 0" "$P" placebo "$panel" "$m" --treatment D --reps 0
expect 2 "hours" "$P" placebo "$panel" "$m" --treatment D --scheme random-date --reps 1000000000000 -o "$dir/out/d.h5"
expect 3 "two values in one period" "$P" placebo "$panel" "$m" --treatment D --cluster prov
expect 3 "cannot change anything" "$P" placebo "$panel" "$m" --treatment D --strata firm
expect 2 "panelfx placebo: --strata: no column 'nope'" "$P" placebo "$panel" "$m" --treatment D --strata nope
expect 2 "panelfx placebo: --assign-by: no column 'nope'" "$P" placebo "$panel" "$m" --treatment D --assign-by nope
expect 3 "name a finer one with --assign-by" "$P" placebo "$panel" "$m" --treatment D --assign-by prov
expect 3 "not constant within firm" "$P" placebo "$panel" "$m" --treatment D --strata post
expect 2 "one cluster variable" "$P" placebo "$panel" "$m" --treatment D --cluster firm+year
printf 'draw,firm\na,f01\n' >"$dir/bad.csv"
expect 3 "neither adoption nor" "$P" placebo "$panel" "$m" --treatment D --assignments "$dir/bad.csv"
printf 'draw,firm,adoption\na,f01,2014\na,f99,2014\n' >"$dir/bad.csv"
expect 3 "bad.csv:3: no such unit in the rows used: f99" "$P" placebo "$panel" "$m" --treatment D --assignments "$dir/bad.csv"
printf 'draw,firm,adoption\na,f01,soon\n' >"$dir/bad.csv"
expect 3 "no time of the panel: soon" "$P" placebo "$panel" "$m" --treatment D --assignments "$dir/bad.csv"
expect 1 "No such file" "$P" placebo "$panel" "$m" --treatment D --assignments "$dir/none.csv"
"$P" placebo "$panel" 'y ~ treat | year' --treatment treat --where 'treat == 0' --quiet >"$dir/stdout" 2>"$dir/stderr" && fault "no treated unit is not refused"
"$P" placebo "$panel" "$m" --treatment D --strata treat --reps 99 --quiet >"$dir/stdout" 2>"$dir/stderr" || fault "strata with one idle: $(cat "$dir/stderr")"
holds "no variation in D (treat = 0 is one)" "$dir/stderr"
# What standard errors of draws depend on, and where a run stops, is theirs: no mixture, no other's checkpoint.
ok "$P" placebo "$panel" "$m" --treatment D --reps 200 --shard 1/2 --ssc none -o "$dir/k1.h5"
ok "$P" placebo "$panel" "$m" --treatment D --reps 200 --shard 2/2 -o "$dir/k2.h5"
expect 3 'its "ssc=' "$P" merge "$dir/k1.h5" "$dir/k2.h5" -o "$dir/out/k.h5"
ok "$P" placebo "$panel" "$m" --treatment D --reps 99999 --stop-when-decided 0.05 -o "$dir/stop.h5"
expect 2 'there "stat=' "$P" placebo "$panel" "$m" --treatment D --reps 99999 --stop-when-decided 0.05 --stat b -o "$dir/stop.h5" --resume

finish
