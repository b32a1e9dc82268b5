"""The small parts: inputs, content keys, sound windows, settings, the output folder."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from lvs_runtime.archive.opening import MemberFile, content_key, open_bytes, open_container
from lvs_runtime.archive.settings import Settings
from lvs_runtime.archive.sound import Track
from lvs_runtime.archive.sources import Source, find_sources
from lvs_runtime.archive.store import LocalStore, RemoteStore, claim
from lvs_runtime.errors import ConfigError, DataError


def names(*inputs: str, out: str | None = None) -> list[str]:
    return [Path(str(source)).name for source in find_sources(inputs, out)]


def test_files_folders_globs_and_lists(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(str(whole)) == ["a.mp4", "b.mkv", "vfr.mp4"]
    assert names(str(whole / "*.mkv"), str(whole / "b.mkv")) == ["b.mkv"]  # once
    (tmp_path / "list.txt").write_text(f"# mine\n{whole}/a.mp4\n\nmissing.mp4\n")
    (tmp_path / "note.txt").write_text("no recording")
    found = list(find_sources([f"@{tmp_path / 'list.txt'}"]))
    assert [source.problem for source in found] == ["", "no such file (named in a list)"]
    monkeypatch.chdir(whole)
    assert names("b.mkv") == ["b.mkv"]
    assert next(iter(find_sources(["b.mkv"]))).path == str(whole / "b.mkv")


def test_shard_members_are_read_where_they_lie(shard: Path, whole: Path) -> None:
    members = list(find_sources([str(shard)]))
    assert [source.member for source in members] == ["clips/a.mp4", "clips/b.mkv"]
    for source in members:
        with open_bytes(source) as stream:
            assert stream.read() == (whole / Path(source.member).name).read_bytes()
    with open_container(members[0]) as container:
        assert sum(1 for _ in container.decode(video=0)) == 100


def test_damaged_and_compressed_shards_say_so(shard: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.tar").write_bytes(b"garbage" * 1000)
    (tmp_path / "packed.tar.gz").write_bytes(b"")
    (tmp_path / "empty.tar").write_bytes(bytes(10240))
    problems = [s.problem for s in find_sources([str(tmp_path / n) for n in ("cut.tar", "packed.tar.gz", "empty.tar")])]
    assert "damaged" in problems[0]
    assert "unpack" in problems[1]
    assert "no video" in problems[2]


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "INPUT is empty"), ("nowhere.mp4", "no such file"), ("*.nothing", "no recording matches"), ("@no", "list")],
)
def test_inputs_that_name_nothing(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        list(find_sources([text]))


def test_the_output_folder_is_no_input(whole: Path) -> None:
    with pytest.raises(ConfigError, match="output folder itself"):
        list(find_sources([str(whole.parent)], str(whole)))


def test_key_is_of_content_alone() -> None:
    small, large = b"a" * 1000, bytearray(os.urandom(9 << 20))
    assert content_key(io.BytesIO(small))[0] == content_key(io.BytesIO(small))[0]
    assert content_key(io.BytesIO(small + b"b"))[0] != content_key(io.BytesIO(small))[0]
    before, size = content_key(io.BytesIO(large))
    assert size == 9 << 20
    for place in (0, len(large) - 1, (1 << 20) + 5):
        changed = large.copy()
        changed[place] ^= 1
        assert content_key(io.BytesIO(changed))[0] != before


def test_member_file_is_bounded() -> None:
    member = MemberFile(io.BytesIO(b"0123456789"), 2, 5)
    assert member.read() == b"23456"
    assert member.seek(-2, io.SEEK_END) == 3
    assert member.read(100) == b"56"
    assert member.read(1) == b""


def test_playlists_open_nothing(broken: Path) -> None:
    with pytest.raises(DataError, match="not a media file"), open_container(Source(str(broken / "playlist.mp4"))):
        pass


def test_pipes_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(DataError, match="not a regular file"):
        open_bytes(Source(str(tmp_path / "pipe.mp4")))


def track(blocks: list[tuple[int, int]]) -> Track:
    """Sound whose sample at position p has the value p; blocks of (position, length)."""
    waiting = iter(blocks)

    def more() -> bool:
        block = next(waiting, None)
        if block is not None:
            made.add(block[0], np.arange(block[0], block[0] + block[1], dtype=np.float32))
        return block is not None

    made = Track(more, keep_s=1.0)
    return made


def test_windows_are_clipped_to_the_sound_and_old_sound_goes() -> None:
    sound = track([(i * 1000, 1000) for i in range(200)])
    start, samples = sound.window(-500, 1500)
    assert (start, samples[0], samples[-1]) == (0, 0.0, 1499.0)
    for begin in range(0, 190_000, 7_000):
        start, samples = sound.window(begin, begin + 2_000)
        assert start == begin
        np.testing.assert_array_equal(samples, np.arange(begin, begin + 2_000, dtype=np.float32))
        assert sum(len(part) for part in sound._parts) < 80_000
    start, samples = sound.window(199_000, 205_000)
    assert (start, len(samples)) == (199_000, 1_000)
    assert sound.end_s == 12.5


def test_holes_become_silence_and_jitter_does_not() -> None:
    sound = track([(0, 1000), (1010, 990), (12_000, 1000), (11_000, 2_500)])
    _, samples = sound.window(0, 13_500)
    assert samples[1000] == 1010.0
    assert not samples[2000:11_900].any()
    assert samples[-1] == 13_499.0


def settings(out: str = "", **more) -> Settings:
    return Settings(out=out, bundle=None, bundle_sha256="0" * 64, **more)


def test_pictures_of_a_stretch_share_a_window() -> None:
    dense = settings(every_s=0.05, hop_s=0.25)
    assert len({dense.window(0.05 * k) for k in range(100)}) == 20
    assert dense.window(0.3) == (-2_000, 14_000)  # the window's middle is the stretch's: 0.375 s
    assert settings(align="end", hop_s=0.25).window(0.3) == (-12_000, 4_000)  # nothing later than the picture
    clips = settings(window_s=10.0, hop_s=10.0)
    assert {clips.window(0.5 * k) for k in range(40)} == {(0, 160_000), (160_000, 320_000)}
    assert settings().window(1.5) == (16_000, 32_000)
    assert settings(align="end").window(1.5) == (8_000, 24_000)


def test_hash_is_of_what_rows_depend_on() -> None:
    assert settings("a", threads=4).hash == settings("b").hash
    assert settings(every_s=1.0).hash != settings().hash


@pytest.mark.parametrize(
    "wrong", [{"every_s": 0}, {"window_s": 60}, {"hop_s": 2}, {"align": "left"}, {"segment_s": 0.1}]
)
def test_settings_are_checked(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        settings(**wrong)


def test_files_are_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    store.write("a/b.parquet", b"one")

    def half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space"):
        store.write("a/b.parquet", b"two, longer")
    assert store.read("a/b.parquet") == b"one"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / "a/b.parquet"]


def test_two_jobs_claim_one_folder(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def run(every_s: float) -> None:
        try:
            claim(settings(str(tmp_path / "out"), every_s=every_s), remake=False)
        except ConfigError as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(0.5,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    run(1.0)
    assert "every_s 0.5 (now 1.0)" in str(errors[0])
    assert "--remake" in str(errors[0])
    claim(settings(str(tmp_path / "out"), every_s=1.0), remake=True)


def test_addresses_through_fsspec() -> None:
    pytest.importorskip("fsspec")
    store = RemoteStore("memory://results/x")
    assert not store.exists("a/b")
    store.write("a/b", b"one")
    assert store.read("a/b") == b"one"
    assert store.create("a/c", b"two")
    assert not store.create("a/c", b"three")
