# plan and run-plan: the merged file is that of the command in one piece, however the shards were run.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5
F='y ~ x + z | firm + year'
cd "$dir" || exit 1
same() { cmp -s "$1" "$dir/whole.h5" || fault "$2: not the file in one piece"; }

# Bounds as the formula of shards has them, from a route of its own; the digests are those of the file.
bounds() {
    awk -v R="$1" -v n="$2" 'BEGIN { for (k = 1; k <= n; k++) print k, int((k - 1) * R / n) + 1, int(k * R / n) }'
}
for options in "--method pairs --coef x,z --reps 777 --seed 5" "--coef=x --reps=50 --where=Emp<50 --isa portable"; do
    case $options in *portable*) draws=16 seed=1 ;; *) draws=777 seed=5 ;; esac # 2^4 weights are all there are
    rm -f p.h5 p.?.h5* whole.h5
    ok "$P" boot "$panel" "$F" $options -o "$dir/whole.h5" --quiet
    ok "$P" plan boot "$panel" "$F" $options --shards 7 -o p.yaml --force
    holds "7 shards of $draws" stderr
    sed -n 's/^ *- {shard: \([0-9]*\), first: \([0-9]*\), last: \([0-9]*\), .*/\1 \2 \3/p' p.yaml >got
    bounds $draws 7 | diff - got >diff || fault "bounds: $(cat diff)"
    holds "seed: $seed" p.yaml
    if command -v h5dump >/dev/null; then
        h5dump -a panel_digest whole.h5 >dump
        holds "$(sed -n 's/^panel_digest: //p' p.yaml)" dump
    fi
    ok "$P" run-plan p.yaml --jobs 2 --quiet
    [ ! -s stdout ] || fault "run-plan prints $(cat stdout)"
    same p.h5 "--jobs 2, $options"
    ok "$P" run-plan p.yaml --jobs 3
    holds "p.h5 is whole" stderr

    # Shard by shard, in any order, one of them as Slurm names it, and the merge.
    rm -f p.h5 p.?.h5*
    for k in 4 7 1 2 6 3; do ok "$P" run-plan p.yaml --shard $k --quiet; done
    ok env SLURM_ARRAY_TASK_ID=5 "$P" run-plan p.yaml --shard slurm
    [ "$(ls p.?.h5 | wc -l)" = 7 ] || fault "shards: $(ls)"
    ok "$P" merge p.?.h5 -o m.h5 --force
    same m.h5 "--shard, $options"
    # Whole shards are not drawn again.
    ls -l --full-time p.?.h5 >before
    ok "$P" run-plan p.yaml --jobs 2 --quiet
    ls -l --full-time p.?.h5 | diff before - >diff || fault "shards drawn again: $(cat diff)"
    same p.h5 "merge of what is there, $options"
done

# A placebo, with names of its own and a text that YAML must quote.
awk 'BEGIN {
    print "firm,year,y,z,on"
    for (f = 1; f <= 12; f++) for (t = 2015; t <= 2020; t++) {
        on = f % 3 == 0 && t >= 2016 + f / 4
        printf "%d,%d,%.5f,%d,%d\n", f, t, f + on * .3 + (f * t) % 7 / 10, (f * 5 + t * t) % 13, on
    }
}' >on.csv
ok "$P" import on.csv -o 'o"n: #1\.h5' --unit firm --time year
placebo() { ok "$P" "$@" --treatment on --reps 500 --force --quiet; }
placebo placebo 'o"n: #1\.h5' 'y ~ on + z | firm + year' -o whole.h5
placebo plan placebo 'o"n: #1\.h5' 'y ~ on + z | firm + year' --shards=10 -o q.yaml --draws d/draws.h5
mkdir d
ok "$P" run-plan q.yaml --jobs 2
same d/draws.h5 placebo
[ -e d/draws.01.h5 ] && [ -e d/draws.10.h5 ] || fault "names: $(ls d)"

