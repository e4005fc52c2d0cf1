# shellcheck shell=sh
# Settings of this site, in one place: every script of this folder reads them. A value that is already in the
# environment stands. Edit, or copy the folder and name it in PANELFX_SLURM.

: "${PANELFX:=panelfx}"      # the program, if it is not in PATH
: "${PANELFX_MODULES:=}"     # environment modules to load, as "HDF5 OpenBLAS GSL"
: "${PANELFX_PARTITION:=}"   # sbatch --partition; empty: Slurm's default
: "${PANELFX_ACCOUNT:=}"     # sbatch --account; empty: Slurm's default
: "${PANELFX_SBATCH:=}"      # further sbatch options of every job, as "--qos=long --constraint=avx2"
: "${PANELFX_SCRATCH:=${SLURM_TMPDIR:-${TMPDIR:-/tmp}}}" # a node's own disk, for temporaries
: "${PANELFX_WARN_S:=120}"   # a task is told to stop so long before its time limit
: "${PANELFX_RESTARTS:=100}" # a task puts itself back into the queue at most so often
: "${PANELFX_MAX_MINUTES:=1440}" # no longer time limit is asked for: a task that needs more goes on after a restart

if [ -n "$PANELFX_MODULES" ]; then
    # shellcheck disable=SC2086
    module load $PANELFX_MODULES || { echo "env.sh: module load $PANELFX_MODULES: failed" >&2 && exit 1; }
fi
