"""Boxes of the public test sets and of one's own annotators, on hand-made files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lvs_runtime.errors import DataError
from lvs_runtime.metrics import boxes_to_target
from lvs_train.data.annotations import (
    Annotation,
    Targets,
    flickr_target,
    is3_targets,
    load_targets,
    read_xml,
    vggss_targets,
    xml_targets,
)
from lvs_train.data.drawn_boxes import merge, with_agreement, without_classes, without_empty

VGGSS = [
    {"file": "-abcdefghij_000030", "class": "dog barking", "bbox": [[0.1, 0.2, 0.5, 1], [0.4, 0.2, 0.9, 0.3]]},
    {"file": "M1P1xla8rg0_000000", "class": "x", "bbox": [[-2.88e16, -2.88e16, -2.88e16, -2.88e16]]},
    {"file": "half_lost00_000001", "class": "x", "bbox": [[0, 0, 1, 1], [0.5, 0.5, 0.5, 0.9]]},
]


def write(path, data):
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def test_vggss(tmp_path):
    targets = vggss_targets(write(tmp_path / "vggss.json", VGGSS))
    assert len(targets) == 3
    first = targets["-abcdefghij_000030"]
    assert first.shape == (224, 224)
    assert np.array_equal(first, boxes_to_target(VGGSS[0]["bbox"]))
    assert first.max() == 1  # boxes unite, they do not add
    assert "-abcdefghij_30000_40000.jpg" in targets  # any spelling
    assert np.array_equal(targets["-abcdefghij_30000_40000.jpg"], first)
    assert targets.empty() == ["M1P1xla8rg0_000000"]  # kept: it counts as a failure
    assert targets["M1P1xla8rg0_000000"].sum() == 0
    assert targets.lost() == {"M1P1xla8rg0_000000": 1, "half_lost00_000001": 1}
    assert targets.annotation("half_lost00_000001").label == "x"
    assert set(targets) == {e["file"] for e in VGGSS}


def flickr(annotators):
    def box(b):
        return "<bbox><name>b</name>" + "".join(f"<{k}>{v}</{k}>" for k, v in zip("abcd", b, strict=True)) + "</bbox>"

    return "<root>" + "".join(f"<user><time>3</time>{''.join(map(box, bs))}</user>" for bs in annotators) + "</root>"


def test_flickr_votes(tmp_path):
    path = write(tmp_path / "123.xml", flickr([[(1, 1, 128, 256)], [(1, 1, 64, 256)], [(250, 250, 10, 10)]]))
    weights = flickr_target(path)
    assert weights.shape == (224, 224)
    assert set(np.unique(weights)) == {0, 0.5, 1}
    assert weights[100, [20, 80, 150]].tolist() == [1, 0.5, 0]
    one = flickr_target(write(tmp_path / "4.xml", flickr([[(0, 0, 128, 256), (64, 0, 128, 256)]])))
    assert one[100, [20, 80]].tolist() == [0.5, 1]  # one annotator agrees with himself, as released
    assert sorted(xml_targets(tmp_path)) == ["123", "4"]
    assert load_targets(tmp_path).kind == "flickr_xml"


def test_tie_xml_is_another_thing(tmp_path):
    path = write(tmp_path / "-x.xml", "<a><bbox><x>0.5</x><y>0</y><z>1</z><w>1</w></bbox></a>")
    assert read_xml(path).target()[:, 112:].all()
    assert load_targets(tmp_path).kind == "tie_xml"
    with pytest.raises(DataError, match="SSL-TIE's VGG-SS xml, not Flickr's"):
        flickr_target(path)


def test_is3_pixels(tmp_path):
    data = [
        {
            "image": "/their/disk/dog_cat_1_dog.jpg",
            "audio": "/x/dog_cat_1_dog.wav",
            "gt_box": [29, 29, 57, 58],
            "class": "dog",
        }
    ]
    targets = is3_targets(write(tmp_path / "IS3_annotation.json", data))
    assert targets["dog_cat_1_dog"].sum() == 28 * 29
    assert load_targets(tmp_path / "IS3_annotation.json").kind == "is3"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.json", [{"image": "a", "gt_box": []}], "found list with"),
        ("a.json", [{**VGGSS[0], "bbox": [[1, 2, 3]]}], "want lists of x0"),
        ("a.json", [{**VGGSS[0], "bbox": [[10, 20, 30, 40]]}], "divide pixels"),
        ("a.json", [VGGSS[0], VGGSS[0]], "annotated twice"),
        ("a.json", "[", "not valid JSON"),
    ],
)
def test_bad_vggss(tmp_path, name, data, message):
    with pytest.raises(DataError, match=message):
        vggss_targets(write(tmp_path / name, data))


@pytest.mark.parametrize(
    ("text", "message"),
    [("<a>", "not valid XML"), ("<a><b/></a>", "no bbox"), ("<a><b><bbox><x>q</x></bbox></b></a>", "want xmin")],
)
def test_bad_xml(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        flickr_target(write(tmp_path / "1.xml", text))


VIA = {
    "_via_img_metadata": {
        "a.jpg10": {
            "filename": "a.jpg",
            "file_attributes": {"width": "640", "height": "360", "class": "dog"},
            "regions": [
                {
                    "shape_attributes": {"name": "rect", "x": 0, "y": 0, "width": 320, "height": 360},
                    "region_attributes": {},
                }
            ],
        }
    }
}
VIA3 = {
    "project": {},
    "file": {"1": {"fname": "a.jpg", "width": 640, "height": 360}},
    "metadata": {"1_x": {"vid": "1", "xy": [2, 0, 0, 320, 360], "av": {"1": "dog"}}},
}


def studio(annotator, width):
    value = {"x": 0, "y": 0, "width": width, "height": 100, "rectanglelabels": ["dog"]}
    return {"completed_by": annotator, "result": [{"type": "rectanglelabels", "value": value}]}


LABEL_STUDIO = [{"data": {"image": "/data/upload/3/0a1b2c3d-a.jpg"}, "annotations": [studio(1, 50), studio(2, 25)]}]
CVAT = '<annotations><image id="0" name="d/a.jpg" width="640" height="360"><box label="dog" xtl="0" ytl="0" xbr="320" ybr="360"/></image></annotations>'  # noqa: E501


def test_own_boxes_of_three_tools(tmp_path):
    half = boxes_to_target([(0, 0, 0.5, 1)])
    for name, data in (("via.json", VIA), ("via3.json", VIA3), ("cvat.xml", CVAT)):
        targets = load_targets(write(tmp_path / name, data))
        assert np.array_equal(targets["a"], half), name
        assert targets.annotation("a").label == "dog"
    two = load_targets(write(tmp_path / "studio.json", LABEL_STUDIO))
    assert two["a"][0, [10, 80, 150]].tolist() == [1, 0.5, 0]


def test_consensus_of_files(tmp_path):
    via = load_targets(write(tmp_path / "via.json", VIA))
    cvat = load_targets(write(tmp_path / "cvat.xml", CVAT.replace('xbr="320"', 'xbr="160"')))
    merged = merge([via, cvat])
    assert merged["a"][0, [10, 80, 150]].tolist() == [1, 0.5, 0]
    assert merge([via, cvat], agree=1)["a"][0, [10, 80, 150]].tolist() == [1, 1, 0]
    with pytest.raises(DataError, match="none left after dropping"):
        without_classes(merged, ["dog"])
    assert np.array_equal(without_classes(merged, ["cat"])["a"], merged["a"])
    with pytest.raises(DataError, match="agree 3"):
        merge([via, cvat], agree=3)


def test_own_boxes_refused(tmp_path):
    del VIA["_via_img_metadata"]["a.jpg10"]["file_attributes"]["width"]
    with pytest.raises(DataError, match="width and height of the picture are not stated"):
        load_targets(write(tmp_path / "via.json", VIA))
    with pytest.raises(DataError, match="none of VGG-SS"):
        load_targets(write(tmp_path / "x.json", {"a": 1}))
    with pytest.raises(DataError, match="root is <x>"):
        load_targets(write(tmp_path / "x.xml", "<x/>"))


def test_pictures_without_boxes_and_agreement():
    drawn = Annotation("a", (((0, 0, 0.5, 1),), ((0, 0, 1, 1),)), agree=2)
    targets = Targets({"a": drawn, "b": Annotation("b", ((),))}, "via", "x.json")
    kept, empty = without_empty(targets)
    assert (list(kept), empty) == (["a"], ["b"])
    assert with_agreement(kept, 1)["a"][0, [10, 200]].tolist() == [1, 1]
    assert with_agreement(kept, 5)["a"][0, [10, 200]].tolist() == [1, 0.5]  # never more than drew
    with pytest.raises(DataError, match="not one box"):
        without_empty(Targets({"b": targets.annotation("b")}, "via", "x.json"))


def test_other_shapes_are_refused_not_dropped(tmp_path):
    polygon = CVAT.replace("<box", '<polygon points="1,1;2,2"/><box')
    with pytest.raises(DataError, match="polygon; want upright rectangles"):
        load_targets(write(tmp_path / "a.xml", polygon))
    with pytest.raises(DataError, match="turned box"):
        load_targets(write(tmp_path / "b.xml", CVAT.replace("<box", '<box rotation="30"')))
    circle = json.dumps(VIA3).replace("[2, 0, 0, 320, 360]", "[3, 9, 9, 5]")
    with pytest.raises(DataError, match="VIA shape 3"):
        load_targets(write(tmp_path / "c.json", circle))
    brush = {"completed_by": 1, "result": [{"type": "brushlabels", "value": {}}]}
    with pytest.raises(DataError, match="brushlabels"):
        load_targets(write(tmp_path / "d.json", [{"data": {"image": "a.jpg"}, "annotations": [brush]}]))


def test_label_studio_classes_and_skipped_tasks(tmp_path):
    named = studio(1, 50)
    named["result"].append({"type": "choices", "value": {"choices": ["cat"]}})
    named["result"][0] |= {"type": "rectangle"}
    named["result"][0]["value"].pop("rectanglelabels")
    skipped = {"completed_by": 2, "was_cancelled": True, "result": []}
    found = load_targets(write(tmp_path / "a.json", [{"data": {"image": "a.jpg"}, "annotations": [named, skipped]}]))
    assert found.annotation("a").label == "cat"
    assert found["a"][0, [10, 150]].tolist() == [1, 0]  # a skipped task is no vote
