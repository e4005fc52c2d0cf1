# match as a user meets it: lalonde's effect, the matched panel and a fit on it, levels, formats, refusals.
. tests/cli_lib.sh

ok "$P" import tests/data/lalonde.csv -o "$dir/lalonde.h5" --unit id
panel=$dir/lalonde.h5
score='treat ~ age + educ + black + hispan + married + nodegree + re74 + re75'

# 1:4 without replacement, against other software; the fit on the matched panel gives the same difference of means.
ok "$P" match "$panel" "$score" --outcome re78 -k 4 --without-replacement -o "$dir/m.h5" --format json
holds '"n_short": 185'
grep -A2 '"outcome": "re78"' "$dir/stdout" | grep -q '"estimate": -559.14558729' || fault "not -559.1455873: $(cat "$dir/stdout")"
holds '"std_diff": -0.30944526199798'
grep -q 'without replacement the controls do not suffice' "$dir/stderr" || fault "no warning: $(cat "$dir/stderr")"
ok "$P" fit "$dir/m.h5" 're78 ~ treat' --weights _weight --format csv
grep -q ',treat,-559.14558729' "$dir/stdout" || fault "the fit differs: $(cat "$dir/stdout")"
ok "$P" info "$dir/m.h5" --check
holds 'matched'

# Any number of threads: the same report (but for times) and the same rows.
for n in 1 2 3 7; do
    ok "$P" match "$panel" "$score" -k 2 --exact educ --caliper 0.5 --threads $n -o "$dir/t$n.h5" -q
    sed "s/t$n\.h5/t.h5/" "$dir/stdout" >"$dir/table$n"
    cmp -s "$dir/table1" "$dir/table$n" || fault "--threads $n: $(diff "$dir/table1" "$dir/table$n" | head -4)"
    "$P" summary "$dir/t$n.h5" --format csv -q >"$dir/sum$n"
    cmp -s "$dir/sum1" "$dir/sum$n" || fault "--threads $n: another panel"
done

# A synthetic panel says so; strata by year keep to the year.
ok "$P" simulate -o "$dir/sim.h5"
ok "$P" match "$dir/sim.h5" 'IDC ~ lnEmployee + ROA + Top1' -k 4 --exact year --common-support -o "$dir/sm.h5"
holds "Synthetic panel"
for group in 1 0; do # in each year controls weigh as much as treated rows
    ok "$P" summary "$dir/sm.h5" _weight --by year --format csv --where "_treated == $group"
    sed 1d "$dir/stdout" | awk -F, '{printf "%s %.6f\n", $1, $4 * $8}' >"$dir/group$group"
done
[ -s "$dir/group1" ] && cmp -s "$dir/group1" "$dir/group0" || fault "weights by year: $(diff "$dir/group1" "$dir/group0" | head -4)"
# A bootstrap or a placebo on it treats the match as fixed, and says so; on the panel itself there is nothing to say.
for command in "boot --coef IDC --reps 99" "placebo --treatment IDC --scheme within-period --stat t --reps 19"; do
    ok "$P" ${command%% *} "$dir/sm.h5" 'EXPY ~ IDC + ROA | year' ${command#* }
    [ "$(grep -c "Matched panel (IDC ~ lnEmployee + ROA + Top1.*treated as fixed.*Abadie and Imbens 2008" "$dir/stdout")" = 1 ] ||
        fault "$command: no note: $(head -4 "$dir/stdout")"
done
ok "$P" boot "$dir/sm.h5" 'EXPY ~ IDC + ROA | year' --coef IDC --reps 99 --format json
holds '"matched_as_fixed": "IDC ~ lnEmployee'
ok "$P" boot "$dir/sim.h5" 'EXPY ~ IDC + ROA | year' --coef IDC --reps 99
grep -q "Matched panel" "$dir/stdout" && fault "a panel that was not matched has the note"
for pair in json:'"balance"' csv:'Balance,' tex:'\toprule' md:'| ---: |' html:'<!DOCTYPE html>'; do
    ok "$P" match "$panel" "$score" -o "$dir/f.h5" --force --report "$dir/r.${pair%%:*}"
    holds "${pair#*:}" "$dir/r.${pair%%:*}"
done

expect 2 "no output named" "$P" match "$panel" "$score"
expect 2 "did you mean 'age'" "$P" match "$panel" 'treat ~ agee' -o "$dir/out/m.h5"
expect 2 "use --exact" "$P" match "$panel" 'treat ~ age | educ' -o "$dir/out/m.h5"
expect 2 "--neighbours 0" "$P" match "$panel" "$score" -k 0 -o "$dir/out/m.h5"
expect 2 "--caliper -1" "$P" match "$panel" "$score" --caliper -1 -o "$dir/out/m.h5"
expect 2 "no column 'nothing'" "$P" match "$panel" "$score" --exact nothing -o "$dir/out/m.h5"
expect 2 "no column 're'" "$P" match "$panel" "$score" --outcome re -o "$dir/out/m.h5"
expect 2 "give --force" "$P" match "$panel" "$score" -o "$dir/f.h5"
expect 3 "want 0 or 1" "$P" match "$panel" 'age ~ educ' -o "$dir/out/m.h5"
expect 3 "fewer than the 500 neighbours" "$P" match "$panel" "$score" -k 500 -o "$dir/out/m.h5"
expect 3 "nothing to compare" "$P" match "$panel" "$score" --where 'treat == 1' -o "$dir/out/m.h5"
expect 4 "perfect separation: the regressors, I(treat * 2 + age / 1000) above all" "$P" match "$panel" \
    'treat ~ educ + I(treat * 2 + age / 1000)' -o "$dir/out/m.h5"
expect 1 "--memory allows" "$P" match "$panel" "$score" -o "$dir/out/m.h5" --memory 20K
finish
