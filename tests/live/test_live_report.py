"""What lvs-live prints: colours for terminals alone, counters, recorded and played again as a command."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest

from lvs_runtime.cli import live as command
from lvs_runtime.cli.live_report import Reporter
from lvs_runtime.live.stats import SessionStats
from lvs_runtime.results import Result


class Terminal(io.StringIO):
    def isatty(self):
        return True


def counters(out):
    Reporter(out=out).counters(SessionStats(flags=("camera_lost",)))
    return out.getvalue()


class TestColours:
    @pytest.fixture(autouse=True)
    def plain_environment(self, monkeypatch):
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm")

    def test_a_terminal_gets_them_a_file_does_not(self):
        assert counters(Terminal()).startswith("\x1b[33m")
        assert "\x1b" not in counters(io.StringIO())

    @pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
    def test_whoever_wants_none_gets_none(self, monkeypatch, name, value):
        monkeypatch.setenv(name, value)
        assert "\x1b" not in counters(Terminal())


def test_recorded_and_played_again_as_a_command(monkeypatch, capsys, toy_path, helpers, tmp_path):
    pytest.importorskip("av")
    monkeypatch.setattr(command, "_prepare_logging", lambda debug: None)
    clip = helpers.write_media(tmp_path / "clip.mp4", 1.0)

    def run(*options):
        common = ["--headless", "--no-pace", "--bundle", str(toy_path)]
        monkeypatch.setattr(sys, "argv", ["lvs-live", *common, *map(str, options)])
        with pytest.raises(SystemExit) as ended:
            command.main()
        return ended.value.code, capsys.readouterr().err

    code, said = run("--camera", clip, "--record", tmp_path / "rec", "--sink", tmp_path / "a.jsonl")
    assert code == 0
    assert "play it again: lvs-live --replay" in said
    code, said = run("--replay", tmp_path / "rec", "--sink", tmp_path / "b.jsonl", "--stats-json", tmp_path / "s.json")
    assert code == 0
    assert "as recorded" in said
    first, second = ([json.loads(x) for x in (tmp_path / n).read_text().splitlines()] for n in ("a.jsonl", "b.jsonl"))
    for key in ("capture_ns", "audio_end_ns", "similarity_map", "peak_px", "boxes_px", "audible", "confidence"):
        assert [r[key] for r in first] == [r[key] for r in second]
    assert json.loads((tmp_path / "s.json").read_text())["frames"]["processed"] == len(first) == 25


def test_the_mask_is_the_heat_above_the_box_threshold_and_empty_without_boxes():
    cells = np.zeros((14, 14), np.float32)
    cells[3:5, 6:8] = 0.9
    facts = {"level_dbfs": -20.0, "peak_px": (70, 40), "provider": "p", "precision": "fp32", "box_threshold": 0.6}
    seen = Result(
        similarity_map=cells,
        image_size_px=(140, 140),
        audible=True,
        confidence=0.9,
        boxes_px=((55, 25, 75, 45),),
        **facts,
    )
    mask = seen.mask()
    assert mask.shape == (140, 140)
    assert mask[38, 68]
    assert not mask[100, 100]
    np.testing.assert_array_equal(mask, seen.heatmap() >= 0.6)
    unseen = Result(similarity_map=cells, image_size_px=(140, 140), audible=False, confidence=0.0, boxes_px=(), **facts)
    assert not unseen.mask((28, 14)).any()
    assert unseen.mask((28, 14)).shape == (14, 28)
