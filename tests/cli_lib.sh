# What the scripts in tests/cli share. Source it first: it makes a scratch folder, $dir, that goes away at the end.
P=${PANELFX:-$PWD/panelfx}
top=$PWD
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
exec 3>&1

# Said wherever it happens, in a pipe or with output redirected, and remembered for finish.
fault() {
    echo "FAULT: $*" | tee -a "$dir/faults" >&3
}

# expect CODE TEXT COMMAND...: the command ends with CODE and says one line on stderr that holds TEXT, and leaves no
# file or temporary in $dir/out.
expect() {
    code=$1 text=$2
    shift 2
    rm -rf "$dir/out"
    mkdir "$dir/out"
    "$@" >"$dir/stdout" 2>"$dir/stderr"
    got=$?
    [ "$got" = "$code" ] || fault "exit $got, want $code: $*: $(cat "$dir/stderr")"
    [ "$(wc -l <"$dir/stderr")" = 1 ] || fault "want one line on stderr: $*: $(cat "$dir/stderr")"
    grep -qF -- "$text" "$dir/stderr" || fault "want \"$text\": $*: $(cat "$dir/stderr")"
    [ -z "$(ls -A "$dir/out")" ] || fault "left $(ls -A "$dir/out"): $*"
}

# ok COMMAND...: the command ends with 0; its output is in $dir/stdout and $dir/stderr.
ok() {
    "$@" >"$dir/stdout" 2>"$dir/stderr" || fault "exit $?: $*: $(cat "$dir/stderr")"
}

# holds TEXT [FILE]: the file (stdout of the last command) holds the text.
holds() {
    grep -qF -- "$1" "${2:-$dir/stdout}" || fault "no \"$1\" in $(cat "${2:-$dir/stdout}")"
}

# A panel of 8 firms and 6 years from a formula of the row: x and z vary, y follows them; also text, gaps and
# constants. $dir/panel.h5.
small_panel() {
    awk 'BEGIN {
        print "firm,year,y,x,z,w,neg,one,two,none,prov,Emp"
        for (f = 1; f <= 8; f++) for (t = 2015; t <= 2020; t++) {
            x = (f * 7 + t * 3) % 11 / 4; z = (f * 5 + t * t) % 13
            printf "%06d,%d,%.6f,%.6f,%d,%d,%d,1,%.6f,,%s,%d\n", f, t, f + 0.5 * x - 0.1 * z + (f * t) % 7 / 10, x, z, \
                1 + f % 3, f - 4, 2 * x, f % 2 ? "Anhui" : "\"Bei, jing\"", 10 * f + t % 4
        }
    }' >"$dir/panel.csv"
    ok "$P" import "$dir/panel.csv" -o "$dir/panel.h5" --unit firm --time year --types none=numeric
}

finish() {
    [ ! -s "$dir/faults" ] || exit 1
    exit 0
}
