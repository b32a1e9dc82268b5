"""The evaluator against golden values: annotations in the public files' form, scored by published lines and by ours.

VGG-SS's and Flickr's own files are nobody's to copy; these are drawn from a seed, their oddities included (boxes of
-2.88e16, empty targets, slivers, votes). Expected values: NumPy 2.4 and OpenCV 5 running the lines written out below.
"""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest

from lvs_runtime import metrics
from lvs_train import cli
from lvs_train.benchmark.without_media import best_ciou, controls
from lvs_train.data.annotations import load_targets

GOLDEN = {  # cIoU success, AUC, mean ciou
    "centre_disc": (28 / 150, 0.316, 0.31489439205585),
    "full_image": (8 / 150, 0.223, 0.22072943239795914),
    "best": (62 / 150, 0.42733333333333334, 0.42696485937447326),
}
FLICKR_GOLDEN = {"centre_disc": (28 / 30, 0.6883333333333334), "full_image": (12 / 30, 0.46666666666666673)}


@pytest.fixture(scope="module")
def vggss(tmp_path_factory):
    rng = np.random.default_rng(1)
    entries = []
    for n in range(150):
        boxes = []
        for _ in range(1 + int(n % 7 == 0)):
            low, size = rng.integers(0, 160, 2), rng.integers(40, 250, 2)
            boxes.append([*(low / 320), *(np.minimum(low + size, 320) / 320)])
        if n % 50 == 3:
            boxes[0] = [0.1, 0.2, -2.88e16, 0.9]  # as published: int overflow, nothing is left of it
        entries.append({"file": f"{n:011d}_{n:06d}", "class": f"class {n % 5}", "bbox": boxes})
    path = tmp_path_factory.mktemp("vggss") / "vggss.json"
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture(scope="module")
def flickr(tmp_path_factory):
    rng = np.random.default_rng(2)
    folder = tmp_path_factory.mktemp("flickr")
    for n in range(30):
        votes = []
        for who in range(3):
            x0, y0 = rng.integers(1, 90, 2)
            x1, y1 = rng.integers(120, 257, 2)
            box = f"<name>s</name><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
            votes.append(f"<annotator{who}><info>1</info><bbox>{box}</bbox></annotator{who}>")
        (folder / f"{n:010d}.xml").write_text(f"<annotations>{''.join(votes)}</annotations>")
    return folder


def released_target(boxes):
    """VGG-SS's lines: int(224 max(x, 0)), filled with 1."""
    target = np.zeros((224, 224))
    for box in boxes:
        x0, y0, x1, y1 = (int(max(v, 0) * 224) for v in box)
        target[y0:y1, x0:x1] = 1
    return target


def released_scores(cells, targets):
    """The evaluator's lines: OpenCV, float32, the index N^2/2, the thresholds 0.05 i, the trapezoid."""
    cv2 = pytest.importorskip("cv2", reason="the released lines resize with OpenCV: pip install 'lvs[train]'")
    cious = []
    for target in targets:
        v = -cv2.resize(cells, dsize=(224, 224), interpolation=cv2.INTER_LINEAR)
        if v.max() != v.min():
            v = (v - v.min()) / (v.max() - v.min())
        pred = 1 - v
        threshold = np.sort(pred.flatten())[int(pred.shape[0] * pred.shape[1] / 2)]
        pred[pred > threshold] = 1
        pred[pred < 1] = 0
        infer = pred >= 0.5
        cious.append(np.sum(infer * target) / (np.sum(target) + np.sum(infer * (target == 0))))
    success = [np.mean(np.array(cious) >= 0.05 * i) for i in range(21)]
    area = sum((a + b) / 2 * 0.05 for a, b in itertools.pairwise(success))
    return float(np.mean(np.array(cious) >= 0.5)), float(area), float(np.mean(cious))


def figures(row):
    return row["ciou_success"]["value"], row["auc"], row["mean_ciou"]


def test_vggss_form(vggss):
    targets = load_targets(vggss)
    report = controls(targets, list(targets), resamples=20)
    drawn = [released_target(e["bbox"]) for e in json.loads(vggss.read_text())]
    for name, cells in (("centre_disc", metrics.centre_disc()), ("full_image", np.ones((14, 14), np.float32))):
        assert figures(report["controls"][name]) == pytest.approx(released_scores(cells, drawn), abs=1e-12)
    for name, golden in GOLDEN.items():
        assert figures(report["controls"][name]) == pytest.approx(golden, abs=1e-9), name
    assert len(targets.empty()) == 3
    assert sum(line["n"] for line in report["per_size"].values()) == 150
    assert sum(line["n"] for line in report["per_class"].values()) == 150
    assert report["per_size"]["medium"]["best"] == 0  # under half a frame, below a quarter, nothing succeeds


def test_flickr_form(flickr):
    targets = load_targets(flickr)
    report = controls(targets, list(targets), resamples=20)
    weights = np.stack(list(targets.values()))
    assert set(np.unique(weights)) == {0, 0.5, 1}
    disc = released_scores(metrics.centre_disc(), [np.asarray(w, float) for w in weights])
    assert figures(report["controls"]["centre_disc"]) == pytest.approx(disc, abs=1e-7)
    for name, golden in FLICKR_GOLDEN.items():
        assert figures(report["controls"][name])[:2] == pytest.approx(golden, abs=1e-9), name


def test_the_ceiling_is_reached_and_not_passed():
    rng = np.random.default_rng(0)
    target = np.zeros((224, 224), np.float32)
    target[:100, :150], target[100:120] = 1, 0.5
    reached = metrics.ciou_of_mask(metrics.protocol_mask(target + 1e-3 * rng.random((224, 224), np.float32)), target)
    assert best_ciou(target, 25_087) == pytest.approx(reached, abs=1e-12)
    assert best_ciou(np.zeros((224, 224), np.float32), 25_087) == 0
    assert best_ciou(np.ones((224, 224), np.float32), 25_087) == 25_087 / 50_176


def lvs_train(monkeypatch, *argv):
    monkeypatch.setattr("sys.argv", ["lvs-train", *map(str, argv)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_command(vggss, tmp_path, monkeypatch, capsys):
    (tmp_path / "heard.txt").write_text("class 0\nclass 1\n")
    flags = ("evaluate", "--annotations", vggss, "--resamples", 20, "--json", tmp_path / "r.json")
    assert lvs_train(monkeypatch, *flags, "--heard", tmp_path / "heard.txt") == 0
    out = capsys.readouterr().out
    assert re.search(rf"^centre disc +{100 * GOLDEN['centre_disc'][0]:.3f} +\[", out, re.M)
    assert re.search(r"^heard +60 ", out, re.M)
    assert "3 targets are empty, 3 clips lose a box" in out
    assert json.loads((tmp_path / "r.json").read_text())["controls"]["best"]["auc"] == pytest.approx(GOLDEN["best"][1])
    (tmp_path / "heard.txt").write_text("nothing\n")
    assert lvs_train(monkeypatch, *flags, "--heard", tmp_path / "heard.txt") == 2
    assert lvs_train(monkeypatch, *flags, "--bundle", tmp_path) == 2
    assert "add --data ROOT" in capsys.readouterr().err
    assert lvs_train(monkeypatch, "sheet", "--annotations", vggss, "--out", tmp_path / "s.png") == 2
    assert "--data: want the root folder" in capsys.readouterr().err
