# summary as a user meets it: Table 2's layout, groups, quantiles, panel parts, formats, refusals.
. tests/cli_lib.sh

ok "$P" simulate -o "$dir/sim.h5"
panel=$dir/sim.h5

# N, minimum and maximum of every line of Table 2, to its digits; means to 5 %.
ok "$P" summary "$panel" --format csv
awk -F, 'NR == FNR {n[$2] = $3; min[$2] = $4; max[$2] = $5; mean[$2] = $6; next}
    FNR > 1 && $1 in n && $2 == "" {
        d = $7 - mean[$1]; if (d < 0) d = -d
        if ($3 != n[$1] || $5 + 0 != min[$1] + 0 || $6 + 0 != max[$1] + 0 || d > 0.05 * mean[$1]) print "bad", $0
        seen++
    }
    END {if (seen != 19) print "seen", seen}' tests/data/table2.csv "$dir/stdout" >"$dir/bad"
[ -s "$dir/bad" ] && fault "not Table 2: $(cat "$dir/bad")"

ok "$P" summary "$panel" EXPY IDC TS ownership
for text in Variable "18,599" 7.7290 13.1600 "15,201" "ownership (4 levels)" "12,446" "Missing: TS 3398." \
    "Synthetic panel: the data were simulated, not observed"; do holds "$text"; done
[ "$(wc -l <"$dir/stderr")" = 1 ] || fault "want the closing line alone: $(cat "$dir/stderr")"
ok "$P" summary "$panel" city --top 2
[ "$(grep -c '^  ' "$dir/stdout")" = 2 ] || fault "--top 2: $(cat "$dir/stdout")"

# Groups agree with --where; threads change nothing.
ok "$P" summary "$panel" EXPY ROA --by year --quantiles 0.1,0.9 --panel --format csv
cp "$dir/stdout" "$dir/by"
sed 1d "$dir/by" | sed 's/^[0-9]*,//' >"$dir/together"
for t in 2017 2018 2019 2020 2021 2022 2023; do
    "$P" summary "$panel" EXPY ROA --where "year == $t" --quantiles 0.1,0.9 --panel --format csv -q | sed 1d
done >"$dir/alone"
cmp -s "$dir/together" "$dir/alone" || fault "--by differs from --where: $(diff "$dir/together" "$dir/alone" | head -4)"
for n in 1 2 3 7; do
    ok "$P" summary "$panel" EXPY ROA --by year --quantiles 0.1,0.9 --panel --format csv --threads $n
    cmp -s "$dir/stdout" "$dir/by" || fault "--threads $n changes the summary"
done
ok "$P" summary "$panel" EXPY --by opendata
holds "2345 rows are in no group: opendata is missing."
ok "$P" summary "$panel" EXPY --panel
for text in overall between within "n = 3500" "T-bar = 5.3140"; do holds "$text"; done

# Every format, to standard output and by the ending of the file's name.
for pair in json:'"rows"' csv:'variable,level' tex:'\toprule' md:'| ---: |' html:'<!DOCTYPE html>' txt:'====='; do
    ok "$P" summary "$panel" EXPY ownership -o "$dir/table.${pair%%:*}"
    [ -s "$dir/stdout" ] && fault "-o FILE printed on standard output too"
    holds "${pair#*:}" "$dir/table.${pair%%:*}"
done
for f in json tex md html txt; do holds "Synthetic panel" "$dir/table.$f"; done

# A panel that is not synthetic does not say so; without units there are no parts.
if "$P" help import >"$dir/stdout" 2>&1; then
    small_panel
    ok "$P" summary "$dir/panel.h5"
    grep -q Synthetic "$dir/stdout" && fault "a panel from CSV is called synthetic"
    ok "$P" import "$dir/panel.csv" -o "$dir/rows.h5" --types none=float64
    ok "$P" summary "$dir/rows.h5" x
fi

expect 2 "EXPY" "$P" summary "$panel" EXPX
expect 2 "ownership" "$P" summary "$panel" EXPY --by ownershp
expect 2 "--where" "$P" summary "$panel" EXPY --where 'year >'
expect 3 "no rows are left by --where" "$P" summary "$panel" EXPY --where 'year > 3000'
expect 2 "--quantiles 2" "$P" summary "$panel" EXPY --quantiles 2
expect 2 "--quantiles x" "$P" summary "$panel" EXPY --quantiles x
expect 2 "--top -1" "$P" summary "$panel" --top -1
expect 2 "usage: panelfx summary" "$P" summary
expect 1 "nothing.h5" "$P" summary "$dir/nothing.h5"
echo "firm,year" >"$dir/plain.csv"
expect 3 "plain.csv" "$P" summary "$dir/plain.csv"
expect 2 "give --force" "$P" summary "$panel" -o "$dir/table.csv"
finish
