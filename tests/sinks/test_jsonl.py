from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lvs_runtime.errors import SinkError
from lvs_runtime.sinks import SessionInfo, open_sink

ROOT = Path(__file__).parents[2]
DEMANDED = [
    "frame_index",
    "capture_ns",
    "age_ms",
    "av_skew_ms",
    "audible",
    "confidence",
    "peak_px",
    "boxes_px",
    "provider",
]

WRITER = """
import sys, numpy as np
from lvs_runtime.results import Result, VideoFrame
from lvs_runtime.sinks import SessionInfo, open_sink
sink = open_sink(sys.argv[1]); sink.open(SessionInfo())
image = np.zeros((8, 8, 3), np.uint8)
for index in range(int(sys.argv[2])):
    result = Result(similarity_map=np.full((14, 14), 0.5, np.float32), image_size_px=(8, 8), audible=True,
                    level_dbfs=-9.0, confidence=0.5, peak_px=(1, 1), boxes_px=(), provider="p", precision="fp32",
                    frame_index=index)
    sink.write(VideoFrame(image, 0, 0, index), result, None)
    if index == 20: print("going", file=sys.stderr, flush=True)
sink.close()
"""


def run_writer(spec: str, count: int, **streams) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", WRITER, spec, str(count)], env=environment, text=True, **streams)


def test_each_line_holds_what_is_promised(tmp_path, make_frame, make_result) -> None:
    (tmp_path / "r.jsonl").write_text("what stood there before\n" * 100)
    sink = open_sink(f"jsonl:{tmp_path}/r.jsonl")
    sink.open(SessionInfo())
    results = [make_result(0), make_result(1, audible=False, confidence=np.float32(0.0), boxes_px=())]
    for result in results:
        sink.write(make_frame(), result, None)
    sink.close()
    sink.close()
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    assert set(DEMANDED) <= set(lines[0])
    assert lines[0] == results[0].as_dict()
    assert (lines[0]["age_ms"], lines[0]["av_skew_ms"], lines[1]["confidence"]) == (18.0, -5.0, 0.0)


def test_nan_is_null_and_the_line_still_json(tmp_path, make_frame, make_result) -> None:
    sink = open_sink(f"jsonl:{tmp_path}/r.jsonl")
    sink.open(SessionInfo())
    sink.write(make_frame(), make_result(level_dbfs=float("nan")), None)
    sink.close()
    assert json.loads((tmp_path / "r.jsonl").read_text())["level_dbfs"] is None


def test_standard_output_holds_lines_alone() -> None:
    done = run_writer("jsonl:-", 30, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = done.communicate(timeout=60)
    assert done.returncode == 0, err
    assert [json.loads(line)["frame_index"] for line in out.splitlines()] == list(range(30))


def test_sigkill_leaves_whole_lines(tmp_path) -> None:
    path = tmp_path / "r.jsonl"
    process = run_writer(f"jsonl:{path}", 10_000_000, stderr=subprocess.PIPE)
    assert process.stderr is not None
    process.stderr.readline()  # it is in the middle of writing
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    process.stderr.close()
    text = path.read_text()
    assert text.endswith("\n")
    numbers = [json.loads(line)["frame_index"] for line in text.splitlines()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 20


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a Linux device")
def test_a_full_device_is_named(make_frame, make_result) -> None:
    sink = open_sink("jsonl:/dev/full")
    sink.open(SessionInfo())
    with pytest.raises(SinkError, match=r"the disk is full. 0 whole lines are written. Free some space"):
        sink.write(make_frame(), make_result(), None)
    sink.close()


def test_a_full_disk_leaves_whole_lines(small_disk, make_frame, make_result) -> None:
    path = small_disk / "r.jsonl"
    sink = open_sink(f"jsonl:{path}")
    sink.open(SessionInfo())
    with pytest.raises(SinkError, match="the disk is full"):
        for index in range(100_000):
            sink.write(make_frame(), make_result(index), None)
    sink.close()
    text = path.read_text()
    assert text.endswith("\n")
    assert [json.loads(line)["frame_index"] for line in text.splitlines()] == list(range(sink.lines))
    assert sink.lines > 50


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_a_reader_that_went_away_is_named(tmp_path, make_frame, make_result) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    sink = open_sink(f"jsonl:{tmp_path}/pipe")
    sink.open(SessionInfo())
    sink.write(make_frame(), make_result(0), None)
    os.close(reader)
    with pytest.raises(SinkError, match="its reader has gone away"):
        sink.write(make_frame(), make_result(1), None)
    sink.close()


def test_bad_paths_are_told_before_the_session(tmp_path) -> None:
    for spec, says in ((f"jsonl:{tmp_path}", "is a folder"), (f"jsonl:{tmp_path}/no/r.jsonl", "mkdir -p")):
        with pytest.raises(SinkError, match=says):
            open_sink(spec).open(SessionInfo())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere; run as a user")
def test_a_folder_without_permission(tmp_path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(SinkError, match="no permission"):
            open_sink(f"jsonl:{tmp_path}/r.jsonl").open(SessionInfo())
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc is Linux's: a folder where not even root can write")
@pytest.mark.parametrize("spec", ["jsonl:/proc/r.jsonl", "/proc/r.mp4", "images:/proc/shots"])
def test_a_folder_where_nobody_can_write(spec: str) -> None:
    with pytest.raises(SinkError, match=r"cannot (create|make)|no permission"):
        open_sink(spec).open(SessionInfo())
