"""The web example in headless Chromium on the shipped bundle: its map equals the Python runtime's."""

from __future__ import annotations

import base64
import importlib.util
import os
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from lvs_runtime.bundle import default_path
from lvs_runtime.drawn import training_pair
from lvs_runtime.localizer import Localizer

EXAMPLE = Path(__file__).parents[2] / "examples" / "web"
VERSION = "1.30.0"
TOLERANCE = 2e-3
sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def ort_dist(tmp_path_factory):
    """dist/ of onnxruntime-web: ORT_WEB_DIST, or the package from the npm registry."""
    if given := os.environ.get("ORT_WEB_DIST"):
        return Path(given)
    if shutil.which("npm") is None:
        pytest.skip("no npm: apt-get install npm, or set ORT_WEB_DIST to dist/ of onnxruntime-web")
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "pack", "--silent", f"onnxruntime-web@{VERSION}"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=200)
    if done.returncode != 0:
        pytest.skip(f"npm cannot fetch onnxruntime-web {VERSION}: set ORT_WEB_DIST; {done.stderr[-200:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "dist"


@pytest.fixture(scope="module")
def address(ort_dist):
    spec = importlib.util.spec_from_file_location("serve", EXAMPLE / "serve.py")
    serve = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve)
    with serve.server(ort_dist, default_path()) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{running.server_address[1]}/"
        running.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def page(address):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium: run scripts/install-system-packages.sh")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.goto(address)
        opened.wait_for_function(
            "document.getElementById('said').textContent.match(/ready|rror|ailed/)", timeout=200_000
        )
        yield opened
        browser.close()


def test_the_map_equals_python_s(page):
    assert "lvs-default-int8: ready" in page.text_content("#said")
    assert page.evaluate("crossOriginIsolated"), "without it there is one thread only"
    pair = training_pair(np.random.default_rng(11))
    pixels, samples = (base64.b64encode(a.tobytes()).decode() for a in (pair.image_rgb, pair.waveform))
    found = page.evaluate(
        """async ([pixels, samples]) => {
            const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            return Array.from(await localize(bytes(pixels), new Float32Array(bytes(samples).buffer)));
        }""",
        [pixels, samples],
    )
    frame = np.ascontiguousarray(pair.image_rgb[..., ::-1])
    want = Localizer.from_bundle(threads=2).localize(frame, pair.waveform, 16_000).similarity_map
    found = np.array(found, np.float32).reshape(14, 14)
    np.testing.assert_allclose(found, want, atol=TOLERANCE, rtol=0)
    assert found.argmax() == want.argmax()


def test_files_chosen_on_the_page(page, tmp_path):
    cv2, soundfile = pytest.importorskip("cv2"), pytest.importorskip("soundfile")
    pair = training_pair(np.random.default_rng(12), size_px=320)
    cv2.imwrite(str(tmp_path / "picture.png"), np.ascontiguousarray(pair.image_rgb[..., ::-1]))
    soundfile.write(tmp_path / "sound.wav", pair.waveform, 16_000)
    page.set_input_files("#picture", tmp_path / "picture.png")
    page.set_input_files("#sound", tmp_path / "sound.wav")
    page.wait_for_function("document.getElementById('said').textContent.startsWith('similarity')", timeout=100_000)
    assert page.evaluate("[view.width, view.height]") == [320, 320]


def test_nothing_outside_the_three_folders_is_served(page, address):
    codes = page.evaluate(
        "(paths) => Promise.all(paths.map(async (path) => (await fetch(path)).status))",
        ["bundle/manifest.json", "bundle/%2e%2e%2fspec.py", "ort/..%5cx", "%2e%2e/cpp/localize.cpp", "nothing"],
    )
    assert codes == [200, 404, 404, 404, 404]
