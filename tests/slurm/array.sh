#!/bin/bash
# Arrays of shards under a real Slurm: however a run is disturbed, the merged file is that of the run in one piece,
# byte for byte. Skips where Slurm is not installed or cannot be started.
#   array.sh [SCENARIO...]    one of the functions below; begin_lost needs end_lost, begin_limit needs end_limit
. tests/cli_lib.sh
. tests/slurm/cluster.sh
cluster=$dir/c
[ ${#cluster} -le 64 ] || cluster=$(mktemp -d /tmp/slurm.XXXXXX) # a long TMPDIR
trap 'cluster_down; rm -rf "$dir" "$cluster"' EXIT
trap 'exit 1' INT TERM HUP
submit=$top/slurm/submit status=$top/slurm/status
begun=$SECONDS

if ! cluster_up "$cluster"; then
    echo "SKIP: $cluster_why"
    exit 77
fi
cd "$dir" || exit 1
export PANELFX=$P PANELFX_WARN_S=10 TMPDIR=$dir

# ---- what the scenarios share ----

# wait_for SECONDS COMMAND...: true once the command is.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || { fault "waited in vain: $*: $(squeue -h -o '%i %T %r' | tr '\n' ';')" && return 1; }
        sleep 0.2
    done
}
# job NAME KIND: the last job of a run, its array or its merge.
job() { sed -n "s/^$2 //p" "$1.shards/jobs" | tail -n 1; }
gone() { ! squeue -h -j "$1" 2>/dev/null | grep -q .; }
state() { scontrol -o show job "$1" | grep -o 'JobState=[A-Z]*' | sort -u | cut -d= -f2 | tr '\n' ' '; }
starts() { grep -ch '^# start' "$1.shards/shard.$2.log" 2>/dev/null; }
more_starts() { [ "$(starts "$1" "$2")" -gt "$3" ]; }
logs() { tail -n 4 "$1".shards/*.log; }
say() { echo "$((SECONDS - begun)) s: $*"; }

formula='EXPY ~ IDC + lnEmployee + ROA | firm + year'
# run NAME OPTIONS-OF-SUBMIT...: the small run as an array of 4 shards.
run() {
    local name=$1
    shift
    "$submit" --shards 4 "$@" panelfx boot panel.h5 "$formula" --coef IDC --cluster firm+year --reps "$reps" \
        --checkpoint 0.5 -o "$name.h5" >"$dir/stdout" 2>"$dir/stderr" || fault "submit $name: $(cat "$dir/stderr")"
}
# merged NAME TWIN: the run's merge is over, and its file is that of the run in one piece.
merged() {
    wait_for 240 gone "$(job "$1" merge)" || return
    if cmp -s "$1.h5" "$2.h5"; then
        ! command -v h5diff >/dev/null || h5diff "$1.h5" "$2.h5" >/dev/null || fault "h5diff sees a difference"
        say "$1: the file of the run in one piece"
    else
        fault "$1: not the file of the run in one piece: $(logs "$1" 2>&1)"
    fi
}

# part NAME K: shard K has a checkpoint.
part() { [ -e "$1.shards/shard.$2.h5.part" ]; }
any_part() { ls "$1".shards/*.part >/dev/null 2>&1; }
on_n2() { task=$(squeue -h -t RUNNING -w n2 -j "$array" -o %K | head -n 1) && [ -n "$task" ] && part lost "$task"; }

# Replicates for a number of seconds of one CPU, by the CPU time of some: other work on the host must not count.
ok "$P" simulate -o panel.h5 --firms 12000
ok "$P" boot panel.h5 "$formula" --coef IDC --cluster firm+year --reps 10000 --threads 1
rate=$(sed -n 's/.* cpu \([0-9.]*\) s.*/\1/p' "$dir/stderr" | awk '{print 10000 / $1}')
reps=$(awk -v r="$rate" 'BEGIN {print int(9 * r)}')

# The time limit, with a signal ahead of it; runs beside the others. Slurm looks every 30 s, and sends USR1 within half a
# minute of the start: until it comes the program is held, which makes the task a slow one.
begin_limit() {
    PANELFX_WARN_S=50 PANELFX_SBATCH=--nodelist=n1 run limit --shards 1 --time 1
    wait_for 60 part limit 1
    local name=${P##*/} p
    held=$(for p in $(job_pids n1); do [ "$(cat "/proc/$p/comm" 2>/dev/null)" != "${name:0:15}" ] || echo "$p"; done)
    [ -n "$held" ] || return # on a busy host the signal was faster
    kill -STOP "$held"
    (
        end=$((SECONDS + 50))
        until warned "$held" || [ $SECONDS -ge $end ]; do sleep 0.2; done
        kill -CONT "$held"
    ) &
}
# USR1, signal 10, is pending.
warned() { grep -q '^ShdPnd:.*[2367abef]..$' "/proc/$1/status"; }

# A normal end.
normal() {
    run normal
    merged normal whole
    "$status" normal.shards >"$dir/stdout" 2>"$dir/stderr" || fault "status: $(cat "$dir/stderr")"
    holds "4 of 4 shards whole, 0 running, 0 failed, 0 waiting"
    holds "replicates  $reps of $reps (100.0 %)"
    holds "rate "
}

# A node lost mid-run: no signal, no farewell. Slurm finds out while the next scenario runs on the other.
begin_lost() {
    run lost
    array=$(job lost array)
    wait_for 60 on_n2
    node_crash n2
    say "n2 lost, with shard $task and a checkpoint of it"
}

# scancel, and the same command again; on the node that is there.
cancel() {
    PANELFX_SBATCH=--nodelist=n1 run cancel
    wait_for 60 any_part cancel
    scancel "$(job cancel array)"
    wait_for 30 gone "$(job cancel array)"
    wait_for 30 gone "$(job cancel merge)"
    [ "$(state "$(job cancel merge)")" = "CANCELLED " ] || fault "the merge is $(state "$(job cancel merge)"), not cancelled"
    [ ! -e cancel.h5 ] || fault "merged what was cancelled"
    [ "$(cat cancel.shards/shard.*.log | grep -c requeued)" = 0 ] || fault "what was cancelled came back"
    ok "$status" cancel.shards
    holds "missing     --array="
    say "cancelled: $(sed -n 's/^replicates *//p' "$dir/stdout")"
    PANELFX_SBATCH=--nodelist=n1 run cancel
    merged cancel whole
    [ "$(cat cancel.shards/shard.*.log | grep -c '^# start')" -gt 4 ] || fault "nothing was taken up again: $(logs cancel)"
}

end_lost() {
    merged lost whole
    [ "$(starts lost "$task")" = 2 ] || fault "shard $task did not begin twice: $(logs lost)"
    node_start n2
    nodes_ready 30 || fault "n2 does not come back"
}

# scontrol requeue.
requeue() {
    run requeue
    wait_for 60 part requeue 1
    scontrol requeue "$(job requeue array)_1" || fault "no requeue"
    merged requeue whole
    [ "$(starts requeue 1)" = 2 ] || fault "shard 1 did not begin twice: $(logs requeue)"
}

# One shard run twice at a time.
twice() {
    run twice --shards 1
    wait_for 60 part twice 1
    run twice --shards 1 --array 1
    wait_for 60 more_starts twice 1 1
    merged twice whole
    wait_for 60 gone "$(job twice array)"
    awk '/^# start/ {n++} /^# end/ {exit} END {exit n != 2}' twice.shards/shard.1.log || fault "not at a time: $(logs twice)"
    [ "$(grep -c '^# end .* code 0' twice.shards/shard.1.log)" = 2 ] || fault "one of the two failed: $(logs twice)"
    ok "$P" merge twice.shards/shard.1.h5 -o twice.h5 --force
    merged twice whole
}

end_limit() {
    merged limit whole
    [ "$(grep -c '^# requeued' limit.shards/shard.1.log)" -gt 0 ] || fault "the time limit did not strike: $(logs limit)"
    [ "$(starts limit 1)" -gt 1 ] || fault "nothing came back from the queue: $(logs limit)"
}

# A node out of contact: its task goes on, and begins anew elsewhere.
deaf() {
    run deaf --shards 1
    wait_for 60 part deaf 1
    node=$(squeue -h -j "$(job deaf array)" -o %N)
    node_deaf "$node"
    scontrol update NodeName="$node" State=DOWN Reason=deaf
    merged deaf whole
    [ "$(starts deaf 1)" = 2 ] || fault "the shard did not begin twice: $(logs deaf)"
}

# What fails does not merge.
failing() {
    # shellcheck disable=SC2317
    module() { [ -z "${SLURM_JOB_ID:-}" ]; } # here there are modules, on the nodes there are none
    export -f module
    PANELFX_MODULES=HDF5 "$submit" --shards 2 --time 2 --mem 200 panelfx boot panel.h5 "$formula" --coef IDC --reps 100 \
        -o wrong.h5 >"$dir/stdout" 2>"$dir/stderr" || fault "submit: $(cat "$dir/stderr")"
    unset -f module
    wait_for 60 gone "$(job wrong merge)"
    "$status" wrong.shards >"$dir/stdout" 2>"$dir/stderr"
    holds "0 of 2 shards whole, 0 running, 2 failed"
    holds "why         2 x env.sh: module load HDF5: failed"
    [ "$(state "$(job wrong merge)")" = "CANCELLED " ] || fault "a merge of failed shards was not cancelled"
}

ok "$P" boot panel.h5 "$formula" --coef IDC --cluster firm+year --reps "$reps" -o whole.h5 --quiet
say "$reps replicates in one piece"
[ $# -gt 0 ] || set -- begin_limit normal begin_lost cancel end_lost requeue twice end_limit deaf failing
for scenario in "$@"; do $scenario; done

cluster_down
[ ! -s "$dir/faults" ] || tail -n 20 "$cluster_dir"/log/*.log
finish
