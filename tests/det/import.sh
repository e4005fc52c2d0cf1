#!/bin/sh
# The same panel file, byte for byte, at any number of threads, and the same data whatever the memory and the order
# of the rows. Threads come from the environment and names are relative, since the provenance holds the command.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
panelfx=${PANELFX:-$PWD/panelfx}
awk 'BEGIN {
    print "firm,year,name,x,z,n,gap"
    for (i = 0; i < 400000; i++)
        printf "%06d,%d,\"%s, \"\"%d\"\"\",%.9g,%.17g,%d,%s\n", i / 10, 2000 + i % 10, i % 3 ? "Anhui" : "Bei\njing", \
            i * 7919 % 1009, (i * 7919 % 10007) / 17, sin(i) * exp(i % 40), i * 31 % 65537, i % 11 ? i % 13 : ""
}' >"$dir/sorted.csv"
awk 'BEGIN {
    print "firm,year,x,name"
    for (i = 0; i < 300000; i++) { j = i * 7919 % 300000; printf "%06d,%d,%.17g,n%d\n", j / 10, 2000 + j % 10, cos(j), j % 5003 }
}' >"$dir/shuffled.csv"

import() {
    t=$1 file=$2
    shift 2
    mkdir -p "$dir/$t"
    (cd "$dir/$t" && SLURM_CPUS_PER_TASK=$t "$panelfx" import "../$file.csv" -o panel.h5 --unit firm --time year --quiet --force "$@")
}
for options in '' '--memory 64M' '--deflate 3 --missing 12 --types n=category'; do
    for file in sorted shuffled; do
        [ "$file" = sorted ] || options=${options% --types*}
        for t in 1 2 3 7; do
            # shellcheck disable=SC2086
            import $t $file $options
            cmp "$dir/1/panel.h5" "$dir/$t/panel.h5" || { echo "import $file $options: $t threads differ from 1"; exit 1; }
        done
    done
done

# Columns of a file as text, exact, without the provenance.
command -v h5dump >/dev/null || exit 0
data() { h5dump -m %a -g /columns -g /index -g /categories "$1" | sed 1d | cksum; }
{ head -n 1 "$dir/shuffled.csv"; sed 1d "$dir/shuffled.csv" | sort; } >"$dir/ordered.csv"
import 1 shuffled
want=$(data "$dir/1/panel.h5")
for run in '2 shuffled 64M' '3 ordered 1G' '7 ordered 64M'; do
    # shellcheck disable=SC2086
    set -- $run
    import "$1" "$2" --memory "$3"
    [ "$(data "$dir/$1/panel.h5")" = "$want" ] || { echo "import $2 --memory $3: other data than in memory"; exit 1; }
done
