#!/bin/sh
# Builds a file system with Python and nothing of the grader's, makes it the root, and runs a command there.
#
#   sh enter.sh ROOT FOLDER SPACE READABLE... -- HIDDEN... -- COMMAND...
#
# Runs as the first process of new mount and process namespaces (see isolation.py). ROOT is an empty folder,
# FOLDER the grader's, which the command reads at /checker; SPACE are the bytes of each folder of memory.
set -eu
root=$1 folder=$2 space=$3
shift 3
memory() { mkdir -p "$1"; mount -t tmpfs -o "mode=1777,size=$space,nr_inodes=10000,nosuid,nodev" none "$1"; }
mount --make-rprivate /
mount -t tmpfs -o "mode=755,size=1m,nr_inodes=10000,nosuid" none "$root"
memory "$root/tmp"
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$(dirname "$root$1")"; : > "$root$1"; fi
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro,nosuid "$root$1"
    shift
done
shift
while [ "$1" != -- ]; do
    if [ -d "$root$1" ]; then mount -t tmpfs -o size=4k,mode=755,ro none "$root$1"
    else : > "$root/empty"; mount --bind "$root/empty" "$root$1"; mount -o remount,bind,ro,nosuid "$root$1"; fi
    shift
done
shift
mkdir -p "$root/checker" "$root/proc" "$root/dev" "$root/old"
mount --bind "$folder" "$root/checker"
mount -o remount,bind,ro,nosuid "$root/checker"
for device in null zero full random urandom; do
    : > "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
memory "$root/dev/shm"
memory "$root/scratch"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
cd "$root"
pivot_root . old
exec chroot . /bin/sh -c 'umount -l /old && rmdir /old && mount -o remount,bind,ro,nosuid / && cd /scratch || exit 1
"$@"
exit $?' sh "$@"
