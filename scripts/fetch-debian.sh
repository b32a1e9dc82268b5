#!/bin/sh
# Debian packages of any release and architecture, unpacked into a folder, without root and without touching this system.
#   scripts/fetch-debian.sh SUITE ARCH FOLDER PACKAGE...      e.g. scripts/fetch-debian.sh trixie amd64 /tmp/x qemu-user
# The mirror is the one that this system's apt uses. Dependencies are not followed: name all that is needed.
set -eu

[ $# -ge 4 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
suite=$1 arch=$2 folder=$3
shift 3
stop() { echo "fetch-debian: $1" >&2; exit 2; }
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || stop "needs apt-get and dpkg-deb (Debian, Ubuntu)"

mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -m1 '/debian/\{0,1\}$' || true)
[ -n "$mirror" ] || stop "this system's apt names no Debian mirror: run apt-get update, or use a Debian container"

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
state=$folder/.apt
mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
echo "deb $mirror $suite main" >"$state/sources.list"
: >"$state/status"
apt() {
    apt-get -qq -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State="$state" \
        -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
        -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User= "$@"
}
apt update || stop "apt-get update for $suite/$arch failed (no network?)"
(cd "$state/cache" && apt download "$@") || stop "cannot download $* of $suite/$arch"
for file in "$state"/cache/*.deb; do
    dpkg-deb -x "$file" "$folder"
done
rm -rf "$state"
