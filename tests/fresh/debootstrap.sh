#!/bin/sh
# The README's two commands on a fresh machine: a minimal Debian with git, make and ca-certificates added and
# nothing else, made by debootstrap in a folder. Not part of `make check`: it needs root and the network, and
# takes minutes.
#   sudo tests/fresh/debootstrap.sh FOLDER [SUITE [MIRROR]]
# FOLDER must not exist yet; it is kept, to look into. HEAD of this repository is cloned into it. Prints the
# last lines, wall time and the largest process of `make demo` and of `make check`, and then runs the binary
# alone, outside the clone. Exit 0 if all of them passed.
set -eu
root=${1:?usage: debootstrap.sh FOLDER [SUITE [MIRROR]]}
suite=${2:-bookworm}
mirror=${3:-http://deb.debian.org/debian}
top=$(cd "$(dirname "$0")/../.." && pwd)

for tool in debootstrap git /usr/bin/time; do
    command -v "$tool" >/dev/null || { echo "this needs $tool (Debian: debootstrap git time)" >&2; exit 2; }
done
[ "$(id -u)" = 0 ] || { echo "debootstrap and chroot need root" >&2; exit 2; }
[ ! -e "$root" ] || { echo "$root exists; name a new folder" >&2; exit 2; }

mkdir -p "$root"
root=$(cd "$root" && pwd)
unmount() {
    for m in dev/pts dev sys proc; do
        ! mountpoint -q "$root/$m" || umount "$root/$m"
    done
}
trap unmount EXIT

debootstrap --variant=minbase --include=git,make,ca-certificates "$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
    { tail -n 5 "$root.log"; exit 1; }
cp /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
mount --bind /sys "$root/sys"
mount --bind /dev "$root/dev"
mount --bind /dev/pts "$root/dev/pts"
git clone -q "$top" "$root/root/panelfx"
for absent in gcc cc pkg-config; do
    ! chroot "$root" sh -c "command -v $absent" || { echo "$absent is there already: not a fresh machine"; exit 1; }
done

# run NAME COMMAND: in the clone, with nothing of this machine's environment.
failed=0
run() {
    log=$root/root/$1.log
    begin=$(date +%s)
    status=0
    /usr/bin/time -o "$root/root/$1.kib" -f %M \
        chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
        sh -c "cd /root/panelfx && $2" >"$log" 2>&1 || status=$?
    echo "== $2: exit $status, wall $(($(date +%s) - begin)) s, largest process $(tail -n 1 "$root/root/$1.kib") KiB"
    tail -n "$3" "$log" | sed 's/^/   /'
    [ "$status" = 0 ] || failed=1
}
run demo 'make demo' 40
run check 'make check' 12
run again 'make check' 3
run alone 'cp panelfx /tmp/ && cd /tmp && ./panelfx simulate -o alone.h5 && ./panelfx info alone.h5 --check' 12
exit $failed
