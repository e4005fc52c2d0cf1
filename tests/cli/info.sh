# What info prints of an imported panel, and its exit codes.
P=${PANELFX:-./panelfx}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAIL: $*"; exit 1; }
has() { grep -qF -- "$1" "$dir/out" || { cat "$dir/out"; fail "no \"$1\" in the output"; }; }

printf 'firm,year,x,prov\n000001,2017,1.5,Anhui\n000001,2018,,Beijing\n000002,2017,3,Anhui\n' >"$dir/a.csv"
"$P" import "$dir/a.csv" -o "$dir/a.h5" --unit firm --time year --quiet 2>/dev/null || fail "import"

"$P" info "$dir/a.h5" --check >"$dir/out" 2>"$dir/err" || fail "info --check"
has "a panel, format version 1"
has "rows       3"
has "units      2 (firm)"
has "periods    2 (year, in steps of one year)"
has "2: 000001, 000002"
has "2: Anhui, Beijing"
has "fletcher32"
has "source_sha256"
has "checked"
grep -q SYNTHETIC "$dir/out" && fail "an imported panel is not synthetic"

"$P" info "$dir/a.h5" --format json >"$dir/out" 2>"$dir/err" || fail "info --format json"
has '"format": "panelfx-panel"'
has '"n_rows": 3'
has '"checked": false'
has '"synthetic": false'
has '"time_unit": "year"'
if command -v python3 >/dev/null; then
    python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
c = {c["name"]: c for c in d["columns"]}
assert list(c) == ["firm", "year", "x", "prov"], list(c)
assert c["prov"]["kind"] == "category" and c["prov"]["labels"] == ["Anhui", "Beijing"]
assert c["x"]["type"] == "float64" and c["x"]["fletcher32"] is True and "levels" not in c["x"]' "$dir/out" || fail "JSON"
fi

"$P" info "$dir/a.h5" -o "$dir/new.txt" 2>/dev/null || fail "-o"
[ -s "$dir/new.txt" ] || fail "-o wrote nothing"
"$P" info "$dir/a.h5" -o "$dir/new.txt" 2>/dev/null && fail "an existing output is refused"
"$P" info 2>/dev/null
[ $? = 2 ] || fail "no file: exit 2"
"$P" info "$dir/a.h5" --chek 2>"$dir/out"
[ $? = 2 ] || fail "unknown option: exit 2"
has "--check"

"$P" simulate -o "$dir/s.h5" --quiet 2>/dev/null || fail "simulate"
"$P" info "$dir/s.h5" --check >"$dir/out" 2>/dev/null || fail "info of a simulated panel"
has SYNTHETIC
has "rows       18,599"
exit 0
