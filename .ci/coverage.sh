#!/bin/sh
# Lines run by the tests, file by file and in all, from the gcov data of a build folder.
#   coverage.sh BUILD
find "$1/src" "$1/kernels" "$1/hdf5_io" -name '*.gcda' | xargs gcov -n -r 2>/dev/null |
    awk -F "[':% ]+" '
        /^File/ {file = $2}
        /^Lines executed/ && file ~ /\.c$/ && !seen[file]++ {
            printf "%6.1f %% of %5d  %s\n", $3, $5, file
            run += $3 / 100 * $5
            lines += $5
        }
        END {if (lines) printf "%6.1f %% of %5d  in all\n", 100 * run / lines, lines}' | sort -k4
