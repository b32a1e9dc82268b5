"""Videos to clips: the right frame, the right sound, killed and run again, one machine beside the other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av", reason="videos need PyAV: pip install 'lvs[video]'")
cv2 = pytest.importorskip("cv2", reason="pictures need OpenCV: pip install 'lvs[train]'")

from lvs_runtime.errors import ConfigError, DataError
from lvs_train.data.decode import read_image, read_sound
from lvs_train.data.pack import Packer, packed_ids
from lvs_train.data.prepare_all import find_videos, in_shard, parse_shard, prepare_all
from lvs_train.data.shards import ShardStore
from lvs_train.data.videos import picture_number, tick


def video(path: Path, seconds=6.0, fps=25, rate=44100, sound=True, stereo=True) -> Path:
    """Frame k is grey 30 + k; a 440 Hz tone, on the left only half as loud as on the right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        picture = out.add_stream("mpeg4", rate=fps)
        picture.width, picture.height, picture.bit_rate = 64, 48, 2_000_000
        picture.pix_fmt = "yuv420p"
        tone = out.add_stream("pcm_s16le" if path.suffix == ".mkv" else "aac", rate=rate) if sound else None
        for k in range(round(seconds * fps)):
            image = np.full((48, 64, 3), 30 + k, np.uint8)
            out.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        out.mux(picture.encode(None))
        if tone is not None:
            n = np.arange(round(seconds * rate))
            wave_ = 0.4 * np.sin(2 * np.pi * 440 * n / rate)
            both = np.stack([wave_ * (0.5 if stereo else 1), wave_])
            for first in range(0, len(n), 1024):
                block = both[:, first : first + 1024]
                if path.suffix == ".mkv":
                    data, kind = (block.T * 32767).astype(np.int16).reshape(1, -1), "s16"
                else:
                    data, kind = np.ascontiguousarray(block, np.float32), "fltp"
                frame = av.AudioFrame.from_ndarray(data, format=kind, layout="stereo")
                frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
                out.mux(tone.encode(frame))
            out.mux(tone.encode(None))
    return path


def brightness(path: Path) -> list[float]:
    """Of every frame, decoded in order."""
    with av.open(str(path)) as container:
        return [float(f.to_ndarray(format="bgr24").mean()) for f in container.decode(video=0)]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return video(tmp_path_factory.mktemp("v") / "-abcdefghij_000030.mp4")


