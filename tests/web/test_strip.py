from __future__ import annotations

import struct

import numpy as np
import pytest

from lvs_runtime.sinks import SessionInfo
from lvs_runtime.view.web import messages
from lvs_runtime.view.web.spectrum import COLUMNS_PER_SECOND, NUM_BANDS, Strip


def tone(hz: float, rate: int, seconds: float = 1.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def columns_of(sound: np.ndarray, rate: int, block: int) -> list[tuple[int, bytes]]:
    strip, columns = Strip(), []
    for start in range(0, len(sound), block):
        columns += strip.push(sound[start : start + block], rate, start * 1_000_000_000 // rate)
    return columns


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_tone_lights_the_band_of_its_pitch(rate: int) -> None:
    loudest = []
    for hz in (120, 500, 2000, 6000):
        columns = columns_of(tone(hz, rate), rate, 480)
        assert len(columns) == COLUMNS_PER_SECOND - 1
        bands = np.frombuffer(columns[10][1], np.uint8)
        assert len(bands) == NUM_BANDS
        loudest.append(int(bands.argmax()))
        centre = np.geomspace(60, 8000, NUM_BANDS + 2)[1:-1][bands.argmax()]
        assert abs(np.log2(centre / hz)) < 0.35
    assert loudest == sorted(loudest)


def test_silence_is_black_and_louder_is_brighter() -> None:
    values = [max(columns_of(tone(1000, 16_000, level=level), 16_000, 160)[5][1]) for level in (0, 1e-3, 1e-2, 1e-1)]
    assert values[0] == 0
    assert values == sorted(values)
    assert len(set(values)) == 4


def test_columns_do_not_depend_on_the_block_size_and_keep_their_stamps() -> None:
    sound = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    small, large = columns_of(sound, 16_000, 160), columns_of(sound, 16_000, 7000)
    assert [bands for _, bands in small] == [bands for _, bands in large]
    steps = np.diff([end for end, _ in small])
    np.testing.assert_allclose(steps, 1e9 / COLUMNS_PER_SECOND, atol=1e3)


def test_a_gap_starts_afresh() -> None:
    strip = Strip()
    strip.push(tone(500, 16_000, 0.05), 16_000, 0)
    (first, *_) = strip.push(tone(500, 16_000, 0.1), 16_000, 9_000_000_000)
    assert first[0] > 9_000_000_000


def test_messages_can_be_taken_apart(made) -> None:
    fields = messages.result_fields(made(7, 12_000_000_000), base_ns=10_000_000_000, fps=29.5)
    message = messages.picture(fields, b"JPEG")
    kind, length = struct.unpack_from("<BI", message)
    decoded = __import__("json").loads(message[5 : 5 + length])
    assert (kind, message[5 + length :]) == (1, b"JPEG")
    assert (decoded["t_ms"], decoded["fps"], decoded["state"], decoded["strength"]) == (2000.0, 29.5, "seen", 1.0)
    assert decoded["frame_index"] == 7
    assert struct.unpack("<Bd", messages.sound(3.5, b"x" * 64)[:9]) == (2, 3.5)
    hello = __import__("json").loads(messages.hello(SessionInfo(source="ü", thresholds={"box_similarity": 0.5})))
    assert messages.result_fields(made(7, 1, box_threshold=0.5), 0, 1.0)["stops"][1] == 0.5
    assert hello["info"]["source"] == "ü"
    assert len(hello["heat"]["colors"]) == len(hello["heat"]["alpha"]) == 256
