# transform against awk on a small panel: groups, windows, percentiles, merges, the flow, refusals.
. tests/cli_lib.sh

# Eight firms, six years, gaps and a missing value; text and numbers.
awk 'BEGIN {
    print "firm,year,x,y,prov,ind"
    for (f = 1; f <= 8; f++) for (t = 2015; t <= 2020; t++) {
        if (f == 3 && t == 2017) continue
        x = (f * 7 + t * 3) % 11 / 4; y = (f * 5 + t * t) % 13
        printf "%03d,%d,%s,%.6f,%s,%d\n", f, t, (f == 5 && t == 2018) ? "" : sprintf("%.6f", x), y, f % 3 ? "Anhui" : "Hebei", f % 2
    }
}' >"$dir/p.csv"
ok "$P" import "$dir/p.csv" -o "$dir/p.h5" --unit firm --time year

# column NAME: firm, year and the column as text, in the order of rows.
column() {
    ok "$P" fit "$1" "$2 ~ 1" --keep-singletons --save fitted,resid -o "$dir/values.csv" --force
    awk -F, 'NR > 1 {v = $5 + $6; printf "%s %s %.9g\n", $3 + 0, $4, v + 0}' "$dir/values.csv"
}
same() {
    column "$dir/n.h5" "$1" >"$dir/got"
    awk 'NR == FNR {g[$1 " " $2] = $3; n++; next}
        {m++; k = $1 " " $2; d = g[k] - $3; if (!(k in g) || d > 1e-7 || d < -1e-7) print "firm " $1 " year " $2 ": " g[k] ", want " $3}
        END {if (n != m) print n " values, want " m}' "$dir/got" "$dir/want" >"$dir/diff"
    [ -s "$dir/diff" ] && fault "$1: $(head -3 "$dir/diff")"
    [ -s "$dir/want" ] || fault "$1: nothing to compare"
}

cat >"$dir/r.yaml" <<'R'
steps:
- gen:
    m: mean(x, prov, year)
    lo: loo(x, ind, year)
    sh: share(y, year)
    rk: rank(y, year)
    gr: growth(x)
    grp: growth(x, prov)
    rs: rollsd(x, 3)
    s: sd(x, prov)
    n: count(x, ind)
    bartik: l(loo(x, ind, year)) * growth(x)
    nested: mean(x - mean(x, year), prov)
R
ok "$P" transform "$dir/p.h5" --recipe "$dir/r.yaml" -o "$dir/n.h5"
# twin BODY: awk over the rows r = 1..N with f, t, x (have: there is one), y, prov, ind; value() says what a row gets.
twin() {
    awk -F, -v OFMT=%.9g "function sq(v) {return v * v} $1"'
        NR > 1 {N++; f[N] = $1 + 0; t[N] = $2; have[N] = $3 != ""; x[N] = $3 + 0; y[N] = $4 + 0; prov[N] = $5; ind[N] = $6}
        END {for (r = 1; r <= N; r++) {v = value(r); if (v != "") printf "%s %s %.9g\n", f[r], t[r], v}}' "$dir/p.csv" >"$dir/want"
}
twin 'function value(r,  i, n, s) {for (i = 1; i <= N; i++) if (have[i] && prov[i] == prov[r] && t[i] == t[r]) {n++; s += x[i]} return n ? s / n : ""}'
same m
twin 'function value(r,  i, n, s) {for (i = 1; i <= N; i++) if (i != r && have[i] && ind[i] == ind[r] && t[i] == t[r]) {n++; s += x[i]} return n ? s / n : ""}'
same lo
twin 'function value(r,  i, s) {for (i = 1; i <= N; i++) if (t[i] == t[r]) s += y[i]; return y[r] / s}'
same sh
twin 'function value(r,  i, b, e) {for (i = 1; i <= N; i++) if (t[i] == t[r]) {b += y[i] < y[r]; e += y[i] == y[r]} return b + (e + 1) / 2}'
same rk
growth='function mean(T, P,  i, n, s) {for (i = 1; i <= N; i++) if (have[i] && t[i] == T && (P == "" || prov[i] == P)) {n++; s += x[i]} return n ? s / n : ""}
    function grow(T, P,  a, b) {a = mean(T, P); b = mean(T - 1, P); return a == "" || b == "" || b == 0 ? "" : a / b - 1}'
