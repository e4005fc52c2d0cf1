# 2SLS as a user meets it: formulas, formats, streams, sets of Anderson and Rubin, and what is refused.
. tests/cli_lib.sh
ok "$P" import tests/data/griliches76.csv -o "$dir/wages.h5"
wages=$dir/wages.h5
out=$dir/out/table.txt
fit() { want=$1 text=$2; shift 2; expect "$want" "$text" "$P" fit "$wages" "$@" -o "$out"; }
json() { ok "$P" fit "$wages" "$@" --format json --quiet; }

# The table: first stages before their model, each with its statistics.
ok "$P" fit "$wages" 'lw ~ expr + tenure | year | iq + s ~ med + kww + age + mrt' --vcov hetero
holds "(1) first"
holds "Sanderson-Windmeijer F"
holds "Kleibergen-Paap rk LM (p)"
holds "Sargan-Hansen J (p)"
holds "endogenous: iq, s; 4 excluded instruments"
holds "16.87 (10 % size)"
ok "$P" fit "$wages" 'lw ~ expr | iq ~ age' 'lw ~ expr + iq'
holds "Anderson-Rubin 95 % confidence set of iq: ["
holds "(2)"
for f in json csv latex markdown html; do
    ok "$P" fit "$wages" 'lw ~ expr | iq ~ age + kww' --format $f
    [ -s "$dir/stdout" ] || fault "--format $f printed nothing"
done
# Published: ivreg2's rank tests of Hayashi's wage equation, with dummies for the years and with absorbed years.
for m in 'lw ~ expr + tenure + rns + smsa | year | s + iq ~ med + kww + age + mrt' \
    'lw ~ expr + tenure + rns + smsa + i(year) | s + iq ~ med + kww + age + mrt'; do
    json "$m" --vcov hetero
    holds '"kp_rk_wald_f": 11.4614278866'
    holds '"statistic": 40.926982199'
    json "$m" --cluster age --ssc stata
    holds '"kp_rk_wald_f": 13.162051328'
done

# Sets: bounded, unbounded, empty, none.
shape() { want=$1; shift; json "$@"; holds "\"set_shape\": \"$want\""; }
shape bounded 'lw ~ expr | iq ~ kww' --vcov hetero
shape unbounded 'lw ~ expr | iq ~ mrt80' --vcov hetero
shape empty 'lw ~ expr | iq ~ kww + age + med + mrt' --vcov hetero
shape none 'lw ~ expr | iq + s ~ kww + age + med' --vcov hetero
ok "$P" fit "$wages" 'lw ~ expr | iq ~ kww + age + med + mrt' --vcov hetero
holds "empty: no value is accepted"
ok "$P" fit "$wages" 'lw ~ expr | iq ~ mrt80' --vcov hetero
holds "unbounded: the instruments are weak"

# Residuals of the structural equation; several outcomes; a test of a coefficient; subsamples.
ok "$P" fit "$wages" 'lw ~ expr | iq ~ age' --save resid -o "$dir/resid.csv"
[ "$(wc -l <"$dir/resid.csv")" = 759 ] || fault "want 758 residuals"
ok "$P" fit "$wages" 'c(lw, lw80) ~ expr | year | iq ~ age + kww' --test 'iq = 0'
holds "Wald test of iq = 0: F(1, "
ok "$P" fit "$wages" 'lw ~ expr | iq ~ age' --by rns

# Instruments that do not do: usage, or not identified.
fit 2 "1 instrument for 2 endogenous variables" 'lw ~ expr | iq + s ~ age'
fit 2 "column" 'lw ~ expr | iq ~'
fit 2 "column" 'lw ~ expr | iq ~ age | year'
fit 2 "no column 'agee'" 'lw ~ expr | iq ~ agee'
fit 4 "left out: expr (collinear with the terms before it)" 'lw ~ expr | iq ~ expr'
fit 4 "left out: age (absorbed by the effects)" 'lw ~ expr | age | iq ~ age'
fit 4 "no endogenous variable is left: iq (absorbed by the effects)" 'lw ~ expr | iq | iq ~ age'
fit 4 "2 endogenous variables and 1 instrument; left out: I(2 * age)" 'lw ~ expr | iq + s ~ age + I(2 * age)'
awk 'BEGIN { print "y,d,z"; for (i = 0; i < 40; i++) print i % 7 "," i % 2 "," int(i / 2) % 2 }' >"$dir/zero.csv"
ok "$P" import "$dir/zero.csv" -o "$dir/zero.h5"
expect 4 "not identified: the instruments explain nothing of d" "$P" fit "$dir/zero.h5" 'y ~ 1 | d ~ z' -o "$out"
ok "$P" fit "$wages" 'lw ~ expr | iq ~ age + I(2 * age)'
holds "collinear, left out: I(2 * age)" "$dir/stderr"
ok "$P" fit "$wages" 'lw ~ expr | iq ~ iq'
holds "2SLS is least squares" "$dir/stderr"

# A stream has the bits of the fit in memory.
ok "$P" simulate -o "$dir/panel.h5" --firms 60000 --years 2010:2017 --seed 2 --quiet
m='EXPY ~ ROA + lnEmployee + Occupy | firm + year | Top1 ~ TobinQ + Cashflow + Mshare'
strip() { sed -E 's/"(read_s|compute_s|total_s|peak_memory_bytes|streamed|passes)": *[^,}]*//g' "$dir/stdout"; }
ok "$P" fit "$dir/panel.h5" "$m" --format json --quiet --threads 2
strip >"$dir/whole"
ok "$P" fit "$dir/panel.h5" "$m" --format json --threads 2 --memory 62M
holds '"streamed": true'
strip | diff - "$dir/whole" >"$dir/diff" || fault "streamed: $(head -n 4 "$dir/diff")"

