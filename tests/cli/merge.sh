# merge: any sharding gives the file of the run in one piece; gaps, mixtures and damage are named.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5
F='y ~ x + z | firm + year'
mkdir "$dir/s"
boot() { ok "$P" boot "$panel" "$F" --quiet "$@"; }
shards() {
    for k in $(seq "$1"); do boot --shard "$k/$1" -o "$dir/s/$1.%k.h5" $options; done
}

for options in "--method pairs --coef x --reps 1000" "--method pairs --coef x,z --reps 777 --seed 5" \
    "--method wild --coef x --reps 50 --where Emp<50"; do # 2^4 draws are all there are
    rm -f "$dir"/s/* "$dir"/*.h5.whole
    boot $options -o "$dir/whole.h5" --force
    for n in 1 2 7 20; do
        case $n:$options in 20:*wild* | [127]:*) ;; *) continue ;; esac # some of 20 shards of 16 draws are empty
        shards $n
        ok "$P" merge "$dir/s/$n".*.h5 -o "$dir/m.h5" --force
        cmp -s "$dir/m.h5" "$dir/whole.h5" || fault "$n shards, $options: not the file in one piece"
    done
    # Of different numbers of shards, which overlap and agree.
    ok "$P" merge "$dir/s/7.1.h5" "$dir/s/2.2.h5" "$dir/s/7.2.h5" "$dir/s/7.4.h5" "$dir/s/7.3.h5" -o "$dir/m.h5" \
        --force
    cmp -s "$dir/m.h5" "$dir/whole.h5" || fault "mixed shards, $options"
    holds "and agree" "$dir/stderr"
    ok "$P" merge "$dir"/s/7.*.h5 "$dir/s/7.3.h5" "$dir/whole.h5" -o "$dir/m.h5" --force
    cmp -s "$dir/m.h5" "$dir/whole.h5" || fault "duplicates, $options"
done

# The placebo's draws, with fields of their own.
awk 'BEGIN {
    print "firm,year,y,z,on"
    for (f = 1; f <= 12; f++) for (t = 2015; t <= 2020; t++) {
        on = f % 3 == 0 && t >= 2016 + f / 4
        printf "%d,%d,%.5f,%d,%d\n", f, t, f + on * .3 + (f * t) % 7 / 10, (f * 5 + t * t) % 13, on
    }
}' >"$dir/on.csv"
ok "$P" import "$dir/on.csv" -o "$dir/on.h5" --unit firm --time year
placebo() { ok "$P" placebo "$dir/on.h5" 'y ~ on + z | firm + year' --treatment on --reps 2000 --quiet "$@"; }
placebo -o "$dir/whole.h5" --force
for k in 1 2 3; do placebo --shard $k/3 -o "$dir/s/p.%k.h5"; done
ok "$P" merge "$dir"/s/p.?.h5 -o "$dir/m.h5" --force
cmp -s "$dir/m.h5" "$dir/whole.h5" || fault "shards of a placebo: not the file in one piece"
placebo --resume -o "$dir/whole.h5"

# What h5diff thinks of it.
options="--method pairs --coef x --reps 1000"
rm -f "$dir"/s/*
boot $options -o "$dir/whole.h5" --force
shards 7
ok "$P" merge "$dir"/s/7.*.h5 -o "$dir/m.h5" --force
if command -v h5diff >/dev/null; then h5diff "$dir/m.h5" "$dir/whole.h5" >/dev/null || fault "h5diff sees a difference"; fi

# Missing shards, as --array takes them.
expect 3 "--array=2,5-6" "$P" merge "$dir"/s/7.[1347].h5 -o "$dir/out/m.h5"
ok "$P" merge --missing "$dir"/s/7.[1347].h5
[ "$(cat "$dir/stdout")" = 2,5-6 ] || fault "--missing: $(cat "$dir/stdout")"
ok "$P" merge --missing "$dir"/s/7.[234].h5
[ "$(cat "$dir/stdout")" = 1,5-7 ] || fault "--missing: $(cat "$dir/stdout")"
ok "$P" merge --missing "$dir"/s/7.*.h5
[ ! -s "$dir/stdout" ] || fault "--missing where all are there: $(cat "$dir/stdout")"
boot $options --shard 1/2 -o "$dir/half.h5"
expect 3 "replicates 501-714,858-1000 of 1000" "$P" merge "$dir/half.h5" "$dir/s/7.6.h5" -o "$dir/out/m.h5"

# Of another run: what differs.
boot $options --seed 2 --shard 2/7 -o "$dir/other.h5" --force
expect 3 "seed 2, but 1" "$P" merge "$dir"/s/7.1.h5 "$dir/other.h5" -o "$dir/out/m.h5"
boot --method pairs --coef x --reps 1000 --where 'z > 1' --shard 2/7 -o "$dir/other.h5" --force
expect 3 '"where=z > 1"' "$P" merge "$dir"/s/7.1.h5 "$dir/other.h5" -o "$dir/out/m.h5"
boot --method pairs --coef x --reps 999 --shard 2/7 -o "$dir/other.h5" --force
expect 3 '"reps=999"' "$P" merge "$dir"/s/7.1.h5 "$dir/other.h5" -o "$dir/out/m.h5"
boot $options --isa portable --shard 2/7 -o "$dir/other.h5" --force
expect 3 "--isa" "$P" merge "$dir"/s/7.1.h5 "$dir/other.h5" -o "$dir/out/m.h5"
sed 's/^000003,2017,[0-9.]*/000003,2017,9/' "$dir/panel.csv" >"$dir/b.csv"
ok "$P" import "$dir/b.csv" -o "$dir/b.h5" --unit firm --time year --types none=numeric
ok "$P" boot "$dir/b.h5" "$F" $options --shard 2/7 -o "$dir/other.h5" --force
expect 3 "drawn from other data" "$P" merge "$dir"/s/7.1.h5 "$dir/other.h5" -o "$dir/out/m.h5"

