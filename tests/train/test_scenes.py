"""Scenes with several sources, real videos, distractors: a listener that knows all, and one that is deaf."""

import dataclasses
import json

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="pip install lvs[train]")
soundfile = pytest.importorskip("soundfile", reason="pip install lvs[train]")

from lvs_runtime.errors import DataError
from lvs_runtime.spec import AudioSpec, ImageSpec
from lvs_train.data.composite import distractors
from lvs_train.data.decode import SoundBank
from lvs_train.data.free import FreeScenes
from lvs_train.data.material import load_material
from lvs_train.data.natural import natural_scenes
from lvs_train.data.sounds import SplitSounds
from lvs_train.embed import Embedders
from lvs_train.quality import read_clips
from lvs_train.scenes import evaluate_scenes
from lvs_train.video_check import Moments, evaluate_videos, read_moments, write_sheet

COLOURS = {"dog": (250, 0, 0), "cat": (0, 250, 0), "cow": (0, 0, 250)}
HZ = {"dog": 500.0, "cat": 1000.0, "cow": 2000.0, "bell": 3000.0}
THRESHOLDS = {
    "box_similarity": 0.3, "box_relative": 0.55, "audible_on_dbfs": -46.0,
    "confidence_similarity": 0.5, "confidence_slope": 20.0,
}  # fmt: skip


def hears_image(picture):
    cells = cv2.resize(picture, (14, 14), interpolation=cv2.INTER_AREA).astype(np.float32)
    embedding = np.zeros((512, 14, 14), np.float32)
    embedding[:3] = (cells / 255).transpose(2, 0, 1)
    return embedding


def hears_audio(waveform):
    embedding = np.zeros(512, np.float32)
    if np.abs(waveform).max() > 0.01:
        hz = np.abs(np.fft.rfft(waveform)).argmax() * 16000 / len(waveform)
        embedding[int(np.argmin([abs(hz - h) for h in HZ.values()]))] = 1
    return embedding


