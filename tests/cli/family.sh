# Several specifications on the same draws as a user meets them: forms of the family, p-values, threads, bad input.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5
json() { "$P" boot "$panel" "$@" --method pairs --format json --quiet 2>"$dir/stderr" || fault "exit $?: boot $*: $(cat "$dir/stderr")"; }
steady() { grep -vE '"(read_s|compute_s|total_s|threads|peak_memory_bytes)"'; }
# numbers KEY FILE: the values of a key, in order.
numbers() { sed -n "s/^ *\"$1\": \([^,]*\),*$/\1/p" "$2"; }

# Three ways to say the same family.
json 'c(y, z) ~ x | firm + year' --coef x --reps 999 | steady >"$dir/a.json"
json 'y ~ x | firm + year' --family 'z ~ x | firm + year' --coef x --reps 999 | steady >"$dir/b.json"
cmp -s "$dir/a.json" "$dir/b.json" || fault "--family is not c()"
json 'c(y, z) ~ x | firm + year' --family 'log(w) ~ x | year, c(y, Emp) ~ x + l(z, 1) | firm' --coef x --reps 999 |
    steady >"$dir/five.json"
json 'c(y, z) ~ x | firm + year' --family 'log(w) ~ x | year' --family 'c(y, Emp) ~ x + l(z, 1) | firm' --coef x \
    --reps 999 --threads 3 | steady | cmp -s - "$dir/five.json" || fault "--family twice, or threads"
for name in 'y (1): x' 'z: x' 'log(w): x' 'y (4): x' 'Emp: x'; do holds "\"term\": \"$name\"" "$dir/five.json"; done
holds '"formula": "y ~ x + l(z, 1) | firm"' "$dir/five.json"

# With one sample the draws are those of the model by itself.
json 'y ~ x | firm + year' --coef x --reps 999 | steady >"$dir/one.json"
for key in estimate std_error statistic p_value conf_low; do
    [ "$(numbers $key "$dir/one.json")" = "$(numbers $key "$dir/a.json" | head -n 1)" ] || fault "$key of y in a family"
done

# Neither p-value is below the test's own, and by |t| those of Romano-Wolf do not fall.
for f in a five; do
    for key in statistic p_value p_romano_wolf p_westfall_young; do numbers $key "$dir/$f.json" >"$dir/$key"; done
    paste "$dir/statistic" "$dir/p_value" "$dir/p_romano_wolf" "$dir/p_westfall_young" >"$dir/table"
    awk '$3 < $2 || $4 < $2 || $3 > 1 || $4 > 1 || NF != 4 {bad = 1} END {exit bad || NR < 2}' "$dir/table" ||
        fault "adjusted below own: $(cat "$dir/table")"
    awk '{print $1 < 0 ? -$1 : $1, $3}' "$dir/table" | sort -rg |
        awk '$2 < last {bad = 1} {last = $2} END {exit bad}' || fault "not monotone: $(cat "$dir/table")"
done

# Samples of their own, out of one set of clusters; standard errors are drawn whatever --ci says; stored draws.
ok "$P" boot "$panel" 'c(y, z) ~ x | firm' --family 'y ~ x + l(z, 2) + log(neg) | firm' --coef x --method pairs --reps 199 --ci \
    percentile -o "$dir/draws.h5"
holds "8 clusters (firm), 48 rows"
holds "p-value, Romano-Wolf"
holds "p-value, Westfall-Young"
grep -qE 'clusters +4$' "$dir/stdout" || fault "clusters of a specification: $(cat "$dir/stdout")"
ok "$P" info "$dir/draws.h5" --check
holds "y (1): x, z: x, y (3): x"

# Stored draws give the family's p-values again.
json 'c(y, z) ~ x | firm' --family 'y ~ x + l(z, 2) | firm' --coef x --reps 199 -o "$dir/again.h5" >"$dir/b.json"
ok "$P" inference "$dir/again.h5" --format json
for key in p_value p_romano_wolf p_westfall_young; do
    [ "$(numbers $key "$dir/b.json" | tail -n 3)" = "$(numbers $key "$dir/stdout" | tail -n 3)" ] || fault "inference: $key"
done

# Wild: the same, one weight for each cluster in every specification; the first sample is the model's by itself.
wild() { "$P" boot "$panel" "$@" --format json --quiet 2>"$dir/stderr" || fault "exit $?: boot $*: $(cat "$dir/stderr")"; }
wild 'y ~ x | firm + year' --coef x --reps 999 --weights-type webb | steady >"$dir/one.json"
wild 'c(y, z) ~ x | firm + year' --family 'y ~ x + l(z, 2) | firm' --coef x --reps 999 --weights-type webb | steady >"$dir/w.json"
for key in estimate std_error statistic p_value conf_low; do
    [ "$(numbers $key "$dir/one.json")" = "$(numbers $key "$dir/w.json" | head -n 1)" ] || fault "$key of y in a wild family"
