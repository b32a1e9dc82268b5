"""Clips from files and from tar shards: one order, one set of errors, nothing replaced in silence."""

import io
import json
import tarfile

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="pip install lvs[train]")
soundfile = pytest.importorskip("soundfile", reason="pip install lvs[train]")
pytest.importorskip("torch", reason="pip install lvs[train]")

from lvs_runtime.errors import ConfigError, DataError
from lvs_runtime.spec import AudioSpec, ImageSpec
from lvs_train.config import from_mapping
from lvs_train.data.decode import read_sound
from lvs_train.data.layouts import read_clips
from lvs_train.data.leaks import LeakWarning
from lvs_train.data.lists import read_list
from lvs_train.data.pairs import ClipPairs, Mixture
from lvs_train.data.shards import INDEX, ShardStore, read_index, write_index
from lvs_train.data.stores import FolderStore, UnreadableWarning, unreadable
from lvs_train.prepare import check_recipe_leaks, class_names

AUDIO, IMAGE = AudioSpec(), ImageSpec(size_px=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    for kind in ("frames", "audio"):
        (root / kind).mkdir()
    for i in range(8):
        cv2.imwrite(str(root / "frames" / f"-id{i}.jpg"), np.full((20, 30, 3), i * 30, np.uint8))
        wave = 0.3 * np.sin(np.arange(3000) * (i + 1) / 20)
        soundfile.write(root / "audio" / f"-id{i}.wav", wave, 16000)
    return root


@pytest.fixture(scope="module")
def shards(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("shards")
    for number, ids in enumerate((range(5), range(5, 8))):
        with tarfile.open(root / f"clips-{number:06d}.tar", "w") as tar:
            for i in ids:
                for kind, suffix in (("frames", "jpg"), ("audio", "wav")):
                    data = (folder / kind / f"-id{i}.{suffix}").read_bytes()
                    info = tarfile.TarInfo(f"-id{i}.{suffix}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return root


def mixture(root, **options):
    return Mixture([(ClipPairs(root, AUDIO, IMAGE, **options), 1.0)], 3, 1, AUDIO, (0.1, 0.1))


def test_files_and_shards_give_the_same_batches(folder, shards):
    for step in (0, 5):
        files, tars = mixture(folder).batch(step), mixture(shards).batch(step)
        assert files.labels == tars.labels
        assert np.array_equal(files.images, tars.images)
        assert np.array_equal(files.waveforms, tars.waveforms)
    assert (shards / INDEX).is_file()
    assert json.loads((shards / INDEX).read_text().splitlines()[1])["shard"] == "clips-000000.tar"


def test_every_clip_once_an_epoch_and_each_process_its_own(folder):
    source = ClipPairs(folder, AUDIO, IMAGE)
    alone = Mixture([(source, 1.0)], 4, 1, AUDIO, (0.1, 0.1))
    epochs = [sorted(alone.batch(2 * e).labels + alone.batch(2 * e + 1).labels) for e in range(2)]
    assert epochs == [source.ids, source.ids]
    assert alone.batch(0).labels != alone.batch(2).labels
    two = [Mixture([(source, 1.0)], 4, 1, AUDIO, (0.1, 0.2), rank=r, world=2).batch(0) for r in range(2)]
    assert sorted(two[0].labels + two[1].labels) == source.ids
    assert two[0].waveforms.shape == two[1].waveforms.shape


def test_lists_labels_and_one_class(folder, tmp_path):
    (tmp_path / "l.csv").write_text("-id3,dog\n-id1,cat\n-id9,cat\n")
    entries = read_list(tmp_path / "l.csv").entries
    store = FolderStore(folder, "auto", entries)
    assert store.ids == ["-id3", "-id1"]
    assert list(store.missing) == ["-id9"]
    assert ClipPairs(folder, AUDIO, IMAGE, entries=entries, labels=True).labels == ["dog", "cat"]
    assert set(ClipPairs(folder, AUDIO, IMAGE, one_class="bell").labels) == {"bell"}
    with pytest.raises(DataError, match="has no label"):
        ClipPairs(folder, AUDIO, IMAGE, labels=True)


@pytest.mark.parametrize("style", ["own", "paper", "none"])
def test_styles_of_pictures(folder, style):
    pair = ClipPairs(folder, AUDIO, IMAGE, picture=style).draw(np.random.default_rng(0), 700)
    assert pair.image.shape == (32, 32, 3)
    assert pair.waveform.shape == (700,)


def copy(folder, out, broken):
    for kind in ("frames", "audio"):
        (out / kind).mkdir()
        for path in (folder / kind).iterdir():
            (out / kind / path.name).write_bytes(
                b"no" if path.stem in broken and kind == "frames" else path.read_bytes()
            )


def test_unreadable_clips_are_named_left_out_or_stop_the_run(folder, tmp_path):
    (tmp_path / "one").mkdir()
    copy(folder, tmp_path / "one", {"-id2"})
    cache = tmp_path / "cache"
    for _ in range(2):  # the second time from the cache
        with pytest.warns(UnreadableWarning, match=r"1 of 8 clips are unreadable .*-id2\.jpg"):
            pairs = ClipPairs(tmp_path / "one", AUDIO, IMAGE, cache)
    assert "-id2" not in pairs.ids
    assert len(pairs.ids) == 7
    (tmp_path / "two").mkdir()
    copy(folder, tmp_path / "two", {"-id2", "-id5"})
    with pytest.raises(DataError, match=r"2 of 8 clips are unreadable .* more than 1 % stops"):
        unreadable(FolderStore(tmp_path / "two"), 16000)


def test_a_clip_that_breaks_during_training_is_not_replaced(folder, tmp_path):
    copy(folder, tmp_path, set())
    source = mixture(tmp_path)
    for path in (tmp_path / "frames").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="not a readable picture"):
        source.batch(0)


def test_damaged_shards(shards, tmp_path):
    (tmp_path / "a.tar").write_bytes(b"x" * 600)
    with pytest.raises(DataError, match="not a readable tar"):
        write_index(tmp_path)
    (tmp_path / "a.tar").write_bytes((shards / "clips-000001.tar").read_bytes()[:1500])
    rows = (shards / INDEX).read_text().splitlines()[1:]
    head = json.dumps({"shards": {"a.tar": 1500}})
    (tmp_path / INDEX).write_text("\n".join([head, *rows]).replace("clips-000001.tar", "a.tar"))
    store = ShardStore(tmp_path, _entries(["-id7"]))
    with pytest.raises(DataError, match="is the shard whole"):
        store.sound(0, 16000)
    with pytest.raises(DataError, match="ends early"):
        read_sound(read_clips(tmp_path, entries=_entries(["-id7"])).clips[0].sound, 16000)
    (tmp_path / INDEX).write_text(head + '\n{"id": 1}')
    with pytest.raises(DataError, match="line 2"):
        ShardStore(tmp_path)


def test_an_index_that_does_not_know_every_shard_is_made_again(shards, tmp_path):
    """A reader may scan while another machine moves its shard in place: its index comes late, and lacks one."""
    names = sorted(p.name for p in shards.glob("*.tar"))
    for name in names[:-1]:
        (tmp_path / name).write_bytes((shards / name).read_bytes())
    early = write_index(tmp_path)
    (tmp_path / names[-1]).write_bytes((shards / names[-1]).read_bytes())
    assert len(read_index(tmp_path)) == 8 > len(early)
    assert (tmp_path / INDEX).read_bytes() == (shards / INDEX).read_bytes()
    (tmp_path / names[-1]).unlink()
    assert read_index(tmp_path) == early
    lines = (tmp_path / INDEX).read_text().splitlines()
    (tmp_path / INDEX).write_text("\n".join(lines[1:]))  # as written before it had a first line
    assert read_index(tmp_path) == early


def test_any_spelling_finds_a_clip_in_shards(tmp_path, folder):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for kind, suffix in (("frames", "jpg"), ("audio", "wav")):
            tar.add(folder / kind / f"-id1.{suffix}", f"abcdefghijk_000030.{suffix}")
    entries = _entries(["abcdefghijk_30000_40000", "zbcdefghijk_000001"])
    assert ShardStore(tmp_path, entries).ids == ["abcdefghijk_30000_40000"]
    found = read_clips(tmp_path, entries=entries)
    assert (found.layout, found.missing) == ("shards", {"zbcdefghijk_000001": "zbcdefghijk_000001 is in no shard"})
    with pytest.raises(DataError, match="not one of 1 listed clips"):
        read_clips(tmp_path, "shards", _entries(["other"]))
    with pytest.raises(DataError, match=r"want \*\.tar"):
        read_clips(folder, "shards")


def _entries(ids):
    from lvs_train.data.lists import Entry

    return [Entry(i) for i in ids]


def test_leaks_stop_the_run_or_are_recorded(folder, tmp_path):
    (tmp_path / "test.csv").write_text("-id4,0\nother,0\n")
    data = {"clips": [str(folder)], "drawn_weight": 0, "tests": {"flickr": str(tmp_path / "test.csv")}}
    stages = [{"name": "a", "steps": 1}]
    with pytest.raises(DataError, match="-id4"):
        check_recipe_leaks(from_mapping({"data": data, "stages": stages}))
    with pytest.warns(LeakWarning, match="allowed, and recorded"):
        found = check_recipe_leaks(from_mapping({"data": {**data, "allow_leak": True}, "stages": stages}))
    assert found["shared_clips"] == {"flickr": 1}
    assert found["allowed"]
    assert "names no list" in check_recipe_leaks(from_mapping({"data": {**data, "tests": {}}, "stages": stages}))


def test_classes_for_coarse_to_fine(folder):
    values = {"data": {"clips": [str(folder)], "drawn_weight": 0.0}, "stages": [{"name": "a", "steps": 1}]}
    with pytest.raises(ConfigError, match="needs class names"):
        class_names(from_mapping(values), AUDIO, IMAGE)
    values["data"] |= {"one_class": "bell", "drawn_weight": 1.0}
    assert "bell" in class_names(from_mapping(values), AUDIO, IMAGE)
