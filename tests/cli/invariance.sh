# What must not change a regression: the order of the rows, the names of the units, the scale of a column.
. tests/cli_lib.sh

data=tests/data/petersen.csv
# Coefficient and standard error of x under two-way effects, clustered by firm; x was multiplied by $2.
fit_of() {
    ok "$P" import "$1" -o "$dir/p.h5" --unit firm --time year --force
    "$P" fit "$dir/p.h5" 'y ~ x | firm + year' --format csv --quiet |
        awk -F, -v s="$2" 'NR == 2 { printf "%.17g %.17g\n", s * $7, s * $8 }'
}
same() {
    echo "$1 $2" | awk '{ for (i = 1; i <= 2; i++) { d = $i / $(i + 2) - 1; if (NF != 4 || d > 1e-12 || d < -1e-12) exit 1 } }' ||
        fault "$3: $2 is not $1"
}

base=$(fit_of "$data" 1)
{ head -n 1 "$data"; tail -n +2 "$data" | sort -t, -k4,4; } >"$dir/order.csv"
[ "$(fit_of "$dir/order.csv" 1)" = "$base" ] || fault "another order of the rows gives other bits"
awk -F, -v OFS=, 'NR > 1 { $1 = "u" (7919 * $1 % 10007) } { print }' "$data" >"$dir/names.csv"
same "$base" "$(fit_of "$dir/names.csv" 1)" "other names of the units"
awk -F, -v OFS=, -v CONVFMT=%.17g -v OFMT=%.17g 'NR > 1 { $3 = $3 * 1024 } { print }' "$data" >"$dir/scale.csv"
same "$base" "$(fit_of "$dir/scale.csv" 1024)" "another scale of x"
finish
