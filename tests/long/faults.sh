# Every allocation and every write step of a command fails in turn, until the command succeeds: each time exit 1, one
# line on stderr, no temporary, and no file under its final name that is not whole. (The last step of an output syncs
# the folder, when the file already has its name.)
. tests/cli_lib.sh
small_panel
awk 'BEGIN {print "firm,year,x"; for (i = 0; i < 4000; i++) {j = i * 7919 % 4000; printf "%d,%d,%d\n", j / 10, j % 10, i % 97}}' \
    >"$dir/shuffled.csv"
mkdir "$dir/out" "$dir/whole" "$dir/tmp"

# Each file in out is the same as in whole.
check_whole() {
    for f in $(ls -A "$dir/out"); do
        cmp -s "$dir/out/$f" "$dir/whole/$f" || fault "$1: left $f, which is not whole"
    done
    rm -rf "$dir/out"/*
    [ -z "$(ls -A "$dir/tmp")" ] || { fault "$1: left $(ls -A "$dir/tmp")"; rm -rf "$dir/tmp"/*; }
}

# each KIND ARGUMENTS...: the output is below $dir/out, temporaries below $dir/tmp.
each() {
    kind=$1 k=0 good=0
    shift
    set -- "$@" --threads 2 --quiet
    rm -rf "$dir/whole"
    ok "$P" "$@"
    mv "$dir/out" "$dir/whole"
    mkdir "$dir/out"
    while :; do
        k=$((k + 1))
        what="$kind:$k: $*"
        [ $k -lt 20000 ] || { fault "$what: still fails"; return; }
        PANELFX_FAULT=$kind:$k TMPDIR=$dir/tmp "$P" "$@" >"$dir/stdout" 2>"$dir/stderr"
        code=$?
        if [ $code = 0 ]; then # by three in a row: what can be done without may be missing
            good=$((good + 1))
            [ "$(ls -A "$dir/out")" = "$(ls -A "$dir/whole")" ] || fault "$what: gave $(ls -A "$dir/out")"
            check_whole "$what"
            [ $good -lt 3 ] || break
            continue
        fi
        good=0
        [ $code = 1 ] || fault "$what: exit $code: $(cat "$dir/stderr")"
        [ "$(wc -l <"$dir/stderr")" = 1 ] || fault "$what: want one line: $(cat "$dir/stderr")"
        grep -q '^panelfx' "$dir/stderr" || fault "$what: $(cat "$dir/stderr")"
        # Draws are whole before what is printed of them is made.
        case $kind:$1 in write:* | *:boot | *:run-plan) ;; *) [ -z "$(ls -A "$dir/out")" ] || fault "$what: left $(ls -A "$dir/out")" ;; esac
        check_whole "$what"
    done
    [ $k -gt 3 ] || fault "$kind: no step of $* failed"
    echo "$kind: $((k - 3)) steps: $*"
}

# A plan and its statistics: both, or neither. Its seconds differ from run to run, so that files are not compared.
each_plan() {
    k=0 good=0
    while :; do
        k=$((k + 1))
        what="$1:$k: plan"
        PANELFX_FAULT=$1:$k "$P" plan boot "$dir/panel.h5" 'y ~ x + z | firm + year' --coef x --method pairs --reps 300 --shards 3 \
            -o "$dir/out/p.yaml" --threads 2 --quiet >"$dir/stdout" 2>"$dir/stderr"
        code=$?
        if [ $code = 0 ]; then
            [ "$(ls "$dir/out" | tr '\n' ' ')" = "p.stats.h5 p.yaml " ] || fault "$what: gave $(ls "$dir/out")"
            rm -f "$dir/out"/*
            good=$((good + 1))
            [ $good -lt 3 ] || break
            continue
        fi
        good=0
        [ $code = 1 ] || fault "$what: exit $code: $(cat "$dir/stderr")"
        # After the last step, the folder's, the plan has its name.
        case $(ls "$dir/out" | tr '\n' ' ') in '' | 'p.stats.h5 p.yaml ' | 'p.yaml ') ;; *) fault "$what: left $(ls "$dir/out")" ;; esac
        rm -f "$dir/out"/*
    done
    echo "$1: $((k - 3)) steps: plan"
}
ok "$P" plan boot "$dir/panel.h5" 'y ~ x + z | firm + year' --coef x --method pairs --reps 300 --shards 3 -o "$dir/p.yaml" \
    --shard-files "$dir/out/%k.h5"

for kind in alloc write; do
    each_plan $kind
    each $kind run-plan "$dir/p.yaml" --shard 2
    each $kind boot "$dir/panel.h5" 'y ~ x + z | firm + year' --coef x --reps 300 -o "$dir/out/d.h5"
    each $kind import "$dir/panel.csv" -o "$dir/out/p.h5" --unit firm --time year --types none=numeric
    each $kind import "$dir/shuffled.csv" -o "$dir/out/p.h5" --unit firm --time year --memory 64M
    each $kind simulate -o "$dir/out/p.h5" --firms 40 --years 4 --vars EXPY,IDC,ownership
    each $kind fit "$dir/panel.h5" 'y ~ x | firm + year' -o "$dir/out/table.csv"
    each $kind fit "$dir/panel.h5" 'c(y, z) ~ x + i(prov) | year[w]' --weights two --where 'x > 0' -o "$dir/out/table.tex"
    each $kind fit "$dir/panel.h5" 'y ~ x | firm + year' --save resid,fitted,effects -o "$dir/out/saved.csv"
    each $kind fit "$dir/panel.h5" 'y ~ x' --by prov --test 'x = 0' --vcov HC1 -o "$dir/out/table.html"
    each $kind summary "$dir/panel.h5" y prov --by year --panel --quantiles 0.5 -o "$dir/out/table.csv"
done
finish
