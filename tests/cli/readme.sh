# README.md's five minutes: every command there prints what stands below it. Figures may differ by rounding; times,
# rates and memory are not compared, nor what stands after a line of three dots.
. tests/cli_lib.sh
cp bench/demo/bartik.yaml tests/data/petersen.csv "$dir"
mkdir "$dir/bin" "$dir/tour"
ln -s "$P" "$dir/bin/panelfx"

# The tour, cut into N.command and N.want.
awk -v to="$dir/tour/" '
    /^## / {tour = $0 == "## Five minutes"}
    !tour || ($0 != "" && !/^    /) {n += open; open = 0; next}
    /^    \$ / {n += open; open = 1; print substr($0, 7) >(to n ".command"); next}
    open {print substr($0, 5) >(to n ".want")}' README.md

cat >"$dir/same.awk" <<'AWK'
function measured(s) {return s ~ /wall [0-9.]+ s, cpu|rows\/s|MB\/s/}
function close_to(a, b,    d, s) {
    d = a - b; d = d < 0 ? -d : d; s = a < 0 ? -a : a
    return d <= 1e-6 * s
}
function number(s) {return s ~ /^[-+]?[0-9]+\.?[0-9]*([eE][-+]?[0-9]+)?$/}
function same(a, b,    i, n, m, u, v) {
    if (a == b) return 1
    n = split(a, u, /[ ,()]+/); m = split(b, v, /[ ,()]+/)
    if (n != m) return 0
    for (i = 1; i <= n; i++)
        if (u[i] != v[i] && !(number(u[i]) && number(v[i]) && close_to(u[i], v[i]))) return 0
    return 1
}
{sub(/ +$/, "")}
measured($0) || $0 == "" {next}
FNR == NR {got[++n] = $0; next}
$0 == "..." {cut = 1; exit}
{if (!same(got[++k], $0)) {print "README: " $0 "\n   now: " got[k]; bad = 1; exit}}
END {
    if (!bad && !cut && k < n) {print "README ends before: " got[k + 1]; bad = 1}
    exit bad
}
AWK

PATH=$dir/bin:$PATH
n=0
while [ -f "$dir/tour/$n.command" ]; do
    : >>"$dir/tour/$n.want"
    (cd "$dir" && sh "tour/$n.command") >"$dir/tour/$n.got" 2>&1
    awk -f "$dir/same.awk" "$dir/tour/$n.got" "$dir/tour/$n.want" >"$dir/difference" ||
        fault "$(cat "$dir/tour/$n.command")
$(cat "$dir/difference")"
    n=$((n + 1))
done
[ "$n" -ge 15 ] || fault "only $n commands found in README.md"
finish
