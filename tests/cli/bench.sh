# bench at tiny sizes: every check passes, the layout of table and record, refusals. No timing is looked at.
. tests/cli_lib.sh

ok "$P" bench --memory 200M --rows 100000 --tmpdir "$dir" --format csv -o "$dir/record.tsv"
holds "bench takes up to" "$dir/stderr"
ls "$dir" | grep -q panelfx-bench && fault "bench leaves $(ls "$dir")"
head -n 1 "$dir/stdout" >"$dir/columns"
holds "case,rows,columns,threads,seconds,rate,unit,share,limit,limit_rate,digits,faults,peak_MiB,check,note" "$dir/columns"

# The record: what it was made with, then as many fields in every line as there are names, the same cases as the table.
for key in date version commit compiler flags cpu cores threads isa openblas openblas_core hdf5 load_average; do
    grep -q "^# $key	." "$dir/record.tsv" || fault "the record has no $key"
done
grep -qF "$dir" "$dir/record.tsv" && fault "the record names a path"
grep -qwF "$(uname -n)" "$dir/record.tsv" && fault "the record names the machine"
grep -v '^#' "$dir/record.tsv" >"$dir/body"
head -n 1 "$dir/body" | tr '\t' , | diff - "$dir/columns" >/dev/null || fault "other columns: $(head -n 1 "$dir/body")"
awk -F '\t' 'NF != 15' "$dir/body" | grep . && fault "a line of the record has not 15 fields"
[ "$(wc -l <"$dir/body")" = "$(wc -l <"$dir/stdout")" ] || fault "record and table have not the same lines"

# Column 14: nothing fails, and nothing is left out but for memory and disk, which these sizes do not need.
awk -F '\t' 'NR > 1 && $14 != "PASS" && $1 !~ /^T_read/' "$dir/body" >"$dir/odd"
[ -s "$dir/odd" ] && fault "not PASS: $(cat "$dir/odd")"
for c in triad read dgemm "file write" "fresh memory" "gram portable" "score portable" none one-way two-way two-way-weights two-way-2sls \
    two-way-large two-way-2sls-large industry-region worker-firm-1 worker-firm-20-local wild wild-interval wild-webb wild-crossing placebo-large-se pairs pairs-se pairs-bayes pairs-large-se jackknife jackknife-large import simulate T_read panel-fit \
    panel-stream; do
    cut -f 1 "$dir/body" | grep -qx "$c" || fault "no line of $c"
done

# Comparing records says what differs, and fails on no timing.
awk -F '\t' -v OFS='\t' '/^[^#]/ && $1 != "case" { $5 *= 2 } { print }' "$dir/record.tsv" >"$dir/slow.tsv"
ok bench/compare.sh "$dir/slow.tsv" "$dir/record.tsv"
grep -E '^two-way +1[0-9]+ +1 ' "$dir/stdout" | grep -q ' 2\.00 ' || fault "compare.sh: $(cat "$dir/stdout")"
expect 2 "usage: compare.sh" bench/compare.sh "$dir/record.tsv" "$dir/nowhere.tsv"

# Chosen cases, other formats, too little memory.
ok "$P" bench --memory 200M --rows 20000 --tmpdir "$dir" --cases one-way --quiet
holds "OpenBLAS core type"
grep -q two-way "$dir/stdout" && fault "--cases one-way runs two-way"
[ -s "$dir/stderr" ] && fault "--quiet says something: $(cat "$dir/stderr")"
ok "$P" bench --cases two-way-large --memory 256M --tmpdir "$dir"
holds "SKIP"
holds "--memory allows 256"
if command -v python3 >/dev/null; then
    ok "$P" bench --rows 20000 --cases resid --format json
    python3 -c 'import json, sys; rows = json.load(sys.stdin)["rows"]; assert rows[0]["case"] == "triad", rows[0]' <"$dir/stdout" ||
        fault "JSON: $(cat "$dir/stdout")"
fi

expect 2 "did you mean two-way;" "$P" bench --cases twoway
expect 2 "--rows 10: want 1000 or more" "$P" bench --rows 10
expect 2 "give --force" "$P" bench --cases limits -o "$dir/record.tsv"
expect 1 "nowhere" "$P" bench --cases limits --tmpdir "$dir/nowhere"
expect 2 "usage: panelfx bench" "$P" bench panel.h5
finish
