# How many threads run: --threads, then SLURM_CPUS_PER_TASK, then the affinity mask; and never any of OpenBLAS's.
. tests/cli_lib.sh
small_panel
cd "$dir" || exit 1
F='y ~ x + z | firm + year'
under=
# The number in the report.
threads() { $under "$P" fit panel.h5 "$F" --format json --quiet "$@" 2>stderr | sed -n 's/^ *"threads": \([0-9]*\).*/\1/p'; }
want() { [ "$1" = "$2" ] || fault "$3: $1 threads, want $2"; }
unset SLURM_CPUS_PER_TASK
host=$(threads)
want "$(threads --threads 5)" 5 "--threads 5"
quota=$(SLURM_CPUS_PER_TASK=7 threads) # 7, or what a control group allows
[ "$quota" = 7 ] || [ "$quota" = "$host" ] || fault "SLURM_CPUS_PER_TASK=7: $quota threads on a host of $host"
want "$(SLURM_CPUS_PER_TASK=1 threads)" 1 "SLURM_CPUS_PER_TASK=1"
want "$(SLURM_CPUS_PER_TASK=1 threads --threads 3)" 3 "--threads 3 under SLURM_CPUS_PER_TASK=1"
if command -v taskset >/dev/null; then
    one="taskset -c $(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')"
    want "$(under=$one; threads)" 1 taskset
    want "$(under=$one; threads --threads 2)" 2 "--threads 2 under taskset"
fi

# Threads of a job while it draws: its own, and the one that guards the file. The full sample's regression of 120 columns went
# through OpenBLAS before, in the main thread and in those of loops, and the BLAS is told to take 16: threads that it starts stay.
ok "$P" simulate -o wide.h5 --firms 120 --quiet
for n in 1 3; do
    OPENBLAS_NUM_THREADS=16 OMP_NUM_THREADS=16 GOTO_NUM_THREADS=16 PANELFX_FAULT=slow:9 "$P" boot wide.h5 \
        'EXPY ~ IDC + i(firm) | year' --coef IDC --method pairs --reps 4000 --threads $n --quiet -o d$n.h5 >stdout 2>stderr &
    pid=$!
    k=0
    until [ -n "$(ls d$n.h5*.tmp 2>/dev/null)" ] || [ $k -ge 600 ]; do k=$((k + 1)); sleep 0.05; done
    sleep 0.3
    want "$(sed -n 's/^Threads:[^0-9]*//p' /proc/$pid/status)" $((n + 1)) "a job of --threads $n"
    kill -TERM $pid
    wait $pid
done
finish
