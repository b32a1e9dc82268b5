"""Material folders, clips, batches: what is read, what is refused, and that a step is a pure function of the seed."""

import json

import numpy as np
import pytest

pytest.importorskip("cv2", reason="pip install lvs[train]")
soundfile = pytest.importorskip("soundfile", reason="pip install lvs[train]")

import cv2

from lvs_runtime.errors import DataError
from lvs_runtime.spec import AudioSpec, ImageSpec
from lvs_train.data.augment import add_background, band_limit, cut_waveform, set_level
from lvs_train.data.composite import free_boxes, tiles
from lvs_train.data.decode import SoundBank, read_sound
from lvs_train.data.material import load_material, split_of
from lvs_train.data.pairs import Batch, ClipPairs, DrawnPairs, Mixture, PhotoSoundPairs

AUDIO, IMAGE = AudioSpec(), ImageSpec()


def picture(path, colour, size=(80, 90)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), colour, np.uint8))


def tone(path, hz, rate=16000, seconds=1.0, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)
    soundfile.write(path, np.repeat(wave[:, None], channels, 1), rate)


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(("dog", "cat", "_silent")):
        for i in range(6):
            picture(tmp_path / "images" / name / f"{name}-{i}.png", (number * 80, i * 20, 40))
    for number, name in enumerate(("dog", "cat", "_background")):
        for i in range(6):
            tone(tmp_path / "sounds" / name / f"{name}-{i}.wav", 200 * (number + 1) + i)
    return tmp_path


def test_folders_without_an_index(root):
    material = load_material([root])
    assert material.classes() == ["cat", "dog"]
    assert {i.split for i in material.photos} <= {"train", "test"}
    assert split_of("a") == split_of("a")


def test_index_split_source_relabel_and_identity(root):
    lines = [
        {"file": "images/dog/dog-0.png", "cls": "dog", "source": "a", "split": "test"},
        {"file": "images/dog/dog-1.png", "cls": "dog", "source": "a", "split": "train"},
        {"file": "images/cat/cat-0.png", "cls": "cat", "source": "b", "split": "train"},
        {"file": "sounds/dog/dog-0.wav", "cls": "dog", "split": "train"},
        {"file": "sounds/dog/none.wav", "cls": "dog", "split": "train"},
    ]
    (root / "index.jsonl").write_text("\n".join(map(json.dumps, lines)))
    material = load_material([root], {"images/cat/*": "dog"}, [r"(?:dog|cat)-(\d)"])
    assert material.missing == 1
    by_name = {i.path.name: i for i in material.photos}
    assert set(by_name) == {"dog-1.png", "cat-0.png"}  # dog-0 and cat-0 are one photo: the later one stands
    assert by_name["cat-0.png"].split == "test"
    assert by_name["cat-0.png"].group == "dog"


def test_bad_material(tmp_path, root):
    with pytest.raises(DataError, match="no such folder"):
        load_material([tmp_path / "none"])
    (root / "index.jsonl").write_text('{"file": 1')
    with pytest.raises(DataError, match=r"index\.jsonl line 1"):
        load_material([root])