twin "$growth"' function value(r) {return grow(t[r], "")}'
same gr
twin "$growth"' function value(r) {return grow(t[r], prov[r])}'
same grp
twin 'function value(r,  i, n, s, q) {for (i = 1; i <= N; i++) if (have[i] && f[i] == f[r] && t[i] > t[r] - 3 && t[i] <= t[r]) {n++; s += x[i]}
    if (n < 2) return ""; for (i = 1; i <= N; i++) if (have[i] && f[i] == f[r] && t[i] > t[r] - 3 && t[i] <= t[r]) q += sq(x[i] - s / n); return sqrt(q / (n - 1))}'
same rs
twin 'function value(r,  i, n, s, q) {for (i = 1; i <= N; i++) if (have[i] && prov[i] == prov[r]) {n++; s += x[i]}
    for (i = 1; i <= N; i++) if (have[i] && prov[i] == prov[r]) q += sq(x[i] - s / n); return sqrt(q / (n - 1))}'
same s
twin 'function value(r,  i, n) {for (i = 1; i <= N; i++) n += have[i] && ind[i] == ind[r]; return n}'
same n
twin "$growth"' function loo(r,  i, n, s) {for (i = 1; i <= N; i++) if (i != r && have[i] && ind[i] == ind[r] && t[i] == t[r]) {n++; s += x[i]} return n ? s / n : ""}
    function value(r,  i, a, g) {g = grow(t[r], ""); for (i = 1; i <= N; i++) if (f[i] == f[r] && t[i] == t[r] - 1) a = loo(i); return a == "" || g == "" ? "" : a * g}'
same bartik
twin "$growth"' function value(r,  i, n, s) {for (i = 1; i <= N; i++) if (have[i] && prov[i] == prov[r]) {n++; s += x[i] - mean(t[i], "")} return s / n}'
same nested

# Percentiles of types 7 and 2, over the sample and by year; text becomes numbers and back.
cat >"$dir/w.yaml" <<'R'
- gen: {a: y, b: y, c: y}
- winsor: {vars: [a], p: [0.1, 0.8]}
- winsor: {vars: [b], p: [0.1, 0.8], type: 2}
- winsor: {vars: c, p: [0.25, 0.75], by: year}
- factor: {size: {of: y, cuts: [4, 9], labels: [small, middle, large]}, yf: ind}
- encode: {code: prov}
- remove: [x]
- rename: {firm_id: firm}
R
ok "$P" transform "$dir/p.h5" --recipe "$dir/w.yaml" -o "$dir/n.h5" --force --report "$dir/flow.csv"
holds "values pulled in (quantile type 2)" "$dir/flow.csv"
sorted='function insert(v,  k) {k = ++M; while (k > 1 && z[k - 1] > v) {z[k] = z[k - 1]; k--} z[k] = v}
    function q7(p,  h, k) {h = (M - 1) * p + 1; k = int(h); return z[k] + (h - k) * (z[k < M ? k + 1 : k] - z[k])}
    function q2(p,  h, k) {h = M * p; k = int(h + 1e-9); return h - k > 1e-9 ? z[k + 1] : (z[k] + z[k + 1]) / 2}
    function pull(v, a, b) {return v < a ? a : v > b ? b : v}'
