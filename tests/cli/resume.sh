# A run that is killed, stopped or started twice: the file at the end is the one of a run left alone, byte for byte.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5
kills=${KILLS:-10}
reps=${REPS:-200000}
F='y ~ x + z | firm + year'
boot() { "$P" boot "$panel" "$F" --method pairs --coef x --ci t --threads 2 --quiet "$@"; }
run() { boot --reps $reps --checkpoint 0.02 -o "$dir/d.h5" "$@" >"$dir/stdout" 2>"$dir/stderr"; }
# The same as a background process of its own, which $! then is.
start() { exec "$P" boot "$panel" "$F" --method pairs --coef x --ci t --threads 2 --quiet --reps $reps -o "$dir/d.h5" "$@" >"$dir/stdout" 2>"$dir/stderr"; }
same() { cmp -s "$dir/d.h5" "$dir/whole.h5" || fault "$1: the file differs from that of a run left alone"; }
# Start a run in the background and wait for its checkpoint.
begin() {
    rm -f "$dir"/d.h5*
    start --checkpoint 0.02 &
    pid=$!
    n=0
    until [ -e "$dir/d.h5.part" ] || [ $n -ge 2000 ]; do n=$((n + 1)); sleep 0.005; done
    [ -e "$dir/d.h5.part" ] || fault "no checkpoint: $(cat "$dir/stderr")"
}

ms() { echo $(($(date +%s%N) / 1000000)); }
t0=$(ms)
ok boot --reps $reps -o "$dir/whole.h5"
took=$(($(ms) - t0))

# SIGKILL at any instant, as often as the run is begun, until it ends by itself.
rm -f "$dir"/d.h5*
seed=$$ k=0 parts=0
while [ $k -lt "$kills" ]; do
    k=$((k + 1))
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    start --checkpoint 0.02 --resume &
    pid=$!
    after=$((seed / 65536 * took / 32768))
    sleep "$((after / 1000)).$(printf %03d $((after % 1000)))"
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ ! -e "$dir/d.h5.part" ] || parts=$((parts + 1))
    [ ! -e "$dir/d.h5" ] || { same "kill $k"; rm -f "$dir/d.h5"; }
done
run --resume || fault "after $kills kills: exit $?: $(cat "$dir/stderr")"
same "after $kills kills"
[ -z "$(ls "$dir" | grep 'd.h5.*tmp$')" ] || fault "temporaries of killed runs stay: $(ls "$dir")"
[ $parts -gt 0 ] || fault "no kill came between a checkpoint and the end"

# Signals: 75 within 5 s, the checkpoint kept, no temporary; then on to the end.
for sig in TERM USR1 INT USR2; do
    if [ $sig = INT ]; then
        # A background command of a script ignores SIGINT, and what is ignored stays so: from a parent that does not.
        command -v python3 >/dev/null || continue
        rm -f "$dir"/d.h5*
        python3 - "$P" boot "$panel" "$F" --method pairs --coef x --ci t --threads 2 --quiet --reps $reps --checkpoint 0.02 \
            -o "$dir/d.h5" <<'PY' >"$dir/stdout" 2>"$dir/stderr"
import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
p = subprocess.Popen(sys.argv[1:])
while not os.path.exists(sys.argv[-1] + ".part") and p.poll() is None: time.sleep(0.005)
p.send_signal(signal.SIGINT)
sys.exit(p.wait())
PY
        code=$?
    else
        begin
        t0=$(date +%s)
        kill -$sig $pid
        wait $pid
        code=$?
        [ $(($(date +%s) - t0)) -le 6 ] || fault "SIG$sig: more than 5 s"
    fi
    [ $code = 75 ] || fault "SIG$sig: exit $code: $(cat "$dir/stderr")"
    [ "$(grep -vc "^panelfx: warning" "$dir/stderr")" = 1 ] || fault "SIG$sig: want one line: $(cat "$dir/stderr")"
    holds "--resume" "$dir/stderr"
    [ "$(cd "$dir" && ls d.h5*)" = d.h5.part ] || fault "SIG$sig: left $(cd "$dir" && ls d.h5*)"
    ok "$P" info "$dir/d.h5.part" --check
    holds "of these $reps; run its command again with --resume"
    ok "$P" info "$dir/d.h5.part" --format json
    holds '"complete": false'
    [ $sig = USR2 ] || { run --resume --threads 1 || fault "resume: $(cat "$dir/stderr")"; same "SIG$sig"; }
done