# The bootstrap of 2SLS: both kinds of coefficients, and what is not one.
boot() { want=$1 text=$2; shift 2; expect "$want" "$text" "$P" boot "$wages" "$@" --method pairs --cluster age --reps 999; }
model='lw ~ expr | year | iq ~ med + kww'
ok "$P" boot "$wages" "$model" --method pairs --cluster age --reps 999 --coef iq,expr --quiet
for word in percentile basic normal bca "  t  "; do holds "$word"; done
holds "iq                      0.0278009"
holds "expr                     0.047083"
boot 2 "med is an instrument" "$model" --coef med
"$P" boot "$wages" 'lw ~ expr | iq ~ expr + kww' --coef iq --method pairs --cluster age 2>"$dir/stderr"
[ $? = 2 ] || fault "a name in two parts of the formula is taken"
holds "expr stands in two parts of the formula" "$dir/stderr"
boot 4 "left out: age (absorbed by the effects)" 'lw ~ expr | age | iq ~ age' --coef iq

# The wild bootstrap of 2SLS: enumerated for 15 clusters, and what it does not do.
wild() { want=$1 text=$2; shift 2; expect "$want" "$text" "$P" boot "$wages" "$@" --cluster age --reps 999; }
ok "$P" boot "$wages" "$model" --cluster age --coef iq --weights-type webb --reps 999 --quiet
holds "of both stages: WRE"
holds "iq                      0.0278009    0.0039019      7.12495"
ok "$P" boot "$wages" "$model" --cluster age --coef iq --reps 99999 --quiet --format json
holds '"enumerated": true'
wild 2 "one endogenous variable" "$model" --coef expr
# Two endogenous variables, tested one by one; --null at the estimate leaves t = 0, and no draw is less extreme.
for term in iq s; do
    ok "$P" boot "$wages" 'lw ~ expr | year | iq + s ~ med + kww + age' --cluster age --coef $term --reps 999 --ci none --quiet --format json
    b=$(sed -n 's/^ *"estimate": \([0-9.e-]*\),*$/\1/p' "$dir/stdout" | head -1)
    ok "$P" fit "$wages" 'lw ~ expr | year | iq + s ~ med + kww + age' --cluster age --format csv --quiet
    grep -o ",$term,[0-9.e-]*" "$dir/stdout" | awk -F, -v b="$b" '{d = $3 / b - 1; near = d < 1e-10 && d > -1e-10} END {exit !near}' ||
        fault "boot and fit differ in $term: $b"
    ok "$P" boot "$wages" 'lw ~ expr | year | iq + s ~ med + kww + age' --cluster age --coef $term --reps 999 --ci none --quiet --format json --null "$b"
    grep -q '"p_value": 1' "$dir/stdout" || fault "$term: $(grep p_value "$dir/stdout")"
done
for word in "--type 31" "--joint" "--bootcluster year"; do
    wild 2 "the wild bootstrap of 2SLS has none of that" "$model" --coef iq $word
done

# Its confidence set: null values outside are rejected, those inside are not; weak instruments leave it open.
ok "$P" boot "$wages" "$model" --cluster age --coef iq --weights-type webb --quiet --format json
# end TIMES KEY: an end of the set, moved.
end() { awk -v k="\"$2\":" -v by="$1" '$1 == k {printf "%.9g\n", $2 * by; exit}' "$dir/set.json"; }
cp "$dir/stdout" "$dir/set.json"
p_at() {
    ok "$P" boot "$wages" "$model" --cluster age --coef iq --weights-type webb --quiet --ci none --format json --null "$1"
    sed -n 's/.*"p_value": \([0-9.e-]*\).*/\1/p' "$dir/stdout" | head -1
}
for inside in "$(end 1.00001 conf_low)" "$(end 0.99999 conf_high)"; do
    p_at $inside | awk '$1 < 0.05 {exit 1}' || fault "$inside is rejected"
done
for outside in "$(end 0.99999 conf_low)" "$(end 1.00001 conf_high)"; do
    p_at $outside | awk '$1 >= 0.05 {exit 1}' || fault "$outside is not rejected"
done
ok "$P" boot "$wages" 'lw ~ expr | iq ~ mrt80' --cluster age --coef iq --weights-type webb --reps 499
holds "invert                     -inf          inf"
holds "the confidence set is unbounded" "$dir/stderr"

# Variances that leave clusters out, and HAC: what the table and the JSON say of them; the same bits at any number of threads.
ok "$P" import tests/data/grunfeld.csv -o "$dir/iv_vcov.h5" --unit firm --time year
for v in CRV3 CV3J CR2 'nw(1)' 'dk(1)'; do
    for n in 1 2 3; do
        ok "$P" fit "$dir/iv_vcov.h5" 'inv ~ capital | firm + year | value ~ l(value, 1)' --vcov "$v" --format json --threads $n
        sed '/_s"/d; /threads/d; /peak/d' "$dir/stdout" | cksum
    done | sort -u >"$dir/bits"
    [ "$(wc -l <"$dir/bits")" = 1 ] || fault "--vcov $v: threads change bits"
done
ok "$P" fit "$dir/iv_vcov.h5" 'inv ~ capital | firm + year | value ~ l(value, 1)' --vcov CRV3
holds "Standard errors: cluster jackknife by firm (CV3)."
holds "First stages and statistics of the instruments: clustered by firm (CRV1)."
holds "Critical values of the effective F (Montiel Olea and Pflueger 2013, simplified): 37.42 (5 % bias), 23.11 (10 %)"
finish
