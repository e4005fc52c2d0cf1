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
expect 2 "one model" "$P" placebo "$panel" 'c(y, z) ~ x' --treatment x
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
finish
