# slurm/submit and slurm/status without Slurm: what would be submitted, what is refused, what the files of shards tell.
. tests/cli_lib.sh
command -v bash >/dev/null || { echo "SKIP: no bash"; exit 77; }
small_panel
export PANELFX=$P PANELFX_WARN_S=60
submit=$top/slurm/submit status=$top/slurm/status
cd "$dir" || exit 1
F='y ~ x + z | firm + year'
options='--method pairs --coef x --reps 1000'

# The two lines, as a shell takes them; an apostrophe survives.
ok "$submit" --dry-run --shards 7 --max-running 3 panelfx boot panel.h5 "$F" $options --where "prov != \"a'b\"" -o d.h5
[ "$(wc -l <stdout)" = 2 ] || fault "want two lines: $(cat stdout)"
for text in --array=1-7%3 --signal=B:USR1@60 --requeue --open-mode=append --cpus-per-task=1 \
    "replicate.sbatch run-plan d.shards/plan.yaml --shard slurm/7" "--output=d.shards/shard.%a.log" \
    "--dependency=afterok:JOB --kill-on-invalid-dep=yes" "merge.sbatch d.shards -o d.h5"; do
    holds "$text"
done
[ ! -e d.shards ] || fault "a dry run left a folder"
grep -q -- '--time=[1-9][0-9]* --mem=[1-9][0-9]*M' stdout || fault "nothing predicted: $(cat stdout)"
ok "$submit" --dry-run --time 33 --mem 44 --cpus=2 --shards 7 panelfx boot panel.h5 "$F" $options --output=d.h5 --force
holds "--cpus-per-task=2 --time=33 --mem=44M"
holds "-o d.h5 --force"
PANELFX_PARTITION=long PANELFX_ACCOUNT=me PANELFX_SBATCH='--qos=q --nice' ok "$submit" --dry-run --shards 7 panelfx boot panel.h5 \
    "$F" $options -o d.h5
[ "$(grep -c -- '--partition=long --account=me --qos=q --nice' stdout)" = 2 ] || fault "env.sh: $(cat stdout)"

# Where there is an sbatch that only notes what it was given: the plan and its statistics are there, and their shards, done
# here, make the file of the run in one piece. The same again submits what is missing, from the same plan.
mkdir sbin
printf '#!/bin/sh\necho "$@" >>"%s/given"\necho 5\n' "$dir" >sbin/sbatch
printf '#!/bin/sh\nexit 0\n' >sbin/squeue
printf '#!/bin/sh\necho MaxArraySize = 1001\n' >sbin/scontrol
chmod +x sbin/*
there() { PATH=$dir/sbin:$PATH ok "$submit" --shards 3 panelfx boot panel.h5 "$F" $options --where "prov != \"a'b\"" --isa portable -o e.h5; }
there
[ "$(ls e.shards)" = "$(printf '%s\n' command jobs plan.stats.h5 plan.yaml)" ] || fault "made: $(ls e.shards)"
holds "isa: \"portable\"" e.shards/plan.yaml
for k in 1 2; do SLURM_ARRAY_TASK_ID=$k ok "$P" run-plan e.shards/plan.yaml --shard slurm/3 --quiet; done
ok "$status" e.h5
holds "e.shards: 2 of 3 shards whole"
holds "replicates  666 of 1000"
there
grep -q -- '--array=3 ' given || fault "submitted again: $(cat given)"
ok "$P" run-plan e.shards/plan.yaml --shard 3/3 --quiet
ok "$P" merge e.shards/shard.*.h5 -o e.h5
ok "$P" boot panel.h5 "$F" $options --where "prov != \"a'b\"" --isa portable -o whole.h5
cmp -s e.h5 whole.h5 || fault "not the file of the run in one piece"
ok "$submit" --dry-run panelfx fit panel.h5 "$F" -o f.json
holds "fit.sbatch fit panel.h5 '$F' -o f.json"

# What the array would do, done here: a task is one line of the first command.
task() { SLURM_ARRAY_TASK_ID=$1 ok "$P" boot panel.h5 "$F" $options --shard slurm/7 --resume -o 'd.shards/shard.%k.h5' --quiet; }
mkdir d.shards
for k in 1 3 4 7; do task $k; done
echo "# start $(date +%s) task 1_5 restart 0 on n1" >d.shards/shard.5.log
printf '# start %s task 1_6 restart 0 on n1\n# end %s code 4\n' "$(($(date +%s) - 50))" "$(date +%s)" >d.shards/shard.6.log
ok "$status" --missing d.shards
[ "$(cat stdout)" = 2,5-6 ] || fault "--missing: $(cat stdout)"
ok "$status" d.h5
holds "d.shards: 4 of 7 shards whole, 1 running, 1 failed, 1 waiting"
holds "replicates  571 of 1000 (57.1 %)" # 142 + 143 + 143 + 143
holds "failed      --array=6 (1 with exit 4)"
holds "missing     --array=2,5-6"
holds "rate  "
holds "left  "
ok "$submit" --dry-run --shards 7 panelfx boot panel.h5 "$F" $options -o d.h5
holds "--array=2,5-6 "
ok "$submit" --dry-run --shards 7 --array 2 panelfx boot panel.h5 "$F" $options -o d.h5
holds "--array=2 "

# The job script, with a scontrol that only says what it was asked: the warning is handed on, what was drawn is kept, and the
# task is put back unless that was done too often. A task that is cancelled is not.
mkdir bin
printf '#!/bin/sh\necho "$@" >>"%s/asked"\n' "$dir" >bin/scontrol
chmod +x bin/scontrol
# warn SIGNAL RESTARTS: the status that the script ended with is in $code, its log in half.shards/shard.2.log.
reps=2000000
warn() {
    rm -rf half.shards asked
    mkdir half.shards
    PATH=$dir/bin:$PATH PANELFX_SLURM=$top/slurm PANELFX_RESTARTS=3 SLURM_JOB_ID=8 SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=2 \
        SLURM_RESTART_COUNT=$2 bash "$top/slurm/replicate.sbatch" boot panel.h5 "$F" --method pairs --coef x --reps $reps \
        --shard slurm/2 --threads 1 --checkpoint 0.02 --resume -o 'half.shards/shard.%k.h5' >half.shards/shard.2.log 2>&1 &
    pid=$!
    n=0
    until [ -e half.shards/shard.2.h5.part ] || [ $n -ge 2000 ]; do n=$((n + 1)); sleep 0.005; done
    kill -$1 $pid
    wait $pid
    code=$?
    [ $code = 75 ] && grep -q '^# end [0-9]* code 75$' half.shards/shard.2.log ||
        fault "SIG$1: exit $code: $(cat half.shards/shard.2.log)"
}
warn USR1 2
[ "$(cat asked)" = "requeue 7_2" ] || fault "not put back: $(cat asked half.shards/shard.2.log)"
warn USR1 3
[ ! -e asked ] || fault "put back too often: $(cat asked)"
holds "restarted 3 times" half.shards/shard.2.log
warn TERM 0
[ ! -e asked ] || fault "what was cancelled is put back: $(cat asked)"

# A shard that is half drawn counts with what it has.
drawn=$("$P" info half.shards/shard.2.h5.part --quiet | sed -n 's/^checkpoint *\([0-9]*\) of.*/\1/p')
[ "${drawn:-0}" -gt 0 ] || fault "info tells nothing of a checkpoint"
ok "$status" half.shards
holds "half.shards: 0 of 2 shards whole, 0 running, 1 failed, 1 waiting"
holds "replicates  $drawn of $reps"
holds "failed      --array=2 (1 with exit 75)"

