"""Recordings that archives hold: whole ones and all kinds of broken ones, made once for all tests."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

pytest.importorskip("av")
pytest.importorskip("pyarrow")

import archive_work


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings: 25 fps H.264 with B pictures, 30 fps mpeg4, and one with pictures at odd times."""
    folder = tmp_path_factory.mktemp("whole")
    archive_work.write_clip(folder / "a.mp4", 4.0, options={"bf": "3", "g": "30"}, seed=1)
    archive_work.write_clip(folder / "b.mkv", 2.0, fps=30, codec="mpeg4", seed=2)
    archive_work.write_clip(folder / "vfr.mp4", 4.0, stamps=[0, 40, 80, 1500, 1540, 3900], seed=3)
    return folder


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory, whole: Path) -> Path:
    """What nights are made of."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "zero.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("no video at all\n" * 100)
    (folder / "cut.mkv").write_bytes((whole / "b.mkv").read_bytes()[:9_000])
    (folder / "noindex.mp4").write_bytes((whole / "a.mp4").read_bytes()[:4_000])
    (folder / "playlist.mp4").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n/etc/hostname\n#EXT-X-ENDLIST\n"
    )
    archive_work.write_clip(folder / "soundless.mp4", 1.0, sound=False)
    archive_work.write_clip(folder / "pictureless.mp4", 1.0, video=False)
    archive_work.write_clip(folder / "silent.mp4", 1.0, level=0.0)
    damaged = bytearray((whole / "a.mp4").read_bytes())
    damaged[len(damaged) // 3 : len(damaged) // 2] = bytes(len(damaged) // 2 - len(damaged) // 3)
    (folder / "damaged.mp4").write_bytes(damaged)
    return folder


@pytest.fixture
def shard(tmp_path: Path, whole: Path) -> Path:
    """A webdataset shard: videos and what else lies beside them."""
    path = tmp_path / "shard-000.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("a.mp4", "b.mkv"):
            tar.add(whole / name, f"clips/{name}")
            data = b'{"label": 1}'
            info = tarfile.TarInfo(f"clips/{name}.json")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path
