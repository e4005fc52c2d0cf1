# help, version, completion, and what a wrong command line says.
. tests/cli_lib.sh

ok "$P" --version
holds "panelfx "
holds "HDF5 "
holds "GSL "
[ -s "$dir/stderr" ] && fault "--version says something on stderr"
ok "$P" version
ok "$P" --help
holds "Usage: panelfx COMMAND"
holds "fit"
cp "$dir/stdout" "$dir/list"
ok "$P"
cmp -s "$dir/stdout" "$dir/list" || fault "panelfx and panelfx --help differ"
ok "$P" help
cmp -s "$dir/stdout" "$dir/list" || fault "panelfx help and panelfx --help differ"

# Every command has a help page, the same one by two ways, with all its options.
commands=$(awk '/^Commands:/ {on = 1; next} on && /^  / {print $1} on && /^$/ {exit}' "$dir/list")
for c in $commands; do
    ok "$P" help "$c"
    cp "$dir/stdout" "$dir/page"
    holds "Usage: panelfx $c"
    ok "$P" "$c" --help
    cmp -s "$dir/stdout" "$dir/page" || fault "$c --help and help $c differ"
    [ -s "$dir/stderr" ] && fault "$c --help says something on stderr"
    ok "$P" help --options "$c"
    while read -r option; do holds "$option" "$dir/page"; done <"$dir/stdout"
    [ "$(awk 'length > 100' "$dir/page" | wc -l)" = 0 ] || fault "$c --help has lines over 100 columns"
done

expect 2 "did you mean fit?" "$P" fti
expect 2 "panelfx help lists them" "$P" frobnicate
expect 2 "unknown command nothing" "$P" help nothing
expect 2 "did you mean --cluster?" "$P" fit a.h5 'y ~ x' --clsuter firm
expect 2 "usage: panelfx fit PANEL.h5 FORMULA" "$P" fit
expect 2 "usage: panelfx fit PANEL.h5 FORMULA" "$P" fit a.h5
expect 2 "--threads 0" "$P" fit a.h5 'y ~ x' --threads 0
expect 2 "--threads needs a value" "$P" fit a.h5 'y ~ x' --threads
expect 2 "choose one of text, json, csv, latex, markdown, html" "$P" fit a.h5 'y ~ x' --format pdf
expect 2 "choose bash or zsh" "$P" completion fish

# Completion scripts are whole for the shells that are here.
for shell in bash zsh; do
    ok "$P" completion $shell
    cp "$dir/stdout" "$dir/completion.$shell"
    holds "--cluster" "$dir/completion.$shell"
    if command -v $shell >/dev/null; then $shell -n "$dir/completion.$shell" || fault "$shell cannot read its script"; fi
done
if command -v bash >/dev/null; then
    words() {
        bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _panelfx; echo ${COMPREPLY[@]}' - \
            "$dir/completion.bash" "$@"
    }
    [ "$(words panelfx fi)" = fit ] || fault "panelfx fi<tab>: $(words panelfx fi)"
    [ "$(words panelfx fit --clu)" = --cluster ] || fault "fit --clu<tab>: $(words panelfx fit --clu)"
    [ "$(words panelfx fit --ssc re)" = reghdfe ] || fault "fit --ssc re<tab>: $(words panelfx fit --ssc re)"
fi

# Standard output that takes nothing is an error.
if [ -w /dev/full ]; then
    "$P" help >/dev/full 2>"$dir/stderr"
    [ $? = 1 ] || fault "help > /dev/full: not exit 1"
    holds "standard output: cannot write" "$dir/stderr"
    "$P" fit --help >/dev/full 2>"$dir/stderr"
    [ $? = 1 ] || fault "fit --help > /dev/full: not exit 1"
fi
"$P" help >&- 2>"$dir/stderr"
[ $? = 1 ] || fault "help with standard output closed: not exit 1"

# With standard error closed, no note lands in a file that took its number.
small_panel
"$P" import "$dir/panel.csv" -o "$dir/closed.h5" --unit firm --time year --types none=numeric 2>&-
ok "$P" info --check "$dir/closed.h5"
finish
