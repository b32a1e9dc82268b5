from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lvs_runtime.errors import SinkError
from lvs_runtime.sinks import SessionInfo, open_sink
from lvs_runtime.sinks.window import display_problem, gui_problem

ROOT = Path(__file__).parents[2]


def test_no_display_is_refused_before_opencv_could_abort(monkeypatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert "DISPLAY and WAYLAND_DISPLAY are not set" in (display_problem({}, "linux") or "")
    if os.name == "posix" and sys.platform == "linux":
        with pytest.raises(SinkError, match="Use --sink web instead"):
            open_sink("window").open(SessionInfo())


def test_a_display_that_does_not_answer_is_refused() -> None:
    assert display_problem({"DISPLAY": ":4711"}, "linux") == "the display DISPLAY=:4711 does not answer"
    assert "does not answer" in (display_problem({"DISPLAY": "nonsense"}, "linux") or "")
    assert display_problem({"WAYLAND_DISPLAY": "wayland-0"}, "linux") is None
    assert display_problem({}, "darwin") is None


def test_headless_opencv_is_recognised() -> None:
    assert "headless" in (gui_problem("  GUI:                           NONE\n  GTK+: NO") or "")
    assert gui_problem("  GUI:                           QT5\n    QT:  YES") is None


SHOW = """
import numpy as np
from lvs_runtime.results import Result, VideoFrame
from lvs_runtime.sinks import SessionInfo, SinkQueue, open_sink
queue = SinkQueue(open_sink("window")); queue.start(SessionInfo())
for index in range(5):
    result = Result(similarity_map=np.full((14, 14), 0.5, np.float32), image_size_px=(320, 240), audible=True,
                    level_dbfs=-9.0, confidence=0.9, peak_px=(1, 1), boxes_px=(), provider="p", precision="fp32")
    queue.put(VideoFrame(np.zeros((240, 320, 3), np.uint8), 0, 0, index), result, block=True)
print(queue.close(), queue.error, queue.written, queue.wants_stop)
"""


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="needs a virtual display: apt install xvfb xauth")
def test_a_window_on_a_virtual_display() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "QT_LOGGING_RULES": "*=false"}
    command = ["xvfb-run", "-a", sys.executable, "-c", SHOW]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "True None 5 False", done.stderr