# The same replicates, but not the same draws: made by hand from a file of another seed.
if command -v python3 >/dev/null; then
    boot $options --seed 2 --shard 2/7 -o "$dir/forged.h5" --force
    if python3 -c 'import h5py' 2>/dev/null; then
        python3 -c 'import h5py,sys; h5py.File(sys.argv[1], "r+").attrs["seed"] = 1' "$dir/forged.h5"
        expect 3 "replicate 143, and differ" "$P" merge "$dir"/s/7.*.h5 "$dir/forged.h5" -o "$dir/out/m.h5"
    fi
    # A byte changed somewhere: refused, or it was of no use.
    refused=0
    for i in 1 2 3 4 5 6 7 8; do
        python3 - "$dir/s/7.2.h5" "$dir/bad.h5" $i <<'PY'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
b[len(b) * int(sys.argv[3]) // 9] ^= 0x10
open(sys.argv[2], "wb").write(b)
PY
        rm -f "$dir/m.h5"
        "$P" merge "$dir"/s/7.[134567].h5 "$dir/bad.h5" -o "$dir/m.h5" --quiet 2>"$dir/stderr"
        case $? in
        0) cmp -s "$dir/m.h5" "$dir/whole.h5" || fault "a changed byte went into the merged file" ;;
        3) refused=$((refused + 1)); holds "bad.h5" "$dir/stderr"; [ ! -e "$dir/m.h5" ] || fault "left a file" ;;
        *) fault "a changed byte: $(cat "$dir/stderr")" ;;
        esac
    done
    [ $refused -gt 2 ] || fault "no changed byte was refused"
fi

expect 2 "merge needs a file" "$P" merge "$dir/s/7.1.h5"
expect 2 "the file that is read" "$P" merge "$dir"/s/7.*.h5 -o "$dir/s/7.1.h5" --force
ok "$P" merge "$dir"/s/7.*.h5 -o "$dir/m.h5" --force
expect 2 "--force" "$P" merge "$dir"/s/7.*.h5 -o "$dir/m.h5"
expect 3 "panel" "$P" merge "$panel" -o "$dir/out/m.h5"
expect 1 "No such file" "$P" merge "$dir/s/none.h5" -o "$dir/out/m.h5"
finish
