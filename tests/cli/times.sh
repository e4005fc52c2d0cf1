# Times other than years are read and written as periods: in --where, in names of terms, in --by, in saved files.
. tests/cli_lib.sh
awk 'BEGIN {
    print "firm,month,y,x"
    for (f = 1; f <= 6; f++) for (t = 0; t < 5; t++)
        printf "%d,%d-%02d,%.3f,%.3f\n", f, 2019 + int((t + 10) / 12), (t + 10) % 12 + 1, (f * 3 + t * t) % 7, (f * 5 + t) % 4
}' >"$dir/m.csv"
ok "$P" import "$dir/m.csv" -o "$dir/m.h5" --unit firm --time month

ok "$P" fit "$dir/m.h5" 'y ~ i(month)'
holds 'month::2019m12 '
holds 'month::2020m3 '
ok "$P" fit "$dir/m.h5" 'y ~ i(month, ref="2019m12")'
holds 'month::2019m11 '
grep -q 2019m12 "$dir/stdout" && fault "the reference is a term"
ok "$P" fit "$dir/m.h5" 'y ~ x' --by month --format csv
holds ',month,2020m1,'
ok "$P" summary "$dir/m.h5" y --by month
holds '2020m2 '
ok "$P" fit "$dir/m.h5" 'y ~ x | month' --save resid,effects -o "$dir/r.csv"
holds ',1,2019m11,' "$dir/r.csv"
holds 'month,2020m3,5,' "$dir/r.effects.csv"

# rows WHERE: how many rows it keeps.
rows() {
    ok "$P" fit "$dir/m.h5" 'y ~ 1' --vcov iid --format csv --where "$1"
    sed -n '2s/.*,//p' "$dir/stdout"
}
for w in 'month >= "2020m1"' '"2020m1" <= month' 'month > "2019-12-31"' 'month in ("2020m1", "2020m2", "2020-03")'; do
    [ "$(rows "$w")" = 18 ] || fault "--where '$w' keeps $(rows "$w") rows, want 18"
done
[ "$(rows 'month != "2020m1"')" = 24 ] || fault "!= of a time"
expect 2 'compared with a time' "$P" fit "$dir/m.h5" 'y ~ x' --where 'month > "2020q1"' -o "$dir/out/t"
expect 2 'compared with a time' "$P" fit "$dir/m.h5" 'y ~ x' --where 'month == "spring"' -o "$dir/out/t"
finish
