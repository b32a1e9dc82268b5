"""Lists, spellings of ids, and leaks between lists: every published form in small."""

from __future__ import annotations

import json

import pytest

from lvs_runtime.errors import DataError
from lvs_train.data.ids import clip_key, strip, vggsound_id, video_key
from lvs_train.data.leaks import LeakWarning, check_leaks, find_leaks, without_leaks
from lvs_train.data.lists import read_classes, read_list


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("-0jeONf82dE_000021", "-0jeONf82dE_000021"),
        ("-0jeONf82dE_000021.JPG", "-0jeONf82dE_000021"),
        ("videos/0/0/0/10000130166.mp4", "10000130166"),
        ("frames/10000130166.jpg", "10000130166"),
        ("total_video_frames/-0jeONf82dE_000021/125.jpg", "-0jeONf82dE_000021"),
        ("x/-0jeONf82dE_30000_40000/image_050.jpg", "-0jeONf82dE_30000_40000"),
        ("frames/123/00000003.jpg", "123"),
        ("frames/7.jpg", "7"),
        ("10000130166.mp4/picture.jpg", "10000130166"),
        ("a.b.c_000001", "a.b.c_000001"),
    ],
)
def test_ids_in_any_spelling(text, id_):
    assert strip(text) == id_


def test_keys_of_clips_and_videos():
    assert clip_key("-0jeONf82dE_30000_40000.wav") == "-0jeONf82dE_000030" == vggsound_id("-0jeONf82dE", 30)
    assert video_key("_0jeONf82dE_000030") == "_0jeONf82dE"
    assert video_key("10000130166") == "10000130166"


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_lists_of_every_kind(tmp_path):
    plain = read_list(write(tmp_path / "a.txt", "\ufeff-abcdefghij_000030\r\n\r\n_abcdefghij_000001.jpg\n"))
    assert plain.ids == ["-abcdefghij_000030", "_abcdefghij_000001"]
    flickr = read_list(write(tmp_path / "flickr_test.csv", "123,4\n456,135\n123,4\n"))
    assert (flickr.ids, flickr.repeated, flickr.kind) == (["123", "456"], ("123",), "ids_with_numbers")
    assert {e.label for e in flickr.entries} == {None}
    sound = read_list(
        write(tmp_path / "vggsound.csv", '---g-f_I2yQ,1,people marching,test\nabcdefghijk,30,"dog, big",train\n')
    )
    assert [(e.id, e.label, e.split) for e in sound.entries] == [
        ("---g-f_I2yQ_000001", "people marching", "test"),
        ("abcdefghijk_000030", "dog, big", "train"),
    ]
    negatives = read_list(write(tmp_path / "neg.csv", "video,audio,label\n1,2,0\n3,3,0\n"))
    assert [(e.id, e.audio_id, e.visible) for e in negatives.entries] == [("1", "2", False), ("3", "3", False)]
    labelled = read_list(write(tmp_path / "acl.csv", 'id,label\nx1,"bell, church"\n-x2,dog\n'))
    assert [e.label for e in labelled.entries] == ["bell, church", "dog"]
    boxes = read_list(write(tmp_path / "vggss.json", json.dumps([{"file": "-x", "class": "dog", "bbox": []}])))
    assert boxes.entries[0].label == "dog"
    by_class = read_list(write(tmp_path / "class_files_dict.json", json.dumps({"dog": ["a", "b"], "cat": ["c"]})))
    assert [e.label for e in by_class.entries] == ["dog", "dog", "cat"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "no entries"),
        ("a.csv", "a,b,c\nd,e,f\n", "3 columns"),
        ("a.csv", "x,dog\ny,bell, church\nz,cat\n", "line 2: 3 columns.*needs quotes"),
        ("a.json", "{", "not valid JSON"),
        ("a.json", '{"a": 1}', "want a json list"),
    ],
)
def test_bad_lists(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        read_list(write(tmp_path / name, text))


def test_missing_list_names_its_neighbours(tmp_path):
    write(tmp_path / "vggss_test.csv", "a\n")
    with pytest.raises(DataError, match=r"no such file; beside it lie \['vggss_test.csv'\]"):
        read_list(tmp_path / "vgss_test.csv")


def test_classes(tmp_path):
    assert read_classes(write(tmp_path / "c.txt", 'dog barking\n"bell, church"\n')) == ["dog barking", "bell, church"]
    assert read_classes(write(tmp_path / "c.json", json.dumps({"dog": [], "cat": []}))) == ["dog", "cat"]
    with pytest.raises(DataError, match="one class a line"):
        read_classes(write(tmp_path / "d.json", "[1]"))


TEST = {"VGG-SS": ["-abcdefghij_000030", "zbcdefghijk_000001", "ybcdefghijk_000005"], "Flickr": ["123", "456"]}


def test_a_leak_stops_whatever_its_spelling():
    train = ["x/-abcdefghij_30000_40000.mp4", "wbcdefghijk_000001", "videos/0/0/123.mp4"]
    with pytest.raises(DataError, match=r"1 of 3 clips of VGG-SS \(-abcdefghij_000030.*1 of 2 clips of Flickr \(123"):
        check_leaks(train, TEST)
    assert without_leaks(train, TEST) == ["wbcdefghijk_000001"]


def test_an_allowed_leak_is_recorded():
    with pytest.warns(LeakWarning, match="allowed, and recorded"):
        report = check_leaks(["123", "9"], TEST, allow=True)
    assert report.as_dict()["shared_clips"] == {"VGG-SS": 0, "Flickr": 1}
    assert report.as_dict()["allowed"] is True
    assert report.as_dict()["first_shared_clips"] == {"Flickr": ["123"]}
    json.dumps(report.as_dict())


def test_same_video_at_another_time_only_warns():
    with pytest.warns(LeakWarning, match="1 test clips of VGG-SS come from videos .* e.g. zbcdefghijk_000001"):
        report = check_leaks(["zbcdefghijk_000011"], TEST)
    assert report.clips["VGG-SS"] == ()
    assert without_leaks(["zbcdefghijk_000011", "q"], TEST, videos=True) == ["q"]


def test_no_leak_is_silent(recwarn):
    report = check_leaks(["q", "r"], TEST)
    assert not recwarn
    assert report.as_dict()["train_ids"] == 2
    assert find_leaks([], TEST).train == 0


def test_leaks_command(tmp_path, monkeypatch, capsys):
    from lvs_train import cli

    train = write(tmp_path / "train.txt", "-abcdefghij_30000_40000\nwbcdefghijk_000001\n")
    test = write(tmp_path / "vggss_test.csv", "-abcdefghij_000030\n")
    for extra, code in (((), 2), (("--write-clean", str(tmp_path / "clean.txt")), 0)):
        monkeypatch.setattr("sys.argv", ["lvs-train", "leaks", "--train", str(train), "--test", str(test), *extra])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
    assert (tmp_path / "clean.txt").read_text() == "wbcdefghijk_000001\n"
    assert "1 of 1 clips of vggss_test.csv" in capsys.readouterr().err
