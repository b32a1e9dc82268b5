#!/bin/sh
# Does a bundle load and give the same numbers on 64-bit ARM? By emulation, on any x86-64 Debian or Ubuntu, without root.
#   scripts/aarch64-smoke.sh [BUNDLE] [FOLDER]      default: the shipped bundle; FOLDER (kept) holds 400 MB of packages
# Emulated: it proves loading, operators and numerics of int8 graphs (minutes), never speed. Float trunks take ten
# minutes each: leave them out. qemu 10 or newer is fetched from Debian 13; older ones crash in onnxruntime's import.
set -eu
cd "$(dirname "$0")/.."

bundle=$(cd "${1:-lvs_runtime/bundle_default}" && pwd)
work=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/lvs/aarch64}
python=${PYTHON:-.venv/bin/python}
mkdir -p "$work"
work=$(cd "$work" && pwd)
qemu=$work/qemu/usr/bin/qemu-aarch64 root=$work/root site=$work/site

[ -x "$qemu" ] || scripts/fetch-debian.sh trixie amd64 "$work/qemu" qemu-user
[ -x "$root/usr/bin/python3.11" ] || scripts/fetch-debian.sh bookworm arm64 "$root" libc6 libgcc-s1 libstdc++6 \
    python3.11-minimal libpython3.11-minimal libpython3.11-stdlib zlib1g libexpat1 libffi8 libbz2-1.0 liblzma5 libssl3 \
    libuuid1 libsqlite3-0
if [ ! -d "$site/onnxruntime" ]; then
    rm -rf "$work/wheels"
    "$python" -m pip download --quiet --no-deps --only-binary=:all: --dest "$work/wheels" --python-version 3.11 \
        --implementation cp --abi cp311 --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
        --platform manylinux2014_aarch64 --constraint constraints.txt numpy onnxruntime flatbuffers packaging protobuf \
        msgspec
    mkdir -p "$site"
    for wheel in "$work"/wheels/*.whl; do
        "$python" -m zipfile -e "$wheel" "$site"
    done
fi

cat >"$work/smoke.py" <<'PY'
import sys, time
import numpy as np
from lvs_runtime.localizer import Localizer
from lvs_runtime.spectrogram import log_spectrogram

rng = np.random.default_rng(0)
frame = np.repeat(np.repeat(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8), 16, 0), 16, 1)
sound = (0.1 * np.sin(np.arange(16_000) * 0.2) * (1 + rng.normal(0, 0.1, 16_000))).astype(np.float32)
start = time.monotonic()
found = Localizer.from_bundle(sys.argv[1], device="cpu", threads=1).localize(frame, sound, 16_000)
np.savez(sys.argv[2], similarity=found.similarity_map, spectrogram=log_spectrogram(sound), box=np.array(found.peak_px))
print(f"{sys.platform} {__import__('platform').machine()}: peak {found.peak_px}, {time.monotonic() - start:.0f} s")
PY
echo "aarch64-smoke: here"
PYTHONPATH=. "$python" "$work/smoke.py" "$bundle" "$work/here.npz"
echo "aarch64-smoke: emulated ($("$qemu" --version | head -n 1))"
"$qemu" -L "$root" -E PYTHONHOME="$root/usr" -E PYTHONPATH="$site:$PWD" -E ORT_DISABLE_TELEMETRY=1 \
    -E OPENBLAS_NUM_THREADS=1 -E LD_LIBRARY_PATH= "$root/usr/bin/python3.11" -B "$work/smoke.py" "$bundle" "$work/arm.npz"
"$python" - "$work/here.npz" "$work/arm.npz" <<'PY'
import sys
import numpy as np
here, arm = (np.load(path) for path in sys.argv[1:])
worst = {name: float(np.abs(here[name] - arm[name]).max()) for name in ("similarity", "spectrogram")}
correlation = float(np.corrcoef(here["similarity"].ravel(), arm["similarity"].ravel())[0, 1])
print(f"aarch64-smoke: worst difference {worst}, correlation of the maps {correlation:.5f}")
sys.exit(not (worst["spectrogram"] < 1e-5 and worst["similarity"] < 0.05 and correlation > 0.99))
PY
echo "aarch64-smoke: passed"