# The checkpoint of the last of them is of that run alone.
other() {
    want=$1
    shift
    "$P" boot "$panel" "$@" --method pairs --resume -o "$dir/d.h5" --quiet >"$dir/stdout" 2>"$dir/stderr"
    code=$?
    text=$want
    case $want in 3*) [ $code = 3 ] ;; *) [ $code = 2 ] ;; esac || fault "exit $code: $* --resume: $(cat "$dir/stderr")"
    holds "${text#3 }" "$dir/stderr"
}
other 'there "formula=y ~ x + z | firm + year", here "formula=y ~ x | firm + year"' 'y ~ x | firm + year' --coef x --reps $reps
other 'here "term=z"' "$F" --coef z --reps $reps
other 'here "where=year > 2015"' "$F" --coef x --reps $reps --where 'year > 2015'
other "--seed 1, not 2" "$F" --coef x --reps $reps --seed 2
other "here \"reps=9\"" "$F" --coef x --reps 9
other "shard 1/1, not 2/3" "$F" --coef x --reps $reps --shard 2/3
"$P" boot "$panel" "$F" --method pairs --isa portable --coef x --reps $reps --resume -o "$dir/d.h5" --quiet 2>"$dir/stderr" >"$dir/stdout"
[ $? = 2 ] || fault "another --isa is taken"
holds "give --isa" "$dir/stderr"
sed 's/^000003,2017,[0-9.]*/000003,2017,9/' "$dir/panel.csv" >"$dir/other.csv"
ok "$P" import "$dir/other.csv" -o "$dir/other.h5" --unit firm --time year --types none=numeric
cp "$panel" "$dir/kept.h5" && cp "$dir/other.h5" "$panel"
other "3 drawn from other data" "$F" --coef x --reps $reps
# Other columns, and compression, do not matter.
cut -d, -f1-5 "$dir/panel.csv" >"$dir/narrow.csv"
rm "$panel"
ok "$P" import "$dir/narrow.csv" -o "$panel" --unit firm --time year --deflate 4
run --resume || fault "a panel with the same columns: $(cat "$dir/stderr")"
same "a panel with the same columns"
cp "$dir/kept.h5" "$panel"

# Whole: nothing to do, and nothing done. Neither: from zero.
before=$(stat -c '%Y %i' "$dir/d.h5")
run --resume || fault "--resume of a whole file: exit $?"
[ "$(stat -c '%Y %i' "$dir/d.h5")" = "$before" ] || fault "--resume has written a whole file again"
run; [ $? = 2 ] || fault "a whole file is replaced without --force"
rm "$dir/d.h5"
run --resume || fault "--resume with neither file: exit $?"
same "--resume with neither file"
begin
kill -TERM $pid
wait $pid
run; [ $? = 2 ] || fault "a checkpoint is thrown away without --force"
holds "give --resume to go on" "$dir/stderr"

# Two processes on one file, one of them killed.
rm -f "$dir"/d.h5*
for i in 1 2 3; do
    start --checkpoint 0.02 --resume &
    a=$!
    start --checkpoint 0.03 --resume &
    b=$!
    sleep 0.$((i * 7))
    [ $i = 3 ] || kill -KILL $a
    wait $a 2>/dev/null
    wait $b
    code=$?
    [ $code = 0 ] || fault "the other of two processes: exit $code: $(cat "$dir/stderr")"
    same "two processes"
    [ $i = 3 ] || rm -f "$dir"/d.h5*
done

# Without a file there is nothing to keep: the signal ends the program.
"$P" boot "$panel" "$F" --method pairs --coef x --reps 5000000 --quiet --ci t >/dev/null 2>&1 &
pid=$!
sleep 0.2
kill -TERM $pid
wait $pid
[ $? = 143 ] || fault "SIGTERM without -o: not the signal's end"

# Early stop: where it stops does not depend on threads or on a kill.
ok "$P" boot "$panel" "$F" --method pairs --coef x,z --reps 1000000 --stop-when-decided 0.05 -o "$dir/e1.h5" --threads 1
holds "at most alpha"
ok "$P" boot "$panel" "$F" --method pairs --coef x,z --reps 1000000 --stop-when-decided 0.05 -o "$dir/e3.h5" --threads 3
cmp -s "$dir/e1.h5" "$dir/e3.h5" || fault "--stop-when-decided depends on threads"
ok "$P" info "$dir/e1.h5" --check
grep -q "replicates 1 to 1000000" "$dir/stdout" && fault "--stop-when-decided did not stop"
expect 2 "does not go with --shard" boot --stop-when-decided 0.05 --shard 1/2 -o "$dir/out/d.h5"
expect 2 "between 0 and 1" boot --stop-when-decided 5

# Shards, by number and by Slurm's.
ok boot --reps 999 --shard 2/3 -o "$dir/s.%k.h5"
SLURM_ARRAY_TASK_ID=2 "$P" boot "$panel" "$F" --method pairs --coef x --ci t --reps 999 --shard slurm/3 -o "$dir/t.%k.h5" --quiet >/dev/null ||
    fault "--shard slurm/3"
cmp -s "$dir/s.2.h5" "$dir/t.2.h5" || fault "--shard slurm/3 is not --shard 2/3"
ok "$P" info "$dir/s.2.h5" --check
holds "replicates 334 to 666 of 999, shard 2 of 3"
expect 2 "one of 1 to 3" boot --shard 4/3 -o "$dir/out/d.h5"
expect 2 "want K/N" boot --shard 1:3 -o "$dir/out/d.h5"
expect 2 "SLURM_ARRAY_TASK_ID" boot --shard slurm/3 -o "$dir/out/d.h5"
expect 2 "name a file" boot --shard 1/3
expect 2 "needs the file" boot --resume
ok boot --estimate --reps 100000
holds "memory"
finish
