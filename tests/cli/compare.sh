# fit --by --compare through the program: against the same regression written with interactions, JSON, bad input.
. tests/cli_lib.sh
small_panel
panel=$dir/panel.h5

# Groups of firms: the joint regression is one that can be written as a formula.
ok "$P" fit "$panel" 'y ~ x + z | firm + year' --by prov --compare --quiet
note=$(sed -n 's/^Equal over prov (y): x: .*, \(F(1, 7) = [0-9.]*, p = [0-9.]*\); joint.*/\1/p' "$dir/stdout")
[ -n "$note" ] || fault "no note of x: $(cat "$dir/stdout")"
ok "$P" fit "$panel" 'y ~ i(prov, x) + i(prov, z) | firm + year^prov' --test '`prov::Anhui:x` = `prov::Bei, jing:x`' \
    --test '`prov::Anhui:x` = `prov::Bei, jing:x`, `prov::Anhui:z` = `prov::Bei, jing:z`' --quiet
holds "$note"
ok "$P" fit "$panel" 'y ~ x + z | firm + year' --by prov --compare --quiet
holds "x: difference Bei, jing - Anhui"
both=$(sed -n 's/^Equal over prov (y): all together: \(F(2, 7) = [0-9.]*, p = [0-9.]*\); .*/\1/p' "$dir/stdout")
ok "$P" fit "$panel" 'y ~ i(prov, x) + i(prov, z) | firm + year^prov' \
    --test '`prov::Anhui:x` = `prov::Bei, jing:x`, `prov::Anhui:z` = `prov::Bei, jing:z`' --quiet
[ -n "$both" ] || fault "no note of all together"
holds "$both"

# Clusters that span the groups, a model for each outcome, JSON.
ok "$P" fit "$panel" 'c(y, z) ~ x' --by prov --compare --cluster year --format json
for text in '"comparisons"' '"outcome": "z"' '"suest"' '"groups"' '"joint"' '"difference"'; do holds "$text"; done
[ "$(grep -c '"suest"' "$dir/stdout")" = 4 ] || fault "want two models with a term and the joint test each"
ok "$P" fit "$panel" 'y ~ x' --by prov --compare --vcov CRV3
holds "Equal over prov (y): x"
ok "$P" fit "$panel" 'y ~ x' --by prov --compare --vcov 'nw(1)'
holds "Equal over prov (y): x"
ok "$P" fit "$panel" 'y ~ x' --by prov --compare --format html -o "$dir/table.html"
holds "Equal over prov (y): x" "$dir/table.html"
# The same bits at any number of threads.
for n in 1 3; do
    ok "$P" fit "$panel" 'y ~ x + z | firm + year' --by prov --compare --format json --threads $n
    sed '/_s"/d; /threads/d; /peak/d' "$dir/stdout" >"$dir/threads$n"
done
cmp -s "$dir/threads1" "$dir/threads3" || fault "threads change the comparison"

# Where single coefficients have degrees of freedom, the test takes the least of them, as a fit's does.
ok "$P" fit "$panel" 'y ~ x | firm' --by prov --compare --vcov CR2 --format json
df2=$(awk '/"comparisons"/ {at = 1} at && /"df2"/ {print $2 + 0; exit}' "$dir/stdout")
clusters=$(awk '/"levels"/ {n = $2 + 0} END {print n}' "$dir/stdout")
awk -v d="$df2" 'BEGIN {exit !(d > 0 && d < 4)}' || fault "df2 $df2 of $clusters clusters after CR2"