def read_wav(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def test_the_25_fps_rule():
    assert picture_number(5.0) == 125
    assert [tick(Fraction(k, 30)) for k in (0, 148, 149, 150)] == [0, 123, 124, 125]
    with pytest.raises(ConfigError, match="first picture"):
        picture_number(0.0)


@pytest.mark.parametrize(("fps", "frame"), [(25, 124), (30, 149), (10, 49)])
def test_frame_and_sound(tmp_path, fps, frame):
    source = video(tmp_path / "v" / "-a.mkv", fps=fps)
    report = prepare_all(tmp_path / "v", tmp_path / "out")
    assert (report.done_now, report.failed, report.found) == (1, {}, 1)
    image = cv2.imread(str(tmp_path / "out" / "frames" / "-a.jpg"))
    assert image.shape == (48, 64, 3)
    assert image.mean() == pytest.approx(brightness(source)[frame], abs=0.4)  # neighbours differ by 1
    sound = read_wav(tmp_path / "out" / "audio" / "-a.wav")
    assert len(sound) == pytest.approx(6 * 16000, abs=50)
    middle = sound[16000:80000]
    assert np.abs(np.fft.rfft(middle)).argmax() * 16000 / len(middle) == pytest.approx(440, abs=0.5)
    assert np.abs(middle).max() == pytest.approx(0.4 * 0.75, abs=0.01)  # channels are averaged


def test_several_frames(tmp_path, one):
    (tmp_path / "v").mkdir()
    shutil.copy(one, tmp_path / "v")
    prepare_all(tmp_path / "v", tmp_path / "out", at_s=(1.0, 5.0))
    folder = tmp_path / "out" / "frames" / one.stem
    assert sorted(p.name for p in folder.iterdir()) == ["025.jpg", "125.jpg"]
    assert cv2.imread(str(folder / "025.jpg")).mean() == pytest.approx(brightness(one)[24], abs=0.4)


@pytest.fixture
def mixed(tmp_path, one):
    """Good ones, one of each kind of bad, and what is no video."""
    root = tmp_path / "videos"
    (root / "sub").mkdir(parents=True)
    for name in ("a.mp4", "sub/-b.MP4"):
        shutil.copy(one, root / name)
    (root / "broken.mp4").write_bytes(b"\0" * 5000)
    (root / "empty.mp4").write_bytes(b"")
    (root / "cut.mp4").write_bytes(one.read_bytes()[:3000])
    video(root / "mute.mp4", seconds=0.4, sound=False)
    video(root / "short.mkv", seconds=2)
    video(root / "old.mpg", seconds=0.4, sound=False)
    (root / "notes.txt").write_text("x")
    (root / ".hidden.mp4").write_bytes(b"x")
    return root


def test_bad_files_are_listed_not_fatal(tmp_path, mixed):
    report = prepare_all(mixed, tmp_path / "out")
    assert report.done_now == 2
    assert set(report.failed) == {"broken", "empty", "cut", "mute", "old", "short"}
    assert report.failed["mute"] == "has no sound"
    assert report.failed["short"].startswith("ends at 2.00 s, before the frame at 5 s")
    assert sorted(p.name for p in (tmp_path / "out" / "audio").iterdir()) == ["-b.wav", "a.wav"]
    written = json.loads((tmp_path / "out" / "report-1-of-1.json").read_text())
    assert written["failed"] == report.failed
    assert not [
        p for p in (tmp_path / "out").rglob("*") if p.is_file() and p.suffix not in (".jpg", ".wav", ".json", ".lock")
    ]


def test_second_run_does_only_what_is_left(tmp_path, mixed):
    prepare_all(mixed, tmp_path / "out")
    (tmp_path / "out" / "audio" / "a.wav").unlink()
    kept = (tmp_path / "out" / "audio" / "-b.wav").stat().st_mtime_ns
    again = prepare_all(mixed, tmp_path / "out")
    assert (again.done_before, again.done_now) == (1, 1)
    assert (tmp_path / "out" / "audio" / "-b.wav").stat().st_mtime_ns == kept
    with pytest.raises(ConfigError, match=r"prepared with .*125.* now asked .*75.*another folder"):
        prepare_all(mixed, tmp_path / "out", at_s=(3.0,))
    with pytest.raises(ConfigError, match="different times"):
        prepare_all(mixed, tmp_path / "out3", at_s=(3.0, 3.0))


def test_list_and_missing_clips(tmp_path, mixed):
    report = prepare_all(mixed, tmp_path / "out", listed=["a", "gone", "-b"])
    assert (report.found, report.missing, report.done_now) == (2, ["gone"], 2)
    assert report.unlisted == 6
    with pytest.raises(DataError, match="not one of 2 listed clips has a video"):
        prepare_all(mixed, tmp_path / "out2", listed=["x", "y"])


def test_shards_divide_the_work(tmp_path, one):
    for n in range(6):
        (tmp_path / "v").mkdir(exist_ok=True)
        shutil.copy(one, tmp_path / "v" / f"clip{n}.mp4")
    reports = [prepare_all(tmp_path / "v", tmp_path / "out", shard=(i, 3)) for i in (1, 2, 3)]
    assert sum(r.done_now for r in reports) == 6
    assert sum(r.done_before for r in reports) == 0
    assert len(list((tmp_path / "out").glob("report-*-of-3.json"))) == 3
    assert sum(in_shard("clip0", (i, 3)) for i in (1, 2, 3)) == 1
    with pytest.raises(ConfigError, match="want I/N"):
        parse_shard("0/3")


def test_workers(tmp_path, mixed):
    report = prepare_all(mixed, tmp_path / "out", workers=2)
    assert report.done_now == 2
    assert len(report.failed) == 6


def test_what_cannot_be_done_at_all(tmp_path, one):
    with pytest.raises(DataError, match="no such folder"):
        find_videos(tmp_path / "none")
    (tmp_path / "v" / "x").mkdir(parents=True)
    with pytest.raises(DataError, match="no videos"):
        find_videos(tmp_path / "v")
    for name in ("a.mp4", "x/a.mkv"):
        shutil.copy(one, tmp_path / "v" / name)
    with pytest.raises(DataError, match="two videos are called a"):
        find_videos(tmp_path / "v")
    (tmp_path / "file").write_text("")
    (tmp_path / "v" / "x" / "a.mkv").unlink()
    with pytest.raises(DataError, match="cannot be written"):
        prepare_all(tmp_path / "v", tmp_path / "file")


def test_one_process_a_shard(tmp_path, one):
    import fcntl

    (tmp_path / "v").mkdir()
    shutil.copy(one, tmp_path / "v" / "a.mp4")
    (tmp_path / "out" / ".scratch").mkdir(parents=True)
    with (tmp_path / "out" / ".scratch" / "1-of-1.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process prepares shard 1/1"):
            prepare_all(tmp_path / "v", tmp_path / "out")


def test_killed_and_run_again(tmp_path, one):
    """SIGKILL in the middle: every file in place is whole, and the next run does the rest."""
    root, out = tmp_path / "v", tmp_path / "out"
    root.mkdir()
    for n in range(12):
        os.link(one, root / f"clip{n}.mp4")
    code = "import sys, pathlib as p; from lvs_train.data.prepare_all import *; prepare_all(*map(p.Path, sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, str(root), str(out)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(out.glob("audio/*.wav"))) < 2 and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = list(out.glob("audio/*.wav"))
    assert len(done) >= 2
    for path in done:
        assert len(read_wav(path)) > 90_000
        assert cv2.imread(str(out / "frames" / f"{path.stem}.jpg")) is not None
    report = prepare_all(root, out)
    assert report.done_before == len(done)
    assert report.done_before + report.done_now == 12
    assert [p.name for p in (out / ".scratch").iterdir()] == ["1-of-1.lock"]  # leftovers are gone


def members(out: Path) -> list[str]:
    names = []
    for path in sorted(out.glob("*.tar")):
        with tarfile.open(path) as tar:
            names += tar.getnames()
    return names


def test_packed_into_shards_as_training_reads_them(tmp_path, one):
    root = tmp_path / "v"
    root.mkdir()
    for n in range(5):
        os.link(one, root / f"-clip{n}.mp4")
    (root / "two.parts.mp4").write_bytes(b"x")
    report = prepare_all(root, tmp_path / "tars", clips_per_tar=2)
    assert (report.done_now, report.done_before) == (5, 0)
    assert "dot" in report.failed["two.parts"]
    names = [p.name for p in sorted((tmp_path / "tars").glob("*.tar"))]
    assert names == [f"clips-1-of-1-0000{n}.tar" for n in range(3)]
    assert members(tmp_path / "tars") == [f"-clip{n}.{kind}" for n in range(5) for kind in ("jpg", "wav")]
    assert not [p for p in (tmp_path / "tars" / ".loose").rglob("*") if p.is_file()]
    assert (tmp_path / "tars" / "index.jsonl").exists()
    store, files = ShardStore(tmp_path / "tars"), tmp_path / "files"
    prepare_all(root, files)
    assert np.array_equal(store.image(3), read_image(files / "frames" / "-clip3.jpg"))
    assert np.array_equal(store.sound(3, 16000), read_sound(files / "audio" / "-clip3.wav", 16000))
    again = prepare_all(root, tmp_path / "tars", clips_per_tar=2)
    assert (again.done_now, again.done_before) == (0, 5)
    with pytest.raises(ConfigError, match=r"prepared with .*packed"):
        prepare_all(root, tmp_path / "tars")
    with pytest.raises(ConfigError, match="one frame a clip"):
        prepare_all(root, tmp_path / "x", at_s=(1.0, 2.0), clips_per_tar=2)


def test_shards_of_several_machines(tmp_path, one):
    root = tmp_path / "v"
    root.mkdir()
    for n in range(5):
        os.link(one, root / f"clip{n}.mp4")
    for i in (1, 2):
        prepare_all(root, tmp_path / "tars", shard=(i, 2), clips_per_tar=100)
        assert not (tmp_path / "tars" / "index.jsonl").exists()  # of several machines none writes it
    assert list(ShardStore(tmp_path / "tars").ids) == [f"clip{n}" for n in range(5)]
    os.link(one, root / "clip5.mp4")
    for i in (1, 2):
        prepare_all(root, tmp_path / "tars", shard=(i, 2), clips_per_tar=100)
    assert len(ShardStore(tmp_path / "tars").ids) == 6  # the old index is gone


def test_killed_while_packing(tmp_path, one):
    """SIGKILL between the shards: each clip ends up in them once."""
    root, out = tmp_path / "v", tmp_path / "out"
    root.mkdir()
    for n in range(12):
        os.link(one, root / f"clip{n:02d}.mp4")
    code = (
        "import sys, pathlib as p; from lvs_train.data.prepare_all import *; "
        "prepare_all(*map(p.Path, sys.argv[1:]), clips_per_tar=2)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(root), str(out)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(out.glob("*.tar")) and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    whole = members(out)
    assert len(whole) >= 4
    report = prepare_all(root, out, clips_per_tar=2)
    assert report.done_before >= len(whole) // 2
    assert report.done_before + report.done_now == 12
    assert sorted(members(out)) == [f"clip{n:02d}.{kind}" for n in range(12) for kind in ("jpg", "wav")]
    assert len(ShardStore(out).ids) == 12


def test_killed_between_the_shard_and_the_removal(tmp_path):
    loose = tmp_path / ".loose"
    for folder, suffix in (("frames", "jpg"), ("audio", "wav")):
        (loose / folder).mkdir(parents=True)
        (loose / folder / f"a.{suffix}").write_bytes(b"x")
    (tmp_path / "scratch").mkdir()
    packer = Packer(tmp_path, "1-of-1", tmp_path / "scratch", 1)
    kept = {p: p.read_bytes() for p in loose.rglob("a.*")}
    packer.add("a")
    for path, data in kept.items():
        path.write_bytes(data)  # as if the kill had come before they went
    assert packed_ids(tmp_path) == {"a"}
    first = (tmp_path / "clips-1-of-1-00000.tar").read_bytes()
    again = Packer(tmp_path, "1-of-1", tmp_path / "scratch", 1)
    assert again.number == 1
    again.add("a")
    assert (tmp_path / "clips-1-of-1-00001.tar").read_bytes() == first  # no time, no owner in it
    first_shard = tmp_path / "clips-1-of-1-00000.tar"
    first_shard.write_bytes(first[:700])
    with pytest.raises(DataError, match="not a readable tar"):
        packed_ids(tmp_path)
    shutil.rmtree(tmp_path / "scratch")
    for path, data in kept.items():
        path.write_bytes(data)
    with pytest.raises(DataError, match="clips stay, run again"):
        again.add("a")