twin "$sorted"' function value(r,  i) {if (r == 1) for (i = 1; i <= N; i++) insert(y[i]); return pull(y[r], q7(0.1), q7(0.8))}'
same a
twin "$sorted"' function value(r,  i) {if (r == 1) for (i = 1; i <= N; i++) insert(y[i]); return pull(y[r], q2(0.1), q2(0.8))}'
same b
twin "$sorted"' function value(r,  i) {M = 0; for (i = 1; i <= N; i++) if (t[i] == t[r]) insert(y[i]); return pull(y[r], q7(0.25), q7(0.75))}'
same c
twin 'function value(r) {return prov[r] == "Anhui" ? 1 : 2}'
same code
ok "$P" summary "$dir/n.h5" size --format csv
awk -F, 'NR > 1 {v = $4 + 0; k = v < 4 ? "small" : v < 9 ? "middle" : "large"; n[k]++} END {for (k in n) print "size," k "," n[k]}' "$dir/p.csv" | sort >"$dir/want"
grep '^size,' "$dir/stdout" | cut -d, -f1-3 | sort | diff - "$dir/want" >"$dir/diff" || fault "factor: $(cat "$dir/diff")"
ok "$P" info "$dir/n.h5" --check
holds "(firm_id)"
ok "$P" summary "$dir/n.h5" yf
holds "yf (2 levels)"

# Rows: keep, drop, whole units, missing values; each step's counts add up and stand in the file.
cat >"$dir/k.yaml" <<'R'
- keep: year >= 2016
- drop: x < 0.5
- drop-units: y == 4
- drop-missing: [x, y]
R
ok "$P" transform "$dir/p.h5" --recipe "$dir/k.yaml" -o "$dir/k.h5" --report "$dir/kflow.csv"
awk -F, 'NR > 1 && $2 >= 2016 {a++; if ($3 == "" || $3 >= 0.5) {b++; row[b] = $1; miss[b] = $3 == ""; if ($4 == 4) bad[$1] = 1}}
    END {for (i = 1; i <= b; i++) if (!(row[i] in bad)) {c++; d += !miss[i]} print NR - 1, a; print a, b; print b, c; print c, d}' "$dir/p.csv" >"$dir/want"
sed 1d "$dir/kflow.csv" | sed 's/"[^"]*"//g' | awk -F, '{print $3, $5}' | diff - "$dir/want" >"$dir/diff" || fault "flow: $(cat "$dir/diff")"
ok "$P" info "$dir/k.h5"
holds "line 3: drop-units y == 4: rows"
holds "recipe_sha256"

# Merges: m:1 by text and number from a CSV beside the recipe, 1:1 from a panel; unmatched kept, dropped, refused.
printf 'prov,year,gdp,zone\nAnhui,2015,1.5,east\nAnhui,2016,2.5,west\nHebei,2016,3.5,east\nQinghai,2016,9,none\n' >"$dir/g.csv"
printf -- '- merge: {file: g.csv, on: [prov, year]}\n' >"$dir/m.yaml"
ok "$P" transform "$dir/p.h5" --recipe "$dir/m.yaml" -o "$dir/n.h5" --force
holds "1 rows of g.csv unused"
twin 'function value(r) {return t[r] == 2015 && prov[r] == "Anhui" ? 1.5 : t[r] == 2016 ? (prov[r] == "Anhui" ? 2.5 : 3.5) : ""}'
same gdp
ok "$P" summary "$dir/n.h5" zone
holds "zone (2 levels)"
printf -- '- merge: {file: g.csv, on: [prov, year], columns: gdp, unmatched: drop}\n' >"$dir/m.yaml"
ok "$P" transform "$dir/p.h5" --recipe "$dir/m.yaml" -o "$dir/n.h5" --force
same gdp
printf -- '- select: [x]\n- merge: {file: p.h5, on: [firm, year], how: 1:1, columns: [y]}\n' >"$dir/m.yaml"
ok "$P" transform "$dir/p.h5" --recipe "$dir/m.yaml" -o "$dir/n.h5" --force
twin 'function value(r) {return y[r]}'
same y

