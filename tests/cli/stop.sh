# A signal while one batch takes longer than anybody waits: the process ends within 5 s with 75 and what was whole, and the
# run that goes on gives the file of a run left alone.
. tests/cli_lib.sh
small_panel
cd "$dir" || exit 1
reps=4000
# start OPTIONS...: a run in the background, $pid, whose batches take 9 s more.
start() {
    env PANELFX_FAULT=slow:${slow:-9} "$P" boot panel.h5 'y ~ x + z | firm + year' --coef x --reps $reps --checkpoint 0.02 \
        --isa portable --quiet "$@" >stdout 2>stderr &
    pid=$!
}
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
    ok "$P" boot panel.h5 'y ~ x + z | firm + year' --coef x --reps $reps --isa portable --quiet -o d.h5 --resume "$@"
    cmp -s d.h5 whole.h5 || fault "not the file of a run left alone"
    rm -f d.h5*
}
for method in pairs "wild --weights-type webb"; do
    ok "$P" boot panel.h5 'y ~ x + z | firm + year' --coef x --reps $reps --method $method --isa portable -o whole.h5 --quiet --force
    start --method $method --threads 2 -o d.h5
    drawing 1
    stop TERM
    grep -q "stopped by signal 15 after [0-9]* of $reps replicates, kept in d.h5.part; run again with --resume" stderr || fault "$(cat stderr)"
    go_on --method $method
done

# One thread is through with some batches of a round when the signal comes.
slow=1.5
ok "$P" boot panel.h5 'y ~ x + z | firm + year' --coef x --reps $reps --method pairs --isa portable -o whole.h5 --quiet --force
start --method pairs --threads 1 -o d.h5
drawing 1
sleep 2
slow=9
stop USR1
after=$(sed -n 's/.* after \([0-9]*\) of .*/\1/p' stderr)
[ "${after:-0}" -gt 0 ] || fault "nothing was kept of a whole batch: $(cat stderr)"
ok "$P" info d.h5.part --check
holds "checkpoint $after of these"
go_on --method pairs
# A placebo, and a plan's shards.
start --method pairs --threads 2 -o d.h5 --shard 2/3
drawing 1
stop USR2
rm -f d.h5*
ok "$P" plan boot panel.h5 'y ~ x + z | firm + year' --coef x --method pairs --reps $reps --shards 2 -o p.yaml
env PANELFX_FAULT=slow:9 "$P" run-plan p.yaml --jobs 2 --quiet >stdout 2>stderr &
pid=$!
drawing 2
t0=$(date +%s)
kill -TERM $pid
wait $pid
[ $? = 75 ] || fault "run-plan: $(cat stderr)"
[ $(($(date +%s) - t0)) -le 5 ] || fault "run-plan takes more than 5 s"
ok "$P" run-plan p.yaml --jobs 2 --quiet
finish
