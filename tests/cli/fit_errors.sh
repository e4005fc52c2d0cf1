# Bad input of fit: the exit code, one line that says what to do, and no file left.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5
out=$dir/out/table.txt
fit() { want=$1 text=$2; shift 2; expect "$want" "$text" "$P" fit "$@" -o "$out"; }

# The file.
fit 1 "$dir/absent.h5" "$dir/absent.h5" 'y ~ x'
fit 1 "$dir" "$dir" 'y ~ x'
fit 3 "$dir/panel.csv" "$dir/panel.csv" 'y ~ x'
: >"$dir/empty.h5"
fit 3 "$dir/empty.h5" "$dir/empty.h5" 'y ~ x'
size=$(wc -c <"$panel")
for share in 10 50 90 99; do
    head -c $((size * share / 100)) "$panel" >"$dir/cut.h5"
    fit 3 "$dir/cut.h5" "$dir/cut.h5" 'y ~ x'
done
if [ "$(id -u)" != 0 ]; then
    cp "$panel" "$dir/locked.h5"
    chmod 000 "$dir/locked.h5"
    fit 1 "$dir/locked.h5" "$dir/locked.h5" 'y ~ x'
fi

# Names and formulas.
fit 2 "the panel comes first" 'y ~ x' "$panel"
fit 2 "Emp" "$panel" 'y ~ Emq'
fit 2 "nothinglikeit" "$panel" 'y ~ nothinglikeit'
fit 2 "column 8" "$panel" 'y ~ x +'
fit 2 "column 7" "$panel" 'y ~ x ) z'
fit 2 "column" "$panel" 'y x'
fit 2 "column" "$panel" ''
fit 2 "where" "$panel" 'y ~ x' --where 'year >='
fit 2 "prov" "$panel" 'y ~ x' --where 'prow == "Anhui"'
fit 2 "" "$panel" 'y ~ x' --cluster firn
fit 2 "" "$panel" 'y ~ x' --by nope
fit 2 "" "$panel" 'y ~ x' --weights nope
fit 2 "q" "$panel" 'y ~ x' --test 'q = 0'

# Data.
fit 3 "none" "$panel" 'none ~ x'
fit 3 "--where" "$panel" 'y ~ x' --where 'year > 3000'
fit 4 "collinear" "$panel" 'y ~ one'
fit 4 "collinear" "$panel" 'y ~ one | firm'
fit 3 "cluster" "$panel" 'y ~ x' --where 'firm == "000003"'
fit 3 "cluster" "$panel" 'y ~ x' --cluster one
fit 3 "negative" "$panel" 'y ~ x' --weights neg
fit 4 "" "$panel" 'y ~ x' --where 'firm == "000003" & year == 2016' --vcov iid

# Options.
fit 2 "choose from iid" "$panel" 'y ~ x' --vcov CRV4
fit 2 "choose from iid" "$panel" 'y ~ x' --vcov ''
fit 2 "only nw(LAG) and dk(LAG) take a number" "$panel" 'y ~ x' --vcov 'CRV3(2)'
for bad in 'dk(' 'dk()' 'dk(-1)' 'nw(1.5)' 'nw(2)x' 'nw(two)'; do
    fit 2 "want a lag of 0 or more" "$panel" 'y ~ x' --vcov "$bad"