# Shards draw from the statistics that the plan has kept: the same bits as from the panel, whose rows they never read, so
# that it may be damaged there.
damage() { # PANEL CSV: a byte of the outcome, the third column
    python3 - "$1" "$2" <<'PY'
import struct, sys
lines = open(sys.argv[2]).read().split("\n")
y = b"".join(struct.pack("<d", float(line.split(",")[2])) for line in lines[1:4])
data = bytearray(open(sys.argv[1], "rb").read())
data[data.index(y) + 3] ^= 1
open(sys.argv[1], "wb").write(data)
PY
}
stats() { # PANEL CSV COMMAND...
    rm -f s.* whole.h5
    cp "$1" whole_panel.h5
    rows_of=$1 csv=$2
    shift 2
    ok "$P" "$@" -o whole.h5 --quiet
    ok "$P" plan "$@" --shards 3 -o s.yaml
    holds "shards read s.stats.h5 beside it" stderr
    if command -v python3 >/dev/null; then damage "$rows_of" "$csv"; fi
    ok "$P" run-plan s.yaml --jobs 2 --quiet
    cmp -s s.h5 whole.h5 || fault "from statistics: not the file in one piece: $*"
    "$P" "$@" -o other.h5 --force --quiet 2>stderr && command -v python3 >/dev/null && fault "the damage is not seen: $*"
    cp whole_panel.h5 "$rows_of"
}
ok "$P" import on.csv -o o.h5 --unit firm --time year
wild="--coef x --reps 300 --weights-type webb"
stats panel.h5 panel.csv boot "$panel" "$F" --coef x,z --method pairs --reps 700
stats panel.h5 panel.csv boot "$panel" "$F" $wild
stats panel.h5 panel.csv boot "$panel" "$F" $wild --cluster firm+year
stats panel.h5 panel.csv boot "$panel" "$F" $wild --bootcluster prov --unrestricted
stats panel.h5 panel.csv boot "$panel" "$F" $wild --type 33
stats panel.h5 panel.csv boot "$panel" "$F" --coef x --method pairs --reps 300 --family 'Emp ~ x + z | firm, y ~ x | firm'
stats panel.h5 panel.csv boot "$panel" "$F" $wild --family 'Emp ~ x + z | firm'
stats panel.h5 panel.csv boot "$panel" 'y ~ z | firm + year | x ~ two + w' --coef x --method pairs --reps 300
stats panel.h5 panel.csv boot "$panel" 'y ~ z | firm + year | x ~ two' $wild
stats o.h5 on.csv placebo o.h5 'y ~ on + z | firm + year' --treatment on --reps 300
stats o.h5 on.csv placebo o.h5 'y ~ on + z | firm + year' --treatment on --reps 300 --scheme random-date --stat b
stats o.h5 on.csv placebo o.h5 'y ~ on + z | firm + year' --treatment on --reps 300 --scheme within-period --stat b

# What is kept is of this panel, this run, and whole; one shard, and batches that need rows, keep nothing.
keep() { cp s.yaml t.yaml && cp s.stats.h5 t.stats.h5 && sed -i 's/"s.stats/"t.stats/; s/"s\./"t./' t.yaml; }
ok "$P" plan boot "$panel" "$F" --coef x --method pairs --reps 300 --shards 3 -o s.yaml --force
keep
ok "$P" plan boot "$panel" "$F" --coef z --method pairs --reps 300 --shards 3 -o s.yaml --force
cp s.stats.h5 t.stats.h5
expect 2 't.stats.h5: of another run: there "term=z", here "term=x"' "$P" run-plan t.yaml --shard 1
sed 's/^000003,2017,[0-9.]*/000003,2017,9/' panel.csv >b.csv
cp panel.h5 keep.h5
ok "$P" import b.csv -o panel.h5 --unit firm --time year --types none=numeric --force
ok "$P" plan boot "$panel" "$F" --coef x --method pairs --reps 300 --shards 3 -o s.yaml --force
cp s.stats.h5 t.stats.h5
cp keep.h5 panel.h5
expect 3 "t.stats.h5: statistics of another panel: of its columns the digest is" "$P" run-plan t.yaml --shard 1
ok "$P" plan boot "$panel" "$F" --coef x --method pairs --reps 300 --shards 3 -o s.yaml --force
rm -f s.?.h5
size=$(stat -c %s s.stats.h5) refused=0
for at in 1 2 3 4 5 6 7 8 9; do
    cp s.stats.h5 t.stats.h5
    byte=$(od -An -tu1 -j $((size * at / 10)) -N 1 s.stats.h5)
    printf "\\$(printf %03o $((255 - byte)))" | dd of=t.stats.h5 bs=1 seek=$((size * at / 10)) conv=notrunc 2>/dev/null
    "$P" run-plan t.yaml --shard 1 --quiet >stdout 2>stderr
    got=$?
    [ $got != 3 ] || refused=$((refused + 1))
    [ $got = 3 ] || [ $got = 0 ] || fault "a flipped byte of the statistics: exit $got: $(cat stderr)"
    if [ $got = 0 ]; then
        ok "$P" run-plan s.yaml --shard 1 --quiet
        cmp -s s.1.h5 t.1.h5 || fault "a flipped byte of the statistics changes the draws"
    fi
    rm -f t.?.h5
