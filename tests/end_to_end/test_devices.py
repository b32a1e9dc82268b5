"""lvs-live on devices as the system shows them: V4L2 (a preloaded shim) and PulseAudio (a pipe source)."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from virtual_devices import APT, PATIENCE_S, ROOT, VirtualDevices, build_shim, wait_until

pytestmark = [pytest.mark.audio_device, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip(f"gcc is missing: {APT}")
    return build_shim(tmp_path_factory.mktemp("shim") / "fakev4l2.so")


@pytest.fixture
def bench(tmp_path, shim):
    for module in ("cv2", "sounddevice", "av"):
        pytest.importorskip(module)
    made = VirtualDevices(tmp_path, shim)
    try:
        made.start_pulse()
        yield made
    finally:
        for process in reversed(made.processes):
            made.end(process)


@pytest.fixture(scope="module")
def model(toy_path) -> list[str]:
    """The shipped model; where the source tree has none yet, the toy one."""
    from lvs_runtime.bundle import default_path

    return [] if default_path().is_dir() else ["--bundle", str(toy_path)]


def check_recording(path: Path) -> None:
    import av

    with av.open(str(path)) as container:
        assert [s.type for s in container.streams] == ["video", "audio"]
        pictures = sum(1 for _ in container.decode(video=0))
    with av.open(str(path)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert pictures >= 20
    assert samples >= 16_000


def silent_by_device(result: dict) -> bool:
    """The zeros are flagged, and (one window later) nothing counts as audible."""
    return "mic_digital_silence" in result["flags"] and not result["audible"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_camera_and_microphone_to_files_with_a_clean_stop(bench, model, number):
    folder = bench.folder
    bench.feed("--camera", bench.camera_fifo, "--mic", bench.mic_fifo)
    live = bench.live(
        "--camera", "0", "--mic", "default", "--headless", "--fps", "15",
        "--sink", f"jsonl:{folder}/results.jsonl", "--sink", folder / "out.mp4",
        "--stats-json", folder / "stats.json", "--stats", "1", *model,
    )  # fmt: skip
    wait_until(
        "30 results, some with sound",
        lambda: len(bench.results()) >= 30 and sum(r["audible"] for r in bench.results()) >= 5,
        live,
        bench.log,
    )
    assert bench.end(live, number) == 0, bench.log.read_text()

    results = bench.results()
    assert {r["stamp_source"] for r in results[20:]} <= {"driver", "arrival"}
    assert any(r["stamp_source"] == "driver" for r in results)
    assert all(a["capture_ns"] < b["capture_ns"] for a, b in itertools.pairwise(results))
    assert all(r["image_size_px"] == [320, 240] for r in results)
    heard = [r for r in results if "no_audio" not in r["flags"]]
    assert heard
    assert all(abs(r["av_skew_ms"]) <= 250 for r in heard)
    assert not any("mic_digital_silence" in r["flags"] for r in results)
    check_recording(folder / "out.mp4")

    stats = json.loads((folder / "stats.json").read_text())
    frames = stats["frames"]
    assert frames["processed"] == len(results)
    assert frames["offered"] == frames["processed"] + sum(frames["dropped"].values())
    said = bench.log.read_text()
    assert "320x240" in said
    assert "48000 Hz" in said
    for word in ("frames:", "age:", "sound:", "ran on:", "found:"):
        assert sum(line.startswith(word) for line in said.splitlines()) == 1, said
    assert "Traceback" not in said


def test_unplugged_camera_and_killed_sound_server_come_back(bench, model):
    """Both are taken away while it records, and given back: counted reconnects, one whole file, exit 0."""
    folder = bench.folder
    camera = bench.feed("--camera", bench.camera_fifo)
    mic = bench.feed("--mic", bench.mic_fifo)
    live = bench.live(
        "--camera", "0", "--mic", "default", "--headless",
        "--sink", f"jsonl:{folder}/results.jsonl", "--sink", folder / "out.mp4",
        "--stats-json", folder / "stats.json", *model,
    )  # fmt: skip
    wait_until("sound is heard", lambda: any(r["audible"] for r in bench.results()), live, bench.log)

    bench.end(camera)
    wait_until("the camera's loss is told", lambda: "--camera 0: lost" in bench.log.read_text(), live, bench.log)
    before = len(bench.results())
    bench.feed("--camera", bench.camera_fifo)
    wait_until("frames again", lambda: len(bench.results()) >= before + 10, live, bench.log)

    bench.end(bench.pulse)
    bench.end(mic)
    wait_until("results without sound", lambda: "no_audio" in bench.results()[-1]["flags"], live, bench.log)
    lost_at = len(bench.results())
    assert not bench.results()[-1]["audible"]
    bench.start_pulse()
    bench.feed("--mic", bench.mic_fifo)
    wait_until("sound again", lambda: any(r["audible"] for r in bench.results()[lost_at:]), live, bench.log)

    assert bench.end(live, signal.SIGINT) == 0, bench.log.read_text()
    stats = json.loads((folder / "stats.json").read_text())
    assert stats["reconnects"]["camera"] >= 1
    assert stats["reconnects"]["mic"] >= 1
    assert stats["flags_seen"]["camera_lost"] >= 1
    check_recording(folder / "out.mp4")


@pytest.mark.slow
@pytest.mark.parametrize("opencv", [True, False], ids=["opencv", "pyav"])
def test_stalled_and_unplugged_camera_muted_and_frozen_microphone_recover(bench, model, opencv):
    """Each is taken away and given back, one after the other; no old picture is shown as a new one meanwhile."""
    folder = bench.folder
    camera = bench.feed("--camera", bench.camera_fifo)
    bench.feed("--mic", bench.mic_fifo)
    live = bench.live(
        "--camera", "0", "--mic", "default", "--headless", "--sink", f"jsonl:{folder}/results.jsonl",
        "--stats-json", folder / "stats.json", *model, opencv=opencv,
    )  # fmt: skip
    wait_until("sound is heard", lambda: any(r["audible"] for r in bench.results()), live, bench.log)
    assert ("V4L2 by PyAV" in bench.log.read_text()) is not opencv

    told = bench.log.read_text().count("camera 0: delivers nothing")  # a busy machine stalls it by itself
    camera.send_signal(signal.SIGSTOP)
    wait_until(
        "the stall is told", lambda: bench.log.read_text().count("camera 0: delivers nothing") > told, live, bench.log
    )
    stalled_at = len(bench.results())
    camera.send_signal(signal.SIGCONT)
    wait_until("frames after the stall", lambda: len(bench.results()) >= stalled_at + 10, live, bench.log)
    bench.end(camera)
    wait_until("the loss is told", lambda: "--camera 0: lost" in bench.log.read_text(), live, bench.log)
    lost_at = len(bench.results())
    bench.feed("--camera", bench.camera_fifo)
    wait_until("frames again", lambda: len(bench.results()) >= lost_at + 10, live, bench.log)

    assert bench.pactl("set-source-mute", "fakemic", "1").returncode == 0
    wait_until("the mute is told", lambda: silent_by_device(bench.results()[-1]), live, bench.log)
    assert bench.pactl("set-source-mute", "fakemic", "0").returncode == 0
    wait_until("sound again", lambda: bench.results()[-1]["audible"], live, bench.log)
    bench.pulse.send_signal(signal.SIGSTOP)
    wait_until("the frozen daemon is told", lambda: "mic_stalled" in bench.results()[-1]["flags"], live, bench.log)
    assert "no_audio" in bench.results()[-1]["flags"]
    bench.pulse.send_signal(signal.SIGCONT)
    wait_until("sound after the thaw", lambda: bench.results()[-1]["audible"], live, bench.log)

    assert bench.end(live, signal.SIGINT) in (0, 1), bench.log.read_text()
    results = bench.results()
    assert all(a["capture_ns"] < b["capture_ns"] for a, b in itertools.pairwise(results))
    assert any(r["stamp_source"] == "driver" for r in results)
    stats = json.loads((folder / "stats.json").read_text())
    assert stats["reconnects"]["camera"] >= 1
    assert {"camera_stalled", "camera_lost", "mic_digital_silence", "mic_stalled"} <= set(stats["flags_seen"])
    assert "Traceback" not in bench.log.read_text()


def test_devices_are_listed(bench):
    done = subprocess.run(
        [sys.executable, "-m", "lvs_runtime.cli.live", "--list-devices", "--json"],
        env=bench.environment, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "default" in [m["name"] for m in json.loads(done.stdout)["microphones"]]


def test_absent_camera_is_one_message(bench, model):
    live = bench.live("--camera", "7", "--mic", "none", "--headless", *model)
    assert live.wait(PATIENCE_S) == 2
    said = bench.log.read_text()
    assert "--camera 7: cannot be opened" in said
    assert "Traceback" not in said


def start_recording(bench, model) -> subprocess.Popen:
    """Both devices fed, sound heard, recording under way."""
    folder = bench.folder
    bench.feed("--camera", bench.camera_fifo, "--mic", bench.mic_fifo)
    live = bench.live(
        "--camera", "0", "--mic", "default", "--headless",
        "--sink", f"jsonl:{folder}/results.jsonl", "--sink", folder / "out.mp4",
        "--stats-json", folder / "stats.json", *model,
    )  # fmt: skip
    wait_until(
        "30 results, some with sound",
        lambda: len(bench.results()) >= 30 and any(r["audible"] for r in bench.results()),
        live,
        bench.log,
    )
    return live


def test_a_frozen_sound_server_cannot_hang_the_exit(bench, model):
    """PortAudio's abort, close and even the interpreter's exit hang then: files are finished, and it leaves with 1."""
    live = start_recording(bench, model)
    bench.pulse.send_signal(signal.SIGSTOP)
    try:
        told = {"mic_stalled", "no_audio"}  # a frame that waited long may still have its own sound at first
        wait_until("the stall is told", lambda: told <= set(bench.results()[-1]["flags"]), live, bench.log)
        assert bench.end(live, signal.SIGINT) == 1, bench.log.read_text()
    finally:
        bench.pulse.send_signal(signal.SIGCONT)
    assert json.loads((bench.folder / "stats.json").read_text())["flags_seen"]["mic_stalled"] == 1
    assert "did not let go" in bench.log.read_text()
    check_recording(bench.folder / "out.mp4")


def test_a_source_that_vanishes_is_not_taken_for_silence(bench, model):
    """PulseAudio moves the stream to another source, says nothing and delivers digital zeros."""
    live = start_recording(bench, model)
    assert bench.pactl("unload-module", "module-pipe-source").returncode == 0
    wait_until("zeros are told", lambda: silent_by_device(bench.results()[-1]), live, bench.log)
    assert bench.end(live, signal.SIGTERM) == 0, bench.log.read_text()


def test_a_killed_recording_plays(bench, model):
    live = start_recording(bench, model)
    wait_until("more results", lambda: len(bench.results()) >= 60, live, bench.log)
    bench.end(live, signal.SIGKILL)
    check_recording(bench.folder / "out.mp4")
    assert len(bench.results()) >= 60
