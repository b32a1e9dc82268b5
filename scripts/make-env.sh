#!/bin/sh
# One virtual environment holding this project, editable, with the versions of constraints.txt.
#   scripts/make-env.sh FOLDER EXTRAS [GROUP]      e.g. scripts/make-env.sh .venv-live cpu,live,video,web
# Needs python3 (>= 3.10) with venv; takes uv for speed and falls back to pip. PYTHON=python3.12 picks another.
set -eu
cd "$(dirname "$0")/.."

folder=$1 extras=$2 group=${3:-}
python=${PYTHON:-python3}

stop() {
    echo "make-env: $1" >&2
    exit 2
}

command -v "$python" >/dev/null || stop "$python not found: apt-get install python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    stop "$("$python" --version 2>&1) found, 3.10 or newer is needed: make PYTHON=python3.12 ..."

if [ ! -x "$folder/bin/python" ]; then
    # Without ensurepip Debian's python3 leaves half an environment behind: look before making one.
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "this Python cannot make a virtual environment: apt-get install python3-venv (or python3-full)"
    echo "make-env: new environment $folder"
    "$python" -m venv "$folder" || stop "$python -m venv $folder failed (see above): apt-get install python3-venv"
fi

# uv never fetches another interpreter, and copies where the cache lies on another file system.
UV_PYTHON_DOWNLOADS=never
UV_LINK_MODE=${UV_LINK_MODE:-copy}
export UV_PYTHON_DOWNLOADS UV_LINK_MODE
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    [ -x "$folder/bin/uv" ] || "$folder/bin/python" -m pip install --quiet uv || true
    [ -x "$folder/bin/uv" ] && "$folder/bin/uv" --version >/dev/null 2>&1 && uv=$folder/bin/uv
fi

set -- --quiet -c constraints.txt -e ".[$extras]"
[ -z "$group" ] || set -- "$@" --group "$group"
if [ -n "$uv" ]; then
    echo "make-env: installing [$extras] $group into $folder with uv"
    "$uv" pip install --python "$folder/bin/python" "$@" || stop "uv could not install [$extras] (see above)"
else
    echo "make-env: uv cannot be had; installing [$extras] $group into $folder with pip (slower)"
    # Dependency groups need pip 25.1.
    "$folder/bin/python" -m pip install --quiet --upgrade 'pip>=25.1' || stop "pip could not be renewed (see above)"
    "$folder/bin/python" -m pip install "$@" || stop "pip could not install [$extras] (see above)"
fi
