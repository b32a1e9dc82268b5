"""The C++ example built and run on the shipped bundle: its map equals the Python runtime's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lvs_runtime.bundle import default_path
from lvs_runtime.drawn import training_pair
from lvs_runtime.localizer import Localizer

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "cpp"
TOLERANCE = 1e-5
soundfile = pytest.importorskip("soundfile")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The built example; headers from ORT_INCLUDE_DIR, the system, or Debian's package, unpacked beside."""
    for tool in ("cmake", "g++"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: scripts/install-system-packages.sh, or apt-get install cmake g++")
    folder = tmp_path_factory.mktemp("cpp")
    import onnxruntime

    library = next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    (folder / "libonnxruntime.so.1").symlink_to(library)
    (folder / "libonnxruntime.so").symlink_to("libonnxruntime.so.1")
    command = ["cmake", "-S", EXAMPLE, "-B", folder / "build", f"-DORT_LIBRARY={folder / 'libonnxruntime.so'}"]
    subprocess.run([*command, f"-DORT_INCLUDE_DIR={headers(folder)}"], check=True, capture_output=True)
    built = subprocess.run(["cmake", "--build", folder / "build"], check=False, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "warning" not in (built.stdout + built.stderr)
    return folder / "build" / "localize"


def headers(folder):
    given = [os.environ.get("ORT_INCLUDE_DIR", ""), "/usr/include/onnxruntime", "/usr/local/include/onnxruntime"]
    for place in filter(None, given):
        if (Path(place) / "onnxruntime_cxx_api.h").is_file():
            return Path(place)
    script = ROOT / "scripts" / "fetch-debian.sh"
    done = subprocess.run(
        [script, "trixie", "amd64", folder / "debian", "libonnxruntime-dev"],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        pytest.skip(
            f"no headers of ONNX Runtime: set ORT_INCLUDE_DIR (see examples/cpp/README.md); {done.stderr[-200:]}"
        )
    return folder / "debian" / "usr" / "include" / "onnxruntime"


def write_pair(folder, size_px):
    pair = training_pair(np.random.default_rng(11), size_px=size_px)
    header = f"P6\n{size_px} {size_px}\n255\n".encode()
    (folder / "picture.ppm").write_bytes(header + pair.image_rgb.tobytes())
    soundfile.write(folder / "sound.wav", pair.waveform, 16_000, subtype="FLOAT")
    return pair


def localize(program, folder, *arguments):
    return subprocess.run([program, *arguments], cwd=folder, check=False, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize(("size_px", "tolerance"), [(224, TOLERANCE), (448, 0.02)])
def test_the_map_equals_python_s(program, tmp_path, size_px, tolerance):
    pair = write_pair(tmp_path, size_px)
    done = localize(program, tmp_path, default_path(), "picture.ppm", "sound.wav", "heat.pgm", "map.txt")
    assert done.returncode == 0, done.stderr
    found = np.loadtxt(tmp_path / "map.txt", dtype=np.float32).reshape(14, 14)
    frame = np.ascontiguousarray(pair.image_rgb[..., ::-1])
    want = Localizer.from_bundle(threads=2).localize(frame, pair.waveform, 16_000)
    np.testing.assert_allclose(found, want.similarity_map, atol=tolerance, rtol=0)
    heat = (tmp_path / "heat.pgm").read_bytes()
    assert heat.startswith(f"P5\n{size_px} {size_px}\n255\n".encode())
    assert max(heat[-size_px * size_px :]) / 255 == pytest.approx(float(found.max()), abs=0.01)
    assert done.stdout.startswith("peak x=")


def test_bad_input(program, tmp_path):
    write_pair(tmp_path, 64)
    (tmp_path / "page.ppm").write_text("<html>")
    soundfile.write(tmp_path / "fast.wav", np.zeros(100), 44_100)
    for picture, sound, words in (
        ("page.ppm", "sound.wav", "want a binary PPM"),
        ("none.ppm", "sound.wav", "want a binary PPM"),
        ("picture.ppm", "page.ppm", "not a WAV file"),
        ("picture.ppm", "fast.wav", "want 16 kHz"),
    ):
        done = localize(program, tmp_path, default_path(), picture, sound, "heat.pgm")
        assert done.returncode == 2
        assert words in done.stderr
    done = localize(program, tmp_path, tmp_path, "picture.ppm", "sound.wav", "heat.pgm")
    assert done.returncode == 2
    assert "image.onnx" in done.stderr
