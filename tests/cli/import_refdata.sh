# Every CSV of the reference data imports, and the panels among them with their unit and time.
. tests/cli_lib.sh
data=${PANELFX_REFDATA:-../shared/data}
[ -r "$data/petersen.csv" ] || { echo "SKIP import_refdata: no $data/petersen.csv"; exit 77; }
for f in "$data"/*.csv "$data"/*/*.csv; do ok "$P" import "$f" -o "$dir/p.h5" --force; done
while read -r name unit time rows; do
    ok "$P" import "$data/$name.csv" -o "$dir/p.h5" --unit "$unit" --time "$time" --force
    holds "$rows rows" "$dir/stderr"
done <<'SETS'
petersen firm year 5000
grunfeld firm year 200
usairlines firm year 90
cigar State Year 1380
base_did id period 1080
base_stagg id year 950
castle sid year 550
mpdta countyreal year 2500
chilean idvar timevar 2544
stata_simpanel firm time 3000
SETS
finish
