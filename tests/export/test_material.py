"""Clips from a folder: paired by name, fitted to the network's inputs, refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_export import material
from lvs_runtime.errors import DataError
from lvs_runtime.spec import AudioSpec, ImageSpec

cv2 = pytest.importorskip("cv2")
soundfile = pytest.importorskip("soundfile")


def write_pair(folder, name, rate=16_000, channels=1, seconds=0.5):
    (folder / "frames").mkdir(exist_ok=True)
    (folder / "audio").mkdir(exist_ok=True)
    rng = np.random.default_rng(len(name))
    cv2.imwrite(str(folder / "frames" / f"{name}.jpg"), rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))
    samples = rng.normal(0, 0.1, (round(rate * seconds), channels))
    soundfile.write(folder / "audio" / f"{name}.wav", samples, rate)


@pytest.fixture
def folder(tmp_path):
    for number in range(18):
        write_pair(tmp_path, f"clip{number:02d}")
    return tmp_path


def test_a_folder(folder):
    write_pair(folder, "clip99", rate=44_100, channels=2, seconds=5)
    (folder / "frames" / "lonely.jpg").write_bytes(b"never read")
    found = material.folder(folder, AudioSpec(), ImageSpec())
    names = [clip.name for clip in (*found.calibration, *found.parity)]
    assert sorted(names) == [*(f"clip{n:02d}" for n in range(18)), "clip99"]
    assert (len(found.calibration), len(found.parity)) == (13, 6)
    for clip in (*found.calibration, *found.parity):
        assert (clip.image.shape, clip.image.dtype) == ((1, 224, 224, 3), np.uint8)
        assert (clip.waveform.shape, clip.waveform.dtype) == ((1, 48_000), np.float32)
    assert str(folder) not in found.source, "the manifest must not hold this machine's paths"


def test_a_limit_spreads_over_the_folder(folder):
    found = material.folder(folder, AudioSpec(), ImageSpec(), limit=9)
    assert [clip.name for clip in found.calibration][:2] == ["clip00", "clip02"]
    assert len(found.calibration) + len(found.parity) == 9


def test_no_folder(tmp_path):
    with pytest.raises(DataError, match=r"no such folder; want frames/<id>\.jpg"):
        material.folder(tmp_path / "none", AudioSpec(), ImageSpec())


def test_too_few_pairs(folder):
    for file in (folder / "audio").iterdir():
        file.unlink()
    words = r"0 pairs \(18 pictures in frames/, 0 wav in audio/\); at least 16 clips"
    with pytest.raises(DataError, match=words):
        material.folder(folder, AudioSpec(), ImageSpec())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("frames/clip03.jpg", b"<html>", "clip clip03: .*clip03.jpg is not a readable picture"),
        ("frames/clip03.jpg", b"", r"not a readable picture \(0 bytes\)"),
        ("audio/clip03.wav", b"RIFF", "clip clip03: .*clip03.wav is not a readable sound"),
    ],
)
def test_an_unreadable_file(folder, name, content, words):
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        material.folder(folder, AudioSpec(), ImageSpec())


def test_a_wav_without_samples(folder):
    soundfile.write(folder / "audio" / "clip03.wav", np.zeros((0, 1)), 16_000)
    with pytest.raises(DataError, match=r"clip clip03: .*empty"):
        material.folder(folder, AudioSpec(), ImageSpec())


def test_the_drawn_world_repeats():
    first, again = (material.drawn(AudioSpec(), ImageSpec(), seed=5, calibration=1, parity=1) for _ in range(2))
    other = material.drawn(AudioSpec(), ImageSpec(), seed=6, calibration=1, parity=1)
    assert np.array_equal(first.parity[0].image, again.parity[0].image)
    assert np.array_equal(first.calibration[0].waveform, again.calibration[0].waveform)
    assert not np.array_equal(first.parity[0].image, other.parity[0].image)