def test_sounds_are_resampled_mixed_and_refused(tmp_path):
    tone(tmp_path / "a.wav", 440, rate=44100, channels=2)
    assert len(read_sound(tmp_path / "a.wav", 16000)) == 16000
    (tmp_path / "b.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match="not a readable sound"):
        read_sound(tmp_path / "b.wav", 16000)
    soundfile.write(tmp_path / "c.wav", np.zeros(0), 16000)
    with pytest.raises(DataError, match="0 samples"):
        read_sound(tmp_path / "c.wav", 16000)


def test_bank_counts_failures_and_stops_when_there_are_many(root, tmp_path):
    material = load_material([root])
    bank = SoundBank(material.sounds, 16000, tmp_path / "cache")
    again = SoundBank(material.sounds, 16000, tmp_path / "cache")
    assert np.array_equal(bank[3], again[3])
    for item in material.sounds[:4]:
        item.path.write_bytes(b"broken")
    with pytest.raises(DataError, match="4 of 18 sounds are unreadable"):
        SoundBank(material.sounds, 16000)


def test_a_share_of_the_material_is_part_of_a_larger_one(root):
    def names(share):
        material = load_material([root], share=share)
        items = (*material.photos, *material.sounds)
        return {i.path for i in items if i.split == "train"}, {i.path for i in items if i.split == "test"}

    (whole, test), (half, test_of_half), (quarter, _) = names(1.0), names(0.5), names(0.25)
    assert quarter < half < whole
    assert test == test_of_half


def test_clips(tmp_path):
    for i in range(3):
        picture(tmp_path / "frames" / f"-clip{i}.jpg", i * 60)
        tone(tmp_path / "audio" / f"-clip{i}.wav", 300 + i)
    pair = ClipPairs(tmp_path, AUDIO, IMAGE).draw(np.random.default_rng(0), 8000)
    assert pair.image.shape == (224, 224, 3)
    assert pair.waveform.shape == (8000,)
    with pytest.raises(DataError, match="want one of lvs"):
        ClipPairs(tmp_path / "frames", AUDIO, IMAGE)


def test_batch_is_a_function_of_seed_and_step(root):
    material = load_material([root])
    bank = SoundBank(material.sounds, 16000)
    paired = PhotoSoundPairs(material, bank, (AUDIO, IMAGE), {"tiles": 1, "paste": 1, "whole": 1})
    mixture = Mixture([(paired, 0.5), (DrawnPairs(), 0.5)], 6, 1, AUDIO, (0.5, 1.0), 2)
    first, again, other = mixture.batch(4), mixture.batch(4), mixture.batch(5)
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.waveforms, again.waveforms)
    assert not np.array_equal(first.images, other.images)
    assert first.images.shape == (6, 224, 224, 3)
    assert len(first.waveforms) == 8
    assert np.abs(first.waveforms).max() <= 1


def test_same_marks_equal_and_alike_classes_only():
    batch = Batch(
        np.zeros((3, 1, 1, 3), np.uint8), np.zeros((4, 9), np.float32), ["car", "truck", "dog"], [["car", "truck"]]
    )
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]]
    assert np.array_equal(batch.same(), np.array(expected, bool))


def test_sound_changes():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 16000).astype(np.float32)
    assert len(cut_waveform(rng, noise[:100], 250)) == 250
    limited = np.abs(np.fft.rfft(band_limit(rng, noise, 16000)))
    assert limited[-200:].mean() < 0.7 * np.abs(np.fft.rfft(noise))[-200:].mean()
    mixed = add_background(noise, np.roll(noise, 5), 10.0) - noise
    assert 10 * np.log10(np.square(noise).mean() / np.square(mixed).mean()) == pytest.approx(10, abs=0.1)
    level = 20 * np.log10(np.sqrt(np.square(set_level(rng, noise, -20, -20)).mean()))
    assert level == pytest.approx(-20, abs=0.2)


def test_tiles_and_boxes():
    images = [np.full((112, 112, 3), i, np.uint8) for i in range(4)]
    for place in range(4):
        canvas, (x0, y0, x1, y1) = tiles(images, place, 224)
        assert (canvas[y0:y1, x0:x1] == 0).all()
        assert sorted(np.unique(canvas)) == [0, 1, 2, 3]
    for box in free_boxes(np.random.default_rng(1), 3, 224, 0.3, 0.6):
        assert 0 <= box[0] < box[2] <= 224
        assert 0 <= box[1] < box[3] <= 224


def test_recipe_as_clips(tmp_path):
    from lvs_runtime.errors import ConfigError
    from lvs_train.config import from_mapping
    from lvs_train.data.clips import write_clips

    recipe = from_mapping({"stages": [{"name": "a", "steps": 1, "batch_size": 4}]})
    assert write_clips(recipe, tmp_path / "clips", 5) == 5
    pair = ClipPairs(tmp_path / "clips", AUDIO, IMAGE).draw(np.random.default_rng(0), 48000)
    assert pair.image.shape == (224, 224, 3)
    with pytest.raises(ConfigError, match="holds clips already"):
        write_clips(recipe, tmp_path / "clips", 5)
