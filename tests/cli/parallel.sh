# The same shards under GNU parallel, as slurm/README.md says: by a plan, and by number.
. tests/cli_lib.sh
parallel --version 2>/dev/null | grep -q "^GNU parallel" || { echo "SKIP: no GNU parallel"; exit 77; }
small_panel
cd "$dir" || exit 1
export P HOME="$dir" # parallel writes into its user's home
F='y ~ x + z | firm + year'
ok "$P" boot panel.h5 "$F" --coef x --method pairs --reps 3000 -o whole.h5 --quiet
ok "$P" plan boot panel.h5 "$F" --coef x --method pairs --reps 3000 --shards 5 -o draws.yaml
seq 5 | parallel -j 2 --retries 3 --termseq TERM,10000,KILL "$P" run-plan draws.yaml --threads 1 --quiet --shard {} >stdout 2>stderr ||
    fault "parallel: $(cat stderr)"
ok "$P" merge draws.?.h5 -o draws.h5
cmp -s draws.h5 whole.h5 || fault "not the file of the run in one piece"
mkdir draws.shards
seq 3 | parallel -j 2 "$P" boot panel.h5 "'$F'" --coef x --method pairs --reps 3000 --threads 1 --quiet --shard {}/3 --resume \
    -o draws.shards/shard.%k.h5 >stdout 2>stderr || fault "parallel: $(cat stderr)"
ok "$P" merge draws.shards/shard.*.h5 -o other.h5
cmp -s other.h5 whole.h5 || fault "not the file of the run in one piece"

# Told to end, the tasks keep what they have; the same line goes on.
rm -f draws.?.h5 draws.h5
seq 5 | PANELFX_FAULT=slow:2 parallel -j 2 --termseq TERM,10000,KILL "$P" run-plan draws.yaml --threads 1 --quiet --shard {} >stdout 2>stderr &
pid=$!
n=0
until [ "$(ls draws.?.h5.*tmp 2>/dev/null | wc -l)" -ge 2 ] || [ $n -ge 400 ]; do n=$((n + 1)); sleep 0.05; done
kill -TERM $pid # no other task begins
kill -TERM $pid # and those that run end
wait $pid 2>/dev/null
n=0
until [ -z "$(ls draws.?.h5.*tmp 2>/dev/null)" ] || [ $n -ge 200 ]; do n=$((n + 1)); sleep 0.05; done
[ -z "$(ls draws.?.h5.*tmp 2>/dev/null)" ] || fault "left $(ls)"
seq 5 | parallel -j 2 "$P" run-plan draws.yaml --threads 1 --quiet --shard {} >stdout 2>stderr || fault "parallel: $(cat stderr)"
ok "$P" merge draws.?.h5 -o draws.h5
cmp -s draws.h5 whole.h5 || fault "after a signal: not the file of the run in one piece"
finish
