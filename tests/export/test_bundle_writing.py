"""A bundle is written whole or not at all. Small bundles with real graphs are enough here."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from lvs_export import bundle as writing
from lvs_export.bundle import check_target, created_now, write_bundle
from lvs_runtime.bundle import Bundle
from lvs_runtime.errors import BundleError, ConfigError


@pytest.fixture(scope="module")
def parts(fp16):
    """Files and manifest of a real bundle, in memory."""
    manifest = json.loads((fp16.path / "manifest.json").read_bytes())
    return {name: (fp16.path / name).read_bytes() for name in manifest["files"]}, manifest


@pytest.fixture
def old(tmp_path, parts):
    files, manifest = parts
    return write_bundle(tmp_path / "bundle", files, {**manifest, "name": "old"})


def snapshot(folder: Path):
    return {file.name: (file.stat().st_ino, file.stat().st_size) for file in folder.iterdir()}


def test_replaces_an_older_bundle(old, parts):
    files, manifest = parts
    write_bundle(old, {**files}, {**manifest, "name": "new"})
    assert Bundle.open(old).name == "new"
    assert [entry.name for entry in old.parent.iterdir()] == ["bundle"]


def fails_at(number, code):
    count = 0

    def write(path, data):
        nonlocal count
        count += 1
        if count == number:
            path.write_bytes(data[: len(data) // 2])
            raise OSError(code, "No space left on device")
        path.write_bytes(data)

    return write


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_full_disk(old, parts, monkeypatch, number):
    before = snapshot(old)
    monkeypatch.setattr(writing, "_write", fails_at(number, errno.ENOSPC))
    words = r"cannot write .*No space left on device \(needs 46 MB, \d+ MB free\); the previous bundle is untouched"
    with pytest.raises(BundleError, match=words):
        write_bundle(old, *parts)
    assert snapshot(old) == before
    assert [entry.name for entry in old.parent.iterdir()] == ["bundle"]


def test_a_real_limit_of_the_file_size(old, parts):
    """The system itself refuses the 23 MB of a graph, as a full disk does: half is written, all of it goes again."""
    resource = pytest.importorskip("resource")
    before = snapshot(old)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, limits[1]))
    try:
        with pytest.raises(BundleError, match=r"cannot write .*File too large \(needs 46 MB, .*bundle is untouched"):
            write_bundle(old, *parts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert snapshot(old) == before
    assert [entry.name for entry in old.parent.iterdir()] == ["bundle"]
    Bundle.open(old)


def test_the_old_one_comes_back_when_the_new_cannot_be_renamed(old, parts, monkeypatch):
    before = snapshot(old)
    rename = Path.rename

    def refuse(self, target):
        if ".tmp-" in self.name:
            raise OSError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(BundleError, match="Permission denied"):
        write_bundle(old, *parts)
    assert snapshot(old) == before
    assert [entry.name for entry in old.parent.iterdir()] == ["bundle"]


def test_what_the_runtime_refuses_is_not_put_in_place(old, parts):
    files, manifest = parts
    before = snapshot(old)
    with pytest.raises(BundleError, match="thresholds lack"):
        write_bundle(old, files, {**manifest, "thresholds": {}})
    assert snapshot(old) == before


def test_a_folder_with_other_things_is_not_replaced(old, tmp_path):
    (old / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds notes.txt, not \(only\) a bundle"):
        check_target(old)
    home = tmp_path / "home"
    home.mkdir()
    assert check_target(home) == home.resolve(), "an empty folder may be used"
    (home / "manifest.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"holds manifest\.json"):
        check_target(home)


def test_a_stated_time(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764000000")
    assert created_now() == "2025-11-24T16:00:00Z"
