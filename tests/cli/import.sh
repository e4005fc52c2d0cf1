# panelfx import: what a user meets, good and bad.
. tests/cli_lib.sh

csv() { printf "$1" >"$dir/t.csv"; }
import() { "$P" import "$dir/t.csv" -o "$dir/out/p.h5" "$@"; }
refuse() { code=$1 text=$2; shift 2; expect "$code" "$text" import "$@"; }
# The values of a dataset, without blanks, on one line.
dump() { h5dump -y -d "$1" "$dir/p.h5" | sed -n '/DATA {/,/}/p' | sed '1d;/}/,$d' | tr -d '\n '; }

# A good file: string ids keep their zeros, rows are sorted, missing values are missing.
csv 'firm,year,x,name\n000002,2011,1.5,"a, b"\n000001,2010,2,x\n000001,2009,NA,\n'
ok "$P" import "$dir/t.csv" -o "$dir/p.h5" --unit firm --time year
holds 'rows were sorted' "$dir/stderr"
[ "$(dump /columns/year)" = 2009,2010,2011 ] || fault "years: $(dump /columns/year)"
[ "$(dump /columns/x | tr -d -)" = nan,2,1.5 ] || fault "x: $(dump /columns/x)"
[ "$(dump /categories/firm)" = '"000001","000002"' ] || fault "firms: $(dump /categories/firm)"
h5dump "$dir/p.h5" >"$dir/stdout"
holds "$(sha256sum "$dir/t.csv" | cut -c1-64)"
holds '--unit firm --time year'
ok "$P" info "$dir/p.h5" --check
[ "$("$P" import "$dir/t.csv" -o "$dir/p.h5" 2>&1 | grep -c force)" = 1 ] || fault "an existing file is not refused"
ok "$P" import "$dir/t.csv" -o "$dir/p.h5" --unit firm --time year --force

# The same file whatever the threads, the memory and the order of the rows.
awk 'BEGIN { print "firm,year,v"; for (i = 0; i < 60000; i++) printf "%05d,%d,%.6f\n", i / 10, 2000 + i % 10, (i * 7919 % 10007) / 17 }' >"$dir/a.csv"
{ head -n 1 "$dir/a.csv"; tail -n +2 "$dir/a.csv" | sort -t, -k3,3; } >"$dir/b.csv"
for run in 'a 1 1G' 'a 2 1G' 'a 3 64M' 'b 1 1G' 'b 2 1G' 'b 2 64M'; do
    set -- $run
    ok "$P" import "$dir/$1.csv" -o "$dir/q.h5" --unit firm --time year --threads "$2" --memory "$3" --force
    for c in firm year v; do h5dump -d "/columns/$c" "$dir/q.h5" | tail -n +2; done | cksum >"$dir/sum.$1$2$3"
    cmp -s "$dir/sum.a11G" "$dir/sum.$1$2$3" || fault "other rows with $run"
done

# A pipe, a GBK file, decimal semicolons, CR line ends.
mkfifo "$dir/fifo"; cat "$dir/a.csv" >"$dir/fifo" &
ok "$P" import "$dir/fifo" -o "$dir/q.h5" --unit firm --time year --force
csv 'a,b\n1,\326\320\n'
ok "$P" import "$dir/t.csv" -o "$dir/q.h5" --encoding GBK --force
csv 'a;b\r1;2\r3;4\r'
ok "$P" import "$dir/t.csv" -o "$dir/q.h5" --force
ok "$P" import "$dir/t.csv" -o "$dir/q.h5" --force --delimiter ';'

# 5,000 columns.
awk 'BEGIN { for (r = 0; r < 40; r++) for (c = 1; c <= 5000; c++) printf "%s%s", r ? r * c % 97 : "c" c, c < 5000 ? "," : "\n" }' >"$dir/wide.csv"
ok "$P" import "$dir/wide.csv" -o "$dir/q.h5" --force --columns c1,c5000
ok "$P" import "$dir/wide.csv" -o "$dir/q.h5" --force

