# plot as a user meets it: every kind and format, the same bytes twice, bad input.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5
model='y ~ x + z | firm + year'
ok "$P" boot "$panel" "$model" --method pairs --coef x,z --reps 199 -o "$dir/draws.h5"
ok "$P" boot "$panel" "$model" --method pairs --coef x --reps 199 --ci basic -o "$dir/plain.h5"
ok "$P" fit "$panel" "$model" --format json -o "$dir/fit.json"

# What needs no gnuplot.
expect 2 "needs -o" "$P" plot "$dir/draws.h5"
expect 2 ".svg, .png or .pdf" "$P" plot "$dir/draws.h5" -o "$dir/out/a.jpg"
expect 2 "no draws of it" "$P" plot "$dir/draws.h5" --coef q -o "$dir/out/a.svg"
expect 2 "holds draws" "$P" plot "$dir/draws.h5" --kind coef -o "$dir/out/a.svg"
expect 2 "is JSON" "$P" plot "$dir/fit.json" --kind density -o "$dir/out/a.svg"
expect 3 "no list \"event_study\"" "$P" plot "$dir/fit.json" --kind event -o "$dir/out/a.svg"
expect 3 "no list \"balance\"" "$P" plot "$dir/fit.json" --kind love -o "$dir/out/a.svg"
expect 3 "match has not written" "$P" plot "$panel" -o "$dir/out/a.svg"
expect 3 "have no t" "$P" plot "$dir/plain.h5" --kind scatter -o "$dir/out/a.svg"
expect 3 "neither a draws file nor JSON" "$P" plot "$dir/panel.csv" -o "$dir/out/a.svg"
expect 1 "nowhere" "$P" plot "$dir/nowhere" -o "$dir/out/a.svg"
mkdir "$dir/none"
expect 1 "gnuplot-nox" env PATH="$dir/none" "$P" plot "$dir/fit.json" -o "$dir/out/a.svg"

command -v gnuplot >/dev/null || {
    [ -s "$dir/faults" ] && exit 1
    echo "no gnuplot"
    exit 77
}
for kind in density scatter; do
    ok "$P" plot "$dir/draws.h5" --kind $kind --coef z -o "$dir/$kind.svg"
    grep -q "boot pairs, 199 draws, seed 1" "$dir/$kind.svg" || fault "$kind: no caption"
    grep -q ">z<" "$dir/$kind.svg" || fault "$kind: no title"
    grep -q "estimate -0.098" "$dir/$kind.svg" || fault "$kind: the estimate is not marked"
done
grep -q ">0.10<" "$dir/scatter.svg" || fault "no line at 0.10"
ok "$P" plot "$dir/fit.json" -o "$dir/coef.svg"
grep -q ">x<" "$dir/coef.svg" && grep -q "48 observations" "$dir/coef.svg" || fault "coefficients"
echo '{"models": [{"outcome": "y", "n_obs": 9, "event_study": [{"event_time": -1, "estimate": 0, "conf_low": 0, "conf_high": 0},
    {"event_time": 0, "estimate": 1, "conf_low": 0.5, "conf_high": 1.5}]}]}' >"$dir/event.json"
ok "$P" plot "$dir/event.json" -o "$dir/event.svg" --title "出口 '复杂度'"
grep -q "event time" "$dir/event.svg" && grep -q "复杂度" "$dir/event.svg" || fault "event study"
ok "$P" import tests/data/lalonde.csv -o "$dir/lalonde.h5" --unit id
ok "$P" match "$dir/lalonde.h5" 'treat ~ age + educ + black + re74' -o "$dir/m.h5" --report "$dir/match.json"
# What gnuplot is given: a point for each covariate, the standardised differences of match's table without their signs.
mkdir "$dir/tee"
printf '#!/bin/sh\ntee "%s" | "%s" "$@"\n' "$dir/script" "$(command -v gnuplot)" >"$dir/tee/gnuplot"
chmod +x "$dir/tee/gnuplot"
ok env PATH="$dir/tee:$PATH" "$P" plot "$dir/match.json" -o "$dir/love.svg"
for text in ">black<" "after matching" "185 of 185 treated rows matched; 1 of 4 above 0.1 after."; do holds "$text" "$dir/love.svg"; done
awk '
    function size(x) {return x < 0 ? -x : x}
    NR == FNR && $1 == "\"variable\":" {gsub(/[",]/, "", $2); name[++n] = $2}
    NR == FNR && $1 == "\"std_diff\":" {before[n] = size($2 + 0)}
    NR == FNR && $1 == "\"std_diff_matched\":" {after[n] = size($2 + 0)}
    NR != FNR && /^set ytics/ {line = $0; while (match(line, /'"'[a-z0-9]+'"' *-?[0-9]+/)) {
        split(substr(line, RSTART, RLENGTH), part, "'"'"'"); row[part[2]] = part[3] + 0; line = substr(line, RSTART + RLENGTH)}}
    NR != FNR && $1 == "END" {data = 0}
    NR != FNR && data {x[$3 + 0] = $1; y[$3 + 0] = $2; points++}
    NR != FNR && /^\$data <</ {data = 1}
    END {
        for (i = 1; i <= n; i++) {
            at = row[name[i]]
            if (size(x[at] - before[i]) > 1e-9 || size(y[at] - after[i]) > 1e-9 || !before[i]) print name[i], at, x[at], y[at]
        }
        print n, points
    }' "$dir/match.json" "$dir/script" >"$dir/points"
[ "$(cat "$dir/points")" = "4 4" ] || fault "love plot: $(cat "$dir/points" "$dir/script")"
ok "$P" plot "$dir/m.h5" -o "$dir/panel.svg" # the same from the panel
cmp -s "$dir/love.svg" "$dir/panel.svg" || fault "another figure from the matched panel"
for e in svg png pdf; do
    ok "$P" plot "$dir/draws.h5" -o "$dir/one.$e"
    [ $e = pdf ] && sleep 1
    ok "$P" plot "$dir/draws.h5" -o "$dir/two.$e"
    cmp -s "$dir/one.$e" "$dir/two.$e" || fault "$e: not the same twice"
done
expect 2 "--force" "$P" plot "$dir/draws.h5" -o "$dir/one.svg"
finish
