"""One minute of the soak: three faults from outside, nothing lost. All of it: benchmarks/live/soak.py --minutes 10."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDS_TIME = {"threads flat", "fds flat", "memory flat"}  # a minute is not enough to judge


@pytest.mark.slow
@pytest.mark.audio_device
@pytest.mark.timeout(400)
def test_a_minute_of_faults_loses_nothing(tmp_path):
    for module in ("cv2", "sounddevice", "av", "websockets"):
        pytest.importorskip(module)
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing: scripts/install-system-packages.sh")
    record = tmp_path / "soak.json"
    command = [sys.executable, ROOT / "benchmarks/live/soak.py", "--minutes", "1", "--json", record]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=390, check=False)
    assert record.exists(), done.stdout + done.stderr
    facts = json.loads(record.read_text())
    assert [fault["fault"] for fault in facts["faults"]] == ["camera_unplugged", "microphone_stalled", "web_flood"]
    assert [name for name, kept in facts["checks"].items() if not kept and name not in NEEDS_TIME] == []
