#!/bin/sh
# What the build needs, in one table, and what is said or done about it.
#   deps.sh cflags | libs      compiler and linker flags of the packages (pkg-config, else the plain name)
#   deps.sh check              exit 0 if all that `make` needs is there; else name what is missing
#   deps.sh install [USE...]   install what is missing for these uses (default: build test) through apt
# CC, CFLAGS, CPPFLAGS, PKG_CONFIG and PKG_CONFIG_PATH are honoured.
set -u
CC=${CC:-cc}
PKG_CONFIG=${PKG_CONFIG:-pkg-config}

# use    header (or command)    pkg-config    without pkg-config    Debian and Ubuntu            environment module
table() {
    cat <<'TABLE'
build   hdf5.h                  hdf5          -lhdf5        libhdf5-dev                  HDF5
build   openblas_config.h       openblas      -lopenblas    libopenblas-openmp-dev       OpenBLAS
build   lapacke.h               lapacke       -llapacke     liblapacke-dev               OpenBLAS
build   cholmod.h               CHOLMOD       -lcholmod     libsuitesparse-dev           SuiteSparse
build   gsl/gsl_cdf.h           gsl           -lgsl         libgsl-dev                   GSL
build   Random123/philox.h      -             -             librandom123-dev             Random123
build   readstat.h              readstat      -lreadstat    libreadstat-dev              ReadStat
build   csv.h                   libcsv        -lcsv         libcsv-dev                   libcsv
build   yaml.h                  yaml-0.1      -lyaml        libyaml-dev                  libyaml
build   jansson.h               jansson       -ljansson     libjansson-dev               Jansson
build   nettle/sha2.h           nettle        -lnettle      nettle-dev                   Nettle
test    cmocka.h                cmocka        -lcmocka      libcmocka-dev                cmocka
test    gnuplot                 -             -             gnuplot-nox                  gnuplot
test    python3                 -             -             python3                      Python
test    groff                   -             -             groff                        groff
test    h5dump                  -             -             hdf5-tools                   HDF5
test    parallel                -             -             parallel                     parallel
slurm   slurmctld               -             -             slurm-wlm                    Slurm
slurm   munged                  -             -             munge                        munge
TABLE
}

have_pkg_config() { command -v "$PKG_CONFIG" >/dev/null 2>&1; }

# Headers that Debian puts into a folder of their own, where no .pc file says so.
cflags() {
    table | while read -r _ _ module _; do
        [ "$module" = - ] || "$PKG_CONFIG" --cflags "$module" 2>/dev/null
    done | tr '\n' ' '
    [ ! -d /usr/include/suitesparse ] || echo -I/usr/include/suitesparse
}

# OpenBLAS gives CBLAS to all: a second one must not stand in the link line. $1: build or test.
libs() {
    table | while read -r use _ module plain _; do
        [ "$use" = "$1" ] && [ "$plain" != - ] || continue
        "$PKG_CONFIG" --libs "$module" 2>/dev/null || echo "$plain"
    done | tr '\n' ' ' | sed 's/-lgslcblas//'
}

has_header() {
    printf '#include <stdio.h>\n#include <%s>\n' "$1" |
        $CC ${CPPFLAGS:-} ${CFLAGS:-} $all_cflags -E -x c - >/dev/null 2>&1
}

has_item() {
    case $1 in
    *.h) has_header "$1" ;;
    *) (PATH=$PATH:/usr/sbin && command -v "$1" >/dev/null 2>&1) ;;
    esac
}

compiler_packages() {
    case $CC in
    *clang*) echo clang libomp-dev libc6-dev ;;
    *) echo gcc libc6-dev ;;
    esac
}

# Lines "what package module" of what is missing for uses $*.
missing() {
    all_cflags=$(cflags)
    set -- " $* "
    have_pkg_config || echo pkg-config pkg-config pkgconf
    if ! has_header stdlib.h || ! printf 'int main(void){return 0;}' | $CC -fopenmp -x c - -o /dev/null >/dev/null 2>&1; then
        for p in $(compiler_packages); do echo "compiler($CC)" "$p" GCC; done
    fi
    table | while read -r use item _ _ package module; do
        case $1 in *" $use "*) has_item "$item" || echo "$item" "$package" "$module" ;; esac
    done
}

say_missing() {
    echo "panelfx needs packages that are not here:" >&2
    echo "$1" | awk '{printf "  %-24s Debian or Ubuntu: %s\n", $1, $2}' >&2
}

check() {
    lines=$(missing build)
    [ -z "$lines" ] && return 0
    say_missing "$lines"
    echo "run: make deps" >&2
    return 1
}

# install USE...
install() {
    lines=$(missing "$@")
    [ -z "$lines" ] && return 0
    packages=$(echo "$lines" | awk '{print $2}' | sort -u | tr '\n' ' ')
    if ! command -v apt-get >/dev/null 2>&1; then
        say_missing "$lines"
        echo "apt is not here. Install these with the system's package manager, or load the environment modules," >&2
        echo "usually named: $(echo "$lines" | awk '{print $3}' | sort -u | tr '\n' ' ')(then run make again)" >&2
        return 1
    fi
    as_root=
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            say_missing "$lines"
            echo "as root: apt-get install $packages" >&2
            return 1
        fi
        as_root=sudo
    fi
    echo "installing: $packages"
    $as_root apt-get update -q && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $packages || return 1
    lines=$(missing "$@")
    [ -z "$lines" ] && return 0
    say_missing "$lines"
    return 1
}

case ${1:-} in
cflags) cflags ;;
libs) libs "${2:-build}" ;;
check) check ;;
install)
    shift
    [ $# -gt 0 ] || set -- build test
    install "$@"
    ;;
*)
    echo "usage: deps.sh cflags | libs [build|test] | check | install [USE...]" >&2
    exit 2
    ;;
esac
