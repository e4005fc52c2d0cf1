# simulate as a user meets it: the same data at any thread count, chosen columns, refusals, provenance.
. tests/cli_lib.sh

# All columns of a panel as text, exact.
data() { h5dump -m %a -g /columns -g /index -g /categories "$1" | sed 1d; }

ok "$P" simulate -o "$dir/panel.h5"
holds "18599 rows of 3500 firms" "$dir/stderr"
holds "333 treated rows" "$dir/stderr"
holds "synthetic panel" "$dir/stderr"
[ -s "$dir/stdout" ] && fault "simulate prints on standard output"
ok "$P" info "$dir/panel.h5" --check
holds "18,599"

if command -v h5dump >/dev/null; then
    data "$dir/panel.h5" >"$dir/one"
    for n in 1 2 3 7; do
        ok "$P" simulate -o "$dir/t.h5" --threads $n --force
        data "$dir/t.h5" | cmp -s - "$dir/one" || fault "--threads $n changes the data"
    done
    ok "$P" simulate -o "$dir/t.h5" --deflate 4 --force
    data "$dir/t.h5" | cmp -s - "$dir/one" || fault "--deflate changes the data"
    [ "$(wc -c <"$dir/t.h5")" -lt "$(wc -c <"$dir/panel.h5")" ] || fault "--deflate does not compress"
    ok "$P" simulate -o "$dir/t.h5" --seed 2 --force
    data "$dir/t.h5" | cmp -s - "$dir/one" && fault "--seed 2 changes nothing"
    h5dump -d /columns/ROA -m %a "$dir/panel.h5" | sed 1d >"$dir/one"
    ok "$P" simulate -o "$dir/t.h5" --vars ROA --force
    h5dump -d /columns/ROA -m %a "$dir/t.h5" | sed 1d | cmp -s - "$dir/one" || fault "--vars changes the values"
    [ "$(h5ls "$dir/t.h5/columns" | wc -l)" = 3 ] || fault "want firm, year and ROA: $(h5ls "$dir/t.h5/columns")"
    h5dump -A "$dir/panel.h5" >"$dir/attributes"
    for key in synthetic seed parameters command; do holds "\"$key\"" "$dir/attributes"; done
fi

# Other sizes.
ok "$P" simulate -o "$dir/t.h5" --force --firms 200 --years 1990:1999 --vars EXPY,IDC --treated-share 0.1 -q
[ -s "$dir/stderr" ] && fault "--quiet says something: $(cat "$dir/stderr")"
ok "$P" simulate -o "$dir/t.h5" --force --firms 50 --years 3
holds "only the default firms and years" "$dir/stderr"
ok "$P" info "$dir/t.h5"
holds 2019

expect 2 "no output named" "$P" simulate
expect 2 "did you mean EXPY?" "$P" simulate -o "$dir/out/x.h5" --vars EXPX
expect 2 "--firms 0" "$P" simulate -o "$dir/out/x.h5" --firms 0
expect 2 "--years 2020:2019" "$P" simulate -o "$dir/out/x.h5" --years 2020:2019
expect 2 "--years 2020:2020" "$P" simulate -o "$dir/out/x.h5" --years 2020:2020
expect 2 "--years 20a" "$P" simulate -o "$dir/out/x.h5" --years 20a
expect 2 "--years 2017:" "$P" simulate -o "$dir/out/x.h5" --years 2017:
expect 2 "--treated-share 0.7" "$P" simulate -o "$dir/out/x.h5" --treated-share 0.7
expect 2 "--serial-correlation 1" "$P" simulate -o "$dir/out/x.h5" --serial-correlation 1
expect 2 "--seed -1" "$P" simulate -o "$dir/out/x.h5" --seed -1
expect 2 "--deflate 10" "$P" simulate -o "$dir/out/x.h5" --deflate 10
expect 2 "give --force" "$P" simulate -o "$dir/panel.h5"
expect 1 "nowhere" "$P" simulate -o "$dir/nowhere/x.h5"
expect 2 "usage: panelfx simulate" "$P" simulate extra -o "$dir/out/x.h5"

# A full disk leaves no file.
for k in 1 5 20; do
    expect 1 "No space left on device" env PANELFX_FAULT=write:$k "$P" simulate -o "$dir/out/x.h5"
done

# Memory does not grow with firms: the peak of ten times as many is at most a few MiB higher. (The sanitizers keep what is
# freed for a while.)
[ -z "${ASAN_OPTIONS:-}${TSAN_OPTIONS:-}" ] || finish
peak() { "$P" simulate -o "$dir/t.h5" --force --vars EXPY,IDC --firms "$1" 2>&1 | sed -n 's/.*peak \([0-9]*\).*/\1/p'; }
small=$(peak 40000) large=$(peak 400000)
[ "$large" -le $((small + 16)) ] || fault "peak of 40,000 firms $small MiB, of 400,000 $large MiB"
finish
