"""The card is written from figures; the committed card says what the committed JSON says."""

import json
from pathlib import Path

import pytest

from lvs_runtime.errors import ConfigError, DataError
from lvs_train.card import fill

ROOT = Path(__file__).parents[2]
NAMES = (
    "tiles",
    "scenes",
    "confidence",
    "swap",
    "shape",
    "sides",
    "classes",
    "collections",
    "videos",
    "float",
    "context",
)
CARD = "# Words\n" + "\n".join(f"<!-- card:{n}:start -->\nold\n<!-- card:{n}:end -->" for n in NAMES) + "\nMore.\n"


def value(v, spread=0.1):
    return {"value": v, "low": v - spread, "high": v + spread}


def scene(share):
    figures = {k: value(share) for k in ("peak_in_box", "ciou_adaptive", "ciou_runtime", "ciou_lvs")}
    figures |= {"iiou_adaptive": 0.25, "all_peaks_in_box": 0.5}
    controls = dict.fromkeys(("centre_disc", "image_only", "wrong_sound", "silence"), figures)
    aurocs = {"auroc_silence": 0.99, "auroc_noise": 0.98, "auroc_absent": 0.8}
    per_class = {"dog": {"n": 3, "peak_in_box": 1.0}}
    swap = {"pairs": 4, "moves": value(0.9), "peak_follows": value(0.4)}
    causes = {"found": 0.5, "peak_in_another_source": 0.125, "peak_elsewhere": 0.125, "too_small": 0.0}
    side = {
        "from": 0.2,
        "to": 0.3,
        "n": 3,
        "peak_in_box": 0.9,
        "ciou": 0.5,
        "ceiling_ciou": 1.0,
        "ceiling_mean_iou": 0.7,
    }
    shape = {
        "what": "default bundle", "pictures": 2, "n": 3, "causes": causes | {"also_lit_elsewhere": 0.25, "beside": 0.0},
        "ceiling_ciou": 0.98, "by_side": [side],
        "iiou": {"reached": 0.1, "ceiling_of_cells": 0.9, "if_every_peak_in_its_box_counted": 0.46},
    }  # fmt: skip
    return {
        "pictures": 2,
        "n": 3,
        "map_shape": shape,
        **figures,
        "controls": controls,
        **aurocs,
        "per_class": per_class,
        "swap": swap,
    }


def report(share):
    s = {"share": share, "standard_error": 0.01}
    gate = {"sounding_n": 10, "sounding_audible": 1.0, "silent_n": 10, "silent_not_audible": 0.99}
    tile = {"n": 9, "peak_in_tile": s, "swap_follows": s, "control_image_only": s, "auroc_absent": 0.9}
    tile |= {"per_class": {"cat": {"n": 2, "peak_in_tile": 0.5}}, "per_source": {"voc": {"n": 2, "peak_in_tile": 0.5}}}
    row = {"name": "a.mp4", "classes": ["dog"], "moments": 3, "audible": 1.0, "confidence": 0.9}
    return {
        "what": "default bundle", "context": {"date": "2026-11-25", "command": "lvs-train evaluate"},
        "gate_drawn": gate, "gate_real": gate, "composites_same_source": tile, "composites_any_source": tile,
        "composites_same_source_band_limited": {"band_hz": 3500.0, "n": 9, "peak_in_tile": s, "swap_follows": s},
        "drawn": {"n": 9, "peak_in_box": s, "chance_box_area": 0.05, "auroc_absent": 0.99},
        "free_one": scene(share), "free_several": scene(share), "natural": scene(share),
        "videos": {"clips": 1, "moments": 3, "auroc_swapped": 0.8, "rows": [row]},
    }  # fmt: skip


def test_every_mark_is_filled_and_words_stay():
    card = fill(CARD, report(0.875), report(0.885))
    assert card.startswith("# Words\n")
    assert card.endswith("\nMore.\n")
    assert "old" not in card
    assert "| photos from anywhere | 9 | 87.5 ± 1.0 |" in card
    assert "| peak in tile, anywhere | 88.5 | 87.5 | -1.0 |" in card
    assert "at most 0.0 % of sounding (20) and 1.0 % of silent (20)" in card
    assert "| dog |  |  | 100 (3) | 100 (3) |" in card
    assert "| peak right, other places lit as well | 25.0 | 25.0 | 25.0 |" in card
    assert "| - if a peak in its box were enough | 46.0 | 46.0 | 46.0 |" in card
    assert "| 20-30 | 6 | 90 | 50 | 100 | 70 |" in card
    assert fill(card, report(0.875), report(0.885)) == card


def test_missing_figures_say_how_to_measure_them():
    with pytest.raises(DataError, match=r"'videos'.*lvs-train evaluate"):
        fill(CARD, {k: v for k, v in report(0.5).items() if k != "videos"}, report(0.5))
    with pytest.raises(DataError, match="--float"):
        fill(CARD, report(0.5))


def test_unknown_marks_are_refused():
    with pytest.raises(ConfigError, match="none"):
        fill("# no marks", report(0.5))
    with pytest.raises(ConfigError, match="prices"):
        fill("<!-- card:prices:start -->\n<!-- card:prices:end -->", report(0.5))


def test_the_committed_card_says_what_was_measured():
    results = ROOT / "benchmarks" / "results"
    ours, other = (json.loads((results / f"quality_{n}_2026-11-25.json").read_text()) for n in ("default", "float"))
    card = (ROOT / "docs" / "model-card.md").read_text(encoding="utf-8")
    assert fill(card, ours, other) == card, (
        "lvs-train card --json benchmarks/results/quality_default_2026-11-25.json "
        "--float benchmarks/results/quality_float_2026-11-25.json"
    )
