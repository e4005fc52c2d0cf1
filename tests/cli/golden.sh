# What fit prints, to the letter, in every format: tests/golden holds it. `make golden` writes it anew.
. tests/cli_lib.sh
ok "$P" import tests/data/grunfeld.csv -o "$dir/grunfeld.h5" --unit firm --time year

# Numbers of more than ten digits, rounded to ten: the last ones differ from one CPU to another.
rounded() {
    awk '{
        out = ""
        while (match($0, /[0-9]+\.[0-9]+(e[-+]?[0-9]+)?/)) {
            number = substr($0, RSTART, RLENGTH)
            out = out substr($0, 1, RSTART - 1) (RLENGTH > 11 ? sprintf("%.10g", number) : number)
            $0 = substr($0, RSTART + RLENGTH)
        }
        print out $0
    }' "$1"
}

# golden NAME ARGUMENTS...: compare standard output with tests/golden/NAME; numbers that a run measures are blanked.
golden() {
    name=$1
    shift
    (cd "$dir" && "$P" fit grunfeld.h5 "$@" --quiet --threads 2) >"$dir/raw" 2>"$dir/stderr" || fault "$name: $(cat "$dir/stderr")"
    rounded "$dir/raw" | sed -E 's/("(read_s|compute_s|total_s|peak_memory_bytes)": )[0-9.e-]+/\1_/; s/("panelfx": )"[^"]*"/\1"_"/' >"$dir/now"
    if [ -n "${UPDATE_GOLDEN:-}" ]; then
        cp "$dir/now" "tests/golden/$name"
    else
        diff "tests/golden/$name" "$dir/now" >"$dir/diff" || fault "$name differs from tests/golden: $(cat "$dir/diff")"
    fi
}

for f in text json csv latex markdown html; do
    golden "fit.$f" 'inv ~ value' 'inv ~ value + capital | firm + year' --test 'value = 0.1' --title 'Grunfeld & others' --digits 5 \
        --format $f
done
golden fit_by.text 'inv ~ csw(value, capital)' --by firm --where 'firm <= 3' --vcov HC1 --brackets se
for f in text json latex markdown html csv; do
    golden "fit_iv.$f" 'inv ~ capital | firm | value ~ l(value, 1:2)' 'inv ~ capital | firm' --format $f
done
golden fit_iv_two.text 'inv ~ 1 | value + capital ~ l(value, 1) + l(capital, 1:2)' --cluster firm+year --digits 3
golden fit_twoway.text 'c(inv, value) ~ capital | firm' --cluster firm+year --ssc reghdfe
finish