# Bad input: one line that says what, where and what to do; the exit code; no file.
csv 'x\n1\n"1,234"\n';          refuse 3 't.csv: row 3, column x: "1,234" has a thousands separator'
csv 'x\n1\n2\n12abc\n';         refuse 3 't.csv: row 4, column x: "12abc" is no number'
csv 'x\n1\n2\n12abc\n';         ok import --missing 12abc --force
csv 'x\n1\n2\n12abc\n';         ok import --types x=category --force
csv 'x\n12abc\n5\n6\n';         ok import --force; holds 'its first value is no number' "$dir/stderr"
csv 'x;y\n1,5;2\n';             refuse 3 'row 2, column x: "1,5" has a decimal comma'
csv 'a,b\n1,2\n3\n';            refuse 3 'row 3 has 1 fields, but the header has 2'
csv 'a,b\n1,2\n3,4,5\n';        refuse 3 'row 3 has 3 fields'
csv 'a,b\n1,"2\n3,4\n';         refuse 3 'row 2, column b: a quote opens here and is never closed'
csv 'a,b\n1,x\0y\n';            refuse 3 'row 2, column b: a NUL byte'
csv 'a,b\n1,\326\320\n';        refuse 3 'row 2, column b: byte 0xd6 is not valid UTF-8; say which encoding the file has, for example --encoding GB18030'
csv 'a,b\n1,\377\377\n';        refuse 3 'row 2, column b: bytes that are not valid GBK' --encoding GBK
csv '';                         refuse 3 'the file is empty'
csv 'a,b\n';                    refuse 3 'no data rows'
csv 'a,a\n1,2\n';               refuse 3 'columns 1 and 2 are both called a'
csv 'f,t\n1,1\n2,1\n1,1\n';     refuse 3 'rows 2 and 4 have the same f 1, t 1' --unit f --time t
csv 'f,t\n01,1\n,1\n';          refuse 3 'row 3, column f: missing' --unit f --time t
csv 'f,t\n1,1.5\n';             refuse 3 'some are not whole' --unit f --time t
csv 'f,t\n1,1\n';               refuse 2 '--unit g' --unit g --time t
csv 'f,t\n1,1\n';               refuse 2 'without --unit' --time t
csv 'f,t\n1,1\n';               refuse 2 'unknown kind' --types f=word
csv 'f,t\n1,1\n';               refuse 2 'want NAME=KIND' --types f
csv 'f,t\n1,1\n';               refuse 2 '--encoding nonesuch' --encoding nonesuch
csv 'f,t\n1,1\n';               refuse 2 '--delimiter' --delimiter ';;'
csv 'PK\003\004';               refuse 3 'an Excel workbook'
csv '\037\213\010';             refuse 3 'gzip'
csv 'f,t\n1,1\n2,1\n1,1\n';     ok import --unit f --time t --drop-duplicates first --force
grep -q '1 row' "$dir/stderr" || fault "dropped duplicates are not counted"
expect 1 'cannot open' "$P" import "$dir/none.csv" -o "$dir/out/p.h5"
expect 1 'none.dta: cannot open' "$P" import "$dir/none.dta" -o "$dir/out/p.h5"
expect 1 'is a folder' "$P" import "$dir" -o "$dir/out/p.h5"
expect 2 'is the file that is read' "$P" import "$dir/a.csv" -o "$dir/a.csv" --force
expect 2 'no output named' "$P" import "$dir/a.csv"
expect 1 '/nowhere' "$P" import "$dir/a.csv" -o "$dir/nowhere/p.h5"
cp "$dir/a.csv" "$dir/x.dta"; expect 3 'cannot be read as a .dta file' "$P" import "$dir/x.dta" -o "$dir/out/p.h5"
cat "$dir/a.csv" >"$dir/fifo" &
expect 1 'cannot make a temporary file in /nonesuch' "$P" import "$dir/fifo" -o "$dir/out/p.h5" --tmpdir /nonesuch

# A full disk: an error, and no file.
for k in 1 2 3 4 5; do
    expect 1 '' env PANELFX_FAULT=write:$k "$P" import "$dir/a.csv" -o "$dir/out/p.h5" --unit firm --time year
done

# Interrupted: dies by the signal and leaves nothing.
awk 'BEGIN { print "firm,year,v"; for (i = 0; i < 2000000; i++) printf "%07d,%d,%.6f\n", i * 7919 % 2000000 / 10, 2000 + i % 10, i / 17 }' >"$dir/big.csv"
rm -rf "$dir/out"; mkdir "$dir/out"
"$P" import "$dir/big.csv" -o "$dir/out/p.h5" --unit firm --time year --memory 64M --tmpdir "$dir/out" 2>/dev/null &
pid=$!; sleep 0.7; kill -TERM $pid; wait $pid
[ $? -gt 128 ] || fault "not died by the signal"
[ -z "$(ls -A "$dir/out")" ] || fault "a signal left $(ls -A "$dir/out")"

finish
