# The layout that SCHEMA.md promises, as HDF5's own tools see it.
P=${PANELFX:-./panelfx}
command -v h5dump >/dev/null || { echo "SKIP: no h5dump (package hdf5-tools)"; exit 77; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAIL: $*"; exit 1; }
has() { grep -qF -- "$1" "$dir/out" || { cat "$dir/out"; fail "no \"$1\" in the output"; }; }

printf 'firm,year,x,n,prov\n000001,2017,1.5,3,Anhui\n000001,2018,,4,Beijing\n000002,2017,3,5,Anhui\n' >"$dir/a.csv"
"$P" import "$dir/a.csv" -o "$dir/a.h5" --unit firm --time year --quiet 2>/dev/null || fail "import"

h5dump -A -p "$dir/a.h5" >"$dir/out" || fail "h5dump"
for a in format version unit time time_unit n_rows n_units n_periods label kind source_sha256; do has "ATTRIBUTE \"$a\""; done
for g in columns categories index provenance; do has "GROUP \"$g\""; done
for v in panelfx-panel category numeric year; do has "\"$v\""; done
has "CHECKSUM FLETCHER32"

h5dump -y -w 200 -d /columns/x "$dir/a.h5" >"$dir/out" || fail "h5dump -d /columns/x"
has "1.5, nan, 3"
has "H5T_IEEE_F64LE"
h5dump -y -w 200 -d /columns/prov "$dir/a.h5" >"$dir/out" || fail "h5dump -d /columns/prov"
has "0, 1, 0"
has "H5T_STD_I32LE"
h5dump -y -w 200 -d /categories/firm "$dir/a.h5" >"$dir/out" || fail "h5dump -d /categories/firm"
has '"000001", "000002"'
has "H5T_CSET_UTF8"
h5dump -y -w 200 -d /index/unit_start "$dir/a.h5" >"$dir/out" || fail "h5dump -d /index/unit_start"
has "0, 2, 3"
has "H5T_STD_I64LE"

# Every dataset is chunked and has its checksum.
datasets=$(h5dump -H -p "$dir/a.h5" | grep -c 'DATASET "')
[ "$(h5dump -H -p "$dir/a.h5" | grep -c 'CHUNKED')" = "$datasets" ] || fail "a dataset is not chunked"
[ "$(h5dump -H -p "$dir/a.h5" | grep -c 'FLETCHER32')" = "$datasets" ] || fail "a dataset has no checksum"

# Chunks of 65,536 rows in a larger one.
"$P" simulate -o "$dir/s.h5" --firms 20000 --vars EXPY --quiet 2>/dev/null || fail "simulate"
h5dump -H -p -d /columns/EXPY "$dir/s.h5" >"$dir/out" || fail "h5dump of the simulated panel"
has "CHUNKED ( 65536 )"
exit 0