expect 2 "exists; give --force" "$submit" --dry-run panelfx boot panel.h5 "$F" $options -o panel.h5
expect 2 "--shard is submit's own" "$submit" --dry-run panelfx boot panel.h5 "$F" $options --shard 1/2 -o d.h5
expect 2 "needs a file for the draws" "$submit" --dry-run panelfx boot panel.h5 "$F" $options
expect 2 "--stop-when-decided" "$submit" --dry-run panelfx boot panel.h5 "$F" $options --stop-when-decided 0.05 -o d.h5
expect 2 "--shards 0: want" "$submit" --dry-run --shards 0 panelfx boot panel.h5 "$F" $options -o d.h5
expect 2 "unknown option --reps" "$submit" --dry-run --reps 5 panelfx boot panel.h5 "$F" -o d.h5
expect 2 "no such folder" "$status" none.shards
for n in x 0 -1 7.5; do expect 2 "--of $n: want the number of shards" "$status" --of $n d.shards; done
expect 2 "--of 5: d.shards has files of shard 7" "$status" --of=5 d.shards
ok "$status" --of 7 d.shards
holds "d.shards: 4 of 7"

# Modules that this node has not: the task fails, and status says of what.
mkdir mod.shards
for k in 1 2; do
    PATH=$dir/bin:$PATH PANELFX_SLURM=$top/slurm PANELFX_MODULES="HDF5 GSL" SLURM_JOB_ID=8 SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$k \
        bash "$top/slurm/replicate.sbatch" boot panel.h5 "$F" $options --shard slurm/3 --resume -o 'mod.shards/shard.%k.h5' \
        >mod.shards/shard.$k.log 2>&1 && fault "without its modules a task ends well"
done
ok "$status" --of 3 mod.shards
holds "mod.shards: 0 of 3 shards whole, 0 running, 2 failed, 1 waiting"
holds "failed      --array=1-2 (2 with exit 1)"
holds "why         2 x env.sh: module load HDF5 GSL: failed"
echo "panelfx boot other # 7 shards" >d.shards/command
expect 2 "shards of another command" "$submit" --dry-run --shards 7 panelfx boot panel.h5 "$F" $options -o d.h5
"$submit" --dry-run panelfx boot panel.h5 'y ~ nothing' --coef nothing -o e.h5 >stdout 2>stderr
[ $? = 2 ] || fault "a wrong formula is submitted: $(cat stdout stderr)"
finish
