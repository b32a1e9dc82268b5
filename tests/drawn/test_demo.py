"""The demo clip: playable, true to the scene, and whole or absent."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from lvs_runtime import drawn
from lvs_runtime.errors import ConfigError, SinkError

av = pytest.importorskip("av")


def test_clip_decodes_to_the_scene_and_truth_lies_beside_it(tmp_path):
    path = tmp_path / "demo.mp4"
    truth_path = drawn.write_demo(path, seed=1, size=(320, 180), fps=10, seconds=4.0)
    scene = drawn.scene(1, seconds=4.0)
    lines = [json.loads(line) for line in truth_path.read_text().splitlines()]
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        assert {stream.codec_context.name for stream in container.streams} == {"h264", "aac"}
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert len(frames) == len(lines) == 40
    for k in (0, 13, 39):
        wanted, objects = scene.draw(k / 10, (320, 180))
        assert np.abs(frames[k].astype(int) - wanted.astype(int)).mean() < 6.0
        assert lines[k]["frame_index"] == k
        assert lines[k]["objects"] == [
            {"name": o.name, "box_px": list(o.box_px), "sounding": o.sounding} for o in objects
        ]
        assert lines[k]["heard"] == scene.turn(k / 10).name
    wanted_sound = scene.sound(48_000)
    assert abs(sound.size - wanted_sound.size) <= 2048
    # In step: turns are loud and the silence is faint at their own times, with 0.1 s for the codec's smearing.
    for turn in scene.timeline:
        part = sound[round((turn.start_s + 0.1) * 48_000) : round((turn.end_s - 0.1) * 48_000)]
        rms = float(np.sqrt(np.mean(part**2)))
        assert rms < 1e-3 if turn.name is None else rms > 1e-2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["demo.mp4", "demo.truth.jsonl"]


def test_same_seed_same_bytes(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        drawn.write_demo(tmp_path / name, seed=2, size=(160, 96), fps=5, seconds=2.0)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert (tmp_path / "a.truth.jsonl").read_bytes() == (tmp_path / "b.truth.jsonl").read_bytes()


def test_a_missing_folder_is_named_and_nothing_is_left(tmp_path):
    with pytest.raises(SinkError, match="missing"):
        drawn.write_demo(tmp_path / "missing" / "demo.mp4", seconds=2.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "size", "fps"), [("a.avi", (64, 64), 25), ("a.mp4", (65, 64), 25), ("a.mp4", (64, 64), 0)]
)
def test_wrong_arguments_are_refused(tmp_path, name, size, fps):
    with pytest.raises(ConfigError, match="write_demo"):
        drawn.write_demo(tmp_path / name, size=size, fps=fps)


def test_command_line_prints_one_message_and_exits_with_2(tmp_path):
    command = [sys.executable, "-m", "lvs_runtime.drawn"]
    wrong = subprocess.run([*command, "--out", str(tmp_path / "demo.avi")], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "demo.avi" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    right = subprocess.run(
        [*command, "--out", str(tmp_path / "demo.mp4"), "--size", "160", "96", "--seconds", "2", "--fps", "5"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert right.returncode == 0, right.stderr
    assert (tmp_path / "demo.mp4").stat().st_size > 1000


def test_package_imports_with_numpy_alone():
    """Training and the live stack without video extras draw too."""
    code = (
        "import sys\n"
        "for name in ('av', 'cv2', 'torch', 'tyro', 'rich', 'scipy', 'onnxruntime'): sys.modules[name] = None\n"
        "import numpy as np\n"
        "from lvs_runtime import drawn\n"
        "drawn.training_pair(np.random.default_rng(0)); drawn.scene(0).frame(1.0)\n"
        "try:\n    drawn.write_demo('x.mp4')\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SinkError" in done.stdout
    assert "lvs[video]" in done.stdout
