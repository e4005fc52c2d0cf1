#!/bin/bash
# What it costs to cut a run into shards, and how shards scale over processes and threads, on this machine.
#   bench/shards.sh [STEP...]    steps: prepare whole shards merge 1x1 1x2 2x1 2x2 table (default: all of them, in that order)
# whole and shards are the same replicates by one process with one thread: in one piece, and as a plan of SHARDS (100)
# shards of SHARD_S (1) seconds, one after the other. PxT: the plan by P processes of T threads. Steps keep what they need
# in DIR (default: a folder that is removed at the end), so that they can be run one at a time on a quiet machine.
# PANELFX: the program. ROUNDS (1): of each step the best counts.
set -eu
P=${PANELFX:-$PWD/panelfx}
shards=${SHARDS:-100} seconds=${SHARD_S:-1} rounds=${ROUNDS:-1}
if [ -z "${DIR:-}" ]; then
    DIR=$(mktemp -d)
    trap 'rm -rf "$DIR"' EXIT
fi
mkdir -p "$DIR"
cd "$DIR"
formula='EXPY ~ IDC + lnEmployee + ROA | firm + year'
run=(panel.h5 "$formula" --coef IDC --method pairs)

# timed NAME COMMAND...: the wall seconds of the best of the rounds, behind the times of earlier steps.
timed() {
    local name=$1 best='' t i
    shift
    for ((i = 0; i < rounds; i++)); do
        rm -f p.*[0-9].h5 p.h5 whole.h5
        t=$(date +%s%N)
        "$@" >/dev/null
        t=$(($(date +%s%N) - t))
        [ -n "$best" ] && [ "$best" -le $t ] || best=$t
    done
    sed -i "/^$name /d" times 2>/dev/null || true
    awk -v n="$name" -v t="$best" 'BEGIN {printf "%s %.3f\n", n, t / 1e9}' | tee -a times
}

# A panel, and a plan whose shards have the replicates of so many seconds of one thread.
prepare() {
    local cpu
    "$P" simulate -o panel.h5 --firms "${FIRMS:-12000}" --quiet --force
    "$P" boot "${run[@]}" --reps 20000 --threads 1 --force -o rate.h5 >/dev/null 2>rate
    cpu=$(sed -n 's/.* cpu \([0-9.]*\) s.*/\1/p' rate)
    "$P" boot "${run[@]}" --reps 200 --threads 1 --force -o rate.h5 >/dev/null 2>rate
    reps=$(awk -v a="$cpu" -v b="$(sed -n 's/.* cpu \([0-9.]*\) s.*/\1/p' rate)" -v n="$shards" -v s="$seconds" \
        'BEGIN {printf "%d", 19800 / (a - b) * s * n}')
    "$P" plan boot "${run[@]}" --reps "$reps" --threads 1 --shards "$shards" -o p.yaml --force --quiet
    sed -n 's/^draws: //p' p.yaml
}

# The files of both are the same, byte for byte.
merge() {
    "$P" run-plan p.yaml --jobs 1 --threads 1 --quiet
    "$P" boot "${run[@]}" --reps "$(sed -n 's/^reps: //p' p.yaml)" --threads 1 -o whole.h5 --quiet --force >/dev/null
    cmp p.h5 whole.h5 && echo "merged file: the same bytes"
}

table() {
    awk -v n="$shards" '{t[$1] = $2}
    END {
        printf "| run | seconds | |\n| --- | --- | --- |\n"
        if (t["whole"] && t["shards"]) {
            printf "| in one piece, 1 thread | %.2f | |\n", t["whole"]
            printf "| %d shards of %.2f s, 1 process, 1 thread, and their merge | %.2f | %+.1f %%, %.0f ms a shard |\n", n, t["whole"] / n,
                t["shards"], 100 * (t["shards"] / t["whole"] - 1), 1000 * (t["shards"] - t["whole"]) / n
        }
        split("1x1 1x2 2x1 2x2", s)
        for (i = 1; i <= 4; i++) if (t[s[i]]) {
            split(s[i], c, "x")
            printf "| %d shards, %d process%s of %d thread%s | %.2f | %.2f times as fast as 1 x 1 |\n", n, c[1], (c[1] > 1 ? "es" : ""),
                c[2], (c[2] > 1 ? "s" : ""), t[s[i]], t["1x1"] / t[s[i]]
        }
    }' times
}

[ $# -gt 0 ] || set -- prepare whole shards merge 1x1 1x2 2x1 2x2 table
for step in "$@"; do
    case $step in
    prepare | merge | table) $step ;;
    whole)
        timed whole "$P" boot "${run[@]}" --reps "$(sed -n 's/^reps: //p' p.yaml)" --threads 1 -o whole.h5 --quiet --force
        ;;
    shards) timed shards "$P" run-plan p.yaml --jobs 1 --threads 1 --quiet ;;
    [0-9]x[0-9]) timed "$step" "$P" run-plan p.yaml --jobs "${step%x*}" --threads $((${step%x*} * ${step#*x})) --quiet ;;
    *) echo "shards.sh: no step $step" >&2 && exit 2 ;;
    esac
done
