# The variances of fit beyond clusters, through the program: names, notes, JSON, the warning of few switching clusters.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5

# The same numbers however a type is written.
se() { ok "$P" fit "$panel" 'y ~ x + z | firm' --format json "$@"; sed -n 's/.*"std_error": //p' "$dir/stdout"; }
[ "$(se --vcov CRV3)" = "$(se --vcov cv3)" ] || fault "CRV3 and cv3 differ"
[ "$(se --vcov 'nw(1)')" = "$(se --vcov NW)" ] || fault "nw and nw(1) differ: 6 periods have lag 1"
[ "$(se --vcov 'dk(1)')" = "$(se --vcov dk)" ] || fault "dk and dk(1) differ"
[ "$(se --vcov 'dk(1)')" != "$(se --vcov 'dk(2)')" ] || fault "the lag of dk does nothing"
[ "$(se --vcov CRV3)" != "$(se --vcov CR2)" ] || fault "CRV3 and CR2 are the same"
# Without lags: Driscoll-Kraay is clustered by time, whatever the factor.
digits() { awk '{printf "%.12g\n", $1}'; }
[ "$(se --vcov 'dk(0)' | digits)" = "$(se --cluster year | digits)" ] || fault "dk(0) is not clustered by year"

ok "$P" fit "$panel" 'y ~ x | firm' --vcov CRV3
holds "Standard errors: cluster jackknife by firm (CV3)."
ok "$P" fit "$panel" 'y ~ x | firm' --vcov CR2 --cluster prov
holds "clustered by prov (CR2), Satterthwaite degrees of freedom"
ok "$P" fit "$panel" 'y ~ x | firm' --vcov 'nw(2)'
holds "Newey-West within firm, lag 2, small-sample factor of fixest"
ok "$P" fit "$panel" 'y ~ x | firm' --vcov dk --format json
holds '"type": "dk"'
holds '"lag": 1'
holds '"periods": 6'
holds '"df_t": 5'
ok "$P" fit "$panel" 'y ~ x | firm' --vcov CR2 --format json
holds '"df": '
holds '"singular_clusters": 0'
ok "$P" fit "$panel" 'y ~ x | firm' --vcov CRV3 --by prov

# The same bits at any number of threads, also beside many columns.
ok "$P" import tests/data/grunfeld.csv -o "$dir/grunfeld.h5" --unit firm --time year
for v in CRV3 CR2 'nw(2)' 'dk(2)'; do
    for how in '--threads 1' '--threads 2' '--threads 3' '--threads 4'; do
        ok "$P" fit "$dir/grunfeld.h5" 'inv ~ value + capital | firm + year' --vcov "$v" --format json $how
        sed '/_s"/d; /threads/d; /peak/d' "$dir/stdout" | cksum
    done | sort -u >"$dir/bits"
    [ "$(wc -l <"$dir/bits")" = 1 ] || fault "--vcov $v: threads change bits"
done

# A panel without a unit, or without time.
ok "$P" import "$dir/panel.csv" -o "$dir/flat.h5" --types none=numeric
expect 2 "the panel has no time" "$P" fit "$dir/flat.h5" 'y ~ x' --vcov dk

# Three of eight firms switch; one of eight in the last column, which is known by that firm alone.
awk -F, 'NR == 1 {print $0 ",d,e,all"} NR > 1 {print $0 "," ($1 <= 3 && $2 >= 2018) "," ($1 == 4 && $2 >= 2018) "," \
    ($2 >= 2015 + $1 % 5)}' "$dir/panel.csv" >"$dir/switch.csv"
ok "$P" import "$dir/switch.csv" -o "$dir/switch.h5" --unit firm --time year --types none=numeric
ok "$P" fit "$dir/switch.h5" 'y ~ x + d | firm + year'
holds "d switches within only 3 of the 8 clusters (firm)" "$dir/stderr"
for help in placebo --bootcluster --unrestricted; do holds "$help" "$dir/stderr"; done
[ "$(grep -c "switches within" "$dir/stderr")" = 1 ] || fault "more than one warning: $(cat "$dir/stderr")"
ok "$P" fit "$dir/switch.h5" 'y ~ x + d + e | firm + year'
holds "d switches within only 3, e switches within only 1 of the 8" "$dir/stderr"
ok "$P" fit "$dir/switch.h5" 'y ~ x + d | firm + year' --vcov iid
grep -q "switches within" "$dir/stderr" && fault "a warning without clusters: $(cat "$dir/stderr")"
ok "$P" fit "$dir/switch.h5" 'y ~ x + d'
grep -q "switches within" "$dir/stderr" && fault "a warning without effects: $(cat "$dir/stderr")"
ok "$P" fit "$dir/switch.h5" 'y ~ x + e | firm + year' --vcov CRV3
holds "not identified without a cluster: e (1 of the 8 clusters, firm; the first is that of panel row 19)" "$dir/stderr"
holds "CRV3: 1 of 8 clusters alone identify some coefficient."
# e has one cluster fewer, and so has a test of it; x has all eight.
ok "$P" fit "$dir/switch.h5" 'y ~ x + e | firm + year' --vcov CRV3 --test 'x = 0' --test 'e = 0' --format json
[ "$(sed -n 's/.*"df": \([0-9]*\),*$/\1/p' "$dir/stdout" | tr '\n' ' ')" = "7 6 " ] || fault "df: $(grep '"df"' "$dir/stdout")"
[ "$(sed -n 's/.*"df2": \([0-9]*\),*$/\1/p' "$dir/stdout" | sort | tr '\n' ' ')" = "6 6 7 " ] || fault "df2: $(grep '"df2"' "$dir/stdout")"
ok "$P" fit "$dir/switch.h5" 'y ~ x + e | firm + year' --vcov CR2
holds "pseudo-inverse" "$dir/stderr"

# More switching clusters than are few: no warning.
awk 'BEGIN {print "id,t,y,d"; for (i = 1; i <= 12; i++) for (t = 1; t <= 5; t++)
    printf "%d,%d,%.4f,%d\n", i, t, (i * t * 7) % 11 / 3 + i, (t > 1 + i % 4)}' >"$dir/many.csv"
ok "$P" import "$dir/many.csv" -o "$dir/many.h5" --unit id --time t
ok "$P" fit "$dir/many.h5" 'y ~ d | id + t'
grep -q "switches within" "$dir/stderr" && fault "12 switch: $(cat "$dir/stderr")"

finish
