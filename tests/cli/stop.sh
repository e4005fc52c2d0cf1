# A signal while one batch takes longer than anybody waits: the process ends within 5 s with 75 and what was whole, and the
# run that goes on gives the file of a run left alone.
. tests/cli_lib.sh
small_panel
cd "$dir" || exit 1
reps=4000
F='y ~ x + z | firm + year'
run='boot --coef x'
# start OPTIONS...: a run in the background, $pid, whose batches take 9 s more.
start() {
    env PANELFX_FAULT=slow:${slow:-9} "$P" $run panel.h5 "$F" --reps $reps --checkpoint 0.02 --isa portable --quiet "$@" >stdout 2>stderr &
    pid=$!
}
# whole OPTIONS...: the run left alone.
whole() { ok "$P" $run panel.h5 "$F" --reps $reps --isa portable --quiet --force -o whole.h5 "$@"; }
# drawing FILES: wait until the run has begun its files, after all that comes before the first batch.
drawing() {
    n=0
    until [ "$(ls -- *.tmp 2>/dev/null | wc -l)" -ge "$1" ] || [ $n -ge 600 ]; do n=$((n + 1)); sleep 0.05; done
    sleep 0.2
}
# stop SIGNAL: send it, and wait; 75 and one line within 5 s. $line: that line.
stop() {
    t0=$(date +%s%N)
    kill -$1 $pid
    wait $pid
    code=$?
    ms=$((($(date +%s%N) - t0) / 1000000))
    [ $code = 75 ] || fault "SIG$1: exit $code: $(cat stderr)"
    [ $ms -lt 5000 ] || fault "SIG$1: took $ms ms"
    [ "$(grep -vc '^panelfx: warning' stderr)" = 1 ] || fault "SIG$1: want one line: $(cat stderr)"
    [ -z "$(ls d.h5*.tmp 2>/dev/null)" ] || fault "SIG$1: left $(ls d.h5*)"
}
go_on() {
    ok "$P" $run panel.h5 "$F" --reps $reps --isa portable --quiet -o d.h5 --resume "$@"
    cmp -s d.h5 whole.h5 || fault "not the file of a run left alone: $run $*"
    rm -f d.h5*
}
for method in pairs "wild --weights-type webb"; do
    whole --method $method
    start --method $method --threads 2 -o d.h5
    drawing 1
    stop TERM
    grep -q "stopped by signal 15 after [0-9]* of $reps replicates, kept in d.h5.part; run again with --resume" stderr || fault "$(cat stderr)"
    go_on --method $method
done

# A signal while the second batch of each thread takes 3 s more: the other thread of the process hands the first ones on,
# 192 draws each. Whoever waits for the second ones has twice as many.
slow=4
whole --method pairs
start --method pairs --threads 2 -o d.h5
drawing 1
sleep 5
slow=9
stop USR1
after=$(sed -n 's/.* after \([0-9]*\) of .*/\1/p' stderr)
[ "$after" = 384 ] || fault "want the two whole batches, 384 draws, kept: $(cat stderr)"
ok "$P" info d.h5.part --check
holds "checkpoint $after of these"
go_on --method pairs
# A shard of a placebo.
run='placebo --treatment x'
whole --shard 2/3
start --threads 2 -o d.h5 --shard 2/3
drawing 1
stop USR2
go_on --shard 2/3
# A plan's shards.
run='boot --coef x'
whole --method pairs
ok "$P" plan $run panel.h5 "$F" --method pairs --reps $reps --isa portable --shards 2 -o p.yaml
env PANELFX_FAULT=slow:9 "$P" run-plan p.yaml --jobs 2 --quiet >stdout 2>stderr &
pid=$!
drawing 2
t0=$(date +%s)
kill -TERM $pid
wait $pid
[ $? = 75 ] || fault "run-plan: $(cat stderr)"
[ $(($(date +%s) - t0)) -le 5 ] || fault "run-plan takes more than 5 s"
ok "$P" run-plan p.yaml --jobs 2 --quiet
cmp -s p.h5 whole.h5 || fault "run-plan: not the file of a run left alone"
finish
