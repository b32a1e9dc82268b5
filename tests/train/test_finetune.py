"""`lvs-train finetune`: what is held out, what is refused, and a short run with figures before and after."""

import json
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install lvs[train]")
pytest.importorskip("cv2", reason="pip install lvs[train]")

from lvs_runtime.errors import ConfigError, DataError
from lvs_train import finetune
from lvs_train.checkpoint import Checkpoint, load, save
from lvs_train.config import from_mapping
from lvs_train.data.clips import write_clips
from lvs_train.data.moments import write_moments
from lvs_train.model import DualResNet


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("own") / "clips"
    write_clips(from_mapping({"seed": 9, "stages": [{"name": "a", "steps": 1, "batch_size": 5}]}), root, 16)
    return root


def test_a_tenth_of_the_videos_is_held_out_with_all_their_moments():
    videos = {f"clip{i}-{n}": f"clip{i}" for i in range(40) for n in range(3)}
    trained, held = finetune.split(videos)
    assert (len(trained), len(held)) == (108, 12)
    assert sorted(trained + held) == sorted(videos)
    assert not {videos[i] for i in trained} & {videos[i] for i in held}
    assert finetune.split(dict(reversed(videos.items()))) == (trained, held)
    with pytest.raises(DataError, match="7 clips; want at least 8"):
        finetune.split({i: v for i, v in videos.items() if v in {f"clip{n}" for n in range(7)}})


def clips_in(folder, **label):
    ids = finetune.open_store(folder).ids
    return finetune.Clips(folder, {i: i for i in ids}, dict.fromkeys(ids, label.get("label")))


def test_plan_trains_on_the_rest_with_labels_when_all_have_one(clips, tmp_path):
    recipe, held = finetune.plan(clips_in(clips, label="x, y"), tmp_path, tmp_path / "m.pt", "", 7, 3)
    assert recipe.data.labels
    assert recipe.stages[0].steps == 7
    assert len(held) == 2
    listed = (tmp_path / "trained.csv").read_text()
    assert listed.count('"x, y"') == 14
    assert not any(e.id in listed for e in held)
    assert not finetune.plan(clips_in(clips), tmp_path, tmp_path / "m.pt", "bell", 7, 3)[0].data.labels


def test_moments_of_one_video_are_no_negatives_of_each_other(clips, tmp_path):
    ids = finetune.open_store(clips).ids
    found = finetune.Clips(clips, {i: f"video{n // 2}" for n, i in enumerate(ids)}, dict.fromkeys(ids))
    recipe, held = finetune.plan(found, tmp_path, tmp_path / "m.pt", "", 7, 3)
    assert recipe.data.labels
    assert {e.label for e in held} == {found.video_of[e.id] for e in held}


def test_moments_of_videos_are_those_in_which_something_is_heard(tmp_path):
    av = pytest.importorskip("av", reason="pip install lvs[video]")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "not.mp4").write_bytes(b"not a video")
    with av.open(str(tmp_path / "videos" / "late.mp4"), "w") as container:
        picture, sound = container.add_stream("mpeg4", rate=4), container.add_stream("aac", rate=16000, layout="mono")
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        for n in range(24):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * n, np.uint8), "rgb24")))
        container.mux(picture.encode(None))
        tone = np.where(np.arange(96000) < 64000, 0, 0.3 * np.sin(np.arange(96000))).astype(np.float32)
        for first in range(0, 96000, 1024):
            frame = av.AudioFrame.from_ndarray(tone[None, first : first + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = 16000, first
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    said = []
    found = write_moments(tmp_path / "videos", tmp_path / "out", 16000, -46.0, said.append)
    assert sorted(found) == ["late-003", "late-004", "late-005"]  # the tone begins at 4 s; 1.5 s before it hears it
    assert set(found.values()) == {"late"}
    assert len(said) == 1
    assert "not.mp4" in said[0]
    store = finetune.open_store(tmp_path / "out")
    assert store.image(2).shape == (48, 64, 3)
    assert store.image(2).mean() == pytest.approx(200, abs=6)
    assert len(store.sound(0, 16000)) == 48000
    assert np.abs(store.sound(0, 16000)[:30000]).max() < 0.01


def test_what_is_no_number_stays_out_of_table_and_manifest():
    figures = finetune.Figures(4, float("nan"), 0.5, 0.9)
    assert figures.known() == {"clips": 4, "own_against_other_sounds": 0.5, "drawn_peak_in_box": 0.9}
    assert "nan" not in json.dumps(figures.known(), allow_nan=False)
    assert len(figures.lines(finetune.Figures(4, float("nan"), 0.7, 0.9))) == 2


def test_without_float_weights_it_says_what_to_give(monkeypatch, tmp_path):
    monkeypatch.setattr(finetune, "SHIPPED", tmp_path / "none")
    with pytest.raises(ConfigError, match="--ckpt"):
        finetune.start_of(None)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_command(clips, tmp_path):
    torch.manual_seed(0)
    save(tmp_path / "start.safetensors", Checkpoint(DualResNet(), thresholds={"box_similarity": 0.31}))
    done = subprocess.run(
        [
            sys.executable, "-m", "lvs_train.cli", "finetune", str(clips), "--out", str(tmp_path / "out"),
            "--ckpt", str(tmp_path / "start.safetensors"), "--steps", "3", "--device", "cpu",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "held-out clips" in done.stdout
    assert "->" in done.stdout
    result = load(tmp_path / "out" / "model.safetensors")
    assert result.thresholds == {"box_similarity": 0.31}
    assert set(json.loads(json.dumps(result.meta["finetune"]["after"]))) == {
        "clips", "own_against_other_clips", "own_against_other_sounds", "drawn_peak_in_box",
    }  # fmt: skip
    start = load(tmp_path / "start.safetensors").model
    assert torch.equal(result.model.image.layer2[0].conv1.weight, start.image.layer2[0].conv1.weight)
    assert torch.equal(result.model.audio.bn1.running_mean, start.audio.bn1.running_mean)
    assert not torch.equal(result.model.image.layer4[0].conv1.weight, start.image.layer4[0].conv1.weight)