done
for key in p_value p_romano_wolf p_westfall_young; do numbers $key "$dir/w.json" >"$dir/$key"; done
paste "$dir/p_value" "$dir/p_romano_wolf" "$dir/p_westfall_young" |
    awk '$2 < $1 || $3 < $1 {bad = 1} END {exit bad || NR != 3}' || fault "wild: adjusted below own"
# All 256 patterns of signs of the 8 firms, though 4 alone have log(neg).
ok "$P" boot "$panel" 'y ~ x | firm' --family 'y ~ x + log(neg) | firm' --coef x --ci none --format json
holds '"enumerated": true'
holds '"reps": 256'
ok "$P" boot "$panel" 'c(y, z) ~ x + w:x | firm' --coef x --bootcluster prov --joint --ci none
ok "$P" boot "$panel" 'c(y, w) ~ z' --coef z --cluster firm+year --bootcluster firm --reps 99 --threads 3
holds "8 clusters (firm)"

# Shards, joined, are the file of the run.
"$P" boot "$panel" 'c(y, z) ~ x | firm' --coef x --method pairs --reps 499 -o "$dir/whole.h5" --quiet >/dev/null 2>&1
for k in 1 2 3; do
    "$P" boot "$panel" 'c(y, z) ~ x | firm' --coef x --method pairs --reps 499 -o "$dir/s$k.h5" --shard $k/3 --quiet >/dev/null 2>&1
done
ok "$P" merge "$dir/s1.h5" "$dir/s2.h5" "$dir/s3.h5" -o "$dir/joined.h5" --quiet
cmp -s "$dir/whole.h5" "$dir/joined.h5" || fault "shards of a family"
expect 2 "of another run" "$P" boot "$panel" 'c(y, w) ~ x | firm' --coef x --method pairs --reps 499 -o "$dir/whole.h5" --resume

# Bad input.
expect 2 "for one specification" "$P" boot "$panel" 'c(y, z) ~ x' --coef x --stop-when-decided 0.05
expect 2 "needs --bootcluster" "$P" boot "$panel" 'c(y, z) ~ x' --coef x --cluster firm+year
expect 2 "symmetric" "$P" boot "$panel" 'c(y, z) ~ x' --coef x --ptype left
expect 2 "the same specification twice" "$P" boot "$panel" 'y ~ x' --family 'y~x' --coef x --method pairs -o "$dir/out/d.h5"
expect 2 "no column 'q'" "$P" boot "$panel" 'y ~ x' --family 'q ~ x' --coef x --method pairs -o "$dir/out/d.h5"
expect 2 "x is no regressor" "$P" boot "$panel" 'y ~ x' --family 'y ~ z' --coef x --method pairs -o "$dir/out/d.h5"
expect 2 "names no further" "$P" boot "$panel" 'y ~ x' --family '' --coef x --method pairs
ok "$P" boot "$panel" 'y ~ x' --family 'y ~ 1 | firm | x ~ z' --coef x --method pairs --reps 99
expect 2 "a family of specifications: the wild bootstrap of 2SLS has none" "$P" boot "$panel" 'y ~ x' --family 'y ~ 1 | firm | x ~ z' --coef x
expect 2 "at most 64 tests" "$P" boot "$panel" 'c(y,z,w,two,Emp,y+z,y+w,y+x) ~ sw(x, x+w, x+Emp, x+w+Emp, x+two:w) | sw(firm, year)' --coef x \
    --method pairs
