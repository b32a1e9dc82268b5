"""Jobs in this process: what rows hold, what is made again, what becomes of broken recordings."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from archive_work import tables

from lvs_runtime import Localizer, __version__
from lvs_runtime.archive import FileResult, localize_files
from lvs_runtime.archive.results import WORKER
from lvs_runtime.errors import BundleError, ConfigError


def run(paths, toy_path: Path, **more) -> dict[str, FileResult]:
    more.setdefault("workers", 0)
    return {Path(r.path).name: r for r in localize_files(paths, bundle=toy_path, **more)}


def written(out: Path) -> dict[str, int]:
    return {str(p.relative_to(out)): p.stat().st_mtime_ns for p in out.rglob("*.parquet")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, whole: Path, toy_path: Path) -> Path:
    out = tmp_path_factory.mktemp("made")
    assert len(run(whole, toy_path, out=out)) == 3
    return out


def test_rows_are_what_the_localizer_says(whole: Path, toy_path: Path, localizer: Localizer) -> None:
    """Picture and window of one row taken by hand, from everything decoded."""
    import av

    from lvs_runtime.archive.sound import Decoded
    from lvs_runtime.gate import level_dbfs

    result = run(whole / "a.mp4", toy_path)["a.mp4"]
    rows = result.table().to_pylist()
    assert [row["t_s"] for row in rows] == [0.5 * k for k in range(8)]
    with av.open(str(whole / "a.mp4")) as container:
        frames = {round(f.time, 3): f.to_ndarray(format="bgr24") for f in container.decode(video=0)}
    with av.open(str(whole / "a.mp4")) as container:
        decoded = Decoded(av, container.streams.audio[0], 0.0)
        packets = [p for p in container.demux(audio=0) if p.size]
        sound = np.concatenate([s for p in [*packets, None] for _, s in decoded.blocks(p)])
    middle = 3 * 8000
    half = round(localizer.bundle.live_seconds * 8000)
    cells = localizer.similarity(
        localizer.embed_image(frames[1.48]), localizer.embed_audio(sound[middle - half : middle + half])
    )
    level = level_dbfs(sound[middle - 4000 : middle + 4000], 16_000)
    expected = localizer.result(cells, (96, 64), level)
    row = rows[3]
    np.testing.assert_allclose(row["similarity"], cells.ravel(), atol=6e-4)  # half precision
    assert (row["peak_x_px"], row["peak_y_px"]) == expected.peak_px
    assert [tuple(box.values()) for box in row["boxes"]] == list(expected.boxes_px)
    assert row["level_dbfs"] == pytest.approx(expected.level_dbfs, abs=0.1)
    assert row["confidence"] == pytest.approx(expected.confidence, abs=1e-3)
    assert (row["picture_s"], row["skew_s"]) == (pytest.approx(1.48), pytest.approx(half / 16_000))
    assert (row["file_id"], row["lvs_version"]) == (result.file_id, __version__)
    assert (row["width_px"], row["height_px"], row["audible"]) == (96, 64, True)


def test_both_tables(made: Path) -> None:
    frames, files = tables(made)
    assert [Path(row["path"]).name for row in files] == ["a.mp4", "b.mkv", "vfr.mp4"]
    assert [row["frames"] for row in files] == [8, 4, 8]
    assert {row["file_id"] for row in files} == {row["file_id"] for row in frames}
    assert len(frames) == 20
    assert all(row["error"] is None and row["audible_share"] == 1.0 for row in files)
    assert (files[0]["codec"], files[0]["sound_codec"], files[0]["fps"]) == ("h264", "aac", 25.0)
    assert files[0]["bundle_sha256"] == frames[0]["bundle_sha256"]


def test_a_shared_window_is_heard_once(whole: Path, toy_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of one stretch are what the localizer says of its window, which it hears one time."""
    heard: list[int] = []
    embed = Localizer.embed_audio
    monkeypatch.setattr(Localizer, "embed_audio", lambda self, sound: (heard.append(len(sound)), embed(self, sound))[1])
    shared = run(whole / "a.mp4", toy_path, audio_seconds=1.0, audio_hop=1.0)["a.mp4"].table().to_pylist()
    assert heard == [16_000] * 4
    own = run(whole / "a.mp4", toy_path, audio_seconds=1.0)["a.mp4"].table().to_pylist()
    assert [row["skew_s"] for row in shared] == pytest.approx([1.0, 0.5] * 4)
    assert shared[1]["similarity"] == own[1]["similarity"]  # at 0.5 s, the middle of the first stretch


