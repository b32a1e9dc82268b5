"""The built wheel: what is in it, how large it is, and that it works with nothing of the checkout around it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("lvs_train", "lvs_export", "lvs_runtime")
MAX_WHEEL_BYTES = 55_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    pytest.importorskip("hatchling", reason="uv pip install --group test")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(folder.glob("lvs-*.whl"))) as archive:
        yield archive


def package_files() -> list[str]:
    """Every file of the packages that is no by-product; the float weights stay in the repository."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    left_out = {"__pycache__", "weights"}
    return [path.relative_to(ROOT).as_posix() for path in paths if not left_out & set(path.parts)]


def test_every_file_of_the_packages_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if name.partition("/")[0] in PACKAGES}
    assert held == set(package_files())


def test_models_pages_and_recipes_are_there_and_are_no_pointers(wheel: zipfile.ZipFile) -> None:
    sizes = {info.filename: info.file_size for info in wheel.infolist()}
    stated = json.loads(wheel.read("lvs_runtime/bundle_default/manifest.json"))["files"]
    assert {name: sizes[f"lvs_runtime/bundle_default/{name}"] for name in stated} == {
        name: entry["bytes"] for name, entry in stated.items()
    }
    # a pointer of large-file storage would have 130 bytes
    assert min(sizes[f"lvs_runtime/bundle_default/{name}"] for name in ("image.onnx", "audio.onnx")) > 1_000_000
    for ending in (".html", ".js", ".css"):
        assert [name for name in sizes if name.startswith("lvs_runtime/view/web/") and name.endswith(ending)], ending
    assert [name for name in sizes if name.startswith("lvs_train/recipes/") and name.endswith(".toml")]
    assert "lvs-0.1.0.dist-info/licenses/LICENSE" in sizes


def test_wheel_is_small_enough_to_ship(wheel: zipfile.ZipFile) -> None:
    assert Path(wheel.filename or "").stat().st_size <= MAX_WHEEL_BYTES


def test_wheel_localizes_by_itself(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="pip install 'lvs[cpu]'")
    wheel.extractall(tmp_path)
    code = (
        "import numpy as np, lvs_runtime\n"
        "picture, sound = np.zeros((48, 64, 3), np.uint8), np.ones(16_000, np.float32) / 9\n"
        "result = lvs_runtime.Localizer.from_bundle().localize(picture, sound, 16_000)\n"
        "print(lvs_runtime.__file__, result.similarity_map.shape)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=1) == [str(tmp_path / "lvs_runtime" / "__init__.py"), "(14, 14)\n"]