# Permutations: the groups of firms change hands; years lie in both groups.
ok "$P" fit "$panel" 'y ~ x + z | firm + year' --by prov --compare --format json --permutations 199 --seed 7
for text in '"permutation"' '"permutations": 199' '"permuted": "firm"' '"seed": 7' '"draws": 199'; do holds "$text"; done
ok "$P" fit "$panel" 'y ~ x + z | firm + year' --by prov --compare
for p in 0.3030 0.7590; do holds "; permutation of firm p = $p (999 draws, seed 1; exact if clusters are exchangeable)"; done
# Every one of the 70 ways to give four of the eight firms to a province: each firm's and year's mean taken off by hand in
# either group, and a way and its mirror image are equally far from zero. The draws have that share, but for chance.
ok "$P" fit "$panel" 'y ~ x | firm + year' --by prov --compare --format json --permutations 100000
awk -F, '
    function slope(bit,    f, t, n, dx, xx, xy) {
        n = mean_x = mean_y = xx = xy = 0
        for (t = 2015; t <= 2020; t++) year_x[t] = year_y[t] = 0
        for (f = 1; f <= 8; f++) if (label[f] == bit) for (t = 2015; t <= 2020; t++) {
            n++; year_x[t] += x[f, t] / 4; year_y[t] += y[f, t] / 4
            mean_x += x[f, t] / 24; mean_y += y[f, t] / 24
        }
        for (f = 1; f <= 8; f++) if (label[f] == bit) for (t = 2015; t <= 2020; t++) {
            dx = x[f, t] - firm_x[f] - year_x[t] + mean_x
            xx += dx * dx; xy += dx * (y[f, t] - firm_y[f] - year_y[t] + mean_y)
        }
        return xy / xx
    }
    NR == FNR && FNR > 1 {f = $1 + 0; y[f, $2] = $3; x[f, $2] = $4; firm_y[f] += $3 / 6; firm_x[f] += $4 / 6}
    NR != FNR && $1 ~ /"difference"/ && !(seen++) {split($1, part, ": "); said = part[2]}
    NR != FNR && /"permutation"/ {at = 1}
    NR != FNR && at && /"p_value"/ && !got {split($1, part, ": "); p = part[2]; got = 1}
    END {
        for (f = 1; f <= 8; f++) label[f] = 1 - f % 2
        own = slope(1) - slope(0)
        for (mask = 0; mask < 256; mask++) {
            n = 0
            for (f = 1; f <= 8; f++) n += label[f] = int(mask / 2 ^ (f - 1)) % 2
            if (n != 4) continue
            all++
            d = slope(1) - slope(0)
            if (d * d >= own * own * (1 - 1e-9)) far++
        }
        share = far / all
        agree = all == 70 && far > 2 && far < 69 && (said - own) ^ 2 < 1e-18
        agree = agree && (p - share) ^ 2 < 16 * share * (1 - share) / 100000
        print agree ? "agree" : "difference " said " (by hand " own "), p = " p ": " far " of " all " ways are as far"
    }' "$dir/panel.csv" "$dir/stdout" >"$dir/by_hand"
[ "$(cat "$dir/by_hand")" = agree ] || fault "permutations: $(cat "$dir/by_hand")"
# Where d varies in few firms, most draws leave it without a coefficient in one of the groups: no p-value of the others.
awk 'BEGIN {print "id,t,g,d,y"; for (i = 1; i <= 30; i++) for (t = 1; t <= 6; t++)
    printf "%d,%d,%d,%d,%.4f\n", i, t, i % 3 == 0, (i >= 2 && i <= 3 && t >= 4), (i * t * 7919 % 101) / 50}' >"$dir/few.csv"
ok "$P" import "$dir/few.csv" -o "$dir/few.h5" --unit id --time t
ok "$P" fit "$dir/few.h5" 'y ~ d | id + t' --by g --compare
holds "no permutation test of d" "$dir/stderr"
grep -q "permutation of" "$dir/stdout" "$dir/stderr" && fault "a p-value of the draws that are identified"
awk 'BEGIN {print "id,t,g,d,y"; for (i = 1; i <= 30; i++) for (t = 1; t <= 6; t++)
    printf "%d,%d,%d,%d,%.4f\n", i, t, i % 2, (i <= 4 && t >= 4), (i * t * 7919 % 101) / 50}' >"$dir/some.csv"
ok "$P" import "$dir/some.csv" -o "$dir/some.h5" --unit id --time t
ok "$P" fit "$dir/some.h5" 'y ~ d | id + t' --by g --compare
holds "the permutation test is of the others" "$dir/stderr"
ok "$P" fit "$panel" 'y ~ x | firm + year' --by prov --compare --permutations 0
grep -q permutation "$dir/stdout" "$dir/stderr" && fault "permutations that nobody asked for"
ok "$P" fit "$panel" 'y ~ x | firm' --by prov --compare --cluster year
holds "no permutation test over prov: there are clusters that lie in several groups" "$dir/stderr"

# One group: nothing to compare.
ok "$P" fit "$panel" 'y ~ x' --by prov --compare --where 'prov == "Anhui"'
holds "one group alone" "$dir/stderr"

out=$dir/out/table.txt
expect 2 "--permutations belongs to --compare" "$P" fit "$panel" 'y ~ x' --permutations 9 -o "$out"
expect 2 "--compare needs --by" "$P" fit "$panel" 'y ~ x' --compare -o "$out"
expect 2 "is for least squares" "$P" fit "$panel" 'y ~ 1 | firm | x ~ z' --by prov --compare -o "$out"
expect 4 "nothing to compare" "$P" fit "$panel" 'y ~ i(prov, x)' --by prov --compare -o "$out" --quiet

finish
