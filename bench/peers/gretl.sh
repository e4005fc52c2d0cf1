# gretl.sh CSV FOLDER: fixed effects with time dummies, errors clustered by firm (--robust; Arellano's formula).
command -v gretlcli >/dev/null || { echo "SKIP gretl: gretlcli is not installed"; exit 0; }
cat >"$2/peers.inp" <<END
set verbose off
set stopwatch
open "$1" --quiet
setobs firm year --panel-vars
scalar read_s = \$stopwatch
panel y const x1 x2 x3 --fixed-effects --time-dummies --robust --quiet
scalar fit_s = \$stopwatch
printf "gretl\t%s\t%.3f\t%.3f\t%.10f\t%.10f\n", "$(gretlcli --version | sed -n 's/.*version \([0-9a-z]*\).*/\1/p' | head -n 1)", read_s, fit_s, \$coeff(x1), \$stderr(x1)
END
gretlcli -b -q "$2/peers.inp" 2>&1 | grep '^gretl	' || { gretlcli -b "$2/peers.inp" 2>&1 | tail -n 3; exit 1; }