done
[ $refused -gt 4 ] || fault "of 9 flipped bytes only $refused are seen"
rm t.stats.h5
expect 1 "t.stats.h5: cannot open" "$P" run-plan t.yaml --shard 1
ok "$P" plan boot "$panel" "$F" --coef x --method pairs --reps 300 --shards 1 -o u.yaml
holds "each shard reads the panel: the only shard" stderr
[ ! -e u.stats.h5 ] || fault "one shard keeps statistics"
ok "$P" run-plan u.yaml --shard 1 --quiet
expect 2 "s.stats.h5 exists; give --force" "$P" plan boot "$panel" "$F" --coef x --shards 2 -o s.yml
ok "$P" plan boot "$panel" "$F" --coef x --method pairs --reps 300 --shards 3 -o v.yaml --shard-files w/%k.h5 --draws v.h5
mkdir w
ok "$P" run-plan v.yaml --shard 2/3
[ -e w/2.h5 ] || fault "--shard-files: $(ls w)"
expect 2 "v.yaml has 3 shards" "$P" run-plan v.yaml --shard 2/4
expect 2 "want %k in the name" "$P" plan boot "$panel" "$F" --coef x --shards 3 -o x.yaml --shard-files w.h5

# Stopped, killed, and given again: batches that take 10 ms more leave time for it on any machine.
ok "$P" boot "$panel" "$F" --method pairs --coef x --ci t --reps 60000 -o whole.h5 --force --quiet
ok "$P" plan boot "$panel" "$F" --method pairs --coef x --ci t --reps 60000 --checkpoint 0.02 --shards 3 -o k.yaml
for sig in TERM KILL; do
    PANELFX_FAULT=slow:0.01 "$P" run-plan k.yaml --jobs 2 --threads 2 >stdout 2>stderr &
    pid=$!
    n=0
    until [ -n "$(ls k.?.h5.part 2>/dev/null)" ] || [ $n -ge 2000 ]; do n=$((n + 1)); sleep 0.005; done
    kill -$sig $pid
    wait $pid 2>/dev/null
    got=$?
    [ $sig = KILL ] || [ $got = 75 ] || fault "SIGTERM: exit $got: $(cat stderr)"
    [ $sig = KILL ] || holds "the same command goes on" stderr
    [ ! -e k.h5 ] || fault "merged though stopped"
    [ -n "$(ls k.?.h5.part)" ] || fault "$sig: no checkpoint: $(ls)"
    sleep 0.5 # shards of a run-plan that was killed stop by themselves, with their checkpoint
    [ -n "$(ls k.?.h5.part 2>/dev/null)" ] || fault "$sig: shards ran on to the end"
    [ $sig = KILL ] || rm -f k.?.h5*
done
# One of its processes is killed in the midst of a shard: the others end theirs, no other is begun.
if [ -r /proc/$$/task/$$/children ]; then
    rm -f k.?.h5*
    PANELFX_FAULT=slow:0.01 "$P" run-plan k.yaml --jobs 2 --threads 2 >stdout 2>stderr &
    pid=$!
    n=0
    until [ -n "$(ls k.?.h5.part 2>/dev/null)" ] || [ $n -ge 2000 ]; do n=$((n + 1)); sleep 0.005; done
    read -r one others <"/proc/$pid/task/$pid/children"
    kill -KILL "$one"
    wait $pid
    [ $? = 1 ] || fault "a killed process: $(cat stderr)"
    grep -Eq 'shard ([12] ended with status 137: nothing is merged; 1|3 ended with status 137: nothing is merged; 2) of 3' stderr || fault "a killed process: $(cat stderr)"
fi
ok "$P" run-plan k.yaml --jobs 2 --quiet
same k.h5 "after kills"

# A process takes shard after shard: also those that read rows for their batches, and where a file is not its own.
rm -f p.?.h5 p.h5 whole.h5
ok "$P" boot "$panel" "$F" --coef x --method pairs --reps 90 -o whole.h5 --quiet
ok "$P" plan boot "$panel" "$F" --coef x --method pairs --reps 90 --shards 6 -o r.yaml --force
ok "$P" run-plan r.yaml --shard 2 --quiet
cp r.2.h5 r.4.h5
"$P" run-plan r.yaml --jobs 1 --quiet >stdout 2>stderr
[ $? = 2 ] || fault "another shard's file: exit $?"
holds "shard 4: r.4.h5: shard 2/6, not 4/6" stderr
holds "shard 4 ended with status 2: nothing is merged; 3 of 6 shards are whole" stderr
rm r.4.h5 r.stats.h5
sed -i 's/^stats: .*/stats: ""/' r.yaml
ok "$P" run-plan r.yaml --jobs 1 --quiet
same r.h5 "one process, rows read"

