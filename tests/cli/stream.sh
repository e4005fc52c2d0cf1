# A panel that does not fit --memory is streamed, with the digits of the fit in memory, or refused with the bytes.
. tests/cli_lib.sh
vars=EXPY,IDC,lnEmployee,lnFirmAge,ROA,Assetturn,Cashflow,TobinQ,industry
ok "$P" simulate -o "$dir/p.h5" --firms 120000 --vars $vars --quiet
x='EXPY ~ IDC + lnEmployee + lnFirmAge + ROA + Assetturn + Cashflow + TobinQ'

# models MEMORY FORMULA OPTIONS...: the models of the JSON, without times; says whether they were streamed.
models() {
    memory=$1
    shift
    ok "$P" fit "$dir/p.h5" "$@" --memory "$memory" --format json
    streamed=$(sed -n 's/.*"streamed": \([a-z]*\).*/\1/p' "$dir/stdout")
    sed -n '/"models"/,/"warnings"/p' "$dir/stdout" | grep -v -e compute_s -e '"warnings"' >"$dir/models" # a streamed fit does not look for staggered treatments
}

bound=64 # MiB
same() {
    models 4G "$@"
    [ "$streamed" = false ] || fault "streamed with 4G: $*"
    mv "$dir/models" "$dir/in_memory"
    models ${bound}M "$@"
    [ "$streamed" = true ] || fault "not streamed with ${bound}M: $*"
    cmp -s "$dir/in_memory" "$dir/models" || fault "not the same: $*: $(diff "$dir/in_memory" "$dir/models" | head -n 4)"
    peak=$(sed -n 's/.*"peak_memory_bytes": \([0-9]*\).*/\1/p' "$dir/stdout")
    [ -n "${ASAN_OPTIONS:-}${TSAN_OPTIONS:-}" ] || [ "$peak" -le $((bound * 1048576)) ] || # sanitizers keep what is freed
        fault "peak of $peak bytes, allowed $bound MiB: $*"
}

same "$x | firm + year"
holds "streamed from the panel" "$dir/stderr"
grep -q '"passes": 2' "$dir/stdout" || fault "more than two passes"
same "$x | firm" "$x" --cluster industry --threads 1
# With the levels of the rows in memory, learnt in a pass of their own.
bound=88
same "$x + i(year):ROA | firm + industry" --vcov HC1
same "$x | firm + year" --by industry
bound=72
same "$x | firm + industry^year"
same "$x | firm + year + industry" --cluster industry
# What is saved has the same bytes.
for m in 4G 120M; do
    ok "$P" fit "$dir/p.h5" "$x + i(year):ROA | firm + industry" --save resid,fitted,effects --memory $m \
        -o "$dir/$m.csv" --format json
    grep -q '"streamed": true' "$dir/stdout" && s=yes || s=no
    [ $m.$s = 4G.no ] || [ $m.$s = 120M.yes ] || fault "--save, $m: streamed: $s"
done
cmp -s "$dir/4G.csv" "$dir/120M.csv" || fault "saved rows differ"
cmp -s "$dir/4G.effects.csv" "$dir/120M.effects.csv" || fault "saved effects differ"
bound=64
same "$x | firm + industry" --vcov HC1 --where 'year != 2019' --weights lnEmployee

# --estimate says the memory that the fit then takes, to 30 %, and a time.
foretold() {
    ok "$P" fit "$dir/p.h5" "$@" --estimate
    said=$(sed -n 's/^memory \([0-9]*\)\.[0-9]* MiB, time [0-9.]* s.*/\1/p' "$dir/stdout")
    ok "$P" fit "$dir/p.h5" "$@" --format json
    peak=$(sed -n 's/.*"peak_memory_bytes": \([0-9]*\).*/\1/p' "$dir/stdout")
    took=$((peak / 1048576))
    [ -n "${ASAN_OPTIONS:-}${TSAN_OPTIONS:-}" ] || { [ $((10 * said)) -ge $((7 * took)) ] && [ $((10 * said)) -le $((13 * took)) ]; } ||
        fault "$said MiB foretold, $took MiB taken: $*"
}
foretold "$x | firm + year" --memory 64M
foretold "$x | firm + year" --memory 4G
foretold "$x | firm + year + industry" --cluster firm+year
foretold "$x | firm + industry^year" --memory 64M
foretold "EXPY ~ IDC + i(industry):ROA | firm + year" --memory 80M
foretold "$x | firm + year" --by industry --memory 88M
ok "$P" fit "$dir/p.h5" "$x | firm + year" --memory 64M --estimate
holds ", streamed"

# What has to lie in memory, and what is less than a stream needs.
expect 1 "it cannot be streamed" "$P" fit "$dir/p.h5" "$x | firm[IDC]" --memory 64M -o "$dir/out/t.txt"
expect 1 "--vcov nw and dk have to keep rows" "$P" fit "$dir/p.h5" "$x | firm + year" --memory 64M --vcov dk -o "$dir/out/t.txt"
expect 1 "CRV3, CV3J and CR2 have to keep rows" "$P" fit "$dir/p.h5" "$x | firm + year" --memory 64M --vcov CRV3 -o "$dir/out/t.txt"
expect 1 "it cannot be streamed" "$P" fit "$dir/p.h5" "$x | firm + year" --memory 64M --cluster firm+year -o "$dir/out/t.txt"
expect 1 "do not lie in its order" "$P" fit "$dir/p.h5" "$x | industry" --memory 68M --quiet -o "$dir/out/t.txt"
expect 1 "a streamed fit needs about" "$P" fit "$dir/p.h5" "$x | firm + year" --memory 24M -o "$dir/out/t.txt"
# A chunk that is not what its checksum says, in the middle of what is streamed: named, and no output.
if command -v python3 >/dev/null; then
    python3 - "$dir/p.h5" "$dir/bad.h5" <<'PY'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
b[len(b) // 2] ^= 0x10
open(sys.argv[2], "wb").write(b)
PY
    for n in 1 2; do
        expect 3 "cannot read rows" "$P" fit "$dir/bad.h5" "$x | firm + year" --cluster industry --memory 64M --threads $n \
            --quiet -o "$dir/out/t.txt"
    done
fi
# What only reading tells.
expect 1 "with all rows in memory about" "$P" fit "$dir/p.h5" "$x | lnEmployee + firm" --memory 64M --quiet -o "$dir/out/t.txt"
# A level of --by with few columns, then one with many: windows are as wide as each needs.
printf 'steps:\n- gen: {half: firm %%%% 2, k: (firm %%%% 2) * (firm %%%% 40) + year %%%% 2}\n' >"$dir/r.yaml"
ok "$P" transform "$dir/p.h5" --recipe "$dir/r.yaml" -o "$dir/q.h5"
mv "$dir/q.h5" "$dir/p.h5"
bound=96
same 'EXPY ~ ROA + i(k) | firm + year' --by half

finish
