# A file system without locks: the message names the variable, and the variable helps.
P=${PANELFX:-./panelfx}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAIL: $*"; cat "$dir/err"; exit 1; }
cat >"$dir/nolock.c" <<'C'
#include <errno.h>
int flock(int fd, int op) { (void)fd, (void)op; errno = ENOLCK; return -1; }
C
${CC:-cc} -shared -fPIC -o "$dir/nolock.so" "$dir/nolock.c" 2>/dev/null || { echo "SKIP: no compiler for a shared library"; exit 77; }
"$P" simulate -o "$dir/s.h5" --vars EXPY --quiet 2>/dev/null || { : >"$dir/err"; fail "simulate"; }
unset HDF5_USE_FILE_LOCKING
LD_PRELOAD=$dir/nolock.so "$P" info "$dir/s.h5" >/dev/null 2>"$dir/err"
status=$?
[ $status != 0 ] || { echo "SKIP: this HDF5 does not lock"; exit 77; }
[ $status = 1 ] || fail "exit $status, want 1"
grep -q 'HDF5_USE_FILE_LOCKING=FALSE' "$dir/err" || fail "the variable is not named"
HDF5_USE_FILE_LOCKING=FALSE LD_PRELOAD=$dir/nolock.so "$P" info "$dir/s.h5" >/dev/null 2>"$dir/err" || fail "with the variable"
exit 0
