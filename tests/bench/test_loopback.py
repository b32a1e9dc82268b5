"""Flash and beep: onsets from what a session shows and plays, matched with what was emitted."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime.bench import loopback
from lvs_runtime.errors import ConfigError

MS = 1_000_000


def pass_through(plan: np.ndarray, *, delay_ms: float, sound_late_ms: float = 0.0, fps: float = 30.0):
    """What a session with a fixed delay sees and hears of virtual flashes."""
    shown = loopback.FlashShown((64, 48), plan)
    sink = loopback.FlashSink()
    end_ns = int(plan[-1]) + 10**9
    for k in range(int(end_ns / 1e9 * fps)):
        capture_ns = round(k * 1e9 / fps)
        light = float(shown.frame(capture_ns)[::8, ::8].mean())
        sink.seen.append(loopback.Seen(k, capture_ns, capture_ns + round(delay_ms * MS), light))
    for begin in range(0, end_ns * 16_000 // 10**9, 160):
        stamp_ns = begin * 10**9 // 16_000 + round(sound_late_ms * MS)
        sink.write_audio(shown.block(begin, begin + 160), 16_000, stamp_ns)
    return loopback.matched(plan, loopback.flash_onsets(sink.seen), loopback.beep_onsets(sink.heard))


def test_a_known_delay_comes_out_with_the_wait_for_the_next_frame() -> None:
    plan = loopback.flash_plan(60)
    found = pass_through(plan, delay_ms=42.0)
    assert found["emitted"] == found["seen"] == found["heard"] == len(plan) > 50
    assert found["glass_to_result_ms"]["min"] >= 42.0
    assert found["glass_to_result_ms"]["max"] <= 42.0 + 33.4
    assert found["glass_to_result_ms"]["p50"] == pytest.approx(42 + 16.7, abs=6)


@pytest.mark.parametrize("late_ms", [-80.0, 0.0, 120.0])
def test_the_offset_of_sound_is_found(late_ms: float) -> None:
    found = pass_through(loopback.flash_plan(60), delay_ms=5.0, sound_late_ms=late_ms)
    # the beep's stamp is exact; the flash's is that of the next frame: 0 to 33 ms after it, 16.7 in the middle
    assert found["av_offset_ms"]["p50"] == pytest.approx(late_ms - 16.7, abs=6)


def test_a_path_that_shows_nothing_finds_nothing() -> None:
    found = loopback.matched(
        loopback.flash_plan(10), loopback.flash_onsets([loopback.Seen(k, k, k, 30.0) for k in range(99)]), []
    )
    assert (found["seen"], found["heard"]) == (0, 0)
    assert found["glass_to_result_ms"]["p50"] is None


def test_a_flash_that_comes_too_late_is_not_that_flash() -> None:
    found = loopback.matched(np.array([0, 10**9]), [loopback.Flash(600 * MS, 700 * MS, True)], [])
    assert found["seen"] == 0


def test_stamps_of_another_program(tmp_path) -> None:
    file = tmp_path / "stamps.txt"
    file.write_text("100\n\n200\n")
    assert loopback.read_stamps(str(file)).tolist() == [100, 200]
    file.write_text("soon\n")
    with pytest.raises(ConfigError, match="one a line"):
        loopback.read_stamps(str(file))


def test_a_flash_behind_a_dropped_frame_says_nothing_of_the_offset() -> None:
    frames = [loopback.Seen(k, k * 33 * MS, k * 33 * MS + 5, 250.0 if k >= 10 else 20.0) for k in range(20) if k != 10]
    flashes = loopback.flash_onsets(frames)
    assert [flash.exact for flash in flashes] == [False]
    found = loopback.matched(np.array([9 * 33 * MS + 1]), flashes, [9 * 33 * MS + 1])
    assert (found["seen"], found["seen_without_a_drop_before"], found["heard"]) == (1, 0, 0)
