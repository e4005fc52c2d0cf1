# Files that are no panel, or not a whole one: named, exit 1 or 3, by info and by summary alike; nothing on stdout.
P=${PANELFX:-./panelfx}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAIL: $*"; cat "$dir/err"; exit 1; }
: >"$dir/err"
# expect STATUS TEXT COMMAND...: one line on stderr that holds TEXT.
expect() {
    want=$1 text=$2
    shift 2
    "$@" >"$dir/out" 2>"$dir/err"
    got=$?
    [ $got = "$want" ] || fail "$*: exit $got, want $want"
    grep -qF -- "$text" "$dir/err" || fail "$*: no \"$text\""
    [ "$(wc -l <"$dir/err")" = 1 ] || fail "$*: more than one line"
    [ ! -s "$dir/out" ] || fail "$*: output in spite of the error"
}

"$P" simulate -o "$dir/s.h5" --quiet 2>/dev/null || fail "simulate"
size=$(wc -c <"$dir/s.h5")

expect 1 "No such file" "$P" info "$dir/none.h5"
expect 1 "is a folder" "$P" info "$dir"
: >"$dir/empty.h5"
expect 3 "empty" "$P" info "$dir/empty.h5"
printf 'firm,year,x\n1,2017,2\n' >"$dir/t.csv"
expect 3 "panelfx import" "$P" info "$dir/t.csv"
expect 3 "not an HDF5 file" "$P" summary "$dir/t.csv"
for n in 7 8 100 1000 5000 $((size / 2)) $((size - 1)); do
    head -c "$n" "$dir/s.h5" >"$dir/cut.h5"
    expect 3 "cut.h5" "$P" info "$dir/cut.h5"
done
expect 3 "truncated" "$P" info "$dir/cut.h5"
expect 3 "truncated" "$P" summary "$dir/cut.h5"

# A byte of a column changed: seen by --check, and by whatever reads the column.
if command -v python3 >/dev/null; then
    for at in 3 2; do
        python3 - "$dir/s.h5" "$dir/bad.h5" $at <<'PY'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
b[len(b) * 2 // int(sys.argv[3]) - len(b) // 5] ^= 0x40
open(sys.argv[2], "wb").write(b)
PY
        expect 3 "checksum wrong" "$P" info "$dir/bad.h5" --check
        grep -qE '/(columns|index|categories)/[A-Za-z0-9_]+: cannot read rows [0-9]+ to [0-9]+' "$dir/err" || fail "dataset and rows are not named"
    done
fi

# HDF5, but not of this program.
if command -v h5copy >/dev/null; then
    h5copy -i "$dir/s.h5" -o "$dir/foreign.h5" -s /columns/EXPY -d /EXPY || fail "h5copy"
    expect 3 "not one of panelfx" "$P" info "$dir/foreign.h5"
    expect 3 "not one of panelfx" "$P" summary "$dir/foreign.h5"
fi
exit 0
