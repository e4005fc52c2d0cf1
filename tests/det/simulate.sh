#!/bin/sh
# The same panel file, byte for byte, at any number of threads. Threads come from the environment and the file
# has the same relative name, since the provenance holds the command as typed.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
panelfx=${PANELFX:-$PWD/panelfx}
for options in '' '--firms 20000 --years 2000:2019 --seed 7' '--vars EXPY,IDC,ROA --firms 9'; do
    for t in 1 2 3 7; do
        mkdir -p "$dir/$t"
        # shellcheck disable=SC2086
        (cd "$dir/$t" && SLURM_CPUS_PER_TASK=$t "$panelfx" simulate -o panel.h5 --quiet --force $options)
        cmp "$dir/1/panel.h5" "$dir/$t/panel.h5" || { echo "simulate $options: $t threads differ from 1"; exit 1; }
    done
done
