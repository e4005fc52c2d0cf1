#!/bin/sh
# The arrows between layers, as includes spell them, and what kernels may not do. Prints each fault; exit 1 if any.
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc}
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT

# rule FOLDERS PATTERN: no line of a source file in FOLDERS may match.
rule() {
    for folder in $1; do
        [ ! -d "$folder" ] || grep -RnE --include='*.[ch]' "$2" "$folder"
    done
}

{
    rule "src/base" '#include "(kernels|hdf5_io|src/(model|est|rep|data|report|study|cmd))/'
    rule "kernels hdf5_io" '#include "src/(model|est|rep|data|report|study|cmd)/'
    rule kernels '#include "hdf5_io/'
    rule hdf5_io '#include "kernels/'
    rule "src/model src/est src/rep src/data src/report" '#include "(hdf5_io|src/(cmd|study))/'
    rule src/model '#include "src/(est|rep|data|report)/'
    rule src/est '#include "src/(rep|data|report)/'
    rule src/rep '#include "src/(data|report)/'
    rule "src kernels bench tests" '#include <hdf5'
    rule hdf5_io '#include <hdf5' | grep -v '^hdf5_io/h5_private\.h:'
    rule "src hdf5_io kernels" '#include "[^/"]*"'      # the path from the root is spelled out
    rule kernels '\b(malloc|calloc|realloc|aligned_alloc|posix_memalign|pfx_mem_[a-z]+|free)\('
    rule kernels '\b(v?f?printf|puts|fputs|fopen|fread|fwrite|fclose|open|read|write|exit|abort)\('
    rule "src hdf5_io" '\b(malloc|calloc|realloc|free|strdup)\(' | grep -v '^src/base/mem\.c:'
    rule "src kernels hdf5_io" '#pragma omp' | grep -vE '^(kernels|src/rep)/|^src/base/parallel\.c:'
    rule "src kernels hdf5_io" '#pragma omp .*reduction'
} >"$out/faults"

# Each header compiles alone; the body of a kernel as its portable file would compile it.
flags="-std=c11 -D_GNU_SOURCE -DPFX_K_SUFFIX=_portable -fopenmp -I. ${DEP_CFLAGS:-}"
find src hdf5_io kernels -name '*.h' 2>/dev/null | sort | while read -r h; do
    printf '#include "%s"\n' "$h" | $CC $flags -Wall -Wextra -Werror -fsyntax-only -x c - 2>"$out/log" ||
        echo "$h: does not compile alone: $(grep -m 1 error "$out/log")"
done >>"$out/faults"

[ ! -s "$out/faults" ] && exit 0
echo "Wrong-way arrows, or a kernel that does more than compute (architecture: Layers):"
cat "$out/faults"
exit 1
