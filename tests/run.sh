#!/bin/sh
# Run test programs (cmocka) and test scripts (*.sh): a line each, and a count at the end that CI reads.
#   tests/run.sh LOGDIR TEST...
# A script is one test: exit 0 passes, 77 skips (its last line says why). Of a program each case counts. The
# output of a failure is shown. Scripts find the program in $PANELFX and at ./panelfx.
set -u
logs=$1
shift
mkdir -p "$logs"
# A test that hangs fails, with exit 124.
limit="timeout ${TEST_TIMEOUT:-1800}"
passed=0 failed=0 skipped=0

show() { sed 's/^/    /' "$1" | tail -n 40; }

# Number in cmocka's summary line "[  WORD  ] n test(s)"; from 1.1.6 on a group's name stands before n.
cases() {
    awk -v word="$1" '$2 == word {for (i = 5; i <= NF; i++) if ($i ~ /^test\(s\)/) n = $(i - 1)} END {print n + 0}' "$2"
}

run_program() {
    $limit "$1" >"$log" 2>&1
    status=$?
    ok=$(cases PASSED "$log") bad=$(cases FAILED "$log") skip=$(cases SKIPPED "$log")
    [ "$status" = 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

run_script() {
    if [ -x "$1" ]; then $limit "$1" >"$log" 2>&1; else $limit sh "$1" >"$log" 2>&1; fi
    status=$? ok=0 bad=0 skip=0
    case $status in
    0) ok=1 ;;
    77) skip=1 ;;
    *) bad=1 ;;
    esac
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

for t in "$@"; do
    name=$(echo "$t" | sed 's|.*/\(tests/\)|\1|; s|^tests/||')
    log=$logs/$(echo "$name" | tr '/' '_').log
    begin=$(date +%s)
    case $t in
    *.sh) run_script "$t" ;;
    *) run_program "$t" ;;
    esac
    took=$(($(date +%s) - begin))
    if [ "$bad" -gt 0 ]; then
        printf 'FAIL %-40s exit %s, %s s\n' "$name" "$status" "$took"
        show "$log"
    elif [ "$ok" = 0 ] && [ "$skip" -gt 0 ]; then
        printf 'SKIP %-40s %s\n' "$name" "$(grep -E 'SKIP' "$log" | head -n 1)"
    else
        printf 'PASS %-40s %s passed, %s skipped, %s s\n' "$name" "$ok" "$skip" "$took"
        [ "$skip" = 0 ] || grep -E '^SKIP' "$log" | sort -u | sed 's/^/    /'
    fi
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
