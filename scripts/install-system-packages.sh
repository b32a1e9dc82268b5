#!/bin/sh
# System packages of the full developer stack (Debian, Ubuntu). Installs as root; otherwise prints the line to run.
#   scripts/install-system-packages.sh [--print]
# Tests whose package is missing skip and say so, hence nothing here ends a build.
set -eu

packages="
    python3-venv
    libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils
    gcc g++ cmake libc6-dev v4l-utils
    libgl1 libglib2.0-0
    chromium fonts-dejavu-core xvfb xauth
    mosquitto openssl
    python3-gst-1.0 gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good
    gstreamer1.0-plugins-ugly
"
# PortAudio and its ALSA bridge; sound without sound cards; the camera shim; OpenCV's window; the page in a browser; the
# window on a screen that is not there; an RTSP server (x264 for it comes from plugins-ugly).

# shellcheck disable=SC2086
set -- "${1:-}" $packages
mode=$1
shift

if [ "$mode" = --print ]; then
    echo "apt-get install -y --no-install-recommends $*"
    exit 0
fi
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "system packages: not Debian; what the tests use, by Debian's names: $*"
    exit 0
fi

missing=""
for package in "$@"; do
    # libglib2.0-0 is libglib2.0-0t64 since Debian 13 and Ubuntu 24.04.
    state=$(dpkg-query -W -f '${Status}\n' "$package" "${package}t64" 2>/dev/null || true)
    case $state in
        *"install ok installed"*) ;;
        *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "system packages: missing$missing; tests that need them will skip. To have them:"
    echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
echo "system packages: installing$missing"
apt-get -qq update || echo "system packages: apt-get update failed; trying with the lists that are there" >&2
# shellcheck disable=SC2086
if ! apt-get -qq install -y --no-install-recommends $missing >/dev/null; then
    # One package that a release lacks must not keep the others out.
    for package in $missing; do
        apt-get -qq install -y --no-install-recommends "$package" >/dev/null ||
            echo "system packages: $package could not be installed; tests that need it will skip" >&2
    done
fi
