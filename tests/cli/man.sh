# Every option of a command's table is in its man page, and every option of the page is in the table.
. tests/cli_lib.sh

# Options that a page has as items: .It Fl -name, .It Fl o , Fl -name, .It Fl Fl name.
page_options() {
    sed -n 's/^\.It \(Fl .*\)/\1/p' "$1" | grep -oE 'Fl (-|Fl )[a-z0-9-]+' | sed -E 's/^Fl (-|Fl )/--/' | sort -u
}

"$P" help --options version | sort -u >"$dir/common"
page_options src/man/panelfx.1 | diff "$dir/common" - >"$dir/diff" || fault "panelfx.1: common options: $(cat "$dir/diff")"

for c in $("$P" help | awk '/^Commands:/ {on = 1; next} on && /^  / {print $1} on && /^$/ {exit}'); do
    case $c in help | version | completion)
        grep -q "^\.It Cm $c" src/man/panelfx.1 || fault "panelfx.1 does not tell of $c"
        continue
        ;;
    esac
    page=src/man/panelfx-$c.1
    if [ ! -f "$page" ]; then
        fault "no $page"
        continue
    fi
    grep -q "panelfx-$c 1" src/man/panelfx.1 || fault "panelfx.1 does not name panelfx-$c"
    "$P" help --options "$c" | sort -u >"$dir/all"
    comm -23 "$dir/all" "$dir/common" >"$dir/own"
    page_options "$page" >"$dir/page"
    for o in $(comm -23 "$dir/own" "$dir/page"); do fault "$page lacks $o"; done
    for o in $(comm -13 "$dir/all" "$dir/page"); do fault "$page has $o, the command has not"; done
    if command -v groff >/dev/null; then
        groff -mdoc -Tutf8 -ww "$page" >/dev/null 2>"$dir/stderr"
        [ -s "$dir/stderr" ] && fault "$page: $(head -n 3 "$dir/stderr")"
    fi
done
finish