KNOWS = Embedders(hears_image, hears_audio, AudioSpec(), ImageSpec(), "knows", THRESHOLDS)
DEAF = dataclasses.replace(KNOWS, audio=lambda _: np.eye(1, 512, 0, dtype=np.float32)[0])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Plain photos and tones by class, silent grey photos, and one natural photo with two boxes."""
    root, lines = tmp_path_factory.mktemp("material"), []

    def photo(name, picture, **more):
        (root / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(root / name), picture[..., ::-1])
        lines.append({"file": name, **more})

    for name, colour in {**COLOURS, "_silent": (40, 40, 40)}.items():
        for i in range(40):
            split = "test" if i % 2 else "train"
            photo(f"{name}/{name}-{i}.png", np.full((80, 80, 3), colour, np.uint8), cls=name, split=split)
    for name, hz in HZ.items():
        (root / name).mkdir(exist_ok=True)
        for i in range(24):
            wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(20000) / 16000)
            soundfile.write(root / name / f"{name}-{i}.wav", wave, 16000)
            lines.append({"file": f"{name}/{name}-{i}.wav", "cls": name, "split": "test" if i % 2 else "train"})
    two = np.full((150, 300, 3), 30, np.uint8)
    two[20:120, 20:120], two[30:130, 180:280] = COLOURS["dog"], COLOURS["cat"]
    boxes = [["dog", 20, 20, 120, 120], ["cat", 180, 30, 280, 130], ["cat", 1, 1, 3, 3], ["sofa", 0, 0, 300, 150]]
    photo("_scene/voc-1.png", two, cls=["dog", "cat"], split="test", boxes=boxes, source="voc")
    (root / "index.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    material = load_material([root])
    return material, SplitSounds(SoundBank(material.sounds, 16000), "test", 48000)


def test_who_knows_finds_every_source_of_free_composites(world):
    scenes = FreeScenes(*world, ImageSpec(), several=True)
    report = evaluate_scenes(KNOWS, (scenes[i] for i in range(12)), [np.zeros(48000, np.float32)])
    assert report["n"] > report["pictures"] == 12
    # Overlapping pastes and sub-cell sizes keep even a perfect listener from 100 %.
    assert report["peak_in_box"]["value"] > 0.9
    assert report["swap"]["moves"]["value"] == 1
    assert report["controls"]["centre_disc"]["peak_in_box"]["value"] < 0.6
    assert report["auroc_silence"] == 1
    assert report["peak_in_box"]["low"] <= report["peak_in_box"]["value"] <= report["peak_in_box"]["high"]


def test_who_is_deaf_cannot_follow_the_swap(world):
    scenes = FreeScenes(*world, ImageSpec(), several=True)
    report = evaluate_scenes(DEAF, (scenes[i] for i in range(12)), [])
    assert report["swap"]["moves"]["value"] == report["swap"]["peak_follows"]["value"] == 0
    assert report["peak_in_box"] == report["controls"]["image_only"]["peak_in_box"]
    assert report["auroc_absent"] == 0.5


def test_a_natural_photo_is_asked_with_each_of_its_sounds(world):
    material, sounds = world
    (scene,) = natural_scenes(material, sounds, ImageSpec())
    assert [s.label for s in scene.sources] == ["cat", "dog"]
    np.testing.assert_allclose(
        scene.sources[1].boxes[0], np.array([20, 20, 120, 120]) * np.tile([224 / 300, 224 / 150], 2)
    )
    report = evaluate_scenes(KNOWS, [scene], [])
    assert report["iiou_runtime"] == report["iiou_adaptive"] == report["all_peaks_in_box"] == 1
    assert report["swap"]["peak_follows"]["value"] == 1


def test_things_alike_in_a_photo_are_one_source(world):
    (scene,) = natural_scenes(*world, ImageSpec(), alike=[["dog", "cat"]])
    assert len(scene.sources) == 1
    assert len(scene.sources[0].boxes) == 3


def test_free_composites_need_classes_and_background(world):
    material, sounds = world
    with pytest.raises(DataError, match="need three classes"):
        FreeScenes(dataclasses.replace(material, photos=()), sounds, ImageSpec(), several=False)


def test_no_scene_is_an_error():
    with pytest.raises(DataError, match="no scene"):
        evaluate_scenes(KNOWS, [], [])


def test_no_distractor_asked_for_is_none(world):
    material, _ = world
    own = material.photos_of("dog", "train")[0]
    for same in (True, False):
        assert distractors(np.random.default_rng(0), material, "train", own, 0, frozenset({"dog"}), same) == []
        assert len(distractors(np.random.default_rng(0), material, "train", own, 2, frozenset({"dog"}), same)) == 2


def tone(hz, seconds=1.0):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(int(16000 * seconds)) / 16000)).astype(np.float32)


def test_videos_are_told_from_each_others_sound(tmp_path):
    clips = [
        Moments(name, (name,), [np.full((90, 120, 3), COLOURS[name], np.uint8)] * 3, [tone(HZ[name])] * 3)
        for name in COLOURS
    ]
    report = evaluate_videos(KNOWS, clips)
    assert report["auroc_swapped"] == 1
    assert all(row["confidence"] > 0.99 > 0.01 > row["confidence_swapped"] for row in report["rows"])
    assert evaluate_videos(DEAF, clips)["auroc_swapped"] < 0.9
    assert evaluate_videos(KNOWS, clips, [["dog", "cat", "cow"]])["auroc_swapped"] != 1  # nothing to swap with
    write_sheet(tmp_path / "sheet.png", KNOWS, clips, columns=2)
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (3 * 160, 2 * 240, 3)


def write_clip(path, seconds, with_sound):
    av = pytest.importorskip("av", reason="pip install lvs[video]")
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=5)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("aac", rate=16000) if with_sound else None
        for i in range(5 * seconds):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * i, np.uint8), format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if audio:
            sound = av.AudioFrame.from_ndarray(tone(500.0, seconds)[None], format="fltp", layout="mono")
            sound.sample_rate = 16000
            container.mux(audio.encode(sound))
            container.mux(audio.encode(None))


def test_a_clip_is_cut_into_moments(tmp_path):
    write_clip(tmp_path / "a.mp4", 4, with_sound=True)
    clip = read_moments(tmp_path / "a.mp4", ["x"], 16000, 1.0, every_s=1.0, most=3)
    assert len(clip.images) == 3
    assert {w.shape for w in clip.windows} == {(16000,)}
    assert abs(clip.images[1].mean() - 40) < 4  # the picture at 1 s: the fifth
    assert np.abs(np.fft.rfft(clip.windows[1])).argmax() == 500
    with pytest.raises(DataError, match="needs two"):
        read_clips([tmp_path / "a.mp4"], 16000, 1.0)


def test_a_clip_without_sound_or_that_is_none_is_refused(tmp_path):
    write_clip(tmp_path / "silent.mp4", 1, with_sound=False)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"silent\.mp4: needs both"):
        read_moments(tmp_path / "silent.mp4", [], 16000, 1.0)
    with pytest.raises(DataError, match=r"text\.mp4: cannot be decoded"):
        read_moments(tmp_path / "text.mp4", [], 16000, 1.0)