def test_a_second_run_makes_nothing(made: Path, whole: Path, toy_path: Path) -> None:
    before = written(made)
    assert all(result.done_before for result in run(whole, toy_path, out=made).values())
    assert written(made) == before


def test_only_what_is_missing_is_made(made: Path, whole: Path, toy_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(made, out)
    row = next(p for p in (out / "files").rglob("*.parquet") if pq.read_table(p).to_pylist()[0]["codec"] == "mpeg4")
    row.unlink()
    before = written(out)
    again = run(whole, toy_path, out=out)
    assert {name: result.done_before for name, result in again.items()} == {
        "a.mp4": True, "b.mkv": False, "vfr.mp4": True,
    }  # fmt: skip
    assert {name: stamp for name, stamp in written(out).items() if name in before} == before  # its rows were there
    assert tables(out) == tables(made)


def test_long_recordings_are_cut_and_say_the_same(made: Path, whole: Path, toy_path: Path, tmp_path: Path) -> None:
    results = run(whole, toy_path, out=tmp_path / "out", segment_s=1.0)
    assert results["a.mp4"].parts == 4
    frames, files = tables(tmp_path / "out")
    whole_frames, whole_files = tables(made)
    assert [row["frames"] for row in files] == [row["frames"] for row in whole_files]
    assert [row["seconds"] for row in files] == pytest.approx([row["seconds"] for row in whole_files])
    for ours, theirs in zip(frames, whole_frames, strict=True):
        assert (ours["t_s"], ours["picture_s"]) == (theirs["t_s"], theirs["picture_s"])
        # The resampler starts anew in each segment: equal to what half precision shows, not to the bit.
        np.testing.assert_allclose(ours["similarity"], theirs["similarity"], atol=2e-3)
    again = run(whole, toy_path, out=tmp_path / "out", segment_s=1.0)
    assert all(result.done_before for result in again.values())


def test_segments_that_are_there_are_kept(whole: Path, toy_path: Path, tmp_path: Path) -> None:
    run(whole / "a.mp4", toy_path, out=tmp_path, segment_s=1.0)
    expected = tables(tmp_path)
    next((tmp_path / "files").rglob("*.parquet")).unlink()
    parts = sorted((tmp_path / "frames").rglob("*.parquet"))
    parts[1].unlink()
    parts[2].write_bytes(parts[2].read_bytes()[:-100])  # as no run leaves it, but a disk may
    before = written(tmp_path)
    run(whole / "a.mp4", toy_path, out=tmp_path, segment_s=1.0)
    after = written(tmp_path)
    kept = [str(parts[i].relative_to(tmp_path)) for i in (0, 3)]
    assert all(after[name] == before[name] for name in kept)
    assert tables(tmp_path) == expected


def test_another_bundle_is_refused_and_remade(whole: Path, toy_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(whole / "b.mkv", toy_path, out=out)
    with pytest.raises(ConfigError, match="--remake"):
        run(whole / "b.mkv", toy_path, out=out, every_s=1.0)
    assert not run(whole / "b.mkv", toy_path, out=out, every_s=1.0, remake=True)["b.mkv"].done_before
    assert [row["t_s"] for row in tables(out)[0]] == [0.0, 1.0]


def test_copies_are_rows_of_their_own_and_analysed_once(whole: Path, toy_path: Path, tmp_path: Path) -> None:
    for name in ("one.mkv", "two.mkv"):
        shutil.copy(whole / "b.mkv", tmp_path / name)
    run([tmp_path / "one.mkv", tmp_path / "two.mkv"], toy_path, out=tmp_path / "out")
    frames, files = tables(tmp_path / "out")
    assert (len(frames), len(files)) == (4, 2)


def test_broken_recordings_say_why_and_the_job_goes_on(
    broken: Path, whole: Path, toy_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    results = run([broken, whole / "b.mkv"], toy_path, out=out)
    why = {name: result.error for name, result in results.items()}
    assert why.pop("b.mkv") is None
    assert why.pop("silent.mp4") is None
    expected = {
        "zero.mp4": "empty (0 bytes)",
        "text.mp4": "not a media file",
        "cut.mkv": "damaged|truncated|unreadable",
        "noindex.mp4": "not a media file",
        "playlist.mp4": "not a media file",
        "soundless.mp4": "no sound",
        "pictureless.mp4": "no picture",
        "damaged.mp4": "damaged",
    }
    assert why.keys() == expected.keys()
    for name, text in expected.items():
        assert why[name] is not None, name
        assert any(part in why[name] for part in text.split("|")), (name, why[name])
    assert results["silent.mp4"].audible_share == 0.0
    assert results["damaged.mp4"].frames > 0  # what could be had
    assert {row["error"] for row in tables(out)[1]} == {*why.values(), None}
    again = run([broken, whole / "b.mkv"], toy_path, out=out)
    assert all(result.done_before for result in again.values())
    assert {name: result.error for name, result in again.items() if result.error} == why


def test_what_was_not_the_recordings_fault_is_tried_again(whole: Path, toy_path: Path, tmp_path: Path) -> None:
    from lvs_runtime.archive import tables as t

    run(whole / "b.mkv", toy_path, out=tmp_path)
    (row,) = (tmp_path / "files").rglob("*.parquet")
    failed = replace(t.file_result(row.read_bytes()), error="every worker died", error_kind=WORKER)
    row.write_bytes(t.as_bytes(t.file_row(failed)))
    result = run(whole / "b.mkv", toy_path, out=tmp_path)["b.mkv"]
    assert (result.done_before, result.error) == (False, None)


def test_shards_and_addresses(shard: Path, whole: Path, toy_path: Path) -> None:
    pytest.importorskip("fsspec")
    import fsspec

    files = fsspec.filesystem("memory")
    files.pipe_file("/clips/a.mp4", (whole / "a.mp4").read_bytes())
    direct = run(whole / "a.mp4", toy_path)["a.mp4"].table()
    results = run([shard, "memory://clips/*.mp4"], toy_path, out="memory://out")
    assert {name: result.error for name, result in results.items()} == {"a.mp4": None, "b.mkv": None}
    by_path = {r.path: r for r in localize_files([shard, "memory://clips"], bundle=toy_path, workers=0)}
    assert set(by_path) == {f"{shard}::clips/a.mp4", f"{shard}::clips/b.mkv", "memory://clips/a.mp4"} or all(
        r.error is None for r in by_path.values()
    )
    for result in by_path.values():
        if result.path.endswith("a.mp4"):
            assert result.table().equals(direct)


def test_names_that_are_no_text(whole: Path, toy_path: Path, tmp_path: Path) -> None:
    name = tmp_path / "odd \udcff<b>'.mkv"
    shutil.copy(whole / "b.mkv", name)
    (result,) = localize_files(tmp_path, bundle=toy_path, workers=0, out=tmp_path / "out")
    assert result.error is None
    assert result.path.endswith("odd \\xff<b>'.mkv")


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"engine": "spark"}, ConfigError, "possible: local, ray"),
        ({"engine": "ray://host"}, ConfigError, "HOST:PORT"),
        ({"every_s": -1}, ConfigError, "--every"),
        ({"audio_hop": 9.0}, ConfigError, "--audio-hop"),
        ({"bundle": "/nowhere"}, BundleError, "does not exist"),
        ({"out": "@whole"}, ConfigError, "output folder itself"),
        ({"workers": -1}, ConfigError, "--workers"),
    ],
)
def test_bad_requests_touch_nothing(whole: Path, toy_path: Path, more: dict, error: type, says: str) -> None:
    more = {"bundle": toy_path, "workers": 0, **more}
    if more.get("out") == "@whole":
        more["out"] = whole
    with pytest.raises(error, match=says):
        list(localize_files(whole, **more))
    assert sorted(p.name for p in whole.iterdir()) == ["a.mp4", "b.mkv", "vfr.mp4"]


def test_disk_full_names_it_and_a_second_run_repairs(whole: Path, toy_path: Path, small_disk: Path) -> None:
    out = small_disk / "out"
    filler = small_disk / "filler"
    filler.write_bytes(bytes(280_000))
    results = run(whole, toy_path, out=out)
    assert any("is full" in (r.error or "") and r.error_kind == "storage" for r in results.values())
    filler.unlink()
    assert all(result.error is None for result in run(whole, toy_path, out=out).values())
    assert len(tables(out)[0]) == 20


def test_import_needs_neither_pyarrow_nor_ray() -> None:
    code = "import sys, lvs_runtime.archive, lvs_runtime.cli.localize as c; "
    code += "print(sorted({'pyarrow', 'ray', 'av', 'torch', 'onnxruntime', 'fsspec'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
