"""Evaluation and calibration on material whose truth is known: a listener that knows all, and one that is deaf."""

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="pip install lvs[train]")
soundfile = pytest.importorskip("soundfile", reason="pip install lvs[train]")

from lvs_runtime.errors import DataError
from lvs_runtime.spec import AudioSpec, ImageSpec
from lvs_train.calibrate import Example, fit, fit_box, fit_logistic
from lvs_train.data.decode import SoundBank
from lvs_train.data.material import load_material
from lvs_train.data.sounds import central
from lvs_train.evaluate import CompositeSet, auroc, evaluate_composites, peak_inside, similarity

COLOURS = {"dog": (250, 0, 0), "cat": (0, 250, 0), "_silent": (0, 0, 0), "cow": (0, 0, 250)}
HZ = {"dog": 500.0, "cat": 1000.0, "cow": 2000.0}


@pytest.fixture(scope="module")
def composites(tmp_path_factory):
    root = tmp_path_factory.mktemp("material")
    for name, colour in COLOURS.items():
        (root / "images" / name).mkdir(parents=True)
        for i in range(40):
            cv2.imwrite(str(root / "images" / name / f"{name}-{i}.png"), np.full((80, 80, 3), colour[::-1], np.uint8))
    for name, hz in HZ.items():
        (root / "sounds" / name).mkdir(parents=True)
        for i in range(40):
            wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(20000) / 16000)
            soundfile.write(root / "sounds" / name / f"{name}-{i}.wav", wave, 16000)
    material = load_material([root])
    bank = SoundBank(material.sounds, 16000)
    return CompositeSet(material, bank, (AudioSpec(), ImageSpec()), same_source=False, classes=sorted(HZ))


def hears_all_image(picture):
    cells = cv2.resize(picture, (14, 14), interpolation=cv2.INTER_AREA).astype(np.float32)
    embedding = np.zeros((512, 14, 14), np.float32)
    embedding[:3] = (cells / 255).transpose(2, 0, 1)
    return embedding


def hears_all_audio(waveform):
    hz = np.abs(np.fft.rfft(waveform)).argmax() * 16000 / len(waveform)
    embedding = np.zeros(512, np.float32)
    embedding[int(np.argmin([abs(hz - h) for h in HZ.values()]))] = 1
    return embedding


def test_a_listener_that_knows_scores_everything(composites):
    report = evaluate_composites(hears_all_image, hears_all_audio, composites, 40)
    assert report["peak_in_tile"]["share"] == 1
    assert report["swap_follows"]["share"] == 1
    assert report["mean_iou_adaptive"] > 0.9
    assert report["control_image_only"]["share"] < 0.8
    assert sum(row["n"] for row in report["per_class"].values()) == 40


def test_a_deaf_listener_cannot_pass_both(composites):
    constant = np.eye(1, 512, 0, dtype=np.float32)[0]
    report = evaluate_composites(hears_all_image, lambda _: constant, composites, 60)
    assert report["peak_in_tile"]["share"] + report["swap_follows"]["share"] <= 1
    assert report["peak_in_tile"]["share"] == report["control_image_only"]["share"]


def test_items_depend_on_seed_and_index_alone(composites):
    assert np.array_equal(composites[3].image, composites[3].image)
    assert composites[3].box != composites[3].other_box
    assert composites[3].label != composites[3].other_label


def test_too_few_classes_is_an_error(composites):
    with pytest.raises(DataError, match="two classes"):
        CompositeSet(
            composites.material, composites.sounds.bank, (AudioSpec(), ImageSpec()), same_source=True, classes=["dog"]
        )


def test_small_parts():
    assert auroc([3, 2], [1, 0]) == 1
    assert auroc([1], [1]) == 0.5
    assert np.isnan(auroc([], [1]))
    assert len(central(np.arange(10, dtype=np.float32), 4)) == 4
    assert central(np.arange(10, dtype=np.float32), 4)[0] == 3
    assert len(central(np.arange(3, dtype=np.float32), 10)) == 10
    peaked = np.zeros((14, 14), np.float32)
    peaked[2, 13] = 1
    assert peak_inside(peaked, (200, 16, 224, 48), 224)
    assert not peak_inside(peaked, (0, 0, 100, 100), 224)
    assert similarity(np.ones((512, 2, 2), np.float32), np.ones(512, np.float32)).shape == (2, 2)


def test_logistic_finds_the_middle_and_separates():
    rng = np.random.default_rng(0)
    centre, slope = fit_logistic(rng.normal(0.7, 0.05, 900).tolist(), rng.normal(0.5, 0.05, 100).tolist())
    assert centre == pytest.approx(0.6, abs=0.01)
    assert slope == pytest.approx(80, rel=0.25)  # equal variances: slope = distance / variance


def test_box_threshold_recovers_the_drawn_region():
    examples = []
    for x in range(6):
        values = np.full((14, 14), 0.3, np.float32)
        values[4:8, x : x + 5] = 0.8
        examples.append(Example(values, (x * 16, 64, (x + 5) * 16, 128)))
    floor, share = fit_box(examples, 224)
    assert 0.3 < max(floor, 0.8 * share) <= 0.8
    with pytest.raises(DataError, match="10 examples"):
        fit(examples, 224)


def test_gate_shares_count_both_mistakes():
    from lvs_train.gate_check import gate_shares, loudest_window, silent_windows

    rng = np.random.default_rng(0)
    loud = [rng.normal(0, 10 ** (level / 20), 8000) for level in (-20, -30, -60)]
    thresholds = {"audible_on_dbfs": -46.0, "audible_off_dbfs": -50.0}
    shares = gate_shares(thresholds, loud, silent_windows(40, 16000), 16000)
    assert shares["sounding_audible"] == pytest.approx(2 / 3)
    assert shares["silent_not_audible"] == 1.0
    assert gate_shares(thresholds, loud, loud, 16000)["silent_not_audible"] == pytest.approx(1 / 3)
    late = np.r_[np.zeros(9000), np.ones(3000)].astype(np.float32)
    assert loudest_window(late, 3000).all()