done
fit 3 "the lag is at most 5" "$panel" 'y ~ x' --vcov 'dk(6)'
fit 2 "takes no --cluster" "$panel" 'y ~ x' --vcov 'nw' --cluster firm
fit 2 "takes one cluster variable" "$panel" 'y ~ x' --vcov CRV3 --cluster firm+year
fit 2 "analytic weights only" "$panel" 'y ~ x' --vcov CR2 --weights w --weights-kind frequency
fit 2 "takes no --cluster" "$panel" 'y ~ x' --vcov iid --cluster firm
fit 2 "two cluster variables" "$panel" 'y ~ x' --vcov twoway --cluster firm
fit 2 "more than two" "$panel" 'y ~ x' --cluster firm+year+prov
fit 2 "same variable twice" "$panel" 'y ~ x' --cluster firm+firm
fit 2 "not a size" "$panel" 'y ~ x' --memory 0
fit 3 "'none' is missing in most, 48 of 48" "$panel" 'y ~ x' --weights none
fit 3 "'none' is missing in most, 48 of 48" "$panel" 'y ~ x' --cluster none
fit 2 "an empty name" "$panel" 'y ~ x' --cluster firm+
fit 2 "--level 95" "$panel" 'y ~ x' --level 95
fit 2 "--tol 0" "$panel" 'y ~ x' --tol 0
fit 2 "--maxiter 0" "$panel" 'y ~ x' --maxiter 0
fit 2 "--digits 99" "$panel" 'y ~ x' --digits 99
fit 2 "--weights-kind needs" "$panel" 'y ~ x' --weights-kind frequency
fit 2 "choose from resid, fitted, effects" "$panel" 'y ~ x' --save residuals
expect 2 "--save needs a file" "$P" fit "$panel" 'y ~ x' --save resid
fit 1 "--memory allows" "$panel" 'y ~ x' --memory 1M

# The output.
echo mine >"$dir/mine.txt"
expect 2 "--force" "$P" fit "$panel" 'y ~ x' -o "$dir/mine.txt"
expect 2 "--force" "$P" fit "$panel" 'y ~ x' -o "$dir/mine.txt" --save resid
expect 2 "--force" "$P" fit "$dir/absent.h5" 'y ~ x' -o "$dir/mine.txt" # before anything is read
[ "$(cat "$dir/mine.txt")" = mine ] || fault "an existing file was touched"
before=$(cksum "$panel")
for c in "fit $panel y~x" "fit $panel y~x --save resid" "info $panel" "summary $panel"; do
    expect 2 "is the file that is read" "$P" $c -o "$panel" --force
done
expect 2 "is the file that is read" "$P" fit "$panel" 'y ~ x' -o "$dir/../$(basename "$dir")/panel.h5" --force
[ "$(cksum "$panel")" = "$before" ] || fault "the panel was overwritten"
expect 1 "$dir/nowhere" "$P" fit "$panel" 'y ~ x' -o "$dir/nowhere/table.txt"
if [ -w /dev/full ]; then
    "$P" fit "$panel" 'y ~ x' >/dev/full 2>"$dir/stderr"
    [ $? = 1 ] || fault "fit > /dev/full: not exit 1"
    [ "$(wc -l <"$dir/stderr")" = 1 ] || fault "fit > /dev/full: $(cat "$dir/stderr")"
fi

# Each write step fails in turn, until all succeed; then each of many allocations.
if [ -w /dev/full ]; then
    "$P" fit "$panel" 'y ~ x' --save resid,effects -o "$dir/out/saved.csv" >/dev/full 2>/dev/null
    [ $? = 1 ] || fault "fit --save > /dev/full: not exit 1"
    [ -z "$(ls -A "$dir/out")" ] || fault "a table that cannot be printed left $(ls -A "$dir/out")"
fi

each_fault() {
    kind=$1 limit=$2 step=$3
    shift 3
    k=1
    while [ $k -le "$limit" ]; do
        rm -rf "$dir/out"
        mkdir "$dir/out"
        PANELFX_FAULT=$kind:$k "$P" fit "$panel" "$@" >/dev/null 2>"$dir/stderr"
        code=$?
        [ $code = 0 ] && return
        [ $code = 1 ] || fault "$kind:$k: exit $code: $(cat "$dir/stderr")"
        [ "$(wc -l <"$dir/stderr")" = 1 ] || fault "$kind:$k: $(cat "$dir/stderr")"
        ls -A "$dir/out" | grep -q '\.tmp$' && fault "$kind:$k: left $(ls -A "$dir/out")"
        k=$((k + step))
    done
    [ "$kind" = alloc ] || fault "$kind: still failing at $limit"
}
each_fault write 50 1 'y ~ x | firm + year' -o "$out" --format json
each_fault write 50 1 'y ~ x | firm + year' -o "$dir/out/saved.csv" --save resid,effects
each_fault alloc 400 7 'c(y, z) ~ x | firm + year' -o "$out" --format latex
each_fault alloc 400 11 'y ~ x | firm + year' -o "$out" --format json
finish