# Refused: another panel, a plan changed by hand, and what is no plan.
cp p.yaml out.yaml
sed 's/^000003,2017,[0-9.]*/000003,2017,9/' panel.csv >b.csv
cp panel.h5 keep.h5
ok "$P" import b.csv -o panel.h5 --unit firm --time year --types none=numeric --force
rm -f p.?.h5 p.h5
expect 3 "the panel has changed since p.yaml was made" "$P" run-plan p.yaml --shard 2
"$P" run-plan p.yaml --jobs 2 >stdout 2>stderr
[ $? = 3 ] || fault "--jobs with another panel: $(cat stderr)"
holds "the panel has changed" stderr
holds "nothing is merged" stderr
[ "$(ls p.*h5 2>/dev/null)" = p.stats.h5 ] || fault "left $(ls p.*h5)"
cp keep.h5 panel.h5
ok "$P" run-plan p.yaml --shard 2 --quiet

bad() { # CODE TEXT SED-SCRIPT
    sed "$3" out.yaml >bad.yaml
    ! cmp -s out.yaml bad.yaml || fault "no change: $3"
    expect 2 "bad.yaml:$2" "$P" run-plan bad.yaml --shard 1
}
line() { grep -n "$1" out.yaml | head -n 1 | cut -d: -f1; }
bad 2 "$(line '^seed'): not YAML" 's/^seed: .*/seed: @1/'
bad 2 "$(line '^seed'): seed: a whole number" 's/^seed: .*/seed: one/'
bad 2 "$(line '^isa'): iso: a plan has no such key" 's/^isa/iso/'
bad 2 "$(line 'shard: 3'): shard 3 of 7 of 16 draws has first 5, not 6" '/shard: 3/s/first: 5/first: 6/'
bad 2 "$(line '^output'): output: %k" '/^output/s/%k/k/'
bad 2 "$(line '^command'): command: boot or placebo" '/^command/s/boot/fit/'
bad 2 "$(line '^panel_digest'): panel_digest: a SHA-256" '/^panel_digest/s/"./"/'
bad 2 " planned by panelfx 0.0" '/^version/s/: .*/: "0.0"/'
bad 2 " its arguments are not those" '/^reps/s/: .*/: 60/'
: >bad.yaml
expect 2 "bad.yaml:1: the plan is empty" "$P" run-plan bad.yaml --jobs 1
expect 1 "No such file" "$P" run-plan none.yaml --jobs 1
expect 2 "shard of the plan, 1 to 7" "$P" run-plan p.yaml --shard 8
expect 2 "SLURM_ARRAY_TASK_ID is not set" env -u SLURM_ARRAY_TASK_ID "$P" run-plan p.yaml --shard slurm
expect 2 "needs --jobs N" "$P" run-plan p.yaml
expect 2 "needs --jobs N" "$P" run-plan p.yaml --jobs 2 --shard 1

plan() { "$P" plan boot "$panel" "$F" --coef x -o out/p.yaml "$@"; }
expect 2 "needs --shards" plan
expect 2 "leave --resume out" plan --shards 2 --resume
expect 2 "leave --shard out" plan --shards 2 --shard 1/2
expect 2 "did you mean --seed" plan --shards 2 --sed 1
expect 2 "-o PLAN.yaml" "$P" plan boot "$panel" "$F" --coef x --shards 2
expect 2 "fit cannot be planned" "$P" plan fit "$panel" "$F" --shards 2 -o out/p.yaml
expect 2 "give --force" "$P" plan boot "$panel" "$F" --coef x --shards 2 -o p.yaml
expect 1 "none.h5" "$P" plan boot out/none.h5 "$F" --coef x --shards 2 -o out/p.yaml
ok "$P" plan --help
holds "--shards N"
cp whole.h5 p.h5
expect 2 "p.h5 exists and is of another run" "$P" run-plan p.yaml --jobs 1
# The merged file takes no name that is taken: the panel's least of all.
cp "$panel" "$dir/taken.h5"
out=$dir/out/p.yaml
expect 2 "which is read; name another with --draws" "$P" plan boot "$dir/taken.h5" 'y ~ x' --coef x --shards 2 -o "$dir/taken.yaml"
expect 2 "which is read; name another with --draws" "$P" plan boot "$dir/taken.h5" 'y ~ x' --coef x --shards 2 --draws "$dir/taken.h5" -o "$out"
expect 2 "which is the plan" "$P" plan boot "$panel" 'y ~ x' --coef x --shards 2 -o "$dir/out/z.h5"
expect 2 "which the plan's statistics take" "$P" plan boot "$panel" 'y ~ x' --coef x --shards 2 --draws "$dir/out/p.stats.h5" -o "$out"
expect 2 "shards cannot stop early" "$P" plan boot "$panel" 'y ~ x' --coef x --shards 2 --stop-when-decided 0.05 -o "$out"
[ ! -e "$dir/taken.yaml" ] && cmp -s "$panel" "$dir/taken.h5" || fault "a refused plan left something"

finish