# Placebos: one assignment in every specification; with one sample the draws are those of each model by itself.
awk 'BEGIN {
    print "firm,year,prov,D,P,x,y,v,u"
    for (f = 1; f <= 24; f++) for (t = 2012; t <= 2018; t++) {
        d = f % 4 == 0 && t >= 2013 + f % 5
        x = (f * 7 + t * 3) % 11 / 4
        e = (f * t * 7919 % 101) / 50
        printf "f%02d,%d,p%d,%d,%d,%.4f,%.4f,%.4f,%s\n", f, t, f % 6, d, (f % 6 == 0 && t >= 2015), x, f * 0.3 + x / 2 + 0.8 * d + e, \
            x - e + (f * t * 31 % 17) / 9, f % 5 == 1 ? "" : e + d + x * x / 3
    }
}' >"$dir/p.csv"
ok "$P" import "$dir/p.csv" -o "$dir/p.h5" --unit firm --time year
placebo() { "$P" placebo "$dir/p.h5" "$@" --format json --quiet 2>"$dir/stderr" || fault "exit $?: placebo $*: $(cat "$dir/stderr")"; }
placebo 'y ~ D + x | firm + year' --treatment D --reps 499 | steady >"$dir/y.json"
placebo 'v ~ D + x | firm + year' --treatment D --reps 499 | steady >"$dir/v.json"
placebo 'c(y, v) ~ D + x | firm + year' --treatment D --reps 499 -o "$dir/yv.h5" | steady >"$dir/yv.json"
for key in estimate std_error statistic count p_value p_value_b conf_low switchers_mean; do
    [ "$(cat "$dir/y.json" "$dir/v.json" | sed -n "s/^ *\"$key\": \([^,]*\),*$/\1/p")" = "$(numbers $key "$dir/yv.json")" ] ||
        fault "$key of two placebos, and in a family: $(numbers $key "$dir/yv.json")"
done
for name in 'y: D' 'v: D'; do holds "\"term\": \"$name\"" "$dir/yv.json"; done
for key in p_value p_romano_wolf p_westfall_young; do numbers $key "$dir/yv.json" >"$dir/$key"; done
paste "$dir/p_value" "$dir/p_romano_wolf" "$dir/p_westfall_young" |
    awk '$2 < $1 || $3 < $1 {bad = 1} END {exit bad || NR != 2}' || fault "placebo: adjusted below own"
ok "$P" inference "$dir/yv.h5" --format json --quiet
for key in p_value p_romano_wolf p_westfall_young conf_low; do
    [ "$(numbers $key "$dir/yv.json")" = "$(numbers $key "$dir/stdout")" ] || fault "inference of placebos: $key"
done
# Other samples, effects, strata, threads, shards; all six provinces enumerated.
more() { placebo 'c(y, u) ~ D + x | firm + year' --family 'v ~ D | firm' --treatment D --reps 200 "$@"; }
more --strata prov -o "$dir/more.h5" | steady >"$dir/more.json"
more --strata prov --threads 3 | steady | cmp -s - "$dir/more.json" || fault "placebos: threads"
for k in 1 2; do more --strata prov --shard $k/2 -o "$dir/more.$k.h5" >/dev/null; done
ok "$P" merge "$dir/more.1.h5" "$dir/more.2.h5" -o "$dir/merged.h5" --quiet
cmp -s "$dir/merged.h5" "$dir/more.h5" || fault "placebos: two shards are not the whole"
placebo 'c(y, v) ~ P + x | firm + year' --treatment P --cluster prov --reps 99 -o "$dir/six.h5" >"$dir/six.json"
[ "$(numbers reps "$dir/six.json" | head -n 1)" = 6 ] || fault "six provinces: $(numbers reps "$dir/six.json")"
for key in p_value p_romano_wolf; do
    for x in $(numbers $key "$dir/six.json"); do awk -v x="$x" 'BEGIN {x *= 6; exit x - int(x + 0.5) > 1e-9 || int(x + 0.5) - x > 1e-9}' || fault "$key of six: $x"; done
done
ok "$P" inference "$dir/six.h5" --format json --quiet
[ "$(numbers p_romano_wolf "$dir/six.json")" = "$(numbers p_romano_wolf "$dir/stdout")" ] || fault "inference of six: p_romano_wolf"
printf 'draw,firm,adoption\na,f01,2014\nb,f06,2015\nb,f02,2013\n' >"$dir/own.csv"
more --assignments "$dir/own.csv" >/dev/null
expect 2 "a family could adjust" "$P" placebo "$dir/p.h5" 'c(y, v) ~ D + x | firm' --treatment D --scheme within-period
expect 2 "a family could adjust" "$P" placebo "$dir/p.h5" 'c(y, v) ~ D + x | firm' --treatment D --scheme in-time
expect 2 "no regressor of the formula is made of" "$P" placebo "$dir/p.h5" 'y ~ D | firm' --family 'v ~ x | firm' --treatment D -o "$dir/out/d.h5"
expect 2 "a family compare t" "$P" placebo "$dir/p.h5" 'c(y, v) ~ D | firm' --treatment D --no-se
expect 2 "for one specification" "$P" placebo "$dir/p.h5" 'c(y, v) ~ D | firm' --treatment D --stop-when-decided 0.05
finish
