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
ok "$P" plot "$dir/match.json" -o "$dir/love.svg"
grep -q ">black<" "$dir/love.svg" && grep -q "after matching" "$dir/love.svg" && grep -q "185 of 185 treated rows matched" "$dir/love.svg" ||
    fault "love plot: $(grep '<text' "$dir/love.svg" | head -4)"
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
