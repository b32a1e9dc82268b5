"""The lean installation, `lvs[cpu,video,web]`: without OpenCV and PortAudio all but window and microphone works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ABSENT = ("cv2", "sounddevice", "_sounddevice", "soundfile", "soxr", "torch", "scipy", "PIL", "matplotlib", "openvino")
MAX_LEAN_BYTES = 260_000_000  # what pip installs beside this project


def lean(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run lvs-live where the packages that the lean set lacks cannot be imported."""
    absent = folder / "absent"
    absent.mkdir(exist_ok=True)
    for name in ABSENT:
        (absent / f"{name}.py").write_text(f"raise ModuleNotFoundError('absent here', name={name!r})\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(absent), str(ROOT)))}
    environment.pop("DISPLAY", None)
    command = [sys.executable, "-m", "lvs_runtime.cli.live", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_clip_to_recording_pictures_records_and_page(tmp_path: Path, helpers, toy_path: Path) -> None:
    av = pytest.importorskip("av")
    pytest.importorskip("uvicorn")
    helpers.write_media(tmp_path / "clip.mp4", 1.0)
    done = lean(
        tmp_path, "--camera", "clip.mp4", "--no-pace", "--bundle", toy_path,
        "--sink", "out.mp4", "--sink", "jsonl:r.jsonl", "--sink", "images:shots@0.5", "--sink", "web:0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Live page: http://127.0.0.1:" in done.stderr
    results = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert len(results) >= 20
    assert any(r["audible"] for r in results)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [s.type for s in container.streams] == ["video", "audio"]
        assert sum(1 for _ in container.decode(video=0)) == len(results)
    shots = sorted((tmp_path / "shots").glob("*.jpg"))
    assert shots
    with av.open(str(shots[0])) as picture:
        assert next(picture.decode(video=0)).width > 0


def test_what_the_lean_set_lacks_is_told_in_one_line(tmp_path: Path) -> None:
    for arguments, told in (
        (("--camera", "synthetic:1", "--mic", "default", "--headless"), "pip install sounddevice"),
        (("--camera", "7", "--mic", "none", "--headless"), "--camera 7: cannot be opened"),
    ):
        done = lean(tmp_path, *arguments)
        assert done.returncode == 2
        assert told in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_fresh_environment_stays_small_and_runs(tmp_path: Path) -> None:
    """Installs from the package index: 130 MB to download where nothing is cached."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    sizes = {}
    for name, extras in (("lean", "cpu,video,web"), ("full", "cpu,live,video,web")):
        python = tmp_path / name / "bin/python"
        venv.create(tmp_path / name, with_pip=uv is None)
        install = [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
        command = [*install, "--quiet", "-c", "constraints.txt", "-e", f".[{extras}]"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode and "lvs" not in done.stderr.lower():
            pytest.skip(f"packages cannot be had here: {done.stderr[-300:]}")
        assert done.returncode == 0, done.stderr
        files = (p for p in (tmp_path / name / "lib").rglob("*") if p.is_file() and p.suffix != ".pyc")
        sizes[name] = sum(p.stat().st_size for p in files if not {"pip", "setuptools"} & set(p.parts))
    package = sum(p.stat().st_size for p in (ROOT / "lvs_runtime").rglob("*") if p.is_file() and p.suffix != ".pyc")
    print({name: f"{size / 1e6:.1f} MB" for name, size in sizes.items()}, f"and {package / 1e6:.1f} MB of lvs_runtime")
    assert sizes["lean"] <= MAX_LEAN_BYTES
    found = subprocess.run(
        [str(tmp_path / "lean/bin/lvs-live"), "--camera", "synthetic:1", "--seconds", "1", "--sink", "out.mp4"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "out.mp4").stat().st_size > 10_000
