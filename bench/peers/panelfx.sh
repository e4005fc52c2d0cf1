# panelfx.sh CSV FOLDER: read_s is the import with its file and checksums, fit_s the whole process of the fit.
[ -x "$PANELFX" ] || { echo "SKIP panelfx: $PANELFX is not there; run make"; exit 0; }
now() { date +%s.%N; }
a=$(now)
"$PANELFX" import "$1" -o "$2/peers.h5" --unit firm --time year --force --quiet || exit 1
b=$(now)
"$PANELFX" fit "$2/peers.h5" 'y ~ x1 + x2 + x3 | firm + year' --format csv --quiet >"$2/fit.csv" || exit 1
c=$(now)
version=$("$PANELFX" --version | sed -n 's/^panelfx //p')
awk -F , -v a="$a" -v b="$b" -v c="$c" -v v="$version" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    $at["term"] == "x1" { printf "panelfx\t%s\t%.3f\t%.3f\t%.10f\t%.10f\n", v, b - a, c - b, $at["estimate"], $at["std_error"] }' "$2/fit.csv"