# Any number of threads and any block: the same file content; a synthetic panel says so.
ok "$P" simulate -o "$dir/sim.h5" --firms 3000
printf -- '- gen: {b: "l(loo(IDC, industry, year)) * growth(IDC)"}\n- winsor: {vars: [EXPY], by: year}\n- keep: rank(ROA, year) > 10\n' >"$dir/s.yaml"
for n in 1 3; do
    ok "$P" transform "$dir/sim.h5" --recipe "$dir/s.yaml" -o "$dir/s$n.h5" --threads $n
    holds "Synthetic panel"
    "$P" summary "$dir/s$n.h5" --format csv -q >"$dir/s$n.csv"
done
cmp -s "$dir/s1.csv" "$dir/s3.csv" || fault "threads change a transformed panel"

try() { # CODE TEXT RECIPE
    printf '%s\n' "$3" >"$dir/bad.yaml"
    expect "$1" "$2" "$P" transform "$dir/p.h5" --recipe "$dir/bad.yaml" -o "$dir/out/n.h5"
}
try 2 "bad.yaml:1: no such step 'kep': did you mean 'keep'?" '- kep: year > 2'
try 2 "bad.yaml:2: keep: no column 'yer' (at column 1): did you mean 'year'?" '- drop: x > 1
- keep: yer > 2'
try 2 "bad.yaml:2: not YAML" '- keep: x > 1
- gen: {a: [}'
try 2 "bad.yaml:1: winsor: no such key 'var'" '- winsor: {var: x}'
try 2 "winsor needs the key vars" '- winsor: {p: [0.1, 0.9]}'
try 2 "p is two shares" '- winsor: {vars: x, p: [0.1, 1.9]}'
try 2 "type of quantile" '- winsor: {vars: x, type: 5}'
try 2 "prov is text; percentiles are of numbers" '- winsor: {vars: prov}'
try 2 "year is the panel's unit or time" '- gen: {year: x}'
try 2 "a group is made of columns" '- gen: {a: "mean(x, y + 1)"}'
try 2 "numbers must rise" '- factor: {a: {of: x, cuts: [2, 1]}}'
try 2 "one label more than cuts" '- factor: {a: {of: x, cuts: [1], labels: [one]}}'
try 2 "encode makes numbers of it" '- factor: {a: prov}'
try 2 "factor makes levels of it" '- encode: {a: x}'
try 2 "a recipe is a list of steps" 'keep: x'
try 2 "the recipe is empty" ''
try 3 "leave no rows" '- keep: year > 3000'
printf 'year,z\n2015,1\n2015,2\n' >"$dir/twice.csv"
printf 'year,x\n2015,1\n' >"$dir/again.csv"
try 3 "rows 1 and 2 have the same key" '- merge: {file: twice.csv, on: [year]}'
try 2 "both tables have a column x" '- merge: {file: again.csv, on: [year]}'
printf 'year,ind,z\n2015,a,1\n' >"$dir/text.csv"
try 2 "ind is text in one of the tables" '- merge: {file: text.csv, on: [year, ind]}'
try 3 "has no match in g.csv" '- merge: {file: g.csv, on: [prov, year], unmatched: error}'
try 3 "1:1 allows one" '- merge: {file: g.csv, on: [prov, year], how: "1:1"}'
try 1 "nothing.csv" '- merge: {file: nothing.csv, on: [year]}'
expect 2 "no steps" "$P" transform "$dir/p.h5" -o "$dir/out/n.h5"
expect 2 "no output named" "$P" transform "$dir/p.h5" --recipe "$dir/k.yaml"
expect 1 "no.yaml" "$P" transform "$dir/p.h5" --recipe "$dir/no.yaml" -o "$dir/out/n.h5"
expect 2 "needs a pass of its own" "$P" fit "$dir/p.h5" 'y ~ I(mean(x))'
expect 1 "do not fit into --memory" "$P" transform "$dir/sim.h5" --recipe "$dir/s.yaml" -o "$dir/out/n.h5" --memory 64K
finish
