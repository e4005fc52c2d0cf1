# From CSV to coefficients: import and fit real data, and compare with other software to 1e-9.
. tests/cli_lib.sh
ref=${PANELFX_REFDATA:-../shared/data}

# The panel of a data set, imported once; 1 where the data are not here.
panel_of() {
    [ -f "$dir/$1.h5" ] && return 0
    file=tests/data/$1.csv
    [ -f "$file" ] || file=$ref/$1.csv
    [ -f "$file" ] || return 1
    case $1 in
    cigar) keys="--unit State --time Year" ;;
    base_did) keys="--unit id --time period" ;;
    trade) keys="" ;;
    *) keys="--unit firm --time year" ;;
    esac
    ok "$P" import "$file" -o "$dir/$1.h5" $keys
}

skipped= last=
grep -v '^#' tests/data/reference_fits.txt >"$dir/want"
while IFS=';' read -r set formula options rest; do
    [ "$set;$formula;$options" = "$last" ] && continue
    last="$set;$formula;$options"
    if ! panel_of "$set"; then
        case " $skipped " in *" $set "*) ;; *) skipped="$skipped $set" ;; esac
        continue
    fi
    ok "$P" fit "$dir/$set.h5" "$formula" $options --format csv </dev/null
    # The last columns, since a formula may hold commas.
    awk -F, -v key="$last" 'NR > 1 {print key ";" $(NF - 7) ";" $(NF - 6) ";" $(NF - 5)}' "$dir/stdout" >>"$dir/got"
done <"$dir/want"

awk -F';' 'function off(a, b) {d = a - b; if (d < 0) d = -d; s = b < 0 ? -b : b; return d > 1e-9 * s}
    {key = $1 ";" $2 ";" $3 ";" $4}
    NR == FNR {b[key] = $5; se[key] = $6; next}
    key in b {n++; if (off(b[key], $5) || off(se[key], $6)) print key ": " b[key] " (" se[key] "), want " $5 " (" $6 ")"}
    !(key in b) {missing[$1]++}
    END {print n " coefficients compared" >"/dev/stderr"}' "$dir/got" "$dir/want" >"$dir/off" 2>"$dir/count"
cat "$dir/count"
while read -r line; do fault "$line"; done <"$dir/off"
grep -q '^[1-9]' "$dir/count" || fault "nothing was compared"
[ -z "$skipped" ] || echo "SKIP$skipped: not in tests/data nor in ${PANELFX_REFDATA:-../shared/data} (set PANELFX_REFDATA)"
finish
